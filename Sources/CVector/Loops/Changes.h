// Changes of weights from a base: which are kept, how they are ordered, and sums of those that agree.
//
// Every product and sum is rounded by itself unless fmaf is written, so that all instruction sets give the same bits.

static const uint32_t notANumber = 0x7fc00000;

// The random words of elements, four of one counter: Philox4x32-10. Writes those of `count` whole counters.
static void randomWords(uint64_t counter, const uint32_t *key, uint32_t *words, size_t count) {
  for (size_t index = 0; index < count; index++) {
    uint32_t c0 = (uint32_t)(counter + index), c1 = (uint32_t)((counter + index) >> 32), c2 = 0, c3 = 0;
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
      uint64_t first = (uint64_t)0xd2511f53 * c0;
      uint64_t second = (uint64_t)0xcd9e8d57 * c2;
      c0 = (uint32_t)(second >> 32) ^ c1 ^ k0;
      c1 = (uint32_t)second;
      c2 = (uint32_t)(first >> 32) ^ c3 ^ k1;
      c3 = (uint32_t)first;
      k0 += 0x9e3779b9;
      k1 += 0xbb67ae85;
    }
    words[4 * index] = c0;
    words[4 * index + 1] = c1;
    words[4 * index + 2] = c2;
    words[4 * index + 3] = c3;
  }
}

ALWAYS_INLINE float scaledChange(float change, bool isKept, float factor) {
  float scaled = isKept ? factor * change : 0.0f;
  return isFinite(change) ? scaled : floatOfBits(notANumber);
}

static void sparseChange(
    const void *x, enum ElementFormat xFormat, const void *base, enum ElementFormat baseFormat,
    const struct Selection *selection, uint64_t first, float factor, float *out, size_t count) {
  float values[BlockLength], origins[BlockLength];
  uint32_t words[BlockLength + 8];
  for (size_t done = 0; done < count; done += BlockLength) {
    size_t length = count - done < BlockLength ? count - done : BlockLength;
    widen(elementsFrom(x, xFormat, done), xFormat, values, length);
    widen(elementsFrom(base, baseFormat, done), baseFormat, origins, length);
    float *restrict result = out + done;
    uint64_t number = first + done;
    switch (selection->kind) {
    case SelectionAll:
      for (size_t index = 0; index < length; index++) {
        result[index] = scaledChange(values[index] - origins[index], true, factor);
      }
      break;
    case SelectionLargest: {
      uint32_t threshold = selection->threshold;
      // How many elements of this block lie before those that are not kept on a tie.
      uint64_t ties = selection->last < number ? 0 : selection->last - number + 1;
      if (selection->last == UINT64_MAX) ties = UINT64_MAX;
      for (size_t index = 0; index < length; index++) {
        float change = values[index] - origins[index];
        uint32_t magnitude = bitsOfFloat(change) & 0x7fffffff;
        bool isKept = magnitude > threshold || (magnitude == threshold && index < ties);
        result[index] = scaledChange(change, isKept, factor);
      }
      break;
    }
    case SelectionRandom: {
      size_t skipped = number % 4;
      randomWords(number / 4, selection->key, words, (skipped + length + 3) / 4);
      for (size_t index = 0; index < length; index++) {
        bool isKept = words[skipped + index] < selection->threshold;
        result[index] = scaledChange(values[index] - origins[index], isKept, factor);
      }
      break;
    }
    }
  }
}

static void countDigits(
    const float *values, uint64_t first, const struct Digit *digit, uint32_t *counts, size_t count) {
  for (size_t index = 0; index < count; index++) {
    uint32_t magnitude = bitsOfFloat(values[index]) & 0x7fffffff;
    if (magnitude > 0x7f800000) magnitude = notANumber;
    if (magnitude >> digit->prefixShift != digit->prefix) continue;
    uint64_t source = digit->isOfNumber ? first + index : magnitude;
    counts[(source >> digit->shift) & digit->mask]++;
  }
}

enum { MomentCount = 5 };

static void moments(
    const void *x, enum ElementFormat xFormat, const void *y, enum ElementFormat yFormat, size_t count, float *sums) {
  float left[BlockLength], right[BlockLength];
  float lanes[MomentCount][Lanes] = {{0}};
  for (size_t done = 0; done < count; done += BlockLength) {
    size_t length = count - done < BlockLength ? count - done : BlockLength;
    widen(elementsFrom(x, xFormat, done), xFormat, left, length);
    widen(elementsFrom(y, yFormat, done), yFormat, right, length);
    // Zeros behind the last element change no sum.
    for (; length % Lanes != 0; length++) left[length] = right[length] = 0;
    for (size_t start = 0; start < length; start += Lanes) {
      for (int lane = 0; lane < Lanes; lane++) {
        float a = left[start + lane], b = right[start + lane];
        lanes[0][lane] = fmaf(a, a, lanes[0][lane]);
        lanes[1][lane] = fmaf(b, b, lanes[1][lane]);
        lanes[2][lane] = fmaf(a, b, lanes[2][lane]);
        lanes[3][lane] = lanes[3][lane] + fabsf(a);
        lanes[4][lane] = lanes[4][lane] + fabsf(b);
      }
    }
  }
  for (int moment = 0; moment < MomentCount; moment++) {
    for (int distance = Lanes / 2; distance > 0; distance /= 2) {
      for (int lane = 0; lane < distance; lane++) lanes[moment][lane] += lanes[moment][lane + distance];
    }
    sums[moment] = lanes[moment][0];
  }
}

static void sumAgreeing(const struct AgreeingSum *terms, size_t first, size_t count, uint64_t *nonFinite) {
  float votes[BlockLength], sums[BlockLength], base[BlockLength];
  uint32_t sets[BlockLength];
  for (size_t done = 0; done < count; done += BlockLength) {
    size_t length = count - done < BlockLength ? count - done : BlockLength;
    widen(elementsFrom(terms->base, terms->baseFormat, first + done), terms->baseFormat, base, length);
    for (size_t change = 0; change < terms->changeCount; change++) {
      const float *restrict values = terms->changes + change * terms->stride + first + done;
      uint32_t infinite = 0;
      for (size_t index = 0; index < length; index++) {
        infinite += !isFinite(values[index]);
        votes[index] = change == 0 ? values[index] : votes[index] + values[index];
      }
      nonFinite[change] += infinite;
    }
    for (size_t index = 0; index < length; index++) {
      sums[index] = 0;
      sets[index] = 0;
    }
    for (size_t change = 0; change < terms->changeCount; change++) {
      const float *restrict values = terms->changes + change * terms->stride + first + done;
      for (size_t index = 0; index < length; index++) {
        float value = values[index];
        bool agrees = votes[index] >= 0 ? value > 0 : value < 0;
        sums[index] = agrees ? sums[index] + value : sums[index];
        sets[index] |= agrees ? (uint32_t)1 << change : 0;
      }
    }
    uint32_t infinite = 0;
    for (size_t index = 0; index < length; index++) {
      infinite += !isFinite(base[index]);
      float sum = votes[index] == votes[index] ? sums[index] : floatOfBits(notANumber);
      sums[index] = fmaf(terms->factors[sets[index]], sum, base[index]);
    }
    nonFinite[terms->changeCount] += infinite;
    void *output = (void *)elementsFrom(terms->output, terms->outputFormat, first + done);
    nonFinite[terms->changeCount + 1] += emit(sums, output, terms->outputFormat, length);
  }
}
