#include "COpenCL.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// The symbols of the table's entries, in its order.
static const char *const symbols[] = {
    "clGetPlatformIDs",
    "clGetPlatformInfo",
    "clGetDeviceIDs",
    "clGetDeviceInfo",
    "clCreateContext",
    "clReleaseContext",
    "clCreateCommandQueue",
    "clReleaseCommandQueue",
    "clFlush",
    "clFinish",
    "clCreateBuffer",
    "clReleaseMemObject",
    "clEnqueueMapBuffer",
    "clEnqueueUnmapMemObject",
    "clEnqueueReadBuffer",
    "clEnqueueWriteBuffer",
    "clEnqueueCopyBuffer",
    "clCreateProgramWithSource",
    "clCreateProgramWithBinary",
    "clBuildProgram",
    "clGetProgramBuildInfo",
    "clGetProgramInfo",
    "clReleaseProgram",
    "clCreateKernel",
    "clReleaseKernel",
    "clSetKernelArg",
    "clEnqueueNDRangeKernel",
    "clEnqueueMarkerWithWaitList",
    "clWaitForEvents",
    "clGetEventInfo",
    "clGetEventProfilingInfo",
    "clReleaseEvent",
};

enum { SymbolCount = sizeof symbols / sizeof symbols[0] };
_Static_assert(sizeof(struct OpenCLLibrary) == SymbolCount * sizeof(void *), "a symbol for every entry");

bool OpenCLOpen(
    const char *name, struct OpenCLLibrary *library, bool *isThere, char *reason, size_t reasonCapacity) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  *isThere = handle != NULL;
  if (handle == NULL) {
    const char *message = dlerror();
    snprintf(reason, reasonCapacity, "%s", message == NULL ? name : message);
    return false;
  }
  void *entries[SymbolCount];
  for (size_t index = 0; index < SymbolCount; index++) {
    entries[index] = dlsym(handle, symbols[index]);
    if (entries[index] == NULL) {
      snprintf(reason, reasonCapacity, "%s: it has no symbol %s", name, symbols[index]);
      dlclose(handle);
      return false;
    }
  }
  memcpy(library, entries, sizeof entries);
  return true;
}
