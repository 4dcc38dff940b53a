// Changes of weights from a base: which are kept, how they are ordered, and sums of those that agree.

#define LARGEST 1
#define RANDOM 2

// The four random words of a counter: Philox4x32-10.
FUNCTION void randomWords(ulong counter, uint key0, uint key1, uint *words) {
  uint c0 = (uint)counter, c1 = (uint)(counter >> 32), c2 = 0, c3 = 0;
  for (int round = 0; round < 10; round++) {
    ulong first = (ulong)0xd2511f53u * c0;
    ulong second = (ulong)0xcd9e8d57u * c2;
    c0 = (uint)(second >> 32) ^ c1 ^ key0;
    c1 = (uint)second;
    c2 = (uint)(first >> 32) ^ c3 ^ key1;
    c3 = (uint)first;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

// out = factor * (x - base) of the elements that are kept, 0 of the others, NaN where the change is not finite. An item takes
// the four elements of one random counter; `first` is the number of the first element in its tensor.
KERNEL sparseChange(
    MATRIX(const void, x), uint xFormat, MATRIX(const void, base), uint baseFormat, MATRIX(float, out), ulong first,
    ulong count, uint selection, uint threshold, ulong last, uint key0, uint key1, float factor) {
  ulong firstFour = first / 4;
  ulong fours = (first + count + 3) / 4 - firstFour;
  for (ulong four = FIRST_ELEMENT; four < fours; four += ELEMENT_STRIDE) {
    uint words[4];
    if (selection == RANDOM) randomWords(firstFour + four, key0, key1, words);
    for (int place = 0; place < 4; place++) {
      ulong number = (firstFour + four) * 4 + place;
      if (number < first || number >= first + count) continue;
      ulong index = number - first;
      float change = element(xMemory, xFormat, xStart + index) - element(baseMemory, baseFormat, baseStart + index);
      uint magnitude = bitsOfFloat(change) & 0x7fffffff;
      bool isKept = true;
      if (selection == LARGEST) isKept = magnitude > threshold || (magnitude == threshold && number <= last);
      if (selection == RANDOM) isKept = words[place] < threshold;
      float scaled = isKept ? factor * change : 0.0f;
      ELEMENTS(out)[index] = isFinite(change) ? scaled : NOT_A_NUMBER;
    }
  }
}

// counts[digit] += 1 for every element whose magnitude has the prefix. An item adds up while its digit stays the same.
KERNEL countDigits(
    MATRIX(const float, values), MATRIX(int, counts), ulong first, ulong count, uint isOfNumber, uint shift,
    uint prefixShift, uint prefix, uint mask) {
  uint current = 0;
  int run = 0;
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    uint magnitude = bitsOfFloat(ELEMENTS(values)[index]) & 0x7fffffff;
    if (magnitude > 0x7f800000) magnitude = 0x7fc00000;
    if (magnitude >> prefixShift != prefix) continue;
    uint digit = (uint)((isOfNumber ? first + index : (ulong)magnitude) >> shift) & mask;
    if (digit != current && run > 0) {
      GLOBAL_ADD(ELEMENTS(counts) + current, run);
      run = 0;
    }
    current = digit;
    run++;
  }
  if (run > 0) GLOBAL_ADD(ELEMENTS(counts) + current, run);
}

#define LANES_OF_BLOCK 16

// sums[block] = the sums of x^2, y^2, xy, |x| and |y|: sixteen items a block, each with every sixteenth element, added 8, 4, 2
// and 1 apart.
KERNEL blockMoments(
    MATRIX(const void, x), uint xFormat, MATRIX(const void, y), uint yFormat, MATRIX(float, sums), ulong count,
    ulong blockLength) {
  LOCAL float lanes[5][GROUP_SIZE];
  uint lane = ITEM % LANES_OF_BLOCK;
  ulong block = GROUP * (GROUP_SIZE / LANES_OF_BLOCK) + ITEM / LANES_OF_BLOCK;
  ulong start = block * blockLength;
  ulong end = start + blockLength < count ? start + blockLength : count;
  float own[5];
  for (int moment = 0; moment < 5; moment++) own[moment] = 0.0f;
  for (ulong index = start + lane; index < end; index += LANES_OF_BLOCK) {
    float a = element(xMemory, xFormat, xStart + index);
    float b = element(yMemory, yFormat, yStart + index);
    own[0] = fma(a, a, own[0]);
    own[1] = fma(b, b, own[1]);
    own[2] = fma(a, b, own[2]);
    own[3] = own[3] + fabs(a);
    own[4] = own[4] + fabs(b);
  }
  for (int moment = 0; moment < 5; moment++) lanes[moment][ITEM] = own[moment];
  for (uint distance = LANES_OF_BLOCK / 2; distance > 0; distance /= 2) {
    BARRIER();
    for (int moment = 0; moment < 5; moment++) {
      if (lane < distance) lanes[moment][ITEM] += lanes[moment][ITEM + distance];
    }
  }
  if (lane == 0 && start < count) {
    for (int moment = 0; moment < 5; moment++) ELEMENTS(sums)[block * 5 + moment] = lanes[moment][ITEM];
  }
}

#define MOST_CHANGES 15

// out = base + factors[s] * the sum of the changes in s, the set of those that agree with the sign of the sum of all. Counts what
// is not finite in each change, in the base and, last, in the result.
KERNEL sumAgreeing(
    MATRIX(const float, changes), uint rows, MATRIX(const void, base), uint baseFormat, MATRIX(const float, factors),
    MATRIX(void, out), uint outFormat, MATRIX(int, nonFinite), ulong count) {
  LOCAL int counts[MOST_CHANGES + 2];
  if (ITEM < MOST_CHANGES + 2) counts[ITEM] = 0;
  BARRIER();
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    GLOBAL const float *values = ELEMENTS(changes) + index;
    float vote = values[0];
    for (uint row = 1; row < rows; row++) vote = vote + values[row * count];
    float sum = 0.0f;
    uint set = 0;
    for (uint row = 0; row < rows; row++) {
      float value = values[row * count];
      if (!isFinite(value)) LOCAL_ADD(&counts[row], 1);
      bool agrees = vote >= 0.0f ? value > 0.0f : value < 0.0f;
      if (agrees) {
        sum = sum + value;
        set |= 1u << row;
      }
    }
    if (vote != vote) sum = NOT_A_NUMBER;
    float origin = element(baseMemory, baseFormat, baseStart + index);
    if (!isFinite(origin)) LOCAL_ADD(&counts[rows], 1);
    float result = fma(ELEMENTS(factors)[set], sum, origin);
    result = result == result ? result : NOT_A_NUMBER;
    if (!isFiniteIn(outFormat, result)) LOCAL_ADD(&counts[rows + 1], 1);
    setElement(outMemory, outFormat, outStart + index, result);
  }
  BARRIER();
  if (ITEM < rows + 2 && counts[ITEM]) GLOBAL_ADD(ELEMENTS(nonFinite) + ITEM, counts[ITEM]);
}
