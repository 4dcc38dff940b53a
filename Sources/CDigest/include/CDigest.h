// XXH3 with 128 bits of result (XXH128), seed 0 and the default secret, as a stream.
//
// Written from the public specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). A state is plain memory: it may
// be copied at any time, owns nothing and needs no release. One state must not be updated by two threads at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
  digest_stripe_bytes = 64,
  digest_block_bytes = 1024,
};

typedef struct {
  uint64_t low;
  uint64_t high;
} digest_value;

typedef struct {
  uint64_t lanes[8];
  uint64_t total_bytes;
  uint64_t pending_bytes;
  // The last stripe of the block before, then up to one block that waits: the final stripe may reach back over the border.
  uint64_t window[(digest_stripe_bytes + digest_block_bytes) / sizeof(uint64_t)];
} digest_state;

void digest_start(digest_state *state);
void digest_update(digest_state *state, const void *bytes, size_t count);
digest_value digest_finish(const digest_state *state);
