// The product of packed matrices: tiles [depth][TILE_ROWS] of the left one, panels [depth][16] of the right one, and a
// TILE_ROWS x 16 block of sums in registers. A row's sums never depend on the rows beside it.

typedef float EightFloats __attribute__((vector_size(32)));

ALWAYS_INLINE EightFloats eightElements(const void *source, enum ElementFormat format) {
  EightFloats vector;
  for (size_t index = 0; index < 8; index++) vector[index] = element(source, format, index);
  return vector;
}

// Turns the rows of an 8 x 8 block into its columns: first pairs, then fours, then halves change places.
ALWAYS_INLINE void transpose(EightFloats rows[8]) {
  EightFloats pairs[8], fours[8];
#pragma unroll
  for (int row = 0; row < 8; row += 2) {
    pairs[row] = __builtin_shufflevector(rows[row], rows[row + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[row + 1] = __builtin_shufflevector(rows[row], rows[row + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
#pragma unroll
  for (int row = 0; row < 8; row += 4) {
    for (int pair = 0; pair < 2; pair++) {
      EightFloats upper = pairs[row + pair], lower = pairs[row + pair + 2];
      fours[row + 2 * pair] = __builtin_shufflevector(upper, lower, 0, 1, 8, 9, 4, 5, 12, 13);
      fours[row + 2 * pair + 1] = __builtin_shufflevector(upper, lower, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
#pragma unroll
  for (int row = 0; row < 4; row++) {
    rows[row] = __builtin_shufflevector(fours[row], fours[row + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    rows[row + 4] = __builtin_shufflevector(fours[row], fours[row + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// A panel of 16 whole rows up to the last multiple of 8 columns, which is returned.
ALWAYS_INLINE size_t packWholePanel(
    const void *restrict source, enum ElementFormat format, size_t rowStride, size_t depth, float *restrict panel) {
  size_t index = 0;
  for (; index + 8 <= depth; index += 8) {
    for (size_t half = 0; half < PanelColumns; half += 8) {
      EightFloats rows[8];
#pragma unroll
      for (size_t row = 0; row < 8; row++) {
        rows[row] = eightElements(elementsFrom(source, format, (half + row) * rowStride + index), format);
      }
      transpose(rows);
#pragma unroll
      for (size_t row = 0; row < 8; row++) {
        memcpy(panel + (index + row) * PanelColumns + half, &rows[row], sizeof rows[row]);
      }
    }
  }
  return index;
}

ALWAYS_INLINE void packPanel(
    const void *restrict source, enum ElementFormat format, size_t rowStride, size_t rows, size_t depth,
    float *restrict panel) {
  size_t done = 0;
  if (rows == PanelColumns) {
    done = packWholePanel(source, format, rowStride, depth, panel);
  } else {
    memset(panel, 0, depth * PanelColumns * sizeof(float));
  }
  for (size_t row = 0; row < rows; row++) {
    const void *elements = elementsFrom(source, format, row * rowStride);
    for (size_t index = done; index < depth; index++) {
      panel[index * PanelColumns + row] = element(elements, format, index);
    }
  }
}

static void packPanels(
    const void *source, enum ElementFormat format, size_t rowStride, size_t rows, size_t depth, float *panels) {
  for (size_t first = 0; first < rows; first += PanelColumns) {
    size_t count = rows - first < PanelColumns ? rows - first : PanelColumns;
    const void *from = elementsFrom(source, format, first * rowStride);
    float *panel = panels + first * depth;
    switch (format) {
    case FormatFloat64: packPanel(from, FormatFloat64, rowStride, count, depth, panel); break;
    case FormatFloat32: packPanel(from, FormatFloat32, rowStride, count, depth, panel); break;
    case FormatFloat16: packPanel(from, FormatFloat16, rowStride, count, depth, panel); break;
    case FormatBFloat16: packPanel(from, FormatBFloat16, rowStride, count, depth, panel); break;
    }
  }
}

static void packTiles(const float *source, size_t rowStride, size_t rows, size_t depth, float *tiles) {
  for (size_t first = 0; first < rows; first += TILE_ROWS) {
    float *tile = tiles + first * depth;
    size_t count = rows - first < TILE_ROWS ? rows - first : TILE_ROWS;
    if (count < TILE_ROWS) memset(tile, 0, depth * TILE_ROWS * sizeof(float));
    for (size_t row = 0; row < count; row++) {
      const float *elements = source + (first + row) * rowStride;
      for (size_t index = 0; index < depth; index++) tile[index * TILE_ROWS + row] = elements[index];
    }
  }
}

// out[rows, columns] += left * right, where left[row, index] lies at row * leftRowStride + index * leftStride.
// All TILE_ROWS rows of left have to be readable.
ALWAYS_INLINE void multiplyTile(
    const float *left, size_t leftRowStride, size_t leftStride, const float *panel, size_t rows, size_t columns,
    size_t depth, float *out, size_t outStride) {
#pragma clang fp contract(fast)
  FloatVector sums[TILE_ROWS] = {{0}};
  for (size_t index = 0; index < depth; index++) {
    FloatVector right = loadFloats(panel + index * PanelColumns);
#pragma unroll
    for (size_t row = 0; row < TILE_ROWS; row++) {
      sums[row] += left[row * leftRowStride + index * leftStride] * right;
    }
  }
  if (rows == TILE_ROWS && columns == PanelColumns) {
#pragma unroll
    for (size_t row = 0; row < TILE_ROWS; row++) {
      float *sum = out + row * outStride;
      storeFloats(sum, loadFloats(sum) + sums[row]);
    }
    return;
  }
  float spilled[TILE_ROWS * PanelColumns];
#pragma unroll
  for (size_t row = 0; row < TILE_ROWS; row++) storeFloats(spilled + row * PanelColumns, sums[row]);
  for (size_t row = 0; row < rows; row++) {
    for (size_t column = 0; column < columns; column++) {
      out[row * outStride + column] += spilled[row * PanelColumns + column];
    }
  }
}

static void multiplyPacked(
    const float *tiles, size_t tileStride, const float *panels, size_t rows, size_t columns, size_t depth, float *out,
    size_t outStride) {
  for (size_t row = 0; row < rows; row += TILE_ROWS) {
    const float *tile = tiles + row / TILE_ROWS * tileStride;
    size_t tileRows = rows - row < TILE_ROWS ? rows - row : TILE_ROWS;
    for (size_t column = 0; column < columns; column += PanelColumns) {
      size_t panelColumns = columns - column < PanelColumns ? columns - column : PanelColumns;
      multiplyTile(
          tile, 1, TILE_ROWS, panels + column * depth, tileRows, panelColumns, depth, out + row * outStride + column,
          outStride);
    }
  }
}
