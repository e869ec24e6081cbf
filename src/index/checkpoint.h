/* SPDX-License-Identifier: MIT */
/*
 * The CHECKPOINT file: an image of the keydir, as bytes. Encoding and decoding only, no I/O, no allocation.
 *
 *   C1  The file is: prelude, blocks, directory, contents, footer, without a gap from the directory on. It
 *       can be written from the front to the back in one pass; it is read from the back, the blocks when they
 *       are needed.
 *   C2  Every byte is under a checksum that is seeded with the store's id, or, in the prelude, always the
 *       same.
 *   C3  A decoder refuses what an encoder cannot have written with STAVE_CORRUPT, a newer version with
 *       STAVE_VERSION.
 *
 * Tables of the bytes: docs/FORMAT.md, "Checkpoint".
 */
#ifndef STAVE_INDEX_CHECKPOINT_H
#define STAVE_INDEX_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "stave.h"

enum {
    CHECKPOINT_VERSION = 1,
    CHECKPOINT_PRELUDE_SIZE = 16,
    CHECKPOINT_BLOCK_SIZE = 16,        /* of a block's place in the directory */
    CHECKPOINT_SEGMENT_SIZE = 40,      /* of a segment in the contents */
    CHECKPOINT_CONTENTS_SIZE = 64 + 8, /* with no segments: fields, then the checksum */
    CHECKPOINT_FOOTER_SIZE = 64,
    CHECKPOINT_BLOCK_SIZE_MAX = 1 << 28, /* of a block's bytes */
    CHECKPOINT_SLOT_COUNT_MAX = 1 << 22, /* 16 TiB in slots of 4 MiB */
};

/* Where a block lies in the file. */
struct checkpoint_block {
    uint64_t offset;
    uint32_t size;
    uint32_t checksum;
};

/* Who owned a range of locations, and what was live in it. */
struct checkpoint_segment {
    uint32_t id;
    uint32_t first_slot;
    uint32_t slot_count;
    uint64_t identity;
    uint64_t live_size;
    uint64_t live_count;
};

struct checkpoint_contents {
    uint64_t sequence;       /* stands for: the log is replayed from here */
    uint64_t sequence_last;  /* of the newest record that any block can hold */
    uint32_t segment_id;     /* of the log position that `sequence` stands at, */
    uint64_t segment_offset; /* and the offset in it */
    uint64_t bucket_count;
    uint64_t entry_count;
    uint32_t segment_count;    /* in the table behind */
    uint32_t swept_generation; /* the manifest's, as of the beginning of the image */
};

struct checkpoint_footer {
    uint64_t store_id;
    uint32_t block_count;
    uint64_t directory_offset;
    uint64_t directory_checksum;
    uint64_t contents_offset;
    uint32_t contents_size;
};

void checkpoint_encode_prelude(uint8_t *bytes);
enum stave_status checkpoint_decode_prelude(const uint8_t *bytes);

/* The checksum of the bytes of block number `block`. */
uint32_t checkpoint_block_checksum(uint64_t store_id, uint32_t block, const uint8_t *bytes, size_t size);

/* Block number `block` in a directory. Decoding refuses a place outside the blocks' part of the file. */
void checkpoint_encode_block(uint8_t *directory, uint32_t block, const struct checkpoint_block *place);
enum stave_status checkpoint_decode_block(const uint8_t *directory, uint32_t block,
                                          const struct checkpoint_footer *footer,
                                          struct checkpoint_block *ret_place);

/* Bytes of a directory, and its checksum, which the footer holds. */
size_t checkpoint_directory_size(uint32_t block_count);
uint64_t checkpoint_directory_checksum(uint64_t store_id, const uint8_t *directory, uint32_t block_count);
enum stave_status checkpoint_check_directory(const uint8_t *directory,
                                             const struct checkpoint_footer *footer);

/* Bytes of contents with that many segments. `segments` has contents->segment_count elements. */
size_t checkpoint_contents_size(uint32_t segment_count);
void checkpoint_encode_contents(uint8_t *bytes, uint64_t store_id, const struct checkpoint_contents *contents,
                                const struct checkpoint_segment *segments);

/* Checks all of footer->contents_size bytes, the segments included, which can then be taken one by one. */
enum stave_status checkpoint_decode_contents(const uint8_t *bytes, const struct checkpoint_footer *footer,
                                             struct checkpoint_contents *ret_contents);
void checkpoint_take_segment(const uint8_t *bytes, uint32_t index, struct checkpoint_segment *ret_segment);

/* The last CHECKPOINT_FOOTER_SIZE bytes of a file of `file_size` bytes. */
void checkpoint_encode_footer(uint8_t *bytes, const struct checkpoint_footer *footer);
enum stave_status checkpoint_decode_footer(const uint8_t *bytes, uint64_t file_size,
                                           struct checkpoint_footer *ret_footer);

#endif
