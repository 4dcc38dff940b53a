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

// Of the normalised row n = x * scale the gradient is scale * (g - n * mean(g * n)), for g = gain * gradient.
static void rmsNormGradient(const float *x, const float *gain, float epsilon, float *gradient, size_t count) {
  double scale = 1 / sqrt(sumOfSquares(x, count) / (double)count + epsilon);
  double products = 0;
  for (size_t index = 0; index < count; index++) products += (double)gain[index] * gradient[index] * x[index];
  double share = products / (double)count * scale * scale;
  INDEPENDENT_ELEMENTS
  for (size_t index = 0; index < count; index++) {
    gradient[index] = (float)(scale * ((double)gain[index] * gradient[index] - share * x[index]));
  }
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

// The derivative of x * sigmoid(v) for a v of x's sign that grows by `rate`, from e^-|v|, which does not overflow.
#define SIGMOID_PRODUCT_SLOPE(x, power, rate) \
  (((x) < 0 ? (power) : 1) / (1 + (power)) + (x) * (rate) * ((power) / ((1 + (power)) * (1 + (power)))))

ALWAYS_INLINE float siluSlope(float x) {
  // Beyond 128 the power is 0; an infinity times that would be NaN.
  x = x > 128 ? 128 : x < -128 ? -128 : x;
  float power = exponential(x < 0 ? x : -x);
  return SIGMOID_PRODUCT_SLOPE(x, power, 1);
}

// Phi(x) + x * phi(x)
ALWAYS_INLINE float geluSlope(float single) {
  // Beyond 40 the density is 0.
  double x = single > 40 ? 40 : single < -40 ? -40 : single;
  return (float)(0.5 * erfc(x * -0.70710678118654752440) + x * 0.39894228040143267794 * doubleExponential(-0.5 * x * x));
}

ALWAYS_INLINE float geluTanhSlope(float single) {
  double x = single > 40 ? 40 : single < -40 ? -40 : single;
  double twice = 2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x);
  double power = doubleExponential(x < 0 ? twice : -twice);
  return (float)SIGMOID_PRODUCT_SLOPE(x, power, 2 * 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x));
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

// Both results of an element are known before either is stored: they may replace what they come from.
#define GRADIENT_OF_EACH(HINT, activation, slope) \
  HINT for (size_t index = 0; index < count; index++) { \
    float ofGate = gradient[index] * up[index] * slope(gate[index]); \
    float ofUp = gradient[index] * activation(gate[index]); \
    gateGradient[index] = ofGate; \
    upGradient[index] = ofUp; \
  }

static void activationGradient(
    enum ActivationKind activation, const float *gate, const float *up, const float *gradient, float *gateGradient,
    float *upGradient, size_t count) {
  switch (activation) {
  case ActivationSilu: GRADIENT_OF_EACH(INDEPENDENT_ELEMENTS, silu, siluSlope) break;
  case ActivationGelu: GRADIENT_OF_EACH(, gelu, geluSlope) break;
  case ActivationGeluTanh: GRADIENT_OF_EACH(INDEPENDENT_ELEMENTS, geluTanh, geluTanhSlope) break;
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
