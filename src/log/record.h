/* SPDX-License-Identifier: MIT */
/*
 * A record: one put, one delete, or one note of the store to itself, in a segment (FORMAT.md, tables 3 to 7).
 *
 *   R1  A header checks out only in the segment (identity) and at the offset it was written for, so neither
 *       user data, nor a record of another place, nor a record of a discarded tail passes for a record.
 *       (P3, P6)
 *   R2  Zeroes are never a valid record.                                                                (P3)
 *   R3  The checksum of the header covers every size in it; the hash of the key covers the key, and the
 *       checksum of the payload covers the value and the hash of the key. No byte but padding is uncovered.
 *       (P6)
 *   R4  The decoder refuses what no writer writes: kind, flags, sizes within limits and as the kind has them.
 *   R5  A header that checks out claims its key by its hash, even where the payload is damaged. (P4, P6)
 *
 * Everything here is a pure function of bytes: no I/O, no allocation, no state.
 */
#ifndef STAVE_LOG_RECORD_H
#define STAVE_LOG_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "stave.h"

enum record_kind {
    RECORD_PUT = 1,
    RECORD_TOMBSTONE = 2,
    RECORD_BATCH = 3,  /* the records that follow stand or fall together */
    RECORD_MARK = 4,   /* vouches that all before it was durable when it was written */
    RECORD_LINK = 5,   /* publishes the one record of a LARGE segment at this place of the log */
    RECORD_SPACES = 6, /* a space dropped, or two swapped */
};

enum record_flag {
    RECORD_HAS_EXPIRY = 1,     /* PUT, LINK */
    RECORD_HAS_SUPERSEDED = 2, /* PUT, TOMBSTONE, LINK */
    RECORD_INSERT = 4,         /* PUT, LINK: the key had no entry in the index before */
    RECORD_IN_BATCH = 8,       /* belongs to the BATCH record before it; any kind but BATCH and MARK */
    RECORD_FLAGS = 15,
};

/* FORMAT.md, table 3: header of a record, little-endian. */
enum {
    RECORD_CHECKSUM_AT = 0, /* 00-03  over bytes 04 to the header's end, seeded by identity and offset */
    RECORD_PAYLOAD_CHECKSUM_AT = 4, /* 04-07 */
    RECORD_SEQUENCE_AT = 8,         /* 08-15 */
    RECORD_KEY_HASH_AT = 16,        /* 16-23 */
    RECORD_KEY_SIZE_AT = 24,        /* 24-27 */
    RECORD_VALUE_SIZE_AT = 28,      /* 28-31 */
    RECORD_GENERATION_AT = 32,      /* 32-35 */
    RECORD_KIND_AT = 36,            /* 36 */
    RECORD_FLAGS_AT = 37,           /* 37 */
    RECORD_RESERVED_AT = 38,        /* 38-39  zero */
    RECORD_HEADER_SIZE = 40, /* 40-47  expiry, if HAS_EXPIRY; next 8 bytes: superseded, if HAS_SUPERSEDED */
    RECORD_HEADER_SIZE_MAX = 56,
    RECORD_ALIGNMENT = 16,
};
static_assert(RECORD_HEADER_SIZE == RECORD_RESERVED_AT + 2, "FORMAT.md, table 3");
static_assert(RECORD_HEADER_SIZE_MAX == RECORD_HEADER_SIZE + 2 * sizeof(uint64_t), "FORMAT.md, table 3");

/* FORMAT.md, tables 4 to 7: the values of the records that are not the user's. */
enum {
    RECORD_BATCH_SIZE = 16,
    RECORD_MARK_SIZE = 16,
    RECORD_LINK_SIZE = 24,
    RECORD_SPACES_SIZE = 16,
};

#define RECORD_COUNTER_ROUND                                                                                 \
    (UINT64_C(1) << 31) /* FORMAT.md, section 5: taken off a counter above it at a roll */
#define RECORD_KEY_SIZE_MAX (UINT32_C(1) << 30)
#define RECORD_VALUE_SIZE_MAX (UINT32_C(1) << 30)
#define RECORD_SIZE_MAX ((UINT64_C(1) << 31) + 64) /* of a whole record, padding included */

struct record {
    uint64_t sequence;
    uint64_t key_hash;      /* 0 where the kind has no key: BATCH, MARK, SPACES */
    uint64_t expires_at_ms; /* 0 unless HAS_EXPIRY */
    uint64_t superseded;    /* 0 unless HAS_SUPERSEDED */
    uint32_t key_size;
    uint32_t value_size; /* bytes of the value area; of a LINK that is RECORD_LINK_SIZE */
    uint32_t generation;
    uint32_t payload_checksum;
    uint8_t kind;
    uint8_t flags;
};

static inline size_t record_header_size(unsigned flags)
{
    return RECORD_HEADER_SIZE + 8 * (size_t)(flags & 1) + 8 * (size_t)(flags >> 1 & 1);
}

/* Bytes from the start of the record to the start of the next one: header, key, value and padding. */
static inline uint64_t record_size(const struct record *record)
{
    const uint64_t size = (uint64_t)record_header_size(record->flags) + record->key_size + record->value_size;
    return (size + (RECORD_ALIGNMENT - 1)) & ~(uint64_t)(RECORD_ALIGNMENT - 1);
}

/* The padding at the end of the record, to be written as zeroes: 0 .. 15 bytes. */
static inline size_t record_padding(const struct record *record)
{
    const uint64_t size = (uint64_t)record_header_size(record->flags) + record->key_size + record->value_size;
    return (size_t)(record_size(record) - size);
}

/* A kind with a key, whose newest record decides what the key holds. */
static inline bool record_has_key(unsigned kind)
{
    return kind == RECORD_PUT || kind == RECORD_TOMBSTONE || kind == RECORD_LINK;
}

/* What a header may say apart from its checksum (R4). */
bool record_is_sane(const struct record *record);

static inline uint64_t record_key_hash(uint64_t hash_seed, uint32_t generation, const void *key,
                                       size_t key_size)
{
    return hash_bytes(key, key_size, hash_seed ^ generation * UINT64_C(0x9E3779B97F4A7C15));
}

static inline uint32_t record_payload_checksum(uint64_t key_hash, const void *value, size_t value_size)
{
    return hash_checksum(value, value_size, key_hash);
}

/* Writes record_header_size(flags) bytes at `at`. Runs under the store's write lock. */
static inline void record_encode_header(const struct record *record, uint64_t identity, uint64_t offset,
                                        uint8_t *at)
{
    const size_t size = record_header_size(record->flags);
    store_le32(at + RECORD_PAYLOAD_CHECKSUM_AT, record->payload_checksum);
    store_le64(at + RECORD_SEQUENCE_AT, record->sequence);
    store_le64(at + RECORD_KEY_HASH_AT, record->key_hash);
    store_le32(at + RECORD_KEY_SIZE_AT, record->key_size);
    store_le32(at + RECORD_VALUE_SIZE_AT, record->value_size);
    store_le32(at + RECORD_GENERATION_AT, record->generation);
    store_le32(at + RECORD_KIND_AT, (uint32_t)record->kind | (uint32_t)record->flags << 8);
    if (record->flags & RECORD_HAS_EXPIRY) store_le64(at + RECORD_HEADER_SIZE, record->expires_at_ms);
    if (record->flags & RECORD_HAS_SUPERSEDED) store_le64(at + size - 8, record->superseded);
    const uint64_t checksum =
        hash_bytes(at + RECORD_PAYLOAD_CHECKSUM_AT, size - RECORD_PAYLOAD_CHECKSUM_AT, identity ^ offset);
    store_le32(at + RECORD_CHECKSUM_AT, (uint32_t)checksum);
}

/*
 * Reads and checks the header that stands at `offset` of the segment `identity`. `available` bytes may be
 * read.
 *
 * Result   STAVE_OK; STAVE_NOT_FOUND if the bytes of a header without options are all zero: never written;
 *          STAVE_CORRUPT otherwise, also when fewer bytes than the header needs are available.
 *          That the record ends within its segment is the caller's to check.
 */
enum stave_status record_decode_header(const uint8_t *at, size_t available, uint64_t identity,
                                       uint64_t offset, struct record *ret_record);

/*
 * As record_decode_header, without the checksum and the checks, for reads through the index of bytes already
 * known to be a record. RECORD_HEADER_SIZE_MAX bytes must be readable, or as many as
 * record_header_size(flags); the caller checks the sizes against the segment's end before it follows them.
 */
static inline void record_peek(const uint8_t *at, struct record *ret_record)
{
    const uint8_t flags = at[RECORD_FLAGS_AT];
    *ret_record = (struct record){
        .sequence = load_le64(at + RECORD_SEQUENCE_AT),
        .key_hash = load_le64(at + RECORD_KEY_HASH_AT),
        .key_size = load_le32(at + RECORD_KEY_SIZE_AT),
        .value_size = load_le32(at + RECORD_VALUE_SIZE_AT),
        .generation = load_le32(at + RECORD_GENERATION_AT),
        .payload_checksum = load_le32(at + RECORD_PAYLOAD_CHECKSUM_AT),
        .kind = at[RECORD_KIND_AT],
        .flags = flags,
    };
    if (flags & RECORD_HAS_EXPIRY) ret_record->expires_at_ms = load_le64(at + RECORD_HEADER_SIZE);
    if (flags & RECORD_HAS_SUPERSEDED) ret_record->superseded = load_le64(at + record_header_size(flags) - 8);
}

/* FORMAT.md, table 4: value of a BATCH. */
struct record_batch {
    uint32_t count; /* of records that follow, at least 1, all in this segment and flagged IN_BATCH */
    uint64_t size;  /* their bytes, a multiple of RECORD_ALIGNMENT */
};

/* FORMAT.md, table 5: value of a MARK. */
struct record_mark {
    uint64_t
        durable_end; /* offset in this segment up to which all was durable; at most the mark's own offset */
    uint64_t durable_sequence; /* the newest sequence that was durable */
};

/* FORMAT.md, table 6: value of a LINK. */
struct record_link {
    uint32_t segment_id;
    uint32_t value_size;       /* of the PUT record in that segment */
    uint64_t identity;         /* of that segment */
    uint32_t payload_checksum; /* of that record */
};

enum record_spaces_op {
    RECORD_SPACES_DROP = 1,
    RECORD_SPACES_SWAP = 2,
};

/* FORMAT.md, table 7: value of a SPACES record. */
struct record_spaces {
    uint32_t op;
    uint32_t a;
    uint32_t b;              /* SWAP; else 0 */
    uint32_t generation;     /* DROP: the new generation of space a; else 0 */
    uint32_t old_generation; /* DROP: the one it gave up; else 0 */
};

/* Each writes RECORD_..._SIZE bytes; the decoders refuse a value area of another size: STAVE_CORRUPT. */
void record_encode_batch(const struct record_batch *batch, uint8_t *at);
void record_encode_mark(const struct record_mark *mark, uint8_t *at);
void record_encode_link(const struct record_link *link, uint8_t *at);
void record_encode_spaces(const struct record_spaces *spaces, uint8_t *at);

enum stave_status record_decode_batch(const uint8_t *at, size_t size, struct record_batch *ret_batch);
enum stave_status record_decode_mark(const uint8_t *at, size_t size, struct record_mark *ret_mark);
enum stave_status record_decode_link(const uint8_t *at, size_t size, struct record_link *ret_link);
enum stave_status record_decode_spaces(const uint8_t *at, size_t size, struct record_spaces *ret_spaces);

#endif
