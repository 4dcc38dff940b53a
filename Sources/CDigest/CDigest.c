#include "CDigest.h"

#include <string.h>

// The block loop is compiled twice on x86-64 and the loader picks one, so that one binary uses AVX2 where it exists.
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_THIS_PROCESSOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define FOR_THIS_PROCESSOR
#endif

enum {
  longest_short_input = 240,
  stripes_per_block = digest_block_bytes / digest_stripe_bytes,
  secret_bytes = 192,
  secret_step = 8,
};

static const uint64_t prime32_1 = 0x9E3779B1;
static const uint64_t prime32_2 = 0x85EBCA77;
static const uint64_t prime32_3 = 0xC2B2AE3D;
static const uint64_t prime64_1 = 0x9E3779B185EBCA87;
static const uint64_t prime64_2 = 0xC2B2AE3D27D4EB4F;
static const uint64_t prime64_3 = 0x165667B19E3779F9;
static const uint64_t prime64_4 = 0x85EBCA77C2B2AE63;
static const uint64_t prime64_5 = 0x27D4EB2F165667C5;
static const uint64_t prime_mix_1 = 0x165667919E3779F9;
static const uint64_t prime_mix_2 = 0x9FB21C651E98DF25;

static const uint8_t secret[secret_bytes] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9,
    0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78,
    0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
    0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f,
    0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
    0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff,
    0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
    0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

// MARK: words

static uint64_t word64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static uint32_t word32(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap32(word);
#endif
  return word;
}

static digest_value product(uint64_t left, uint64_t right) {
  unsigned __int128 wide = (unsigned __int128)left * right;
  return (digest_value){.low = (uint64_t)wide, .high = (uint64_t)(wide >> 64)};
}

static uint64_t folded_product(uint64_t left, uint64_t right) {
  digest_value wide = product(left, right);
  return wide.low ^ wide.high;
}

static uint64_t avalanche(uint64_t value) {
  value ^= value >> 37;
  value *= prime_mix_1;
  return value ^ value >> 32;
}

static uint64_t avalanche_of_xxh64(uint64_t value) {
  value ^= value >> 33;
  value *= prime64_2;
  value ^= value >> 29;
  value *= prime64_3;
  return value ^ value >> 32;
}

// MARK: short inputs

static digest_value digest_of_nothing(void) {
  return (digest_value){
      .low = avalanche_of_xxh64(word64(secret + 64) ^ word64(secret + 72)),
      .high = avalanche_of_xxh64(word64(secret + 80) ^ word64(secret + 88)),
  };
}

static digest_value digest_up_to_3(const uint8_t *bytes, size_t count) {
  uint32_t low = bytes[count - 1] | (uint32_t)count << 8 | (uint32_t)bytes[0] << 16 | (uint32_t)bytes[count / 2] << 24;
  uint32_t high = __builtin_rotateleft32(__builtin_bswap32(low), 13);
  return (digest_value){
      .low = avalanche_of_xxh64(low ^ word32(secret) ^ word32(secret + 4)),
      .high = avalanche_of_xxh64(high ^ word32(secret + 8) ^ word32(secret + 12)),
  };
}

static digest_value digest_up_to_8(const uint8_t *bytes, size_t count) {
  uint64_t both_ends = word32(bytes) | (uint64_t)word32(bytes + count - 4) << 32;
  uint64_t keyed = both_ends ^ word64(secret + 16) ^ word64(secret + 24);
  digest_value value = product(keyed, prime64_1 + (count << 2));
  value.high += value.low << 1;
  value.low ^= value.high >> 3;
  value.low ^= value.low >> 35;
  value.low *= prime_mix_2;
  value.low ^= value.low >> 28;
  value.high = avalanche(value.high);
  return value;
}

static digest_value digest_up_to_16(const uint8_t *bytes, size_t count) {
  uint64_t first = word64(bytes);
  uint64_t last = word64(bytes + count - 8);
  uint64_t keyed_both = first ^ last ^ word64(secret + 32) ^ word64(secret + 40);
  uint64_t keyed_last = last ^ word64(secret + 48) ^ word64(secret + 56);
  digest_value value = product(keyed_both, prime64_1);
  value.low += (uint64_t)(count - 1) << 54;
  value.high += keyed_last + (uint64_t)(uint32_t)keyed_last * (prime32_2 - 1);
  value.low ^= __builtin_bswap64(value.high);
  digest_value mixed = product(value.low, prime64_2);
  mixed.high += value.high * prime64_2;
  return (digest_value){.low = avalanche(mixed.low), .high = avalanche(mixed.high)};
}

// MARK: medium inputs

static uint64_t mixed_chunk(const uint8_t *bytes, const uint8_t *key) {
  return folded_product(word64(bytes) ^ word64(key), word64(bytes + 8) ^ word64(key + 8));
}

static void mix_two_chunks(digest_value *sums, const uint8_t *first, const uint8_t *second, const uint8_t *key) {
  sums->low += mixed_chunk(first, key);
  sums->low ^= word64(second) + word64(second + 8);
  sums->high += mixed_chunk(second, key + 16);
  sums->high ^= word64(first) + word64(first + 8);
}

static digest_value finished_medium(digest_value sums, size_t count) {
  return (digest_value){
      .low = avalanche(sums.low + sums.high),
      .high = -avalanche(sums.low * prime64_1 + sums.high * prime64_4 + count * prime64_2),
  };
}

static digest_value digest_up_to_128(const uint8_t *bytes, size_t count) {
  digest_value sums = {.low = count * prime64_1, .high = 0};
  for (size_t round = (count - 1) / 32 + 1; round-- > 0;) {
    mix_two_chunks(&sums, bytes + 16 * round, bytes + count - 16 * (round + 1), secret + 32 * round);
  }
  return finished_medium(sums, count);
}

static digest_value digest_up_to_240(const uint8_t *bytes, size_t count) {
  digest_value sums = {.low = count * prime64_1, .high = 0};
  for (size_t pair = 0; pair < 4; pair++) {
    mix_two_chunks(&sums, bytes + 32 * pair, bytes + 32 * pair + 16, secret + 32 * pair);
  }
  sums.low = avalanche(sums.low);
  sums.high = avalanche(sums.high);
  for (size_t pair = 4; pair < count / 32; pair++) {
    mix_two_chunks(&sums, bytes + 32 * pair, bytes + 32 * pair + 16, secret + 32 * (pair - 4) + 3);
  }
  mix_two_chunks(&sums, bytes + count - 16, bytes + count - 32, secret + 103);
  return finished_medium(sums, count);
}

static digest_value digest_of_short_input(const uint8_t *bytes, size_t count) {
  if (count == 0) return digest_of_nothing();
  if (count <= 3) return digest_up_to_3(bytes, count);
  if (count <= 8) return digest_up_to_8(bytes, count);
  if (count <= 16) return digest_up_to_16(bytes, count);
  if (count <= 128) return digest_up_to_128(bytes, count);
  return digest_up_to_240(bytes, count);
}

// MARK: long inputs

// Eight lanes of a stripe at once; the compiler lowers them to the widest vectors of the processor it compiles for.
typedef uint64_t eight_words __attribute__((vector_size(digest_stripe_bytes)));

static inline __attribute__((always_inline)) void load(eight_words *words, const uint8_t *bytes) {
  memcpy(words, bytes, sizeof *words);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  for (int lane = 0; lane < 8; lane++) (*words)[lane] = __builtin_bswap64((*words)[lane]);
#endif
}

static inline __attribute__((always_inline)) void accumulate(
    eight_words *lanes, const uint8_t *stripe, const uint8_t *key_bytes) {
  eight_words words, key;
  load(&words, stripe);
  load(&key, key_bytes);
  eight_words keyed = words ^ key;
  *lanes += __builtin_shufflevector(words, words, 1, 0, 3, 2, 5, 4, 7, 6) + (keyed & 0xFFFFFFFF) * (keyed >> 32);
}

static inline __attribute__((always_inline)) void scramble(eight_words *lanes) {
  eight_words key;
  load(&key, secret + secret_bytes - digest_stripe_bytes);
  *lanes = (*lanes ^ *lanes >> 47 ^ key) * prime32_1;
}

FOR_THIS_PROCESSOR
static void consume_blocks(uint64_t *lanes, const uint8_t *bytes, size_t blocks) {
  eight_words running;
  memcpy(&running, lanes, sizeof running);
  for (; blocks > 0; blocks--, bytes += digest_block_bytes) {
    for (size_t stripe = 0; stripe < stripes_per_block; stripe++) {
      __builtin_prefetch(bytes + digest_stripe_bytes * stripe + 512);
      accumulate(&running, bytes + digest_stripe_bytes * stripe, secret + secret_step * stripe);
    }
    scramble(&running);
  }
  memcpy(lanes, &running, sizeof running);
}

static uint64_t merged(const uint64_t *lanes, uint64_t start, const uint8_t *key) {
  uint64_t sum = start;
  for (size_t lane = 0; lane < 8; lane += 2) {
    sum += folded_product(lanes[lane] ^ word64(key + 8 * lane), lanes[lane + 1] ^ word64(key + 8 * lane + 8));
  }
  return avalanche(sum);
}

static digest_value digest_of_long_input(const digest_state *state, const uint8_t *pending) {
  size_t whole_stripes = (state->pending_bytes - 1) / digest_stripe_bytes;
  const uint8_t *last_stripe = pending + state->pending_bytes - digest_stripe_bytes;
  eight_words running;
  memcpy(&running, state->lanes, sizeof running);
  for (size_t stripe = 0; stripe < whole_stripes; stripe++) {
    accumulate(&running, pending + digest_stripe_bytes * stripe, secret + secret_step * stripe);
  }
  accumulate(&running, last_stripe, secret + secret_bytes - digest_stripe_bytes - 7);

  uint64_t lanes[8];
  memcpy(lanes, &running, sizeof lanes);
  return (digest_value){
      .low = merged(lanes, state->total_bytes * prime64_1, secret + 11),
      .high = merged(lanes, ~(state->total_bytes * prime64_2), secret + secret_bytes - digest_stripe_bytes - 11),
  };
}

// MARK: the stream

void digest_start(digest_state *state) {
  *state = (digest_state){
      .lanes = {prime32_3, prime64_1, prime64_2, prime64_3, prime64_4, prime32_2, prime64_5, prime32_1},
  };
}

void digest_update(digest_state *state, const void *input, size_t count) {
  if (count == 0) return;
  const uint8_t *bytes = input;
  uint8_t *border = (uint8_t *)state->window;
  uint8_t *pending = border + digest_stripe_bytes;
  state->total_bytes += count;

  // A block is consumed only when bytes follow it: the last one, full or not, belongs to digest_finish.
  size_t room = digest_block_bytes - state->pending_bytes;
  if (count > room) {
    if (state->pending_bytes > 0) {
      memcpy(pending + state->pending_bytes, bytes, room);
      bytes += room;
      count -= room;
      consume_blocks(state->lanes, pending, 1);
      memcpy(border, pending + digest_block_bytes - digest_stripe_bytes, digest_stripe_bytes);
      state->pending_bytes = 0;
    }
    size_t blocks = (count - 1) / digest_block_bytes;
    if (blocks > 0) {
      consume_blocks(state->lanes, bytes, blocks);
      bytes += blocks * digest_block_bytes;
      count -= blocks * digest_block_bytes;
      memcpy(border, bytes - digest_stripe_bytes, digest_stripe_bytes);
    }
  }
  memcpy(pending + state->pending_bytes, bytes, count);
  state->pending_bytes += count;
}

digest_value digest_finish(const digest_state *state) {
  const uint8_t *pending = (const uint8_t *)state->window + digest_stripe_bytes;
  if (state->total_bytes <= longest_short_input) return digest_of_short_input(pending, state->total_bytes);
  return digest_of_long_input(state, pending);
}
