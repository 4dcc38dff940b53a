// The driver's entry points over host memory. Streams keep their work until something waits for it, and copies can be asked
// to run early, so that work which lacks an event to order it comes in the wrong order. Misuse that a real driver may let
// pass is refused: calls without a current context, copies outside of an allocation or of memory that is not pinned, memory
// freed while work is pending.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "Emulator.h"

namespace {

enum Status {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  invalidHandle = 400,
  illegalState = 401,
  notFound = 500,
  notReady = 600,
  launchFailed = 719,
};

constexpr size_t deviceBytes = 1 << 30;
constexpr size_t guardBytes = 512;
constexpr unsigned char poison = 0xff, guard = 0xc3;

}  // namespace

struct Event {
  Stream *stream = nullptr;
  size_t place = 0;  // recorded when so many commands of the stream are done
  bool timed = false;
  std::chrono::steady_clock::time_point time;
};

struct Command {
  std::function<void()> work;
  bool isCopy = false;
  Stream *waitsFor = nullptr;
  size_t waitsForPlace = 0;
};

struct Stream {
  std::deque<Command> pending;
  size_t done = 0;
  size_t end() const { return done + pending.size(); }
};

namespace {

struct Module {
  void *library;
  void (*enter)(EmulatedBlock *);
};

struct Function {
  std::string name;
  const EmulatedKernel *kernel;
  void (*enter)(EmulatedBlock *);
};

std::recursive_mutex lock;
bool initialized = false;
bool copiesRunEarly = false;
int context = 0;
thread_local void *currentContext = nullptr;
int stickyError = success;
size_t allocatedBytes = 0;
std::map<uintptr_t, size_t> deviceMemory, hostMemory;
std::vector<Stream *> streams;

using Guard = std::lock_guard<std::recursive_mutex>;

void run(Stream *stream, size_t place) {
  while (stream->done < place && !stream->pending.empty()) {
    Command command = std::move(stream->pending.front());
    stream->pending.pop_front();
    if (command.waitsFor) run(command.waitsFor, command.waitsForPlace);
    if (command.work && stickyError == success) command.work();
    stream->done++;
  }
}

void append(Stream *stream, Command command) {
  stream->pending.push_back(std::move(command));
  if (copiesRunEarly && stream->pending.back().isCopy) run(stream, stream->end());
}

// Whether bytes lie in one allocation.
bool contains(const std::map<uintptr_t, size_t> &memory, uintptr_t address, size_t byteCount) {
  auto next = memory.upper_bound(address);
  if (next == memory.begin()) return false;
  auto [start, size] = *std::prev(next);
  return address + byteCount <= start + size;
}

int complain(int status, const char *message) {
  fprintf(stderr, "emulated CUDA: %s\n", message);
  return status;
}

// What keeps a call from being made; success otherwise.
int callable() {
  if (!initialized) return notInitialized;
  if (!currentContext) return complain(invalidContext, "a call without a current context");
  return stickyError;
}

int copy(Stream *stream, void *destination, const void *source, size_t byteCount) {
  append(stream, {[=] { memmove(destination, source, byteCount); }, true});
  return stickyError;
}

}  // namespace

void enqueue(Stream *stream, std::function<void()> work) {
  Guard guarded(lock);
  append(stream, {std::move(work)});
}

// MARK: For tests

// Whether copies run as soon as their stream lets them, or as late as possible.
EMULATED void EmulatedCUDARunCopiesEarly(bool early) {
  Guard guarded(lock);
  copiesRunEarly = early;
}

// The memory that is allocated on the device.
EMULATED size_t EmulatedCUDAAllocatedBytes() {
  Guard guarded(lock);
  return allocatedBytes;
}

// MARK: Driver and device

EMULATED int cuInit(unsigned) {
  Guard guarded(lock);
  initialized = true;
  return success;
}

EMULATED int cuDriverGetVersion(int *version) {
  *version = 12090;
  return success;
}

EMULATED int cuGetErrorName(int status, const char **name) {
  static thread_local char text[32];
  snprintf(text, sizeof text, "CUDA_ERROR_%d", status);
  *name = text;
  return success;
}

EMULATED int cuGetErrorString(int, const char **text) {
  *text = "an error of the emulated driver";
  return success;
}

EMULATED int cuDeviceGetCount(int *count) {
  *count = 1;
  return initialized ? success : notInitialized;
}

EMULATED int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? success : invalidDevice;
}

EMULATED int cuDeviceGetName(char *name, int capacity, int) {
  snprintf(name, size_t(capacity), "Emulated CUDA device (tests only)");
  return success;
}

EMULATED int cuDeviceTotalMem_v2(size_t *byteCount, int) {
  *byteCount = deviceBytes;
  return success;
}

EMULATED int cuDeviceGetAttribute(int *value, int attribute, int) {
  static const std::map<int, int> values = {{1, 1024}, {8, 48 << 10}, {16, 2}, {75, 9}, {76, 0}};
  auto found = values.find(attribute);
  if (found == values.end()) return invalidValue;
  *value = found->second;
  return success;
}

// MARK: Context

EMULATED int cuDevicePrimaryCtxRetain(void **result, int) {
  *result = &context;
  return initialized ? success : notInitialized;
}

EMULATED int cuDevicePrimaryCtxRelease_v2(int) { return success; }

EMULATED int cuCtxSetCurrent(void *value) {
  currentContext = value;
  return success;
}

EMULATED int cuCtxSynchronize() {
  Guard guarded(lock);
  if (int status = callable()) return status;
  // Copies come last where they are to run late: compute streams are created first.
  if (copiesRunEarly) {
    for (auto stream = streams.rbegin(); stream != streams.rend(); ++stream) run(*stream, (*stream)->end());
  } else {
    for (Stream *stream : streams) run(stream, stream->end());
  }
  return stickyError;
}

// MARK: Memory

EMULATED int cuMemGetInfo_v2(size_t *free, size_t *total) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  *free = deviceBytes - allocatedBytes;
  *total = deviceBytes;
  return success;
}

EMULATED int cuMemAlloc_v2(uintptr_t *address, size_t byteCount) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (byteCount == 0) return invalidValue;
  if (byteCount > deviceBytes - allocatedBytes) return outOfMemory;
  char *memory = static_cast<char *>(aligned_alloc(guardBytes, (byteCount + 3 * guardBytes - 1) / guardBytes * guardBytes));
  if (!memory) return outOfMemory;
  memset(memory, guard, guardBytes);
  memset(memory + guardBytes, poison, byteCount);
  memset(memory + guardBytes + byteCount, guard, guardBytes);
  *address = uintptr_t(memory + guardBytes);
  deviceMemory[*address] = byteCount;
  allocatedBytes += byteCount;
  return success;
}

EMULATED int cuMemFree_v2(uintptr_t address) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  auto found = deviceMemory.find(address);
  if (found == deviceMemory.end()) return complain(invalidValue, "memory freed that was not allocated");
  for (Stream *stream : streams)
    if (!stream->pending.empty()) return complain(illegalState, "memory freed while work is pending");
  char *memory = reinterpret_cast<char *>(address);
  size_t byteCount = found->second;
  for (size_t index = 0; index < guardBytes; index++)
    if ((unsigned char)memory[-1 - ptrdiff_t(index)] != guard || (unsigned char)memory[byteCount + index] != guard)
      return complain(launchFailed, "written outside of device memory");
  allocatedBytes -= byteCount;
  deviceMemory.erase(found);
  memset(memory, poison, byteCount);
  free(memory - guardBytes);
  return success;
}

EMULATED int cuMemHostAlloc(void **address, size_t byteCount, unsigned) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (byteCount == 0) return invalidValue;
  *address = aligned_alloc(4096, (byteCount + 4095) / 4096 * 4096);
  if (!*address) return outOfMemory;
  memset(*address, poison, byteCount);
  hostMemory[uintptr_t(*address)] = byteCount;
  return success;
}

EMULATED int cuMemFreeHost(void *address) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (hostMemory.erase(uintptr_t(address)) == 0) return complain(invalidValue, "host memory freed that was not pinned");
  free(address);
  return success;
}

EMULATED int cuMemcpyHtoDAsync_v2(uintptr_t destination, const void *source, size_t byteCount, Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (!contains(hostMemory, uintptr_t(source), byteCount) || !contains(deviceMemory, destination, byteCount))
    return complain(invalidValue, "an upload that is not from pinned memory into one allocation");
  return copy(stream, reinterpret_cast<void *>(destination), source, byteCount);
}

EMULATED int cuMemcpyDtoHAsync_v2(void *destination, uintptr_t source, size_t byteCount, Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (!contains(deviceMemory, source, byteCount) || !contains(hostMemory, uintptr_t(destination), byteCount))
    return complain(invalidValue, "a download that is not from one allocation into pinned memory");
  return copy(stream, destination, reinterpret_cast<void *>(source), byteCount);
}

EMULATED int cuMemcpyDtoDAsync_v2(uintptr_t destination, uintptr_t source, size_t byteCount, Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (!contains(deviceMemory, source, byteCount) || !contains(deviceMemory, destination, byteCount))
    return complain(invalidValue, "a copy that is not between allocations");
  enqueue(stream, [=] { memmove(reinterpret_cast<void *>(destination), reinterpret_cast<void *>(source), byteCount); });
  return stickyError;
}

EMULATED int cuMemsetD8Async(uintptr_t address, unsigned char byte, size_t byteCount, Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (!contains(deviceMemory, address, byteCount)) return complain(invalidValue, "a fill outside of an allocation");
  enqueue(stream, [=] { memset(reinterpret_cast<void *>(address), byte, byteCount); });
  return stickyError;
}

// MARK: Streams and events

EMULATED int cuStreamCreate(Stream **stream, unsigned) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  *stream = new Stream();
  streams.push_back(*stream);
  return success;
}

EMULATED int cuStreamDestroy_v2(Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  run(stream, stream->end());
  std::erase(streams, stream);
  // Events that were recorded in the stream may still name it, so it stays.
  return success;
}

EMULATED int cuStreamSynchronize(Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  run(stream, stream->end());
  return stickyError;
}

EMULATED int cuStreamWaitEvent(Stream *stream, std::shared_ptr<Event> *event, unsigned) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if ((*event)->stream) append(stream, {{}, false, (*event)->stream, (*event)->place});
  return success;
}

EMULATED int cuEventCreate(std::shared_ptr<Event> **event, unsigned flags) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  *event = new std::shared_ptr<Event>(std::make_shared<Event>());
  (**event)->timed = (flags & 2) == 0;
  return success;
}

EMULATED int cuEventDestroy_v2(std::shared_ptr<Event> *event) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  delete event;
  return success;
}

EMULATED int cuEventRecord(std::shared_ptr<Event> *event, Stream *stream) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  append(stream, {[event = *event] { event->time = std::chrono::steady_clock::now(); }});
  (*event)->stream = stream;
  (*event)->place = stream->end();
  return stickyError;
}

EMULATED int cuEventQuery(std::shared_ptr<Event> *event) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  return !(*event)->stream || (*event)->stream->done >= (*event)->place ? success : notReady;
}

EMULATED int cuEventSynchronize(std::shared_ptr<Event> *event) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if ((*event)->stream) run((*event)->stream, (*event)->place);
  return stickyError;
}

EMULATED int cuEventElapsedTime(float *milliseconds, std::shared_ptr<Event> *start, std::shared_ptr<Event> *end) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  for (auto event : {start, end}) {
    if (!(*event)->timed || !(*event)->stream) return invalidHandle;
    if ((*event)->stream->done < (*event)->place) return notReady;
  }
  *milliseconds = std::chrono::duration<float, std::milli>((*end)->time - (*start)->time).count();
  return success;
}

// MARK: Modules

// An image is what the emulated compiler made: its size in eight bytes, and a shared library.
EMULATED int cuModuleLoadData(Module **module, const void *image) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  uint64_t byteCount = 0;
  const char *bytes = static_cast<const char *>(image);
  if (memcmp(bytes, "EMULATED", 8) != 0) return invalidImage;
  memcpy(&byteCount, bytes + 8, sizeof byteCount);
  int file = memfd_create("emulated-module", 0);
  if (file < 0 || write(file, bytes + 16, byteCount) != ssize_t(byteCount)) return invalidImage;
  std::string path = "/proc/self/fd/" + std::to_string(file);
  // The file stays open: the loader takes a path that it has seen, and so a number that is used again, for the same library.
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return complain(invalidImage, dlerror());
  *module = new Module{library, reinterpret_cast<void (*)(EmulatedBlock *)>(dlsym(library, "emulatedEnter"))};
  return success;
}

EMULATED int cuModuleUnload(Module *module) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  // The library stays: work that is pending may still call it.
  delete module;
  return success;
}

EMULATED int cuModuleGetFunction(Function **function, Module *module, const char *name) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  void *entry = dlsym(module->library, (std::string("emulatedEntry_") + name).c_str());
  if (!entry) return notFound;
  *function = new Function{name, static_cast<const EmulatedKernel *>(entry), module->enter};
  return success;
}

EMULATED int cuLaunchKernel(
    Function *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
    unsigned sharedBytes, Stream *stream, void **arguments, void **) {
  Guard guarded(lock);
  if (int status = callable()) return status;
  if (gridX == 0 || gridY == 0 || gridZ == 0 || gridY > 65535 || gridZ > 65535 || blockX == 0 || blockY == 0 ||
      blockZ == 0 || size_t(blockX) * blockY * blockZ > 1024 || sharedBytes != 0)
    return complain(invalidValue, "a launch of a size that no device takes");
  const EmulatedKernel &kernel = *function->kernel;
  if (kernel.sharedEnd - kernel.sharedStart > (48 << 10) + 64) return complain(invalidValue, "too much shared memory");
  auto values = std::make_shared<std::vector<std::vector<std::max_align_t>>>();
  for (unsigned index = 0; index < kernel.argumentCount; index++) {
    values->emplace_back(kernel.argumentSizes[index] / sizeof(std::max_align_t) + 1);
    memcpy(values->back().data(), arguments[index], kernel.argumentSizes[index]);
  }
  enqueue(stream, [=] {
    std::vector<void *> places;
    for (auto &value : *values) places.push_back(value.data());
    if (!runKernel(function->name.c_str(), *function->kernel, function->enter, places.data(), {gridX, gridY, gridZ},
                   {blockX, blockY, blockZ}))
      stickyError = launchFailed;
  });
  return stickyError;
}
