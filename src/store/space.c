/* SPDX-License-Identifier: MIT */
/*
 * Spaces: numbers that map to generations. Records name the generation, so dropping a space is giving it a
 * new one, and what the old one leaves is dead.
 */
#include "store/space.h"

#include "store/operation.h"
#include "store/wake.h"

struct stave *stave_space(struct stave *handle, uint32_t number)
{
    if (handle == NULL || number >= STAVE_SPACE_COUNT_MAX) return NULL;
    return &handle->store->handles[number];
}

uint32_t stave_space_number(const struct stave *handle)
{
    return handle == NULL ? 0 : handle->number;
}

uint64_t stave_count(struct stave *handle)
{
    if (guard_store(handle) != STAVE_OK) return 0;
    mutex_lock(&handle->store->write_lock);
    const uint64_t count = handle->store->count_of[handle->number];
    mutex_unlock(&handle->store->write_lock);
    return count;
}

void spaces_apply(struct store *store, const struct record_spaces *spaces, uint64_t sequence)
{
    store->spaces_version++;
    if (spaces->op == RECORD_SPACES_DROP) {
        atomic_store_explicit(&store->generation_of[spaces->a], spaces->generation, memory_order_release);
        store->count_of[spaces->a] = 0;
        store->generation_since[spaces->a] = sequence;
        if (spaces->generation >= store->next_generation) store->next_generation = spaces->generation + 1;
        wake_worker(store);
        return;
    }
    const uint32_t generation = atomic_load(&store->generation_of[spaces->a]);
    const uint64_t count = store->count_of[spaces->a];
    atomic_store_explicit(&store->generation_of[spaces->a], atomic_load(&store->generation_of[spaces->b]),
                          memory_order_release);
    store->count_of[spaces->a] = store->count_of[spaces->b];
    atomic_store_explicit(&store->generation_of[spaces->b], generation, memory_order_release);
    store->count_of[spaces->b] = count;
    const uint64_t since = store->generation_since[spaces->a];
    store->generation_since[spaces->a] = store->generation_since[spaces->b];
    store->generation_since[spaces->b] = since;
}
