// One row of logits taken into the running softmax of a token: the largest logit, the sum of exponentials relative to it,
// the target's logit, and the entry of the largest.

static void accumulateTokenScore(
    const float *logits, size_t count, size_t firstEntry, int32_t target, float *score, int32_t *best) {
  enum { Block = 16 * Lanes };
  float lanes[Lanes];
  for (size_t lane = 0; lane < Lanes; lane++) lanes[lane] = -INFINITY;
  size_t index = 0;
  for (; index + Lanes <= count; index += Lanes) {
    for (size_t lane = 0; lane < Lanes; lane++) {
      lanes[lane] = logits[index + lane] > lanes[lane] ? logits[index + lane] : lanes[lane];
    }
  }
  float largestHere = -INFINITY;
  for (size_t lane = 0; lane < Lanes; lane++) largestHere = lanes[lane] > largestHere ? lanes[lane] : largestHere;
  for (; index < count; index++) largestHere = logits[index] > largestHere ? logits[index] : largestHere;

  float largest = score[0] > largestHere ? score[0] : largestHere;
  if (largestHere > score[0]) {
    index = 0;
    while (logits[index] != largestHere) index++;
    *best = (int32_t)(firstEntry + index);
  }
  // While every logit is -infinity the differences would be NaN; without a largest, 0 stands in for it.
  float reference = largest > -INFINITY ? largest : 0;
  DoubleVector sums = {0};
  float block[Block];
  for (size_t first = 0; first < count; first += Block) {
    size_t length = count - first < Block ? count - first : Block;
    for (size_t element = 0; element < length; element++) {
      block[element] = exponential(logits[first + element] - reference);
    }
    size_t element = 0;
    for (; element + Lanes <= length; element += Lanes) {
      sums += __builtin_convertvector(loadFloats(block + element), DoubleVector);
    }
    sums += __builtin_convertvector(loadSomeFloats(block + element, length - element), DoubleVector);
  }
  double earlier = score[1] > 0 ? score[1] * (double)exponential(score[0] - reference) : score[1];
  score[1] = (float)(earlier + sumOfLanes(sums));
  score[0] = largest;
  if (target >= 0 && (size_t)target >= firstEntry && (size_t)target < firstEntry + count) {
    score[2] = logits[(size_t)target - firstEntry];
  }
}
