// Products of heads by the items of a group. The rows of the group's tile meet other tokens, OTHERS at a time. An item has 4
// rows and, next to each other, one LANES-th of the others; of the columns of a head it has four next to each other in every
// 4 * LANES. COLUMNS is the number of its columns. FOURS says that all heads start at multiples of 16 bytes and their length
// is one of four elements.

#define LANES 16
#define OTHERS QUERIES
#define OTHERS_OF_ITEM (OTHERS / LANES)

// The groups that a multiprocessor should have room for: an item keeps sums of all its columns, and more addresses where
// they do not lie in fours.
#define GROUPS_AT_ONCE (COLUMNS <= 8 && FOURS ? 2 : 1)

// The numbers of an item's others in their tile, and of its columns in their head.
#define OTHER(PLACE) (ITEM % LANES * OTHERS_OF_ITEM + (PLACE))
#define COLUMN(PLACE) ((PLACE) / 4 * (4 * LANES) + ITEM % LANES * 4 + (PLACE) % 4)

// The floats between columns of a staged slice and between rows of weights: four at a time lie aligned.
#define STRIDE (QUERIES + 4)
// The floats of local memory for two staged slices; where none is staged, for up to two numbers per row and lane.
#define STAGED_FLOATS (2 * SLICE * STRIDE)
// The floats of local memory for a number per row and other.
#define TILE_FLOATS (QUERIES * STRIDE)

// Four elements of a row from a column on; zeros from the end of the row on.
FUNCTION void readFour(float four[4], GLOBAL const float *row, uint column, uint end) {
#if FOURS
  float4 values = {0.0f, 0.0f, 0.0f, 0.0f};
  if (column < end) values = *(GLOBAL const float4 *)(row + column);
  four[0] = values.x;
  four[1] = values.y;
  four[2] = values.z;
  four[3] = values.w;
#else
  UNROLL for (int place = 0; place < 4; place++) four[place] = column + place < end ? row[column + place] : 0.0f;
#endif
}

// Four numbers next to each other in local memory, aligned to 16 bytes.
FUNCTION void readFourStaged(float four[4], LOCAL_SPACE const float *numbers) {
  float4 values = *(LOCAL_SPACE const float4 *)numbers;
  four[0] = values.x;
  four[1] = values.y;
  four[2] = values.z;
  four[3] = values.w;
}

// The products of an item's rows and others: heads that start at the given elements, a token every `rowWidth` or
// `otherWidth` elements. Every item brings four columns of one row and of one other to a slice; those of the next slice
// are on their way while one is multiplied.
FUNCTION void multiplyHeads(
    float products[4][OTHERS_OF_ITEM], LOCAL_SPACE float *staged, GLOBAL const float *rows, ulong firstRow,
    uint rowWidth, uint rowCount, GLOBAL const float *others, ulong firstOther, uint otherWidth, uint otherCount,
    uint dimension) {
  LOCAL_SPACE float *left = staged;
  LOCAL_SPACE float *right = staged + SLICE * STRIDE;
  uint row = ITEM / LANES * 4;
  uint brought = ITEM / (SLICE / 4);
  uint column = ITEM % (SLICE / 4) * 4;
  GLOBAL const float *fromRow = rows + firstRow + (ulong)brought * rowWidth;
  GLOBAL const float *fromOther = others + firstOther + (ulong)brought * otherWidth;
  uint endOfRow = brought < rowCount ? dimension : 0;
  uint endOfOther = brought < otherCount ? dimension : 0;
  UNROLL for (int query = 0; query < 4; query++)
    UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) products[query][place] = 0.0f;

  float nextOfRow[4], nextOfOther[4];
  readFour(nextOfRow, fromRow, column, endOfRow);
  readFour(nextOfOther, fromOther, column, endOfOther);
  for (uint start = 0; start < dimension; start += SLICE) {
    BARRIER();
    UNROLL for (int place = 0; place < 4; place++) {
      left[(column + place) * STRIDE + brought] = nextOfRow[place];
      right[(column + place) * STRIDE + brought] = nextOfOther[place];
    }
    BARRIER();
    readFour(nextOfRow, fromRow, start + SLICE + column, endOfRow);
    readFour(nextOfOther, fromOther, start + SLICE + column, endOfOther);
    UNROLL for (int index = 0; index < SLICE; index++) {
      float ofRows[4], ofOthers[OTHERS_OF_ITEM];
      readFourStaged(ofRows, left + index * STRIDE + row);
#if QUERIES == 64
      readFourStaged(ofOthers, right + index * STRIDE + OTHER(0));
#else
      ofOthers[0] = right[index * STRIDE + OTHER(0)];
#endif
      UNROLL for (int query = 0; query < 4; query++)
        UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++)
          products[query][place] = fma(ofRows[query], ofOthers[place], products[query][place]);
    }
  }
}

// How many others' weights an item takes at once: where it has very many columns, no registers are left for four.
#define WEIGHTS_AT_ONCE (COLUMNS < 32 ? 4 : 1)

// result += weights * others: the weights of all rows and others of two tiles, and an item's columns of those others.
FUNCTION void addWeighted(
    float result[4][COLUMNS], LOCAL_SPACE const float *weights, GLOBAL const float *others, uint otherWidth,
    uint otherCount, uint dimension) {
  uint row = ITEM / LANES * 4;
  for (uint first = 0; first < otherCount; first += WEIGHTS_AT_ONCE) {
    float ofRows[4][WEIGHTS_AT_ONCE];
    UNROLL for (int query = 0; query < 4; query++) {
      LOCAL_SPACE const float *ofRow = weights + (row + query) * STRIDE + first;
#if COLUMNS < 32
      readFourStaged(ofRows[query], ofRow);
#else
      ofRows[query][0] = *ofRow;
#endif
    }
    UNROLL for (int other = 0; other < WEIGHTS_AT_ONCE; other++) {
      uint end = first + other < otherCount ? dimension : 0;
      UNROLL for (int column = 0; column < COLUMNS; column += 4) {
        float ofColumns[4];
        readFour(ofColumns, others + (ulong)(first + other) * otherWidth, COLUMN(column), end);
        UNROLL for (int place = 0; place < 4; place++)
          UNROLL for (int query = 0; query < 4; query++)
            result[query][column + place] = fma(ofRows[query][other], ofColumns[place], result[query][column + place]);
      }
    }
  }
}

// Shows the other lanes what an item has for its rows; all items have to be done with that memory.
FUNCTION void showLanes(LOCAL_SPACE float *exchange, const float values[4]) {
  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  UNROLL for (int query = 0; query < 4; query++) exchange[(row + query) * LANES + lane] = values[query];
}

// The sum of what the lanes showed for a row.
FUNCTION float sumOfLanes(LOCAL_SPACE const float *exchange, uint row) {
  float total = 0.0f;
  UNROLL for (int lane = 0; lane < LANES; lane += 4) {
    float shown[4];
    readFourStaged(shown, exchange + row * LANES + lane);
    UNROLL for (int place = 0; place < 4; place++) total += shown[place];
  }
  return total;
}

// The largest of what the lanes showed for a row.
FUNCTION float largestOfLanes(LOCAL_SPACE const float *exchange, uint row) {
  float largest = MINUS_INFINITY;
  UNROLL for (int lane = 0; lane < LANES; lane += 4) {
    float shown[4];
    readFourStaged(shown, exchange + row * LANES + lane);
    UNROLL for (int place = 0; place < 4; place++) largest = shown[place] > largest ? shown[place] : largest;
  }
  return largest;
}
