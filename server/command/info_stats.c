/* SPDX-License-Identifier: MIT */
/* INFO: counters, of the server, of commands and of errors. */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "server/command/server.h"
#include "server/expiry.h"
#include "server/loop.h"
#include "server/metrics.h"
#include "server/server.h"

enum stave_status info_stats(struct server *server, struct buffer *out)
{
    struct loop_stats stats = {.commands = NULL};
    struct stave_stats store = {.size = sizeof store};
    struct metrics metrics;
    const bool is_threaded = server->loop_count > 1;
    loop_sum_stats(server, &stats);
    metrics_get(&metrics);
    enum stave_status status = stave_stats(server->store, &store);
    if (status != STAVE_OK) return status;
    status = buffer_append_format(
        out,
        "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
        "\r\ninstantaneous_ops_per_sec:%" PRIu64 "\r\ntotal_net_input_bytes:%" PRIu64
        "\r\ntotal_net_output_bytes:%" PRIu64
        "\r\ninstantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\nrejected_connections:%" PRIu64
        "\r\nsync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\nexpired_keys:%" PRIu64
        "\r\nexpired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n"
        "expire_cycle_cpu_milliseconds:%" PRIu64 "\r\nevicted_keys:0\r\nevicted_clients:%" PRIu64 "\r\n",
        stats.connections_received, stats.commands_processed, metrics.operations_per_s, stats.input_size,
        stats.output_size, metrics.input_kib_per_s, metrics.output_kib_per_s,
        atomic_load(&server->rejected_connections),
        store.expired_count - server->expired_before + stats.expired_keys,
        atomic_load(&server->expiry->spent_us) / 1000, stats.evicted_clients);
    if (status != STAVE_OK) return status;
    return buffer_append_format(
        out,
        "keyspace_hits:%" PRIu64 "\r\nkeyspace_misses:%" PRIu64
        "\r\npubsub_channels:0\r\npubsub_patterns:0\r\npubsubshard_channels:0\r\nlatest_fork_usec:0\r\n"
        "total_forks:0\r\ntracking_total_keys:0\r\ntracking_total_items:0\r\ntracking_total_prefixes:0\r\n"
        "total_error_replies:%" PRIu64 "\r\ntotal_reads_processed:%" PRIu64
        "\r\ntotal_writes_processed:%" PRIu64 "\r\nio_threaded_reads_processed:%" PRIu64
        "\r\nio_threaded_writes_processed:%" PRIu64 "\r\nclient_query_buffer_limit_disconnections:%" PRIu64
        "\r\nclient_output_buffer_limit_disconnections:%" PRIu64 "\r\nconflict_retries:%" PRIu64
        "\r\ncold_reads:%" PRIu64 "\r\nwithheld_replies:%" PRIu64 "\r\n",
        stats.keyspace_hits, stats.keyspace_misses, stats.error_replies, stats.reads_processed,
        stats.writes_processed, is_threaded ? stats.reads_processed : 0,
        is_threaded ? stats.writes_processed : 0, stats.query_limit_disconnections,
        stats.output_limit_disconnections, stats.conflict_retries, stats.cold_reads, stats.withheld_replies);
}

enum stave_status info_errorstats(struct server *server, struct buffer *out)
{
    struct loop_stats stats = {.commands = NULL};
    loop_sum_stats(server, &stats);
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < stats.error_count && status == STAVE_OK; i++)
        status = buffer_append_format(out, "errorstat_%s:count=%" PRIu64 "\r\n", stats.errors[i].kind,
                                      stats.errors[i].count);
    return status;
}

/* ------------------------------------------------------------------ commands */

typedef enum stave_status (*command_line)(const char *name, const struct command_stats *stats,
                                          struct buffer *out);

static enum stave_status append_command(const struct command *command, const struct command_stats *all,
                                        command_line line, struct buffer *out)
{
    char name[64];
    const struct command_stats *stats = &all[command_number(command)];
    if (stats->call_count + stats->rejected_count + stats->failed_count == 0) return STAVE_OK;
    command_full_name(command, name, sizeof(name));
    return line(name, stats, out);
}

struct command_stats *info_sum_commands(struct server *server)
{
    struct loop_stats stats = {.commands =
                                   memory_alloc_zero(command_number_count(), sizeof(struct command_stats))};
    if (stats.commands != NULL) loop_sum_stats(server, &stats);
    return stats.commands;
}

static enum stave_status append_commands(struct server *server, command_line line, struct buffer *out)
{
    size_t count = 0;
    const struct command *const *commands = command_list(&count);
    struct command_stats *const all = info_sum_commands(server);
    if (all == NULL) return STAVE_NO_MEMORY;
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < count && status == STAVE_OK; i++) {
        status = append_command(commands[i], all, line, out);
        const struct command *sub = commands[i]->subcommands;
        for (; sub != NULL && sub->name != NULL && status == STAVE_OK; sub++)
            status = append_command(sub, all, line, out);
    }
    memory_free(all);
    return status;
}

static enum stave_status command_line_stats(const char *name, const struct command_stats *stats,
                                            struct buffer *out)
{
    const double mean = stats->call_count > 0 ? (double)stats->time_us / (double)stats->call_count : 0;
    return buffer_append_format(out,
                                "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
                                ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
                                name, stats->call_count, stats->time_us, mean, stats->rejected_count,
                                stats->failed_count);
}

enum stave_status info_commandstats(struct server *server, struct buffer *out)
{
    return append_commands(server, command_line_stats, out);
}

/* The upper end of the range of the histogram that holds this share of the calls. */
static double percentile_us(const struct command_stats *stats, double percent)
{
    const double wanted = (double)stats->call_count * percent / 100;
    uint64_t seen = 0;
    for (size_t i = 0; i < COMMAND_STATS_RANGE_COUNT; i++) {
        seen += stats->histogram[i];
        if ((double)seen >= wanted) return (double)command_stats_limit_us(i);
    }
    return 0;
}

static enum stave_status command_line_latency(const char *name, const struct command_stats *stats,
                                              struct buffer *out)
{
    if (stats->call_count == 0) return STAVE_OK;
    return buffer_append_format(out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n", name,
                                percentile_us(stats, 50), percentile_us(stats, 99),
                                percentile_us(stats, 99.9));
}

enum stave_status info_latencystats(struct server *server, struct buffer *out)
{
    return append_commands(server, command_line_latency, out);
}
