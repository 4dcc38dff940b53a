// How many cores this process may use: containers and batch systems often grant fewer than the machine has.
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "CVector.h"

#include <unistd.h>

size_t AvailableCores(void) {
#if defined(__linux__)
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return (size_t)CPU_COUNT(&cores);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (size_t)online;
}
