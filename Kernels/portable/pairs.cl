// Squared distances and the RBF matrix of every pair of rows: x [rows, width], y [others, width], out [rows, others].
//
// Tiled as in multiply.cl. Differences are squared, never |x|^2 + |y|^2 - 2xy: nothing cancels, and equal rows are 0 apart.
// A difference is rounded once, SLICE squares are summed plainly and the slices with compensation: a distance is within
// 20 units of 2^-24 of its value.

#define LANES (TILE / 4)

// The squared distances of one item's 4 x 4 pairs.
FUNCTION void distancesOfTile(
    GLOBAL const float *x, GLOBAL const float *y, ulong rows, ulong others, ulong width, LOCAL_SPACE float *left,
    LOCAL_SPACE float *right, Pair *sums) {
  uint itemRow = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  for (int place = 0; place < 16; place++) sums[place] = pair(0.0f, 0.0f);
  for (ulong start = 0; start < width; start += SLICE) {
    BARRIER();
    stage(left, TILE, x, FLOAT32, start, width, rows, width - start);
    stage(right, TILE, y, FLOAT32, start, width, others, width - start);
    BARRIER();
    float slice[16];
    for (int place = 0; place < 16; place++) slice[place] = 0.0f;
    for (uint index = 0; index < SLICE; index++) {
      for (int row = 0; row < 4; row++) {
        for (int column = 0; column < 4; column++) {
          float difference = left[index * (TILE + 1) + itemRow + row] - right[index * (TILE + 1) + lane + column * LANES];
          slice[row * 4 + column] = fma(difference, difference, slice[row * 4 + column]);
        }
      }
    }
    // Member by member: Mesa's compiler loses the store of a whole structure through a pointer to a caller's array.
    for (int place = 0; place < 16; place++) {
      Pair sum = addToPair(sums[place], slice[place]);
      sums[place].high = sum.high;
      sums[place].low = sum.low;
    }
  }
}

// Writes exp(-distance / 2 sigma^2), or the distances themselves where sigma is 0.
FUNCTION void writePairs(
    GLOBAL float *out, ulong rows, ulong others, ulong rowLength, const Pair *sums, float sigma) {
  uint itemRow = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  for (int row = 0; row < 4; row++) {
    for (int column = 0; column < 4; column++) {
      ulong place = lane + column * LANES;
      if (itemRow + row >= rows || place >= others) continue;
      float distance = pairValue(sums[row * 4 + column]);
      // Divided twice: the square of a small sigma would be zero.
      float result = sigma > 0 ? exponential(-0.5f * quotient(quotient(distance, sigma), sigma)) : distance;
      out[(itemRow + row) * rowLength + place] = result;
    }
  }
}

KERNEL everyPair(
    MATRIX(const float, x), MATRIX(const float, y), MATRIX(float, out), ulong rows, ulong others, ulong width,
    float sigma) {
  LOCAL float left[SLICE * (TILE + 1)];
  LOCAL float right[SLICE * (TILE + 1)];
  ulong tilesAcross = (others + TILE - 1) / TILE;
  ulong firstRow = GROUP / tilesAcross * TILE;
  ulong firstOther = GROUP % tilesAcross * TILE;
  Pair sums[16];
  distancesOfTile(
      ELEMENTS(x) + firstRow * width, ELEMENTS(y) + firstOther * width, rows - firstRow, others - firstOther, width,
      left, right, sums);
  writePairs(ELEMENTS(out) + firstRow * others + firstOther, rows - firstRow, others - firstOther, others, sums, sigma);
}
