// e^x as 2^k * e^r with |r| <= ln(2) / 2: a Taylor polynomial for e^r, two factors for 2^k so that subnormal results
// round once. Within 2 units in the last place.

ALWAYS_INLINE float exponential(float x) {
  // Beyond these the result is 0 or infinity; a NaN passes both comparisons.
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
  const float toWhole = 0x1.8p23f;
  float shifted = x * 0x1.715476p0f + toWhole;
  float whole = shifted - toWhole;
  int32_t exponent = (int32_t)(bitsOfFloat(shifted) - bitsOfFloat(toWhole));
  // ln 2 in two parts; the product with the first part, which has 15 bits, is exact.
  float r = x - whole * 0x1.62e4p-1f;
  r = r - whole * 0x1.7f7d1cp-20f;
  float sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * (r * r) + r;
  sum = sum + 1.0f;
  int32_t half = exponent >> 1;
  float firstFactor = floatOfBits((uint32_t)(half + 127) << 23);
  float secondFactor = floatOfBits((uint32_t)(exponent - half + 127) << 23);
  return sum * firstFactor * secondFactor;
}

ALWAYS_INLINE double doubleOfExponent(int64_t exponent) {
  uint64_t bits = (uint64_t)(exponent + 1023) << 52;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The same in double precision, to about 1e-15.
ALWAYS_INLINE double doubleExponential(double x) {
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double toWhole = 0x1.8p52;
  double shifted = x * 0x1.71547652b82fep0 + toWhole;
  double whole = shifted - toWhole;
  int64_t shiftedBits, toWholeBits;
  memcpy(&shiftedBits, &shifted, sizeof shiftedBits);
  memcpy(&toWholeBits, &toWhole, sizeof toWholeBits);
  int64_t exponent = shiftedBits - toWholeBits;
  double r = x - whole * 0x1.62e42fefap-1;
  r = r - whole * 0x1.cf79abc9e3b3ap-40;
  double sum = 1.0 / 6227020800;
  sum = sum * r + 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * (r * r) + r;
  sum = sum + 1.0;
  int64_t half = exponent / 2;
  return sum * doubleOfExponent(half) * doubleOfExponent(exponent - half);
}
