// One row per text: states [tokens, width], out [texts, width]. A group per text and GROUP_SIZE columns; text i has the
// tokens starts[i] ..< starts[i + 1]. Zeros for a text without tokens.
KERNEL pool(MATRIX(const float, states), MATRIX(const int, starts), MATRIX(float, out), ulong width, uint takesLast) {
  ulong blocks = (width + GROUP_SIZE - 1) / GROUP_SIZE;
  ulong text = GROUP / blocks;
  ulong column = GROUP % blocks * GROUP_SIZE + ITEM;
  if (column >= width) return;
  GLOBAL const float *values = ELEMENTS(states);
  ulong first = (ulong)ELEMENTS(starts)[text];
  ulong end = (ulong)ELEMENTS(starts)[text + 1];
  float result = 0.0f;
  if (first < end && takesLast) {
    result = values[(end - 1) * width + column];
  } else if (first < end) {
    Pair sum = pair(0.0f, 0.0f);
    for (ulong token = first; token < end; token++) sum = addToPair(sum, values[token * width + column]);
    result = quotient(pairValue(sum), (float)(end - first));
  }
  ELEMENTS(out)[text * width + column] = result;
}
