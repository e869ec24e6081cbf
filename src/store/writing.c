/* SPDX-License-Identifier: MIT */
/* What the syncer does in the background is done here by the thread that opens or closes. */
#include "store/writing.h"

#include "store/failure.h"
#include "store/segments.h"
#include "store/sync.h"
#include "store/writer.h"

/* Without a spare, on a full disk, there is the tail, for deletes at least. */
enum stave_status writing_begin(struct store *store, bool may_use_reserve, struct error *error)
{
    store->starts_from_reserve = may_use_reserve;
    enum stave_status status = syncer_turn_segments(store);
    store->starts_from_reserve = false;
    if (status == STAVE_OK) {
        mutex_lock(&store->write_lock);
        writer_begin_roll(store);
        store->sealing = NULL;
        mutex_unlock(&store->write_lock);
        status = syncer_turn_segments(store);
        if (status == STAVE_FULL || status == STAVE_LIMIT) return STAVE_OK;
    }
    if (status != STAVE_OK) store_last_error(store, error);
    return status;
}

static void drop_segment(struct store *store, struct segment *segment, struct segment **gone,
                         size_t *gone_count)
{
    if (segment == NULL) return;
    segment_withdraw(store, segment);
    gone[(*gone_count)++] = segment;
}

enum stave_status writing_end(struct store *store, struct error *error)
{
    struct segment *gone[2];
    size_t gone_count = 0;
    enum stave_status status = syncer_turn_segments(store);
    /* Only a spare is missing. */
    if ((status == STAVE_FULL || status == STAVE_LIMIT) && store->sealing == NULL) status = STAVE_OK;
    if (status == STAVE_OK) status = sync_to(store, atomic_load(&store->sequence));
    if (status != STAVE_OK) {
        store_last_error(store, error);
        return status;
    }
    struct segment *tail = store->tail;
    const bool is_empty = atomic_load(&tail->end) == SEGMENT_HEADER_SIZE;
    if (!is_empty) status = segment_seal(store, tail, error);
    if (status != STAVE_OK) return status;

    mutex_lock(&store->write_lock);
    drop_segment(store, store->spare, gone, &gone_count);
    if (is_empty) drop_segment(store, tail, gone, &gone_count);
    store->spare = NULL;
    store->tail = NULL;
    mutex_unlock(&store->write_lock);
    status = manifest_install(store, error);
    segments_retire(store, gone, gone_count, status == STAVE_OK);
    return status;
}
