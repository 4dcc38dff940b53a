// The loops in 512-bit vectors: x86 server processors.
#if defined(__x86_64__)
#include "CVector.h"

#include <math.h>
#include <string.h>

#define LOOPS avx512Loops
#define INSTRUCTION_SET "x86-64-v4 (AVX-512)"
#define HAS_HALF_CONVERSION 1
#define TILE_ROWS 12

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#include "Loops/AllLoops.h"
#pragma clang attribute pop
#endif
