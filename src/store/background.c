/* SPDX-License-Identifier: MIT */
/* The threads of a store open for writing. */
#include "store/background.h"

#include "os/clock.h"
#include "store/checkpointing.h"
#include "store/compaction.h"
#include "store/segments.h"
#include "store/sweep.h"
#include "store/sync.h"
#include "store/wake.h"
#include "store/writer.h"

#define WORKER_NAP_NS UINT64_C(1000000000)

/* How far ahead pages are populated: they are dirty, and every sync writes them, so little with `always`. */
#define PREPARE_AHEAD_ALWAYS (UINT64_C(32) << 10)
#define PREPARE_AHEAD (UINT64_C(8) << 20)
#define PREPARE_STEP (UINT64_C(2) << 20)

/* ------------------------------------------------------------------ preparer */

/*
 * The tail, or the spare once the whole tail is ready, so that a roll finds pages too. It is neither sealed
 * nor discarded meanwhile.
 */
static struct segment *begin_preparing(struct store *store)
{
    mutex_lock(&store->write_lock);
    struct segment *segment = store->tail;
    if (segment != NULL && atomic_load(&segment->granted) >= segment->capacity) segment = store->spare;
    if (segment != NULL && (segment->written || segment->sealed)) segment = NULL;
    if (segment != NULL) atomic_store(&segment->preparing, true);
    mutex_unlock(&store->write_lock);
    return segment;
}

/* Populates one step ahead of the writer; true if there is more. */
static bool prepare_step(struct store *store)
{
    struct segment *tail = begin_preparing(store);
    if (tail == NULL) return false;
    const bool always = atomic_load(&store->sync_mode) == STAVE_SYNC_ALWAYS;

    segment_advise(store, tail);
    const uint64_t ahead = always ? PREPARE_AHEAD_ALWAYS : PREPARE_AHEAD;
    const uint64_t step = always ? PREPARE_AHEAD_ALWAYS : PREPARE_STEP;
    atomic_store(&store->prepare_low, ahead - step / 2);
    const uint64_t end = atomic_load(&tail->end);
    const uint64_t granted = atomic_load(&tail->granted);
    const uint64_t most = tail->capacity;
    uint64_t wanted = granted + step < end + step ? end + step : granted + step;
    if (wanted > end + ahead) wanted = end + ahead;
    if (wanted > most) wanted = most;
    const bool granted_more = wanted > granted && writer_grant(store, tail, wanted, NULL) == STAVE_OK;
    const bool more = granted_more && (wanted == most || wanted < atomic_load(&tail->end) + ahead);
    atomic_store(&tail->preparing, false);
    return more;
}

static void preparer_run(void *context)
{
    struct store *store = context;
    for (;;) {
        mutex_lock(&store->thread_lock);
        while (!store->preparer_asked && !store->worker_is_gone)
            condition_wait(&store->preparer_wake, &store->thread_lock);
        store->preparer_asked = false;
        const bool stopping = store->worker_is_gone;
        mutex_unlock(&store->thread_lock);
        if (stopping) return;
        while (prepare_step(store)) {
        }
    }
}

/* ------------------------------------------------------------------ worker */

static bool worker_turn(struct store *store)
{
    if (store->stopping || atomic_load(&store->failed) != STAVE_OK) return false;
    bool more = checkpoint_turn(store);
    if (!store->options.manual_compaction) more = compaction_turn(store) || more;
    more = sweep_turn(store) || more;
    mutex_lock(&store->upkeep_lock);
    segments_reap(store);
    mutex_unlock(&store->upkeep_lock);
    return more;
}

static void worker_run(void *context)
{
    struct store *store = context;
    bool more = false;
    for (;;) {
        const uint64_t deadline = clock_monotonic_ns() + WORKER_NAP_NS;
        mutex_lock(&store->thread_lock);
        bool in_time = true;
        while (!more && !store->worker_asked && !store->stopping && in_time)
            in_time = condition_wait_until(&store->worker_wake, &store->thread_lock, deadline);
        store->worker_asked = false;
        const bool stopping = store->stopping;
        mutex_unlock(&store->thread_lock);
        if (stopping) return;
        more = worker_turn(store);
    }
}

/* ------------------------------------------------------------------ begin and end */

enum stave_status background_start(struct store *store, struct error *error)
{
    store->stopping = false;
    store->worker_is_gone = false;
    enum stave_status status = thread_start(&store->preparer, "stave-preparer", preparer_run, store, error);
    if (status == STAVE_OK) status = thread_start(&store->syncer, "stave-syncer", syncer_run, store, error);
    if (status == STAVE_OK) status = thread_start(&store->worker, "stave-worker", worker_run, store, error);
    store->threads_running = true;
    if (status != STAVE_OK) background_stop(store);
    if (status == STAVE_OK) wake_preparer(store);
    return status;
}

void background_stop(struct store *store)
{
    if (!store->threads_running) return;
    mutex_lock(&store->thread_lock);
    store->stopping = true;
    condition_broadcast(&store->worker_wake);
    mutex_unlock(&store->thread_lock);
    thread_join(&store->worker); /* first: it may be waiting for the syncer */
    mutex_lock(&store->thread_lock);
    store->worker_is_gone = true;
    condition_broadcast(&store->preparer_wake);
    condition_broadcast(&store->syncer_wake);
    mutex_unlock(&store->thread_lock);
    thread_join(&store->preparer);
    thread_join(&store->syncer);
    store->threads_running = false;
}
