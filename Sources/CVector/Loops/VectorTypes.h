// The vector types of all loops: 16 lanes whatever the registers hold, so that sums run in the same order everywhere.

// Vectors wider than a register have no fixed calling convention; every function that takes one is inlined.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float FloatVector __attribute__((vector_size(64)));
typedef double DoubleVector __attribute__((vector_size(128)));

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { Lanes = 16 };

ALWAYS_INLINE FloatVector loadFloats(const float *source) {
  FloatVector vector;
  memcpy(&vector, source, sizeof vector);
  return vector;
}

// Up to 16 floats, with zeros behind them.
ALWAYS_INLINE FloatVector loadSomeFloats(const float *source, size_t count) {
  FloatVector vector = {0};
  memcpy(&vector, source, count * sizeof(float));
  return vector;
}

ALWAYS_INLINE void storeFloats(float *destination, FloatVector vector) {
  memcpy(destination, &vector, sizeof vector);
}

ALWAYS_INLINE double sumOfLanes(DoubleVector vector) {
  double sum = 0;
  for (int lane = 0; lane < Lanes; lane++) sum += vector[lane];
  return sum;
}

ALWAYS_INLINE uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

ALWAYS_INLINE float floatOfBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
