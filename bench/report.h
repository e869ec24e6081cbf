/* SPDX-License-Identifier: MIT */
/* A report: results of all engines and repetitions, as aligned tables of medians or as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "engine.h"
#include "scenario.h"

enum { REPORT_ENGINE_COUNT_MAX = 16, REPORT_REPEAT_COUNT_MAX = 25 };

/* One mode with one number of threads. */
struct report {
    struct scenario_options options;
    const struct engine *engines[REPORT_ENGINE_COUNT_MAX];
    size_t engine_count;
    size_t repeat_count; /* that are complete */
    struct scenario_result results[REPORT_ENGINE_COUNT_MAX][REPORT_REPEAT_COUNT_MAX];
};

void report_machine(FILE *out);
void report_engines(FILE *out, const struct engine *const *engines, size_t engine_count, bool always);
void report_table(FILE *out, const struct report *report);
void report_json(FILE *out, const struct report *report);

#endif
