// Attention of one head over one text, TILE_ROWS queries at a time: their products with all keys they see, softmax,
// then the weighted mean of the values. No more than TILE_ROWS x tokens products exist at any time.

ALWAYS_INLINE size_t roundedUp(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

// Keys as panels, values as panels, one tile of queries, one tile of scores, one tile of results.
static size_t attentionScratch(size_t tokens, size_t dimension) {
  size_t paddedTokens = roundedUp(tokens, PanelColumns);
  size_t paddedDimension = roundedUp(dimension, PanelColumns);
  return paddedTokens * dimension + tokens * paddedDimension + TILE_ROWS * (dimension + paddedTokens + paddedDimension);
}

// [tokens, dimension] to panels [dimension / 16][tokens][16], zeros behind the last element.
static void packValues(const struct AttentionHead *head, float *panels) {
  for (size_t first = 0; first < head->dimension; first += PanelColumns) {
    size_t left = head->dimension - first;
    size_t count = left < PanelColumns ? left : PanelColumns;
    for (size_t token = 0; token < head->tokens; token++) {
      storeFloats(panels, loadSomeFloats(head->values + token * head->keyStride + first, count));
      panels += PanelColumns;
    }
  }
}

// cap * tanh(x / cap)
ALWAYS_INLINE float capped(float x, float cap) { return cap * (1 - 2 / (exponential(2 * (x / cap)) + 1)); }

// Turns scores into weights that are not yet divided by their sum, which is returned.
ALWAYS_INLINE float softmaxNumerators(float *scores, size_t count, float scale, float softCap) {
  for (size_t index = 0; index < count; index++) scores[index] *= scale;
  if (softCap > 0) {
    for (size_t index = 0; index < count; index++) scores[index] = capped(scores[index], softCap);
  }
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
  FloatVector sums = {0};
  size_t index = 0;
  for (; index + Lanes <= count; index += Lanes) sums += loadFloats(scores + index);
  sums += loadSomeFloats(scores + index, count - index);
  float sum = 0;
  for (size_t lane = 0; lane < Lanes; lane++) sum += sums[lane];
  return sum;
}

static void attention(const struct AttentionHead *head, float *scratch) {
  size_t tokens = head->tokens;
  size_t dimension = head->dimension;
  size_t scoreStride = roundedUp(tokens, PanelColumns);
  size_t resultStride = roundedUp(dimension, PanelColumns);
  float *keyPanels = scratch;
  float *valuePanels = keyPanels + scoreStride * dimension;
  float *queryTile = valuePanels + tokens * resultStride;
  float *scores = queryTile + TILE_ROWS * dimension;
  float *results = scores + TILE_ROWS * scoreStride;
  packPanels(head->keys, FormatFloat32, head->keyStride, tokens, dimension, keyPanels);
  packValues(head, valuePanels);

  for (size_t firstQuery = 0; firstQuery < tokens; firstQuery += TILE_ROWS) {
    size_t queries = tokens - firstQuery < TILE_ROWS ? tokens - firstQuery : TILE_ROWS;
    size_t end = head->causal ? firstQuery + queries : tokens;
    bool bounded = head->window > 0 && firstQuery + 1 > head->window;
    size_t start = bounded ? (firstQuery + 1 - head->window) / PanelColumns * PanelColumns : 0;

    packTiles(head->queries + firstQuery * head->queryStride, head->queryStride, queries, dimension, queryTile);
    memset(scores, 0, TILE_ROWS * scoreStride * sizeof(float));
    for (size_t key = start; key < end; key += PanelColumns) {
      multiplyTile(
          queryTile, 1, TILE_ROWS, keyPanels + key * dimension, TILE_ROWS, PanelColumns, dimension, scores + key,
          scoreStride);
    }

    float sums[TILE_ROWS];
    for (size_t row = 0; row < queries; row++) {
      size_t query = firstQuery + row;
      size_t rowEnd = head->causal ? query + 1 : tokens;
      size_t rowStart = head->window > 0 && query + 1 > head->window ? query + 1 - head->window : 0;
      float *rowScores = scores + row * scoreStride;
      memset(rowScores + start, 0, (rowStart - start) * sizeof(float));
      memset(rowScores + rowEnd, 0, (scoreStride - rowEnd) * sizeof(float));
      sums[row] = softmaxNumerators(rowScores + rowStart, rowEnd - rowStart, head->scale, head->softCap);
    }

    memset(results, 0, TILE_ROWS * resultStride * sizeof(float));
    for (size_t column = 0; column < dimension; column += PanelColumns) {
      multiplyTile(
          scores + start, scoreStride, 1, valuePanels + column * tokens + start * PanelColumns, TILE_ROWS, PanelColumns,
          end - start, results + column, resultStride);
    }
    for (size_t row = 0; row < queries; row++) {
      float *output = head->output + (firstQuery + row) * head->queryStride;
      float factor = 1 / sums[row];
      for (size_t column = 0; column < dimension; column++) {
        output[column] = results[row * resultStride + column] * factor;
      }
    }
  }
}
