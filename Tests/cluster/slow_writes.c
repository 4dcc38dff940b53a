// Makes every positioned write wait, so that there is time to interrupt the fusion of small models. To be preloaded;
// SLOW_WRITES is the time in microseconds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
  const char *microseconds = getenv("SLOW_WRITES");
  if (microseconds) usleep(atoi(microseconds));
  return next(file, bytes, count, offset);
}

ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
