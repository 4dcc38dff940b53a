// The entry points of OpenCL 1.2 that Recall calls, looked up in a library that is opened at run time. Just enough typedefs
// to call them; values are those of Khronos' headers, which never change.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a call returns; 0 is success.
typedef int32_t OpenCLStatus;
static const OpenCLStatus OpenCLSuccess = 0;
static const OpenCLStatus OpenCLDeviceNotFound = -1;
static const OpenCLStatus OpenCLDeviceNotAvailable = -2;
static const OpenCLStatus OpenCLMemoryAllocationFailure = -4;
static const OpenCLStatus OpenCLOutOfResources = -5;
static const OpenCLStatus OpenCLOutOfHostMemory = -6;
static const OpenCLStatus OpenCLBuildProgramFailure = -11;
static const OpenCLStatus OpenCLInvalidCommandQueue = -36;
static const OpenCLStatus OpenCLInvalidBufferSize = -61;
static const OpenCLStatus OpenCLPlatformNotFound = -1001;

typedef struct OpenCLPlatformObject *OpenCLPlatform;
typedef struct OpenCLDeviceObject *OpenCLDeviceHandle;
typedef struct OpenCLContextObject *OpenCLContext;
typedef struct OpenCLQueueObject *OpenCLQueue;
typedef struct OpenCLMemoryObject *OpenCLMemory;
typedef struct OpenCLProgramObject *OpenCLProgramHandle;
typedef struct OpenCLKernelObject *OpenCLKernelHandle;
typedef struct OpenCLEventObject *OpenCLEvent;

static const uint32_t OpenCLPlatformVersion = 0x0901;
static const uint32_t OpenCLPlatformName = 0x0902;

static const uint32_t OpenCLDeviceType = 0x1000;
static const uint32_t OpenCLDeviceMaxComputeUnits = 0x1002;
static const uint32_t OpenCLDeviceMaxWorkGroupSize = 0x1004;
static const uint32_t OpenCLDeviceMaxMemoryAllocationSize = 0x1010;
static const uint32_t OpenCLDeviceSingleFloatConfig = 0x101B;
static const uint32_t OpenCLDeviceGlobalMemorySize = 0x101F;
static const uint32_t OpenCLDeviceLocalMemorySize = 0x1023;
static const uint32_t OpenCLDeviceAvailable = 0x1027;
static const uint32_t OpenCLDeviceCompilerAvailable = 0x1028;
static const uint32_t OpenCLDeviceName = 0x102B;
static const uint32_t OpenCLDriverVersion = 0x102D;
static const uint32_t OpenCLDeviceVersion = 0x102F;
static const uint32_t OpenCLDeviceExtensions = 0x1030;
static const uint64_t OpenCLTypeCPU = 1 << 1;
static const uint64_t OpenCLTypeGPU = 1 << 2;
static const uint64_t OpenCLTypeAll = 0xFFFFFFFF;
static const uint64_t OpenCLFloatDenormals = 1 << 0;
static const uint64_t OpenCLQueueProfiling = 1 << 1;
static const uint64_t OpenCLMemoryReadWrite = 1 << 0;
static const uint64_t OpenCLMemoryAllocateHost = 1 << 4;
static const uint64_t OpenCLMapReadWrite = 3;
static const uint32_t OpenCLProgramBinarySizes = 0x1165;
static const uint32_t OpenCLProgramBinaries = 0x1166;
static const uint32_t OpenCLBuildLog = 0x1183;
static const uint32_t OpenCLEventExecutionStatus = 0x11D3;
static const int32_t OpenCLComplete = 0;
static const uint32_t OpenCLProfilingEnd = 0x1283;

// The entry points, in the order in which they are looked up.
struct OpenCLLibrary {
  OpenCLStatus (*_Nonnull platforms)(
      uint32_t capacity, OpenCLPlatform _Nullable *_Nullable platforms, uint32_t *_Nullable count);
  OpenCLStatus (*_Nonnull platformInfo)(
      OpenCLPlatform _Nullable platform, uint32_t name, size_t capacity, void *_Nullable value, size_t *_Nullable size);
  OpenCLStatus (*_Nonnull devices)(
      OpenCLPlatform _Nullable platform, uint64_t type, uint32_t capacity,
      OpenCLDeviceHandle _Nullable *_Nullable devices, uint32_t *_Nullable count);
  OpenCLStatus (*_Nonnull deviceInfo)(
      OpenCLDeviceHandle _Nullable device, uint32_t name, size_t capacity, void *_Nullable value,
      size_t *_Nullable size);

  OpenCLContext _Nullable (*_Nonnull createContext)(
      const intptr_t *_Nullable properties, uint32_t deviceCount,
      const OpenCLDeviceHandle _Nullable *_Nonnull devices, const void *_Nullable notify, void *_Nullable userData,
      OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull releaseContext)(OpenCLContext _Nonnull context);
  OpenCLQueue _Nullable (*_Nonnull createQueue)(
      OpenCLContext _Nonnull context, OpenCLDeviceHandle _Nonnull device, uint64_t properties,
      OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull releaseQueue)(OpenCLQueue _Nonnull queue);
  OpenCLStatus (*_Nonnull flush)(OpenCLQueue _Nonnull queue);
  OpenCLStatus (*_Nonnull finish)(OpenCLQueue _Nonnull queue);

  OpenCLMemory _Nullable (*_Nonnull createBuffer)(
      OpenCLContext _Nonnull context, uint64_t flags, size_t byteCount, void *_Nullable host,
      OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull releaseMemory)(OpenCLMemory _Nonnull memory);
  void *_Nullable (*_Nonnull map)(
      OpenCLQueue _Nonnull queue, OpenCLMemory _Nonnull memory, uint32_t blocking, uint64_t flags, size_t offset,
      size_t byteCount, uint32_t waitCount, const OpenCLEvent _Nullable *_Nullable waits,
      OpenCLEvent _Nullable *_Nullable event, OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull unmap)(
      OpenCLQueue _Nonnull queue, OpenCLMemory _Nonnull memory, void *_Nonnull address, uint32_t waitCount,
      const OpenCLEvent _Nullable *_Nullable waits, OpenCLEvent _Nullable *_Nullable event);
  OpenCLStatus (*_Nonnull read)(
      OpenCLQueue _Nonnull queue, OpenCLMemory _Nonnull memory, uint32_t blocking, size_t offset, size_t byteCount,
      void *_Nonnull host, uint32_t waitCount, const OpenCLEvent _Nullable *_Nullable waits,
      OpenCLEvent _Nullable *_Nullable event);
  OpenCLStatus (*_Nonnull write)(
      OpenCLQueue _Nonnull queue, OpenCLMemory _Nonnull memory, uint32_t blocking, size_t offset, size_t byteCount,
      const void *_Nonnull host, uint32_t waitCount, const OpenCLEvent _Nullable *_Nullable waits,
      OpenCLEvent _Nullable *_Nullable event);
  OpenCLStatus (*_Nonnull copy)(
      OpenCLQueue _Nonnull queue, OpenCLMemory _Nonnull source, OpenCLMemory _Nonnull destination,
      size_t sourceOffset, size_t destinationOffset, size_t byteCount, uint32_t waitCount,
      const OpenCLEvent _Nullable *_Nullable waits, OpenCLEvent _Nullable *_Nullable event);

  OpenCLProgramHandle _Nullable (*_Nonnull programWithSource)(
      OpenCLContext _Nonnull context, uint32_t count, const char *_Nullable *_Nonnull texts,
      const size_t *_Nullable lengths, OpenCLStatus *_Nonnull status);
  OpenCLProgramHandle _Nullable (*_Nonnull programWithBinary)(
      OpenCLContext _Nonnull context, uint32_t deviceCount, const OpenCLDeviceHandle _Nullable *_Nonnull devices,
      const size_t *_Nonnull lengths, const uint8_t *_Nullable *_Nonnull binaries,
      OpenCLStatus *_Nullable binaryStatus, OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull build)(
      OpenCLProgramHandle _Nonnull program, uint32_t deviceCount, const OpenCLDeviceHandle _Nullable *_Nonnull devices,
      const char *_Nonnull options, const void *_Nullable notify, void *_Nullable userData);
  OpenCLStatus (*_Nonnull buildInfo)(
      OpenCLProgramHandle _Nonnull program, OpenCLDeviceHandle _Nonnull device, uint32_t name, size_t capacity,
      void *_Nullable value, size_t *_Nullable size);
  OpenCLStatus (*_Nonnull programInfo)(
      OpenCLProgramHandle _Nonnull program, uint32_t name, size_t capacity, void *_Nullable value,
      size_t *_Nullable size);
  OpenCLStatus (*_Nonnull releaseProgram)(OpenCLProgramHandle _Nonnull program);
  OpenCLKernelHandle _Nullable (*_Nonnull createKernel)(
      OpenCLProgramHandle _Nonnull program, const char *_Nonnull name, OpenCLStatus *_Nonnull status);
  OpenCLStatus (*_Nonnull releaseKernel)(OpenCLKernelHandle _Nonnull kernel);
  OpenCLStatus (*_Nonnull setArgument)(
      OpenCLKernelHandle _Nonnull kernel, uint32_t index, size_t size, const void *_Nullable value);
  OpenCLStatus (*_Nonnull launch)(
      OpenCLQueue _Nonnull queue, OpenCLKernelHandle _Nonnull kernel, uint32_t dimensions,
      const size_t *_Nullable offset, const size_t *_Nonnull globalSize, const size_t *_Nonnull localSize,
      uint32_t waitCount, const OpenCLEvent _Nullable *_Nullable waits, OpenCLEvent _Nullable *_Nullable event);

  OpenCLStatus (*_Nonnull marker)(
      OpenCLQueue _Nonnull queue, uint32_t waitCount, const OpenCLEvent _Nullable *_Nullable waits,
      OpenCLEvent _Nullable *_Nullable event);
  OpenCLStatus (*_Nonnull wait)(uint32_t count, const OpenCLEvent _Nullable *_Nonnull events);
  OpenCLStatus (*_Nonnull eventInfo)(
      OpenCLEvent _Nonnull event, uint32_t name, size_t capacity, void *_Nullable value, size_t *_Nullable size);
  OpenCLStatus (*_Nonnull eventTime)(
      OpenCLEvent _Nonnull event, uint32_t name, size_t capacity, void *_Nullable value, size_t *_Nullable size);
  OpenCLStatus (*_Nonnull releaseEvent)(OpenCLEvent _Nonnull event);
};

// Opens a library by file name or path; it is never closed. Returns false when that fails, with a reason that names the
// library and, when only that is missing (`*isThere`), the first symbol that it lacks.
bool OpenCLOpen(
    const char *_Nonnull name, struct OpenCLLibrary *_Nonnull library, bool *_Nonnull isThere, char *_Nonnull reason,
    size_t reasonCapacity);
