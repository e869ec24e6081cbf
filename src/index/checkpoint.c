/* SPDX-License-Identifier: MIT */
/* The bytes of a CHECKPOINT file; see checkpoint.h and docs/FORMAT.md, "Checkpoint". */
#include "index/checkpoint.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "index/keydir.h"

static const uint8_t prelude_magic[8] = {'S', 'T', 'A', 'V', 'E', 'C', 'K', 'P'};
static const uint8_t footer_magic[8] = {'S', 'T', 'A', 'V', 'E', 'C', 'K', 'E'};

/* Seeds that keep one part of a file from passing for another. A block's seed has the block's number here. */
#define SEED_CONTENTS (UINT64_C(1) << 40)
#define SEED_DIRECTORY (UINT64_C(2) << 40)

enum {
    PRELUDE_MAGIC_AT = 0,   /* 00-07 */
    PRELUDE_VERSION_AT = 8, /* 08-11 */
    PRELUDE_ZERO_AT = 12,   /* 12-15 */
};

enum {
    BLOCK_OFFSET_AT = 0,    /* 00-07 */
    BLOCK_SIZE_AT = 8,      /* 08-11 */
    BLOCK_CHECKSUM_AT = 12, /* 12-15 */
};

enum {
    CONTENTS_SEQUENCE_AT = 0,        /* 00-07 */
    CONTENTS_SEQUENCE_LAST_AT = 8,   /* 08-15 */
    CONTENTS_SEGMENT_ID_AT = 16,     /* 16-19 */
    CONTENTS_SEGMENT_COUNT_AT = 20,  /* 20-23 */
    CONTENTS_SEGMENT_OFFSET_AT = 24, /* 24-31 */
    CONTENTS_BUCKET_COUNT_AT = 32,   /* 32-39 */
    CONTENTS_ENTRY_COUNT_AT = 40,    /* 40-47 */
    CONTENTS_STORE_ID_AT = 48,       /* 48-55 */
    CONTENTS_SWEPT_AT = 56,          /* 56-59 */
    CONTENTS_ZERO_AT = 60,           /* 60-63 */
    CONTENTS_SEGMENTS_AT = 64,       /* then the segments, then the checksum */
    CONTENTS_CHECKSUM_SIZE = 8,
};
static_assert(CONTENTS_SEGMENTS_AT + CONTENTS_CHECKSUM_SIZE == CHECKPOINT_CONTENTS_SIZE,
              "FORMAT.md, contents");

enum {
    SEGMENT_ID_AT = 0,          /* 00-03 */
    SEGMENT_FIRST_SLOT_AT = 4,  /* 04-07 */
    SEGMENT_SLOT_COUNT_AT = 8,  /* 08-11 */
    SEGMENT_ZERO_AT = 12,       /* 12-15 */
    SEGMENT_IDENTITY_AT = 16,   /* 16-23 */
    SEGMENT_LIVE_SIZE_AT = 24,  /* 24-31 */
    SEGMENT_LIVE_COUNT_AT = 32, /* 32-39 */
};
static_assert(SEGMENT_LIVE_COUNT_AT + sizeof(uint64_t) == CHECKPOINT_SEGMENT_SIZE, "FORMAT.md, segment");

enum {
    FOOTER_MAGIC_AT = 0,               /* 00-07 */
    FOOTER_VERSION_AT = 8,             /* 08-11 */
    FOOTER_BLOCK_COUNT_AT = 12,        /* 12-15 */
    FOOTER_STORE_ID_AT = 16,           /* 16-23 */
    FOOTER_DIRECTORY_OFFSET_AT = 24,   /* 24-31 */
    FOOTER_DIRECTORY_CHECKSUM_AT = 32, /* 32-39 */
    FOOTER_CONTENTS_OFFSET_AT = 40,    /* 40-47 */
    FOOTER_CONTENTS_SIZE_AT = 48,      /* 48-51 */
    FOOTER_ZERO_AT = 52,               /* 52-55 */
    FOOTER_CHECKSUM_AT = 56,           /* 56-63 */
};
static_assert(FOOTER_CHECKSUM_AT + sizeof(uint64_t) == CHECKPOINT_FOOTER_SIZE, "FORMAT.md, footer");

/* ---- prelude ---- */

void checkpoint_encode_prelude(uint8_t *bytes)
{
    memcpy(bytes + PRELUDE_MAGIC_AT, prelude_magic, sizeof prelude_magic);
    store_le32(bytes + PRELUDE_VERSION_AT, CHECKPOINT_VERSION);
    store_le32(bytes + PRELUDE_ZERO_AT, 0);
}

enum stave_status checkpoint_decode_prelude(const uint8_t *bytes)
{
    uint8_t expected[CHECKPOINT_PRELUDE_SIZE];
    checkpoint_encode_prelude(expected);
    return memcmp(bytes, expected, sizeof expected) == 0 ? STAVE_OK : STAVE_CORRUPT;
}

/* ---- blocks and their directory ---- */

uint32_t checkpoint_block_checksum(uint64_t store_id, uint32_t block, const uint8_t *bytes, size_t size)
{
    return hash_checksum(bytes, size, store_id ^ block);
}

void checkpoint_encode_block(uint8_t *directory, uint32_t block, const struct checkpoint_block *place)
{
    assert(place->offset >= CHECKPOINT_PRELUDE_SIZE);
    assert(place->size >= KEYDIR_BLOCK_BUCKETS);
    assert(place->size <= CHECKPOINT_BLOCK_SIZE_MAX);
    uint8_t *const at = directory + (size_t)block * CHECKPOINT_BLOCK_SIZE;
    store_le64(at + BLOCK_OFFSET_AT, place->offset);
    store_le32(at + BLOCK_SIZE_AT, place->size);
    store_le32(at + BLOCK_CHECKSUM_AT, place->checksum);
}

enum stave_status checkpoint_decode_block(const uint8_t *directory, uint32_t block,
                                          const struct checkpoint_footer *footer,
                                          struct checkpoint_block *ret_place)
{
    if (block >= footer->block_count) return STAVE_CORRUPT;
    const uint8_t *const at = directory + (size_t)block * CHECKPOINT_BLOCK_SIZE;
    const struct checkpoint_block place = {
        .offset = load_le64(at + BLOCK_OFFSET_AT),
        .size = load_le32(at + BLOCK_SIZE_AT),
        .checksum = load_le32(at + BLOCK_CHECKSUM_AT),
    };
    if (place.size < KEYDIR_BLOCK_BUCKETS || place.size > CHECKPOINT_BLOCK_SIZE_MAX) return STAVE_CORRUPT;
    if (place.offset < CHECKPOINT_PRELUDE_SIZE || place.offset > footer->directory_offset)
        return STAVE_CORRUPT;
    if (place.size > footer->directory_offset - place.offset) return STAVE_CORRUPT;
    *ret_place = place;
    return STAVE_OK;
}

size_t checkpoint_directory_size(uint32_t block_count)
{
    return (size_t)block_count * CHECKPOINT_BLOCK_SIZE;
}

uint64_t checkpoint_directory_checksum(uint64_t store_id, const uint8_t *directory, uint32_t block_count)
{
    return hash_bytes(directory, checkpoint_directory_size(block_count), store_id ^ SEED_DIRECTORY);
}

enum stave_status checkpoint_check_directory(const uint8_t *directory, const struct checkpoint_footer *footer)
{
    const uint64_t checksum = checkpoint_directory_checksum(footer->store_id, directory, footer->block_count);
    return checksum == footer->directory_checksum ? STAVE_OK : STAVE_CORRUPT;
}

/* ---- contents ---- */

static bool is_segment_sound(const struct checkpoint_segment *segment)
{
    return segment->id != 0 && segment->slot_count > 0 && segment->first_slot < CHECKPOINT_SLOT_COUNT_MAX &&
           segment->slot_count <= CHECKPOINT_SLOT_COUNT_MAX - segment->first_slot;
}

static bool is_contents_sound(const struct checkpoint_contents *contents)
{
    return contents->sequence <= contents->sequence_last &&
           contents->segment_count <= STAVE_SEGMENT_COUNT_MAX &&
           contents->bucket_count >= KEYDIR_BUCKET_COUNT_MIN &&
           contents->bucket_count <= KEYDIR_BUCKET_COUNT_MAX;
}

static uint64_t block_count_of(uint64_t bucket_count)
{
    return (bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS;
}

size_t checkpoint_contents_size(uint32_t segment_count)
{
    return CHECKPOINT_CONTENTS_SIZE + (size_t)segment_count * CHECKPOINT_SEGMENT_SIZE;
}

static void encode_segment(uint8_t *at, const struct checkpoint_segment *segment)
{
    assert(is_segment_sound(segment)); /* C3 */
    store_le32(at + SEGMENT_ID_AT, segment->id);
    store_le32(at + SEGMENT_FIRST_SLOT_AT, segment->first_slot);
    store_le32(at + SEGMENT_SLOT_COUNT_AT, segment->slot_count);
    store_le32(at + SEGMENT_ZERO_AT, 0);
    store_le64(at + SEGMENT_IDENTITY_AT, segment->identity);
    store_le64(at + SEGMENT_LIVE_SIZE_AT, segment->live_size);
    store_le64(at + SEGMENT_LIVE_COUNT_AT, segment->live_count);
}

void checkpoint_encode_contents(uint8_t *bytes, uint64_t store_id, const struct checkpoint_contents *contents,
                                const struct checkpoint_segment *segments)
{
    assert(is_contents_sound(contents)); /* C3 */
    store_le64(bytes + CONTENTS_SEQUENCE_AT, contents->sequence);
    store_le64(bytes + CONTENTS_SEQUENCE_LAST_AT, contents->sequence_last);
    store_le32(bytes + CONTENTS_SEGMENT_ID_AT, contents->segment_id);
    store_le32(bytes + CONTENTS_SEGMENT_COUNT_AT, contents->segment_count);
    store_le64(bytes + CONTENTS_SEGMENT_OFFSET_AT, contents->segment_offset);
    store_le64(bytes + CONTENTS_BUCKET_COUNT_AT, contents->bucket_count);
    store_le64(bytes + CONTENTS_ENTRY_COUNT_AT, contents->entry_count);
    store_le64(bytes + CONTENTS_STORE_ID_AT, store_id);
    store_le32(bytes + CONTENTS_SWEPT_AT, contents->swept_generation);
    store_le32(bytes + CONTENTS_ZERO_AT, 0);
    for (uint32_t i = 0; i < contents->segment_count; i++)
        encode_segment(bytes + CONTENTS_SEGMENTS_AT + (size_t)i * CHECKPOINT_SEGMENT_SIZE, &segments[i]);
    const size_t size = checkpoint_contents_size(contents->segment_count) - CONTENTS_CHECKSUM_SIZE;
    store_le64(bytes + size, hash_bytes(bytes, size, store_id ^ SEED_CONTENTS));
}

void checkpoint_take_segment(const uint8_t *bytes, uint32_t index, struct checkpoint_segment *ret_segment)
{
    const uint8_t *const at = bytes + CONTENTS_SEGMENTS_AT + (size_t)index * CHECKPOINT_SEGMENT_SIZE;
    *ret_segment = (struct checkpoint_segment){
        .id = load_le32(at + SEGMENT_ID_AT),
        .first_slot = load_le32(at + SEGMENT_FIRST_SLOT_AT),
        .slot_count = load_le32(at + SEGMENT_SLOT_COUNT_AT),
        .identity = load_le64(at + SEGMENT_IDENTITY_AT),
        .live_size = load_le64(at + SEGMENT_LIVE_SIZE_AT),
        .live_count = load_le64(at + SEGMENT_LIVE_COUNT_AT),
    };
}

static enum stave_status check_segments(const uint8_t *bytes, uint32_t segment_count)
{
    for (uint32_t i = 0; i < segment_count; i++) {
        struct checkpoint_segment segment;
        checkpoint_take_segment(bytes, i, &segment);
        const uint8_t *const at = bytes + CONTENTS_SEGMENTS_AT + (size_t)i * CHECKPOINT_SEGMENT_SIZE;
        if (!is_segment_sound(&segment) || load_le32(at + SEGMENT_ZERO_AT) != 0)
            return STAVE_CORRUPT; /* C3 */
    }
    return STAVE_OK;
}

enum stave_status checkpoint_decode_contents(const uint8_t *bytes, const struct checkpoint_footer *footer,
                                             struct checkpoint_contents *ret_contents)
{
    if (footer->contents_size < CHECKPOINT_CONTENTS_SIZE) return STAVE_CORRUPT;
    const size_t size = footer->contents_size - CONTENTS_CHECKSUM_SIZE;
    if (load_le64(bytes + size) != hash_bytes(bytes, size, footer->store_id ^ SEED_CONTENTS))
        return STAVE_CORRUPT;

    const struct checkpoint_contents contents = {
        .sequence = load_le64(bytes + CONTENTS_SEQUENCE_AT),
        .sequence_last = load_le64(bytes + CONTENTS_SEQUENCE_LAST_AT),
        .segment_id = load_le32(bytes + CONTENTS_SEGMENT_ID_AT),
        .segment_offset = load_le64(bytes + CONTENTS_SEGMENT_OFFSET_AT),
        .bucket_count = load_le64(bytes + CONTENTS_BUCKET_COUNT_AT),
        .entry_count = load_le64(bytes + CONTENTS_ENTRY_COUNT_AT),
        .segment_count = load_le32(bytes + CONTENTS_SEGMENT_COUNT_AT),
        .swept_generation = load_le32(bytes + CONTENTS_SWEPT_AT),
    };
    if (!is_contents_sound(&contents)) return STAVE_CORRUPT;
    if (load_le64(bytes + CONTENTS_STORE_ID_AT) != footer->store_id) return STAVE_CORRUPT;
    if (load_le32(bytes + CONTENTS_ZERO_AT) != 0) return STAVE_CORRUPT;
    if (checkpoint_contents_size(contents.segment_count) != footer->contents_size) return STAVE_CORRUPT;
    if (block_count_of(contents.bucket_count) != footer->block_count) return STAVE_CORRUPT;
    const enum stave_status status = check_segments(bytes, contents.segment_count);
    if (status < 0) return status;
    *ret_contents = contents;
    return STAVE_OK;
}

/* ---- footer ---- */

void checkpoint_encode_footer(uint8_t *bytes, const struct checkpoint_footer *footer)
{
    memcpy(bytes + FOOTER_MAGIC_AT, footer_magic, sizeof footer_magic);
    store_le32(bytes + FOOTER_VERSION_AT, CHECKPOINT_VERSION);
    store_le32(bytes + FOOTER_BLOCK_COUNT_AT, footer->block_count);
    store_le64(bytes + FOOTER_STORE_ID_AT, footer->store_id);
    store_le64(bytes + FOOTER_DIRECTORY_OFFSET_AT, footer->directory_offset);
    store_le64(bytes + FOOTER_DIRECTORY_CHECKSUM_AT, footer->directory_checksum);
    store_le64(bytes + FOOTER_CONTENTS_OFFSET_AT, footer->contents_offset);
    store_le32(bytes + FOOTER_CONTENTS_SIZE_AT, footer->contents_size);
    store_le32(bytes + FOOTER_ZERO_AT, 0);
    store_le64(bytes + FOOTER_CHECKSUM_AT, hash_bytes(bytes, FOOTER_CHECKSUM_AT, footer->store_id));
}

/* C1: directory, contents and footer follow each other to the file's last byte. */
static bool is_footer_sound(const struct checkpoint_footer *footer, uint64_t file_size)
{
    if (footer->block_count == 0 || footer->block_count > block_count_of(KEYDIR_BUCKET_COUNT_MAX))
        return false;
    if (footer->contents_size < CHECKPOINT_CONTENTS_SIZE) return false;
    if (footer->contents_size > checkpoint_contents_size(STAVE_SEGMENT_COUNT_MAX)) return false;
    const uint64_t behind_blocks =
        checkpoint_directory_size(footer->block_count) + footer->contents_size + CHECKPOINT_FOOTER_SIZE;
    if (file_size < CHECKPOINT_PRELUDE_SIZE || file_size - CHECKPOINT_PRELUDE_SIZE < behind_blocks)
        return false;
    return footer->directory_offset == file_size - behind_blocks &&
           footer->contents_offset == file_size - CHECKPOINT_FOOTER_SIZE - footer->contents_size;
}

/*
 * The checksum comes before the version: its place, and the 64 bytes, are the same in every version to come.
 */
enum stave_status checkpoint_decode_footer(const uint8_t *bytes, uint64_t file_size,
                                           struct checkpoint_footer *ret_footer)
{
    const struct checkpoint_footer footer = {
        .store_id = load_le64(bytes + FOOTER_STORE_ID_AT),
        .block_count = load_le32(bytes + FOOTER_BLOCK_COUNT_AT),
        .directory_offset = load_le64(bytes + FOOTER_DIRECTORY_OFFSET_AT),
        .directory_checksum = load_le64(bytes + FOOTER_DIRECTORY_CHECKSUM_AT),
        .contents_offset = load_le64(bytes + FOOTER_CONTENTS_OFFSET_AT),
        .contents_size = load_le32(bytes + FOOTER_CONTENTS_SIZE_AT),
    };
    if (memcmp(bytes + FOOTER_MAGIC_AT, footer_magic, sizeof footer_magic) != 0) return STAVE_CORRUPT;
    const uint64_t checksum = hash_bytes(bytes, FOOTER_CHECKSUM_AT, footer.store_id);
    if (load_le64(bytes + FOOTER_CHECKSUM_AT) != checksum) return STAVE_CORRUPT;
    const uint32_t version = load_le32(bytes + FOOTER_VERSION_AT);
    if (version > CHECKPOINT_VERSION) return STAVE_VERSION;
    if (version == 0 || load_le32(bytes + FOOTER_ZERO_AT) != 0) return STAVE_CORRUPT;
    if (!is_footer_sound(&footer, file_size)) return STAVE_CORRUPT;
    *ret_footer = footer;
    return STAVE_OK;
}
