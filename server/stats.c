/* SPDX-License-Identifier: MIT */
/* Counts, and adds up. */
#include "server/stats.h"

#include <stdio.h>
#include <string.h>

#include "server/command.h"

static void count_kind(struct loop_stats *stats, const char *kind, uint64_t count)
{
    size_t at = 0;
    while (at < stats->error_count && strcmp(stats->errors[at].kind, kind) != 0) at++;
    if (at == STATS_ERROR_KIND_COUNT_MAX) return;
    struct error_stats *of_kind = &stats->errors[at];
    if (at == stats->error_count) {
        *of_kind = (struct error_stats){.count = 0};
        (void)snprintf(of_kind->kind, sizeof of_kind->kind, "%s", kind);
        stats->error_count++;
    }
    of_kind->count += count;
}

void stats_count_errors(struct loop_stats *stats, struct answered_errors *errors)
{
    if (errors->count == 0) return;
    stats->error_replies += errors->count;
    count_kind(stats, errors->kind, 1);
    errors->count = 0;
}

void stats_count_call(struct loop_stats *all, size_t number, uint64_t duration_us,
                      struct answered_errors *errors)
{
    struct command_stats *stats = &all->commands[number];
    all->commands_processed++;
    stats->call_count++;
    stats->time_us += duration_us;
    stats->failed_count += errors->count > 0;
    const int range = duration_us == 0 ? 0 : 63 - __builtin_clzll(duration_us);
    stats->histogram[range < COMMAND_STATS_RANGE_COUNT ? range : COMMAND_STATS_RANGE_COUNT - 1]++;
    stats_count_errors(all, errors);
}

/* ------------------------------------------------------------------ of all loops */

static void add_commands(struct command_stats *sums, const struct command_stats *stats)
{
    for (size_t i = 0; i < command_number_count(); i++) {
        sums[i].call_count += stats[i].call_count;
        sums[i].time_us += stats[i].time_us;
        sums[i].rejected_count += stats[i].rejected_count;
        sums[i].failed_count += stats[i].failed_count;
        for (size_t j = 0; j < COMMAND_STATS_RANGE_COUNT; j++) {
            sums[i].histogram[j] += stats[i].histogram[j];
        }
    }
}

void stats_add(struct loop_stats *sum, const struct loop_stats *stats)
{
    sum->connections_received += stats->connections_received;
    sum->commands_processed += stats->commands_processed;
    sum->input_size += stats->input_size;
    sum->output_size += stats->output_size;
    sum->reads_processed += stats->reads_processed;
    sum->writes_processed += stats->writes_processed;
    sum->keyspace_hits += stats->keyspace_hits;
    sum->keyspace_misses += stats->keyspace_misses;
    sum->expired_keys += stats->expired_keys;
    sum->error_replies += stats->error_replies;
    sum->evicted_clients += stats->evicted_clients;
    sum->query_limit_disconnections += stats->query_limit_disconnections;
    sum->output_limit_disconnections += stats->output_limit_disconnections;
    sum->conflict_retries += stats->conflict_retries;
    sum->cold_reads += stats->cold_reads;
    sum->withheld_replies += stats->withheld_replies;
    for (size_t i = 0; i < stats->error_count; i++) {
        count_kind(sum, stats->errors[i].kind, stats->errors[i].count);
    }
    if (sum->commands != NULL) add_commands(sum->commands, stats->commands);
}

void stats_clear(struct loop_stats *stats)
{
    struct command_stats *commands = stats->commands;
    *stats = (struct loop_stats){.commands = commands};
    if (commands != NULL) memset(commands, 0, command_number_count() * sizeof *commands);
}
