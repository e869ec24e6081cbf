/* SPDX-License-Identifier: MIT */
/* Sums of a segment, and of the part of it that a checkpoint under way has not seen. */
#include "store/account.h"

#include <assert.h>

static bool in_image(const struct store *store, uint64_t hash)
{
    return store->checkpoint_running && keydir_block_of(&store->keydir, hash) >= store->checkpoint_position;
}

void account_live(struct store *store, uint64_t location, uint64_t hash, uint64_t size)
{
    struct segment *segment = segment_at(store, location);
    if (segment == NULL) return;
    segment->live_size += size;
    segment->live_count++;
    if (!in_image(store, hash)) return;
    segment->image_live_size += size;
    segment->image_live_count++;
}

void account_dead(struct store *store, uint64_t location, uint64_t hash, uint64_t size)
{
    struct segment *segment = segment_at(store, location);
    if (segment == NULL) return;
    assert(segment->live_size >= size);
    segment->live_size -= size;
    segment->live_count--;
    if (!in_image(store, hash)) return;
    segment->image_live_size -= size;
    segment->image_live_count--;
}

/* Before the index points to the record. Mostly the bit is set. */
static void account_space(struct segment *segment, uint32_t generation)
{
    const uint64_t mask = atomic_load_explicit(&segment->spaces_mask, memory_order_relaxed);
    const uint64_t bit = UINT64_C(1) << (generation & 63);
    if (!(mask & bit)) atomic_store_explicit(&segment->spaces_mask, mask | bit, memory_order_relaxed);
}

void account_record(struct segment *segment, const struct record *record)
{
    const uint64_t size = record_size(record);
    segment->record_count++;
    if (record->kind != RECORD_MARK && record->sequence > segment->last_sequence)
        segment->last_sequence = record->sequence;
    if (record_has_key(record->kind)) account_space(segment, record->generation);
    if (record->kind == RECORD_TOMBSTONE) segment->tombstone_size += size;
    if (record->expires_at_ms == 0 || record->kind != RECORD_PUT) return;
    segment->expiring_size += size;
    if (segment->expires_first_ms == 0 || record->expires_at_ms < segment->expires_first_ms)
        segment->expires_first_ms = record->expires_at_ms;
    if (record->expires_at_ms > segment->expires_last_ms) segment->expires_last_ms = record->expires_at_ms;
}
