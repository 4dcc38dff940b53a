// The time that the bytes of a merge take by themselves: reads files with four threads in pieces of 4 MiB, then writes as
// many bytes as the first one has, and saves them to the disk.
//
//   byte_floor OUTPUT INPUT...      prints seconds of reading, of writing and of saving
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { Threads = 4, Piece = 4 << 20, MostFiles = 16 };

static int files[MostFiles];
static off_t sizes[MostFiles];
static int fileCount;
static atomic_long nextPiece;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

// The pieces of all files, file by file, until none is left.
static void *readPieces(void *buffer) {
  for (;;) {
    off_t offset = (off_t)atomic_fetch_add(&nextPiece, 1) * Piece;
    int file = 0;
    while (file < fileCount && offset >= (sizes[file] + Piece - 1) / Piece * Piece) {
      offset -= (sizes[file] + Piece - 1) / Piece * Piece;
      file++;
    }
    if (file == fileCount) return NULL;
    for (off_t end = offset + Piece < sizes[file] ? offset + Piece : sizes[file]; offset < end;) {
      ssize_t count = pread(files[file], buffer, end - offset, offset);
      if (count <= 0) fail("read");
      offset += count;
    }
  }
}

int main(int count, char **arguments) {
  if (count < 3 || count > 2 + MostFiles) return 64;
  for (int argument = 2; argument < count; argument++, fileCount++) {
    struct stat facts;
    files[fileCount] = open(arguments[argument], O_RDONLY);
    if (files[fileCount] < 0 || fstat(files[fileCount], &facts) != 0) fail(arguments[argument]);
    sizes[fileCount] = facts.st_size;
  }
  char *buffers = calloc(Threads, Piece);
  int output = open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (buffers == NULL || output < 0) fail(arguments[1]);

  double start = seconds();
  pthread_t threads[Threads];
  for (int thread = 0; thread < Threads; thread++)
    if (pthread_create(&threads[thread], NULL, readPieces, buffers + (size_t)thread * Piece) != 0) fail("thread");
  for (int thread = 0; thread < Threads; thread++) pthread_join(threads[thread], NULL);
  double read = seconds();
  for (off_t done = 0; done < sizes[0];) {
    ssize_t written = write(output, buffers, sizes[0] - done < Piece ? sizes[0] - done : Piece);
    if (written <= 0) fail("write");
    done += written;
  }
  double written = seconds();
  if (fsync(output) != 0) fail("save");
  printf("%.3f %.3f %.3f\n", read - start, written - read, seconds() - written);
}
