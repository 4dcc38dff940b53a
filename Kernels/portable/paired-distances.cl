// out[row] = |x_row - y_row|^2: x, y [rows, width]. A group per row, in twice the precision of a float.

// (x - y)^2: what the difference loses in rounding counts as well.
FUNCTION Pair squareOfDifference(float x, float y) {
  Pair difference = exactSum(x, -y);
  Pair square = exactProduct(difference.high, difference.high);
  return pair(square.high, fma(2.0f * difference.high, difference.low, square.low));
}

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
