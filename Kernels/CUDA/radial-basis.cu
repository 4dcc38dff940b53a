// K[a, b] = exp(-|x_a - y_b|^2 / 2 sigma^2) around a float32 product of the vendor's: x [rows, width], y [others, width].
//
// |x|^2 + |y|^2 - 2xy cancels where rows are near each other, so
// 1. `commonShift` and `centre` take away what all rows share, which makes the three terms as small as they can be,
// 2. cuBLAS computes the products xy of the centred rows into `out`,
// 3. `radialBasis` turns each product into its K, and computes those from differences of the rows as they were whose error
//    could exceed half of 1e-5. Equal rows are always among these, and give exactly 1.
//
// The error of a distance D, with u = 2^-24, four standard deviations of rounding errors of random sign: a float32 sum over
// the width errs by u per step times the sum so far, which grows steadily to |xy| (u sqrt(width) / 3) and wanders by
// |x||y| / sqrt(width) around that (0.4 u |x||y|). The norms and the three terms' sum round by u each:
//    error(D) <= u (12 (|x|^2 + |y|^2) + 2.7 sqrt(width) |xy|)
// and K errs by at most exp(-(D - error) / 2 sigma^2) error / 2 sigma^2. Centring rounds every element once: at most
// 1.2 u sqrt(2 N) / sigma in K for a mean squared norm N, 3e-6 for sigma^2 = 1e-3 N, which the other half of 1e-5 holds.

#define TILE_ROWS 32
#define TILE_OTHERS 64
// From this many pairs on a tile is computed from differences as a whole.
#define MANY 128

// Any shift serves that is near the rows: the mean of up to `samples` rows of x and of y.
KERNEL commonShift(
    MATRIX(const float, x), MATRIX(const float, y), MATRIX(float, shift), ulong rows, ulong others, ulong width,
    uint samples) {
  ulong column = FIRST_ELEMENT;
  if (column >= width) return;
  float sum = 0;
  for (uint sample = 0; sample < samples; sample++) {
    ulong row = rows * sample / samples;
    ulong other = others * sample / samples;
    sum += (ELEMENTS(x)[row * width + column] + ELEMENTS(y)[other * width + column]) * 0.5f;
  }
  float mean = sum / samples;
  // A shift that is not finite would spoil rows that are.
  ELEMENTS(shift)[column] = isFinite(mean) ? mean : 0;
}

// centred = x - shift row by row, and norms[row] = |centred|^2: a group a row.
KERNEL centre(
    MATRIX(const float, x), MATRIX(const float, shift), MATRIX(float, centred), MATRIX(float, norms), ulong width) {
  LOCAL Pair parts[GROUP_SIZE];
  Pair sum = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float value = ELEMENTS(x)[GROUP * width + column] - ELEMENTS(shift)[column];
    ELEMENTS(centred)[GROUP * width + column] = value;
    sum = addToPair(sum, value * value);
  }
  Pair total = groupSum(sum, parts);
  if (ITEM == 0) ELEMENTS(norms)[GROUP] = pairValue(total);
}

FUNCTION float kernelOfDistance(float distance, float sigma) {
  return exponential(-0.5f * quotient(quotient(distance, sigma), sigma));
}

// out = K, where out holds the products: a group a tile of TILE_ROWS x TILE_OTHERS.
KERNEL radialBasis(
    MATRIX(const float, x), MATRIX(const float, y), MATRIX(const float, xNorms), MATRIX(const float, yNorms),
    MATRIX(float, out), ulong rows, ulong others, ulong width, float sigma) {
  LOCAL ushort near[TILE_ROWS * TILE_OTHERS];
  LOCAL uint nearCount;
  LOCAL Pair parts[GROUP_SIZE];
  if (ITEM == 0) nearCount = 0;
  BARRIER();
  ulong tilesAcross = (others + TILE_OTHERS - 1) / TILE_OTHERS;
  ulong firstRow = GROUP / tilesAcross * TILE_ROWS;
  ulong firstOther = GROUP % tilesAcross * TILE_OTHERS;
  GLOBAL float *results = ELEMENTS(out);
  float unit = 0x1p-24f;
  float growth = 2.7f * sqrt((float)width) * unit;

  for (uint place = ITEM; place < TILE_ROWS * TILE_OTHERS; place += GROUP_SIZE) {
    ulong row = firstRow + place / TILE_OTHERS;
    ulong other = firstOther + place % TILE_OTHERS;
    if (row >= rows || other >= others) continue;
    float product = results[row * others + other];
    float norms = ELEMENTS(xNorms)[row] + ELEMENTS(yNorms)[other];
    float distance = norms - 2.0f * product;
    float error = 12.0f * unit * norms + growth * fabs(product);
    float least = distance - error;
    float errorOfKernel = kernelOfDistance(least, sigma) * (0.5f * error / sigma / sigma);
    // Also what is not a number, after an overflow, is computed again.
    if (least > 0 && errorOfKernel <= 5e-6f) {
      results[row * others + other] = kernelOfDistance(distance, sigma);
    } else {
      near[LOCAL_ADD(&nearCount, 1u)] = (ushort)place;
    }
  }
  BARRIER();

  uint count = nearCount;
  if (count < MANY) {
    for (uint index = 0; index < count; index++) {
      ulong row = firstRow + near[index] / TILE_OTHERS;
      ulong other = firstOther + near[index] % TILE_OTHERS;
      Pair sum = pair(0.0f, 0.0f);
      for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
        float difference = ELEMENTS(x)[row * width + column] - ELEMENTS(y)[other * width + column];
        sum = addToPair(sum, difference * difference);
      }
      Pair total = groupSum(sum, parts);
      if (ITEM == 0) results[row * others + other] = kernelOfDistance(pairValue(total), sigma);
    }
    return;
  }

  // All pairs of the tile, 8 an item: rows ITEM / 64 + 4 i, one column.
  LOCAL float left[SLICE * (TILE_ROWS + 1)];
  LOCAL float right[SLICE * (TILE_OTHERS + 1)];
  uint lane = ITEM % TILE_OTHERS;
  uint itemRow = ITEM / TILE_OTHERS;
  Pair sums[TILE_ROWS * TILE_OTHERS / GROUP_SIZE];
  for (uint place = 0; place < TILE_ROWS * TILE_OTHERS / GROUP_SIZE; place++) sums[place] = pair(0.0f, 0.0f);
  for (ulong start = 0; start < width; start += SLICE) {
    BARRIER();
    stage(left, TILE_ROWS, xMemory, FLOAT32, xStart + firstRow * width + start, width, rows - firstRow, width - start);
    stage(
        right, TILE_OTHERS, yMemory, FLOAT32, yStart + firstOther * width + start, width, others - firstOther,
        width - start);
    BARRIER();
    for (uint place = 0; place < TILE_ROWS * TILE_OTHERS / GROUP_SIZE; place++) {
      uint row = itemRow + place * (GROUP_SIZE / TILE_OTHERS);
      float slice = 0;
      for (uint index = 0; index < SLICE; index++) {
        float difference = left[index * (TILE_ROWS + 1) + row] - right[index * (TILE_OTHERS + 1) + lane];
        slice = fma(difference, difference, slice);
      }
      sums[place] = addToPair(sums[place], slice);
    }
  }
  for (uint place = 0; place < TILE_ROWS * TILE_OTHERS / GROUP_SIZE; place++) {
    ulong row = firstRow + itemRow + place * (GROUP_SIZE / TILE_OTHERS);
    ulong other = firstOther + lane;
    if (row < rows && other < others) results[row * others + other] = kernelOfDistance(pairValue(sums[place]), sigma);
  }
}
