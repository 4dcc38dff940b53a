// What the parts of the emulator share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "EmulatedKernel.h"

// Everything that the driver's users can call is visible; all else is not.
#define EMULATED extern "C" __attribute__((visibility("default")))

struct Stream;

// Appends work to a stream. It runs when something waits for it, not before.
void enqueue(Stream *stream, std::function<void()> work);

// Runs all blocks of a kernel, one after another; `arguments` points to each argument. Returns false with a reason printed
// to stderr when threads of a block part at a barrier.
bool runKernel(
    const char *name, const EmulatedKernel &kernel, void (*enter)(EmulatedBlock *), void **arguments, EmulatedIndex grid,
    EmulatedIndex block);
