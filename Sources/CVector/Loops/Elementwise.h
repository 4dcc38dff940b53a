// Loops with one result per element, or per row.

// An output may be one of the inputs, element by element; no element depends on another one's result.
#define INDEPENDENT_ELEMENTS _Pragma("clang loop vectorize(assume_safety)")

static void add(const float *addend, float *sum, size_t count) {
  INDEPENDENT_ELEMENTS
  for (size_t index = 0; index < count; index++) sum[index] += addend[index];
}

static void addToDoubles(const float *x, double *sum, size_t count) {
  for (size_t index = 0; index < count; index++) sum[index] += x[index];
}

ALWAYS_INLINE double sumOfSquares(const float *x, size_t count) {
  DoubleVector sums = {0};
  size_t index = 0;
  for (; index + Lanes <= count; index += Lanes) {
    DoubleVector values = __builtin_convertvector(loadFloats(x + index), DoubleVector);
    sums += values * values;
  }
  DoubleVector values = __builtin_convertvector(loadSomeFloats(x + index, count - index), DoubleVector);
  return sumOfLanes(sums + values * values);
}

static void rmsNorm(const float *x, const float *gain, float epsilon, float *out, size_t count) {
  float scale = (float)(1 / sqrt(sumOfSquares(x, count) / (double)count + epsilon));
  INDEPENDENT_ELEMENTS
  for (size_t index = 0; index < count; index++) out[index] = x[index] * scale * gain[index];
}

// `bias` may be null. The mean is subtracted in double precision: next to a large one, small differences keep their digits.
static void layerNorm(
    const float *x, const float *gain, const float *bias, float epsilon, float *out, size_t count) {
  double sum = 0;
  for (size_t index = 0; index < count; index++) sum += x[index];
  double mean = sum / (double)count;
  double squares = 0;
  for (size_t index = 0; index < count; index++) squares += (x[index] - mean) * (x[index] - mean);
  double scale = 1 / sqrt(squares / (double)count + epsilon);
  INDEPENDENT_ELEMENTS
  for (size_t index = 0; index < count; index++) {
    double scaled = (x[index] - mean) * scale * gain[index];
    out[index] = (float)(bias == NULL ? scaled : scaled + bias[index]);
  }
}

// x * sigmoid(x)
ALWAYS_INLINE float silu(float x) { return x / (1 + exponential(-x)); }

// x * Phi(x) with the complementary error function, which keeps its precision where Phi is close to 0.
ALWAYS_INLINE float gelu(float x) { return (float)(0.5 * x * erfc(x * -0.70710678118654752440)); }

// x / 2 * (1 + tanh(u)) = x * sigmoid(2u), which does not cancel; double precision because e^2u magnifies errors of u.
ALWAYS_INLINE float geluTanh(float single) {
  double x = single;
  double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
  return (float)(x / (1 + doubleExponential(-2 * u)));
}

// out = activation(x), times up where there is one.
#define ACTIVATE_EACH(HINT, activation) \
  if (up == NULL) { \
    HINT for (size_t index = 0; index < count; index++) out[index] = activation(x[index]); \
  } else { \
    HINT for (size_t index = 0; index < count; index++) out[index] = activation(x[index]) * up[index]; \
  }

static void activate(enum ActivationKind activation, const float *x, const float *up, float *out, size_t count) {
  switch (activation) {
  case ActivationSilu: ACTIVATE_EACH(INDEPENDENT_ELEMENTS, silu) break;
  case ActivationGelu: ACTIVATE_EACH(, gelu) break;
  case ActivationGeluTanh: ACTIVATE_EACH(INDEPENDENT_ELEMENTS, geluTanh) break;
  }
}

static void rotate(float *states, const float *cosines, const float *sines, size_t pairs) {
  INDEPENDENT_ELEMENTS
  for (size_t pair = 0; pair < pairs; pair++) {
    float first = states[pair];
    float second = states[pair + pairs];
    states[pair] = first * cosines[pair] - second * sines[pair];
    states[pair + pairs] = second * cosines[pair] + first * sines[pair];
  }
}
