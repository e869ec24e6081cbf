/* SPDX-License-Identifier: MIT */
/*
 * The memory of a keydir: arenas of 2 MiB cut into pieces of 64 KiB, and overflow areas of 32 bytes cut from
 * pieces.
 *
 *   M1  What a directory has once published stays where it is until keydir_pool_free(); a directory never
 *       moves.
 *   M2  A piece handed out is all zeroes. An area handed out holds no entries.
 *   M3  An area keeps its memory for ever: a reader that still stands in a freed one reads valid words.
 *   M4  `lock` is a leaf: nothing is called while it is held, and no system call is made.
 *   M5  The stash belongs to the mutator alone; at least `promised` areas stay in it for inserts.
 *
 * Any thread may take pieces and areas (a reader loads blocks of an image); the functions that say "mutator"
 * are for the holder of the store's write lock.
 */
#ifndef STAVE_INDEX_KEYDIR_POOL_H
#define STAVE_INDEX_KEYDIR_POOL_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

enum {
    KEYDIR_ARENA_SIZE = 2 << 20,
    KEYDIR_PIECE_SIZE = 64 << 10,
    KEYDIR_ARENA_PIECES = KEYDIR_ARENA_SIZE / KEYDIR_PIECE_SIZE,
    KEYDIR_AREA_ENTRIES = 3,
    KEYDIR_AREA_SIZE = 32,
    KEYDIR_PIECE_AREAS = KEYDIR_PIECE_SIZE / KEYDIR_AREA_SIZE,
    KEYDIR_LEAF_COUNT = KEYDIR_PIECE_SIZE / 8, /* pointers in a leaf of a directory */
    KEYDIR_TOP_COUNT = 512,                    /* leaves of a directory: 2^22 pointers in all */
    KEYDIR_STASH_LOW = 32,
    KEYDIR_STASH_HIGH = 128,
};

/*
 * Pages handed down: `size` is a multiple of 2 MiB, the result aligned to 2 MiB and zeroed; NULL: no memory.
 */
struct keydir_memory {
    void *context;
    void *(*map)(void *context, size_t size);
    void (*unmap)(void *context, void *at, size_t size);
};

/* Overflow area: the next area's index (0: none), and three entries. */
struct keydir_area {
    _Atomic uint64_t link;
    _Atomic uint64_t entries[KEYDIR_AREA_ENTRIES];
};
static_assert(sizeof(struct keydir_area) == KEYDIR_AREA_SIZE, "two areas are a cache line");

/* Index -> pointer, in two levels, so that it grows without moving (M1). A leaf is one piece. */
struct keydir_directory {
    _Atomic uintptr_t top[KEYDIR_TOP_COUNT];
};

struct keydir_pool {
    struct keydir_memory memory;
    struct keydir_directory area_pieces; /* area index / KEYDIR_PIECE_AREAS -> piece */
    struct keydir_directory arenas;      /* lock, for writing */
    atomic_flag lock;
    uint64_t arena_count;         /* lock */
    uintptr_t arena_newest;       /* lock */
    uint32_t arena_pieces_used;   /* lock: of the newest arena */
    uintptr_t piece_free;         /* lock: returned pieces, linked through their first word */
    uint64_t area_end;            /* lock: areas below have memory */
    uint64_t area_next;           /* lock: areas from here to area_end were never used */
    uint32_t area_free;           /* lock: first of the freed areas, linked; 0: none */
    uint64_t area_free_count;     /* lock */
    uint32_t stash;               /* mutator: first of its own areas, linked; 0: none */
    _Atomic uint64_t stash_count; /* written by the mutator */
    uint64_t promised;            /* mutator: areas of the stash that only inserts may take */
};

struct keydir_pool_stats {
    uint64_t area_count; /* that have memory */
    uint64_t area_used_count;
    uint64_t memory_size;
};

void keydir_pool_init(struct keydir_pool *pool, struct keydir_memory memory);
void keydir_pool_free(struct keydir_pool *pool);

/* A zeroed piece, or NULL. */
void *keydir_pool_take_piece(struct keydir_pool *pool);
void keydir_pool_return_piece(struct keydir_pool *pool, void *piece);

/* Makes sure that `index` has a place in the directory. Result STAVE_OK or STAVE_NO_MEMORY. */
enum stave_status keydir_directory_reserve(struct keydir_directory *directory, struct keydir_pool *pool,
                                           uint64_t index);

/* Takes `count` areas, linked; all or none. Result STAVE_OK, STAVE_NO_MEMORY, STAVE_LIMIT. */
enum stave_status keydir_pool_take_areas(struct keydir_pool *pool, uint64_t count, uint32_t *ret_first);
void keydir_pool_return_areas(struct keydir_pool *pool, uint32_t first);

/* Mutator: the same through the stash. A promise makes that many keydir_pool_take() succeed. */
enum stave_status keydir_pool_promise(struct keydir_pool *pool, uint64_t count);
void keydir_pool_use_promise(struct keydir_pool *pool);
bool keydir_pool_can_take(struct keydir_pool *pool, uint64_t count); /* beside the promised ones */
uint32_t keydir_pool_take(struct keydir_pool *pool);
void keydir_pool_return(struct keydir_pool *pool, uint32_t index);

void keydir_pool_stat(struct keydir_pool *pool, struct keydir_pool_stats *ret_stats);

/* The place of `index`; its leaf must have been reserved. */
static inline _Atomic uintptr_t *keydir_directory_at(const struct keydir_directory *directory, uint64_t index)
{
    const uintptr_t leaf =
        atomic_load_explicit(&directory->top[index / KEYDIR_LEAF_COUNT], memory_order_acquire);
    return (_Atomic uintptr_t *)leaf + index % KEYDIR_LEAF_COUNT;
}

static inline struct keydir_area *keydir_area_at(const struct keydir_pool *pool, uint32_t index)
{
    const uintptr_t piece = atomic_load_explicit(
        keydir_directory_at(&pool->area_pieces, index / KEYDIR_PIECE_AREAS), memory_order_acquire);
    return (struct keydir_area *)piece + index % KEYDIR_PIECE_AREAS;
}

#endif
