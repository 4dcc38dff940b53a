// cuBLAS' entry points: products as the formula reads, column major, with the types and the scaling that were asked for.
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "Emulator.h"

namespace {

enum Status { success = 0, notInitialized = 1, invalidValue = 7, notSupported = 15 };
enum Type { float32 = 0, float16 = 2, bfloat16 = 14 };

struct Handle {
  Stream *stream = nullptr;
  bool deviceScalars = false;
};

float element(const void *matrix, int type, size_t index) {
  if (type == float32) return static_cast<const float *>(matrix)[index];
  uint16_t bits = static_cast<const uint16_t *>(matrix)[index];
  return type == bfloat16 ? std::bit_cast<float>(uint32_t(bits) << 16) : float(std::bit_cast<_Float16>(bits));
}

// op(matrix) with `rows` rows along the depth: vector i of the result holds op's row or column i, one after another.
std::vector<float> gathered(const void *matrix, int type, int length, bool depthIsContiguous, int vectors, int depth) {
  std::vector<float> result(size_t(vectors) * depth);
  for (int vector = 0; vector < vectors; vector++)
    for (int place = 0; place < depth; place++)
      result[size_t(vector) * depth + place] = element(
          matrix, type,
          depthIsContiguous ? size_t(vector) * length + place : size_t(place) * length + vector);
  return result;
}

// A float32 sum in eight parts, as vector units form it.
float dot(const float *x, const float *y, int count) {
  float parts[16] = {};
  int index = 0;
  for (; index + 16 <= count; index += 16)
    for (int part = 0; part < 16; part++) parts[part] = std::fma(x[index + part], y[index + part], parts[part]);
  for (; index < count; index++) parts[index % 16] = std::fma(x[index], y[index], parts[index % 16]);
  float sum = 0;
  for (float part : parts) sum += part;
  return sum;
}

}  // namespace

EMULATED int cublasCreate_v2(Handle **handle) {
  *handle = new Handle();
  return success;
}

EMULATED int cublasDestroy_v2(Handle *handle) {
  delete handle;
  return success;
}

EMULATED int cublasGetVersion_v2(Handle *, int *version) {
  *version = 120900;
  return success;
}

EMULATED int cublasSetStream_v2(Handle *handle, Stream *stream) {
  handle->stream = stream;
  return success;
}

EMULATED int cublasSetPointerMode_v2(Handle *handle, int mode) {
  handle->deviceScalars = mode == 1;
  return success;
}

EMULATED int cublasGemmEx(
    Handle *handle, int operationOnA, int operationOnB, int m, int n, int k, const void *alpha, const void *a, int typeOfA,
    int lengthOfA, const void *b, int typeOfB, int lengthOfB, const void *beta, void *out, int typeOfOut, int lengthOfOut,
    int compute, int) {
  if (!handle->stream) return notInitialized;
  bool sizesFit = m >= 0 && n >= 0 && k >= 0 && lengthOfOut >= std::max(1, m) &&
                  lengthOfA >= std::max(1, operationOnA ? k : m) && lengthOfB >= std::max(1, operationOnB ? n : k);
  if (!sizesFit) return invalidValue;
  if (typeOfOut != float32 || typeOfA != typeOfB || (compute != 68 && compute != 69)) return notSupported;
  // Scalars on the host are read at once, those on the device when the product is computed.
  bool deviceScalars = handle->deviceScalars;
  float hostAlpha = deviceScalars ? 0 : *static_cast<const float *>(alpha);
  float hostBeta = deviceScalars ? 0 : *static_cast<const float *>(beta);
  enqueue(handle->stream, [=] {
    float scale = deviceScalars ? *static_cast<const float *>(alpha) : hostAlpha;
    float keep = deviceScalars ? *static_cast<const float *>(beta) : hostBeta;
    auto left = gathered(a, typeOfA, lengthOfA, operationOnA != 0, m, k);
    auto right = gathered(b, typeOfB, lengthOfB, operationOnB == 0, n, k);
    for (int column = 0; column < n; column++)
      for (int row = 0; row < m; row++) {
        float *place = static_cast<float *>(out) + size_t(column) * lengthOfOut + row;
        float sum = scale * dot(&left[size_t(row) * k], &right[size_t(column) * k], k);
        *place = keep == 0 ? sum : sum + keep * *place;
      }
  });
  return success;
}
