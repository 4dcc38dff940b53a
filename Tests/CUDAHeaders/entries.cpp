// Compiles only if the entry points and values of Sources/CCUDA are those of NVIDIA's own headers. The emulated libraries
// know the same declarations as the backend, so that a wrong one would be wrong in both. The driver and NVRTC only: the
// header of cuBLAS comes with 600 MB of its library.
//
// `entries.inc` has a line ENTRY(symbol, table, place) for every symbol that CCUDA.c looks up; `check` writes it.

// All versions of an entry point under their own names.
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <nvrtc.h>

#include "CCUDA.h"

#include <type_traits>

// Whether a handle of ours stands for one of theirs.
template <class Ours, class Theirs>
constexpr bool isHandle = false;
template <>
constexpr bool isHandle<CUDAContext, CUcontext> = true;
template <>
constexpr bool isHandle<CUDAStream, CUstream> = true;
template <>
constexpr bool isHandle<CUDAEvent, CUevent> = true;
template <>
constexpr bool isHandle<CUDAModule, CUmodule> = true;
template <>
constexpr bool isHandle<CUDAFunction, CUfunction> = true;
template <>
constexpr bool isHandle<CUDASourceProgram, nvrtcProgram> = true;

template <class T>
concept isNumber = std::is_integral_v<T> || std::is_enum_v<T>;

template <class T>
concept isPlain = isNumber<T> || std::is_floating_point_v<T> || std::is_pointer_v<T> || std::is_void_v<T>;

// Whether a caller who has `Ours` passes what `Theirs` takes: numbers of one width and sign, handles of one kind, pointers to
// what agrees. Enumerations and int are one, as C passes them.
template <class Ours, class Theirs>
constexpr bool agree() {
  if constexpr (isNumber<Ours> && isNumber<Theirs>) {
    constexpr bool hasSign = !std::is_enum_v<Ours> && !std::is_enum_v<Theirs>;
    return sizeof(Ours) == sizeof(Theirs) && (!hasSign || std::is_signed_v<Ours> == std::is_signed_v<Theirs>);
  } else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using Our = std::remove_pointer_t<Ours>;
    using Their = std::remove_pointer_t<Theirs>;
    if constexpr (std::is_const_v<Their> < std::is_const_v<Our>) {
      return false;
    } else if constexpr (isPlain<std::remove_cv_t<Our>> && isPlain<std::remove_cv_t<Their>>) {
      return agree<std::remove_cv_t<Our>, std::remove_cv_t<Their>>();
    } else {
      return isHandle<Ours, Theirs>;
    }
  } else {
    return std::is_same_v<Ours, Theirs>;
  }
}

template <class Ours, class Theirs>
struct Calls : std::false_type {};

template <class Ours, class... OurArguments, class Theirs, class... TheirArguments>
  requires(sizeof...(OurArguments) == sizeof...(TheirArguments))
struct Calls<Ours (*)(OurArguments...), Theirs (*)(TheirArguments...)>
    : std::bool_constant<agree<Ours, Theirs>() && (agree<OurArguments, TheirArguments>() && ...)> {};

#define ENTRY(symbol, table, place)                                               \
  static_assert(Calls<decltype(table::place), decltype(&symbol)>::value, #symbol " is declared otherwise by NVIDIA");
#include "entries.inc"

static_assert(CUDASuccess == CUDA_SUCCESS && CUDAOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(CUDANoDevice == CUDA_ERROR_NO_DEVICE && CUDANotReady == CUDA_ERROR_NOT_READY);
static_assert(CUDAMaxThreadsPerBlock == CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
static_assert(CUDAMaxSharedMemoryPerBlock == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
static_assert(CUDAMultiprocessorCount == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(CUDAComputeCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(CUDAComputeCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(CUDAStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(CUDAEventWithTiming == CU_EVENT_DEFAULT && CUDAEventWithoutTiming == CU_EVENT_DISABLE_TIMING);
static_assert(CUDAHostMemoryPortable == CU_MEMHOSTALLOC_PORTABLE);
