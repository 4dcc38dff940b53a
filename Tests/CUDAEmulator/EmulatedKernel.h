// What the emulator and a kernel that it compiled know of each other.
#pragma once

struct EmulatedIndex {
  unsigned x, y, z;
};

// What a lane shows to its warp at once: two fragments of a product at most.
struct EmulatedWords {
  unsigned word[6];
  // The call that shows them; 0 for shuffles, which may stand at several places.
  unsigned call;
};

// The block that runs, seen from the thread that runs.
struct EmulatedBlock {
  EmulatedIndex grid, block, blockIndex, threadIndex;
  // Waits for all threads of the block.
  void (*synchronizeBlock)();
  // Waits for the lanes in the mask of this thread's warp.
  void (*synchronizeWarp)(unsigned mask);
  // Shows words to the lanes in the mask and gives what every lane of the warp showed, by its number.
  const EmulatedWords *(*exchange)(unsigned mask, EmulatedWords words);
};

// A kernel: how to call it with pointers to its arguments, and the sizes of these.
struct EmulatedKernel {
  void (*call)(void **arguments);
  unsigned argumentCount;
  unsigned long argumentSizes[96];
  // The memory that the threads of a block share.
  char *sharedStart, *sharedEnd;
};
