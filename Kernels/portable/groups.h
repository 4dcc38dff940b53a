// What the work-items of a group do together.

// The sum of every item's pair, for every item, in one order. `parts` is local memory for a pair per item.
FUNCTION Pair groupSum(Pair own, LOCAL_SPACE Pair *parts) {
  BARRIER();
  parts[ITEM] = own;
  for (uint distance = GROUP_SIZE / 2; distance > 0; distance /= 2) {
    BARRIER();
    if (ITEM < distance) parts[ITEM] = addPairs(parts[ITEM], parts[ITEM + distance]);
  }
  BARRIER();
  return parts[0];
}

// The columns of a matrix that are staged at a time.
#define SLICE 16

// Brings up to SLICE columns of up to `tileRows` rows to local memory, column by column with `tileRows + 1` floats each;
// what lies beyond `rows` and `columns` is zero. The first element of the first row is element `first` of the memory.
FUNCTION void stage(
    LOCAL_SPACE float *tile, uint tileRows, GLOBAL const void *memory, uint format, ulong first, ulong rowLength,
    ulong rows, ulong columns) {
  for (uint index = ITEM; index < tileRows * SLICE; index += GROUP_SIZE) {
    uint row = index / SLICE;
    uint column = index % SLICE;
    bool isInside = row < rows && column < columns;
    tile[column * (tileRows + 1) + row] = isInside ? element(memory, format, first + row * rowLength + column) : 0.0f;
  }
}

// Adds the products of two staged slices of `tile` rows each to an item's 4 x 4 sums: of the left one four rows next to each
// other, of the right one four that lie a quarter of a tile apart.
FUNCTION void addSlice(
    float sums[4][4], LOCAL_SPACE const float *left, LOCAL_SPACE const float *right, uint tile, uint itemRow, uint lane) {
  for (uint index = 0; index < SLICE; index++) {
    float ofRow[4], ofColumn[4];
    for (int row = 0; row < 4; row++) ofRow[row] = left[index * (tile + 1) + itemRow + row];
    for (int column = 0; column < 4; column++) ofColumn[column] = right[index * (tile + 1) + lane + column * (tile / 4)];
    for (int row = 0; row < 4; row++)
      for (int column = 0; column < 4; column++)
        sums[row][column] = fma(ofRow[row], ofColumn[column], sums[row][column]);
  }
}
