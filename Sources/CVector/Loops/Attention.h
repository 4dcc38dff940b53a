// Attention of one head over one text, TILE_ROWS queries at a time: their products with all keys they see, softmax,
// then the weighted mean of the values. No more than TILE_ROWS x tokens products exist at any time.

ALWAYS_INLINE size_t roundedUp(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

// Keys as panels, values as panels, one tile of queries, one tile of scores, one tile of results.
static size_t attentionScratch(size_t tokens, size_t dimension) {
  size_t paddedTokens = roundedUp(tokens, PanelColumns);
  size_t paddedDimension = roundedUp(dimension, PanelColumns);
  return paddedTokens * dimension + tokens * paddedDimension + TILE_ROWS * (dimension + paddedTokens + paddedDimension);
}

// [tokens, dimension], a token every `stride` elements, to panels [dimension / 16][tokens][16], zeros behind the last
// element.
static void packColumns(const float *source, size_t stride, size_t tokens, size_t dimension, float *panels) {
  for (size_t first = 0; first < dimension; first += PanelColumns) {
    size_t left = dimension - first;
    size_t count = left < PanelColumns ? left : PanelColumns;
    for (size_t token = 0; token < tokens; token++) {
      storeFloats(panels, loadSomeFloats(source + token * stride + first, count));
      panels += PanelColumns;
    }
  }
}

// The keys that some queries see: those of the first query from `start` on, those of the last one up to `end`.
struct SeenKeys {
  size_t start;
  size_t end;
};

ALWAYS_INLINE struct SeenKeys seenKeys(const struct AttentionPattern *pattern, size_t firstQuery, size_t queries) {
  bool isBounded = pattern->window > 0 && firstQuery + 1 > pattern->window;
  return (struct SeenKeys){
      .start = isBounded ? firstQuery + 1 - pattern->window : 0,
      .end = pattern->causal ? firstQuery + queries : pattern->tokens,
  };
}

// cap * tanh(x / cap)
ALWAYS_INLINE float capped(float x, float cap) { return cap * (1 - 2 / (exponential(2 * (x / cap)) + 1)); }

// The scores of up to TILE_ROWS queries, a row of tokens rounded up to whole panels each: what a query does not see is 0.
// `queryTile` is scratch for TILE_ROWS x dimension floats.
ALWAYS_INLINE void scoreTile(
    const struct AttentionPattern *pattern, const float *keyPanels, size_t firstQuery, size_t queries, float *queryTile,
    float *scores) {
  size_t dimension = pattern->dimension;
  size_t scoreStride = roundedUp(pattern->tokens, PanelColumns);
  struct SeenKeys ofTile = seenKeys(pattern, firstQuery, queries);
  const float *first = pattern->queries + firstQuery * pattern->queryStride;
  packTiles(first, pattern->queryStride, queries, dimension, queryTile);
  memset(scores, 0, TILE_ROWS * scoreStride * sizeof(float));
  for (size_t key = ofTile.start / PanelColumns * PanelColumns; key < ofTile.end; key += PanelColumns) {
    multiplyTile(
        queryTile, 1, TILE_ROWS, keyPanels + key * dimension, TILE_ROWS, PanelColumns, dimension, scores + key,
        scoreStride);
  }
  for (size_t row = 0; row < queries; row++) {
    struct SeenKeys seen = seenKeys(pattern, firstQuery + row, 1);
    float *rowScores = scores + row * scoreStride;
    memset(rowScores, 0, seen.start * sizeof(float));
    memset(rowScores + seen.end, 0, (scoreStride - seen.end) * sizeof(float));
    for (size_t key = seen.start; key < seen.end; key++) rowScores[key] *= pattern->scale;
    if (pattern->softCap > 0) {
      for (size_t key = seen.start; key < seen.end; key++) rowScores[key] = capped(rowScores[key], pattern->softCap);
    }
  }
}

ALWAYS_INLINE float sumOfFloats(const float *terms, size_t count) {
  FloatVector sums = {0};
  size_t index = 0;
  for (; index + Lanes <= count; index += Lanes) sums += loadFloats(terms + index);
  sums += loadSomeFloats(terms + index, count - index);
  float sum = 0;
  for (size_t lane = 0; lane < Lanes; lane++) sum += sums[lane];
  return sum;
}

// Turns scores into weights that are not yet divided by their sum, and returns the largest score.
ALWAYS_INLINE float softmaxNumerators(float *scores, size_t count) {
  float lanes[Lanes];
  for (size_t lane = 0; lane < Lanes; lane++) lanes[lane] = -INFINITY;
  for (size_t index = 0; index + Lanes <= count; index += Lanes) {
    for (size_t lane = 0; lane < Lanes; lane++) {
      lanes[lane] = scores[index + lane] > lanes[lane] ? scores[index + lane] : lanes[lane];
    }
  }
  float largest = -INFINITY;
  for (size_t lane = 0; lane < Lanes; lane++) largest = lanes[lane] > largest ? lanes[lane] : largest;
  for (size_t index = count / Lanes * Lanes; index < count; index++) {
    largest = scores[index] > largest ? scores[index] : largest;
  }
  for (size_t index = 0; index < count; index++) scores[index] = exponential(scores[index] - largest);
  return largest;
}

static void attention(const struct AttentionHead *head, float *scratch) {
  const struct AttentionPattern *pattern = &head->pattern;
  size_t tokens = pattern->tokens;
  size_t dimension = pattern->dimension;
  size_t scoreStride = roundedUp(tokens, PanelColumns);
  size_t resultStride = roundedUp(dimension, PanelColumns);
  float *keyPanels = scratch;
  float *valuePanels = keyPanels + scoreStride * dimension;
  float *queryTile = valuePanels + tokens * resultStride;
  float *scores = queryTile + TILE_ROWS * dimension;
  float *results = scores + TILE_ROWS * scoreStride;
  packPanels(pattern->keys, FormatFloat32, pattern->keyStride, tokens, dimension, keyPanels);
  packColumns(head->values, pattern->keyStride, tokens, dimension, valuePanels);

  for (size_t firstQuery = 0; firstQuery < tokens; firstQuery += TILE_ROWS) {
    size_t queries = tokens - firstQuery < TILE_ROWS ? tokens - firstQuery : TILE_ROWS;
    scoreTile(pattern, keyPanels, firstQuery, queries, queryTile, scores);
    float sums[TILE_ROWS];
    for (size_t row = 0; row < queries; row++) {
      struct SeenKeys seen = seenKeys(pattern, firstQuery + row, 1);
      float *rowScores = scores + row * scoreStride + seen.start;
      softmaxNumerators(rowScores, seen.end - seen.start);
      sums[row] = sumOfFloats(rowScores, seen.end - seen.start);
    }

    struct SeenKeys ofTile = seenKeys(pattern, firstQuery, queries);
    size_t start = ofTile.start / PanelColumns * PanelColumns;
    memset(results, 0, TILE_ROWS * resultStride * sizeof(float));
    for (size_t column = 0; column < dimension; column += PanelColumns) {
      multiplyTile(
          scores + start, scoreStride, 1, valuePanels + column * tokens + start * PanelColumns, TILE_ROWS, PanelColumns,
          ofTile.end - start, results + column, resultStride);
    }
    for (size_t row = 0; row < queries; row++) {
      float *output = head->output + (firstQuery + row) * pattern->queryStride;
      float factor = 1 / sums[row];
      for (size_t column = 0; column < dimension; column++) {
        output[column] = results[row * resultStride + column] * factor;
      }
    }
  }
}

static void attentionNormalisers(const struct AttentionPattern *pattern, float *out, size_t stride, float *scratch) {
  size_t tokens = pattern->tokens;
  size_t scoreStride = roundedUp(tokens, PanelColumns);
  float *keyPanels = scratch;
  float *queryTile = keyPanels + scoreStride * pattern->dimension;
  float *scores = queryTile + TILE_ROWS * pattern->dimension;
  packPanels(pattern->keys, FormatFloat32, pattern->keyStride, tokens, pattern->dimension, keyPanels);
  for (size_t firstQuery = 0; firstQuery < tokens; firstQuery += TILE_ROWS) {
    size_t queries = tokens - firstQuery < TILE_ROWS ? tokens - firstQuery : TILE_ROWS;
    scoreTile(pattern, keyPanels, firstQuery, queries, queryTile, scores);
    for (size_t row = 0; row < queries; row++) {
      struct SeenKeys seen = seenKeys(pattern, firstQuery + row, 1);
      float *rowScores = scores + row * scoreStride + seen.start;
      float largest = softmaxNumerators(rowScores, seen.end - seen.start);
      out[(firstQuery + row) * stride] = largest + (float)log(sumOfFloats(rowScores, seen.end - seen.start));
    }
  }
}
