/* SPDX-License-Identifier: MIT */
/*
 * What is counted of commands, errors and traffic.
 *
 *   ST1  Each loop counts for itself; the counters of all are added up, or cleared, under the exclusive gate.
 *   ST2  An error is counted once. Those of the commands of an EXEC are theirs, and not its own.
 */
#ifndef STAVE_SERVER_STATS_H
#define STAVE_SERVER_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_ERROR_KIND_SIZE ((size_t)32)
#define STATS_ERROR_KIND_COUNT_MAX ((size_t)128)
#define COMMAND_STATS_RANGE_COUNT 32

/* Of one command or subcommand, at its command_number(). */
struct command_stats {
    uint64_t call_count;
    uint64_t time_us;
    uint64_t rejected_count;                       /* before it ran: arity, password, memory */
    uint64_t failed_count;                         /* answered with an error */
    uint64_t histogram[COMMAND_STATS_RANGE_COUNT]; /* calls by floor(log2(microseconds)) */
};

/* The most microseconds of range `i` of a histogram. */
static inline uint64_t command_stats_limit_us(size_t i)
{
    return (UINT64_C(2) << i) - 1;
}

/* Error replies by their first word: "ERR", "WRONGTYPE". */
struct error_stats {
    char kind[STATS_ERROR_KIND_SIZE];
    uint64_t count;
};

/* The errors that a command has answered with so far. */
struct answered_errors {
    uint32_t count;
    char kind[STATS_ERROR_KIND_SIZE]; /* of the last one */
};

struct loop_stats {
    uint64_t connections_received;
    uint64_t commands_processed;
    uint64_t input_size;
    uint64_t output_size;
    uint64_t reads_processed;
    uint64_t writes_processed;
    uint64_t keyspace_hits;
    uint64_t keyspace_misses;
    uint64_t expired_keys; /* removed by commands that met them */
    uint64_t error_replies;
    uint64_t evicted_clients;
    uint64_t query_limit_disconnections;
    uint64_t output_limit_disconnections;
    uint64_t conflict_retries;
    uint64_t cold_reads;
    uint64_t withheld_replies;      /* that waited for a sync */
    struct command_stats *commands; /* command_number_count() of them */
    struct error_stats errors[STATS_ERROR_KIND_COUNT_MAX];
    size_t error_count;
};

/* A command that ran, alone or in an EXEC, and the errors that it answered. */
void stats_count_call(struct loop_stats *stats, size_t number, uint64_t duration_us,
                      struct answered_errors *errors);
/* The errors of a command, which then has none (ST2). */
void stats_count_errors(struct loop_stats *stats, struct answered_errors *errors);

/* `sum->commands` may be NULL: then those are not added. */
void stats_add(struct loop_stats *sum, const struct loop_stats *stats);
void stats_clear(struct loop_stats *stats);

#endif
