// Numbers in memory and as floats. Widening is exact, narrowing rounds once to nearest with ties to even, NaN stays a quiet
// NaN. All by integers: no device needs 16-bit or 64-bit floating point.

// The formats, numbered as ComputeKernels numbers them.
#define FLOAT64 0
#define FLOAT32 1
#define FLOAT16 2
#define BFLOAT16 3

// A matrix as a kernel gets it: the memory, and the element it starts at.
#define MATRIX(TYPE, NAME) GLOBAL TYPE *NAME##Memory, ulong NAME##Start
#define ELEMENTS(NAME) (NAME##Memory + NAME##Start)

// This work-item among those of all groups, and their number.
#define FIRST_ELEMENT (GROUP * GROUP_SIZE + ITEM)
#define ELEMENT_STRIDE (GROUPS * GROUP_SIZE)

#define NOT_A_NUMBER floatOfBits(0x7fc00000)

FUNCTION bool isFinite(float value) { return (bitsOfFloat(value) & 0x7f800000) != 0x7f800000; }

FUNCTION uint size(uint format) { return format == FLOAT64 ? 8 : format == FLOAT32 ? 4 : 2; }

FUNCTION float floatOfBrain(uint bits) { return floatOfBits(bits << 16); }

FUNCTION uint brainOfFloat(float value) {
  uint bits = bitsOfFloat(value);
  uint rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  uint notANumber = (bits >> 16) | 0x40;
  return (bits & 0x7fffffff) > 0x7f800000 ? notANumber : rounded;
}

FUNCTION float floatOfHalf(uint bits) {
  uint sign = (bits & 0x8000) << 16;
  uint magnitude = bits & 0x7fff;
  uint normal = (magnitude << 13) + ((127 - 15) << 23);
  uint subnormal = bitsOfFloat((float)(int)magnitude * 0x1p-24f);
  uint quiet = magnitude > 0x7c00 ? 0x400000 : 0;
  uint special = 0x7f800000 | (magnitude << 13) | quiet;
  uint finite = magnitude < 0x400 ? subnormal : normal;
  return floatOfBits(sign | (magnitude < 0x7c00 ? finite : special));
}

FUNCTION uint halfOfFloat(float value) {
  uint bits = bitsOfFloat(value);
  uint magnitude = bits & 0x7fffffff;
  uint normal = ((magnitude + 0xfff + ((magnitude >> 13) & 1)) >> 13) - ((127 - 15) << 10);
  // Next to a half the floats lie 2^-24 apart, as subnormal halves do: the addition does the rounding.
  uint subnormal = bitsOfFloat(floatOfBits(magnitude) + 0.5f) - bitsOfFloat(0.5f);
  uint notANumber = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  uint finite = magnitude < 0x38800000 ? subnormal : normal;
  uint number = magnitude < 0x477ff000 ? finite : 0x7c00;
  return ((bits >> 16) & 0x8000) | (magnitude > 0x7f800000 ? notANumber : number);
}

// A float64 rounded once to a narrower format, given by the sizes of its exponent and of its stored significand.
FUNCTION uint narrowedDouble(ulong bits, int exponentBits, int significandBits) {
  int bias = (1 << (exponentBits - 1)) - 1;
  uint sign = (uint)(bits >> 63) << (exponentBits + significandBits);
  ulong infinity = (ulong)((1 << exponentBits) - 1) << significandBits;
  ulong magnitude = bits & 0x7fffffffffffffffUL;
  if (magnitude > 0x7ff0000000000000UL) {
    ulong payload = (magnitude & 0xfffffffffffffUL) >> (52 - significandBits);
    return sign | (uint)(infinity | payload | (1UL << (significandBits - 1)));
  }
  int exponent = (int)(magnitude >> 52) - 1023;
  int lowest = 1 - bias;
  int shift = 52 - significandBits + (exponent < lowest ? lowest - exponent : 0);
  // Beyond this nothing is left of the 53 bits.
  if (shift > 60) shift = 60;
  ulong significand = (magnitude & 0xfffffffffffffUL) | 0x10000000000000UL;
  ulong steps = (significand + (1UL << (shift - 1)) - 1 + ((significand >> shift) & 1)) >> shift;
  // A subnormal number counts its steps from 0, every other one from the first power of two of its exponent. Steps that
  // were rounded up to the next power of two carry into the exponent, in the end to infinity.
  int firstExponent = (exponent < lowest ? lowest : exponent) + bias - 1;
  ulong narrow = ((ulong)firstExponent << significandBits) + steps;
  return sign | (uint)(narrow < infinity ? narrow : infinity);
}

FUNCTION float floatOfDouble(ulong bits) { return floatOfBits(narrowedDouble(bits, 8, 23)); }

FUNCTION ulong doubleOfFloat(float value) {
  uint bits = bitsOfFloat(value);
  ulong sign = (ulong)(bits >> 31) << 63;
  uint magnitude = bits & 0x7fffffff;
  if (magnitude == 0) return sign;
  if (magnitude >= 0x7f800000) {
    ulong quiet = magnitude > 0x7f800000 ? 0x8000000000000UL : 0;
    return sign | 0x7ff0000000000000UL | ((ulong)(magnitude & 0x7fffff) << 29) | quiet;
  }
  // A subnormal number is normalised: float64 has room for its exponent.
  int zeros = magnitude < 0x800000 ? (int)leadingZeros(magnitude) - 8 : 0;
  int exponent = (magnitude < 0x800000 ? 1 : (int)(magnitude >> 23)) - zeros + 1023 - 127;
  return sign | ((ulong)exponent << 52) | ((ulong)((magnitude << zeros) & 0x7fffff) << 29);
}

// One element as a float.
FUNCTION float element(GLOBAL const void *source, uint format, ulong index) {
  switch (format) {
  case FLOAT64: return floatOfDouble(((GLOBAL const ulong *)source)[index]);
  case FLOAT32: return ((GLOBAL const float *)source)[index];
  case FLOAT16: return floatOfHalf(((GLOBAL const ushort *)source)[index]);
  default: return floatOfBrain(((GLOBAL const ushort *)source)[index]);
  }
}

FUNCTION void setElement(GLOBAL void *destination, uint format, ulong index, float value) {
  switch (format) {
  case FLOAT64: ((GLOBAL ulong *)destination)[index] = doubleOfFloat(value); break;
  case FLOAT32: ((GLOBAL float *)destination)[index] = value; break;
  case FLOAT16: ((GLOBAL ushort *)destination)[index] = (ushort)halfOfFloat(value); break;
  default: ((GLOBAL ushort *)destination)[index] = (ushort)brainOfFloat(value); break;
  }
}

// Whether a float is still finite when it is rounded to a format.
FUNCTION bool isFiniteIn(uint format, float value) {
  uint magnitude = bitsOfFloat(value) & 0x7fffffff;
  return magnitude < (format == FLOAT16 ? 0x477ff000u : format == BFLOAT16 ? 0x7f7f8000u : 0x7f800000u);
}

// Two 16-bit elements of one word, the first in its lower part.
FUNCTION void readTwo(uint word, uint format, float *values) {
  values[0] = format == FLOAT16 ? floatOfHalf(word & 0xffff) : floatOfBrain(word & 0xffff);
  values[1] = format == FLOAT16 ? floatOfHalf(word >> 16) : floatOfBrain(word >> 16);
}

FUNCTION uint wordOfTwo(uint format, const float *values) {
  uint first = format == FLOAT16 ? halfOfFloat(values[0]) : brainOfFloat(values[0]);
  uint second = format == FLOAT16 ? halfOfFloat(values[1]) : brainOfFloat(values[1]);
  return first | (second << 16);
}

// Eight elements, 16 bytes at a time; `index` is a multiple of 8 from memory that is aligned to 16 bytes.
FUNCTION void readEight(GLOBAL const void *source, uint format, ulong index, float *values) {
  if (format == FLOAT64) {
    for (int place = 0; place < 8; place++) values[place] = element(source, FLOAT64, index + place);
  } else if (format == FLOAT32) {
    for (int part = 0; part < 2; part++) {
      float4 four = *(GLOBAL const float4 *)((GLOBAL const float *)source + index + 4 * part);
      values[4 * part] = four.x;
      values[4 * part + 1] = four.y;
      values[4 * part + 2] = four.z;
      values[4 * part + 3] = four.w;
    }
  } else {
    uint4 words = *(GLOBAL const uint4 *)((GLOBAL const ushort *)source + index);
    readTwo(words.x, format, values);
    readTwo(words.y, format, values + 2);
    readTwo(words.z, format, values + 4);
    readTwo(words.w, format, values + 6);
  }
}

FUNCTION void writeEight(GLOBAL void *destination, uint format, ulong index, const float *values) {
  if (format == FLOAT64) {
    for (int place = 0; place < 8; place++) setElement(destination, FLOAT64, index + place, values[place]);
  } else if (format == FLOAT32) {
    for (int part = 0; part < 2; part++) {
      const float *four = values + 4 * part;
      storeFour(
          (GLOBAL float *)destination + index + 4 * part, bitsOfFloat(four[0]), bitsOfFloat(four[1]),
          bitsOfFloat(four[2]), bitsOfFloat(four[3]));
    }
  } else {
    storeFour(
        (GLOBAL ushort *)destination + index, wordOfTwo(format, values), wordOfTwo(format, values + 2),
        wordOfTwo(format, values + 4), wordOfTwo(format, values + 6));
  }
}
