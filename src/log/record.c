/* SPDX-License-Identifier: MIT */
/* Decoding and checking of record headers, and the values of the records that are not the user's. */
#include "log/record.h"

/* FORMAT.md, table 3a: which kinds may have which flags. */
static unsigned flags_of_kind(unsigned kind)
{
    switch (kind) {
    case RECORD_PUT:
    case RECORD_LINK: return RECORD_HAS_EXPIRY | RECORD_HAS_SUPERSEDED | RECORD_INSERT | RECORD_IN_BATCH;
    case RECORD_TOMBSTONE: return RECORD_HAS_SUPERSEDED | RECORD_IN_BATCH;
    case RECORD_SPACES: return RECORD_IN_BATCH;
    default: return 0;
    }
}

static bool value_size_is_sane(unsigned kind, uint32_t size)
{
    switch (kind) {
    case RECORD_PUT: return size <= RECORD_VALUE_SIZE_MAX;
    case RECORD_TOMBSTONE: return size == 0;
    case RECORD_BATCH: return size == RECORD_BATCH_SIZE;
    case RECORD_MARK: return size == RECORD_MARK_SIZE;
    case RECORD_LINK: return size == RECORD_LINK_SIZE;
    case RECORD_SPACES: return size == RECORD_SPACES_SIZE;
    default: return false;
    }
}

bool record_is_sane(const struct record *record)
{
    if (!value_size_is_sane(record->kind, record->value_size)) return false;
    if (record->flags & ~flags_of_kind(record->kind)) return false;
    if (record_has_key(record->kind)) return record->key_size <= RECORD_KEY_SIZE_MAX;
    return record->key_size == 0 && record->key_hash == 0 && record->generation == 0;
}

enum stave_status record_decode_header(const uint8_t *at, size_t available, uint64_t identity,
                                       uint64_t offset, struct record *ret_record)
{
    if (available < RECORD_HEADER_SIZE) return STAVE_CORRUPT;
    if (at[RECORD_KIND_AT] == 0 && bytes_are_zero(at, RECORD_HEADER_SIZE)) return STAVE_NOT_FOUND; /* R2 */

    const size_t size = record_header_size(at[RECORD_FLAGS_AT]);
    if (available < size) return STAVE_CORRUPT;
    const uint64_t checksum =
        hash_bytes(at + RECORD_PAYLOAD_CHECKSUM_AT, size - RECORD_PAYLOAD_CHECKSUM_AT, identity ^ offset);
    if (load_le32(at + RECORD_CHECKSUM_AT) != (uint32_t)checksum) return STAVE_CORRUPT; /* R1 */
    if (load_le16(at + RECORD_RESERVED_AT) != 0) return STAVE_CORRUPT;

    struct record record;
    record_peek(at, &record);
    if (!record_is_sane(&record)) return STAVE_CORRUPT; /* R4 */
    *ret_record = record;
    return STAVE_OK;
}

void record_encode_batch(const struct record_batch *batch, uint8_t *at)
{
    assert(batch->count > 0);
    assert(batch->size % RECORD_ALIGNMENT == 0);
    store_le32(at, batch->count);
    store_le32(at + 4, 0);
    store_le64(at + 8, batch->size);
}

enum stave_status record_decode_batch(const uint8_t *at, size_t size, struct record_batch *ret_batch)
{
    if (size != RECORD_BATCH_SIZE) return STAVE_CORRUPT;
    const struct record_batch batch = {.count = load_le32(at), .size = load_le64(at + 8)};
    if (load_le32(at + 4) != 0 || batch.count == 0) return STAVE_CORRUPT;
    if (batch.size % RECORD_ALIGNMENT != 0) return STAVE_CORRUPT;
    if (batch.size / (RECORD_HEADER_SIZE + 8) < batch.count)
        return STAVE_CORRUPT; /* 48 bytes at least each */
    *ret_batch = batch;
    return STAVE_OK;
}

void record_encode_mark(const struct record_mark *mark, uint8_t *at)
{
    assert(mark->durable_end % RECORD_ALIGNMENT == 0);
    store_le64(at, mark->durable_end);
    store_le64(at + 8, mark->durable_sequence);
}

enum stave_status record_decode_mark(const uint8_t *at, size_t size, struct record_mark *ret_mark)
{
    if (size != RECORD_MARK_SIZE) return STAVE_CORRUPT;
    const struct record_mark mark = {.durable_end = load_le64(at), .durable_sequence = load_le64(at + 8)};
    if (mark.durable_end % RECORD_ALIGNMENT != 0) return STAVE_CORRUPT;
    *ret_mark = mark;
    return STAVE_OK;
}

void record_encode_link(const struct record_link *link, uint8_t *at)
{
    assert(link->segment_id != 0);
    assert(link->value_size <= RECORD_VALUE_SIZE_MAX);
    store_le32(at, link->segment_id);
    store_le32(at + 4, link->value_size);
    store_le64(at + 8, link->identity);
    store_le32(at + 16, link->payload_checksum);
    store_le32(at + 20, 0);
}

enum stave_status record_decode_link(const uint8_t *at, size_t size, struct record_link *ret_link)
{
    if (size != RECORD_LINK_SIZE) return STAVE_CORRUPT;
    const struct record_link link = {
        .segment_id = load_le32(at),
        .value_size = load_le32(at + 4),
        .identity = load_le64(at + 8),
        .payload_checksum = load_le32(at + 16),
    };
    if (link.segment_id == 0 || link.value_size > RECORD_VALUE_SIZE_MAX) return STAVE_CORRUPT;
    if (load_le32(at + 20) != 0) return STAVE_CORRUPT;
    *ret_link = link;
    return STAVE_OK;
}

static bool spaces_are_sane(const struct record_spaces *spaces)
{
    switch (spaces->op) {
    case RECORD_SPACES_DROP: return spaces->b == 0 && spaces->generation > spaces->old_generation;
    case RECORD_SPACES_SWAP: return spaces->generation == 0 && spaces->old_generation == 0;
    default: return false;
    }
}

void record_encode_spaces(const struct record_spaces *spaces, uint8_t *at)
{
    assert(spaces_are_sane(spaces));
    store_le32(at, spaces->op);
    store_le32(at + 4, spaces->a);
    store_le32(at + 8, spaces->op == RECORD_SPACES_DROP ? spaces->old_generation : spaces->b);
    store_le32(at + 12, spaces->generation);
}

enum stave_status record_decode_spaces(const uint8_t *at, size_t size, struct record_spaces *ret_spaces)
{
    if (size != RECORD_SPACES_SIZE) return STAVE_CORRUPT;
    const bool is_drop = load_le32(at) == RECORD_SPACES_DROP;
    const uint32_t third = load_le32(at + 8);
    const struct record_spaces spaces = {
        .op = load_le32(at),
        .a = load_le32(at + 4),
        .b = is_drop ? 0 : third,
        .generation = load_le32(at + 12),
        .old_generation = is_drop ? third : 0,
    };
    if (!spaces_are_sane(&spaces)) return STAVE_CORRUPT;
    if (spaces.a >= STAVE_SPACE_COUNT_MAX || spaces.b >= STAVE_SPACE_COUNT_MAX) return STAVE_CORRUPT;
    *ret_spaces = spaces;
    return STAVE_OK;
}
