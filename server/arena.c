/* SPDX-License-Identifier: MIT */
/* Blocks in a list; while marking, also in the order of their addresses, so that bytes find theirs. */
#include "server/arena.h"

#include <stdlib.h>

#include "base/memory.h"

#define UNUSED_SIZE ((size_t)64 << 20) /* AR2 */

struct arena_block {
    struct arena_block *next;
    size_t size;
    bool is_marked;
    _Alignas(16) uint8_t bytes[];
};

void *arena_alloc(struct arena *arena, size_t size, uint64_t size_max)
{
    if (size > size_max || arena->size > size_max - size) return NULL;
    struct arena_block *block = memory_alloc(sizeof *block + size);
    if (block == NULL) return NULL;
    block->next = arena->blocks;
    block->size = size;
    block->is_marked = false;
    arena->blocks = block;
    arena->block_count++;
    arena->size += sizeof *block + size;
    return block->bytes;
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        memory_free(block);
    }
    *arena = (struct arena){.blocks = NULL};
}

static int compare_blocks(const void *a, const void *b)
{
    const uintptr_t first = (uintptr_t) * (struct arena_block *const *)a;
    const uintptr_t second = (uintptr_t) * (struct arena_block *const *)b;
    return first < second ? -1 : first > second;
}

bool arena_begin_marking(struct arena *arena)
{
    const size_t more = arena->used > UNUSED_SIZE ? arena->used : UNUSED_SIZE;
    if (arena->size - arena->used < more) return false;
    arena->sorted = memory_alloc(arena->block_count * sizeof(struct arena_block *));
    if (arena->sorted == NULL) return false;

    struct arena_block *block = arena->blocks;
    for (size_t i = 0; i < arena->block_count; i++, block = block->next) arena->sorted[i] = block;
    qsort(arena->sorted, arena->block_count, sizeof arena->sorted[0], compare_blocks);
    return true;
}

void arena_mark(struct arena *arena, struct stave_bytes bytes)
{
    size_t low = 0; /* blocks before it begin at the bytes or before them */
    size_t high = arena->block_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if ((uintptr_t)arena->sorted[middle]->bytes <= (uintptr_t)bytes.data)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return;
    struct arena_block *block = arena->sorted[low - 1];
    if ((uintptr_t)bytes.data - (uintptr_t)block->bytes <= block->size) block->is_marked = true;
}

void arena_end_marking(struct arena *arena)
{
    struct arena_block **link = &arena->blocks;
    while (*link != NULL) {
        struct arena_block *block = *link;
        if (block->is_marked) {
            block->is_marked = false;
            link = &block->next;
            continue;
        }
        *link = block->next;
        arena->block_count--;
        arena->size -= sizeof *block + block->size;
        memory_free(block);
    }
    arena->used = arena->size;
    memory_free(arena->sorted);
    arena->sorted = NULL;
}
