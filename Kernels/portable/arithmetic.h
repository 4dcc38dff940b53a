// Arithmetic that gives the same on every device, to about one unit in the last place.

// A number as the sum of two floats, the second of which is small: twice the precision where a sum needs it.
typedef struct {
  float high;
  float low;
} Pair;

FUNCTION Pair pair(float high, float low) {
  Pair result;
  result.high = high;
  result.low = low;
  return result;
}

// x + y exactly (Knuth's two-sum).
FUNCTION Pair exactSum(float x, float y) {
  float sum = x + y;
  float yOfSum = sum - x;
  return pair(sum, (x - (sum - yOfSum)) + (y - yOfSum));
}

// x * y exactly.
FUNCTION Pair exactProduct(float x, float y) {
  float product = x * y;
  return pair(product, fma(x, y, -product));
}

FUNCTION Pair addToPair(Pair sum, float term) {
  Pair exact = exactSum(sum.high, term);
  return pair(exact.high, sum.low + exact.low);
}

FUNCTION Pair addPairs(Pair x, Pair y) {
  Pair exact = exactSum(x.high, y.high);
  return pair(exact.high, (x.low + y.low) + exact.low);
}

// The pair rounded to one float. The low part means nothing beside an infinity.
FUNCTION float pairValue(Pair x) { return isFinite(x.high) ? x.high + x.low : x.high; }

// x / y of finite numbers that are far from the ends of their range: OpenCL grants a quotient 2.5 units in the last place, a
// correction by what is left makes that one.
FUNCTION float plainQuotient(float x, float y) {
  float result = x / y;
#ifndef QUOTIENTS_ARE_ROUNDED
  result += fma(-result, y, x) / y;
#endif
  return result;
}

// x / y of any numbers, corrected likewise where the quotient is finite.
FUNCTION float quotient(float x, float y) {
#ifdef QUOTIENTS_ARE_ROUNDED
  return x / y;
#else
  float result = x / y;
  return isFinite(result) && isFinite(y) ? result + fma(-result, y, x) / y : result;
#endif
}

// 1 / sqrt(x), corrected likewise by a step of Newton's.
FUNCTION float inverseRoot(float x) {
  float root = 1.0f / sqrt(x);
  float residue = fma(-(x * root), root, 1.0f);
  return isFinite(root) && isFinite(residue) ? fma(0.5f * root, residue, root) : root;
}

// e^x as 2^exponent * (1 + fraction) with |ln(1 + fraction)| <= ln(2) / 2.
typedef struct {
  int exponent;
  float fraction;
} Exponential;

// e^(high + low) for a low part that is small beside 1: a Taylor polynomial for what a power of two leaves.
FUNCTION Exponential exponentialParts(float high, float low) {
  // Beyond these the result is 0 or infinity; a NaN passes both comparisons.
  high = high < -104.0f ? -104.0f : high;
  high = high > 89.0f ? 89.0f : high;
  // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
  float shifted = fma(high, 0x1.715476p0f, 0x1.8p23f);
  float whole = shifted - 0x1.8p23f;
  // ln 2 in two parts; the product with the first part, which has 15 bits, is exact.
  float r = fma(-whole, 0x1.62e4p-1f, high);
  r = fma(-whole, 0x1.7f7d1cp-20f, r) + low;
  float sum = 1.0f / 5040;
  sum = fma(sum, r, 1.0f / 720);
  sum = fma(sum, r, 1.0f / 120);
  sum = fma(sum, r, 1.0f / 24);
  sum = fma(sum, r, 1.0f / 6);
  sum = fma(sum, r, 0.5f);
  Exponential result;
  result.exponent = (int)(bitsOfFloat(shifted) - bitsOfFloat(0x1.8p23f));
  result.fraction = fma(sum, r * r, r);
  return result;
}

// 2^exponent for the exponents of normal numbers.
FUNCTION float powerOfTwo(int exponent) { return floatOfBits((uint)(exponent + 127) << 23); }

// e^(high + low); in two factors, so that subnormal results round once.
FUNCTION float exponentialOfSum(float high, float low) {
  Exponential parts = exponentialParts(high, low);
  int part = parts.exponent >> 1;
  return (1.0f + parts.fraction) * powerOfTwo(part) * powerOfTwo(parts.exponent - part);
}

FUNCTION float exponential(float x) { return exponentialOfSum(x, 0.0f); }

// ln x of a positive normal number: a series for the logarithm of what lies within a root of 2 of 1, and ln 2 in two parts
// as above for the power of two. Infinity and NaN stay as they are.
FUNCTION float logarithm(float x) {
  // So that the fraction runs from sqrt(1 / 2), whose bits these are, to sqrt(2).
  uint shifted = bitsOfFloat(x) - 0x3f3504f3;
  int exponent = (int)shifted >> 23;
  float fraction = floatOfBits((shifted & 0x7fffff) + 0x3f3504f3);
  // Without the tests for infinity that quotient has: LLVM 18, in PoCL 6, stops at them here (pocl/pocl#1608).
  float ratio = plainQuotient(fraction - 1.0f, fraction + 1.0f);
  float square = ratio * ratio;
  float sum = 2.0f / 9;
  sum = fma(sum, square, 2.0f / 7);
  sum = fma(sum, square, 2.0f / 5);
  sum = fma(sum, square, 2.0f / 3);
  float rest = fma(ratio * square, sum, fma((float)exponent, 0x1.7f7d1cp-20f, 2.0f * ratio));
  return isFinite(x) ? fma((float)exponent, 0x1.62e4p-1f, rest) : x;
}
