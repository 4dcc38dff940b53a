// Activations in 16 bits for products on tensor cores: each rounded once to nearest, ties to even. Four a work-item where
// they lie aligned to 16 bytes, else one by one.

FUNCTION bool liesAligned(GLOBAL const void *address, ulong bytes) { return ((ulong)address & (bytes - 1)) == 0; }

// destination = source in bfloat16.
KERNEL narrowToBrain(MATRIX(const float, source), MATRIX(ushort, destination), ulong count) {
  GLOBAL const float *from = ELEMENTS(source);
  GLOBAL ushort *to = ELEMENTS(destination);
  ulong vectors = liesAligned(from, 16) && liesAligned(to, 8) ? count / 4 : 0;
  for (ulong index = FIRST_ELEMENT; index < vectors; index += ELEMENT_STRIDE) {
    float4 value = ((GLOBAL const float4 *)from)[index];
    ((GLOBAL ushort4 *)to)[index] =
        make_ushort4(brainOfFloat(value.x), brainOfFloat(value.y), brainOfFloat(value.z), brainOfFloat(value.w));
  }
  for (ulong index = 4 * vectors + FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) to[index] = brainOfFloat(from[index]);
}

// The bits of a magnitude order as the magnitude does; what is not finite does not count.
FUNCTION uint magnitudeBits(float value) { return isFinite(value) ? bitsOfFloat(value) & 0x7fffffff : 0; }

// scalars[0], as bits, becomes the largest finite magnitude if that is larger.
KERNEL largestMagnitude(MATRIX(const float, source), MATRIX(uint, scalars), ulong count) {
  LOCAL uint largest;
  if (ITEM == 0) largest = 0;
  BARRIER();
  GLOBAL const float *from = ELEMENTS(source);
  uint found = 0;
  ulong vectors = liesAligned(from, 16) ? count / 4 : 0;
  for (ulong index = FIRST_ELEMENT; index < vectors; index += ELEMENT_STRIDE) {
    float4 value = ((GLOBAL const float4 *)from)[index];
    found = max(max(found, magnitudeBits(value.x)), max(magnitudeBits(value.y), max(magnitudeBits(value.z), magnitudeBits(value.w))));
  }
  for (ulong index = 4 * vectors + FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE)
    found = max(found, magnitudeBits(from[index]));
  atomicMax(&largest, found);
  BARRIER();
  if (ITEM == 0) atomicMax(ELEMENTS(scalars), largest);
}

// The power of two that brings the largest magnitude to 2^14 .. 2^15, which leaves float16 29 powers of two below it.
FUNCTION int scaleExponent(uint largest) {
  int exponent = (int)(largest >> 23) - 127;
  int shift = 14 - exponent;
  return largest == 0 ? 0 : shift > 120 ? 120 : shift;
}

// Finds the scale that scalars[0] asks for, and leaves in scalars[1] its inverse and in scalars[3] 1.
FUNCTION float scaleOf(GLOBAL float *scalars) {
  int exponent = scaleExponent(bitsOfFloat(scalars[0]));
  if (FIRST_ELEMENT == 0) {
    scalars[1] = powerOfTwo(-exponent);
    scalars[3] = 1.0f;
  }
  return powerOfTwo(exponent);
}

// destination = source * scale in float16.
KERNEL narrowToHalf(MATRIX(const float, source), MATRIX(ushort, destination), MATRIX(float, scalars), ulong count) {
  GLOBAL const float *from = ELEMENTS(source);
  GLOBAL ushort *to = ELEMENTS(destination);
  float scale = scaleOf(ELEMENTS(scalars));
  ulong vectors = liesAligned(from, 16) && liesAligned(to, 8) ? count / 4 : 0;
  for (ulong index = FIRST_ELEMENT; index < vectors; index += ELEMENT_STRIDE) {
    float4 value = ((GLOBAL const float4 *)from)[index];
    ((GLOBAL ushort4 *)to)[index] = make_ushort4(
        halfOfFloat(value.x * scale), halfOfFloat(value.y * scale), halfOfFloat(value.z * scale),
        halfOfFloat(value.w * scale));
  }
  for (ulong index = 4 * vectors + FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE)
    to[index] = halfOfFloat(from[index] * scale);
}

// high + low = source but for the rounding of low, in bfloat16.
KERNEL splitToBrain(MATRIX(const float, source), MATRIX(ushort, high), MATRIX(ushort, low), ulong count) {
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    float value = ELEMENTS(source)[index];
    uint bits = brainOfFloat(value);
    float rest = value - floatOfBrain(bits);
    ELEMENTS(high)[index] = bits;
    // What is not finite leaves no rest.
    ELEMENTS(low)[index] = isFinite(rest) ? brainOfFloat(rest) : 0;
  }
}

// high + low = source * scale but for the rounding of low, in float16.
KERNEL splitToHalf(
    MATRIX(const float, source), MATRIX(ushort, high), MATRIX(ushort, low), MATRIX(float, scalars), ulong count) {
  float scale = scaleOf(ELEMENTS(scalars));
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    float value = ELEMENTS(source)[index] * scale;
    uint bits = halfOfFloat(value);
    float rest = value - floatOfHalf(bits);
    ELEMENTS(high)[index] = bits;
    ELEMENTS(low)[index] = isFinite(rest) ? halfOfFloat(rest) : 0;
  }
}
