/* SPDX-License-Identifier: MIT */
/* Names and headers of segment files. */
#include "log/segment.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

static const uint8_t magic[8] = {'S', 'T', 'A', 'V', 'E', 'S', 'E', 'G'};

static bool header_is_sane(const struct segment_header *header)
{
    if (header->kind < SEGMENT_LOG || header->kind > SEGMENT_LARGE) return false;
    if (header->id == 0) return false;
    return (header->kind == SEGMENT_LOG) == (header->incarnation != 0);
}

void segment_encode_header(const struct segment_header *header, uint8_t at[SEGMENT_HEADER_SIZE])
{
    assert(header_is_sane(header));
    memcpy(at + SEGMENT_MAGIC_AT, magic, sizeof(magic));
    store_le32(at + SEGMENT_VERSION_AT, SEGMENT_VERSION);
    store_le32(at + SEGMENT_KIND_AT, header->kind);
    store_le32(at + SEGMENT_ID_AT, header->id);
    store_le32(at + SEGMENT_INCARNATION_AT, header->incarnation);
    store_le64(at + SEGMENT_STORE_ID_AT, header->store_id);
    store_le64(at + SEGMENT_IDENTITY_AT, header->identity);
    store_le64(at + SEGMENT_HASH_SEED_AT, header->hash_seed);
    store_le64(at + SEGMENT_HORIZON_AT, header->horizon);
    store_le32(at + SEGMENT_RESERVED_AT, 0);
    store_le32(at + SEGMENT_CHECKSUM_AT, (uint32_t)hash_bytes(at, SEGMENT_CHECKSUM_AT, 0));
}

enum stave_status segment_decode_header(const uint8_t *at, size_t available,
                                        struct segment_header *ret_header)
{
    if (available < SEGMENT_HEADER_SIZE) return STAVE_CORRUPT;
    if (bytes_are_zero(at, SEGMENT_HEADER_SIZE)) return STAVE_NOT_FOUND;
    if (memcmp(at + SEGMENT_MAGIC_AT, magic, sizeof(magic)) != 0) return STAVE_NOT_A_STORE;
    if (load_le32(at + SEGMENT_CHECKSUM_AT) != (uint32_t)hash_bytes(at, SEGMENT_CHECKSUM_AT, 0))
        return STAVE_CORRUPT;
    if (load_le32(at + SEGMENT_VERSION_AT) > SEGMENT_VERSION) return STAVE_VERSION;
    if (load_le32(at + SEGMENT_VERSION_AT) != SEGMENT_VERSION) return STAVE_CORRUPT;
    if (load_le32(at + SEGMENT_RESERVED_AT) != 0) return STAVE_CORRUPT;

    const struct segment_header header = {
        .store_id = load_le64(at + SEGMENT_STORE_ID_AT),
        .identity = load_le64(at + SEGMENT_IDENTITY_AT),
        .hash_seed = load_le64(at + SEGMENT_HASH_SEED_AT),
        .horizon = load_le64(at + SEGMENT_HORIZON_AT),
        .kind = load_le32(at + SEGMENT_KIND_AT),
        .id = load_le32(at + SEGMENT_ID_AT),
        .incarnation = load_le32(at + SEGMENT_INCARNATION_AT),
    };
    if (!header_is_sane(&header)) return STAVE_CORRUPT;
    *ret_header = header;
    return STAVE_OK;
}

void segment_file_name(uint32_t id, char ret_name[SEGMENT_FILE_NAME_SIZE])
{
    (void)snprintf(ret_name, SEGMENT_FILE_NAME_SIZE, "%010u.seg", (unsigned)id);
}

bool segment_file_name_parse(const char *name, uint32_t *ret_id)
{
    uint64_t id = 0;
    for (size_t index = 0; index < 10; index++) {
        if (name[index] < '0' || name[index] > '9') return false;
        id = id * 10 + (uint64_t)(name[index] - '0');
    }
    if (strcmp(name + 10, ".seg") != 0) return false;
    if (id == 0 || id > UINT32_MAX) return false;
    *ret_id = (uint32_t)id;
    return true;
}
