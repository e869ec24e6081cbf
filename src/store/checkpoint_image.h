/* SPDX-License-Identifier: MIT */
/*
 * The file of a checkpoint: opened, looked through, and read block by block. What is done with the blocks,
 * and when one is damaged, is checkpointing.h.
 */
#ifndef STAVE_STORE_CHECKPOINT_IMAGE_H
#define STAVE_STORE_CHECKPOINT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "index/checkpoint.h"
#include "store/store.h"

/* The open file, of which blocks are read. */
struct checkpoint_source {
    struct file file;
    struct checkpoint_footer footer;
    uint8_t *directory;
    bool is_asked_for; /* load_lock */
};

/* What the file says, its blocks apart. */
struct checkpoint_image {
    struct checkpoint_contents contents;
    struct checkpoint_segment *segments;
    struct checkpoint_source *source;
};

#define CHECKPOINT_IMAGE_NONE ((struct checkpoint_image){.segments = NULL})

/*
 * Result STAVE_OK; STAVE_NOT_FOUND; STAVE_CORRUPT and others, all of them harmless (K2 of checkpointing.h):
 * *error says why.
 */
enum stave_status checkpoint_image_open(struct store *store, uint64_t store_id,
                                        struct checkpoint_image *ret_image, struct error *error);
/* Accepts an empty image. */
void checkpoint_image_free(struct checkpoint_image *image);

/* The row of that segment; NULL if the image does not know it. */
const struct checkpoint_segment *checkpoint_image_find(const struct checkpoint_image *image, uint32_t id,
                                                       uint64_t identity);

/* STAVE_CORRUPT: *error says why the image is not used. */
enum stave_status checkpoint_image_refuse(const struct checkpoint_image *image, struct error *error,
                                          const char *why);

/* load_lock. Reads a block of the store's source into its index. STAVE_CORRUPT: it cannot be used. */
enum stave_status checkpoint_image_load(struct store *store, uint32_t block);

/* While recovering: all blocks are asked of the disk, once. */
void checkpoint_image_will_need(struct store *store);

/* Closes the store's source. load_lock, or nobody else uses the store any more. */
void checkpoint_image_drop(struct store *store);

#endif
