// states[t] = table[tokens[t]]: table [vocabulary, width], states [tokens, width]. NaN for a token outside of the table. A
// group a token.
KERNEL embeddingLookup(
    MATRIX(const int, tokens), MATRIX(const void, table), uint tableFormat, MATRIX(float, states), ulong vocabulary,
    ulong width) {
  int token = ELEMENTS(tokens)[GROUP];
  bool isThere = token >= 0 && (ulong)token < vocabulary;
  ulong row = tableStart + (ulong)(isThere ? token : 0) * width;
  GLOBAL float *results = ELEMENTS(states) + GROUP * width;
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    results[column] = isThere ? element(tableMemory, tableFormat, row + column) : NOT_A_NUMBER;
  }
}
