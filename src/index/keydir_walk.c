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

static uint64_t reverse_bits(uint64_t value)
{
    value = (value & 0x5555555555555555) << 1 | (value >> 1 & 0x5555555555555555);
    value = (value & 0x3333333333333333) << 2 | (value >> 2 & 0x3333333333333333);
    value = (value & 0x0F0F0F0F0F0F0F0F) << 4 | (value >> 4 & 0x0F0F0F0F0F0F0F0F);
    return __builtin_bswap64(value);
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

        const uint64_t size = UINT64_C(1) << __builtin_clzll(mask); /* 2^(64 - d) */
        const uint64_t next = (*position & ~(size - 1)) + size;     /* 0 after the last interval */
        *position = next;
        *ret_count = count;
        *ret_end = next == 0;
        return STAVE_OK;
    }
}
