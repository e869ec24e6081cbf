/* SPDX-License-Identifier: MIT */
/*
 * The one hash and checksum of Stave: XXH3, 64 bits, seeded.
 */
#ifndef STAVE_BASE_HASH_H
#define STAVE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xxhash.h>
#pragma GCC diagnostic pop

/* `data` may be NULL when `size` is 0. */
static inline uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(size > 0 ? data : "", size, seed);
}

/* The low 32 bits of the hash: the checksum of headers and payloads. */
static inline uint32_t hash_checksum(const void *data, size_t size, uint64_t seed)
{
    return (uint32_t)hash_bytes(data, size, seed);
}

/* The same hash of bytes that come in pieces: begin, any number of adds, end. The caller holds the state. */
struct hash_stream {
    XXH3_state_t state;
};

static inline void hash_begin(struct hash_stream *stream, uint64_t seed)
{
    XXH3_INITSTATE(&stream->state);
    (void)XXH3_64bits_reset_withSeed(&stream->state, seed);
}

static inline void hash_add(struct hash_stream *stream, const void *data, size_t size)
{
    if (size > 0) (void)XXH3_64bits_update(&stream->state, data, size);
}

static inline uint64_t hash_end(const struct hash_stream *stream)
{
    return XXH3_64bits_digest(&stream->state);
}

#endif
