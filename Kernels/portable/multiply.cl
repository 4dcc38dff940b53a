// out = a * weights^T + bias, added to out where `adds`: a [rows, depth], weights [columns, depth], out [rows, columns].
//
// A group computes a square of TILE x TILE results, an item 4 x 4 of them: rows next to each other, columns TILE / 4
// apart, so that neighbours write neighbours. WEIGHT_FORMAT is the format of the weights, ACTIVATION_FORMAT that of a.

#define LANES (TILE / 4)

KERNEL_SHARED_BY(3) multiply(
    MATRIX(const void, a), MATRIX(const void, weights), MATRIX(const void, bias), uint biasFormat, uint hasBias,
    MATRIX(float, out), uint adds, ulong rows, ulong depth, ulong columns) {
  LOCAL float left[SLICE * (TILE + 1)];
  LOCAL float right[SLICE * (TILE + 1)];
  uint tilesAcross = (uint)((columns + TILE - 1) / TILE);
  ulong firstRow = (ulong)((uint)GROUP / tilesAcross) * TILE;
  ulong firstColumn = (ulong)((uint)GROUP % tilesAcross) * TILE;
  uint itemRow = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  float sums[4][4];
  for (int row = 0; row < 4; row++)
    for (int column = 0; column < 4; column++) sums[row][column] = 0.0f;

  for (ulong start = 0; start < depth; start += SLICE) {
    BARRIER();
    stage(left, TILE, aMemory, ACTIVATION_FORMAT, aStart + firstRow * depth + start, depth, rows - firstRow, depth - start);
    stage(
        right, TILE, weightsMemory, WEIGHT_FORMAT, weightsStart + firstColumn * depth + start, depth,
        columns - firstColumn, depth - start);
    BARRIER();
    addSlice(sums, left, right, TILE, itemRow, lane);
  }

  GLOBAL float *results = ELEMENTS(out);
  for (int column = 0; column < 4; column++) {
    ulong place = firstColumn + lane + column * LANES;
    if (place >= columns) continue;
    float offset = hasBias ? element(biasMemory, biasFormat, biasStart + place) : 0.0f;
    for (int row = 0; row < 4; row++) {
      ulong index = (firstRow + itemRow + row) * columns + place;
      if (firstRow + itemRow + row >= rows) continue;
      float product = sums[row][column] + offset;
      results[index] = adds ? results[index] + product : product;
    }
  }
}

// out[row, column] += bias[column], behind a product that was computed elsewhere: a group a row.
KERNEL addBias(MATRIX(const void, bias), uint biasFormat, MATRIX(float, out), ulong columns) {
  GLOBAL float *results = ELEMENTS(out) + GROUP * columns;
  for (ulong column = ITEM; column < columns; column += GROUP_SIZE) {
    results[column] += element(biasMemory, biasFormat, biasStart + column);
  }
}
