/* SPDX-License-Identifier: MIT */
/*
 * A scenario: the life of one store, from the first put to its end, measured row by row.
 *
 *   C1  Every part of it that has the store open runs in a process of its own, so that memory is the engine's
 *       alone and nothing of one engine is left for the next.
 *   C2  Values read are compared with what was written; a difference makes the scenario fail.
 *   C3  Whatever happens, the directory and the processes are gone when scenario_run returns.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

enum row {
    ROW_PUT,
    ROW_GET,
    ROW_GET_MISSING,
    ROW_PRIVATE_MEMORY,
    ROW_MAPPED_MEMORY,
    ROW_OVERWRITE,
    ROW_DISK,
    ROW_BATCH,
    ROW_CLOSE,
    ROW_DISK_CLOSED,
    ROW_OPEN_CLEAN,
    ROW_OPEN_KILLED,
    ROW_LOST,
    ROW_DELETE,
    ROW_COUNT,
};

/* Rows not measured are NAN. */
struct scenario_result {
    bool failed; /* a call failed, or a value was not what it should be: on standard error */
    double rows[ROW_COUNT];
};

struct scenario_options {
    const char *directory; /* under which the store's own is made */
    uint64_t key_count;
    size_t key_size;
    size_t value_size;
    uint64_t operation_count_max; /* of gets, batched puts and deletes */
    unsigned thread_count;
    bool always; /* only puts, overwrites and batches */
};

/* Set by a signal handler: the scenario ends early, and has failed. */
extern volatile sig_atomic_t scenario_stop;

void scenario_run(const struct engine *engine, const struct scenario_options *options,
                  struct scenario_result *ret_result);

#endif
