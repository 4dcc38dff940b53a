// Squared distances of rows by a group each, in twice the precision of a float.

// (x - y)^2: what the difference loses in rounding counts as well.
FUNCTION Pair squareOfDifference(float x, float y) {
  Pair difference = exactSum(x, -y);
  Pair square = exactProduct(difference.high, difference.high);
  return pair(square.high, fma(2.0f * difference.high, difference.low, square.low));
}

// out[row] = |x_row - y_row|^2: x, y [rows, width].
KERNEL pairedSquaredDistances(MATRIX(const float, x), MATRIX(const float, y), MATRIX(float, out), ulong width) {
  LOCAL Pair parts[GROUP_SIZE];
  GLOBAL const float *left = ELEMENTS(x) + GROUP * width;
  GLOBAL const float *right = ELEMENTS(y) + GROUP * width;
  Pair sum = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    sum = addPairs(sum, squareOfDifference(left[column], right[column]));
  }
  sum = groupSum(sum, parts);
  if (ITEM == 0) ELEMENTS(out)[GROUP] = pairValue(sum);
}

// out[i, j, s] = |x_i,s - x_j,s|^2, and |x_i,s|^2 for i = j: x [models, samples, width], out [models, models, samples]. The
// group of (i, j, s) with i <= j writes the result of (j, i, s) as well, and that one's has nothing to do.
KERNEL squaredDistancesBetweenModels(
    MATRIX(const float, x), MATRIX(float, out), ulong models, ulong samples, ulong width) {
  LOCAL Pair parts[GROUP_SIZE];
  ulong sample = GROUP % samples;
  ulong i = GROUP / samples / models;
  ulong j = GROUP / samples % models;
  if (i > j) return;
  GLOBAL const float *left = ELEMENTS(x) + (i * samples + sample) * width;
  GLOBAL const float *right = ELEMENTS(x) + (j * samples + sample) * width;
  Pair sum = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    sum = addPairs(sum, squareOfDifference(left[column], i == j ? 0.0f : right[column]));
  }
  sum = groupSum(sum, parts);
  if (ITEM > 0) return;
  ELEMENTS(out)[(i * models + j) * samples + sample] = pairValue(sum);
  ELEMENTS(out)[(j * models + i) * samples + sample] = pairValue(sum);
}
