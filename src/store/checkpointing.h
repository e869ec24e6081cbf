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
#include <stddef.h>
#include <stdint.h>

#include "index/checkpoint.h"
#include "store/store.h"

/* What the file says, its blocks apart. */
struct checkpoint_image {
    struct checkpoint_contents contents;
    struct checkpoint_segment *segments;
    struct checkpoint_source *source;
};

#define CHECKPOINT_IMAGE_NONE ((struct checkpoint_image){.segments = NULL})

/* Result STAVE_OK; STAVE_NOT_FOUND; STAVE_CORRUPT and others, all of them harmless (K2): *error says why. */
enum stave_status checkpoint_image_open(struct store *store, uint64_t store_id,
                                        struct checkpoint_image *ret_image, struct error *error);
/* Accepts an empty image. */
void checkpoint_image_free(struct checkpoint_image *image);

/* The row of that segment; NULL if the image does not know it. */
const struct checkpoint_segment *checkpoint_image_find(const struct checkpoint_image *image, uint32_t id,
                                                       uint64_t identity);

/* The store's index becomes what the image holds, loaded when used. The source passes to the store. */
enum stave_status checkpoint_image_use(struct store *store, struct checkpoint_image *image,
                                       struct error *error);

/* While recovering: all blocks are asked of the disk, once. */
void checkpoint_will_need(struct store *store);

/* An empty index. */
enum stave_status checkpoint_start_empty(struct store *store, struct error *error);

/* Takes upkeep_lock. `in_background`: gives up (STAVE_CANCELLED) when the store is closing. */
enum stave_status checkpoint_write(struct store *store, bool in_background, struct error *error);

/* Nobody else uses the store any more. */
void checkpoint_source_free(struct store *store);

#endif
