// out = softmax(scale * queries * keys^T) * values inside each text, without the matrix of scores: queries and out
// [tokens, queryHeads * dimension], keys and values [tokens, keyHeads * dimension].
//
// Largest score so far, sum of exponentials and weighted values are corrected whenever a larger score comes (Milakov and
// Gimelshein 2018). OUT_FORMAT is the format of out.
KERNEL_SHARED_BY(GROUPS_AT_ONCE) attention(
    MATRIX(const float, queries), MATRIX(const float, keys), MATRIX(const float, values), MATRIX(const int, starts),
    MATRIX(void, out), uint queryTiles, uint queryHeads, uint keyHeads, uint dimension, float scale, uint causal,
    uint window, float softCap) {
  LOCAL_FOURS float staged[STAGED_FLOATS];
  LOCAL_FOURS float weights[TILE_FLOATS];
  // One number per query and lane, where no slice is staged.
  LOCAL_SPACE float *exchange = staged;

  Tile tile = tileOfGroup(ELEMENTS(starts), queryTiles, queryHeads);
  if (tile.rowCount == 0) return;
  Heads heads = headsOf(tile, queryHeads, keyHeads, dimension);

  uint row = ITEM / LANES * 4;
  float largest[4], sum[4], result[4][COLUMNS];
  UNROLL for (int query = 0; query < 4; query++) {
    largest[query] = MINUS_INFINITY;
    sum[query] = 0.0f;
    UNROLL for (int column = 0; column < COLUMNS; column++) result[query][column] = 0.0f;
  }

  Span span = keysSeen(tile, causal, window);
  for (uint key = span.first; key < span.end; key += OTHERS) {
    uint keyCount = span.end - key < OTHERS ? span.end - key : OTHERS;
    float scores[4][OTHERS_OF_ITEM];
    multiplyHeads(
        scores, staged, ELEMENTS(queries), heads.firstQuery, heads.queryWidth, tile.rowCount, ELEMENTS(keys),
        heads.firstKey + (ulong)key * heads.keyWidth, heads.keyWidth, keyCount, dimension);

    float highest[4];
    UNROLL for (int query = 0; query < 4; query++) {
      highest[query] = largest[query];
      uint ofText = tile.firstRow + row + query;
      UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) {
        uint other = key + OTHER(place);
        bool counts = other < span.end && isSeen(ofText, other, causal, window);
        scores[query][place] = counts ? scoreOf(scores[query][place], scale, softCap) : MINUS_INFINITY;
        highest[query] = scores[query][place] > highest[query] ? scores[query][place] : highest[query];
      }
    }
    BARRIER();
    showLanes(exchange, highest);
    BARRIER();
    UNROLL for (int query = 0; query < 4; query++) {
      highest[query] = largestOfLanes(exchange, row + query);
      // Where nothing was seen yet there is nothing to correct.
      float origin = isFinite(highest[query]) ? highest[query] : 0.0f;
      float correction = exponential(largest[query] - origin);
      largest[query] = highest[query];
      sum[query] *= correction;
      UNROLL for (int column = 0; column < COLUMNS; column++) result[query][column] *= correction;
      UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) {
        float weight = exponential(scores[query][place] - origin);
        sum[query] += weight;
        weights[(row + query) * STRIDE + OTHER(place)] = weight;
      }
    }
    BARRIER();
    addWeighted(result, weights, ELEMENTS(values) + heads.firstKey + (ulong)key * heads.keyWidth, heads.keyWidth, keyCount, dimension);
  }

  BARRIER();
  showLanes(exchange, sum);
  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) {
    if (row + query >= tile.rowCount) continue;
    float total = sumOfLanes(exchange, row + query);
    ulong outRow = outStart + heads.firstQuery + (ulong)(row + query) * heads.queryWidth;
    UNROLL for (int column = 0; column < COLUMNS; column++) {
      uint place = COLUMN(column);
      if (place < dimension) setElement(outMemory, OUT_FORMAT, outRow + place, quotient(result[query][column], total));
    }
  }
}
