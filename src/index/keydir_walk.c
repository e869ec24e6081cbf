/* SPDX-License-Identifier: MIT */
/*
 * Walking a keydir that grows, or is rebuilt at another size, meanwhile (K7).
 *
 * Think of every hash with its bits reversed, as a number from 0 to 2^64 - 1. A bucket of d bits holds the
 * hashes whose low d bits are its number; reversed, their high d bits are fixed, so a bucket is an interval
 * of 2^(64 - d) consecutive reversed hashes. The buckets of a table, of whatever size, cut the whole range
 * into such intervals; a split cuts one interval into halves. The position of a walk is the lower bound of
 * what is still to visit: every reversed hash below it has been visited. One step visits the interval that
 * the position lies in, all of it, and moves the position to the interval's end. This stays true whatever the
 * table's size is at the next step:
 *
 *   grown    the position is also the beginning of a smaller interval; nothing is skipped or repeated;
 *   shrunk   the position may lie inside a larger interval: its first part is given again, nothing is
 *            skipped.
 *
 * An entry never changes its hash, so one that is present throughout is met when the position passes it. A
 * split while a step reads its bucket is noticed like a miss in a probe, and the step is repeated. A walk
 * may give an entry twice; entries added or removed meanwhile it gives or not.
 *
 * Redis' dictScan counts with reversed bits for the same reason; a bound instead of a counter lets a position
 * outlive the table, since it does not depend on a mask.
 */
#include "index/keydir_bucket.h"

#define LINES_AHEAD 8 /* buckets on their way to the processor */

static uint64_t reverse_bits(uint64_t value)
{
    value = (value & 0x5555555555555555) << 1 | (value >> 1 & 0x5555555555555555);
    value = (value & 0x3333333333333333) << 2 | (value >> 2 & 0x3333333333333333);
    value = (value & 0x0F0F0F0F0F0F0F0F) << 4 | (value >> 4 & 0x0F0F0F0F0F0F0F0F);
    return __builtin_bswap64(value);
}

/* `count` intervals behind the one that the position lies in; 0 behind the last. */
static uint64_t position_behind(uint64_t position, uint64_t mask, uint64_t count)
{
    const uint64_t size = UINT64_C(1) << __builtin_clzll(mask); /* 2^(64 - d) */
    return (position & ~(size - 1)) + count * size;
}

/* The locations of a bucket. Result STAVE_LIMIT: there are more than `capacity`. */
static enum stave_status collect(struct keydir_probe *probe, uint64_t *locations, size_t capacity,
                                 size_t *ret_count)
{
    size_t count = 0;
    for (uint64_t entry = keydir_probe_entry(probe); entry != 0; entry = keydir_probe_entry(probe)) {
        if (count == capacity) return STAVE_LIMIT;
        locations[count++] = entry & KEYDIR_LOCATION_MAX;
    }
    *ret_count = count;
    return STAVE_OK;
}

enum stave_status keydir_walk(struct keydir *keydir, uint64_t *position, uint64_t *locations, size_t capacity,
                              size_t *ret_count, bool *ret_end)
{
    const uint64_t hash = reverse_bits(*position);
    for (;;) { /* repeated only after the mutator has changed this bucket */
        const uint64_t bucket_count = keydir_bucket_count(keydir);
        struct keydir_probe probe;
        enum stave_status status = keydir_probe_begin(keydir, hash, &probe);
        if (status < 0) return status;
        size_t count = 0;
        status = collect(&probe, locations, capacity, &count);
        const uint64_t mask = keydir_depth_mask(hash, bucket_count);
        if (keydir_probe_changed(&probe)) continue;
        if (mask != keydir_depth_mask(hash, keydir_bucket_count(keydir))) continue; /* split: now a half */
        if (status < 0) return status;

        *position = position_behind(*position, mask, 1);
        *ret_count = count;
        *ret_end = *position == 0;
        return STAVE_OK;
    }
}

/* ------------------------------------------------------------------ empty stretches, and what comes next */

static const struct keydir_bucket *bucket_of(const struct keydir *keydir, uint64_t hash,
                                             uint64_t bucket_count)
{
    return keydir_bucket_at(keydir, keydir_bucket_index(hash, bucket_count));
}

bool keydir_walk_is_loaded(const struct keydir *keydir, uint64_t position)
{
    return bucket_of(keydir, reverse_bits(position), keydir_bucket_count(keydir)) != NULL;
}

/* The word is read first: what was in the chain and is so no longer has gone to the line before. */
static bool is_empty(const struct keydir_bucket *bucket)
{
    if ((uint32_t)keydir_load(&bucket->word) != 0) return false;
    uint64_t any = 0;
    for (size_t i = 0; i < KEYDIR_BUCKET_ENTRIES; i++) any |= keydir_load(&bucket->entries[i]);
    return any == 0;
}

static void prefetch_line(const struct keydir *keydir, uint64_t position, uint64_t bucket_count)
{
    const struct keydir_bucket *bucket = bucket_of(keydir, reverse_bits(position), bucket_count);
    if (bucket != NULL) __builtin_prefetch(bucket);
}

/* A bucket that is looked at soon. */
struct stop {
    const struct keydir_bucket *bucket; /* NULL: its block is not loaded */
    uint64_t end;                       /* the position behind it */
};

static struct stop stop_at(const struct keydir *keydir, uint64_t position, uint64_t bucket_count)
{
    const uint64_t hash = reverse_bits(position);
    const struct stop stop = {bucket_of(keydir, hash, bucket_count),
                              position_behind(position, keydir_depth_mask(hash, bucket_count), 1)};
    if (stop.bucket != NULL) __builtin_prefetch(stop.bucket);
    return stop;
}

/* As in keydir_walk(): a bucket that a split has emptied is known by the count of buckets. */
uint64_t keydir_walk_empty(const struct keydir *keydir, uint64_t *position, uint64_t limit, bool *ret_end)
{
    const uint64_t bucket_count = keydir_bucket_count(keydir);
    struct stop stops[LINES_AHEAD];
    uint64_t ahead = *position;
    *ret_end = false;
    for (uint64_t step = 0; step < limit + LINES_AHEAD; step++) {
        struct stop *const stop = &stops[step % LINES_AHEAD];
        if (step >= LINES_AHEAD) {
            if (stop->bucket == NULL || !is_empty(stop->bucket)) return step - LINES_AHEAD;
            if (keydir_bucket_count(keydir) != bucket_count) return step - LINES_AHEAD;
            *position = stop->end;
            *ret_end = *position == 0;
            if (*ret_end) return step - LINES_AHEAD + 1;
        }
        *stop = stop_at(keydir, ahead, bucket_count);
        ahead = stop->end; /* begins anew behind the last, which is never passed */
    }
    return limit;
}

size_t keydir_walk_peek(const struct keydir *keydir, uint64_t position, uint32_t ahead,
                        uint64_t ret_locations[KEYDIR_BUCKET_ENTRIES])
{
    const uint64_t bucket_count = keydir_bucket_count(keydir);
    const uint64_t mask = keydir_depth_mask(reverse_bits(position), bucket_count);
    prefetch_line(keydir, position_behind(position, mask, ahead + LINES_AHEAD), bucket_count);
    const uint64_t hash = reverse_bits(position_behind(position, mask, ahead));
    const struct keydir_bucket *bucket = bucket_of(keydir, hash, bucket_count);
    size_t count = 0;
    for (size_t i = 0; bucket != NULL && i < KEYDIR_BUCKET_ENTRIES; i++) {
        const uint64_t entry = keydir_load(&bucket->entries[i]);
        if (entry != 0) ret_locations[count++] = entry & KEYDIR_LOCATION_MAX;
    }
    return count;
}
