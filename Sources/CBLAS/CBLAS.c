#include "CBLAS.h"

#include <dlfcn.h>
#include <stdio.h>

// The first of several alternative symbols that the library has, or null.
static void *firstSymbol(void *library, const char *const names[], size_t count) {
  for (size_t index = 0; index < count; index++) {
    void *symbol = dlsym(library, names[index]);
    if (symbol != NULL) return symbol;
  }
  return NULL;
}

bool BLASOpen(const char *name, struct BLASLibrary *library, char *reason, size_t reasonCapacity) {
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
  void *multiply = dlsym(handle, "cblas_sgemm");
  if (multiply == NULL) {
    snprintf(reason, reasonCapacity, "%s: it has no symbol cblas_sgemm", name);
    dlclose(handle);
    return false;
  }
  static const char *const threadSymbols[] = {"openblas_set_num_threads", "MKL_Set_Num_Threads",
                                              "flexiblas_set_num_threads"};
  static const char *const makerSymbols[] = {"openblas_get_config", "MKL_Get_Max_Threads", "bli_info_get_version_str",
                                             "flexiblas_get_version"};
  library->multiply = (BLASMultiply)multiply;
  library->setThreadCount = (void (*)(int))firstSymbol(handle, threadSymbols, 3);
  library->describe = (const char *(*)(void))dlsym(handle, "openblas_get_config");
  library->isOptimised = firstSymbol(handle, makerSymbols, 4) != NULL;
  return true;
}
