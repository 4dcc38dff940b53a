// sum = w0 * x0, then sum = fma(wi, xi, sum): block by block, so that sums stay in the first-level cache and every
// element of every input is read from memory once.

ALWAYS_INLINE bool isFinite(float value) { return (bitsOfFloat(value) & 0x7f800000) != 0x7f800000; }

ALWAYS_INLINE uint32_t accumulateFormat(
    const void *restrict source, enum ElementFormat format, float weight, float *restrict sum, size_t count) {
  uint32_t nonFinite = 0;
  for (size_t index = 0; index < count; index++) {
    float value = element(source, format, index);
    nonFinite += !isFinite(value);
    sum[index] = fmaf(weight, value, sum[index]);
  }
  return nonFinite;
}

static uint32_t accumulate(
    const void *source, enum ElementFormat format, float weight, float *sum, size_t count) {
  switch (format) {
  case FormatFloat64: return accumulateFormat(source, FormatFloat64, weight, sum, count);
  case FormatFloat32: return accumulateFormat(source, FormatFloat32, weight, sum, count);
  case FormatFloat16: return accumulateFormat(source, FormatFloat16, weight, sum, count);
  case FormatBFloat16: return accumulateFormat(source, FormatBFloat16, weight, sum, count);
  }
}

// Rounds the sums to the output format and counts what is not finite after that.
ALWAYS_INLINE uint32_t emitFormat(
    const float *restrict sum, void *restrict output, enum ElementFormat format, size_t count) {
  uint32_t nonFinite = 0;
  for (size_t index = 0; index < count; index++) {
    // Which NaN a sum of NaNs gives is the processor's choice; the output must not depend on it.
    float value = sum[index] == sum[index] ? sum[index] : floatOfBits(0x7fc00000);
    setElement(output, format, index, value);
    nonFinite += !isFinite(element(output, format, index));
  }
  return nonFinite;
}

static uint32_t emit(const float *sum, void *output, enum ElementFormat format, size_t count) {
  switch (format) {
  case FormatFloat64: return emitFormat(sum, output, FormatFloat64, count);
  case FormatFloat32: return emitFormat(sum, output, FormatFloat32, count);
  case FormatFloat16: return emitFormat(sum, output, FormatFloat16, count);
  case FormatBFloat16: return emitFormat(sum, output, FormatBFloat16, count);
  }
}

static void weightedSum(const struct WeightedSum *terms, size_t first, size_t count, uint64_t *nonFinite) {
  float sum[BlockLength];
  for (size_t done = 0; done < count; done += BlockLength) {
    size_t length = count - done < BlockLength ? count - done : BlockLength;
    // Adding a product to -0 gives the product itself, the sign of a zero included.
    for (size_t index = 0; index < length; index++) sum[index] = -0.0f;
    for (size_t input = 0; input < terms->inputCount; input++) {
      enum ElementFormat format = terms->formats[input];
      const void *source = elementsFrom(terms->inputs[input], format, first + done);
      nonFinite[input] += accumulate(source, format, terms->weights[input], sum, length);
    }
    void *output = (void *)elementsFrom(terms->output, terms->outputFormat, first + done);
    nonFinite[terms->inputCount] += emit(sum, output, terms->outputFormat, length);
  }
}
