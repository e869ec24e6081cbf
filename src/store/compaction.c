/* SPDX-License-Identifier: MIT */
/* Compaction: one run copies what is live out of a few segments and removes them. */
#include "store/compaction.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "log/scan.h"
#include "os/clock.h"
#include "store/account.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/pressure.h"
#include "store/reserve.h"
#include "store/segments.h"
#include "store/sync.h"
#include "store/wake.h"
#include "store/writer.h"

#define NS_PER_S UINT64_C(1000000000)
#define PACE_STEP_NS UINT64_C(5000000)
#define PREFETCH_AHEAD 16
#define REPORT_SIZE (UINT64_C(1) << 20) /* the store's state and the caller are asked after so many bytes */

struct progress {
    stave_progress_call call; /* NULL: nobody asks */
    void *context;
    uint64_t done;
    uint64_t total;
};

struct run {
    struct store *store;
    struct progress *progress; /* NULL in the background */
    struct pick pick;
    uint64_t oldest; /* segments_oldest of all but the victims */
    struct generations generations;
    struct output output;
    struct removal removals[COMPACTION_SLICE];
    size_t removal_count;
    struct pace pace;
    uint64_t unreported;
    uint64_t read;
    struct error error;
};

/* ------------------------------------------------------------------ generations */

static int compare_generations(const void *a, const void *b)
{
    const uint32_t first = *(const uint32_t *)a;
    const uint32_t second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

void generations_take(const struct store *store, struct generations *ret_generations)
{
    for (size_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        ret_generations->sorted[i] = atomic_load(&store->generation_of[i]);
    ret_generations->count = STAVE_SPACE_COUNT_MAX;
    qsort(ret_generations->sorted, ret_generations->count, sizeof(uint32_t), compare_generations);
}

bool generations_have(const struct generations *generations, uint32_t generation)
{
    return bsearch(&generation, generations->sorted, generations->count, sizeof(uint32_t),
                   compare_generations) != NULL;
}

/* ------------------------------------------------------------------ the index */

enum stave_status location_is_live(struct store *store, uint64_t hash, uint64_t location, bool *ret_live)
{
    struct keydir_probe probe;
    do {
        const enum stave_status status = keydir_probe_begin(&store->keydir, hash, &probe);
        if (status != STAVE_OK) return status;
        uint64_t found;
        while (keydir_probe_next(&probe, &found)) {
            if (found != location) continue;
            *ret_live = true;
            return STAVE_OK;
        }
    } while (keydir_probe_changed(&probe));
    *ret_live = false;
    return STAVE_OK;
}

void entries_remove(struct store *store, const struct removal *removals, size_t count)
{
    for (size_t i = 0; i < count; i++) keydir_prefetch(&store->keydir, removals[i].hash);
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < count; i++)
        if (keydir_remove(&store->keydir, removals[i].hash, removals[i].location))
            account_dead(store, removals[i].location, removals[i].hash, removals[i].size);
    mutex_unlock(&store->write_lock);
}

/* ------------------------------------------------------------------ pace */

void pace_begin(struct pace *pace, bool in_background)
{
    *pace = (struct pace){.began_ns = clock_monotonic_ns(), .in_background = in_background};
}

static uint64_t budget_of(struct store *store)
{
    mutex_lock(&store->write_lock);
    const uint64_t budget = store->options.compaction_io_per_s;
    mutex_unlock(&store->write_lock);
    return budget;
}

enum stave_status pace_wait(struct store *store, struct pace *pace, uint64_t size)
{
    pace->size += size;
    const uint64_t budget = budget_of(store);
    const double due = budget == 0 ? 0 : (double)pace->size / (double)budget * (double)NS_PER_S;
    for (;;) {
        if (pace->in_background && atomic_load(&store->stopping)) return STAVE_CANCELLED;
        if (atomic_load(&store->failed) != STAVE_OK) return STAVE_FAILED;
        if (due <= (double)(clock_monotonic_ns() - pace->began_ns)) return STAVE_OK;
        thread_sleep_ns(PACE_STEP_NS);
    }
}

/* After `size` bytes read and written: sleeps as the budget asks, and asks the caller whether to go on. */
static enum stave_status report(struct run *run, uint64_t size)
{
    run->unreported += size;
    if (run->unreported < REPORT_SIZE) return STAVE_OK;
    const uint64_t moved = run->unreported;
    run->unreported = 0;
    const enum stave_status status = pace_wait(run->store, &run->pace, moved);
    struct progress *progress = run->progress;
    if (status != STAVE_OK || progress == NULL || progress->call == NULL) return status;
    const uint64_t done = progress->done + run->read;
    const uint64_t total = done > progress->total ? done : progress->total;
    return progress->call(progress->context, done, total) ? STAVE_CANCELLED : STAVE_OK;
}

/* ------------------------------------------------------------------ what is needed of a record */

static enum stave_status forget(struct run *run, const struct scan_record *found, uint64_t location)
{
    if (run->removal_count == COMPACTION_SLICE) {
        entries_remove(run->store, run->removals, run->removal_count);
        run->removal_count = 0;
    }
    run->removals[run->removal_count++] =
        (struct removal){found->record.key_hash, location, record_size(&found->record)};
    return STAVE_OK;
}

/*
 * A record of a dropped space is taken out of the index at once; one that has expired gets a tombstone in the
 * log, which hides what is older just as the record did. When that cannot be written the record is copied.
 * (P4)
 */
static enum stave_status put_is_needed(struct run *run, const struct segment *segment,
                                       const struct scan_record *found, bool *ret_needed)
{
    const struct record *record = &found->record;
    const uint64_t location = location_in(segment, found->offset);
    *ret_needed = false;
    bool is_live;
    enum stave_status status = location_is_live(run->store, record->key_hash, location, &is_live);
    if (status != STAVE_OK || !is_live) return status;
    if (!generations_have(&run->generations, record->generation)) return forget(run, found, location);
    *ret_needed = true;
    if (!record_is_expired(record, clock_wall_ms())) return STAVE_OK;
    status = writer_expire(run->store, record->key_hash, location);
    *ret_needed = status < 0;
    if (status != STAVE_NOT_FOUND) return STAVE_OK;
    /* replaced or held meanwhile, or the clock was set back */
    return location_is_live(run->store, record->key_hash, location, ret_needed);
}

/* C3 */
static bool tombstone_is_needed(struct run *run, const struct scan_record *found)
{
    const struct record *record = &found->record;
    if (record->sequence < run->oldest) return false;
    if (!generations_have(&run->generations, record->generation)) return false;
    struct found newer;
    const struct stave_bytes key = stave_bytes(found->key, record->key_size);
    const uint32_t token = epoch_enter(&run->store->epoch);
    const enum stave_status status =
        find_key(run->store, record->key_hash, record->generation, key, 0, &newer);
    bool is_needed = true;
    if (status == STAVE_OK) {
        is_needed = newer.reading.record.sequence < record->sequence;
        reading_end(&newer.reading);
    }
    epoch_leave(&run->store->epoch, token);
    return is_needed;
}

static enum stave_status is_needed(struct run *run, const struct segment *segment,
                                   const struct scan_record *found, bool *ret_needed)
{
    switch (found->record.kind) {
    case RECORD_PUT: return put_is_needed(run, segment, found, ret_needed);
    case RECORD_TOMBSTONE: *ret_needed = tombstone_is_needed(run, found); return STAVE_OK;
    default: *ret_needed = false; return STAVE_OK;
    }
}

/* ------------------------------------------------------------------ copying */

static enum stave_status copy_value(void *context, const uint8_t *bytes, size_t size)
{
    struct run *run = context;
    const enum stave_status status = output_bytes(&run->output, bytes, size, &run->error);
    return status == STAVE_OK ? report(run, 2 * (uint64_t)size) : status;
}

static enum stave_status copy_record(struct run *run, struct scan *scan, const struct scan_record *found,
                                     uint64_t from)
{
    struct record copy = found->record;
    copy.flags &= (uint8_t) ~(RECORD_IN_BATCH | RECORD_INSERT);
    enum stave_status status = output_reserve(run->store, &run->output, record_size(&copy), &run->error);
    if (status == STAVE_OK) status = output_begin_record(&run->output, &copy, from, &run->error);
    if (status == STAVE_OK) status = output_bytes(&run->output, found->key, copy.key_size, &run->error);
    if (status == STAVE_OK) status = scan_value(scan, copy_value, run, &run->error);
    return status == STAVE_OK ? output_end_record(&run->output, &copy, &run->error) : status;
}

static enum stave_status take_record(struct run *run, struct scan *scan, const struct segment *segment,
                                     const struct scan_record *found)
{
    bool needed;
    enum stave_status status = is_needed(run, segment, found, &needed);
    if (status != STAVE_OK || !needed) return status;
    status = scan_verify(scan, &run->error);
    if (status != STAVE_OK) return status;
    const struct scan_record verified = scan->current; /* its key may have been read again */
    return copy_record(run, scan, &verified, location_in(segment, verified.offset));
}

/* Asks for the lines of the index that the next records lead to, a group at a time. */
static void prefetch_ahead(struct run *run, const struct scan *scan, uint64_t *ahead)
{
    uint64_t hash;
    if (*ahead > scan->next) return;
    *ahead = scan->next;
    for (int i = 0; i < PREFETCH_AHEAD && scan_peek(scan, ahead, &hash); i++)
        keydir_prefetch(&run->store->keydir, hash);
}

static enum stave_status scan_victim(struct run *run, const struct segment *segment, struct scan *scan)
{
    uint64_t ahead = 0;
    for (;;) {
        struct scan_record found;
        enum stave_status status = scan_next(scan, &found, &run->error);
        if (status == STAVE_END) return STAVE_OK;
        if (status != STAVE_OK) return status;
        prefetch_ahead(run, scan, &ahead);
        const uint64_t size = record_size(&found.record);
        status = take_record(run, scan, segment, &found);
        run->read += size;
        if (status == STAVE_OK) status = report(run, size);
        if (status != STAVE_OK) return status;
    }
}

static enum stave_status copy_victim(struct run *run, struct segment *segment)
{
    struct scan scan = SCAN_NONE;
    const struct scan_expect expect = {
        .identity = segment->identity,
        .end = atomic_load(&segment->end),
        .id = segment->id,
    };
    enum stave_status status = scan_open(&run->store->dir, &expect, &scan, &run->error);
    if (status == STAVE_NOT_FOUND || status == STAVE_NOT_A_STORE) status = STAVE_CORRUPT;
    if (status == STAVE_OK) status = scan_victim(run, segment, &scan);
    const bool is_unreadable =
        status == STAVE_CORRUPT || (status == STAVE_IO && scan.damage == SCAN_UNREADABLE);
    scan_close(&scan);
    if (is_unreadable) {
        mutex_lock(&run->store->write_lock);
        segment->damaged = true; /* C4 */
        segment->corrupt = status == STAVE_CORRUPT;
        mutex_unlock(&run->store->write_lock);
    }
    return status;
}

/* ------------------------------------------------------------------ removal */

/* write_lock. The lowest sequence that a feed can still give when the victims are gone. */
static uint64_t floor_without(const struct store *store, struct segment **victims, size_t count)
{
    uint64_t floor = store->feed_floor;
    for (size_t i = 0; i < count; i++)
        if (victims[i]->kind != SEGMENT_OUTPUT && victims[i]->last_sequence >= floor)
            floor = victims[i]->last_sequence + 1;
    return floor;
}

static void set_listed(struct store *store, struct segment **victims, size_t count, bool listed)
{
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < count; i++) victims[i]->listed = listed;
    store->listed_floor = listed ? store->feed_floor : floor_without(store, victims, count);
    mutex_unlock(&store->write_lock);
}

/* C2 */
static enum stave_status sync_relied_on(struct store *store, struct error *error)
{
    mutex_lock(&store->write_lock);
    const uint64_t relied_on = atomic_load(&store->sequence);
    mutex_unlock(&store->write_lock);
    const enum stave_status status = sync_to(store, relied_on);
    if (status == STAVE_OK) return STAVE_OK;
    return error_set(error, status, 0, "%s: the log could not be synced", store->dir.path);
}

/*
 * upkeep_lock. Removes segments, whose records are moved or dead, in the order that C2 asks for. On failure
 * they stay.
 */
static enum stave_status remove_victims(struct store *store, struct segment **victims, size_t count,
                                        struct error *error)
{
    enum stave_status status = sync_relied_on(store, error);
    if (status != STAVE_OK) return status;
    set_listed(store, victims, count, false);
    status = manifest_install(store, error);
    if (status != STAVE_OK) {
        set_listed(store, victims, count, true);
        return status;
    }
    mutex_lock(&store->write_lock);
    store->feed_floor = store->listed_floor;
    for (size_t i = 0; i < count; i++) {
        segment_withdraw(store, victims[i]);
        store->output_size += atomic_load(&victims[i]->allocated);
    }
    mutex_unlock(&store->write_lock);
    segments_retire(store, victims, count, true);
    mutex_lock(&store->write_lock);
    store->output_size = 0;
    mutex_unlock(&store->write_lock);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ one run; upkeep_lock */

/* write_lock */
static void mark_victims(struct run *run, bool victim)
{
    for (size_t i = 0; i < run->pick.count; i++) run->pick.victims[i]->victim = victim;
}

/* write_lock */
static void mark_copied(struct run *run, bool copied)
{
    for (size_t i = 0; i < run->pick.count; i++) run->pick.victims[i]->copied = copied;
}

static void begin_run(struct run *run)
{
    struct store *store = run->store;
    mutex_lock(&store->write_lock);
    mark_victims(run, true);
    run->output.horizon = atomic_load(&store->sequence);
    run->oldest = segments_oldest(store, NULL);
    for (size_t i = 0; i < run->pick.count; i++)
        run->output.expected += run->pick.victims[i]->live_size + run->pick.victims[i]->tombstone_size;
    store->compaction_horizon = run->output.horizon;
    generations_take(store, &run->generations);
    mutex_unlock(&store->write_lock);
}

static void end_run(struct run *run, enum stave_status status, uint64_t began_ns)
{
    struct store *store = run->store;
    mutex_lock(&store->write_lock);
    if (status != STAVE_OK) {
        mark_victims(run, false);
        mark_copied(run, false);
    }
    store->compaction_horizon = 0;
    condition_broadcast(&store->roll_done);
    mutex_unlock(&store->write_lock);
    atomic_fetch_add(&store->counters.compactions, 1);
    atomic_fetch_add(&store->counters.compaction_read, run->read);
    atomic_fetch_add(&store->counters.compaction_written, run->output.written);
    atomic_fetch_add(&store->counters.compaction_time_us, (clock_monotonic_ns() - began_ns) / 1000);
    wake_syncer(store);
}

static enum stave_status copy_victims(struct run *run)
{
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < run->pick.count && status == STAVE_OK; i++)
        status = copy_victim(run, run->pick.victims[i]);
    entries_remove(run->store, run->removals, run->removal_count);
    run->removal_count = 0;
    if (status != STAVE_OK || run->output.segment == NULL) return status;
    status = sync_relied_on(run->store, &run->error);
    if (status != STAVE_OK) return status;
    mutex_lock(&run->store->write_lock);
    mark_copied(run, true); /* C6 */
    mutex_unlock(&run->store->write_lock);
    return output_publish(run->store, &run->output, &run->error);
}

/* Copies what is needed, then removes the victims; *ret_gained: bytes of disk that came back. */
static enum stave_status run_pick(struct run *run, uint64_t *ret_gained)
{
    const uint64_t began_ns = clock_monotonic_ns();
    begin_run(run);
    enum stave_status status = run->pick.is_dead ? STAVE_OK : copy_victims(run);
    if (status == STAVE_OK)
        status = remove_victims(run->store, run->pick.victims, run->pick.count, &run->error);
    end_run(run, status, began_ns);
    const uint64_t written = run->output.written;
    output_free(run->store, &run->output);
    if (status == STAVE_OK) {
        const uint64_t kept = written > 0 ? align_up(written + SEGMENT_HEADER_SIZE, MAP_PAGE_SIZE) : 0;
        *ret_gained = run->pick.taken > kept ? run->pick.taken - kept : 0;
        if (run->pick.is_dead) run->store->has_strays = true;
        (void)reserve_keep(run->store);
    } else if (status != STAVE_CANCELLED && run->error.status != STAVE_OK) {
        (void)store_note_error(run->store, &run->error);
    }
    return status;
}

/* D5 */
static bool has_linked(const struct store *store, const struct pick *pick)
{
    for (size_t i = 0; i < pick->count; i++)
        if (segment_is_linked(store, pick->victims[i]->id)) return true;
    return false;
}

/* upkeep_lock. STAVE_END: nothing is to be done. */
static enum stave_status run_once(struct store *store, enum pick_mode mode, uint32_t id_end,
                                  struct progress *progress, uint64_t *ret_gained)
{
    struct run *run = memory_alloc_zero(1, sizeof(*run));
    if (run == NULL) return store_error(store, STAVE_NO_MEMORY, "no memory to compact");
    run->store = store;
    run->progress = progress;
    run->output = OUTPUT_NONE;
    run->output.reserve = mode == PICK_FULL ? RESERVE_FOR_OUTPUT : RESERVE_FOR_NOTHING;
    pace_begin(&run->pace, progress == NULL);
    segments_reap(store);
    if (mode == PICK_FULL) (void)reserve_keep(store); /* what room there is counts */
    mutex_lock(&store->write_lock);
    compaction_pick(store, mode, id_end, &run->pick);
    mutex_unlock(&store->write_lock);
    enum stave_status status = STAVE_END;
    if (mode != PICK_FULL && has_linked(store, &run->pick)) run->output.reserve = RESERVE_STAYS_WHOLE;
    if (run->pick.count > 0) status = run_pick(run, ret_gained);
    if (progress != NULL && status == STAVE_OK) progress->done += run->pick.size;
    memory_free(run);
    return status;
}

/*
 * When the disk is too full for what is due, what needs the least room is compacted into the reserve. (P9)
 */
static enum stave_status run_or_relieve(struct store *store, enum pick_mode mode, uint32_t id_end,
                                        struct progress *progress, uint64_t *ret_gained)
{
    mutex_lock(&store->upkeep_lock);
    enum stave_status status = run_once(store, mode, id_end, progress, ret_gained);
    if (status == STAVE_FULL) status = run_once(store, PICK_FULL, id_end, progress, ret_gained);
    mutex_unlock(&store->upkeep_lock);
    return status;
}

/* ------------------------------------------------------------------ who asks for it */

/* Until there is nothing left to gain, or the disk has room. */
static enum stave_status relieve(struct store *store, uint32_t id_end, struct progress *progress,
                                 uint64_t *ret_gained)
{
    if (!atomic_load(&store->disk_is_full)) return STAVE_END;
    const enum stave_status status = run_or_relieve(store, PICK_FULL, id_end, progress, ret_gained);
    if (status == STAVE_END) atomic_store(&store->disk_is_full, false);
    return status;
}

bool compaction_relieve(struct store *store)
{
    uint64_t unused;
    mutex_lock(&store->upkeep_lock);
    const enum stave_status status = run_once(store, PICK_FULL, UINT32_MAX, NULL, &unused);
    mutex_unlock(&store->upkeep_lock);
    return status == STAVE_OK;
}

static bool is_dead_large_of(const struct segment *segment, const struct segment *log)
{
    return segment->kind == SEGMENT_LARGE && segment->live_count == 0 && segment->listed &&
           sequence_incarnation(segment->last_sequence) == log->incarnation;
}

/* A dead LARGE segment can go once the log that links it is sealed (C1): when it takes room, that is now. */
static bool release_large(struct store *store)
{
    bool rolls = false;
    mutex_lock(&store->write_lock);
    const struct segment *tail = store->tail;
    const bool is_near = tail != NULL && pressure_is_near(store);
    for (size_t i = 0; is_near && i < store->segment_count && !rolls; i++)
        rolls = is_dead_large_of(store->segments[i], tail);
    const bool rolled = rolls && writer_roll(store) == STAVE_OK;
    mutex_unlock(&store->write_lock);
    return rolled;
}

bool compaction_turn(struct store *store)
{
    if (store->options.manual_compaction || atomic_load(&store->failed) != STAVE_OK) return false;
    uint64_t gained = 0;
    pressure_turn_begin(store);
    enum stave_status status = relieve(store, UINT32_MAX, NULL, &gained);
    if (status == STAVE_END) status = run_or_relieve(store, PICK_DUE, UINT32_MAX, NULL, &gained);
    enum pressure_turn turn = PRESSURE_IDLE;
    if (status == STAVE_OK) turn = gained > 0 ? PRESSURE_GAINED : PRESSURE_WORKED;
    if (status == STAVE_END && release_large(store)) turn = PRESSURE_GAINED;
    pressure_turn_end(store, turn);
    return turn == PRESSURE_GAINED;
}

/* A tail that cannot be rolled because the disk is full, or for the number of segments, is left out. */
static enum stave_status roll_tail(struct store *store)
{
    mutex_lock(&store->write_lock);
    const enum stave_status status = writer_roll(store);
    mutex_unlock(&store->write_lock);
    return status == STAVE_FULL || status == STAVE_LIMIT ? STAVE_OK : status;
}

static enum stave_status compact_all(struct store *store, enum pick_mode mode, struct progress *progress)
{
    mutex_lock(&store->write_lock);
    const uint32_t id_end = store->next_segment_id;
    progress->total = compaction_total(store, id_end);
    mutex_unlock(&store->write_lock);
    enum stave_status result = STAVE_OK;
    for (;;) {
        uint64_t gained = 0;
        enum stave_status status = run_or_relieve(store, mode, id_end, progress, &gained);
        if (status == STAVE_END && mode == PICK_DUE) status = relieve(store, id_end, progress, &gained);
        if (status == STAVE_CORRUPT || status == STAVE_IO) { /* once more, without the damaged one */
            if (result != STAVE_OK && status == STAVE_IO) return result;
            result = status;
            continue;
        }
        if (status == STAVE_END) return result;
        if (status != STAVE_OK) return status;
    }
}

enum stave_status stave_compact(struct stave *handle, uint32_t flags, stave_progress_call progress,
                                void *context)
{
    enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (flags & ~(uint32_t)STAVE_COMPACT_ALL) return STAVE_INVALID;
    struct store *store = handle->store;
    status = roll_tail(store);
    if (status != STAVE_OK) return status;
    struct progress state = {.call = progress, .context = context};
    return compact_all(store, flags & STAVE_COMPACT_ALL ? PICK_ALL : PICK_DUE, &state);
}
