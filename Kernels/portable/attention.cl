// out = softmax(scale * queries * keys^T) * values inside each text, without the matrix of scores: queries and out
// [tokens, queryHeads * dimension], keys and values [tokens, keyHeads * dimension].
//
// A group takes QUERIES tokens of a text and one head, and walks over the keys that they see, KEYS at a time: largest score
// so far, sum of exponentials and weighted values are corrected whenever a larger score comes (Milakov and Gimelshein
// 2018). An item has 4 queries and every LANES-th key and column; COLUMNS is the number of its columns of a head.

#define LANES 16
#define KEYS QUERIES
#define KEYS_OF_ITEM (KEYS / LANES)

#define MINUS_INFINITY floatOfBits(0xff800000)

// cap * tanh(score / cap), with tanh(z) = -m / (2 + m) for m = e^-2z - 1.
FUNCTION float capped(float score, float cap) {
  float z = fabs(quotient(score, cap));
  Exponential parts = exponentialParts(-2.0f * z, 0.0f);
  float power = parts.exponent < -60 ? 0.0f : powerOfTwo(parts.exponent);
  float minusOne = fma(power, parts.fraction, power - 1.0f);
  float bounded = cap * quotient(-minusOne, 2.0f + minusOne);
  return score < 0 ? -bounded : bounded;
}

KERNEL attention(
    MATRIX(const float, queries), MATRIX(const float, keys), MATRIX(const float, values), MATRIX(const int, starts),
    MATRIX(float, out), ulong queryTiles, ulong queryHeads, ulong keyHeads, ulong dimension, float scale, uint causal,
    uint window, float softCap) {
  LOCAL float staged[2 * SLICE * (QUERIES + 1)];
  LOCAL float weights[QUERIES * (KEYS + 1)];
  LOCAL_SPACE float *left = staged;
  LOCAL_SPACE float *right = staged + SLICE * (QUERIES + 1);
  // One number per query and lane, where no slice is staged.
  LOCAL_SPACE float *exchange = staged;

  ulong head = GROUP % queryHeads;
  ulong tile = GROUP / queryHeads % queryTiles;
  ulong text = GROUP / queryHeads / queryTiles;
  ulong firstToken = (ulong)ELEMENTS(starts)[text];
  ulong tokens = (ulong)ELEMENTS(starts)[text + 1] - firstToken;
  ulong firstQuery = tile * QUERIES;
  if (firstQuery >= tokens) return;
  ulong queryCount = tokens - firstQuery < QUERIES ? tokens - firstQuery : QUERIES;

  ulong queryWidth = queryHeads * dimension;
  ulong keyWidth = keyHeads * dimension;
  ulong queryOffset = (firstToken + firstQuery) * queryWidth + head * dimension;
  ulong keyOffset = firstToken * keyWidth + head / (queryHeads / keyHeads) * dimension;
  GLOBAL const float *value = ELEMENTS(values) + keyOffset;

  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  float largest[4], sum[4], result[4][COLUMNS];
  UNROLL for (int query = 0; query < 4; query++) {
    largest[query] = MINUS_INFINITY;
    sum[query] = 0.0f;
    UNROLL for (int column = 0; column < COLUMNS; column++) result[query][column] = 0.0f;
  }

  ulong firstKey = window > 0 && firstQuery + 1 > window ? firstQuery + 1 - window : 0;
  ulong endKey = causal ? firstQuery + queryCount : tokens;
  for (ulong key = firstKey; key < endKey; key += KEYS) {
    ulong keyCount = endKey - key < KEYS ? endKey - key : KEYS;
    float scores[4][KEYS_OF_ITEM];
    UNROLL for (int query = 0; query < 4; query++)
      UNROLL for (int place = 0; place < KEYS_OF_ITEM; place++) scores[query][place] = 0.0f;
    for (ulong start = 0; start < dimension; start += SLICE) {
      BARRIER();
      stage(
          left, QUERIES, queriesMemory, FLOAT32, queriesStart + queryOffset + start, queryWidth, queryCount,
          dimension - start);
      stage(
          right, KEYS, keysMemory, FLOAT32, keysStart + keyOffset + key * keyWidth + start, keyWidth, keyCount,
          dimension - start);
      BARRIER();
      for (uint index = 0; index < SLICE; index++) {
        UNROLL for (int place = 0; place < KEYS_OF_ITEM; place++) {
          float ofKey = right[index * (KEYS + 1) + lane + place * LANES];
          UNROLL for (int query = 0; query < 4; query++)
            scores[query][place] = fma(left[index * (QUERIES + 1) + row + query], ofKey, scores[query][place]);
        }
      }
    }

    float highest[4];
    UNROLL for (int query = 0; query < 4; query++) {
      highest[query] = largest[query];
      ulong ofText = firstQuery + row + query;
      UNROLL for (int place = 0; place < KEYS_OF_ITEM; place++) {
        ulong other = key + lane + place * LANES;
        float score = scores[query][place] * scale;
        if (softCap > 0) score = capped(score, softCap);
        bool isSeen = other < endKey && (!causal || other <= ofText) && (window == 0 || other + window > ofText);
        scores[query][place] = isSeen ? score : MINUS_INFINITY;
        highest[query] = scores[query][place] > highest[query] ? scores[query][place] : highest[query];
      }
    }
    BARRIER();
    UNROLL for (int query = 0; query < 4; query++) exchange[(row + query) * LANES + lane] = highest[query];
    BARRIER();
    UNROLL for (int query = 0; query < 4; query++) {
      UNROLL for (int other = 0; other < LANES; other++) {
        float candidate = exchange[(row + query) * LANES + other];
        highest[query] = candidate > highest[query] ? candidate : highest[query];
      }
      // Where nothing was seen yet there is nothing to correct.
      float origin = isFinite(highest[query]) ? highest[query] : 0.0f;
      float correction = exponential(largest[query] - origin);
      largest[query] = highest[query];
      sum[query] *= correction;
      UNROLL for (int column = 0; column < COLUMNS; column++) result[query][column] *= correction;
      UNROLL for (int place = 0; place < KEYS_OF_ITEM; place++) {
        float weight = exponential(scores[query][place] - origin);
        sum[query] += weight;
        weights[(row + query) * (KEYS + 1) + lane + place * LANES] = weight;
      }
    }
    BARRIER();
    for (uint other = 0; other < keyCount; other++) {
      float ofQuery[4];
      UNROLL for (int query = 0; query < 4; query++) ofQuery[query] = weights[(row + query) * (KEYS + 1) + other];
      UNROLL for (int column = 0; column < COLUMNS; column++) {
        ulong place = lane + column * LANES;
        float ofColumn = place < dimension ? value[(key + other) * keyWidth + place] : 0.0f;
        UNROLL for (int query = 0; query < 4; query++)
          result[query][column] = fma(ofQuery[query], ofColumn, result[query][column]);
      }
    }
  }

  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) exchange[(row + query) * LANES + lane] = sum[query];
  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) {
    if (row + query >= queryCount) continue;
    float total = 0.0f;
    UNROLL for (int other = 0; other < LANES; other++) total += exchange[(row + query) * LANES + other];
    UNROLL for (int column = 0; column < COLUMNS; column++) {
      ulong place = lane + column * LANES;
      if (place < dimension) {
        ELEMENTS(out)[queryOffset + (row + query) * queryWidth + place] = quotient(result[query][column], total);
      }
    }
  }
}
