// states[t] = table[tokens[t]]: table [vocabulary, width], states [tokens, width]. NaN for a token outside of the table.
KERNEL embeddingLookup(
    MATRIX(const int, tokens), MATRIX(const void, table), uint tableFormat, MATRIX(float, states), ulong vocabulary,
    ulong width, ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    int token = ELEMENTS(tokens)[index / width];
    bool isThere = token >= 0 && (ulong)token < vocabulary;
    ulong place = tableStart + (ulong)(isThere ? token : 0) * width + index % width;
    ELEMENTS(states)[index] = isThere ? element(tableMemory, tableFormat, place) : NOT_A_NUMBER;
  }
}
