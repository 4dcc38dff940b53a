// What the kernels of attention share. A group takes a tile of QUERIES tokens of a text and one head, its rows, and walks
// over the tokens that they meet, the others, OTHERS at a time. An item has 4 rows and every LANES-th other and column of a
// head; COLUMNS is the number of its columns.

#define LANES 16
#define OTHERS QUERIES
#define OTHERS_OF_ITEM (OTHERS / LANES)

// The floats of local memory for two staged slices; where none is staged, for up to two numbers per row and lane.
#define STAGED_FLOATS (2 * SLICE * (QUERIES + 1))
// The floats of local memory for a number per row and other.
#define TILE_FLOATS (QUERIES * (OTHERS + 1))

#define MINUS_INFINITY floatOfBits(0xff800000)

// The place of a group: a tile of a text, and a head. There are no rows behind the end of a short text.
typedef struct {
  ulong head;
  ulong firstToken;
  uint tokens;
  // In the text.
  uint firstRow;
  uint rowCount;
} Tile;

FUNCTION Tile tileOfGroup(GLOBAL const int *starts, ulong tiles, ulong heads) {
  Tile tile;
  ulong text = GROUP / heads / tiles;
  tile.head = GROUP % heads;
  tile.firstToken = (ulong)starts[text];
  tile.tokens = (uint)(starts[text + 1] - starts[text]);
  tile.firstRow = (uint)(GROUP / heads % tiles) * QUERIES;
  uint left = tile.firstRow < tile.tokens ? tile.tokens - tile.firstRow : 0;
  tile.rowCount = left < QUERIES ? left : QUERIES;
  return tile;
}

// The tokens of a text that some row of a tile meets.
typedef struct {
  uint first;
  uint end;
} Span;

FUNCTION Span keysSeen(Tile tile, uint causal, uint window) {
  Span span;
  span.first = window > 0 && tile.firstRow >= window ? tile.firstRow + 1 - window : 0;
  span.end = causal ? tile.firstRow + tile.rowCount : tile.tokens;
  return span;
}

FUNCTION Span queriesSeeing(Tile tile, uint causal, uint window) {
  Span span;
  uint last = tile.firstRow + tile.rowCount - 1;
  span.first = causal ? tile.firstRow : 0;
  span.end = window > 0 && tile.tokens - last > window ? last + window : tile.tokens;
  return span;
}

FUNCTION bool isSeen(uint query, uint key, uint causal, uint window) {
  return key > query ? !causal : window == 0 || query - key < window;
}

// The products of an item's rows and others: heads that start at the given elements, a token every `rowWidth` or
// `otherWidth` elements.
FUNCTION void multiplyHeads(
    float products[4][OTHERS_OF_ITEM], LOCAL_SPACE float *staged, GLOBAL const float *rows, ulong firstRow,
    ulong rowWidth, uint rowCount, GLOBAL const float *others, ulong firstOther, ulong otherWidth, uint otherCount,
    ulong dimension) {
  LOCAL_SPACE float *left = staged;
  LOCAL_SPACE float *right = staged + SLICE * (QUERIES + 1);
  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  UNROLL for (int query = 0; query < 4; query++)
    UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) products[query][place] = 0.0f;
  for (ulong start = 0; start < dimension; start += SLICE) {
    BARRIER();
    stage(left, QUERIES, rows, FLOAT32, firstRow + start, rowWidth, rowCount, dimension - start);
    stage(right, OTHERS, others, FLOAT32, firstOther + start, otherWidth, otherCount, dimension - start);
    BARRIER();
    for (uint index = 0; index < SLICE; index++) {
      UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) {
        float ofOther = right[index * (OTHERS + 1) + lane + place * LANES];
        UNROLL for (int query = 0; query < 4; query++)
          products[query][place] = fma(left[index * (QUERIES + 1) + row + query], ofOther, products[query][place]);
      }
    }
  }
}

// cap * tanh(score / cap), with tanh(z) = -m / (2 + m) for m = e^-2z - 1.
FUNCTION float capped(float score, float cap) {
  float z = fabs(quotient(score, cap));
  Exponential parts = exponentialParts(-2.0f * z, 0.0f);
  float power = parts.exponent < -60 ? 0.0f : powerOfTwo(parts.exponent);
  float minusOne = fma(power, parts.fraction, power - 1.0f);
  float bounded = cap * quotient(-minusOne, 2.0f + minusOne);
  return score < 0 ? -bounded : bounded;
}

FUNCTION float scoreOf(float product, float scale, float softCap) {
  float score = product * scale;
  return softCap > 0 ? capped(score, softCap) : score;
}

// result += weights * others: the weights of all rows and others of two tiles, and an item's columns of those others.
FUNCTION void addWeighted(
    float result[4][COLUMNS], LOCAL_SPACE const float *weights, GLOBAL const float *others, ulong otherWidth,
    uint otherCount, ulong dimension) {
  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  for (uint other = 0; other < otherCount; other++) {
    float ofRow[4];
    UNROLL for (int query = 0; query < 4; query++) ofRow[query] = weights[(row + query) * (OTHERS + 1) + other];
    UNROLL for (int column = 0; column < COLUMNS; column++) {
      ulong place = lane + column * LANES;
      float ofColumn = place < dimension ? others[other * otherWidth + place] : 0.0f;
      UNROLL for (int query = 0; query < 4; query++)
        result[query][column] = fma(ofRow[query], ofColumn, result[query][column]);
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
  UNROLL for (int other = 0; other < LANES; other++) total += exchange[row * LANES + other];
  return total;
}

// The largest of what the lanes showed for a row.
FUNCTION float largestOfLanes(LOCAL_SPACE const float *exchange, uint row) {
  float largest = MINUS_INFINITY;
  UNROLL for (int other = 0; other < LANES; other++) {
    float candidate = exchange[row * LANES + other];
    largest = candidate > largest ? candidate : largest;
  }
  return largest;
}
