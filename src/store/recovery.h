/* SPDX-License-Identifier: MIT */
/*
 * From files to an open store: which segments count, where the log ends, and the index.
 *
 *   V1  A listed file that is missing, short or of another store is an error that names it; an unlisted one
 *       of this store is a leftover and goes, unless a LINK of the log adopts it. (P3, P6)
 *   V2  Nothing is appended to a tail that was cut: what counts of it is made durable and sealed, and what
 *       does not is out of the manifest before a byte is written. (P3, P4)
 *   V3  A file is removed or trimmed only after the manifest that does without it is durable.
 *   V4  Read-only, nothing is written, made or removed.
 *
 * Alone with the store: no thread runs yet.
 */
#ifndef STAVE_STORE_RECOVERY_H
#define STAVE_STORE_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/checkpoint_image.h"
#include "store/logend.h"
#include "store/rebuild.h"
#include "store/replay.h"
#include "store/store.h"

/* An unlisted segment file. */
struct recovery_file {
    uint32_t id;
    uint32_t kind;
    uint64_t identity;
};

struct recovery {
    struct store *store;
    const struct manifest *manifest;
    bool may_retry; /* read-only: a writer may be at work */
    struct logend logend;
    struct checkpoint_image image;
    struct replay replay;
    struct replay_spaces spaces;
    struct recovery_file *files; /* unlisted */
    size_t file_count;
    size_t file_capacity;
    struct segment *opened[LOGEND_OPEN_MAX]; /* of logend.logs; NULL: dropped */
    uint32_t *dropped;                       /* listed ids whose files go once the manifest is without them */
    size_t dropped_count;
};

#define RECOVERY_NONE ((struct recovery){.store = NULL})

/*
 * Fills the store from the directory. `manifest` must outlive *ret_recovery.
 *
 * Result   STAVE_OK; STAVE_WOULD_BLOCK, with `may_retry`: read the manifest again and repeat; or a failure.
 * Output   *ret_recovery, also on failure: given to recovery_free.
 */
enum stave_status recovery_run(struct store *store, const struct manifest *manifest, bool may_retry,
                               struct recovery *ret_recovery, struct error *error);

/* Writing, the new manifest installed: removes and trims what it does without (V3); failures are noted. */
void recovery_clean(struct recovery *recovery);

void recovery_free(struct recovery *recovery);

/* Removes temporary files that a crash left. */
void recovery_remove_temporary(struct store *store);

/* ------------------------------------------------------------------ also for refresh */

/* The store's numbers become those of the manifest; not its spaces. */
void recovery_take_manifest(struct store *store, const struct manifest *manifest);

/* The spaces as of the start of the first open LOG segment; and as the store's. */
void recovery_take_spaces(const struct manifest *manifest, struct replay_spaces *ret_spaces);
void recovery_publish_spaces(struct store *store, const struct replay_spaces *spaces);

/*
 * Spaces and the segment's own numbers from the records of an open LOG segment; those above `after` go into
 * the index.
 */
enum stave_status recovery_replay_log(struct replay *replay, struct replay_spaces *spaces,
                                      struct segment *segment, uint64_t after, struct error *error);

/* First of that many free slots in a row; 0: there are none. */
uint32_t recovery_find_slots(const struct store *store, uint32_t count);

/* What a manifest would say of the LARGE segment that a LINK publishes, at that place. */
struct manifest_segment recovery_large_listing(const struct logend_link *link, uint32_t first_slot);

/* A LARGE segment's own numbers. */
void recovery_take_link(struct segment *segment, const struct logend_link *link);

/* Those of an open LOG segment begin anew. */
void recovery_clear_numbers(struct segment *segment);

/* Whether an open LOG segment has that incarnation. */
bool recovery_log_is_open(const struct logend *logend, uint32_t incarnation);

#endif
