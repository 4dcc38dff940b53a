// Runs the threads of a block as coroutines of one thread. A thread runs until it has to wait for others, so that a barrier
// that is missing shows as a wrong result; threads that wait at a barrier that others never reach are an error.
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "Emulator.h"

namespace {

constexpr size_t stackBytes = 128 << 10;
constexpr unsigned warpSize = 32;

// Where a thread stands.
enum class Waiting { nothing, block, warp };

struct Coroutine {
  ucontext_t first;
  jmp_buf place;
  bool started = false;
  unsigned thread = 0;
};

struct Thread {
  Coroutine *coroutine = nullptr;
  Waiting waiting = Waiting::nothing;
  unsigned mask = 0;
  bool finished = false;
  EmulatedWords shown = {};  // what it shows to its warp
};

// One scheduler: kernels run one at a time, under the driver's lock.
struct Scheduler {
  EmulatedBlock block;
  const EmulatedKernel *kernel;
  void **arguments;
  std::vector<Thread> threads;
  std::vector<EmulatedWords> seen;  // what the threads showed when their warp last met
  unsigned nextThread;
  bool descending;
  std::vector<std::unique_ptr<Coroutine>> coroutines;
  std::vector<Coroutine *> idle;
  Coroutine *running;
  jmp_buf home;
} scheduler;

void enterThread(unsigned thread) {
  auto &size = scheduler.block.block;
  scheduler.running->thread = thread;
  scheduler.threads[thread].coroutine = scheduler.running;
  scheduler.block.threadIndex = {thread % size.x, thread / size.x % size.y, thread / (size.x * size.y)};
}

// The body of every coroutine: takes threads that have not started, one after another, as long as none has to wait.
void takeThreads() {
  while (true) {
    while (scheduler.nextThread < scheduler.threads.size()) {
      unsigned number = scheduler.nextThread++;
      unsigned thread = scheduler.descending ? unsigned(scheduler.threads.size()) - 1 - number : number;
      enterThread(thread);
      scheduler.kernel->call(scheduler.arguments);
      scheduler.threads[scheduler.running->thread].finished = true;
    }
    scheduler.idle.push_back(scheduler.running);
    if (_setjmp(scheduler.running->place) == 0) _longjmp(scheduler.home, 1);
  }
}

void resume(Coroutine *coroutine) {
  scheduler.running = coroutine;
  if (_setjmp(scheduler.home) != 0) return;
  if (coroutine->started) _longjmp(coroutine->place, 1);
  coroutine->started = true;
  setcontext(&coroutine->first);
}

Coroutine *idleCoroutine() {
  if (scheduler.idle.empty()) {
    auto coroutine = std::make_unique<Coroutine>();
    // The lowest page stays unmapped for stacks that grow too far.
    void *stack = mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, 4096, PROT_NONE);
    getcontext(&coroutine->first);
    coroutine->first.uc_stack = {.ss_sp = stack, .ss_flags = 0, .ss_size = stackBytes};
    coroutine->first.uc_link = nullptr;
    makecontext(&coroutine->first, takeThreads, 0);
    scheduler.idle.push_back(coroutine.get());
    scheduler.coroutines.push_back(std::move(coroutine));
  }
  Coroutine *coroutine = scheduler.idle.back();
  scheduler.idle.pop_back();
  return coroutine;
}

void wait(Waiting reason, unsigned mask) {
  Coroutine *self = scheduler.running;
  Thread &thread = scheduler.threads[self->thread];
  thread.waiting = reason;
  thread.mask = mask;
  if (_setjmp(self->place) == 0) _longjmp(scheduler.home, 1);
  enterThread(self->thread);
}

void synchronizeBlock() { wait(Waiting::block, 0); }
void synchronizeWarp(unsigned mask) { wait(Waiting::warp, mask); }

const EmulatedWords *exchange(unsigned mask, EmulatedWords words) {
  unsigned self = scheduler.running->thread;
  scheduler.threads[self].shown = words;
  wait(Waiting::warp, mask);
  return scheduler.seen.data() + self / warpSize * warpSize;
}

// Whether all lanes that a waiting thread expects wait as well, for the same lanes.
bool warpHasMet(unsigned number) {
  const Thread &thread = scheduler.threads[number];
  unsigned first = number / warpSize * warpSize;
  for (unsigned lane = 0; lane < warpSize; lane++) {
    if (!(thread.mask >> lane & 1) || first + lane >= scheduler.threads.size()) continue;
    const Thread &other = scheduler.threads[first + lane];
    if (other.waiting != Waiting::warp || other.mask != thread.mask) return false;
    if (other.shown.call != thread.shown.call) return false;
  }
  return true;
}

// Runs one block; false when its threads part at a barrier.
bool runBlock(const char *name) {
  std::fill(scheduler.threads.begin(), scheduler.threads.end(), Thread());
  scheduler.nextThread = 0;
  while (scheduler.nextThread < scheduler.threads.size()) resume(idleCoroutine());
  std::vector<unsigned> released;
  while (true) {
    released.clear();
    auto &threads = scheduler.threads;
    unsigned finished = unsigned(std::count_if(threads.begin(), threads.end(), [](auto &t) { return t.finished; }));
    if (finished == threads.size()) return true;
    unsigned atBarrier = unsigned(
        std::count_if(threads.begin(), threads.end(), [](auto &t) { return t.waiting == Waiting::block; }));
    for (unsigned number = 0; number < threads.size(); number++) {
      bool meets = threads[number].waiting == Waiting::block ? atBarrier == threads.size()
                                                              : threads[number].waiting == Waiting::warp && warpHasMet(number);
      if (meets) released.push_back(number);
    }
    if (released.empty()) {
      fprintf(stderr, "emulated CUDA: kernel %s: %u of %zu threads wait at a barrier, %u have left\n", name, atBarrier,
              threads.size(), finished);
      // The coroutines keep what they stand in; they are not used again.
      scheduler.idle.clear();
      return false;
    }
    for (unsigned number : released) {
      scheduler.seen[number] = threads[number].shown;
      threads[number].waiting = Waiting::nothing;
    }
    if (scheduler.descending) std::reverse(released.begin(), released.end());
    for (unsigned number : released) resume(threads[number].coroutine);
  }
}

}  // namespace

bool runKernel(
    const char *name, const EmulatedKernel &kernel, void (*enter)(EmulatedBlock *), void **arguments, EmulatedIndex grid,
    EmulatedIndex block) {
  scheduler.block = {grid, block, {}, {}, synchronizeBlock, synchronizeWarp, exchange};
  scheduler.kernel = &kernel;
  scheduler.arguments = arguments;
  scheduler.threads.resize(size_t(block.x) * block.y * block.z);
  // Whole warps, so that lanes that are not there show zeros.
  scheduler.seen.assign((scheduler.threads.size() + warpSize - 1) / warpSize * warpSize, {});
  enter(&scheduler.block);
  scheduler.descending = false;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        scheduler.block.blockIndex = {x, y, z};
        // Not a number in every format.
        memset(kernel.sharedStart, 0xff, size_t(kernel.sharedEnd - kernel.sharedStart));
        if (!runBlock(name)) return false;
        scheduler.descending = !scheduler.descending;
      }
  return true;
}
