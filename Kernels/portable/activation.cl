// The nonlinearities of feed-forward blocks, element by element; the output may be an input.

// As ComputeKernels numbers them.
#define SILU 0
#define GELU 1
#define GELU_TANH 2

// x * sigmoid(x)
FUNCTION float silu(float x) { return quotient(x, 1.0f + exponential(-x)); }

// The upper tail of the normal distribution, e^(-a^2 / 2) * t * P(t) with t = 1 / (1 + a / 4) for a >= 0. P is a fit to the
// tail within 1e-8 of its value for a <= 15; beyond that the tail is below the range of a float.
FUNCTION float upperTail(float a) {
  const float coefficients[10] = {0x1.988e34p-4f, 0x1.97bdeap-4f, 0x1.857ca4p-4f, 0x1.2eb4bep-4f,  0x1.4d4778p-4f,
                                  0x1.6bf48cp-6f, 0x1.1ccf92p-6f, 0x1.e903a6p-5f, -0x1.0ed37cp-4f, 0x1.196eb4p-6f};
  Pair whole = exactSum(1.0f, 0.25f * a);
  float t = 1.0f / whole.high;
  float restOfT = (fma(-whole.high, t, 1.0f) - whole.low * t) * t;
  float sum = coefficients[9];
  float slope = 0.0f;
  for (int index = 8; index >= 0; index--) {
    slope = fma(slope, t, sum);
    sum = fma(sum, t, coefficients[index]);
  }
  float ratio = fma(restOfT, fma(slope, t, sum), sum * t);
  // The exponent to twice the precision: its error is a relative one of the result.
  Pair square = exactProduct(a, a);
  return exponentialOfSum(-0.5f * square.high, -0.5f * square.low) * ratio;
}

// x * Phi(x)
FUNCTION float gelu(float x) {
  float tail = upperTail(fmin(fabs(x), 15.0f));
  float share = x < 0 ? tail : 1.0f - tail;
  return x == x ? x * share : x;
}

// For x / 2 * (1 + tanh(u)) = x * sigmoid(2u) with 2u = 2 sqrt(2 / pi) * (x + 0.044715 x^3) = first * x + third * x^3.
#define FIRST_OF_TWICE 0x1.988454p0f
#define THIRD_OF_TWICE 0x1.2444f2p-4f

// Within this, beyond which geluTanh(x) is x, or zero.
FUNCTION float boundedForTanh(float x) { return x > 15.0f ? 15.0f : x < -15.0f ? -15.0f : x; }

// e^-2u, with 2u to twice the precision of a float because the power magnifies its errors.
FUNCTION float powerOfTanh(float x) {
  const float restOfFirst = -0x1.857936p-25f;
  const float restOfThird = 0x1.49b16ap-29f;
  Pair square = exactProduct(x, x);
  Pair product = exactProduct(THIRD_OF_TWICE, square.high);
  Pair factor = exactSum(FIRST_OF_TWICE, product.high);
  factor.low += product.low + restOfFirst + THIRD_OF_TWICE * square.low + restOfThird * square.high;
  Pair twice = exactProduct(-x, factor.high);
  return exponentialOfSum(twice.high, fma(-x, factor.low, twice.low));
}

FUNCTION float geluTanh(float x) { return quotient(x, 1.0f + powerOfTanh(boundedForTanh(x))); }

FUNCTION float activated(uint activation, float x) {
  return activation == SILU ? silu(x) : activation == GELU ? gelu(x) : geluTanh(x);
}

// out = activation(x)
KERNEL activate(uint activation, MATRIX(const float, x), MATRIX(float, out), ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    ELEMENTS(out)[index] = activated(activation, ELEMENTS(x)[index]);
  }
}

// out = activation(gate) * up
KERNEL gatedActivation(
    uint activation, MATRIX(const float, gate), MATRIX(const float, up), MATRIX(void, out), uint outFormat,
    ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    float result = activated(activation, ELEMENTS(gate)[index]) * ELEMENTS(up)[index];
    setElement(outMemory, outFormat, outStart + index, result);
  }
}

// The derivative of x * sigmoid(v) for a v of x's sign that grows by `rate`, from e^-|v|, which does not overflow.
FUNCTION float sigmoidProductSlope(float x, float power, float rate) {
  float large = quotient(1.0f, 1.0f + power);
  float small = power * large;
  return fma(x * rate, small * large, x < 0 ? small : large);
}

FUNCTION float siluSlope(float x) {
  // Beyond 128 the power is 0; an infinity times that would be NaN.
  float bounded = x > 128.0f ? 128.0f : x < -128.0f ? -128.0f : x;
  return sigmoidProductSlope(bounded, exponential(bounded < 0 ? bounded : -bounded), 1.0f);
}

// Phi(x) + x * phi(x), the density with its exponent to twice the precision.
FUNCTION float geluSlope(float x) {
  float bounded = x > 15.0f ? 15.0f : x < -15.0f ? -15.0f : x;
  float tail = upperTail(fabs(bounded));
  Pair square = exactProduct(bounded, bounded);
  float density = 0x1.988454p-2f * exponentialOfSum(-0.5f * square.high, -0.5f * square.low);
  return fma(bounded, density, x < 0 ? tail : 1.0f - tail);
}

FUNCTION float geluTanhSlope(float x) {
  float bounded = boundedForTanh(x);
  float rate = fma(3.0f * THIRD_OF_TWICE, bounded * bounded, FIRST_OF_TWICE);
  return sigmoidProductSlope(bounded, powerOfTanh(fabs(bounded)), rate);
}

FUNCTION float slopeOf(uint activation, float x) {
  return activation == SILU ? siluSlope(x) : activation == GELU ? geluSlope(x) : geluTanhSlope(x);
}

// gateGradient = gradient * up * activation'(gate), upGradient = gradient * activation(gate). An output may be any input:
// all of an element's are read before one is written.
KERNEL gatedActivationGradient(
    uint activation, MATRIX(const float, gate), MATRIX(const float, up), MATRIX(const float, gradient),
    MATRIX(float, gateGradient), MATRIX(float, upGradient), ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    float x = ELEMENTS(gate)[index];
    float change = ELEMENTS(gradient)[index];
    float ofGate = change * ELEMENTS(up)[index] * slopeOf(activation, x);
    ELEMENTS(gateGradient)[index] = ofGate;
    ELEMENTS(upGradient)[index] = change * activated(activation, x);
  }
}
