/* SPDX-License-Identifier: MIT */
/* Statuses, durability on demand, options while open, statistics. */
#include "base/memory.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/options.h"
#include "store/sync.h"
#include "store/wake.h"

const char *stave_status_text(enum stave_status status)
{
    switch (status) {
    case STAVE_OK: return "done";
    case STAVE_NOT_FOUND: return "not found";
    case STAVE_EXISTS: return "there already";
    case STAVE_CONFLICT: return "the sequence is not the expected one";
    case STAVE_WOULD_BLOCK: return "a read from disk is needed";
    case STAVE_END: return "no more";
    case STAVE_GONE: return "no longer held";
    case STAVE_STEP: return "the end of a step";
    case STAVE_INVALID: return "an argument is not valid";
    case STAVE_IO: return "the operating system reported an error";
    case STAVE_CORRUPT: return "the bytes on disk are not what was written";
    case STAVE_NO_MEMORY: return "out of memory";
    case STAVE_FULL: return "the disk is full";
    case STAVE_LOCKED: return "the store is open for writing elsewhere";
    case STAVE_NOT_A_STORE: return "the directory is not this store";
    case STAVE_VERSION: return "written by a newer version";
    case STAVE_LIMIT: return "above a limit";
    case STAVE_READ_ONLY: return "the store is open read-only";
    case STAVE_FORKED: return "the store belongs to the parent process";
    case STAVE_CANCELLED: return "cancelled";
    case STAVE_PERMISSION: return "permission denied";
    case STAVE_FAILED: return "a sync failed earlier; no more writes until the store is reopened";
    }
    return "an unknown status";
}

void stave_last_error(struct stave *handle, struct stave_error *ret_error)
{
    if (handle == NULL || ret_error == NULL) return;
    struct store *store = handle->store;
    mutex_lock(&store->error_lock);
    error_hand_out(&store->last_error, store->last_error.status, ret_error);
    mutex_unlock(&store->error_lock);
}

/* ------------------------------------------------------------------ durability */

enum stave_status stave_sync(struct stave *handle)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    return sync_asked(handle->store, atomic_load(&handle->store->sequence));
}

uint64_t stave_sequence(struct stave *handle)
{
    return guard_store(handle) != STAVE_OK ? 0 : store_newest(handle->store);
}

/* Segments are removed when all that they held is durable. */
static uint64_t newest_durable(const struct store *store)
{
    const uint64_t durable = atomic_load(&store->durable_sequence);
    return durable > store->sequence_floor ? durable : store->sequence_floor;
}

uint64_t stave_durable_sequence(struct stave *handle)
{
    return guard_store(handle) != STAVE_OK ? 0 : newest_durable(handle->store);
}

enum stave_status stave_sync_start(struct stave *handle, uint64_t sequence)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (sequence > store_newest(handle->store)) return STAVE_INVALID;
    if (sequence <= newest_durable(handle->store)) return STAVE_OK;
    sync_ask(handle->store, sequence);
    return STAVE_OK;
}

int stave_durable_event(struct stave *handle)
{
    if (guard_store(handle) != STAVE_OK) return -1;
    struct store *store = handle->store;
    mutex_lock(&store->sync_lock);
    if (store->durable_event.fd < 0) (void)event_init(&store->durable_event, NULL);
    const int fd = store->durable_event.fd;
    mutex_unlock(&store->sync_lock);
    return fd;
}

enum stave_status stave_set_sync(struct stave *handle, enum stave_sync sync, uint32_t interval_ms)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (sync != STAVE_SYNC_INTERVAL && sync != STAVE_SYNC_ALWAYS && sync != STAVE_SYNC_NONE)
        return STAVE_INVALID;
    struct store *store = handle->store;
    mutex_lock(&store->write_lock);
    store->options.sync = sync;
    options_publish(store);
    if (interval_ms != 0) store->options.sync_interval_ms = interval_ms;
    mutex_unlock(&store->write_lock);
    wake_syncer(store);
    return sync == STAVE_SYNC_ALWAYS ? sync_to(store, atomic_load(&store->sequence)) : STAVE_OK;
}

enum stave_status stave_hold_expiry(struct stave *handle, uint64_t now_ms)
{
    const enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    mutex_lock(&handle->store->write_lock);
    handle->store->expiry_held_ms = now_ms;
    mutex_unlock(&handle->store->write_lock);
    return STAVE_OK;
}

enum stave_status stave_set_options(struct stave *handle, const struct stave_options *options)
{
    enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    struct store *store = handle->store;
    struct stave_options wanted;
    struct error error = {.status = STAVE_OK};
    status = options_complete(options, &wanted, &error);
    if (status != STAVE_OK) return store_note_error(store, &error);
    mutex_lock(&store->write_lock);
    store->options.segment_size = wanted.segment_size;
    store->options.segment_age_ms = wanted.segment_age_ms;
    store->options.disk_ratio_percent = wanted.disk_ratio_percent;
    store->options.dead_ratio_percent = wanted.dead_ratio_percent;
    store->options.compaction_io_per_s = wanted.compaction_io_per_s;
    store->options.feed_retention_size = wanted.feed_retention_size;
    store->options.checkpoint_size = wanted.checkpoint_size;
    options_publish(store);
    mutex_unlock(&store->write_lock);
    wake_syncer(store);
    wake_worker(store);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ statistics */

static void sum_segments(struct store *store, struct stave_stats *stats)
{
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        stats->log_size += atomic_load(&segment->end) - SEGMENT_HEADER_SIZE;
        stats->disk_size += atomic_load(&segment->allocated);
        stats->live_size += segment->live_size;
    }
    stats->segment_count = (uint32_t)store->segment_count;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) stats->key_count += store->count_of[i];
    stats->feed_floor = store->feed_floor;
}

static void add_file_size(struct store *store, const char *name, struct stave_stats *stats)
{
    struct file file = FILE_NONE;
    uint64_t size = 0;
    if (file_open(&store->dir, name, false, &file, NULL) != STAVE_OK) return;
    if (file_disk_size(&file, &size, NULL) == STAVE_OK) stats->disk_size += size;
    (void)file_close(&file, NULL);
}

static void sum_calls(const struct counters *counters, struct stave_stats *stats)
{
    for (int i = 0; i < EPOCH_SHARDS; i++) {
        stats->put_count += atomic_load(&counters->calls[i].puts);
        stats->get_count += atomic_load(&counters->calls[i].gets);
        stats->delete_count += atomic_load(&counters->calls[i].deletes);
    }
}

enum stave_status stave_stats(struct stave *handle, struct stave_stats *ret_stats)
{
    const enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (ret_stats == NULL || ret_stats->size == 0) return STAVE_INVALID;
    struct store *store = handle->store;
    const struct counters *counters = &store->counters;
    struct keydir_stats index;
    struct stave_stats stats = {
        .size = ret_stats->size,
        .sync_count = atomic_load(&counters->syncs),
        .sync_time_us = atomic_load(&counters->sync_time_us),
        .compaction_count = atomic_load(&counters->compactions),
        .compaction_read = atomic_load(&counters->compaction_read),
        .compaction_written = atomic_load(&counters->compaction_written),
        .compaction_time_us = atomic_load(&counters->compaction_time_us),
        .checkpoint_count = atomic_load(&counters->checkpoints),
        .checkpoint_written = atomic_load(&counters->checkpoint_written),
        .expired_count = atomic_load(&counters->expired),
        .sequence = store_newest(store),
        .durable_sequence = newest_durable(store),
        .open_time_us = store->open_time_us,
        .open_replayed = store->open_replayed,
        .open_from_checkpoint = store->open_from_checkpoint,
        .failed = atomic_load(&store->failed) != STAVE_OK,
    };
    sum_calls(counters, &stats);
    mutex_lock(&store->write_lock);
    sum_segments(store, &stats);
    keydir_stat(&store->keydir, &index);
    mutex_unlock(&store->write_lock);
    stats.index_size = index.memory_size;
    static const char *const others[] = {MANIFEST_FILE_NAME, MANIFEST_SPARE_FILE_NAME, CHECKPOINT_FILE_NAME,
                                         RESERVE_FILE_NAME};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) add_file_size(store, others[i], &stats);
    memcpy(ret_stats, &stats, stats.size < sizeof(stats) ? stats.size : sizeof(stats));
    return STAVE_OK;
}

enum stave_status stave_segments(struct stave *handle, struct stave_segment_stats **ret_segments,
                                 size_t *ret_count)
{
    const enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (ret_segments == NULL || ret_count == NULL) return STAVE_INVALID;
    struct store *store = handle->store;
    mutex_lock(&store->write_lock);
    const size_t count = store->segment_count;
    struct stave_segment_stats *list = memory_alloc_zero(count + 1, sizeof(*list));
    for (size_t i = 0; i < count && list != NULL; i++) {
        const struct segment *segment = store->segments[i];
        list[i] = (struct stave_segment_stats){segment->id,
                                               segment->kind,
                                               segment->sealed,
                                               segment->damaged,
                                               atomic_load(&segment->end),
                                               segment->live_size,
                                               segment->live_count,
                                               segment->created_ms};
    }
    mutex_unlock(&store->write_lock);
    if (list == NULL)
        return store_error(store, STAVE_NO_MEMORY, "no memory for a list of %zu segments", count);
    *ret_segments = list;
    *ret_count = count;
    return STAVE_OK;
}
