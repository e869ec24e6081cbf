/* SPDX-License-Identifier: MIT */
/* A phase: one kind of operation, done by several threads at once, timed from the start of the first to
   the end of
   the last. */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "workload.h"

enum { PHASE_THREAD_COUNT_MAX = 64 };

enum phase_kind {
    PHASE_PUT,
    PHASE_BATCH,
    PHASE_GET,         /* must find `version` */
    PHASE_GET_MISSING, /* of keys never written */
    PHASE_GET_DELETED,
    PHASE_DELETE,
};

struct phase {
    const struct engine *engine;
    const struct workload *workload;
    void *store;
    enum phase_kind kind;
    uint64_t seed;  /* the order of the keys */
    uint64_t first; /* positions first .. first + count - 1 of it */
    uint64_t count;
    uint32_t version; /* that is written, or expected */
    unsigned thread_count;
};

/* False, and a message on standard error, if an operation failed or a value was wrong. */
bool phase_run(const struct phase *phase, double *ret_seconds);

#endif
