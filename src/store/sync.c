/* SPDX-License-Identifier: MIT */
/*
 * Durability.
 *
 *   Y1  One thread leads a sync at a time; what it makes durable is one prefix of the log. (P3)
 *   Y2  durable_sequence grows only after every file that holds an earlier record was synced. (P2)
 *   Y3  A failed sync is final: `failed` is set before anybody who waits is woken. (P13)
 *   Y4  A MARK names an end that was durable before the mark was written. (P6)
 */
#include "store/sync.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "os/clock.h"
#include "store/failure.h"
#include "store/reserve.h"
#include "store/segments.h"
#include "store/wake.h"
#include "store/writer.h"

#define NS_PER_MS UINT64_C(1000000)
#define IDLE_NS (UINT64_C(1000) * NS_PER_MS)
#define DURABLE_ROLLS 3u
#define SPARE_ALLOCATION (UINT64_C(1) << 20)
#define SPARE_ALLOCATION_MIN (SEGMENT_HEADER_SIZE + DELETE_RESERVE + MAP_PAGE_SIZE)

static void raise_durable(struct store *store, uint64_t sequence)
{
    mutex_lock(&store->sync_lock);
    if (sequence > atomic_load(&store->durable_sequence)) atomic_store(&store->durable_sequence, sequence);
    condition_broadcast(&store->sync_done);
    if (store->durable_event.fd >= 0) event_signal(&store->durable_event);
    mutex_unlock(&store->sync_lock);
}

/* ------------------------------------------------------------------ one sync */

struct sync_plan {
    uint64_t sequence;
    uint64_t tail_end;
    struct segment *sealing;
    struct segment *tail;
    struct segment **large;
    size_t large_count;
};

static void plan_sync(struct store *store, struct sync_plan *plan)
{
    mutex_lock(&store->write_lock);
    plan->sequence = atomic_load(&store->sequence);
    plan->sealing = store->sealing != NULL && !store->sealing->sealed ? store->sealing : NULL;
    plan->tail = store->tail;
    plan->tail_end = store->tail != NULL ? atomic_load(&store->tail->end) : 0;
    plan->large = store->unsynced_large;
    plan->large_count = store->unsynced_large_count;
    store->unsynced_large = NULL;
    store->unsynced_large_count = 0;
    store->unsynced_large_capacity = 0;
    mutex_unlock(&store->write_lock);
}

/* LARGE segments and their names first: a LINK may not be durable before what it publishes. */
static enum stave_status sync_files(struct store *store, const struct sync_plan *plan, struct error *error)
{
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < plan->large_count && status == STAVE_OK; i++) {
        status = file_sync(&plan->large[i]->file, error);
        if (status == STAVE_OK) status = file_close(&plan->large[i]->file, error);
        atomic_fetch_sub(&plan->large[i]->references, 1);
    }
    if (status == STAVE_OK && plan->large_count > 0) status = dir_sync(&store->dir, error);
    if (status == STAVE_OK && plan->sealing != NULL) status = file_sync(&plan->sealing->file, error);
    if (status == STAVE_OK && plan->tail != NULL) status = file_sync(&plan->tail->file, error);
    return status;
}

static void append_mark(struct store *store, const struct sync_plan *plan)
{
    const struct record_mark mark = {plan->tail_end, plan->sequence};
    mutex_lock(&store->write_lock);
    struct segment *tail = store->tail;
    const uint64_t end = tail != NULL ? atomic_load(&tail->end) : 0;
    const bool is_new = tail == plan->tail && plan->sequence > tail->marked_sequence;
    const bool has_room =
        tail != NULL && end + MARK_ROOM <= tail->capacity &&
        end + MARK_ROOM <= (tail->written ? atomic_load(&tail->allocated) : atomic_load(&tail->granted));
    if (is_new && has_room && atomic_load(&store->failed) == STAVE_OK &&
        writer_append_mark(store, &mark) == STAVE_OK) {
        tail->marked_end = atomic_load(&tail->end);
        tail->marked_sequence = plan->sequence;
    }
    mutex_unlock(&store->write_lock);
}

/* The leader's work (Y1). */
static enum stave_status sync_once(struct store *store, bool with_mark)
{
    struct sync_plan plan;
    struct error error = {.status = STAVE_OK};
    const uint64_t began = clock_monotonic_ns();
    plan_sync(store, &plan);
    const enum stave_status status = sync_files(store, &plan, &error);
    memory_free(plan.large);
    atomic_fetch_add(&store->counters.syncs, 1);
    atomic_fetch_add(&store->counters.sync_time_us, (clock_monotonic_ns() - began) / 1000);
    if (status != STAVE_OK) {
        store_fail(store, status, &error);
        return STAVE_FAILED;
    }
    if (with_mark && plan.tail != NULL) append_mark(store, &plan);
    raise_durable(store, plan.sequence);
    return STAVE_OK;
}

static void lead_begin(struct store *store)
{
    mutex_lock(&store->sync_lock);
    while (store->sync_running) condition_wait(&store->sync_done, &store->sync_lock);
    store->sync_running = true;
    mutex_unlock(&store->sync_lock);
}

static void lead_end(struct store *store)
{
    mutex_lock(&store->sync_lock);
    store->sync_running = false;
    condition_broadcast(&store->sync_done);
    mutex_unlock(&store->sync_lock);
}

enum stave_status sync_to(struct store *store, uint64_t sequence)
{
    enum stave_status status = STAVE_OK;
    mutex_lock(&store->sync_lock);
    while (atomic_load(&store->durable_sequence) < sequence) {
        status = atomic_load(&store->failed) != STAVE_OK ? STAVE_FAILED : STAVE_OK;
        if (status != STAVE_OK) break;
        if (store->sync_running) {
            condition_wait(&store->sync_done, &store->sync_lock);
            continue;
        }
        store->sync_running = true;
        mutex_unlock(&store->sync_lock);
        status = sync_once(store, true);
        mutex_lock(&store->sync_lock);
        store->sync_running = false;
        condition_broadcast(&store->sync_done);
        if (status != STAVE_OK) break;
    }
    mutex_unlock(&store->sync_lock);
    return status;
}

/* A sync writes pages as a whole: the tail gets small ones from here on, and so do the next ones. */
enum stave_status sync_asked(struct store *store, uint64_t sequence)
{
    if (atomic_load_explicit(&store->durable_rolls, memory_order_relaxed) != DURABLE_ROLLS)
        atomic_store(&store->durable_rolls, DURABLE_ROLLS);
    return sync_to(store, sequence);
}

void sync_ask(struct store *store, uint64_t sequence)
{
    mutex_lock(&store->sync_lock);
    if (sequence > store->sync_wanted) store->sync_wanted = sequence;
    mutex_unlock(&store->sync_lock);
    wake_syncer(store);
}

/* ------------------------------------------------------------------ sealing and spares */

/* On a full disk it is as small as deletes need it: D1. */
static enum stave_status make_spare(struct store *store, struct segment **ret_spare, struct error *error)
{
    mutex_lock(&store->write_lock);
    uint64_t capacity = store->options.segment_size;
    const uint64_t wanted = store->room_wanted;
    mutex_unlock(&store->write_lock);
    const bool always = atomic_load(&store->sync_mode) == STAVE_SYNC_ALWAYS;
    if (wanted + 2 * SEGMENT_HEADER_SIZE + MAP_PAGE_SIZE > capacity)
        capacity = align_up(wanted + 2 * SEGMENT_HEADER_SIZE, MAP_PAGE_SIZE) + MAP_PAGE_SIZE;
    uint64_t allocation = capacity < SPARE_ALLOCATION ? align_up(capacity, MAP_PAGE_SIZE) : SPARE_ALLOCATION;
    const uint64_t least = align_up(SPARE_ALLOCATION_MIN, MAP_PAGE_SIZE);
    struct segment *spare = NULL;
    enum stave_status status = reserve_keep(store);
    if (status == STAVE_OK)
        status =
            segment_create(store, SEGMENT_LOG, capacity, allocation, 0, RESERVE_FOR_NOTHING, &spare, error);
    const bool is_full = status == STAVE_FULL;
    if (is_full) {
        if (allocation > least) allocation = least;
        status = segment_create(store, SEGMENT_LOG, capacity, allocation, 0,
                                store->starts_from_reserve ? RESERVE_FOR_TAIL : RESERVE_FOR_DELETES, &spare,
                                error);
    }
    if (status != STAVE_OK) return status;
    spare->for_deletes = is_full;
    spare->for_opening = is_full && store->starts_from_reserve;
    if (!spare->written && !always) (void)writer_grant(store, spare, allocation, NULL);
    *ret_spare = spare;
    return STAVE_OK;
}

/* What is sealed is durable first, and so is all that went before it. */
static enum stave_status seal(struct store *store, struct segment *segment, struct error *error)
{
    if (segment->sealed) return STAVE_OK;
    struct error failure = {.status = STAVE_OK};
    lead_begin(store);
    enum stave_status status =
        atomic_load(&store->failed) != STAVE_OK ? STAVE_FAILED : sync_once(store, true);
    if (status == STAVE_OK) {
        status = segment_seal(store, segment, &failure);
        if (status != STAVE_OK) store_fail(store, status, &failure);
    }
    lead_end(store);
    if (status != STAVE_OK) {
        store_last_error(store, error);
        error->status = status;
    }
    return status;
}

static bool wants_spare(struct store *store, struct segment **ret_small, struct segment **ret_sealing)
{
    mutex_lock(&store->write_lock);
    *ret_sealing = store->sealing;
    *ret_small = NULL;
    bool wants = store->spare == NULL;
    if (store->spare != NULL && store->room_wanted + MAP_PAGE_SIZE > store->spare->capacity) {
        *ret_small = store->spare;
        store->spare = NULL;
        segment_withdraw(store, *ret_small);
        wants = true;
    }
    if (wants || *ret_sealing != NULL) store->turns_begun++;
    mutex_unlock(&store->write_lock);
    return wants && atomic_load(&store->failed) == STAVE_OK;
}

static enum stave_status list_spare(struct store *store, struct segment *spare, struct error *error)
{
    mutex_lock(&store->write_lock);
    enum stave_status status = segment_publish(store, spare);
    spare->listed = status == STAVE_OK;
    mutex_unlock(&store->write_lock);
    return status == STAVE_OK ? status
                              : error_set(error, status, 0, "%s: no memory for a segment", store->dir.path);
}

static void unlist_spare(struct store *store, struct segment *spare)
{
    mutex_lock(&store->write_lock);
    if (spare->listed) segment_withdraw(store, spare);
    mutex_unlock(&store->write_lock);
    segment_discard(store, spare);
}

/* Tells the writers what has become of the spare and of what was being sealed. */
static void finish_turn(struct store *store, struct segment *spare, struct segment *sealed,
                        enum stave_status status)
{
    mutex_lock(&store->write_lock);
    store->turns_ended = store->turns_begun;
    store->spare_status = status;
    if (spare != NULL) {
        store->spare = spare;
        store->room_wanted = 0;
    }
    if (sealed != NULL) store->sealing = NULL;
    condition_broadcast(&store->roll_done);
    mutex_unlock(&store->write_lock);
    if (spare != NULL) wake_preparer(store);
    if (sealed != NULL) wake_worker(store);
}

enum stave_status syncer_turn_segments(struct store *store)
{
    struct segment *sealing;
    struct segment *small;
    struct segment *spare = NULL;
    struct error error = {.status = STAVE_OK};
    const bool wants = wants_spare(store, &small, &sealing);
    if (!wants && sealing == NULL) return atomic_load(&store->failed) != STAVE_OK ? STAVE_FAILED : STAVE_OK;

    enum stave_status spare_status = wants ? make_spare(store, &spare, &error) : STAVE_OK;
    if (spare_status == STAVE_OK && spare != NULL) spare_status = list_spare(store, spare, &error);
    enum stave_status status = sealing != NULL ? seal(store, sealing, &error) : STAVE_OK;
    if (status == STAVE_OK) status = manifest_install(store, &error);
    if (small != NULL) segment_discard(store, small); /* nothing ever pointed into it */
    if ((status != STAVE_OK || spare_status != STAVE_OK) && spare != NULL) {
        unlist_spare(store, spare);
        spare = NULL;
    }
    struct segment *const sealed = status == STAVE_OK ? sealing : NULL;
    if (status == STAVE_OK) status = spare_status;
    if (status != STAVE_OK) (void)store_note_error(store, &error);
    finish_turn(store, spare, sealed, status);
    return status;
}

/* ------------------------------------------------------------------ the thread */

/*
 * A tail with nothing but MARKs stays: the next one would get a MARK too, and an idle store would never rest.
 */
static bool tail_is_old(struct store *store)
{
    mutex_lock(&store->write_lock);
    const uint64_t age = store->options.segment_age_ms;
    const struct segment *tail = store->tail;
    const uint64_t now_ms = clock_wall_ms();
    const bool is_old = age != 0 && tail != NULL && tail->last_sequence != 0 && now_ms >= tail->created_ms &&
                        now_ms - tail->created_ms >= age;
    if (is_old && store->sealing == NULL && store->spare != NULL) writer_begin_roll(store);
    mutex_unlock(&store->write_lock);
    return is_old;
}

static uint64_t sync_due(struct store *store, bool interval_is_over)
{
    mutex_lock(&store->sync_lock);
    uint64_t wanted = store->sync_wanted;
    mutex_unlock(&store->sync_lock);
    if (interval_is_over && atomic_load(&store->sync_mode) == STAVE_SYNC_INTERVAL)
        wanted = atomic_load(&store->sequence);
    return wanted > atomic_load(&store->durable_sequence) ? wanted : 0;
}

/* The end of a tail whose last mark is durable; another tail may end at the same offset. */
struct synced_end {
    uint64_t identity;
    uint64_t end;
};

/* The mark after the last sync becomes durable when nothing more is written. */
static void sync_mark_when_idle(struct store *store, struct synced_end *synced)
{
    mutex_lock(&store->write_lock);
    struct synced_end now = {0, 0};
    if (store->tail != NULL) now = (struct synced_end){store->tail->identity, atomic_load(&store->tail->end)};
    const bool is_new = now.identity != synced->identity || now.end != synced->end;
    const bool is_idle = store->tail != NULL && store->tail->marked_end == now.end && is_new &&
                         store->options.sync != STAVE_SYNC_NONE;
    mutex_unlock(&store->write_lock);
    if (!is_idle) return;
    lead_begin(store);
    if (atomic_load(&store->failed) == STAVE_OK && sync_once(store, false) == STAVE_OK) *synced = now;
    lead_end(store);
}

static uint64_t interval_ns(struct store *store)
{
    mutex_lock(&store->write_lock);
    const bool ticks = store->options.sync == STAVE_SYNC_INTERVAL;
    const uint64_t interval = store->options.sync_interval_ms * NS_PER_MS;
    mutex_unlock(&store->write_lock);
    return ticks ? interval : IDLE_NS;
}

/* However often it is woken for something else, an interval ends when it has passed. (P2) */
static bool interval_is_over(struct store *store, uint64_t *interval_began_ns)
{
    const uint64_t now_ns = clock_monotonic_ns();
    if (now_ns - *interval_began_ns < interval_ns(store)) return false;
    *interval_began_ns = now_ns;
    return true;
}

void syncer_run(void *context)
{
    struct store *store = context;
    struct synced_end synced = {0, 0};
    uint64_t interval_began_ns = clock_monotonic_ns();
    for (;;) {
        const uint64_t nap_end = clock_monotonic_ns() + IDLE_NS;
        const uint64_t interval_end = interval_began_ns + interval_ns(store);
        const uint64_t deadline = interval_end < nap_end ? interval_end : nap_end;
        mutex_lock(&store->thread_lock);
        bool in_time = true;
        while (!store->syncer_asked && !store->worker_is_gone && in_time)
            in_time = condition_wait_until(&store->syncer_wake, &store->thread_lock, deadline);
        const bool stopping = store->worker_is_gone;
        const bool asked = store->syncer_asked;
        store->syncer_asked = false;
        mutex_unlock(&store->thread_lock);
        if (stopping) return;

        if (asked) (void)syncer_turn_segments(store);
        const uint64_t due = sync_due(store, interval_is_over(store, &interval_began_ns));
        if (due != 0) (void)sync_to(store, due);
        if (!asked && due == 0) sync_mark_when_idle(store, &synced);
        if (tail_is_old(store)) wake_syncer(store);
    }
}
