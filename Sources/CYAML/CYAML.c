#include "CYAML.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// A symbol and its place in the table of function pointers.
struct Symbol {
  const char *name;
  size_t place;
};

bool YAMLOpen(const char *name, struct YAMLLibrary *library, char *reason, size_t reasonCapacity) {
  static const struct Symbol symbols[] = {
      {"yaml_get_version", offsetof(struct YAMLLibrary, version)},
      {"yaml_parser_initialize", offsetof(struct YAMLLibrary, initialize)},
      {"yaml_parser_delete", offsetof(struct YAMLLibrary, destroy)},
      {"yaml_parser_set_input_string", offsetof(struct YAMLLibrary, setInput)},
      {"yaml_parser_parse", offsetof(struct YAMLLibrary, parse)},
      {"yaml_event_delete", offsetof(struct YAMLLibrary, deleteEvent)},
  };
  _Static_assert(sizeof symbols / sizeof symbols[0] * sizeof(void *) == sizeof *library, "a symbol for every entry");
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
  for (size_t index = 0; index < sizeof symbols / sizeof symbols[0]; index++) {
    void *symbol = dlsym(handle, symbols[index].name);
    if (symbol == NULL) {
      snprintf(reason, reasonCapacity, "%s: it has no symbol %s", name, symbols[index].name);
      dlclose(handle);
      return false;
    }
    memcpy((char *)library + symbols[index].place, &symbol, sizeof symbol);
  }
  int major, minor, patch;
  library->version(&major, &minor, &patch);
  if (major != 0 || minor < 1 || minor > 2) {
    snprintf(reason, reasonCapacity, "%s: it is version %d.%d.%d and not 0.1 or 0.2", name, major, minor, patch);
    dlclose(handle);
    return false;
  }
  return true;
}
