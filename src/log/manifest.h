/* SPDX-License-Identifier: MIT */
/*
 * The manifest: which segments belong to the store, what is known about each, and the store's identity
 * (FORMAT.md, tables 8 to 10).
 *
 *   M1  MANIFEST is replaced as a whole: a new file is written and synced, renamed over the old one, and the
 *       directory is synced. After a crash it holds one or the other.                                  (P3)
 *   M2  A checksum covers every byte; every field is checked besides, so that nothing read from a manifest
 *       needs to be checked again. (P6)
 *   M3  Segments are kept in the order of their ids, and no two own the same slot.
 *   M4  MANIFEST.spare keeps blocks allocated for the next manifest, so that a full disk does not stop
 *       compaction or deletes. It is made anew after each replacement, as far as the disk allows.      (P9)
 */
#ifndef STAVE_LOG_MANIFEST_H
#define STAVE_LOG_MANIFEST_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "log/segment.h"
#include "stave.h"

struct buffer;
struct dir;
struct error;

#define MANIFEST_FILE_NAME "MANIFEST"
#define MANIFEST_TEMP_FILE_NAME "MANIFEST.tmp"
#define MANIFEST_SPARE_FILE_NAME "MANIFEST.spare"
/* What else a store's directory holds, beside the segments. */
#define LOCK_FILE_NAME "LOCK"
#define CHECKPOINT_FILE_NAME "CHECKPOINT"
#define CHECKPOINT_TEMP_FILE_NAME "CHECKPOINT.tmp"
#define RESERVE_FILE_NAME "RESERVE"

enum {
    MANIFEST_VERSION = 1,
    MANIFEST_SEGMENT_MAX = 32768,
    MANIFEST_SPACE_MAX = 1024,
    MANIFEST_SLOT_MAX = 1 << 22, /* 40-bit locations of 16 bytes, slots of 4 MiB */
    MANIFEST_SLOT_SIZE = 1 << 22,
};

enum manifest_flag {
    MANIFEST_SNAPSHOT = 1, /* takes a new store id at its first open for writing */
    MANIFEST_FLAGS = 1,
};

enum manifest_segment_state {
    MANIFEST_SEGMENT_OPEN = 0, /* its length is not known: it ends where its records end */
    MANIFEST_SEGMENT_SEALED = 1,
};

/* FORMAT.md, table 9: a space as of the start of the first open LOG segment. */
struct manifest_space {
    uint32_t number;
    uint32_t generation;
    uint64_t count;
};

enum manifest_segment_flag {
    MANIFEST_SEGMENT_DAMAGED = 1, /* SEALED; not all of it could be read when it was to be compacted */
    MANIFEST_SEGMENT_COPIED = 2,  /* SEALED; what is needed of it stands in later segments */
    MANIFEST_SEGMENT_FLAGS = 3,
};

/* FORMAT.md, table 10: a segment. */
struct manifest_segment {
    uint32_t id;
    uint8_t kind;  /* enum segment_kind */
    uint8_t state; /* enum manifest_segment_state */
    uint8_t flags; /* enum manifest_segment_flag */
    uint32_t first_slot;
    uint32_t slot_count;
    uint32_t incarnation; /* LOG; else 0 */
    uint64_t identity;
    uint64_t length; /* SEALED; else 0 */
    uint64_t horizon;
    uint64_t last_sequence; /* SEALED: the highest in it but for MARKs, 0 if there is none */
    uint64_t spaces_mask;   /* bit (generation mod 64) of every record's space */
    uint64_t record_count;
    uint64_t tombstone_bytes;
    uint64_t expiring_bytes;
    uint64_t earliest_expiry_ms; /* 0: none */
    uint64_t latest_expiry_ms;   /* 0: none */
    uint64_t created_at_ms;
};

struct manifest {
    uint32_t flags;
    uint32_t incarnation; /* the highest ever listed */
    uint64_t store_id;
    uint64_t hash_seed;
    uint32_t next_segment_id;
    uint32_t next_slot;
    uint32_t next_generation;
    uint32_t swept_generation;
    uint64_t feed_floor; /* the change feed holds no sequence below this */

    struct manifest_space *spaces; /* by number */
    size_t space_count;
    size_t space_capacity;
    struct manifest_segment *segments; /* by id, M3 */
    size_t segment_count;
    size_t segment_capacity;
};

#define MANIFEST_NONE ((struct manifest){.flags = 0})

/* Leaves an empty manifest; accepts an empty one. */
void manifest_free(struct manifest *manifest);

/* NULL if there is none. The pointer holds until the next is added. */
struct manifest_segment *manifest_find_segment(const struct manifest *manifest, uint32_t id);
struct manifest_space *manifest_find_space(const struct manifest *manifest, uint32_t number);

/* Keeps the order. STAVE_OK; STAVE_LIMIT; STAVE_NO_MEMORY. The id must not be listed yet. */
enum stave_status manifest_add_segment(struct manifest *manifest, const struct manifest_segment *segment);

/* Sets generation and count of a space, listing it if it is not. STAVE_OK; STAVE_LIMIT; STAVE_NO_MEMORY. */
enum stave_status manifest_set_space(struct manifest *manifest, const struct manifest_space *space);

/* Bytes that the manifest takes in its file. */
size_t manifest_size(const struct manifest *manifest);

/* Writes manifest_size bytes at `at`. */
void manifest_encode(const struct manifest *manifest, uint8_t *at);

/*
 * Result   STAVE_OK; STAVE_NOT_A_STORE for another magic; STAVE_VERSION for a newer format; STAVE_CORRUPT,
 *          with the reason in *error; STAVE_NO_MEMORY.
 * Output   *ret_manifest, only on STAVE_OK; the caller frees it with manifest_free().
 */
enum stave_status manifest_decode(const uint8_t *bytes, size_t size, struct manifest *ret_manifest,
                                  struct error *error);

/* As manifest_decode; also STAVE_NOT_FOUND if the directory has no manifest, and STAVE_IO. */
enum stave_status manifest_read(const struct dir *dir, struct manifest *ret_manifest, struct error *error);

/*
 * Replaces the manifest (M1) and makes a spare for the next one (M4), whose failure is not reported.
 *
 * Result   STAVE_OK; STAVE_NO_MEMORY, STAVE_FULL, STAVE_IO: the old manifest stands. STAVE_FAILED: the new
 *          one is in its place, but the last sync of the directory failed: either may stand after a power
 *          loss, so nothing that one of them lists may be removed.
 */
enum stave_status manifest_write(const struct dir *dir, const struct manifest *manifest, struct error *error);

/* Makes sure of a spare for this manifest and some growth. STAVE_OK, or what the disk says. */
enum stave_status manifest_ensure_spare(const struct dir *dir, const struct manifest *manifest,
                                        struct error *error);

#endif
