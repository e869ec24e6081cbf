/* SPDX-License-Identifier: MIT */
/*
 * SAVE, BGSAVE and `save`: a snapshot of the store beside it, `dbfilename` in `dir`, and BGREWRITEAOF, which
 * compacts.
 *
 *   SN1  The directory of the last snapshot is replaced by the new one in one step: it is whole at any time.
 *   SN2  One snapshot and one compaction at a time.
 *   SN3  Nothing is replaced but a store that is not the one being served.
 *   SN4  A snapshot that an EXEC asks for has all of the EXEC's writes.
 */
#ifndef STAVE_SERVER_SNAPSHOT_H
#define STAVE_SERVER_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "stave.h"

struct server;

struct snapshot_state {
    bool in_progress;
    bool compaction_in_progress;
    bool save_scheduled;
    bool compaction_scheduled;
    bool last_failed;
    bool last_compaction_failed;
    uint64_t last_save_s; /* since 1970; of the start of the server before the first */
    uint64_t started_s;
    int64_t last_duration_s; /* -1: none yet */
    int64_t last_compaction_s;
    uint64_t save_count;
    uint64_t compaction_count;
};

void snapshot_state(struct snapshot_state *ret_state);

/* At the start of the server. */
void snapshot_begin(void);

/* Makes one in the calling thread. On failure `ret_error` is the store's message. */
enum stave_status snapshot_save(struct server *server, struct stave_error *ret_error);

/* Begin in the background; false: one is under way, or there is no memory. */
bool snapshot_save_start(struct server *server);
bool snapshot_compact_start(struct server *server);

/* For a command in an EXEC: begin after it, with what it writes (SN4). False: one is under way. */
bool snapshot_save_schedule(void);
bool snapshot_compact_schedule(void);

/* Cron's, inside the gate: begins a snapshot when `save` asks for one, and what has been scheduled. */
void snapshot_cron(struct server *server);

#endif
