// Turns the pairs (i, i + pairs) of every head by the angles of its token's position, in place: states
// [tokens, heads * headDimension], cosines and sines [places, pairs]. NaN for a position outside of the tables.
KERNEL rotaryEmbedding(
    MATRIX(float, states), MATRIX(const int, positions), MATRIX(const float, cosines), MATRIX(const float, sines),
    ulong heads, ulong headDimension, ulong places, ulong pairs, ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    ulong pair = index % pairs;
    ulong head = index / pairs;
    GLOBAL float *values = ELEMENTS(states) + head * headDimension + pair;
    int position = ELEMENTS(positions)[head / heads];
    bool isThere = position >= 0 && (ulong)position < places;
    ulong angle = (ulong)(isThere ? position : 0) * pairs + pair;
    float cosine = isThere ? ELEMENTS(cosines)[angle] : NOT_A_NUMBER;
    float sine = isThere ? ELEMENTS(sines)[angle] : NOT_A_NUMBER;
    float first = values[0];
    float second = values[pairs];
    values[0] = first * cosine - second * sine;
    values[pairs] = second * cosine + first * sine;
  }
}
