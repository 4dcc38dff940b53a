// CUDA's words for kernels, as C++ for the processor: what NVRTC knows without any header. The threads of a block run on one
// thread of the machine, one at a time, and change at barriers only, so atomic operations are plain ones.
extern "C" {
float fmaf(float, float, float), sqrtf(float), expf(float), exp2f(float), logf(float), tanhf(float), erff(float);
float erfcf(float), fabsf(float), fminf(float, float), fmaxf(float, float), floorf(float), rintf(float);
double fma(double, double, double), sqrt(double), exp(double), fabs(double);
}

#define __CUDACC_RTC__ 1
#define EMULATED 1
#define __device__ static inline
#define __forceinline__ __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __constant__ static const
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) __attribute__((aligned(bytes)))
// A section of its own, so that the emulator finds the variables and poisons them before each block.
#define __shared__ static __attribute__((section("emulated_shared"), used))

static EmulatedBlock *emulatedBlock;
#define gridDim (emulatedBlock->grid)
#define blockDim (emulatedBlock->block)
#define blockIdx (emulatedBlock->blockIndex)
#define threadIdx (emulatedBlock->threadIndex)
enum { warpSize = 32 };

// Words that NVRTC declares as types.
typedef unsigned char uchar;
typedef unsigned long size_t;
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) {
  return {x, y, z, w};
}

template <class To, class From> static inline To emulatedBits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, value);
}
static inline unsigned __float_as_uint(float x) { return emulatedBits<unsigned>(x); }
static inline int __float_as_int(float x) { return emulatedBits<int>(x); }
static inline float __uint_as_float(unsigned x) { return emulatedBits<float>(x); }
static inline float __int_as_float(int x) { return emulatedBits<float>(x); }
static inline long long __double_as_longlong(double x) { return emulatedBits<long long>(x); }
static inline double __longlong_as_double(long long x) { return emulatedBits<double>(x); }

// C has these for double precision only; NVRTC takes the type of the argument.
static inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
static inline float sqrt(float x) { return sqrtf(x); }
static inline float exp(float x) { return expf(x); }
static inline float exp2(float x) { return exp2f(x); }
static inline float log(float x) { return logf(x); }
static inline float tanh(float x) { return tanhf(x); }
static inline float erf(float x) { return erff(x); }
static inline float erfc(float x) { return erfcf(x); }
static inline float fabs(float x) { return fabsf(x); }
static inline float fmin(float x, float y) { return fminf(x, y); }
static inline float fmax(float x, float y) { return fmaxf(x, y); }
static inline float floor(float x) { return floorf(x); }
static inline float rint(float x) { return rintf(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline float __expf(float x) { return expf(x); }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline float __fdividef(float x, float y) { return x / y; }
#define __fmul_rn(x, y) emulatedRounded((x) * (y))
#define __fadd_rn(x, y) emulatedRounded((x) + (y))
#define __fsub_rn(x, y) emulatedRounded((x) - (y))
// Keeps a result from being contracted with the next operation.
static inline float emulatedRounded(float x) {
  asm("" : "+x"(x));
  return x;
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
template <class Value> static inline Value __ldg(const Value *place) { return *place; }
template <class Value> static inline Value __ldcs(const Value *place) { return *place; }
template <class Value> static inline void __stcs(Value *place, Value value) { *place = value; }

static inline int min(int x, int y) { return x < y ? x : y; }
static inline int max(int x, int y) { return x > y ? x : y; }
static inline unsigned min(unsigned x, unsigned y) { return x < y ? x : y; }
static inline unsigned max(unsigned x, unsigned y) { return x > y ? x : y; }
static inline long min(long x, long y) { return x < y ? x : y; }
static inline long max(long x, long y) { return x > y ? x : y; }
static inline float min(float x, float y) { return fminf(x, y); }
static inline float max(float x, float y) { return fmaxf(x, y); }

template <class Value> static inline Value emulatedUpdate(Value *place, Value value) {
  Value old = *place;
  *place = value;
  return old;
}
template <class Value> static inline Value atomicAdd(Value *place, Value value) {
  return emulatedUpdate(place, Value(*place + value));
}
template <class Value> static inline Value atomicMax(Value *place, Value value) {
  return emulatedUpdate(place, *place > value ? *place : value);
}
template <class Value> static inline Value atomicMin(Value *place, Value value) {
  return emulatedUpdate(place, *place < value ? *place : value);
}
template <class Value> static inline Value atomicExch(Value *place, Value value) { return emulatedUpdate(place, value); }
template <class Value> static inline Value atomicCAS(Value *place, Value expected, Value value) {
  return emulatedUpdate(place, *place == expected ? value : *place);
}

static inline void __syncthreads() { emulatedBlock->synchronizeBlock(); }
static inline void __syncwarp(unsigned mask = 0xffffffff) { emulatedBlock->synchronizeWarp(mask); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline unsigned emulatedLane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % warpSize;
}
template <class Value> static inline Value __shfl_sync(unsigned mask, Value value, int lane) {
  return emulatedBits<Value>(emulatedBlock->exchange(mask, {emulatedBits<unsigned>(value)})[unsigned(lane) % warpSize].word[0]);
}
template <class Value> static inline Value __shfl_xor_sync(unsigned mask, Value value, int bits) {
  return __shfl_sync(mask, value, int(emulatedLane() ^ unsigned(bits)));
}
template <class Value> static inline Value __shfl_down_sync(unsigned mask, Value value, unsigned distance) {
  return __shfl_sync(mask, value, int(emulatedLane() + distance < warpSize ? emulatedLane() + distance : emulatedLane()));
}

// What PTX calls cvt.rn.bf16x2.f32 and mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32.
static inline unsigned emulatedBrain(float value) {
  unsigned bits = __float_as_uint(value);
  return value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static inline unsigned wordOfBrains(float first, float second) { return emulatedBrain(first) | emulatedBrain(second) << 16; }
static inline float emulatedHalfOfWord(unsigned word, unsigned half) {
  return __uint_as_float(half ? word & 0xffff0000 : word << 16);
}
static inline void emulatedProduct(float totals[4], const unsigned a[4], const unsigned b[2], unsigned call) {
  const EmulatedWords *lanes = emulatedBlock->exchange(0xffffffff, {{a[0], a[1], a[2], a[3], b[0], b[1]}, call});
  for (unsigned place = 0; place < 4; place++) {
    unsigned row = emulatedLane() / 4 + place / 2 * 8, column = emulatedLane() % 4 * 2 + place % 2;
    double sum = totals[place];
    for (unsigned k = 0; k < 16; k++) {
      unsigned ofA = lanes[row % 8 * 4 + k % 8 / 2].word[row / 8 + k / 8 * 2];
      unsigned ofB = lanes[column * 4 + k % 8 / 2].word[4 + k / 8];
      sum += double(emulatedHalfOfWord(ofA, k % 2)) * emulatedHalfOfWord(ofB, k % 2);
    }
    // Tensor cores cut off what float32 has no room for; an infinity stays one.
    float rounded = float(sum);
    bool isBeyond = fabs(double(rounded)) > fabs(sum) && fabs(double(rounded)) < __builtin_inf();
    totals[place] = isBeyond ? __uint_as_float(__float_as_uint(rounded) - 1) : rounded;
  }
}

// The lanes of a warp have to meet at one place in the text.
#define multiplyFragments(totals, a, b) emulatedProduct(totals, a, b, __COUNTER__ + 1)

// How the emulator reaches a kernel.
template <auto kernel, class Type = decltype(kernel)> struct EmulatedEntry;
template <auto kernel, class... Parameters> struct EmulatedEntry<kernel, void (*)(Parameters...)> {
  template <class Index, Index... index> struct Indices {
    static void call(void **arguments) {
      kernel(*static_cast<__remove_const(Parameters) *>(arguments[index])...);
    }
  };
  static void call(void **arguments) { __make_integer_seq<Indices, unsigned, sizeof...(Parameters)>::call(arguments); }
  static constexpr EmulatedKernel entry(char *start, char *end) {
    return {call, sizeof...(Parameters), {sizeof(Parameters)...}, start, end};
  }
};
// Present in every kernel, so that the section exists.
static __attribute__((section("emulated_shared"), used)) char emulatedSharedAnchor[16];
extern "C" __attribute__((visibility("hidden"))) char __start_emulated_shared[], __stop_emulated_shared[];
extern "C" __attribute__((visibility("default"))) void emulatedEnter(EmulatedBlock *block) { emulatedBlock = block; }
