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

// x / 2 * (1 + tanh(u)) = x * sigmoid(2u) with 2u = 2 sqrt(2 / pi) * (x + 0.044715 x^3), to twice the precision of a float
// because e^2u magnifies its errors.
FUNCTION float geluTanh(float x) {
  const float first = 0x1.988454p0f;
  const float restOfFirst = -0x1.857936p-25f;
  const float third = 0x1.2444f2p-4f;
  const float restOfThird = 0x1.49b16ap-29f;
  // Beyond 15 the result is x, or zero.
  float bounded = x > 15.0f ? 15.0f : x < -15.0f ? -15.0f : x;
  Pair square = exactProduct(bounded, bounded);
  Pair product = exactProduct(third, square.high);
  Pair factor = exactSum(first, product.high);
  factor.low += product.low + restOfFirst + third * square.low + restOfThird * square.high;
  Pair twice = exactProduct(-bounded, factor.high);
  return quotient(x, 1.0f + exponentialOfSum(twice.high, fma(-bounded, factor.low, twice.low)));
}

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
    uint activation, MATRIX(const float, gate), MATRIX(const float, up), MATRIX(float, out), ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    ELEMENTS(out)[index] = activated(activation, ELEMENTS(gate)[index]) * ELEMENTS(up)[index];
  }
}
