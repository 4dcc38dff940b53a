// What the emulator and a kernel that it compiled know of each other.
#pragma once

struct EmulatedIndex {
  unsigned x, y, z;
};

// The block that runs, seen from the thread that runs.
struct EmulatedBlock {
  EmulatedIndex grid, block, blockIndex, threadIndex;
  // Waits for all threads of the block.
  void (*synchronizeBlock)();
  // Waits for the lanes in the mask of this thread's warp.
  void (*synchronizeWarp)(unsigned mask);
  // Shows a word to the lanes in the mask and gives the word of a lane.
  unsigned (*exchange)(unsigned mask, unsigned word, unsigned lane);
};

// A kernel: how to call it with pointers to its arguments, and the sizes of these.
struct EmulatedKernel {
  void (*call)(void **arguments);
  unsigned argumentCount;
  unsigned long argumentSizes[96];
  // The memory that the threads of a block share.
  char *sharedStart, *sharedEnd;
};
