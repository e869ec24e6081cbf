/* SPDX-License-Identifier: MIT */
/*
 * One record as readers see it.
 *
 * A location from the index is trusted as far as its slot; sizes are checked against the segment before they
 * are followed, and the header's checksum tells damage from another key with the same tag (P6).
 */
#include "store/reading.h"

#include "base/memory.h"
#include "store/failure.h"

#define CACHE_LINE_SIZE 64
#define FIRST_READ_SIZE 4096        /* with STAVE_READS_COPIED: header, and mostly the key */
#define READ_AHEAD_SIZE_MIN 131072u /* of a mapping, where less is read page by page */

static enum stave_status damaged(struct store *store, const struct segment *segment, uint64_t offset,
                                 const char *what)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment->id, name);
    return store_error(store, STAVE_CORRUPT, "%s/%s: offset %llu: %s", store->dir.path, name,
                       (unsigned long long)offset, what);
}

/* ------------------------------------------------------------------ copies */

static enum stave_status read_copy(struct store *store, const struct segment *segment, uint64_t offset,
                                   size_t size, uint32_t flags, void *ret_bytes)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    struct file file = FILE_NONE;
    struct error error = {.status = STAVE_OK};
    segment_file_name(segment->id, name);
    enum stave_status status = file_open(&store->dir, name, false, &file, &error);
    if (status == STAVE_OK)
        status = flags & STAVE_READ_NO_WAIT ? file_read_resident(&file, ret_bytes, size, offset, &error)
                                            : file_read_at(&file, ret_bytes, size, offset, &error);
    (void)file_close(&file, NULL);
    if (status == STAVE_NOT_FOUND)
        status = error_set(&error, STAVE_IO, 0, "%s/%s: missing", store->dir.path, name);
    return status < 0 ? store_note_error(store, &error) : status;
}

/* Makes bytes [from, from + size) of the record readable at *ret_at. */
static enum stave_status bytes_at(struct store *store, struct reading *reading, uint64_t from, uint64_t size,
                                  uint32_t flags, const uint8_t **ret_at)
{
    const struct segment *segment = reading->segment;
    const uint64_t offset = reading->offset + from;
    if (segment->map.data != NULL) {
        if (flags & STAVE_READ_NO_WAIT && !map_resident(&segment->map, offset, (size_t)size))
            return STAVE_WOULD_BLOCK;
        if (!(flags & STAVE_READ_NO_WAIT) && size >= READ_AHEAD_SIZE_MIN)
            map_read_ahead(&segment->map, offset, (size_t)size);
        *ret_at = segment->map.data + offset;
        return STAVE_OK;
    }
    uint8_t *copy = memory_realloc(reading->copy, (size_t)size);
    if (copy == NULL) return store_error(store, STAVE_NO_MEMORY, "no memory to read a record");
    reading->copy = copy;
    *ret_at = copy;
    return read_copy(store, segment, offset, (size_t)size, flags, copy);
}

/* ------------------------------------------------------------------ header and key */

static enum stave_status decode(struct store *store, struct reading *reading, const uint8_t *at,
                                size_t available)
{
    if (store->options.skip_verify && reading->segment->map.data != NULL) {
        record_peek(at, &reading->record);
        return STAVE_OK;
    }
    const enum stave_status status =
        record_decode_header(at, available, reading->segment->identity, reading->offset, &reading->record);
    if (status == STAVE_OK) return STAVE_OK;
    return damaged(store, reading->segment, reading->offset, "the header of a record is damaged");
}

void reading_prefetch(const struct store *store, uint64_t location)
{
    const struct segment *segment = segment_at(store, location);
    if (segment == NULL || segment->map.data == NULL) return;
    const uint8_t *const at = segment->map.data + location_offset(segment, location);
    __builtin_prefetch(at);
    __builtin_prefetch(at + CACHE_LINE_SIZE);
}

enum stave_status reading_begin(struct store *store, uint64_t location, uint32_t flags,
                                struct reading *ret_reading)
{
    struct reading reading = {.segment = segment_at(store, location)};
    if (reading.segment == NULL) return STAVE_NOT_FOUND;
    reading.offset = location_offset(reading.segment, location);
    const uint64_t end = atomic_load_explicit(&reading.segment->end, memory_order_acquire);
    if (reading.offset + RECORD_HEADER_SIZE > end) return STAVE_NOT_FOUND;

    const uint64_t room = end - reading.offset;
    /* Of a map no more than what is touched: more may be on disk, and a read that waits brings no more. */
    const uint64_t wanted = reading.segment->map.data != NULL ? RECORD_HEADER_SIZE_MAX : FIRST_READ_SIZE;
    const uint64_t first = room < wanted ? room : wanted;
    const uint8_t *at = NULL;
    enum stave_status status = bytes_at(store, &reading, 0, first, flags, &at);
    if (status == STAVE_OK) status = decode(store, &reading, at, (size_t)first);
    if (status == STAVE_OK && record_size(&reading.record) > room)
        status = damaged(store, reading.segment, reading.offset, "the record reaches beyond its segment");
    const size_t header_size = record_header_size(reading.record.flags);
    if (status == STAVE_OK && header_size + reading.record.key_size > first)
        status = bytes_at(store, &reading, 0, header_size + reading.record.key_size, flags, &at);
    if (status != STAVE_OK) {
        reading_end(&reading);
        return status;
    }
    reading.key = at + header_size;
    if (reading.segment->map.data != NULL ||
        header_size + (uint64_t)reading.record.key_size + reading.record.value_size <= first)
        reading.value = reading.key + reading.record.key_size;
    *ret_reading = reading;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ value */

bool reading_is_large(const struct reading *reading)
{
    return reading->segment->kind == SEGMENT_LARGE && reading->copy == NULL;
}

/* A view of it is held for which it was verified. */
static bool is_verified(const struct reading *reading)
{
    return reading_is_large(reading) &&
           atomic_load_explicit(&reading->segment->verified_count, memory_order_relaxed) > 0;
}

enum stave_status reading_value(struct store *store, struct reading *reading, uint64_t from, size_t size,
                                uint32_t flags, struct stave_bytes *ret_part)
{
    const struct record *record = &reading->record;
    const uint64_t value_at = record_header_size(record->flags) + (uint64_t)record->key_size;
    const bool is_copied = reading->segment->map.data == NULL && reading->value != NULL;
    const uint8_t *at = is_copied ? reading->value + from : reading->key;
    if (size > 0 && !is_copied) {
        const enum stave_status status = bytes_at(store, reading, value_at + from, size, flags, &at);
        if (status != STAVE_OK) return status;
    }
    *ret_part = stave_bytes(at, size);
    if (size != record->value_size || store->options.skip_verify || is_verified(reading)) return STAVE_OK;
    if (record_payload_checksum(record->key_hash, at, size) == record->payload_checksum) return STAVE_OK;
    return damaged(store, reading->segment, reading->offset, "the value of a record is damaged");
}

void reading_end(struct reading *reading)
{
    memory_free(reading->copy);
    reading->copy = NULL;
}

/* ------------------------------------------------------------------ by key */

/* STAVE_OK: it is this key's; STAVE_NOT_FOUND: another's. */
static enum stave_status compare(struct store *store, const struct reading *reading, uint64_t hash,
                                 uint32_t generation, struct stave_bytes key)
{
    const struct record *record = &reading->record;
    if (record->key_hash != hash) return STAVE_NOT_FOUND;
    if (record->generation == generation && record->key_size == key.size &&
        (key.size == 0 || memcmp(reading->key, key.data, key.size) == 0))
        return STAVE_OK;
    const uint64_t found =
        record_key_hash(store->hash_seed, record->generation, reading->key, record->key_size);
    if (found == record->key_hash) return STAVE_NOT_FOUND; /* two keys of one hash */
    return damaged(store, reading->segment, reading->offset, "the key of a record is damaged");
}

enum stave_status find_key(struct store *store, uint64_t hash, uint32_t generation, struct stave_bytes key,
                           uint32_t flags, struct found *ret_found)
{
    struct keydir_probe probe;
    bool moved;
    if (flags & STAVE_READ_NO_WAIT && !keydir_is_loaded(&store->keydir, hash)) return STAVE_WOULD_BLOCK;
    do {
        moved = false;
        enum stave_status status = keydir_probe_begin(&store->keydir, hash, &probe);
        if (status != STAVE_OK) return status;
        uint64_t location;
        while (keydir_probe_next(&probe, &location)) {
            struct reading reading;
            reading_prefetch(store, location);
            status = reading_begin(store, location, flags, &reading);
            if (status == STAVE_NOT_FOUND) { /* stale, or compaction moved it since the entry was read */
                if (!keydir_has(&store->keydir, hash, location)) moved = true;
                continue;
            }
            if (status != STAVE_OK) return status;
            status = compare(store, &reading, hash, generation, key);
            if (status == STAVE_OK && reading.record.kind != RECORD_PUT) { /* a refresh is under way */
                reading_end(&reading);
                return STAVE_NOT_FOUND;
            }
            if (status == STAVE_OK) {
                *ret_found = (struct found){location, reading};
                return STAVE_OK;
            }
            reading_end(&reading);
            if (status != STAVE_NOT_FOUND) return status;
        }
    } while (moved || keydir_probe_changed(&probe));
    return STAVE_NOT_FOUND;
}
