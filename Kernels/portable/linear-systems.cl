// What linear systems are solved with: products of rectangles, and small Cholesky factors.

// Brings up to SLICE columns of up to TILE rows of a rectangle to local memory, column by column with TILE + 1 floats each;
// what lies beyond `rows` and `columns` is zero. A transpose is read along its stored rows.
FUNCTION void stageBlock(
    LOCAL_SPACE float *tile, GLOBAL const float *block, uint isTransposed, ulong stride, ulong firstRow,
    ulong firstColumn, ulong rows, ulong columns) {
  for (uint index = ITEM; index < TILE * SLICE; index += GROUP_SIZE) {
    uint row = isTransposed ? index % TILE : index / SLICE;
    uint column = isTransposed ? index / TILE : index % SLICE;
    ulong fromRow = firstRow + row, fromColumn = firstColumn + column;
    float value = 0.0f;
    if (fromRow < rows && fromColumn < columns) {
      value = block[isTransposed ? fromColumn * stride + fromRow : fromRow * stride + fromColumn];
    }
    tile[column * (TILE + 1) + row] = value;
  }
}

#define LANES (TILE / 4)

// out = share * out + scale * a * b: a [rows, depth], b [depth, columns], out [rows, columns], with `stride` elements from
// one stored row to the next. Tiles as in `multiply`.
KERNEL multiplyBlocks(
    MATRIX(const float, a), ulong aStride, uint aIsTransposed, MATRIX(const float, b), ulong bStride,
    uint bIsTransposed, MATRIX(float, out), ulong outStride, ulong rows, ulong depth, ulong columns, float scale,
    float share) {
  LOCAL float left[SLICE * (TILE + 1)];
  LOCAL float right[SLICE * (TILE + 1)];
  ulong tilesAcross = (columns + TILE - 1) / TILE;
  ulong firstRow = GROUP / tilesAcross * TILE;
  ulong firstColumn = GROUP % tilesAcross * TILE;
  uint itemRow = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  float sums[4][4];
  for (int row = 0; row < 4; row++)
    for (int column = 0; column < 4; column++) sums[row][column] = 0.0f;

  for (ulong start = 0; start < depth; start += SLICE) {
    BARRIER();
    stageBlock(left, ELEMENTS(a), aIsTransposed, aStride, firstRow, start, rows, depth);
    stageBlock(right, ELEMENTS(b), !bIsTransposed, bStride, firstColumn, start, columns, depth);
    BARRIER();
    addSlice(sums, left, right, TILE, itemRow, lane);
  }

  for (int column = 0; column < 4; column++) {
    ulong place = firstColumn + lane + column * LANES;
    if (place >= columns) continue;
    for (int row = 0; row < 4; row++) {
      if (firstRow + itemRow + row >= rows) continue;
      GLOBAL float *result = ELEMENTS(out) + (firstRow + itemRow + row) * outStride + place;
      float sum = scale * sums[row][column];
      *result = share == 0.0f ? sum : fma(share, *result, sum);
    }
  }
}

// matrix[i, i] += values[i], of `order` rows and columns.
KERNEL addToDiagonal(MATRIX(const float, values), MATRIX(float, matrix), ulong order) {
  for (ulong index = FIRST_ELEMENT; index < order; index += ELEMENT_STRIDE) {
    ELEMENTS(matrix)[index * (order + 1)] += ELEMENTS(values)[index];
  }
}

// The most rows of a block.
#define ORDER 32

// inverse = the inverse of the Cholesky factor of a block of up to ORDER rows, by one group. A pivot that is not positive
// adds 1 to `failures` and makes the inverse NaN.
KERNEL invertCholesky(
    MATRIX(const float, block), ulong blockStride, MATRIX(float, inverse), ulong inverseStride, MATRIX(int, failures),
    uint order) {
  LOCAL float factor[ORDER * ORDER];
  LOCAL float inverted[ORDER * ORDER];
  for (uint index = ITEM; index < order * order; index += GROUP_SIZE) {
    uint row = index / order, column = index % order;
    factor[row * ORDER + column] = column <= row ? ELEMENTS(block)[row * blockStride + column] : 0.0f;
  }
  bool isPositive = true;
  for (uint pivot = 0; pivot < order; pivot++) {
    BARRIER();
    float square = factor[pivot * ORDER + pivot];
    isPositive = isPositive && square > 0.0f && isFinite(square);
    float root = inverseRoot(isPositive ? square : 1.0f);
    BARRIER();
    for (uint row = pivot + ITEM; row < order; row += GROUP_SIZE) factor[row * ORDER + pivot] *= root;
    BARRIER();
    uint rest = order - pivot - 1;
    for (uint index = ITEM; index < rest * rest; index += GROUP_SIZE) {
      uint row = pivot + 1 + index / rest, column = pivot + 1 + index % rest;
      if (column <= row) {
        factor[row * ORDER + column] =
            fma(-factor[row * ORDER + pivot], factor[column * ORDER + pivot], factor[row * ORDER + column]);
      }
    }
  }
  BARRIER();
  // A column of the inverse needs no other.
  for (uint column = ITEM; column < order; column += GROUP_SIZE) {
    for (uint row = column; row < order; row++) {
      float rest = row == column ? 1.0f : 0.0f;
      for (uint index = column; index < row; index++) {
        rest = fma(-factor[row * ORDER + index], inverted[index * ORDER + column], rest);
      }
      inverted[row * ORDER + column] = quotient(rest, factor[row * ORDER + row]);
    }
  }
  BARRIER();
  for (uint index = ITEM; index < order * order; index += GROUP_SIZE) {
    uint row = index / order, column = index % order;
    float value = column <= row ? inverted[row * ORDER + column] : 0.0f;
    ELEMENTS(inverse)[row * inverseStride + column] = isPositive ? value : NOT_A_NUMBER;
  }
  if (ITEM == 0 && !isPositive) *ELEMENTS(failures) += 1;
}
