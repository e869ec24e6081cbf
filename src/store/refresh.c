/* SPDX-License-Identifier: MIT */
/* A store opened read-only. */
#include "store/refresh.h"

#include <stdlib.h>

#include "base/memory.h"
#include "store/checkpoint_image.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/recovery.h"
#include "store/segments.h"

enum {
    ATTEMPTS_MAX = 20,
    ATTEMPTS_UNCHANGED =
        3, /* a writer seals, then replaces the manifest; it replaces the manifest, then removes */
};

#define ATTEMPT_NAP_NS UINT64_C(500000)

/* ------------------------------------------------------------------ the manifest, read again (F2) */

static uint8_t *encode(const struct manifest *manifest)
{
    uint8_t *bytes = memory_alloc(manifest_size(manifest));
    if (bytes != NULL) manifest_encode(manifest, bytes);
    return bytes;
}

static enum stave_status manifest_changed(struct store *store, const struct manifest *manifest,
                                          bool *ret_changed, struct error *error)
{
    struct manifest now = MANIFEST_NONE;
    enum stave_status status = manifest_read(&store->dir, &now, error);
    if (status != STAVE_OK) return status;
    uint8_t *old_bytes = encode(manifest);
    uint8_t *new_bytes = encode(&now);
    if (old_bytes == NULL || new_bytes == NULL)
        status = error_set(error, STAVE_NO_MEMORY, 0, "no memory for the manifest");
    else
        *ret_changed = manifest_size(manifest) != manifest_size(&now) ||
                       memcmp(old_bytes, new_bytes, manifest_size(&now)) != 0;
    memory_free(old_bytes);
    memory_free(new_bytes);
    manifest_free(&now);
    return status;
}

/* ------------------------------------------------------------------ open */

/* As store_make left it. */
static void empty(struct store *store)
{
    for (size_t i = 0; i < store->segment_count; i++) segment_free(store, store->segments[i]);
    store->segment_count = 0;
    keydir_free(&store->keydir);
    checkpoint_image_drop(store);
    pages_discard((void *)store->slots, MANIFEST_SLOT_MAX * sizeof(struct segment *));
    pages_discard(store->slot_quarantine, MANIFEST_SLOT_MAX * sizeof(uint32_t));
    store->log_since_checkpoint = 0;
    store->open_from_checkpoint = false;
}

/* Attempts to read a store beside its writer. */
struct attempts {
    int count;
    int unchanged; /* that failed in a row although the manifest stayed as it was */
};

/* Whether the failure may come of a writer at work, so that another attempt is worth it. */
static bool is_worth_another(struct store *store, const struct manifest *manifest, enum stave_status status,
                             struct attempts *attempts)
{
    bool changed = false;
    if (attempts->count == ATTEMPTS_MAX) return false;
    if (status == STAVE_WOULD_BLOCK) return true;
    if (status != STAVE_CORRUPT) return false;
    if (manifest_changed(store, manifest, &changed, NULL) != STAVE_OK || !changed)
        return ++attempts->unchanged <= ATTEMPTS_UNCHANGED;
    attempts->unchanged = 0;
    return true;
}

static enum stave_status open_once(struct store *store, struct attempts *attempts, bool *ret_again,
                                   struct error *error)
{
    struct manifest manifest = MANIFEST_NONE;
    struct recovery *recovery = memory_alloc_zero(1, sizeof(*recovery));
    if (recovery == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory to open the store", store->dir.path);
    enum stave_status status = manifest_read(&store->dir, &manifest, error);
    if (status != STAVE_OK) goto done;
    status = recovery_run(store, &manifest, attempts->count < ATTEMPTS_MAX, recovery, error);
    if (status == STAVE_OK) { /* the checkpoint may be of a later manifest (F2) */
        status = manifest_changed(store, &manifest, ret_again, error);
        goto done;
    }
    *ret_again = is_worth_another(store, &manifest, status, attempts);
done:
    recovery_free(recovery);
    memory_free(recovery);
    manifest_free(&manifest);
    return status;
}

static enum stave_status too_fast(const struct store *store, struct error *error)
{
    return error_set(error, STAVE_IO, 0, "%s: its writer changed the store faster than it could be read",
                     store->dir.path);
}

enum stave_status refresh_open(struct store *store, struct error *error)
{
    struct attempts attempts = {.count = 0};
    while (attempts.count++ < ATTEMPTS_MAX) {
        bool again = false;
        const enum stave_status status = open_once(store, &attempts, &again, error);
        if (!again) return status;
        empty(store);
        thread_sleep_ns(ATTEMPT_NAP_NS * (uint64_t)attempts.count);
    }
    return too_fast(store, error);
}

/* ------------------------------------------------------------------ what a refresh opens */

/* A segment of the new manifest that the store does not have, or not so far. */
struct newer {
    struct segment *segment;
    struct segment *older; /* the part of it that the store has; NULL: nothing */
    bool is_open_log;
};

struct refresh {
    struct store *store;
    struct manifest manifest;
    struct logend logend;
    struct replay replay;
    struct replay_spaces spaces;
    struct newer *newer;
    size_t newer_count;
    struct segment *
        *kept; /* segments that the store has after it: listed as they were, and newer ones once published */
    size_t kept_count;
    struct segment **gone;
    size_t gone_count;
    size_t capacity; /* of each of the three */
};

static enum stave_status no_memory(const struct refresh *refresh, struct error *error)
{
    return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory to refresh the store",
                     refresh->store->dir.path);
}

static enum stave_status make_lists(struct refresh *refresh, struct error *error)
{
    refresh->capacity =
        refresh->manifest.segment_count + refresh->logend.link_count + refresh->store->segment_count;
    refresh->newer = memory_alloc_zero(refresh->capacity, sizeof(*refresh->newer));
    refresh->kept = memory_alloc_zero(refresh->capacity, sizeof(struct segment *));
    refresh->gone = memory_alloc_zero(refresh->capacity, sizeof(struct segment *));
    const bool made = refresh->newer != NULL && refresh->kept != NULL && refresh->gone != NULL;
    return made ? STAVE_OK : no_memory(refresh, error);
}

static struct segment *find_same(const struct store *store, const struct manifest_segment *listed)
{
    for (size_t i = 0; i < store->segment_count; i++) {
        struct segment *segment = store->segments[i];
        if (segment->id == listed->id && segment->identity == listed->identity &&
            segment->first_slot == listed->first_slot)
            return segment;
    }
    return NULL;
}

/* Read once more: an open LOG segment, whose numbers and spaces are counted from its start. */
static enum stave_status open_newer(struct refresh *refresh, const struct manifest_segment *listed,
                                    uint64_t length, const struct logend_link *link, struct error *error)
{
    struct store *store = refresh->store;
    struct segment *older = find_same(store, listed);
    const bool is_open = listed->state == MANIFEST_SEGMENT_OPEN;
    if (older != NULL && older->sealed && !is_open) {
        refresh->kept[refresh->kept_count++] = older;
        return STAVE_OK;
    }
    struct segment *segment = NULL;
    const enum stave_status status = segment_open(store, listed, length, &segment, error);
    if (status != STAVE_OK) return status;
    if (link != NULL) recovery_take_link(segment, link);
    if (older != NULL) {
        segment->live_size = older->live_size;
        segment->live_count = older->live_count;
    }
    if (is_open) recovery_clear_numbers(segment);
    refresh->newer[refresh->newer_count++] = (struct newer){segment, older, is_open};
    return STAVE_OK;
}

static uint64_t end_of_log(const struct logend *logend, const struct manifest_segment *listed)
{
    for (size_t i = 0; i < logend->log_count; i++)
        if (logend->logs[i].listed == listed) return logend->logs[i].end;
    return SEGMENT_HEADER_SIZE;
}

static enum stave_status open_listed(struct refresh *refresh, const struct manifest_segment *listed,
                                     struct error *error)
{
    const bool is_sealed = listed->state == MANIFEST_SEGMENT_SEALED;
    if (listed->kind == SEGMENT_LOG) {
        const uint64_t length = is_sealed ? listed->length : end_of_log(&refresh->logend, listed);
        if (!is_sealed && length == SEGMENT_HEADER_SIZE) return STAVE_OK;
        return open_newer(refresh, listed, length, NULL, error);
    }
    if (listed->kind == SEGMENT_OUTPUT)
        return is_sealed ? open_newer(refresh, listed, listed->length, NULL, error) : STAVE_OK;
    const struct logend_link *link = logend_find_link(&refresh->logend, listed->id, listed->identity);
    if (link == NULL &&
        (!is_sealed || recovery_log_is_open(&refresh->logend, sequence_incarnation(listed->last_sequence))))
        return STAVE_OK;
    struct manifest_segment sealed = *listed;
    sealed.state = MANIFEST_SEGMENT_SEALED;
    return open_newer(refresh, &sealed, link != NULL ? link->length : listed->length, link, error);
}

/* A LARGE segment that only the log knows yet. */
static enum stave_status open_linked(struct refresh *refresh, const struct logend_link *link,
                                     struct error *error)
{
    struct store *store = refresh->store;
    if (manifest_find_segment(&refresh->manifest, link->segment_id) != NULL) return STAVE_OK;
    struct segment *older = segment_by_id(store, link->segment_id);
    struct manifest_segment listing = recovery_large_listing(link, older != NULL ? older->first_slot : 0);
    if (older == NULL) listing.first_slot = recovery_find_slots(store, listing.slot_count);
    if (listing.first_slot == 0)
        return error_set(error, STAVE_LIMIT, 0, "%s: no address space left", store->dir.path);
    const enum stave_status status = open_newer(refresh, &listing, link->length, link, error);
    if (status == STAVE_OK && older == NULL) /* taken, until it is published */
        for (uint32_t i = 0; i < listing.slot_count; i++)
            store->slot_quarantine[listing.first_slot + i] = UINT32_MAX;
    return status;
}

static enum stave_status open_all(struct refresh *refresh, struct error *error)
{
    enum stave_status status = make_lists(refresh, error);
    for (size_t i = 0; i < refresh->manifest.segment_count && status == STAVE_OK; i++)
        status = open_listed(refresh, &refresh->manifest.segments[i], error);
    for (size_t i = 0; i < refresh->logend.link_count && status == STAVE_OK; i++)
        status = open_linked(refresh, &refresh->logend.links[i], error);
    return status;
}

static void close_all(struct refresh *refresh)
{
    for (size_t i = 0; i < refresh->newer_count; i++) segment_free(refresh->store, refresh->newer[i].segment);
    memory_free(refresh->newer);
    memory_free(refresh->kept);
    memory_free(refresh->gone);
    refresh->newer = NULL;
    refresh->kept = NULL;
    refresh->gone = NULL;
    refresh->newer_count = 0;
    refresh->kept_count = 0;
    refresh->gone_count = 0;
    logend_free(&refresh->logend);
    manifest_free(&refresh->manifest);
}

static enum stave_status open_everything(struct refresh *refresh, bool may_retry, struct error *error)
{
    enum stave_status status = manifest_read(&refresh->store->dir, &refresh->manifest, error);
    if (status == STAVE_OK)
        status = logend_find(refresh->store, &refresh->manifest, may_retry, &refresh->logend, error);
    if (status == STAVE_OK) status = open_all(refresh, error);
    return status;
}

/* ------------------------------------------------------------------ taking it over; write_lock */

/* After 16 TiB of log a slot comes round again. */
static bool slots_clash(const struct refresh *refresh)
{
    for (size_t i = 0; i < refresh->newer_count; i++) {
        const struct segment *segment = refresh->newer[i].segment;
        for (uint32_t k = 0; k < segment->slot_count; k++) {
            const struct segment *owner = atomic_load(&refresh->store->slots[segment->first_slot + k]);
            if (owner != NULL && owner != refresh->newer[i].older) return true;
        }
    }
    return false;
}

static void replace(struct store *store, struct segment *older, struct segment *segment)
{
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i] == older) store->segments[i] = segment;
    for (uint32_t i = 0; i < segment->slot_count; i++)
        atomic_store_explicit(&store->slots[segment->first_slot + i], segment, memory_order_release);
}

static enum stave_status publish_all(struct refresh *refresh, struct error *error)
{
    for (size_t i = 0; i < refresh->newer_count; i++) {
        struct newer *newer = &refresh->newer[i];
        if (newer->older != NULL) {
            replace(refresh->store, newer->older, newer->segment);
            refresh->gone[refresh->gone_count++] = newer->older;
        } else if (segment_publish(refresh->store, newer->segment) != STAVE_OK) {
            for (size_t k = i; k < refresh->newer_count; k++)
                segment_free(refresh->store, refresh->newer[k].segment);
            refresh->newer_count = i;
            return no_memory(refresh, error);
        }
        refresh->kept[refresh->kept_count++] = newer->segment;
    }
    return STAVE_OK;
}

static const struct newer *find_newer(const struct refresh *refresh, const struct segment *segment)
{
    for (size_t i = 0; i < refresh->newer_count; i++)
        if (refresh->newer[i].segment == segment) return &refresh->newer[i];
    return NULL;
}

/*
 * The sequence from which on the log is read (again). What compaction wrote holds records that were live at
 * its horizon; what was deleted or replaced since has to be known beside it, or an old value would come back
 * (P4). So it is with a LARGE segment that was adopted at another place before the manifest gave it its own.
 * After a refresh that failed in the middle, all is read.
 */
static uint64_t find_floor(const struct refresh *refresh, uint64_t after)
{
    uint64_t floor = refresh->store->refresh_incomplete ? 0 : after;
    for (size_t i = 0; i < refresh->newer_count; i++) {
        const struct segment *segment = refresh->newer[i].segment;
        if (segment->kind != SEGMENT_LOG && segment->horizon < floor) floor = segment->horizon;
    }
    return floor;
}

static bool job_of(const struct refresh *refresh, struct segment *segment, uint64_t after, uint64_t floor,
                   struct rebuild_job *ret_job)
{
    const struct newer *newer = find_newer(refresh, segment);
    *ret_job = (struct rebuild_job){.segment = segment, .after = floor};
    if (newer != NULL && newer->is_open_log) return false;
    if (newer != NULL && segment->kind != SEGMENT_LOG) {
        ret_job->after = 0;
        return true;
    }
    if (newer != NULL && newer->older != NULL && floor == after)
        ret_job->start = atomic_load(&newer->older->end);
    return segment->last_sequence > floor;
}

/*
 * Where a tombstone may stand that hides a record which is read now and was not there before. Tombstones go
 * first: else a value that was deleted long ago would be there again for a moment (P4).
 */
static size_t list_tombstone_jobs(const struct refresh *refresh, uint64_t after, uint64_t floor,
                                  struct rebuild_job *jobs)
{
    size_t count = 0;
    if (floor >= after) return 0;
    for (size_t i = 0; i < refresh->kept_count; i++) {
        struct segment *segment = refresh->kept[i];
        const struct newer *newer = find_newer(refresh, segment);
        const bool is_open = newer != NULL && newer->is_open_log;
        if (!job_of(refresh, segment, after, floor, &jobs[count]) && !is_open) continue;
        if (!is_open && segment->tombstone_size == 0) continue;
        jobs[count++].only_tombstones = true;
    }
    return count;
}

static enum stave_status run_jobs(struct refresh *refresh, uint64_t after, uint64_t floor,
                                  struct rebuild_job *jobs, struct error *error)
{
    struct replay_generations generations;
    replay_generations_take(&refresh->spaces, &generations);
    size_t count = list_tombstone_jobs(refresh, after, floor, jobs);
    const enum stave_status status = rebuild_run(&refresh->replay, jobs, count, &generations, error);
    if (status != STAVE_OK) return status;
    count = 0;
    for (size_t i = 0; i < refresh->kept_count; i++)
        if (job_of(refresh, refresh->kept[i], after, floor, &jobs[count])) count++;
    return rebuild_run(&refresh->replay, jobs, count, &generations, error);
}

static enum stave_status replay_newer(struct refresh *refresh, uint64_t after, struct error *error)
{
    struct store *store = refresh->store;
    const uint64_t floor = find_floor(refresh, after);
    struct rebuild_job *jobs = memory_alloc_zero(refresh->kept_count, sizeof(*jobs));
    if (jobs == NULL) return no_memory(refresh, error);
    enum stave_status status = run_jobs(refresh, after, floor, jobs, error);
    memory_free(jobs);
    for (size_t log = 0; log < refresh->logend.log_count && status == STAVE_OK; log++)
        for (size_t i = 0; i < refresh->newer_count && status == STAVE_OK; i++)
            if (refresh->newer[i].segment->id == refresh->logend.logs[log].listed->id)
                status = recovery_replay_log(&refresh->replay, &refresh->spaces, refresh->newer[i].segment,
                                             floor, error);
    replay_end(&refresh->replay);
    if (status == STAVE_OK) recovery_publish_spaces(store, &refresh->spaces);
    return status;
}

static int by_address(const void *left, const void *right)
{
    const uintptr_t a = (uintptr_t) * (struct segment *const *)left;
    const uintptr_t b = (uintptr_t) * (struct segment *const *)right;
    return (a > b) - (a < b);
}

static bool is_kept(const struct refresh *refresh, struct segment *segment)
{
    return bsearch(&segment, refresh->kept, refresh->kept_count, sizeof(struct segment *), by_address) !=
           NULL;
}

static void withdraw_gone(struct refresh *refresh)
{
    struct store *store = refresh->store;
    const size_t before = refresh->gone_count;
    qsort(refresh->kept, refresh->kept_count, sizeof(struct segment *), by_address);
    for (size_t i = store->segment_count; i > 0; i--) {
        struct segment *segment = store->segments[i - 1];
        if (is_kept(refresh, segment)) continue;
        segment_withdraw(store, segment);
        for (uint32_t k = 0; k < segment->slot_count; k++)
            store->slot_quarantine[segment->first_slot + k] = 0;
        refresh->gone[refresh->gone_count++] = segment;
    }
    if (refresh->gone_count == before) return;
    for (uint32_t block = 0; block < keydir_block_count(&store->keydir); block++) {
        uint64_t dropped = 0;
        if (keydir_load_block(&store->keydir, block) != STAVE_OK) continue;
        keydir_sweep_block(&store->keydir, block, location_leads_nowhere, store, &dropped);
    }
}

static void take_sequence(struct store *store)
{
    uint64_t sequence = atomic_load(&store->sequence);
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->last_sequence > sequence) sequence = store->segments[i]->last_sequence;
    atomic_store(&store->sequence, sequence);
    atomic_store(&store->durable_sequence, sequence);
}

static enum stave_status take_over(struct refresh *refresh, struct error *error)
{
    struct store *store = refresh->store;
    const uint64_t after = atomic_load(&store->sequence);
    if (slots_clash(refresh))
        return error_set(error, STAVE_LIMIT, 0, "%s: the store has changed too much; open it again",
                         store->dir.path);
    refresh->replay = (struct replay){.store = store};
    recovery_take_manifest(store, &refresh->manifest);
    recovery_take_spaces(&refresh->manifest, &refresh->spaces);
    atomic_fetch_add(&store->batch_version, 1); /* batches come to light record by record (P5) */
    enum stave_status status = publish_all(refresh, error);
    if (status == STAVE_OK) status = replay_newer(refresh, after, error);
    if (status == STAVE_OK) withdraw_gone(refresh);
    atomic_fetch_add(&store->batch_version, 1);
    if (status == STAVE_OK) take_sequence(store);
    store->refresh_incomplete = status != STAVE_OK;
    refresh->newer_count = 0; /* the store's now */
    replay_free(&refresh->replay);
    return status;
}

/* One attempt. */
static enum stave_status refresh_once(struct refresh *refresh, struct attempts *attempts, bool *ret_again,
                                      struct error *error)
{
    struct store *store = refresh->store;
    enum stave_status status = open_everything(refresh, attempts->count < ATTEMPTS_MAX, error);
    if (status == STAVE_OK) {
        mutex_lock(&store->write_lock);
        status = take_over(refresh, error);
        mutex_unlock(&store->write_lock);
        segments_retire(store, refresh->gone, refresh->gone_count, false);
    }
    *ret_again = is_worth_another(store, &refresh->manifest, status, attempts);
    close_all(refresh);
    return status;
}

static enum stave_status refresh_store(struct store *store, struct error *error)
{
    struct refresh *refresh = memory_alloc_zero(1, sizeof(*refresh));
    if (refresh == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory to refresh the store", store->dir.path);
    refresh->store = store;
    enum stave_status status = STAVE_WOULD_BLOCK;
    struct attempts attempts = {.count = 0};
    bool again = true;
    while (again) {
        attempts.count++;
        status = refresh_once(refresh, &attempts, &again, error);
        if (again) thread_sleep_ns(ATTEMPT_NAP_NS * (uint64_t)attempts.count);
    }
    memory_free(refresh);
    return status == STAVE_WOULD_BLOCK ? too_fast(store, error) : status;
}

enum stave_status stave_refresh(struct stave *handle)
{
    struct error error = ERROR_NONE;
    const enum stave_status guarded = guard_store(handle);
    if (guarded != STAVE_OK) return guarded;
    struct store *store = handle->store;
    if (!store->options.read_only) return STAVE_OK; /* a writer sees what it writes */
    mutex_lock(&store->upkeep_lock);
    segments_reap(store);
    const enum stave_status status = refresh_store(store, &error);
    mutex_unlock(&store->upkeep_lock);
    return status < 0 ? store_note_error(store, &error) : status;
}
