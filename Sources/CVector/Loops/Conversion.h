// Numbers between formats: widening is exact, narrowing rounds once to nearest with ties to even, NaN stays a quiet NaN.

enum { BlockLength = 1024 };

#if HAS_HALF_CONVERSION
ALWAYS_INLINE float floatOfHalf(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, sizeof half);
  return (float)half;
}

ALWAYS_INLINE uint16_t halfOfFloat(float value) {
  _Float16 half = (_Float16)value;
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
#else
ALWAYS_INLINE float floatOfHalf(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
  uint32_t magnitude = bits & 0x7fff;
  uint32_t normal = (magnitude << 13) + ((127 - 15) << 23);
  uint32_t subnormal = bitsOfFloat((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t quiet = magnitude > 0x7c00 ? 0x400000 : 0;
  uint32_t special = 0x7f800000 | (magnitude << 13) | quiet;
  uint32_t finite = magnitude < 0x400 ? subnormal : normal;
  return floatOfBits(sign | (magnitude < 0x7c00 ? finite : special));
}

ALWAYS_INLINE uint16_t halfOfFloat(float value) {
  uint32_t bits = bitsOfFloat(value);
  uint32_t magnitude = bits & 0x7fffffff;
  uint32_t tiesToEven = (magnitude >> 13) & 1;
  uint32_t normal = ((magnitude + 0xfff + tiesToEven) >> 13) - ((127 - 15) << 10);
  // Next to a half the floats lie 2^-24 apart, as subnormal halves do: the addition does the rounding.
  uint32_t subnormal = bitsOfFloat(floatOfBits(magnitude) + 0.5f) - bitsOfFloat(0.5f);
  uint32_t notANumber = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  uint32_t finite = magnitude < 0x38800000 ? subnormal : normal;
  uint32_t number = magnitude < 0x477ff000 ? finite : 0x7c00;
  return (uint16_t)(((bits >> 16) & 0x8000) | (magnitude > 0x7f800000 ? notANumber : number));
}
#endif

ALWAYS_INLINE float floatOfBrain(uint16_t bits) { return floatOfBits((uint32_t)bits << 16); }

ALWAYS_INLINE uint16_t brainOfFloat(float value) {
  uint32_t bits = bitsOfFloat(value);
  uint32_t tiesToEven = (bits >> 16) & 1;
  uint32_t rounded = (bits + 0x7fff + tiesToEven) >> 16;
  uint32_t notANumber = (bits >> 16) | 0x40;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? notANumber : rounded);
}

// Rounds towards zero and sets the last bit of an inexact result: rounding this once more to 16 bits gives what
// rounding the double to 16 bits at once gives.
ALWAYS_INLINE float floatRoundedToOdd(double value) {
  float nearest = (float)value;
  uint32_t bits = bitsOfFloat(nearest);
  uint32_t away = fabs((double)nearest) > fabs(value) ? 1 : 0;
  uint32_t inexact = (double)nearest < value || (double)nearest > value ? 1 : 0;
  return floatOfBits((bits - away) | inexact);
}

// One element as a float; the format is a constant wherever this is called.
ALWAYS_INLINE float element(const void *source, enum ElementFormat format, size_t index) {
  switch (format) {
  case FormatFloat64: return (float)((const double *)source)[index];
  case FormatFloat32: return ((const float *)source)[index];
  case FormatFloat16: return floatOfHalf(((const uint16_t *)source)[index]);
  case FormatBFloat16: return floatOfBrain(((const uint16_t *)source)[index]);
  }
}

ALWAYS_INLINE void setElement(void *destination, enum ElementFormat format, size_t index, float value) {
  switch (format) {
  case FormatFloat64: ((double *)destination)[index] = value; break;
  case FormatFloat32: ((float *)destination)[index] = value; break;
  case FormatFloat16: ((uint16_t *)destination)[index] = halfOfFloat(value); break;
  case FormatBFloat16: ((uint16_t *)destination)[index] = brainOfFloat(value); break;
  }
}

ALWAYS_INLINE size_t sizeOfElement(enum ElementFormat format) {
  return format == FormatFloat64 ? 8 : format == FormatFloat32 ? 4 : 2;
}

ALWAYS_INLINE const void *elementsFrom(const void *source, enum ElementFormat format, size_t first) {
  return (const char *)source + first * sizeOfElement(format);
}

ALWAYS_INLINE void widenFormat(
    const void *restrict source, enum ElementFormat format, float *restrict destination, size_t count) {
  for (size_t index = 0; index < count; index++) destination[index] = element(source, format, index);
}

static void widen(const void *source, enum ElementFormat format, float *destination, size_t count) {
  switch (format) {
  case FormatFloat64: widenFormat(source, FormatFloat64, destination, count); break;
  case FormatFloat32: memcpy(destination, source, count * sizeof(float)); break;
  case FormatFloat16: widenFormat(source, FormatFloat16, destination, count); break;
  case FormatBFloat16: widenFormat(source, FormatBFloat16, destination, count); break;
  }
}

ALWAYS_INLINE void narrowFormat(
    const float *restrict source, void *restrict destination, enum ElementFormat format, size_t count) {
  for (size_t index = 0; index < count; index++) setElement(destination, format, index, source[index]);
}

static void narrow(const float *source, void *destination, enum ElementFormat format, size_t count) {
  switch (format) {
  case FormatFloat64: narrowFormat(source, destination, FormatFloat64, count); break;
  case FormatFloat32: memcpy(destination, source, count * sizeof(float)); break;
  case FormatFloat16: narrowFormat(source, destination, FormatFloat16, count); break;
  case FormatBFloat16: narrowFormat(source, destination, FormatBFloat16, count); break;
  }
}

static void roundToOdd(const double *restrict source, float *restrict destination, size_t count) {
  for (size_t index = 0; index < count; index++) destination[index] = floatRoundedToOdd(source[index]);
}

static void convert(
    const void *source, enum ElementFormat sourceFormat, void *destination, enum ElementFormat destinationFormat,
    size_t count) {
  if (sourceFormat == destinationFormat) {
    memmove(destination, source, count * sizeOfElement(sourceFormat));
    return;
  }
  float block[BlockLength];
  bool roundsTwice = sourceFormat == FormatFloat64 && destinationFormat != FormatFloat32;
  for (size_t first = 0; first < count; first += BlockLength) {
    size_t length = count - first < BlockLength ? count - first : BlockLength;
    const void *from = elementsFrom(source, sourceFormat, first);
    if (roundsTwice) {
      roundToOdd(from, block, length);
    } else {
      widen(from, sourceFormat, block, length);
    }
    narrow(block, (void *)elementsFrom(destination, destinationFormat, first), destinationFormat, length);
  }
}
