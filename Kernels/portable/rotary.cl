// Turns the pairs (i, i + pairs) of every head by the angles of its token's position, in place: states
// [tokens, heads * headDimension], cosines and sines [places, pairs]. NaN for a position outside of the tables. A group a
// token.
KERNEL rotaryEmbedding(
    MATRIX(float, states), MATRIX(const int, positions), MATRIX(const float, cosines), MATRIX(const float, sines),
    ulong heads, ulong headDimension, ulong places, ulong pairs) {
  int position = ELEMENTS(positions)[GROUP];
  bool isThere = position >= 0 && (ulong)position < places;
  ulong angles = (ulong)(isThere ? position : 0) * pairs;
  GLOBAL float *row = ELEMENTS(states) + GROUP * heads * headDimension;
  // Divisions of 32 bits take a third of the instructions of wider ones.
  uint ofHead = (uint)pairs;
  for (uint index = ITEM; index < (uint)heads * ofHead; index += GROUP_SIZE) {
    uint pair = index % ofHead;
    GLOBAL float *values = row + index / ofHead * headDimension + pair;
    float cosine = isThere ? ELEMENTS(cosines)[angles + pair] : NOT_A_NUMBER;
    float sine = isThere ? ELEMENTS(sines)[angles + pair] : NOT_A_NUMBER;
    float first = values[0];
    float second = values[pairs];
    values[0] = first * cosine - second * sine;
    values[pairs] = second * cosine + first * sine;
  }
}
