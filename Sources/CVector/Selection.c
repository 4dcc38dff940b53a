// Which of the loops this processor can run.
#include "CVector.h"

extern const struct VectorLoops baselineLoops;

#if defined(__x86_64__)
extern const struct VectorLoops avx2Loops;
extern const struct VectorLoops avx512Loops;

const struct VectorLoops *VectorLoopsAt(size_t index) {
  const struct VectorLoops *runnable[3];
  size_t count = 0;
  if (__builtin_cpu_supports("x86-64-v4")) runnable[count++] = &avx512Loops;
  if (__builtin_cpu_supports("x86-64-v3")) runnable[count++] = &avx2Loops;
  runnable[count++] = &baselineLoops;
  return index < count ? runnable[index] : NULL;
}
#else
const struct VectorLoops *VectorLoopsAt(size_t index) { return index == 0 ? &baselineLoops : NULL; }
#endif
