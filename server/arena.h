/* SPDX-License-Identifier: MIT */
/*
 * Memory for what the commands of a transaction compute.
 *
 *   AR1  A block lives until arena_clear(), or until a marking in which nobody pointed into it.
 *   AR2  A marking is begun only when as much may be unused as the last one found in use, and 64 MiB at
 *        least: its cost, the sorting of the blocks, is a share of what allocating them took.
 */
#ifndef STAVE_SERVER_ARENA_H
#define STAVE_SERVER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

struct arena_block;

/* All zeroes is an empty one. */
struct arena {
    struct arena_block *blocks;
    size_t block_count;
    size_t size;                 /* of the blocks */
    size_t used;                 /* found in use by the last marking */
    struct arena_block **sorted; /* by address, while marking */
};

/* NULL: no memory, or the arena would be larger than this. */
void *arena_alloc(struct arena *arena, size_t size, uint64_t size_max);
void arena_clear(struct arena *arena);

/* False: it is not time for it (AR2), or there is no memory. */
bool arena_begin_marking(struct arena *arena);
/* Bytes that may lie in a block, or anywhere else. */
void arena_mark(struct arena *arena, struct stave_bytes bytes);
/* Frees what is not marked. */
void arena_end_marking(struct arena *arena);

#endif
