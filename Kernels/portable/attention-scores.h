// What the kernels of attention share: the place of a group, what sees what, and how scores come from products. A group takes
// a tile of QUERIES tokens of a text and one head.

#define MINUS_INFINITY floatOfBits(0xff800000)

// The place of a group: a tile of a text, and a head. There are no rows behind the end of a short text.
typedef struct {
  uint head;
  ulong firstToken;
  uint tokens;
  // In the text.
  uint firstRow;
  uint rowCount;
} Tile;

FUNCTION Tile tileOfGroup(GLOBAL const int *starts, uint tiles, uint heads) {
  Tile tile;
  // There are fewer than 2^32 groups, and a wide division is a call.
  uint tileOfText = (uint)GROUP / heads;
  uint text = tileOfText / tiles;
  tile.head = (uint)GROUP % heads;
  tile.firstToken = (ulong)starts[text];
  tile.tokens = (uint)(starts[text + 1] - starts[text]);
  tile.firstRow = tileOfText % tiles * QUERIES;
  uint left = tile.firstRow < tile.tokens ? tile.tokens - tile.firstRow : 0;
  tile.rowCount = left < QUERIES ? left : QUERIES;
  return tile;
}

// The key head that a tile of queries shares with others.
FUNCTION uint keyHeadOf(Tile tile, uint queryHeads, uint keyHeads) { return tile.head / (queryHeads / keyHeads); }

// Where the first row of a tile has its head, and the first token of its text the one that it shares with others; and the
// elements from a token to the next.
typedef struct {
  uint queryWidth;
  uint keyWidth;
  ulong firstQuery;
  ulong firstKey;
} Heads;

FUNCTION Heads headsOf(Tile tile, uint queryHeads, uint keyHeads, uint dimension) {
  Heads heads;
  heads.queryWidth = queryHeads * dimension;
  heads.keyWidth = keyHeads * dimension;
  heads.firstQuery = (tile.firstToken + tile.firstRow) * heads.queryWidth + tile.head * dimension;
  heads.firstKey = tile.firstToken * heads.keyWidth + keyHeadOf(tile, queryHeads, keyHeads) * dimension;
  return heads;
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
