// How far attention patterns are from those that are wanted, inside each text, without a matrix of scores in memory.

// out = log(sum of e^score) over the keys that a query sees, [tokens, queryHeads]. Every item keeps the largest score and
// the sum of exponentials of its own keys; the lanes of a query come together at the end.
KERNEL_SHARED_BY(2) attentionNormalisers(
    MATRIX(const float, queries), MATRIX(const float, keys), MATRIX(const int, starts), MATRIX(float, out),
    uint queryTiles, uint queryHeads, uint keyHeads, uint dimension, float scale, uint causal, uint window,
    float softCap) {
  LOCAL_FOURS float staged[STAGED_FLOATS];
  Tile tile = tileOfGroup(ELEMENTS(starts), queryTiles, queryHeads);
  if (tile.rowCount == 0) return;
  Heads heads = headsOf(tile, queryHeads, keyHeads, dimension);

  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  float largest[4], sum[4];
  UNROLL for (int query = 0; query < 4; query++) {
    largest[query] = MINUS_INFINITY;
    sum[query] = 0.0f;
  }

  Span span = keysSeen(tile, causal, window);
  for (uint key = span.first; key < span.end; key += OTHERS) {
    float scores[4][OTHERS_OF_ITEM];
    multiplyHeads(
        scores, staged, ELEMENTS(queries), heads.firstQuery, heads.queryWidth, tile.rowCount, ELEMENTS(keys),
        heads.firstKey + (ulong)key * heads.keyWidth, heads.keyWidth, span.end - key, dimension);
    UNROLL for (int query = 0; query < 4; query++) {
      uint ofText = tile.firstRow + row + query;
      UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) {
        uint other = key + OTHER(place);
        if (other >= span.end || !isSeen(ofText, other, causal, window)) continue;
        float score = scoreOf(scores[query][place], scale, softCap);
        // One of both exponentials is 1.
        float power = exponential(-fabs(score - largest[query]));
        sum[query] = score > largest[query] ? fma(sum[query], power, 1.0f) : sum[query] + power;
        largest[query] = score > largest[query] ? score : largest[query];
      }
    }
  }

  LOCAL_SPACE float *exchange = staged;
  BARRIER();
  showLanes(exchange, largest);
  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) {
    float ofAll = largestOfLanes(exchange, row + query);
    // Rows behind the end of the text may have seen nothing; their numbers go nowhere.
    sum[query] *= exponential(largest[query] - ofAll);
    largest[query] = ofAll;
  }
  BARRIER();
  showLanes(exchange, sum);
  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) {
    if (lane != 0 || row + query >= tile.rowCount) continue;
    ulong token = tile.firstToken + tile.firstRow + row + query;
    ELEMENTS(out)[token * queryHeads + tile.head] = largest[query] + logarithm(sumOfLanes(exchange, row + query));
  }
}

// The gradient of the sum of all divergences by the rows: sums over the others of
//   (e^(score - normaliser) - e^(wantedScore - wantedNormaliser)) * scale * slope * other.
// Rows are queries and others keys, and each query's divergence is written as well; or, for `ofKeys`, rows are keys and
// others the queries of all heads that share them, one head after another. Normalisers and divergences are
// [tokens, queryHeads], the other matrices [tokens, heads * dimension].
KERNEL_SHARED_BY(GROUPS_AT_ONCE) attentionGradient(
    MATRIX(const float, rows), MATRIX(const float, others), MATRIX(const float, normalisers),
    MATRIX(const float, wantedRows), MATRIX(const float, wantedOthers), MATRIX(const float, wantedNormalisers),
    MATRIX(const int, starts), MATRIX(float, divergences), MATRIX(float, out), uint ofKeys, uint rowTiles,
    uint rowHeads, uint otherHeads, uint dimension, float scale, uint causal, uint window, float softCap) {
  LOCAL_FOURS float staged[STAGED_FLOATS];
  LOCAL_FOURS float weights[TILE_FLOATS];
  Tile tile = tileOfGroup(ELEMENTS(starts), rowTiles, rowHeads);
  if (tile.rowCount == 0) return;
  uint rowWidth = rowHeads * dimension;
  uint otherWidth = otherHeads * dimension;
  ulong rowOffset = (tile.firstToken + tile.firstRow) * rowWidth + tile.head * dimension;
  uint queryHeads = ofKeys ? otherHeads : rowHeads;
  // The query heads that share a key head.
  uint shared = ofKeys ? otherHeads / rowHeads : rowHeads / otherHeads;
  uint firstHead = ofKeys ? tile.head * shared : tile.head / shared;
  uint endHead = ofKeys ? firstHead + shared : firstHead + 1;

  uint row = ITEM / LANES * 4;
  uint lane = ITEM % LANES;
  float divergence[4], result[4][COLUMNS];
  UNROLL for (int query = 0; query < 4; query++) {
    divergence[query] = 0.0f;
    UNROLL for (int column = 0; column < COLUMNS; column++) result[query][column] = 0.0f;
  }

  float inverseCap = softCap > 0 ? 1.0f / softCap : 0.0f;
  Span span = ofKeys ? queriesSeeing(tile, causal, window) : keysSeen(tile, causal, window);
  for (uint head = firstHead; head < endHead; head++) {
    GLOBAL const float *normaliser = ELEMENTS(normalisers) + tile.firstToken * queryHeads + (ofKeys ? head : tile.head);
    GLOBAL const float *wantedNormaliser =
        ELEMENTS(wantedNormalisers) + tile.firstToken * queryHeads + (ofKeys ? head : tile.head);
    for (uint other = span.first; other < span.end; other += OTHERS) {
      uint otherCount = span.end - other < OTHERS ? span.end - other : OTHERS;
      ulong otherOffset = (tile.firstToken + other) * otherWidth + head * dimension;
      float products[4][OTHERS_OF_ITEM];
      multiplyHeads(
          products, staged, ELEMENTS(rows), rowOffset, rowWidth, tile.rowCount, ELEMENTS(others), otherOffset,
          otherWidth, otherCount, dimension);
      // An item's own numbers wait there for its weights, so that the registers are free.
      UNROLL for (int query = 0; query < 4; query++)
        UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++)
          weights[(row + query) * STRIDE + OTHER(place)] = products[query][place];
      multiplyHeads(
          products, staged, ELEMENTS(wantedRows), rowOffset, rowWidth, tile.rowCount, ELEMENTS(wantedOthers),
          otherOffset, otherWidth, otherCount, dimension);

      UNROLL for (int query = 0; query < 4; query++) {
        UNROLL for (int place = 0; place < OTHERS_OF_ITEM; place++) {
          LOCAL_SPACE float *numbers = weights + (row + query) * STRIDE + OTHER(place);
          uint ofRow = tile.firstRow + row + query;
          uint ofOther = other + OTHER(place);
          uint seeing = ofKeys ? ofOther : ofRow;
          bool counts = row + query < tile.rowCount && ofOther < span.end &&
              isSeen(seeing, ofKeys ? ofRow : ofOther, causal, window);
          float weight = 0.0f;
          if (counts) {
            float score = scoreOf(*numbers, scale, softCap);
            float logarithm = score - normaliser[seeing * queryHeads];
            float wantedLogarithm =
                scoreOf(products[query][place], scale, softCap) - wantedNormaliser[seeing * queryHeads];
            float wanted = exponential(wantedLogarithm);
            float share = score * inverseCap;
            weight = (exponential(logarithm) - wanted) * scale * fma(-share, share, 1.0f);
            divergence[query] = fma(wanted, wantedLogarithm - logarithm, divergence[query]);
          }
          *numbers = weight;
        }
      }
      BARRIER();
      addWeighted(result, weights, ELEMENTS(others) + otherOffset, otherWidth, otherCount, dimension);
    }
  }

  UNROLL for (int query = 0; query < 4; query++) {
    if (row + query >= tile.rowCount) continue;
    UNROLL for (int column = 0; column < COLUMNS; column++) {
      uint place = COLUMN(column);
      if (place < dimension) ELEMENTS(out)[rowOffset + (ulong)(row + query) * rowWidth + place] = result[query][column];
    }
  }
  if (ofKeys) return;
  LOCAL_SPACE float *exchange = staged;
  BARRIER();
  showLanes(exchange, divergence);
  BARRIER();
  UNROLL for (int query = 0; query < 4; query++) {
    if (lane != 0 || row + query >= tile.rowCount) continue;
    ulong token = tile.firstToken + tile.firstRow + row + query;
    ELEMENTS(divergences)[token * queryHeads + tile.head] = sumOfLanes(exchange, row + query);
  }
}
