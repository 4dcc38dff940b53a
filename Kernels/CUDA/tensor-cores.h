// Products of small matrices by the tensor cores of a warp, from compute capability 8.0 on, in the words of PTX.
//
// A fragment is what one lane has of a matrix. With group = lane / 4 and member = lane % 4:
//    a [16, 16]    words with rows group, group + 8, group, group + 8 and columns 2 member, same, 2 member + 8, same
//    b [16, 8]     words with rows 2 member and 2 member + 8, column group
//    sums [16, 8]  rows group, group, group + 8, group + 8 and columns 2 member, 2 member + 1, 2 member, 2 member + 1
// A word is two bfloat16 next to each other in a row of a or a column of b, the first in its lower part. So the sums of two
// products side by side are, two by two, the words of an a.

#define WARP 32
#define ALL_LANES 0xffffffffu

// The emulator of the tests has these of its own.
#ifndef EMULATED

// Two floats rounded to bfloat16, to nearest with ties to even, the first in the lower part.
FUNCTION uint wordOfBrains(float first, float second) {
  uint word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
}

// sums += a * b for the fragments of a warp, all of whose lanes call.
FUNCTION void multiplyFragments(float sums[4], const uint a[4], const uint b[2]) {
  // Volatile: no compiler may move it to where only some lanes come.
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

// The two bfloat16 of a word as floats.
FUNCTION float firstOfWord(uint word) { return floatOfBits(word << 16); }
FUNCTION float secondOfWord(uint word) { return floatOfBits(word & 0xffff0000u); }

// What rounding to a word left of its two floats, rounded in turn: together they have 16 significant bits.
FUNCTION uint restOfWord(uint word, float first, float second) {
  return wordOfBrains(first - firstOfWord(word), second - secondOfWord(word));
}
