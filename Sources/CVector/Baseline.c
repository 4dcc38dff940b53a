// The loops in the instructions that every processor of the architecture has.
#include "CVector.h"

#include <math.h>
#include <string.h>

#define LOOPS baselineLoops
#if defined(__aarch64__)
#define INSTRUCTION_SET "ARMv8 NEON"
#define HAS_HALF_CONVERSION 1
#define TILE_ROWS 6
#elif defined(__x86_64__)
#define INSTRUCTION_SET "x86-64"
#define HAS_HALF_CONVERSION 0
#define TILE_ROWS 3
#else
#define INSTRUCTION_SET "plain C"
#define HAS_HALF_CONVERSION 0
#define TILE_ROWS 3
#endif

#include "Loops/AllLoops.h"
