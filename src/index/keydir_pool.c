/* SPDX-License-Identifier: MIT */
/* The memory of a keydir; see keydir_pool.h. */
#include "index/keydir_pool.h"

#include <assert.h>
#include <string.h>
#include <threads.h>

enum {
    POOL_SPINS_MAX = 64, /* before a spinning thread gives its processor away */
    POOL_BATCH_MAX = 16, /* areas that are handed over while the lock is held */
    AREA_FIRST = 1,      /* index 0 means none */
};
#define POOL_AREA_COUNT_MAX (UINT64_C(1) << 32)

static_assert(KEYDIR_PIECE_AREAS * KEYDIR_AREA_SIZE == KEYDIR_PIECE_SIZE, "areas fill a piece");
static_assert(sizeof(uintptr_t) * KEYDIR_LEAF_COUNT == KEYDIR_PIECE_SIZE, "a leaf is a piece");
static_assert(POOL_AREA_COUNT_MAX / KEYDIR_PIECE_AREAS <= (uint64_t)KEYDIR_LEAF_COUNT * KEYDIR_TOP_COUNT,
              "the directory reaches every area");

static void pool_lock(struct keydir_pool *pool)
{
    for (uint32_t spins = 1; atomic_flag_test_and_set_explicit(&pool->lock, memory_order_acquire); spins++)
        if (spins % POOL_SPINS_MAX == 0) thrd_yield();
}

static void pool_unlock(struct keydir_pool *pool)
{
    atomic_flag_clear_explicit(&pool->lock, memory_order_release);
}

void keydir_pool_init(struct keydir_pool *pool, struct keydir_memory memory)
{
    memset(pool, 0, sizeof *pool);
    pool->memory = memory;
    pool->area_next = AREA_FIRST;
    atomic_flag_clear(&pool->lock);
}

/* Newest first: the first arena of each leaf holds the leaf, and goes last. */
void keydir_pool_free(struct keydir_pool *pool)
{
    for (uint64_t index = pool->arena_count; index > 0; index--) {
        const uintptr_t arena = atomic_load(keydir_directory_at(&pool->arenas, index - 1));
        pool->memory.unmap(pool->memory.context, (void *)arena, KEYDIR_ARENA_SIZE);
    }
    memset(pool, 0, sizeof *pool);
}

/* ---- pieces ---- */

/* With the lock held. A piece at hand, or 0. */
static uintptr_t pool_pop_piece(struct keydir_pool *pool)
{
    if (pool->piece_free != 0) {
        uintptr_t *const piece = (uintptr_t *)pool->piece_free;
        pool->piece_free = *piece;
        *piece = 0;
        return (uintptr_t)piece;
    }
    if (pool->arena_newest == 0 || pool->arena_pieces_used == KEYDIR_ARENA_PIECES) return 0;
    return pool->arena_newest + (uintptr_t)pool->arena_pieces_used++ * KEYDIR_PIECE_SIZE;
}

/*
 * With the lock held. Every KEYDIR_LEAF_COUNT arenas, the list of arenas takes the first piece for its next
 * leaf.
 */
static void pool_add_arena(struct keydir_pool *pool, uintptr_t arena)
{
    const uint64_t index = pool->arena_count;
    assert(index < (uint64_t)KEYDIR_LEAF_COUNT * KEYDIR_TOP_COUNT);
    pool->arena_newest = arena;
    pool->arena_pieces_used = 0;
    if (index % KEYDIR_LEAF_COUNT == 0) {
        atomic_store(&pool->arenas.top[index / KEYDIR_LEAF_COUNT], arena);
        pool->arena_pieces_used = 1;
    }
    atomic_store(keydir_directory_at(&pool->arenas, index), arena);
    pool->arena_count = index + 1;
}

void *keydir_pool_take_piece(struct keydir_pool *pool)
{
    pool_lock(pool);
    uintptr_t piece = pool_pop_piece(pool);
    pool_unlock(pool);
    if (piece != 0) return (void *)piece;

    void *arena = pool->memory.map(pool->memory.context, KEYDIR_ARENA_SIZE); /* M4: not under the lock */
    if (arena == NULL) return NULL;
    assert((uintptr_t)arena % KEYDIR_PIECE_SIZE == 0);

    pool_lock(pool);
    piece = pool_pop_piece(pool); /* another thread may have brought one meanwhile */
    if (piece == 0) {
        pool_add_arena(pool, (uintptr_t)arena);
        piece = pool_pop_piece(pool);
        arena = NULL;
    }
    pool_unlock(pool);
    if (arena != NULL) pool->memory.unmap(pool->memory.context, arena, KEYDIR_ARENA_SIZE);
    return (void *)piece;
}

void keydir_pool_return_piece(struct keydir_pool *pool, void *piece)
{
    memset(piece, 0, KEYDIR_PIECE_SIZE); /* M2 */
    pool_lock(pool);
    *(uintptr_t *)piece = pool->piece_free;
    pool->piece_free = (uintptr_t)piece;
    pool_unlock(pool);
}

enum stave_status keydir_directory_reserve(struct keydir_directory *directory, struct keydir_pool *pool,
                                           uint64_t index)
{
    if (index / KEYDIR_LEAF_COUNT >= KEYDIR_TOP_COUNT) return STAVE_LIMIT;
    _Atomic uintptr_t *const top = &directory->top[index / KEYDIR_LEAF_COUNT];
    if (atomic_load_explicit(top, memory_order_acquire) != 0) return STAVE_OK;

    void *const leaf = keydir_pool_take_piece(pool);
    if (leaf == NULL) return STAVE_NO_MEMORY;
    uintptr_t expected = 0;
    if (!atomic_compare_exchange_strong(top, &expected, (uintptr_t)leaf))
        keydir_pool_return_piece(pool, leaf);
    return STAVE_OK;
}

/* ---- areas shared by all threads ---- */

/* With the lock held. Areas that can be had without memory. */
static uint64_t pool_area_room(const struct keydir_pool *pool)
{
    const uint64_t fresh = pool->area_end > pool->area_next ? pool->area_end - pool->area_next : 0;
    return fresh + pool->area_free_count;
}

/* With the lock held, and room. */
static uint32_t pool_pop_area(struct keydir_pool *pool)
{
    if (pool->area_free == 0) return (uint32_t)pool->area_next++;
    const uint32_t index = pool->area_free;
    pool->area_free =
        (uint32_t)atomic_load_explicit(&keydir_area_at(pool, index)->link, memory_order_relaxed);
    pool->area_free_count--;
    return index;
}

/* A piece more for areas. Other threads may add one at the same time: the place is reserved, then claimed. */
static enum stave_status pool_grow_areas(struct keydir_pool *pool)
{
    void *const piece = keydir_pool_take_piece(pool);
    if (piece == NULL) return STAVE_NO_MEMORY;
    enum stave_status status = STAVE_OK;
    for (bool is_claimed = false; !is_claimed;) {
        pool_lock(pool);
        const uint64_t end = pool->area_end;
        pool_unlock(pool);
        status = end < POOL_AREA_COUNT_MAX
                     ? keydir_directory_reserve(&pool->area_pieces, pool, end / KEYDIR_PIECE_AREAS)
                     : STAVE_LIMIT;
        if (status < 0) break;
        pool_lock(pool);
        if (pool->area_end == end) {
            atomic_store_explicit(keydir_directory_at(&pool->area_pieces, end / KEYDIR_PIECE_AREAS),
                                  (uintptr_t)piece, memory_order_release);
            pool->area_end = end + KEYDIR_PIECE_AREAS;
            is_claimed = true;
        }
        pool_unlock(pool);
    }
    if (status < 0) keydir_pool_return_piece(pool, piece);
    return status;
}

/* Up to `count` areas in front of *first, as many as one hold of the lock may take. Result how many. */
static uint64_t pool_take_batch(struct keydir_pool *pool, uint64_t count, uint32_t *first)
{
    pool_lock(pool);
    const uint64_t room = pool_area_room(pool);
    uint64_t taken = count < room ? count : room;
    if (taken > POOL_BATCH_MAX) taken = POOL_BATCH_MAX;
    for (uint64_t i = 0; i < taken; i++) {
        const uint32_t index = pool_pop_area(pool);
        atomic_store_explicit(&keydir_area_at(pool, index)->link, *first, memory_order_release);
        *first = index;
    }
    pool_unlock(pool);
    return taken;
}

enum stave_status keydir_pool_take_areas(struct keydir_pool *pool, uint64_t count, uint32_t *ret_first)
{
    uint32_t first = 0;
    for (uint64_t left = count; left > 0;) {
        const uint64_t taken = pool_take_batch(pool, left, &first);
        left -= taken;
        if (taken > 0) continue;
        const enum stave_status status = pool_grow_areas(pool);
        if (status < 0) {
            keydir_pool_return_areas(pool, first);
            return status;
        }
    }
    *ret_first = first;
    return STAVE_OK;
}

void keydir_pool_return_areas(struct keydir_pool *pool, uint32_t first)
{
    while (first != 0) {
        pool_lock(pool);
        for (uint32_t i = 0; i < POOL_BATCH_MAX && first != 0; i++) {
            struct keydir_area *const area = keydir_area_at(pool, first);
            const uint32_t next = (uint32_t)atomic_load_explicit(&area->link, memory_order_relaxed);
            atomic_store_explicit(&area->link, pool->area_free, memory_order_release);
            pool->area_free = first;
            pool->area_free_count++;
            first = next;
        }
        pool_unlock(pool);
    }
}

/* ---- the mutator's stash ---- */

static uint64_t stash_count(const struct keydir_pool *pool)
{
    return atomic_load_explicit(&pool->stash_count, memory_order_relaxed);
}

static void stash_set_count(struct keydir_pool *pool, uint64_t count)
{
    atomic_store_explicit(&pool->stash_count, count, memory_order_relaxed);
}

/* Brings the stash to `count` areas at least. */
static enum stave_status stash_fill(struct keydir_pool *pool, uint64_t count)
{
    if (stash_count(pool) >= count) return STAVE_OK;
    uint64_t missing = count - stash_count(pool);
    if (missing < KEYDIR_STASH_LOW) missing = KEYDIR_STASH_LOW;
    uint32_t first = 0;
    const enum stave_status status = keydir_pool_take_areas(pool, missing, &first);
    if (status < 0) return status;

    for (uint32_t next = 0; first != 0; first = next) {
        next = (uint32_t)atomic_load_explicit(&keydir_area_at(pool, first)->link, memory_order_relaxed);
        atomic_store_explicit(&keydir_area_at(pool, first)->link, pool->stash, memory_order_release);
        pool->stash = first;
    }
    stash_set_count(pool, stash_count(pool) + missing);
    return STAVE_OK;
}

enum stave_status keydir_pool_promise(struct keydir_pool *pool, uint64_t count)
{
    const enum stave_status status = stash_fill(pool, count);
    if (status < 0) return status;
    pool->promised = count;
    return STAVE_OK;
}

void keydir_pool_use_promise(struct keydir_pool *pool)
{
    assert(pool->promised > 0); /* keydir_reserve() comes first */
    pool->promised--;
}

bool keydir_pool_can_take(struct keydir_pool *pool, uint64_t count)
{
    return stash_fill(pool, pool->promised + count) == STAVE_OK;
}

uint32_t keydir_pool_take(struct keydir_pool *pool)
{
    const uint32_t index = pool->stash;
    assert(index != 0); /* M5 */
    pool->stash = (uint32_t)atomic_load_explicit(&keydir_area_at(pool, index)->link, memory_order_relaxed);
    stash_set_count(pool, stash_count(pool) - 1);
    return index;
}

/* What the stash holds beyond need goes back in one step, so that the next returns are cheap. */
static void stash_spill(struct keydir_pool *pool)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < KEYDIR_STASH_HIGH - KEYDIR_STASH_LOW; i++) {
        const uint32_t index = keydir_pool_take(pool);
        atomic_store_explicit(&keydir_area_at(pool, index)->link, first, memory_order_release);
        first = index;
    }
    keydir_pool_return_areas(pool, first);
}

void keydir_pool_return(struct keydir_pool *pool, uint32_t index)
{
    atomic_store_explicit(&keydir_area_at(pool, index)->link, pool->stash, memory_order_release);
    pool->stash = index;
    stash_set_count(pool, stash_count(pool) + 1);
    if (stash_count(pool) > pool->promised + KEYDIR_STASH_HIGH) stash_spill(pool);
}

void keydir_pool_stat(struct keydir_pool *pool, struct keydir_pool_stats *ret_stats)
{
    pool_lock(pool);
    const uint64_t idle = pool->area_free_count + stash_count(pool);
    const uint64_t taken = pool->area_next - AREA_FIRST;
    *ret_stats = (struct keydir_pool_stats){
        .area_count = pool->area_end,
        .area_used_count = taken > idle ? taken - idle : 0,
        .memory_size = pool->arena_count * KEYDIR_ARENA_SIZE,
    };
    pool_unlock(pool);
}
