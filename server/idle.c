/* SPDX-License-Identifier: MIT */
/*
 * The table: in each place 32 bits of a key's hash and the second of its use, counted from the start (ID1).
 */
#include "server/idle.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/memory.h"

#define PLACE_COUNT ((size_t)1 << 15) /* 256 KiB */
#define MS_PER_S 1000

struct idle {
    uint64_t started_ms;
    _Atomic uint64_t places[PLACE_COUNT]; /* low half: seconds since the start, plus 1; 0: free */
};

struct idle *idle_new(uint64_t now_ms)
{
    struct idle *idle = memory_alloc_zero(1, sizeof(*idle));
    if (idle != NULL) idle->started_ms = now_ms;
    return idle;
}

void idle_free(struct idle *idle)
{
    memory_free(idle);
}

/* A clock set back stands still here. */
static uint64_t age_seconds(const struct idle *idle, uint64_t now_ms)
{
    return now_ms > idle->started_ms ? (now_ms - idle->started_ms) / MS_PER_S : 0;
}

void idle_prefetch(const struct idle *idle, uint32_t database, struct stave_bytes key)
{
    const uint64_t hash = hash_bytes(key.data, key.size, database);
    __builtin_prefetch((const void *)&idle->places[hash % PLACE_COUNT], 1);
}

void idle_note(struct idle *idle, uint32_t database, struct stave_bytes key, uint64_t now_ms)
{
    const uint64_t hash = hash_bytes(key.data, key.size, database);
    const uint64_t second = (age_seconds(idle, now_ms) + 1) & UINT32_MAX;
    const uint64_t word = (hash & ~(uint64_t)UINT32_MAX) | second;
    _Atomic uint64_t *place = &idle->places[hash % PLACE_COUNT];
    /* A key in steady use is written once a second, so that its line can be shared between processors. */
    if (atomic_load_explicit(place, memory_order_relaxed) == word) return;
    atomic_store_explicit(place, word, memory_order_relaxed);
}

uint64_t idle_seconds(const struct idle *idle, uint32_t database, struct stave_bytes key, uint64_t now_ms)
{
    const uint64_t hash = hash_bytes(key.data, key.size, database);
    const uint64_t word = atomic_load_explicit(&idle->places[hash % PLACE_COUNT], memory_order_relaxed);
    const uint64_t age = age_seconds(idle, now_ms);
    if (word == 0 || (word ^ hash) >> 32 != 0) return age; /* ID2 */
    const uint64_t noted = (word & UINT32_MAX) - 1;
    return noted < age ? age - noted : 0;
}
