// How far the attention patterns of one key head over one text are from those that are wanted, and the gradients of that,
// TILE_ROWS queries at a time. A key's gradient takes the queries in their order, head after head.

// Keys of both patterns as panels for the scores, keys as columns, a tile of queries, two tiles of scores, and the columns
// of a tile of queries. Behind the scores there are at least TILE_ROWS floats, which a tile of keys may read.
static size_t divergenceScratch(size_t tokens, size_t dimension) {
  size_t paddedTokens = roundedUp(tokens, PanelColumns);
  size_t paddedDimension = roundedUp(dimension, PanelColumns);
  return 2 * paddedTokens * dimension + tokens * paddedDimension +
      TILE_ROWS * (dimension + 2 * paddedTokens + paddedDimension);
}

// Turns scores into the derivatives of the divergence by the products of queries and keys, and gives the divergence. The
// wanted scores are lost.
ALWAYS_INLINE float divergenceOfRow(
    const struct AttentionPattern *pattern, float normaliser, float wantedNormaliser, size_t count, float *scores,
    float *wantedScores) {
  float scale = pattern->scale;
  float inverseCap = pattern->softCap > 0 ? 1 / pattern->softCap : 0;
  for (size_t index = 0; index < count; index++) {
    float logarithm = scores[index] - normaliser;
    float wantedLogarithm = wantedScores[index] - wantedNormaliser;
    float wanted = exponential(wantedLogarithm);
    float share = scores[index] * inverseCap;
    scores[index] = (exponential(logarithm) - wanted) * scale * (1 - share * share);
    wantedScores[index] = wanted * (wantedLogarithm - logarithm);
  }
  return sumOfFloats(wantedScores, count);
}

static void attentionDivergence(const struct AttentionDivergence *divergence, float *scratch) {
  struct AttentionPattern pattern = divergence->pattern;
  struct AttentionPattern wanted = divergence->wanted;
  size_t tokens = pattern.tokens;
  size_t dimension = pattern.dimension;
  size_t scoreStride = roundedUp(tokens, PanelColumns);
  float *keyPanels = scratch;
  float *wantedPanels = keyPanels + scoreStride * dimension;
  float *keyColumns = wantedPanels + scoreStride * dimension;
  float *queryTile = keyColumns + tokens * roundedUp(dimension, PanelColumns);
  float *scores = queryTile + TILE_ROWS * dimension;
  float *wantedScores = scores + TILE_ROWS * scoreStride;
  float *queryColumns = wantedScores + TILE_ROWS * scoreStride;
  packPanels(pattern.keys, FormatFloat32, pattern.keyStride, tokens, dimension, keyPanels);
  packPanels(wanted.keys, FormatFloat32, wanted.keyStride, tokens, dimension, wantedPanels);
  packColumns(pattern.keys, pattern.keyStride, tokens, dimension, keyColumns);
  for (size_t token = 0; token < tokens; token++) {
    memset(divergence->keyGradient + token * pattern.keyStride, 0, dimension * sizeof(float));
  }

  for (size_t head = 0; head < divergence->queryHeads; head++) {
    pattern.queries = divergence->pattern.queries + head * dimension;
    wanted.queries = divergence->wanted.queries + head * dimension;
    for (size_t firstQuery = 0; firstQuery < tokens; firstQuery += TILE_ROWS) {
      size_t queries = tokens - firstQuery < TILE_ROWS ? tokens - firstQuery : TILE_ROWS;
      scoreTile(&pattern, keyPanels, firstQuery, queries, queryTile, scores);
      scoreTile(&wanted, wantedPanels, firstQuery, queries, queryTile, wantedScores);
      for (size_t row = 0; row < queries; row++) {
        struct SeenKeys seen = seenKeys(&pattern, firstQuery + row, 1);
        size_t place = (firstQuery + row) * divergence->normaliserStride + head;
        size_t offset = row * scoreStride + seen.start;
        divergence->divergences[place] = divergenceOfRow(
            &pattern, divergence->normalisers[place], divergence->wantedNormalisers[place], seen.end - seen.start,
            scores + offset, wantedScores + offset);
      }

      struct SeenKeys seen = seenKeys(&pattern, firstQuery, queries);
      float *gradients = divergence->queryGradient + firstQuery * pattern.queryStride + head * dimension;
      for (size_t row = 0; row < queries; row++) {
        memset(gradients + row * pattern.queryStride, 0, dimension * sizeof(float));
      }
      packColumns(
          pattern.queries + firstQuery * pattern.queryStride, pattern.queryStride, queries, dimension, queryColumns);
      for (size_t column = 0; column < dimension; column += PanelColumns) {
        size_t columns = dimension - column < PanelColumns ? dimension - column : PanelColumns;
        multiplyTile(
            scores + seen.start, scoreStride, 1, keyColumns + column * tokens + seen.start * PanelColumns, queries,
            columns, seen.end - seen.start, gradients + column, pattern.queryStride);
        for (size_t key = seen.start; key < seen.end; key += TILE_ROWS) {
          size_t keys = seen.end - key < TILE_ROWS ? seen.end - key : TILE_ROWS;
          multiplyTile(
              scores + key, 1, scoreStride, queryColumns + column * queries, keys, columns, queries,
              divergence->keyGradient + key * pattern.keyStride + column, pattern.keyStride);
        }
      }
    }
  }
}
