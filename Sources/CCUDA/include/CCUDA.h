// The entry points of CUDA that Recall calls, looked up in libraries that are opened at run time: the driver, the run-time
// compiler NVRTC, and cuBLAS. Just enough typedefs to call them; values are those of NVIDIA's headers, which never change.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// MARK: Driver

// What a driver call returns; 0 is success.
typedef int CUDAStatus;
enum CUDAStatusValue {
  CUDASuccess = 0,
  CUDAOutOfMemory = 2,
  CUDANoDevice = 100,
  CUDANotReady = 600,
};

typedef int CUDADeviceHandle;
typedef uint64_t CUDAAddress;
typedef struct CUDAContextObject *CUDAContext;
typedef struct CUDAStreamObject *CUDAStream;
typedef struct CUDAEventObject *CUDAEvent;
typedef struct CUDAModuleObject *CUDAModule;
typedef struct CUDAFunctionObject *CUDAFunction;

enum CUDADeviceAttribute {
  CUDAMaxThreadsPerBlock = 1,
  CUDAMaxSharedMemoryPerBlock = 8,
  CUDAMultiprocessorCount = 16,
  CUDAComputeCapabilityMajor = 75,
  CUDAComputeCapabilityMinor = 76,
};
enum CUDAStreamFlag { CUDAStreamNonBlocking = 1 };
enum CUDAEventFlag { CUDAEventWithTiming = 0, CUDAEventWithoutTiming = 2 };
enum CUDAHostMemoryFlag { CUDAHostMemoryPortable = 1 };

// The driver's entry points. Streams, events, copies and launches take handles of the context that is current in the
// calling thread.
struct CUDADriver {
  CUDAStatus (*_Nonnull initialize)(unsigned flags);
  CUDAStatus (*_Nonnull driverVersion)(int *_Nonnull version);  // 1000 · major + 10 · minor, such as 12040
  CUDAStatus (*_Nonnull errorName)(CUDAStatus status, const char *_Nullable *_Nonnull name);
  CUDAStatus (*_Nonnull errorText)(CUDAStatus status, const char *_Nullable *_Nonnull text);

  CUDAStatus (*_Nonnull deviceCount)(int *_Nonnull count);
  CUDAStatus (*_Nonnull device)(CUDADeviceHandle *_Nonnull device, int ordinal);
  CUDAStatus (*_Nonnull deviceName)(char *_Nonnull name, int capacity, CUDADeviceHandle device);
  CUDAStatus (*_Nonnull deviceMemory)(size_t *_Nonnull byteCount, CUDADeviceHandle device);
  CUDAStatus (*_Nonnull deviceAttribute)(int *_Nonnull value, int attribute, CUDADeviceHandle device);

  CUDAStatus (*_Nonnull retainPrimaryContext)(CUDAContext _Nullable *_Nonnull context, CUDADeviceHandle device);
  CUDAStatus (*_Nonnull releasePrimaryContext)(CUDADeviceHandle device);
  CUDAStatus (*_Nonnull setCurrentContext)(CUDAContext _Nullable context);
  CUDAStatus (*_Nonnull synchronizeContext)(void);

  CUDAStatus (*_Nonnull memoryInfo)(size_t *_Nonnull free, size_t *_Nonnull total);
  CUDAStatus (*_Nonnull allocate)(CUDAAddress *_Nonnull address, size_t byteCount);
  CUDAStatus (*_Nonnull release)(CUDAAddress address);
  CUDAStatus (*_Nonnull allocateHost)(void *_Nullable *_Nonnull address, size_t byteCount, unsigned flags);
  CUDAStatus (*_Nonnull releaseHost)(void *_Nonnull address);
  CUDAStatus (*_Nonnull copyToDevice)(
      CUDAAddress destination, const void *_Nonnull source, size_t byteCount, CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull copyToHost)(
      void *_Nonnull destination, CUDAAddress source, size_t byteCount, CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull copyOnDevice)(
      CUDAAddress destination, CUDAAddress source, size_t byteCount, CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull fill)(CUDAAddress address, unsigned char byte, size_t byteCount, CUDAStream _Nonnull stream);

  CUDAStatus (*_Nonnull createStream)(CUDAStream _Nullable *_Nonnull stream, unsigned flags);
  CUDAStatus (*_Nonnull destroyStream)(CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull synchronizeStream)(CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull waitForEvent)(CUDAStream _Nonnull stream, CUDAEvent _Nonnull event, unsigned flags);

  CUDAStatus (*_Nonnull createEvent)(CUDAEvent _Nullable *_Nonnull event, unsigned flags);
  CUDAStatus (*_Nonnull destroyEvent)(CUDAEvent _Nonnull event);
  CUDAStatus (*_Nonnull recordEvent)(CUDAEvent _Nonnull event, CUDAStream _Nonnull stream);
  CUDAStatus (*_Nonnull queryEvent)(CUDAEvent _Nonnull event);
  CUDAStatus (*_Nonnull synchronizeEvent)(CUDAEvent _Nonnull event);
  CUDAStatus (*_Nonnull millisecondsBetween)(
      float *_Nonnull milliseconds, CUDAEvent _Nonnull start, CUDAEvent _Nonnull end);

  CUDAStatus (*_Nonnull loadModule)(CUDAModule _Nullable *_Nonnull module, const void *_Nonnull image);
  CUDAStatus (*_Nonnull unloadModule)(CUDAModule _Nonnull module);
  CUDAStatus (*_Nonnull function)(
      CUDAFunction _Nullable *_Nonnull function, CUDAModule _Nonnull module, const char *_Nonnull name);
  CUDAStatus (*_Nonnull launch)(
      CUDAFunction _Nonnull function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
      unsigned blockZ, unsigned sharedBytes, CUDAStream _Nonnull stream, void *_Nullable *_Nonnull arguments,
      void *_Nullable *_Nullable extra);
};

// MARK: NVRTC

// What an NVRTC call returns; 0 is success.
typedef int CUDACompilerStatus;
typedef struct CUDASourceProgramObject *CUDASourceProgram;

// The run-time compiler's entry points. It needs no device.
struct CUDACompiler {
  CUDACompilerStatus (*_Nonnull version)(int *_Nonnull major, int *_Nonnull minor);
  const char *_Nonnull (*_Nonnull errorText)(CUDACompilerStatus status);
  CUDACompilerStatus (*_Nonnull architectureCount)(int *_Nonnull count);
  CUDACompilerStatus (*_Nonnull architectures)(int *_Nonnull architectures);  // such as 75, 80; ascending
  CUDACompilerStatus (*_Nonnull createProgram)(
      CUDASourceProgram _Nullable *_Nonnull program, const char *_Nonnull source, const char *_Nullable name, int headerCount,
      const char *_Nonnull const *_Nullable headers, const char *_Nonnull const *_Nullable includeNames);
  CUDACompilerStatus (*_Nonnull destroyProgram)(CUDASourceProgram _Nullable *_Nonnull program);
  CUDACompilerStatus (*_Nonnull compile)(
      CUDASourceProgram _Nonnull program, int optionCount, const char *_Nonnull const *_Nonnull options);
  CUDACompilerStatus (*_Nonnull logSize)(CUDASourceProgram _Nonnull program, size_t *_Nonnull byteCount);
  CUDACompilerStatus (*_Nonnull log)(CUDASourceProgram _Nonnull program, char *_Nonnull log);
  CUDACompilerStatus (*_Nonnull cubinSize)(CUDASourceProgram _Nonnull program, size_t *_Nonnull byteCount);
  CUDACompilerStatus (*_Nonnull cubin)(CUDASourceProgram _Nonnull program, char *_Nonnull cubin);
  CUDACompilerStatus (*_Nonnull assemblySize)(CUDASourceProgram _Nonnull program, size_t *_Nonnull byteCount);
  CUDACompilerStatus (*_Nonnull assembly)(CUDASourceProgram _Nonnull program, char *_Nonnull assembly);  // PTX
};

// MARK: cuBLAS

// What a cuBLAS call returns; 0 is success.
typedef int CUDABLASStatus;
typedef struct CUDABLASObject *CUDABLASHandle;

enum CUDABLASOperation { CUDABLASAsStored = 0, CUDABLASTransposed = 1 };
enum CUDABLASType { CUDABLASFloat32 = 0, CUDABLASFloat16 = 2, CUDABLASBFloat16 = 14 };
enum CUDABLASCompute {
  CUDABLASComputeFloat32 = 68,
  // Float32 throughout: no tensor cores of lower precision, whatever the environment says.
  CUDABLASComputeFloat32Pedantic = 69,
};
enum CUDABLASAlgorithm { CUDABLASDefaultAlgorithm = -1 };
enum CUDABLASPointerMode { CUDABLASHostScalars = 0, CUDABLASDeviceScalars = 1 };

// cuBLAS' entry points. Matrices are column major.
struct CUDABLAS {
  CUDABLASStatus (*_Nonnull create)(CUDABLASHandle _Nullable *_Nonnull handle);
  CUDABLASStatus (*_Nonnull destroy)(CUDABLASHandle _Nonnull handle);
  CUDABLASStatus (*_Nonnull version)(CUDABLASHandle _Nonnull handle, int *_Nonnull version);
  CUDABLASStatus (*_Nonnull setStream)(CUDABLASHandle _Nonnull handle, CUDAStream _Nonnull stream);
  CUDABLASStatus (*_Nonnull setPointerMode)(CUDABLASHandle _Nonnull handle, int mode);
  // out[m, n] = alpha * op(a)[m, k] * op(b)[k, n] + beta * out, all column major; alpha and beta as the compute type says.
  CUDABLASStatus (*_Nonnull multiply)(
      CUDABLASHandle _Nonnull handle, int operationOnA, int operationOnB, int m, int n, int k,
      const void *_Nonnull alpha, const void *_Nonnull a, int typeOfA, int columnLengthOfA, const void *_Nonnull b,
      int typeOfB, int columnLengthOfB, const void *_Nonnull beta, void *_Nonnull out, int typeOfOut,
      int columnLengthOfOut, int compute, int algorithm);
};

// MARK: Opening

// Each opens a library by file name or path and fills the table. Returns false and a reason that names the library, and
// the first symbol that it lacks, when that fails. An open library is never closed: its threads may outlive any caller.
bool CUDADriverOpen(
    const char *_Nonnull name, struct CUDADriver *_Nonnull driver, char *_Nonnull reason, size_t reasonCapacity);
bool CUDACompilerOpen(
    const char *_Nonnull name, struct CUDACompiler *_Nonnull compiler, char *_Nonnull reason, size_t reasonCapacity);
bool CUDABLASOpen(
    const char *_Nonnull name, struct CUDABLAS *_Nonnull blas, char *_Nonnull reason, size_t reasonCapacity);
