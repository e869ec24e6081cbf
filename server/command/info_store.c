/* SPDX-License-Identifier: MIT */
/* INFO: memory, persistence, databases and the store. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/command/server.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/snapshot.h"

#define HUMAN_SIZE 32

static const char *human(uint64_t size, char text[HUMAN_SIZE])
{
    static const char units[] = "BKMGTP";
    double value = (double)size;
    size_t unit = 0;
    for (; value >= 1024 && unit + 2 < sizeof(units); unit++) value /= 1024;
    if (unit == 0)
        snprintf(text, HUMAN_SIZE, "%" PRIu64 "B", size);
    else
        snprintf(text, HUMAN_SIZE, "%.2f%c", value, units[unit]);
    return text;
}

static enum stave_status append_size(struct buffer *out, const char *name, uint64_t size)
{
    char text[HUMAN_SIZE];
    return buffer_append_format(out, "%s:%" PRIu64 "\r\n%s_human:%s\r\n", name, size, name,
                                human(size, text));
}

static enum stave_status get_stats(struct server *server, struct stave_stats *stats)
{
    *stats = (struct stave_stats){.size = sizeof(*stats)};
    return stave_stats(server->store, stats);
}

enum stave_status info_memory(struct server *server, struct buffer *out)
{
    struct stave_stats stats;
    struct metrics metrics;
    enum stave_status status = get_stats(server, &stats);
    if (status != STAVE_OK) return status;
    metrics_get(&metrics);
    const uint64_t used = atomic_load(&server->used_memory);
    const uint64_t peak = atomic_load(&server->used_memory_peak);
    const uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    /* Of the index what has been touched is held, which is all of it once it is filled. */
    const uint64_t dataset = used < stats.index_size ? used : stats.index_size;
    status = append_size(out, "used_memory", used);
    if (status == STAVE_OK) status = append_size(out, "used_memory_rss", metrics.resident_size);
    if (status == STAVE_OK) status = append_size(out, "used_memory_peak", peak);
    if (status == STAVE_OK)
        status = buffer_append_format(out,
                                      "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%" PRIu64
                                      "\r\nused_memory_startup:0\r\nused_memory_dataset:%" PRIu64
                                      "\r\nused_memory_dataset_perc:%.2f%%\r\n",
                                      peak > 0 ? 100.0 * (double)used / (double)peak : 0.0, used - dataset,
                                      dataset, used > 0 ? 100.0 * (double)dataset / (double)used : 0.0);
    if (status == STAVE_OK) status = append_size(out, "total_system_memory", total);
    if (status == STAVE_OK) status = append_size(out, "maxmemory", (uint64_t)server->config.maxmemory);
    if (status == STAVE_OK)
        status = buffer_append_format(
            out,
            "maxmemory_policy:noeviction\r\nmem_fragmentation_ratio:%.2f\r\n"
            "mem_fragmentation_bytes:%" PRId64 "\r\n"
            "mem_clients_normal:%" PRIu64 "\r\nmem_clients_slaves:0\r\n"
            "mem_index:%" PRIu64 "\r\nmem_allocator:libc\r\nlazyfree_pending_objects:0\r\n",
            used > 0 ? (double)metrics.anonymous_size / (double)used : 0.0,
            (int64_t)(metrics.anonymous_size - used), atomic_load(&server->client_memory), stats.index_size);
    return status;
}

enum stave_status info_persistence(struct server *server, struct buffer *out)
{
    struct snapshot_state state;
    struct stave_stats stats;
    const enum stave_status status = get_stats(server, &stats);
    if (status != STAVE_OK) return status;
    snapshot_state(&state);
    const int64_t running_s = state.in_progress ? (int64_t)(clock_now_ms() / 1000 - state.started_s) : -1;
    const char *write_status = atomic_load(&server->sync_failed) ? "err" : "ok";
    return buffer_append_format(
        out,
        "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:%" PRIu64
        "\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_save_time:%" PRIu64
        "\r\nrdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%" PRId64
        "\r\nrdb_current_bgsave_time_sec:%" PRId64 "\r\nrdb_saves:%" PRIu64
        "\r\naof_enabled:1\r\naof_rewrite_in_progress:%d\r\naof_rewrite_scheduled:%d\r\n"
        "aof_last_rewrite_time_sec:%" PRId64
        "\r\naof_current_rewrite_time_sec:-1\r\naof_last_bgrewrite_status:%s\r\naof_rewrites:%" PRIu64
        "\r\naof_last_write_status:%s\r\naof_current_size:%" PRIu64 "\r\n",
        atomic_load(&server->dirty), state.in_progress, state.last_save_s, state.last_failed ? "err" : "ok",
        state.last_duration_s, running_s, state.save_count, state.compaction_in_progress,
        state.compaction_scheduled, state.last_compaction_s, state.last_compaction_failed ? "err" : "ok",
        state.compaction_count, write_status, stats.log_size);
}

/* Expiries are not counted apart: they stand in the records, not in the index. */
enum stave_status info_keyspace(struct server *server, struct buffer *out)
{
    enum stave_status status = STAVE_OK;
    for (uint32_t i = 0; i < server->database_count && status == STAVE_OK; i++) {
        const uint64_t count = stave_count(server->databases[i]);
        if (count > 0)
            status = buffer_append_format(out, "db%u:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", i, count);
    }
    return status;
}

enum stave_status info_store(struct server *server, struct buffer *out)
{
    struct stave_stats stats;
    enum stave_status status = get_stats(server, &stats);
    if (status != STAVE_OK) return status;
    const double ratio = stats.live_size > 0 ? (double)stats.disk_size / (double)stats.live_size : 0.0;
    status = buffer_append_format(
        out,
        "store_path:%s\r\nstore_keys:%" PRIu64 "\r\nstore_disk_size:%" PRIu64 "\r\nstore_log_size:%" PRIu64
        "\r\nstore_live_size:%" PRIu64 "\r\nstore_disk_ratio:%.2f\r\nstore_index_size:%" PRIu64
        "\r\nstore_segments:%u\r\nstore_sequence:%" PRIu64 "\r\nstore_durable_sequence:%" PRIu64
        "\r\nstore_failed:%d\r\n",
        server->store_path, stats.key_count, stats.disk_size, stats.log_size, stats.live_size, ratio,
        stats.index_size, stats.segment_count, stats.sequence, stats.durable_sequence, stats.failed);
    if (status != STAVE_OK) return status;
    return buffer_append_format(
        out,
        "store_syncs:%" PRIu64 "\r\nstore_sync_time_us:%" PRIu64 "\r\nstore_compactions:%" PRIu64
        "\r\nstore_compaction_read:%" PRIu64 "\r\nstore_compaction_written:%" PRIu64
        "\r\nstore_compaction_time_us:%" PRIu64 "\r\nstore_checkpoints:%" PRIu64
        "\r\nstore_checkpoint_written:%" PRIu64 "\r\nstore_open_time_us:%" PRIu64
        "\r\nstore_open_replayed:%" PRIu64 "\r\nstore_open_from_checkpoint:%d\r\n",
        stats.sync_count, stats.sync_time_us, stats.compaction_count, stats.compaction_read,
        stats.compaction_written, stats.compaction_time_us, stats.checkpoint_count, stats.checkpoint_written,
        stats.open_time_us, stats.open_replayed, stats.open_from_checkpoint);
}
