/* SPDX-License-Identifier: MIT */
/*
 * Segments scanned in parallel into the index: scanners hand arrays of records through a bounded queue to the
 * one thread that applies them.
 */
#ifndef STAVE_STORE_REBUILD_H
#define STAVE_STORE_REBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/replay.h"

/* Part of a segment to be read. */
struct rebuild_job {
    struct segment *segment;
    uint64_t start;       /* offset of a record; 0: the first */
    uint64_t after;       /* records up to this sequence are passed over */
    bool only_tombstones; /* of every generation */
};

/* A record that has a place in the index; anything but STAVE_OK ends the scan. */
typedef enum stave_status (*rebuild_visit)(void *context, struct scan *scan, const struct scan_record *record,
                                           struct error *error);

/*
 * Visits every record of the segment up to its end. A damaged header is STAVE_CORRUPT, unless the store was
 * opened with accept_damage: then the scan goes on behind it.
 */
enum stave_status rebuild_scan(struct store *store, const struct rebuild_job *job, rebuild_visit visit,
                               void *context, struct error *error);

/*
 * Applies all jobs with options.rebuild_thread_count scanners (none for little work: then in the calling
 * thread). Records of generations not in `generations` are left out,
 * but for LARGE segments: an open LOG may have given a space its generation and then put the value; if the
 * generation is dead the entry is swept like any other.
 */
enum stave_status rebuild_run(struct replay *replay, const struct rebuild_job *jobs, size_t job_count,
                              const struct replay_generations *generations, struct error *error);

#endif
