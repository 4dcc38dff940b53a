// out = sum of weights * inputs, element by element: sum = w0 * x0, then sum = fma(wi, xi, sum) in the given order, rounded
// once to the format of `out`. Counts what is not finite in each input and, last, in the result. Every element of every
// input is read once, eight at a time.
//
// INPUTS is the number of inputs, FORMAT the format of all of them and of `out`; MIXED where they differ.
//
// What an input has that is not finite never becomes finite again in a sum. So inputs are looked at only where a result may
// not be finite: with three bfloat16 inputs that leaves a third of the instructions, fewer than memory has time for.

#define INPUTS_1(USE) USE(0)
#define INPUTS_2(USE) INPUTS_1(USE) USE(1)
#define INPUTS_3(USE) INPUTS_2(USE) USE(2)
#define INPUTS_4(USE) INPUTS_3(USE) USE(3)
#define INPUTS_5(USE) INPUTS_4(USE) USE(4)
#define INPUTS_6(USE) INPUTS_5(USE) USE(5)
#define INPUTS_7(USE) INPUTS_6(USE) USE(6)
#define INPUTS_8(USE) INPUTS_7(USE) USE(7)
#define INPUTS_9(USE) INPUTS_8(USE) USE(8)
#define INPUTS_10(USE) INPUTS_9(USE) USE(9)
#define INPUTS_11(USE) INPUTS_10(USE) USE(10)
#define INPUTS_12(USE) INPUTS_11(USE) USE(11)
#define INPUTS_13(USE) INPUTS_12(USE) USE(12)
#define INPUTS_14(USE) INPUTS_13(USE) USE(13)
#define INPUTS_15(USE) INPUTS_14(USE) USE(14)
#define INPUTS_16(USE) INPUTS_15(USE) USE(15)
#define JOINED(WORD, NUMBER) WORD##NUMBER
#define INPUTS_NAMED(NUMBER) JOINED(INPUTS_, NUMBER)
#define EACH_INPUT INPUTS_NAMED(INPUTS)

#define MIXED 4
#if FORMAT == MIXED
#define FORMAT_OF(NUMBER) format##NUMBER
#define OUT_FORMAT outFormat
#else
#define FORMAT_OF(NUMBER) FORMAT
#define OUT_FORMAT FORMAT
#endif

#define PARAMETERS(NUMBER) , MATRIX(const void, input##NUMBER), uint format##NUMBER, float weight##NUMBER
#define COUNTER(NUMBER) uint count##NUMBER = 0;
#define ADD_EIGHT(NUMBER) \
  readEight(input##NUMBER##Memory, FORMAT_OF(NUMBER), input##NUMBER##Start + index, values); \
  for (int place = 0; place < 8; place++) sums[place] = fma(weight##NUMBER, values[place], sums[place]);
#define COUNT_EIGHT(NUMBER) \
  readEight(input##NUMBER##Memory, FORMAT_OF(NUMBER), input##NUMBER##Start + index, values); \
  for (int place = 0; place < 8; place++) count##NUMBER += !isFinite(values[place]);
#define ADD_ONE(NUMBER) \
  { \
    float value = element(input##NUMBER##Memory, FORMAT_OF(NUMBER), input##NUMBER##Start + index); \
    count##NUMBER += !isFinite(value); \
    sum = fma(weight##NUMBER, value, sum); \
  }
#define COUNT_FOR_GROUP(NUMBER) \
  if (count##NUMBER) LOCAL_ADD(&found[NUMBER], (int)count##NUMBER);

// Which NaN a sum of NaNs gives is the device's choice; the output must not depend on it.
FUNCTION float canonical(float sum) { return sum == sum ? sum : NOT_A_NUMBER; }

// Whether some of eight numbers may not be finite when they are rounded to a format: never false for one that is not.
FUNCTION bool mayBeInfinite(uint format, const float *numbers) {
  float sum = 0.0f;
  for (int place = 0; place < 8; place++) sum += fabs(numbers[place]);
  return !(sum < (format == FLOAT16 ? 65504.0f : 0x1p126f));
}

// Without `isCounted` nothing is counted. The first `inEights` elements are taken eight at a time: a multiple of 8, or 0 where the memory is not aligned to 16 bytes.
KERNEL weightedSum(
    MATRIX(void, out), uint outFormat, MATRIX(int, nonFinite), uint isCounted, ulong inEights,
    ulong count EACH_INPUT(PARAMETERS)) {
  LOCAL int found[INPUTS + 1];
  if (ITEM <= INPUTS) found[ITEM] = 0;
  BARRIER();
  EACH_INPUT(COUNTER)
  uint countOfResult = 0;
  for (ulong index = FIRST_ELEMENT * 8; index < inEights; index += ELEMENT_STRIDE * 8) {
    float values[8], sums[8];
    // Adding a product to -0 gives the product itself, the sign of a zero included.
    for (int place = 0; place < 8; place++) sums[place] = -0.0f;
    EACH_INPUT(ADD_EIGHT)
    if (mayBeInfinite(OUT_FORMAT, sums)) {
      EACH_INPUT(COUNT_EIGHT)
      for (int place = 0; place < 8; place++) {
        sums[place] = canonical(sums[place]);
        countOfResult += !isFiniteIn(OUT_FORMAT, sums[place]);
      }
    }
    writeEight(outMemory, OUT_FORMAT, outStart + index, sums);
  }
  for (ulong index = inEights + FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    float sum = -0.0f;
    EACH_INPUT(ADD_ONE)
    sum = canonical(sum);
    countOfResult += !isFiniteIn(OUT_FORMAT, sum);
    setElement(outMemory, OUT_FORMAT, outStart + index, sum);
  }
  EACH_INPUT(COUNT_FOR_GROUP)
  if (countOfResult) LOCAL_ADD(&found[INPUTS], (int)countOfResult);
  BARRIER();
  if (isCounted && ITEM <= INPUTS && found[ITEM]) GLOBAL_ADD(ELEMENTS(nonFinite) + ITEM, found[ITEM]);
}
