/* SPDX-License-Identifier: MIT */
/* Writers wait for compaction where the disk's ratio is reached. */
#include "store/pressure.h"

#include "store/wake.h"

enum {
    SEGMENTS_ALLOWED = 2, /* beside the ratio: pressure.h */
    PRESSURE_NEAR_PERCENT = 90,
    FRUITLESS_MAX = 256, /* turns that a delete waits for in vain */
};

static uint64_t disk_size(const struct store *store)
{
    uint64_t size = store->output_size;
    for (size_t i = 0; i < store->segment_count; i++) size += atomic_load(&store->segments[i]->allocated);
    const uint64_t next = store->spare != NULL ? atomic_load(&store->spare->allocated) : 0;
    return next < store->options.segment_size ? size + store->options.segment_size - next : size;
}

uint64_t pressure_allowed(const struct store *store, uint64_t live_size)
{
    return live_size / 100 * store->options.disk_ratio_percent +
           SEGMENTS_ALLOWED * store->options.segment_size;
}

static uint64_t live_size_of(const struct store *store)
{
    uint64_t size = 0;
    for (size_t i = 0; i < store->segment_count; i++) size += store->segments[i]->live_size;
    return size;
}

bool pressure_is_near(const struct store *store)
{
    return disk_size(store) > pressure_allowed(store, live_size_of(store)) / 100 * PRESSURE_NEAR_PERCENT;
}

static bool is_over(const struct store *store, uint64_t size)
{
    if (store->options.manual_compaction || store->tail == NULL) return false;
    return disk_size(store) + size > pressure_allowed(store, live_size_of(store) + size);
}

bool pressure_wait(struct store *store, uint64_t size)
{
    const uint64_t first = store->relief_begun + 1; /* the first turn that will have seen this */
    bool waited = false;
    while (is_over(store, size) && atomic_load(&store->failed) == STAVE_OK) {
        if (store->relief_ended >= first && store->relief_turn != PRESSURE_GAINED) break;
        wake_worker(store);
        condition_wait(&store->roll_done, &store->write_lock);
        waited = true;
    }
    return waited;
}

bool pressure_relief(struct store *store, unsigned *fruitless)
{
    mutex_lock(&store->write_lock);
    const uint64_t first = store->relief_begun + 1;
    const bool waits = !store->options.manual_compaction;
    while (waits && store->relief_ended < first && atomic_load(&store->failed) == STAVE_OK) {
        wake_worker(store);
        condition_wait(&store->roll_done, &store->write_lock);
    }
    const enum pressure_turn turn =
        waits && atomic_load(&store->failed) == STAVE_OK ? store->relief_turn : PRESSURE_IDLE;
    mutex_unlock(&store->write_lock);
    return turn == PRESSURE_GAINED || (turn == PRESSURE_WORKED && ++*fruitless < FRUITLESS_MAX);
}

void pressure_turn_begin(struct store *store)
{
    mutex_lock(&store->write_lock);
    store->relief_begun++;
    mutex_unlock(&store->write_lock);
}

void pressure_turn_end(struct store *store, enum pressure_turn turn)
{
    mutex_lock(&store->write_lock);
    store->relief_ended = store->relief_begun;
    store->relief_turn = turn;
    condition_broadcast(&store->roll_done);
    mutex_unlock(&store->write_lock);
}
