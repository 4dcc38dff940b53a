// The loops in 256-bit vectors with fused multiply-add and half precision conversion: x86 processors since 2013.
#if defined(__x86_64__)
#include "CVector.h"

#include <math.h>
#include <string.h>

#define LOOPS avx2Loops
#define INSTRUCTION_SET "x86-64-v3 (AVX2)"
#define HAS_HALF_CONVERSION 1
#define TILE_ROWS 6

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "Loops/AllLoops.h"
#pragma clang attribute pop
#endif
