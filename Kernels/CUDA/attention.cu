// attention for results in bfloat16, on tensor cores: as portable/attention.cl, with heads that start at multiples of 16 bytes.
// DIMENSION is the length of a head; where PADDED, it is the next multiple of 16, and columns from the length on are zeros.
//
// A group takes QUERIES tokens of a text and one head, a warp 16 of them, and walks over the keys that they see, KEYS at a
// time. Queries, keys and values are taken in two parts, which have 16 significant bits: an error in a score is one in all that
// follows, and one in a value the same for every query. Weights are rounded to bfloat16, as the result is, and are summed as
// they were rounded, so that they are shares of 1. An infinite query or key has no second part and makes NaN of what sees it.
// CAPPED says whether scores have a soft cap.

#define KEYS 32
#define STEPS (DIMENSION / 16)

// The words between keys: two columns a word, and members of neighbouring groups read from different banks.
#define KEY_STRIDE (DIMENSION / 2 + 4)
// The words between pairs of keys: a value of both a word.
#define VALUE_STRIDE (DIMENSION + 8)

#define IS_COLUMN(COLUMN) (!PADDED || (COLUMN) < dimension)

// Fours of columns in a head, and how many of the tile's an item brings: of single keys, and of values of two keys.
#define FOURS_OF_HEAD (DIMENSION / 4)
#define FOURS_OF_ITEM ((KEYS * FOURS_OF_HEAD + GROUP_SIZE - 1) / GROUP_SIZE)
#define PAIRS_OF_ITEM ((KEYS / 2 * FOURS_OF_HEAD + GROUP_SIZE - 1) / GROUP_SIZE)

FUNCTION float4 fourOrZeros(bool isThere, GLOBAL const float *place) {
  return isThere ? *(GLOBAL const float4 *)place : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
}

// An item's part of a tile of keys, and of values, on its way.
typedef struct {
  float4 fours[FOURS_OF_ITEM];
} Keys;

typedef struct {
  float4 fours[PAIRS_OF_ITEM][2];
} Values;

FUNCTION void bringKeys(Keys *brought, GLOBAL const float *keys, uint count, uint width, uint dimension) {
  UNROLL for (int place = 0; place < FOURS_OF_ITEM; place++) {
    uint four = ITEM + place * GROUP_SIZE;
    uint key = four / FOURS_OF_HEAD;
    uint column = four % FOURS_OF_HEAD * 4;
    brought->fours[place] =
        fourOrZeros(key < KEYS && key < count && IS_COLUMN(column), keys + (ulong)key * width + column);
  }
}

FUNCTION void bringValues(Values *brought, GLOBAL const float *values, uint count, uint width, uint dimension) {
  UNROLL for (int place = 0; place < PAIRS_OF_ITEM; place++) {
    uint four = ITEM + place * GROUP_SIZE;
    uint key = four / FOURS_OF_HEAD * 2;
    uint column = four % FOURS_OF_HEAD * 4;
    GLOBAL const float *first = values + (ulong)key * width + column;
    bool isThere = key < KEYS && IS_COLUMN(column);
    brought->fours[place][0] = fourOrZeros(isThere && key < count, first);
    brought->fours[place][1] = fourOrZeros(isThere && key + 1 < count, first + width);
  }
}

FUNCTION void stageKeys(const Keys *brought, LOCAL_SPACE uint *high, LOCAL_SPACE uint *low) {
  UNROLL for (int place = 0; place < FOURS_OF_ITEM; place++) {
    uint four = ITEM + place * GROUP_SIZE;
    uint key = four / FOURS_OF_HEAD;
    if (key >= KEYS) continue;
    float4 from = brought->fours[place];
    uint first = wordOfBrains(from.x, from.y), second = wordOfBrains(from.z, from.w);
    uint to = key * KEY_STRIDE + four % FOURS_OF_HEAD * 2;
    *(LOCAL_SPACE uint2 *)(high + to) = make_uint2(first, second);
    *(LOCAL_SPACE uint2 *)(low + to) = make_uint2(restOfWord(first, from.x, from.y), restOfWord(second, from.z, from.w));
  }
}

FUNCTION void stageValues(const Values *brought, LOCAL_SPACE uint *high, LOCAL_SPACE uint *low) {
  UNROLL for (int place = 0; place < PAIRS_OF_ITEM; place++) {
    uint four = ITEM + place * GROUP_SIZE;
    uint pair = four / FOURS_OF_HEAD;
    if (pair >= KEYS / 2) continue;
    float4 first = brought->fours[place][0], second = brought->fours[place][1];
    uint x = wordOfBrains(first.x, second.x), y = wordOfBrains(first.y, second.y);
    uint z = wordOfBrains(first.z, second.z), w = wordOfBrains(first.w, second.w);
    uint to = pair * VALUE_STRIDE + four % FOURS_OF_HEAD * 4;
    *(LOCAL_SPACE uint4 *)(high + to) = make_uint4(x, y, z, w);
    *(LOCAL_SPACE uint4 *)(low + to) = make_uint4(
        restOfWord(x, first.x, second.x), restOfWord(y, first.y, second.y), restOfWord(z, first.z, second.z),
        restOfWord(w, first.w, second.w));
  }
}

// e^x for x up to 0, by the unit for powers of two: what is rounded to bfloat16 needs no more.
FUNCTION float exponentialByUnit(float x) { return exp2f(x * 0x1.715476p0f); }

// The sum or the largest of what the four lanes of a group of lanes have: the columns of one row.
FUNCTION float sumOfMembers(float own) {
  own += __shfl_xor_sync(ALL_LANES, own, 1);
  return own + __shfl_xor_sync(ALL_LANES, own, 2);
}

FUNCTION float largestOfMembers(float own) {
  float other = __shfl_xor_sync(ALL_LANES, own, 1);
  own = other > own ? other : own;
  other = __shfl_xor_sync(ALL_LANES, own, 2);
  return other > own ? other : own;
}

// The place of a lane in its warp: of the sixteen rows it has two, eight apart, and of eight columns two next to each other.
#define LANE_GROUP (ITEM % WARP / 4)
#define LANE_MEMBER (ITEM % WARP % 4)

// scores += the products of a warp's queries, in two parts, and the staged keys.
FUNCTION void multiplyKeys(
    float scores[KEYS / 8][4], const uint high[STEPS][4], const uint low[STEPS][4], LOCAL_SPACE const uint *keysHigh,
    LOCAL_SPACE const uint *keysLow) {
  UNROLL for (int step = 0; step < STEPS; step++) {
    UNROLL for (int eight = 0; eight < KEYS / 8; eight++) {
      uint word = (eight * 8 + LANE_GROUP) * KEY_STRIDE + step * 8 + LANE_MEMBER;
      uint highOfKeys[2] = {keysHigh[word], keysHigh[word + 4]};
      uint lowOfKeys[2] = {keysLow[word], keysLow[word + 4]};
      multiplyFragments(scores[eight], low[step], highOfKeys);
      multiplyFragments(scores[eight], high[step], lowOfKeys);
      multiplyFragments(scores[eight], high[step], highOfKeys);
    }
  }
}

// result += the products of a warp's weights and the staged values.
FUNCTION void addValues(
    float result[DIMENSION / 8][4], const uint weights[KEYS / 16][4], LOCAL_SPACE const uint *valuesHigh,
    LOCAL_SPACE const uint *valuesLow) {
  UNROLL for (int step = 0; step < KEYS / 16; step++) {
    UNROLL for (int columns = 0; columns < DIMENSION / 8; columns++) {
      uint word = (step * 8 + LANE_MEMBER) * VALUE_STRIDE + columns * 8 + LANE_GROUP;
      uint highOfPairs[2] = {valuesHigh[word], valuesHigh[word + 4 * VALUE_STRIDE]};
      uint lowOfPairs[2] = {valuesLow[word], valuesLow[word + 4 * VALUE_STRIDE]};
      multiplyFragments(result[columns], weights[step], lowOfPairs);
      multiplyFragments(result[columns], weights[step], highOfPairs);
    }
  }
}

KERNEL_SHARED_BY(DIMENSION <= 32 ? 2 : 1) attention(
    MATRIX(const float, queries), MATRIX(const float, keys), MATRIX(const float, values), MATRIX(const int, starts),
    MATRIX(ushort, out), uint queryTiles, uint queryHeads, uint keyHeads, uint dimension, float scale, uint causal,
    uint window, float softCap) {
  LOCAL_FOURS uint keysHigh[KEYS * KEY_STRIDE];
  LOCAL_FOURS uint keysLow[KEYS * KEY_STRIDE];
  LOCAL_FOURS uint valuesHigh[KEYS / 2 * VALUE_STRIDE];
  LOCAL_FOURS uint valuesLow[KEYS / 2 * VALUE_STRIDE];

  Tile tile = tileOfGroup(ELEMENTS(starts), queryTiles, queryHeads);
  if (tile.rowCount == 0) return;
  Heads heads = headsOf(tile, queryHeads, keyHeads, dimension);
  GLOBAL const float *ofKeys = ELEMENTS(keys) + heads.firstKey;
  GLOBAL const float *ofValues = ELEMENTS(values) + heads.firstKey;

  uint warpRow = ITEM / WARP * 16;
  uint rows[2] = {warpRow + LANE_GROUP, warpRow + LANE_GROUP + 8};
  uint high[STEPS][4], low[STEPS][4];
  UNROLL for (int step = 0; step < STEPS; step++) {
    UNROLL for (int part = 0; part < 4; part++) {
      uint row = rows[part % 2];
      uint column = step * 16 + part / 2 * 8 + LANE_MEMBER * 2;
      GLOBAL const float *place = ELEMENTS(queries) + heads.firstQuery + (ulong)row * heads.queryWidth + column;
      float2 two = make_float2(0.0f, 0.0f);
      if (row < tile.rowCount && IS_COLUMN(column)) two = *(GLOBAL const float2 *)place;
      high[step][part] = wordOfBrains(two.x, two.y);
      low[step][part] = restOfWord(high[step][part], two.x, two.y);
    }
  }

  float largest[2] = {MINUS_INFINITY, MINUS_INFINITY};
  float sum[2] = {0.0f, 0.0f};
  float result[DIMENSION / 8][4];
  UNROLL for (int columns = 0; columns < DIMENSION / 8; columns++)
    UNROLL for (int place = 0; place < 4; place++) result[columns][place] = 0.0f;

  // Values come while scores are computed, and the next keys while values are added up. A barrier stands between what a group
  // writes and reads; the other one of the two stands between that and the next writing.
  Span span = keysSeen(tile, causal, window);
  Keys nextKeys;
  bringKeys(&nextKeys, ofKeys + (ulong)span.first * heads.keyWidth, span.end - span.first, heads.keyWidth, dimension);
  for (uint key = span.first; key < span.end; key += KEYS) {
    Values nextValues;
    stageKeys(&nextKeys, keysHigh, keysLow);
    bringValues(&nextValues, ofValues + (ulong)key * heads.keyWidth, span.end - key, heads.keyWidth, dimension);
    BARRIER();

    // Some warps see nothing of this tile.
    uint firstRow = tile.firstRow + warpRow;
    uint lastKey = key + KEYS - 1;
    bool sees = warpRow < tile.rowCount && (!causal || key < firstRow + 16) &&
                (window == 0 || firstRow <= lastKey || firstRow - lastKey < window);
    uint weights[KEYS / 16][4];
    if (sees) {
      float scores[KEYS / 8][4];
      UNROLL for (int eight = 0; eight < KEYS / 8; eight++)
        UNROLL for (int place = 0; place < 4; place++) scores[eight][place] = 0.0f;
      multiplyKeys(scores, high, low, keysHigh, keysLow);

      float highest[2] = {largest[0], largest[1]};
      UNROLL for (int eight = 0; eight < KEYS / 8; eight++) {
        UNROLL for (int place = 0; place < 4; place++) {
          uint other = key + eight * 8 + LANE_MEMBER * 2 + place % 2;
          bool counts = other < span.end && isSeen(tile.firstRow + rows[place / 2], other, causal, window);
          float score = counts ? scoreOf(scores[eight][place], scale, CAPPED ? softCap : 0.0f) : MINUS_INFINITY;
          scores[eight][place] = score;
          highest[place / 2] = score > highest[place / 2] ? score : highest[place / 2];
        }
      }
      float correction[2], origin[2];
      UNROLL for (int row = 0; row < 2; row++) {
        highest[row] = largestOfMembers(highest[row]);
        // Where nothing was seen yet there is nothing to correct.
        origin[row] = isFinite(highest[row]) ? highest[row] : 0.0f;
        correction[row] = exponentialByUnit(largest[row] - origin[row]);
        largest[row] = highest[row];
        sum[row] *= correction[row];
      }
      UNROLL for (int columns = 0; columns < DIMENSION / 8; columns++)
        UNROLL for (int place = 0; place < 4; place++) result[columns][place] *= correction[place / 2];
      UNROLL for (int step = 0; step < KEYS / 16; step++) {
        UNROLL for (int part = 0; part < 4; part++) {
          int row = part % 2;
          const float *two = scores[step * 2 + part / 2] + row * 2;
          weights[step][part] =
              wordOfBrains(exponentialByUnit(two[0] - origin[row]), exponentialByUnit(two[1] - origin[row]));
          sum[row] += firstOfWord(weights[step][part]) + secondOfWord(weights[step][part]);
        }
      }
    }

    stageValues(&nextValues, valuesHigh, valuesLow);
    if (key + KEYS < span.end)
      bringKeys(&nextKeys, ofKeys + (ulong)(key + KEYS) * heads.keyWidth, span.end - key - KEYS, heads.keyWidth, dimension);
    BARRIER();
    if (sees) addValues(result, weights, valuesHigh, valuesLow);
  }

  if (warpRow >= tile.rowCount) return;
  UNROLL for (int row = 0; row < 2; row++) {
    float share = quotient(1.0f, sumOfMembers(sum[row]));
    if (rows[row] >= tile.rowCount) continue;
    GLOBAL ushort *place = ELEMENTS(out) + heads.firstQuery + (ulong)rows[row] * heads.queryWidth + LANE_MEMBER * 2;
    UNROLL for (int columns = 0; columns < DIMENSION / 8; columns++) {
      if (!IS_COLUMN(columns * 8 + LANE_MEMBER * 2)) continue;
      *(GLOBAL uint *)(place + columns * 8) =
          wordOfBrains(result[columns][row * 2] * share, result[columns][row * 2 + 1] * share);
    }
  }
}
