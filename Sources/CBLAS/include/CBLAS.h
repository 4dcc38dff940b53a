// The few BLAS entry points that Recall calls, looked up in a library that is opened at run time.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// The values of the CBLAS enumerations, which every implementation shares.
enum BLASOrder { BLASRowMajor = 101 };
enum BLASTransposition { BLASAsStored = 111, BLASTransposed = 112 };

// out[rows, columns] = alpha * a[rows, depth] * b[depth, columns] + beta * out, in single precision.
typedef void (*BLASMultiply)(
    int order, int transpositionOfA, int transpositionOfB, int rows, int columns, int depth, float alpha,
    const float *_Nonnull a, int rowLengthOfA, const float *_Nonnull b, int rowLengthOfB, float beta,
    float *_Nonnull out, int rowLengthOfOut);

// An open library. A library is never closed: its threads may outlive any caller.
struct BLASLibrary {
  BLASMultiply _Nonnull multiply;
  // Whether this is OpenBLAS, MKL, BLIS or FlexiBLAS and not a plain reference implementation.
  bool isOptimised;
  // The library's description of itself; null when it has none.
  const char *_Nullable (*_Nullable describe)(void);
  // Sets the number of threads for calls to come; null when the library has no such call.
  void (*_Nullable setThreadCount)(int count);
};

// Opens a library by file name or path. Returns false and a reason that names the library when that fails.
bool BLASOpen(
    const char *_Nonnull name, struct BLASLibrary *_Nonnull library, char *_Nonnull reason, size_t reasonCapacity);
