/* SPDX-License-Identifier: MIT */
/*
 * A segment file: its name and its header (FORMAT.md, table 2). Records follow from SEGMENT_HEADER_SIZE on.
 *
 *   S1  A file is this store's segment only if store id, segment id and identity are those the manifest
 *       lists. (P6)
 *   S2  An identity is random and never used for two segments, so no record of one checks out in another.
 *       (P3, P4)
 */
#ifndef STAVE_LOG_SEGMENT_H
#define STAVE_LOG_SEGMENT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

enum segment_kind {
    SEGMENT_LOG = 1,    /* written by the writers: one log, one order */
    SEGMENT_OUTPUT = 2, /* written by compaction: records moved, with the sequences they had */
    SEGMENT_LARGE = 3,  /* one PUT record, published by a LINK in the log */
};

/* FORMAT.md, table 2: header of a segment, little-endian. */
enum {
    SEGMENT_MAGIC_AT = 0,        /* 00-07  "STAVESEG" */
    SEGMENT_VERSION_AT = 8,      /* 08-11 */
    SEGMENT_KIND_AT = 12,        /* 12-15 */
    SEGMENT_ID_AT = 16,          /* 16-19  at least 1 */
    SEGMENT_INCARNATION_AT = 20, /* 20-23  LOG: at least 1; else 0 */
    SEGMENT_STORE_ID_AT = 24,    /* 24-31 */
    SEGMENT_IDENTITY_AT = 32,    /* 32-39 */
    SEGMENT_HASH_SEED_AT = 40,   /* 40-47 */
    SEGMENT_HORIZON_AT = 48,     /* 48-55 */
    SEGMENT_RESERVED_AT = 56,    /* 56-59  zero */
    SEGMENT_CHECKSUM_AT = 60,    /* 60-63  over bytes 00 to 59 */
    SEGMENT_HEADER_SIZE = 64,
};
static_assert(SEGMENT_HEADER_SIZE == SEGMENT_CHECKSUM_AT + sizeof(uint32_t), "FORMAT.md, table 2");

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_FILE_NAME_SIZE = 16, /* "0000000001.seg", with its end */
};

struct segment_header {
    uint64_t store_id;
    uint64_t identity;
    uint64_t hash_seed;
    uint64_t horizon;
    uint32_t kind;
    uint32_t id;
    uint32_t incarnation;
};

void segment_encode_header(const struct segment_header *header, uint8_t at[SEGMENT_HEADER_SIZE]);

/*
 * Result   STAVE_OK; STAVE_NOT_FOUND if all 64 bytes are zero: made, but never written; STAVE_NOT_A_STORE for
 *          another magic; STAVE_VERSION for a newer format; STAVE_CORRUPT, also when fewer than 64 bytes are
 *          available.
 */
enum stave_status segment_decode_header(const uint8_t *at, size_t available,
                                        struct segment_header *ret_header);

void segment_file_name(uint32_t id, char ret_name[SEGMENT_FILE_NAME_SIZE]);

/* Whether `name` is exactly what segment_file_name makes of an id, which is then in *ret_id. */
bool segment_file_name_parse(const char *name, uint32_t *ret_id);

#endif
