#include "CCUDA.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// A symbol and its place in a table of function pointers.
struct Symbol {
  const char *name;
  size_t place;
};

// Opens a library and fills a table with its symbols.
static bool openTable(
    const char *name, const struct Symbol *symbols, size_t count, void *table, char *reason, size_t reasonCapacity) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    const char *message = dlerror();
    if (message == NULL) {
      snprintf(reason, reasonCapacity, "%s: could not be opened", name);
    } else {
      snprintf(reason, reasonCapacity, "%s", message);
    }
    return false;
  }
  for (size_t index = 0; index < count; index++) {
    void *symbol = dlsym(handle, symbols[index].name);
    if (symbol == NULL) {
      snprintf(reason, reasonCapacity, "%s: it has no symbol %s", name, symbols[index].name);
      dlclose(handle);
      return false;
    }
    memcpy((char *)table + symbols[index].place, &symbol, sizeof symbol);
  }
  return true;
}

// Opens a library that lies in the directory of another: NVIDIA's wheels for Python keep libraries where the loader does not
// look for what they need. Without a directory, or where there is none, the loader's search is all there is.
static void openBeside(const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  char beside[4096];
  if (slash == NULL) return;
  int length = snprintf(beside, sizeof beside, "%.*s/%s", (int)(slash - path), path, name);
  if (length > 0 && (size_t)length < sizeof beside) dlopen(beside, RTLD_NOW | RTLD_LOCAL);
}

// The driver keeps old meanings under plain names and puts new ones under names with a version.
bool CUDADriverOpen(const char *name, struct CUDADriver *driver, char *reason, size_t reasonCapacity) {
  static const struct Symbol symbols[] = {
      {"cuInit", offsetof(struct CUDADriver, initialize)},
      {"cuDriverGetVersion", offsetof(struct CUDADriver, driverVersion)},
      {"cuGetErrorName", offsetof(struct CUDADriver, errorName)},
      {"cuGetErrorString", offsetof(struct CUDADriver, errorText)},
      {"cuDeviceGetCount", offsetof(struct CUDADriver, deviceCount)},
      {"cuDeviceGet", offsetof(struct CUDADriver, device)},
      {"cuDeviceGetName", offsetof(struct CUDADriver, deviceName)},
      {"cuDeviceTotalMem_v2", offsetof(struct CUDADriver, deviceMemory)},
      {"cuDeviceGetAttribute", offsetof(struct CUDADriver, deviceAttribute)},
      {"cuDevicePrimaryCtxRetain", offsetof(struct CUDADriver, retainPrimaryContext)},
      {"cuDevicePrimaryCtxRelease_v2", offsetof(struct CUDADriver, releasePrimaryContext)},
      {"cuCtxSetCurrent", offsetof(struct CUDADriver, setCurrentContext)},
      {"cuCtxSynchronize", offsetof(struct CUDADriver, synchronizeContext)},
      {"cuMemGetInfo_v2", offsetof(struct CUDADriver, memoryInfo)},
      {"cuMemAlloc_v2", offsetof(struct CUDADriver, allocate)},
      {"cuMemFree_v2", offsetof(struct CUDADriver, release)},
      {"cuMemHostAlloc", offsetof(struct CUDADriver, allocateHost)},
      {"cuMemFreeHost", offsetof(struct CUDADriver, releaseHost)},
      {"cuMemcpyHtoDAsync_v2", offsetof(struct CUDADriver, copyToDevice)},
      {"cuMemcpyDtoHAsync_v2", offsetof(struct CUDADriver, copyToHost)},
      {"cuMemcpyDtoDAsync_v2", offsetof(struct CUDADriver, copyOnDevice)},
      {"cuMemsetD8Async", offsetof(struct CUDADriver, fill)},
      {"cuStreamCreate", offsetof(struct CUDADriver, createStream)},
      {"cuStreamDestroy_v2", offsetof(struct CUDADriver, destroyStream)},
      {"cuStreamSynchronize", offsetof(struct CUDADriver, synchronizeStream)},
      {"cuStreamWaitEvent", offsetof(struct CUDADriver, waitForEvent)},
      {"cuEventCreate", offsetof(struct CUDADriver, createEvent)},
      {"cuEventDestroy_v2", offsetof(struct CUDADriver, destroyEvent)},
      {"cuEventRecord", offsetof(struct CUDADriver, recordEvent)},
      {"cuEventQuery", offsetof(struct CUDADriver, queryEvent)},
      {"cuEventSynchronize", offsetof(struct CUDADriver, synchronizeEvent)},
      {"cuEventElapsedTime", offsetof(struct CUDADriver, millisecondsBetween)},
      {"cuModuleLoadData", offsetof(struct CUDADriver, loadModule)},
      {"cuModuleUnload", offsetof(struct CUDADriver, unloadModule)},
      {"cuModuleGetFunction", offsetof(struct CUDADriver, function)},
      {"cuLaunchKernel", offsetof(struct CUDADriver, launch)},
  };
  _Static_assert(sizeof symbols / sizeof symbols[0] * sizeof(void *) == sizeof *driver, "a symbol for every entry");
  return openTable(name, symbols, sizeof symbols / sizeof symbols[0], driver, reason, reasonCapacity);
}

bool CUDACompilerOpen(const char *name, struct CUDACompiler *compiler, char *reason, size_t reasonCapacity) {
  static const struct Symbol symbols[] = {
      {"nvrtcVersion", offsetof(struct CUDACompiler, version)},
      {"nvrtcGetErrorString", offsetof(struct CUDACompiler, errorText)},
      {"nvrtcGetNumSupportedArchs", offsetof(struct CUDACompiler, architectureCount)},
      {"nvrtcGetSupportedArchs", offsetof(struct CUDACompiler, architectures)},
      {"nvrtcCreateProgram", offsetof(struct CUDACompiler, createProgram)},
      {"nvrtcDestroyProgram", offsetof(struct CUDACompiler, destroyProgram)},
      {"nvrtcCompileProgram", offsetof(struct CUDACompiler, compile)},
      {"nvrtcGetProgramLogSize", offsetof(struct CUDACompiler, logSize)},
      {"nvrtcGetProgramLog", offsetof(struct CUDACompiler, log)},
      {"nvrtcGetCUBINSize", offsetof(struct CUDACompiler, cubinSize)},
      {"nvrtcGetCUBIN", offsetof(struct CUDACompiler, cubin)},
      {"nvrtcGetPTXSize", offsetof(struct CUDACompiler, assemblySize)},
      {"nvrtcGetPTX", offsetof(struct CUDACompiler, assembly)},
  };
  _Static_assert(sizeof symbols / sizeof symbols[0] * sizeof(void *) == sizeof *compiler, "a symbol for every entry");
  if (!openTable(name, symbols, sizeof symbols / sizeof symbols[0], compiler, reason, reasonCapacity)) return false;
  int major, minor;
  char builtins[64];
  if (compiler->version(&major, &minor) == 0) {
    snprintf(builtins, sizeof builtins, "libnvrtc-builtins.so.%d.%d", major, minor);
    openBeside(name, builtins);
  }
  return true;
}

bool CUDABLASOpen(const char *name, struct CUDABLAS *blas, char *reason, size_t reasonCapacity) {
  static const struct Symbol symbols[] = {
      {"cublasCreate_v2", offsetof(struct CUDABLAS, create)},
      {"cublasDestroy_v2", offsetof(struct CUDABLAS, destroy)},
      {"cublasGetVersion_v2", offsetof(struct CUDABLAS, version)},
      {"cublasSetStream_v2", offsetof(struct CUDABLAS, setStream)},
      {"cublasSetPointerMode_v2", offsetof(struct CUDABLAS, setPointerMode)},
      {"cublasGemmEx", offsetof(struct CUDABLAS, multiply)},
  };
  _Static_assert(sizeof symbols / sizeof symbols[0] * sizeof(void *) == sizeof *blas, "a symbol for every entry");
  // libcublas.so.12 needs libcublasLt.so.12.
  const char *ending = strstr(name, ".so");
  char companion[64];
  if (ending != NULL) {
    snprintf(companion, sizeof companion, "libcublasLt%s", ending);
    openBeside(name, companion);
  }
  return openTable(name, symbols, sizeof symbols / sizeof symbols[0], blas, reason, reasonCapacity);
}
