// Differences, not |x|^2 - 2xy + |y|^2: nothing cancels, and equal rows have distance 0.

static double squaredDistance(const float *x, const float *y, size_t count) {
  // Fused or not would differ in the last bits from one instruction set to the next.
#pragma clang fp contract(off)
  DoubleVector sums = {0};
  size_t index = 0;
  for (; index + Lanes <= count; index += Lanes) {
    DoubleVector difference = __builtin_convertvector(loadFloats(x + index), DoubleVector) -
                              __builtin_convertvector(loadFloats(y + index), DoubleVector);
    sums += difference * difference;
  }
  DoubleVector difference = __builtin_convertvector(loadSomeFloats(x + index, count - index), DoubleVector) -
                            __builtin_convertvector(loadSomeFloats(y + index, count - index), DoubleVector);
  return sumOfLanes(sums + difference * difference);
}
