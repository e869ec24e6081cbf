/* SPDX-License-Identifier: MIT */
/* A progress bar on standard error while long work runs; nothing at all if that is no terminal. */
#ifndef STAVE_TOOLS_PROGRESS_H
#define STAVE_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_unit { PROGRESS_BYTES, PROGRESS_RECORDS };

struct progress {
    const char *title;
    enum progress_unit unit;
    bool shown;
    bool drawn;
    uint64_t begin_ms;
    uint64_t drawn_ms;
};

void progress_begin(struct progress *progress, const char *title, enum progress_unit unit);
/* Draws at most ten times a second. `total` 0: unknown. */
void progress_step(struct progress *progress, uint64_t done, uint64_t total);
/* Wipes the bar away: before other output, and at the end. It comes back with the next step. */
void progress_wipe(struct progress *progress);

#endif
