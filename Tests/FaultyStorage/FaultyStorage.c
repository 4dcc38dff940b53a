// Makes files behave as badly as the system allows them to. To be preloaded; variables of the environment say how:
//
//   FAULTY_STORAGE    the directory whose files are concerned, and what is below it; without it none is
//   FAULTY_SEED       a number that the faults follow from, together with the order of the calls
//   FAULTY_SHORT      percent of reads and writes that move only some of the bytes
//   FAULTY_INTERRUPT  percent of calls that end with EINTR before they did anything
//   FAULTY_CALL       the read, write or save that fails with EIO, counted from 1
//   FAULTY_LASTING    when set, all calls after that one fail too
//   FAULTY_UNRESERVED when set, no space can be reserved, as on some network file systems
//   FAULTY_LOG        a file that receives a line "failed PATH" for the first call that fails with EIO, and at the end
//                     "calls N", the number of reads, writes and saves
//   SLOW_WRITES       microseconds that every positioned write waits, whatever the file, so that there is time to
//                     interrupt the fusion of small models
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long draws, calls;
static atomic_flag isLogged = ATOMIC_FLAG_INIT;

static long number(const char *variable) {
  const char *text = getenv(variable);
  return text == NULL ? 0 : atol(text);
}

// The next number that follows from the seed: SplitMix64.
static unsigned long draw(void) {
  unsigned long value = 0x9E3779B97F4A7C15u * (unsigned long)(number("FAULTY_SEED") * 1000003 + ++draws);
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

static int happens(const char *variable) { return (long)(draw() % 100) < number(variable); }

// Finds where an open file is; whether it is concerned.
static int isConcerned(int file, char path[PATH_MAX]) {
  const char *directory = getenv("FAULTY_STORAGE");
  if (directory == NULL) return 0;
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  size_t prefix = strlen(directory);
  return strncmp(path, directory, prefix) == 0 && (path[prefix] == '/' || path[prefix] == 0);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...) {
  const char *log = getenv("FAULTY_LOG");
  int file = log == NULL ? -1 : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  va_list values;
  va_start(values, format);
  vdprintf(file, format, values);
  va_end(values);
  close(file);
}

static int isInterrupted(int file) {
  char path[PATH_MAX];
  if (!isConcerned(file, path) || !happens("FAULTY_INTERRUPT")) return 0;
  errno = EINTR;
  return 1;
}

// Whether a read, write or save goes wrong altogether, with errno set.
static int goesWrong(int file) {
  char path[PATH_MAX];
  if (!isConcerned(file, path)) return 0;
  if (happens("FAULTY_INTERRUPT")) {
    errno = EINTR;
    return 1;
  }
  long call = ++calls, failing = number("FAULTY_CALL");
  if (failing == 0 || call < failing || (call > failing && getenv("FAULTY_LASTING") == NULL)) return 0;
  if (!atomic_flag_test_and_set(&isLogged)) note("failed %s\n", path);
  errno = EIO;
  return 1;
}

// How many of the bytes a read or write moves.
static size_t moved(int file, size_t count) {
  char path[PATH_MAX];
  return count > 1 && isConcerned(file, path) && happens("FAULTY_SHORT") ? 1 + draw() % (count - 1) : count;
}

__attribute__((destructor)) static void end(void) { note("calls %ld\n", atomic_load(&calls)); }

ssize_t read(int file, void *bytes, size_t count) {
  return goesWrong(file) ? -1 : NEXT(read)(file, bytes, moved(file, count));
}

ssize_t write(int file, const void *bytes, size_t count) {
  return goesWrong(file) ? -1 : NEXT(write)(file, bytes, moved(file, count));
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
  return goesWrong(file) ? -1 : NEXT(pread)(file, bytes, moved(file, count), offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  if (getenv("SLOW_WRITES") != NULL) usleep((useconds_t)number("SLOW_WRITES"));
  return goesWrong(file) ? -1 : NEXT(pwrite)(file, bytes, moved(file, count), offset);
}

int fsync(int file) { return goesWrong(file) ? -1 : NEXT(fsync)(file); }

int fdatasync(int file) { return goesWrong(file) ? -1 : NEXT(fdatasync)(file); }

int ftruncate(int file, off_t size) { return isInterrupted(file) ? -1 : NEXT(ftruncate)(file, size); }

int fallocate(int file, int mode, off_t offset, off_t size) {
  char path[PATH_MAX];
  if (getenv("FAULTY_UNRESERVED") != NULL && isConcerned(file, path)) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return isInterrupted(file) ? -1 : NEXT(fallocate)(file, mode, offset, size);
}

ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
