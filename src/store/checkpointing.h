/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints of the index: written beside writers, and loaded block by block.
 *
 *   K1  A checkpoint is installed only when the log is durable up to the last sequence that it can have seen,
 *       and the manifest lists every segment that it knows. (P3)
 *   K2  It is a cache: whatever is wrong with it costs time and nothing else.                            (P6)
 *   K3  A slot that was freed is given out again only after a checkpoint that began later has been installed,
 *       in which no entry led to it any more. (P4)
 *   K4  load_lock is taken after write_lock: a block may be loaded by a thread that holds it. Nothing is
 *       waited for and no other lock is taken while it is held, but that of last_error.
 */
#ifndef STAVE_STORE_CHECKPOINTING_H
#define STAVE_STORE_CHECKPOINTING_H

#include <stdbool.h>

#include "store/checkpoint_image.h"
#include "store/store.h"

/* The store's index becomes what the image holds, loaded when used. The source passes to the store. */
enum stave_status checkpoint_image_use(struct store *store, struct checkpoint_image *image,
                                       struct error *error);

/* An empty index. */
enum stave_status checkpoint_start_empty(struct store *store, struct error *error);

/* Takes upkeep_lock. `in_background`: gives up (STAVE_CANCELLED) when the store is closing. */
enum stave_status checkpoint_write(struct store *store, bool in_background, struct error *error);

/*
 * The worker's turn: some blocks loaded, or a checkpoint written if one is due. True if there is more. It
 * looks at store->stopping.
 */
bool checkpoint_turn(struct store *store);

#endif
