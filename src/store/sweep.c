/* SPDX-License-Identifier: MIT */
/*
 * The sweep: what dropped spaces leave behind is taken out of the index, and counted as dead for compaction.
 *
 * It goes through the sealed segments by id, one a turn, and reads those that may hold a record of a
 * generation that was given up since the last sweep, and one of a generation that is still needed; what none
 * needs compaction removes unread, and then the entries that lead nowhere are taken out of the index, so that
 * cursors need not pass them. A record in the tail is waited for. When all segments that were there at
 * the beginning are done, swept_generation says so (what is written later is of other generations); a sweep
 * that is cut short by a close begins again.
 */
#include "store/sweep.h"

#include "base/memory.h"
#include "log/scan.h"
#include "store/compaction.h"
#include "store/failure.h"
#include "store/segments.h"
#include "store/writer.h"

#define PACE_SIZE (UINT64_C(1) << 20)
#define ROLL_SIZE (UINT64_C(1) << 20) /* a tail with more in it is rolled for the sweep */
#define GENERATIONS_LOOKED_AT (8 * STAVE_SPACE_COUNT_MAX)

struct sweep {
    struct store *store;
    struct generations generations;
    struct removal removals[COMPACTION_SLICE];
    size_t removal_count;
    struct pace pace;
    uint64_t unpaced;
    struct error error;
};

enum sweep_step {
    SWEEP_DONE,  /* nothing is left to do */
    SWEEP_LATER, /* what is left is in the tail, or goes unread */
    SWEEP_MORE,
};

/* ------------------------------------------------------------------ one segment */

static enum stave_status sweep_record(struct sweep *sweep, const struct segment *segment,
                                      const struct scan_record *found)
{
    const struct record *record = &found->record;
    if (record->kind != RECORD_PUT || generations_have(&sweep->generations, record->generation))
        return STAVE_OK;
    const uint64_t location = location_in(segment, found->offset);
    bool is_live;
    const enum stave_status status = location_is_live(sweep->store, record->key_hash, location, &is_live);
    if (status != STAVE_OK || !is_live) return status;
    if (sweep->removal_count == COMPACTION_SLICE) {
        entries_remove(sweep->store, sweep->removals, sweep->removal_count);
        sweep->removal_count = 0;
    }
    sweep->removals[sweep->removal_count++] =
        (struct removal){record->key_hash, location, record_size(record)};
    return STAVE_OK;
}

static enum stave_status sweep_records(struct sweep *sweep, const struct segment *segment, struct scan *scan)
{
    for (;;) {
        struct scan_record found;
        enum stave_status status = scan_next(scan, &found, &sweep->error);
        if (status == STAVE_END) return STAVE_OK;
        if (status == STAVE_OK) status = sweep_record(sweep, segment, &found);
        if (status != STAVE_OK) return status;
        sweep->unpaced += record_size(&found.record);
        if (sweep->unpaced < PACE_SIZE) continue;
        status = pace_wait(sweep->store, &sweep->pace, sweep->unpaced);
        sweep->unpaced = 0;
        if (status != STAVE_OK) return status;
    }
}

static enum stave_status sweep_segment(struct sweep *sweep, const struct segment *segment)
{
    struct scan scan = SCAN_NONE;
    const struct scan_expect expect = {
        .identity = segment->identity,
        .end = atomic_load(&segment->end),
        .id = segment->id,
    };
    enum stave_status status = scan_open(&sweep->store->dir, &expect, &scan, &sweep->error);
    if (status == STAVE_OK) status = sweep_records(sweep, segment, &scan);
    scan_close(&scan);
    entries_remove(sweep->store, sweep->removals, sweep->removal_count);
    return status;
}

/* ------------------------------------------------------------------ which segment */

static uint64_t bit_of(uint32_t generation)
{
    return UINT64_C(1) << (generation & 63);
}

/*
 * Of the generations given up since the last sweep began, the bits that they have in segment->spaces_mask.
 * The first sweep after an open does not know which those are: it takes all that ever were.
 */
static uint64_t dead_mask(const struct store *store, const struct generations *generations)
{
    uint64_t mask = 0;
    if (!store->sweep_knows) {
        if (store->sweep_goal > GENERATIONS_LOOKED_AT) return UINT64_MAX;
        for (uint32_t generation = 0; generation < store->sweep_goal; generation++)
            if (!generations_have(generations, generation)) mask |= bit_of(generation);
        return mask;
    }
    for (size_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        if (!generations_have(generations, store->sweep_generations[i]))
            mask |= bit_of(store->sweep_generations[i]);
    for (uint32_t generation = store->swept_generation; generation < store->sweep_goal; generation++)
        if (!generations_have(generations, generation)) mask |= bit_of(generation);
    return mask;
}

/* write_lock. What is given up from here on is for the next sweep. */
static void begin_sweep(struct store *store, const struct generations *generations)
{
    if (store->sweep_goal != 0) return;
    store->sweep_goal = store->next_generation;
    store->sweep_next_id = 0;
    store->sweep_end_id = store->next_segment_id;
    store->sweep_incarnation = store->tail->incarnation;
    store->sweep_mask = dead_mask(store, generations);
    store->sweep_knows = true;
    for (size_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) store->sweep_generations[i] = generations->sorted[i];
}

/* Compaction removes it unread, sooner or later. */
static bool goes_unread(const struct store *store, const struct living *living, const struct segment *segment)
{
    if (!segment->sealed || segment->damaged || segment->tombstone_size > 0) return false;
    if (store->options.manual_compaction || store->options.feed_retention_size > 0) return false;
    return !living_may_be_in(living, segment);
}

/*
 * write_lock. The next segment that has to be read, if it can be. While one that goes unread is still there
 * the sweep is not done: it is not known as such after an open.
 */
static enum sweep_step next_segment(const struct store *store, struct segment **ret_segment)
{
    struct living living;
    bool is_unread = false;
    living_take(store, &living);
    for (size_t i = 0; i < store->segment_count; i++) {
        struct segment *segment = store->segments[i];
        if (segment->id >= store->sweep_end_id || segment->incarnation > store->sweep_incarnation) continue;
        if (!(segment->spaces_mask & store->sweep_mask)) continue;
        if (segment->live_count == 0 && segment->sealed) continue;
        const bool goes = goes_unread(store, &living, segment);
        is_unread = is_unread || goes;
        if (goes || segment->id < store->sweep_next_id) continue;
        *ret_segment = segment;
        return segment->sealed ? SWEEP_MORE : SWEEP_LATER;
    }
    return is_unread ? SWEEP_LATER : SWEEP_DONE;
}

/* `segment` (optional) is the tail, which is rolled only when there is much in it. */
static enum sweep_step wait_for_tail(struct store *store, const struct segment *segment)
{
    mutex_lock(&store->write_lock);
    const uint64_t quarter = store->options.segment_size / 4;
    const bool rolls = segment != NULL && segment == store->tail &&
                       atomic_load(&segment->end) > (quarter < ROLL_SIZE ? quarter : ROLL_SIZE);
    const bool rolled = rolls && writer_roll(store) == STAVE_OK;
    mutex_unlock(&store->write_lock);
    return rolled ? SWEEP_MORE : SWEEP_LATER;
}

/*
 * A segment that cannot be read keeps its stale entries; they are found again when it is compacted or
 * checked.
 */
static enum sweep_step read_segment(struct sweep *sweep, struct segment *segment)
{
    struct store *store = sweep->store;
    const enum stave_status status = sweep_segment(sweep, segment);
    if (status == STAVE_CANCELLED || status == STAVE_FAILED) return SWEEP_LATER;
    if (status != STAVE_OK && sweep->error.status != STAVE_OK) (void)store_note_error(store, &sweep->error);
    store->sweep_next_id = segment->id + 1;
    if (status == STAVE_CORRUPT) {
        mutex_lock(&store->write_lock);
        segment->damaged = true;
        segment->corrupt = true;
        mutex_unlock(&store->write_lock);
    }
    return SWEEP_MORE;
}

/* ------------------------------------------------------------------ what went unread */

/* upkeep_lock. A block that is not loaded is cleaned by the next checkpoint. */
static void remove_strays(struct store *store)
{
    if (!store->has_strays) return;
    store->has_strays = false;
    const uint32_t block_count = keydir_block_count(&store->keydir);
    for (uint32_t block = 0; block < block_count; block++) {
        uint64_t dropped = 0;
        if (!keydir_block_is_loaded(&store->keydir, block)) continue;
        if (!keydir_block_has_stale(&store->keydir, block, location_leads_nowhere, store)) continue;
        mutex_lock(&store->write_lock);
        keydir_sweep_block(&store->keydir, block, location_leads_nowhere, store, &dropped);
        mutex_unlock(&store->write_lock);
    }
}

/* upkeep_lock */
static enum sweep_step sweep_once(struct sweep *sweep)
{
    struct store *store = sweep->store;
    struct segment *segment = NULL;
    mutex_lock(&store->write_lock);
    generations_take(store, &sweep->generations);
    begin_sweep(store, &sweep->generations);
    const enum sweep_step step = next_segment(store, &segment);
    if (step == SWEEP_DONE) {
        store->swept_generation = store->sweep_goal;
        store->sweep_goal = 0;
    }
    mutex_unlock(&store->write_lock);
    if (step == SWEEP_DONE) return step;
    return step == SWEEP_LATER ? wait_for_tail(store, segment) : read_segment(sweep, segment);
}

static bool is_due(struct store *store)
{
    mutex_lock(&store->write_lock);
    const bool due = store->tail != NULL && store->next_generation != store->swept_generation;
    mutex_unlock(&store->write_lock);
    return due && atomic_load(&store->failed) == STAVE_OK;
}

bool sweep_turn(struct store *store)
{
    mutex_lock(&store->upkeep_lock);
    remove_strays(store);
    mutex_unlock(&store->upkeep_lock);
    if (!is_due(store)) return false;
    struct sweep *sweep = memory_alloc_zero(1, sizeof(*sweep));
    if (sweep == NULL) return false;
    sweep->store = store;
    pace_begin(&sweep->pace, true);
    mutex_lock(&store->upkeep_lock);
    const enum sweep_step step = sweep_once(sweep);
    mutex_unlock(&store->upkeep_lock);
    memory_free(sweep);
    return step == SWEEP_MORE;
}
