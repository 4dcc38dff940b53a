// What a piece of the vocabulary adds to the softmax of a token, a row of logits [rows, entries] by a group each.

#define MINUS_INFINITY floatOfBits(0xff800000)

// scores [rows, 3]: the largest logit so far, the sum of e^(logit - largest), the target's logit; best [rows]: the first
// entry with the largest logit. The exponentials are summed in twice the precision of a float.
KERNEL accumulateTokenScores(
    MATRIX(const float, logits), MATRIX(const int, targets), MATRIX(float, scores), MATRIX(int, best), ulong entries,
    ulong firstEntry) {
  LOCAL float largestOfItem[GROUP_SIZE];
  LOCAL uint entryOfItem[GROUP_SIZE];
  LOCAL Pair parts[GROUP_SIZE];
  GLOBAL const float *values = ELEMENTS(logits) + GROUP * entries;
  GLOBAL float *score = ELEMENTS(scores) + GROUP * 3;

  largestOfItem[ITEM] = MINUS_INFINITY;
  entryOfItem[ITEM] = 0;
  for (ulong index = ITEM; index < entries; index += GROUP_SIZE) {
    if (values[index] > largestOfItem[ITEM]) {
      largestOfItem[ITEM] = values[index];
      entryOfItem[ITEM] = (uint)index;
    }
  }
  for (uint step = GROUP_SIZE / 2; step > 0; step /= 2) {
    BARRIER();
    if (ITEM >= step) continue;
    float other = largestOfItem[ITEM + step];
    bool isFirst = other == largestOfItem[ITEM] && entryOfItem[ITEM + step] < entryOfItem[ITEM];
    if (other > largestOfItem[ITEM] || isFirst) {
      largestOfItem[ITEM] = other;
      entryOfItem[ITEM] = entryOfItem[ITEM + step];
    }
  }
  BARRIER();
  float earlier = score[0];
  float largestHere = largestOfItem[0];
  float largest = earlier > largestHere ? earlier : largestHere;
  // While every logit is -infinity the differences would be NaN; without a largest, 0 stands in for it.
  float reference = largest > MINUS_INFINITY ? largest : 0.0f;

  Pair sum = pair(0.0f, 0.0f);
  for (ulong index = ITEM; index < entries; index += GROUP_SIZE) {
    sum = addToPair(sum, exponential(values[index] - reference));
  }
  sum = groupSum(sum, parts);
  if (ITEM > 0) return;
  float kept = score[1] > 0 ? score[1] * exponential(earlier - reference) : score[1];
  score[0] = largest;
  score[1] = pairValue(addToPair(sum, kept));
  if (largestHere > earlier) ELEMENTS(best)[GROUP] = (int)(firstEntry + entryOfItem[0]);
  ulong target = (ulong)ELEMENTS(targets)[GROUP];
  if (target >= firstEntry && target < firstEntry + entries) score[2] = values[target - firstEntry];
}
