// The product of packed matrices: tiles [depth][TILE_ROWS] of the left one, panels [depth][16] of the right one, and a
// TILE_ROWS x 16 block of sums in registers. A row's sums never depend on the rows beside it.

ALWAYS_INLINE void packPanel(
    const void *restrict source, enum ElementFormat format, size_t rowStride, size_t rows, size_t depth,
    float *restrict panel) {
  if (rows < PanelColumns) memset(panel, 0, depth * PanelColumns * sizeof(float));
  for (size_t row = 0; row < rows; row++) {
    const void *elements = elementsFrom(source, format, row * rowStride);
    for (size_t index = 0; index < depth; index++) panel[index * PanelColumns + row] = element(elements, format, index);
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
