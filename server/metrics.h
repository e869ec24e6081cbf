/* SPDX-License-Identifier: MIT */
/* Rates over the last seconds, taken by cron, and the memory that is resident now. */
#ifndef STAVE_SERVER_METRICS_H
#define STAVE_SERVER_METRICS_H

#include <stdint.h>

struct call;
struct server;

struct metrics {
    uint64_t operations_per_s;
    double input_kib_per_s;
    double output_kib_per_s;
    uint64_t resident_size;  /* bytes of memory, mapped files included */
    uint64_t anonymous_size; /* those that are no file's */
};

void metrics_get(struct metrics *ret_metrics);

/*
 * Sets the hooks of the server that belong to statistics, slow log, latency, MONITOR and `save`. Before the
 * loops start.
 */
void metrics_install(struct server *server);

#endif
