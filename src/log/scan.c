/* SPDX-License-Identifier: MIT */
/* The buffer of a scan, the checks on what passes through it, and the searches behind damage. */
#include "log/scan.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "os/map.h"

enum {
    SCAN_MARK_SIZE = RECORD_HEADER_SIZE + RECORD_MARK_SIZE, /* without padding */
    SCAN_PAGE_SIZE = 4096, /* passed over together when the disk cannot read it */
};

/* ---- buffer ---- */

/* Moves what the buffer has from `offset` on to its front. */
static void keep_from(struct scan *scan, uint64_t offset)
{
    size_t kept = 0;
    if (offset >= scan->buffer_offset && offset - scan->buffer_offset < scan->buffer_size) {
        const size_t skip = (size_t)(offset - scan->buffer_offset);
        kept = scan->buffer_size - skip;
        memmove(scan->buffer, scan->buffer + skip, kept);
    }
    scan->buffer_offset = offset;
    scan->buffer_size = kept;
}

static size_t at_most(uint64_t size, size_t limit)
{
    return size < limit ? (size_t)size : limit;
}

/* Reads on behind what the buffer has, until it holds `size` bytes at least. */
static enum stave_status read_on(struct scan *scan, size_t size, struct error *error)
{
    const size_t kept = scan->buffer_size;
    const uint64_t offset = scan->buffer_offset + kept;
    const size_t ahead = at_most(scan->end - offset, SCAN_BUFFER_SIZE - kept);
    size_t got = 0;

    enum stave_status status = file_read_some(&scan->file, scan->buffer + kept, ahead, offset, &got, error);
    if (status == STAVE_IO &&
        ahead > size - kept) /* the bad sector may lie in what nobody has asked for yet */
        status = file_read_some(&scan->file, scan->buffer + kept, size - kept, offset, &got, error);
    if (status != STAVE_OK) return status;

    scan->buffer_size += got;
    if (scan->buffer_size >= size) return STAVE_OK;
    return file_error(&scan->file, error, STAVE_CORRUPT, 0,
                      "ends at offset %" PRIu64 ", was longer when opened", offset + got);
}

/*
 * Gives `size` bytes at `offset`, which the caller has checked to lie within the segment's end, in one piece,
 * and how many follow in the buffer, `size` included.
 */
static enum stave_status fetch(struct scan *scan, uint64_t offset, size_t size, const uint8_t **ret_bytes,
                               size_t *ret_available, struct error *error)
{
    assert(size <= SCAN_BUFFER_SIZE);
    assert(offset <= scan->end);
    assert(size <= scan->end - offset);
    if (offset < scan->buffer_offset || offset - scan->buffer_offset > scan->buffer_size ||
        scan->buffer_size - (offset - scan->buffer_offset) < size) {
        keep_from(scan, offset);
        const enum stave_status status = read_on(scan, size, error);
        if (status != STAVE_OK) return status;
    }
    *ret_bytes = scan->buffer + (offset - scan->buffer_offset);
    *ret_available = scan->buffer_size - (size_t)(offset - scan->buffer_offset);
    return STAVE_OK;
}

static void forget_key(struct scan *scan)
{
    memory_free(scan->long_key);
    scan->long_key = NULL;
    scan->current.key = NULL;
}

/* ---- open, close ---- */

static enum stave_status missing(const struct dir *dir, const char *name, struct error *error)
{
    return error_set(error, STAVE_CORRUPT, 0, "%s/%s: the manifest lists this segment, but it is missing",
                     dir->path, name);
}

static const char *header_problem(enum stave_status status)
{
    if (status == STAVE_NOT_A_STORE) return "is not a segment of Stave";
    if (status == STAVE_VERSION) return "was written by a newer version of Stave";
    if (status == STAVE_NOT_FOUND) return "its header was never written";
    return "the segment's header is damaged";
}

static enum stave_status read_header(struct scan *scan, struct error *error)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE] = {0}; /* a file cut within zeroes counts as never written */
    size_t size = 0;

    enum stave_status status = file_read_some(&scan->file, bytes, sizeof(bytes), 0, &size, error);
    if (status != STAVE_OK) return status;
    status = segment_decode_header(bytes, sizeof(bytes), &scan->header);
    if (status == STAVE_OK) return STAVE_OK;
    return file_error(&scan->file, error, status, 0, "%s", header_problem(status));
}

/* S1 */
static enum stave_status check_expected(const struct scan *scan, const struct scan_expect *expect,
                                        struct error *error)
{
    if (expect->store_id != 0 && scan->header.store_id != expect->store_id)
        return file_error(&scan->file, error, STAVE_NOT_A_STORE, 0, "belongs to another store");
    if (scan->header.id != expect->id)
        return file_error(&scan->file, error, STAVE_CORRUPT, 0, "is segment %" PRIu32 " under another name",
                          scan->header.id);
    if (scan->header.identity != expect->identity)
        return file_error(&scan->file, error, STAVE_CORRUPT, 0, "is another segment than the manifest lists");
    return STAVE_OK;
}

static enum stave_status set_range(struct scan *scan, const struct scan_expect *expect, struct error *error)
{
    uint64_t size = 0;
    const enum stave_status status = file_size(&scan->file, &size, error);
    if (status != STAVE_OK) return status;

    scan->to_the_end = expect->end == SCAN_TO_THE_END;
    scan->end = scan->to_the_end ? size : expect->end;
    scan->next = expect->start != 0 ? expect->start : SEGMENT_HEADER_SIZE;
    if (scan->end > size)
        return file_error(&scan->file, error, STAVE_CORRUPT, 0,
                          "has %" PRIu64 " bytes, the manifest says %" PRIu64, size, scan->end);
    if (scan->next < SEGMENT_HEADER_SIZE || scan->next % RECORD_ALIGNMENT != 0 || scan->next > scan->end)
        return file_error(&scan->file, error, STAVE_CORRUPT, 0, "no record begins at offset %" PRIu64,
                          scan->next);
    scan->offset = scan->next;
    return STAVE_OK;
}

static enum stave_status open_file(struct scan *scan, const struct dir *dir, uint32_t id, struct error *error)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(id, name);
    const enum stave_status status = file_open(dir, name, false, &scan->file, error);
    if (status == STAVE_NOT_FOUND) return missing(dir, name, error);
    if (status == STAVE_OK) file_is_sequential(&scan->file);
    return status;
}

enum stave_status scan_open(const struct dir *dir, const struct scan_expect *expect, struct scan *ret_scan,
                            struct error *error)
{
    struct scan scan = SCAN_NONE;

    scan.flags = expect->flags;
    enum stave_status status = open_file(&scan, dir, expect->id, error);
    if (status != STAVE_OK) goto done;
    status = read_header(&scan, error);
    if (status != STAVE_OK) goto done;
    status = check_expected(&scan, expect, error);
    if (status != STAVE_OK) goto done;
    status = set_range(&scan, expect, error);
    if (status != STAVE_OK) goto done;
    scan.buffer = pages_alloc_small(SCAN_BUFFER_SIZE);
    if (scan.buffer == NULL) status = error_set(error, STAVE_NO_MEMORY, 0, "no memory for a scan's buffer");

done:
    if (status != STAVE_OK) {
        scan_close(&scan);
        return status;
    }
    *ret_scan = scan;
    return STAVE_OK;
}

void scan_close(struct scan *scan)
{
    forget_key(scan);
    pages_free(scan->buffer, SCAN_BUFFER_SIZE);
    (void)file_close(&scan->file, NULL); /* only read */
    *scan = SCAN_NONE;
}

/* ---- damage ---- */

static enum stave_status damaged(struct scan *scan, enum scan_damage damage, const char *problem,
                                 struct error *error)
{
    scan->damage = damage;
    scan->damage_offset = scan->offset;
    scan->problem = problem;
    return file_error(&scan->file, error, STAVE_CORRUPT, 0, "offset %" PRIu64 ": %s", scan->offset, problem);
}

/* A read failed under the record at scan->offset. */
static enum stave_status unreadable(struct scan *scan, enum stave_status status)
{
    if (status == STAVE_NO_MEMORY) return status;
    scan->damage = SCAN_UNREADABLE;
    scan->damage_offset = scan->offset;
    scan->problem = status == STAVE_CORRUPT ? "the file was cut meanwhile" : "the file cannot be read here";
    return status;
}

/* ---- headers ---- */

/* C1, behind what the header's checksum vouches for: NULL, or what is wrong. */
static const char *misfit(const struct scan *scan, const struct record *record, uint64_t offset)
{
    if (record_size(record) > scan->end - offset) return "the record passes the segment's end";
    if (scan->header.kind == SEGMENT_LOG && record->sequence >> 32 != scan->header.incarnation)
        return "the record's sequence is not of this segment";
    if (scan->header.kind == SEGMENT_OUTPUT && record->sequence == 0) return "the record has no sequence";
    return NULL;
}

/* Decodes the header at scan->offset: STAVE_OK, STAVE_END, or damage. */
static enum stave_status read_record_header(struct scan *scan, struct record *ret_record, struct error *error)
{
    const uint64_t rest = scan->end - scan->offset;
    if (rest == 0) return STAVE_END;

    const uint8_t *bytes = NULL;
    size_t available = 0;
    enum stave_status status =
        fetch(scan, scan->offset, at_most(rest, RECORD_HEADER_SIZE_MAX), &bytes, &available, error);
    if (status != STAVE_OK) return unreadable(scan, status);

    const bool cut = rest < RECORD_HEADER_SIZE;
    if (cut && scan->to_the_end && bytes_are_zero(bytes, available)) return STAVE_END;
    if (cut) return damaged(scan, SCAN_HEADER_DAMAGED, "the segment ends in a record's header", error);

    struct record record;
    status = record_decode_header(bytes, available, scan->header.identity, scan->offset, &record);
    if (status == STAVE_NOT_FOUND && scan->to_the_end) return STAVE_END;
    if (status == STAVE_NOT_FOUND)
        return damaged(scan, SCAN_HEADER_DAMAGED, "zeroes before the segment's end", error);
    if (status != STAVE_OK)
        return damaged(scan, SCAN_HEADER_DAMAGED, "the record's header does not check out", error);

    const char *problem = misfit(scan, &record, scan->offset);
    if (problem != NULL) return damaged(scan, SCAN_HEADER_DAMAGED, problem, error);
    *ret_record = record;
    return STAVE_OK;
}

/* ---- key and value ---- */

static uint64_t key_offset(const struct scan_record *current)
{
    return current->offset + record_header_size(current->record.flags);
}

static uint64_t value_offset(const struct scan_record *current)
{
    return key_offset(current) + current->record.key_size;
}

static enum stave_status load_long_key(struct scan *scan, struct error *error)
{
    const size_t size = scan->current.record.key_size;
    scan->long_key = memory_alloc(size);
    if (scan->long_key == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a key of %zu bytes", size);
    return file_read_at(&scan->file, scan->long_key, size, key_offset(&scan->current), error);
}

/* Makes current.key valid (C4). */
static enum stave_status load_key(struct scan *scan, struct error *error)
{
    forget_key(scan);
    const size_t size = scan->current.record.key_size;
    const uint8_t *bytes = NULL;
    size_t available;

    const enum stave_status status =
        size > SCAN_BUFFER_SIZE ? load_long_key(scan, error)
                                : fetch(scan, key_offset(&scan->current), size, &bytes, &available, error);
    if (status != STAVE_OK) {
        forget_key(scan);
        return unreadable(scan, status);
    }
    scan->current.key = scan->long_key != NULL ? scan->long_key : bytes;
    return STAVE_OK;
}

enum stave_status scan_value(struct scan *scan, scan_sink sink, void *context, struct error *error)
{
    uint64_t offset = value_offset(&scan->current);
    uint64_t left = scan->current.record.value_size;

    forget_key(scan);
    while (left > 0) {
        const size_t size = at_most(left, SCAN_BUFFER_SIZE);
        const uint8_t *bytes = NULL;
        size_t available = 0;

        enum stave_status status = fetch(scan, offset, size, &bytes, &available, error);
        if (status != STAVE_OK) return unreadable(scan, status);
        status = sink(context, bytes, size);
        if (status != STAVE_OK) return status;
        offset += size;
        left -= size;
    }
    return STAVE_OK;
}

enum stave_status scan_read_value(struct scan *scan, uint64_t from, size_t size, uint8_t *ret_bytes,
                                  struct error *error)
{
    assert(from <= scan->current.record.value_size);
    assert(size <= scan->current.record.value_size - from);
    const uint64_t offset = value_offset(&scan->current) + from;
    if (offset >= scan->buffer_offset && offset - scan->buffer_offset <= scan->buffer_size &&
        size <= scan->buffer_size - (offset - scan->buffer_offset)) {
        memcpy(ret_bytes, scan->buffer + (offset - scan->buffer_offset), size);
        return STAVE_OK;
    }
    const enum stave_status status = file_read_at(&scan->file, ret_bytes, size, offset, error);
    return status == STAVE_OK ? STAVE_OK : unreadable(scan, status);
}

static enum stave_status add_to_hash(void *context, const uint8_t *bytes, size_t size)
{
    hash_add(context, bytes, size);
    return STAVE_OK;
}

static enum stave_status check_value(struct scan *scan, struct error *error)
{
    struct hash_stream hash;
    hash_begin(&hash, scan->current.record.key_hash);
    const enum stave_status status = scan_value(scan, add_to_hash, &hash, error);
    if (status != STAVE_OK) return status;
    if ((uint32_t)hash_end(&hash) != scan->current.record.payload_checksum)
        return damaged(scan, SCAN_PAYLOAD_DAMAGED, "the record's value does not check out", error);
    return STAVE_OK;
}

static enum stave_status check_key(struct scan *scan, struct error *error)
{
    const struct record *record = &scan->current.record;
    if (!record_has_key(record->kind)) return STAVE_OK;
    const uint64_t hash =
        record_key_hash(scan->header.hash_seed, record->generation, scan->current.key, record->key_size);
    if (hash == record->key_hash) return STAVE_OK;
    return damaged(scan, SCAN_PAYLOAD_DAMAGED, "the record's key does not check out", error);
}

/* Brings a record that fits into the buffer whole, so that its parts are not fetched one by one. */
static enum stave_status load_whole(struct scan *scan, struct error *error)
{
    const uint64_t size = record_size(&scan->current.record);
    if (size > SCAN_BUFFER_SIZE) return STAVE_OK;
    const uint8_t *bytes;
    size_t available;
    const enum stave_status status =
        fetch(scan, scan->current.offset, (size_t)size, &bytes, &available, error);
    return status == STAVE_OK ? STAVE_OK : unreadable(scan, status);
}

/* The value first: streaming one that is larger than the buffer drives the key out of it. */
enum stave_status scan_verify(struct scan *scan, struct error *error)
{
    enum stave_status status = load_whole(scan, error);
    if (status != STAVE_OK) return status;
    const enum stave_status value_status = check_value(scan, error);
    if (value_status != STAVE_OK && value_status != STAVE_CORRUPT) return value_status;

    status = load_key(scan, value_status == STAVE_OK ? error : NULL);
    if (value_status != STAVE_OK) return value_status;
    if (status != STAVE_OK) return status;
    return check_key(scan, error);
}

/* ---- records ---- */

/* The next record, by itself: its place in a batch is not looked at. */
static enum stave_status next_record(struct scan *scan, bool verify, struct error *error)
{
    forget_key(scan);
    scan->offset = scan->next;
    scan->damage = SCAN_UNDAMAGED;
    scan->damage_offset = 0;
    scan->problem = NULL;
    scan->current.offset = scan->offset;

    const enum stave_status status = read_record_header(scan, &scan->current.record, error);
    if (status != STAVE_OK) return status;
    scan->next = scan->offset + record_size(&scan->current.record);
    return verify ? scan_verify(scan, error) : load_key(scan, error);
}

static enum stave_status batch_broken(struct scan *scan, const struct scan_record *batch, uint64_t next,
                                      const char *problem, struct error *error)
{
    const uint64_t damage_offset = scan->offset;

    scan->offset = batch->offset;
    scan->next = next;
    const enum stave_status status = damaged(scan, SCAN_BATCH_BROKEN, problem, error);
    scan->damage_offset = damage_offset;
    return status;
}

/* The records of a batch up to `batch_end`: each checks out and belongs to it, and they fill it exactly. */
static enum stave_status read_batch_records(struct scan *scan, uint32_t count, uint64_t batch_end,
                                            const char **ret_problem, struct error *error)
{
    for (uint32_t index = 0; index < count; index++) {
        *ret_problem = "a record of the batch does not check out";
        const enum stave_status status = next_record(scan, true, error);
        if (status == STAVE_END) return STAVE_CORRUPT;
        if (status != STAVE_OK) return status;
        *ret_problem = "the batch's records are not those it announces";
        if (!(scan->current.record.flags & RECORD_IN_BATCH)) return STAVE_CORRUPT;
        if (scan->next > batch_end) return STAVE_CORRUPT;
    }
    return scan->next == batch_end ? STAVE_OK : STAVE_CORRUPT;
}

/* C3: the BATCH record just read, and all that belongs to it. */
static enum stave_status check_batch(struct scan *scan, struct error *error)
{
    const struct scan_record batch = scan->current;
    const uint64_t first = scan->next;
    uint8_t bytes[RECORD_BATCH_SIZE];
    struct record_batch body;

    enum stave_status status = scan_read_value(scan, 0, sizeof(bytes), bytes, error);
    if (status != STAVE_OK) return status;
    if (record_payload_checksum(batch.record.key_hash, bytes, sizeof(bytes)) !=
            batch.record.payload_checksum ||
        record_decode_batch(bytes, sizeof(bytes), &body) != STAVE_OK)
        return batch_broken(scan, &batch, batch.offset, "the batch does not check out", error);
    if (body.size > scan->end - first)
        return batch_broken(scan, &batch, batch.offset, "the batch passes the segment's end", error);

    const char *problem = NULL;
    status = read_batch_records(scan, body.count, first + body.size, &problem, error);
    if (status == STAVE_CORRUPT) return batch_broken(scan, &batch, first + body.size, problem, error);
    if (status != STAVE_OK) return status;

    scan->batch_end = first + body.size;
    scan->offset = batch.offset;
    scan->next = first;
    scan->current = batch;
    return load_key(scan, error);
}

static enum stave_status next_with_batches(struct scan *scan, struct error *error)
{
    const bool inside = scan->next < scan->batch_end;
    const enum stave_status status = next_record(scan, !inside && (scan->flags & SCAN_VERIFY), error);
    if (status != STAVE_OK || inside) return status;
    if (scan->current.record.kind == RECORD_BATCH) return check_batch(scan, error);
    if (scan->current.record.flags & RECORD_IN_BATCH)
        return damaged(scan, SCAN_BATCH_BROKEN, "the record belongs to a batch that is not there", error);
    return STAVE_OK;
}

enum stave_status scan_next(struct scan *scan, struct scan_record *ret_record, struct error *error)
{
    const enum stave_status status = scan->flags & SCAN_BATCHES
                                         ? next_with_batches(scan, error)
                                         : next_record(scan, scan->flags & SCAN_VERIFY, error);
    if (status != STAVE_OK) return status;
    *ret_record = scan->current;
    return STAVE_OK;
}

/* ---- searches ---- */

/* Whether a header that fits this segment stands at `bytes`; most offsets fail on the first line. */
bool scan_peek(const struct scan *scan, uint64_t *offset, uint64_t *ret_key_hash)
{
    if (*offset < scan->buffer_offset || *offset - scan->buffer_offset > scan->buffer_size) return false;
    const uint64_t at = *offset - scan->buffer_offset;
    if (scan->buffer_size - at < RECORD_HEADER_SIZE_MAX) return false;
    struct record record;
    record_peek(scan->buffer + at, &record);
    *ret_key_hash = record.key_hash;
    *offset += record_size(&record);
    return true;
}

static bool is_record(const struct scan *scan, uint64_t offset, const uint8_t *bytes, size_t available,
                      struct record *ret_record)
{
    if (bytes[RECORD_KIND_AT] < RECORD_PUT || bytes[RECORD_KIND_AT] > RECORD_SPACES) return false;
    struct record record;
    if (record_decode_header(bytes, available, scan->header.identity, offset, &record) != STAVE_OK)
        return false;
    if (misfit(scan, &record, offset) != NULL) return false;
    *ret_record = record;
    return true;
}

static size_t header_room(const struct scan *scan, uint64_t offset)
{
    return at_most(scan->end - offset, RECORD_HEADER_SIZE_MAX);
}

/* Goes from `offset` to the first record in the buffer, or to where the buffer is too short for one. */
static bool find_record(const struct scan *scan, uint64_t *offset, const uint8_t *bytes, size_t available)
{
    struct record record;
    for (size_t at = 0; at < available && available - at >= header_room(scan, *offset);
         at += RECORD_ALIGNMENT) {
        if (available - at < RECORD_HEADER_SIZE) return false;
        if (is_record(scan, *offset, bytes + at, available - at, &record)) return true;
        *offset += RECORD_ALIGNMENT;
    }
    return false;
}

static enum stave_status search_record(struct scan *scan, uint64_t *offset)
{
    while (*offset < scan->end && scan->end - *offset >= RECORD_HEADER_SIZE) {
        const uint8_t *bytes = NULL;
        size_t available = 0;
        const size_t size = header_room(scan, *offset);
        const enum stave_status status = fetch(scan, *offset, size, &bytes, &available, NULL);
        if (status != STAVE_OK)
            *offset = align_down(*offset, SCAN_PAGE_SIZE) + SCAN_PAGE_SIZE;
        else if (find_record(scan, offset, bytes, available))
            return STAVE_OK;
    }
    return STAVE_END;
}

enum stave_status scan_resume(struct scan *scan, uint64_t *ret_skipped)
{
    uint64_t offset = scan->next;
    forget_key(scan);
    if (offset <= scan->offset) {
        offset = scan->offset + RECORD_ALIGNMENT;
        const enum stave_status status = search_record(scan, &offset);
        if (status != STAVE_OK) return status;
        scan->next = offset;
    }
    *ret_skipped = offset - scan->offset;
    return STAVE_OK;
}

/* A MARK whose header, value and fields check out, and that says nothing of what comes after it. */
static bool is_mark(const struct scan *scan, uint64_t offset, const uint8_t *bytes, size_t available,
                    struct record_mark *ret_mark)
{
    struct record record;
    if (bytes[RECORD_KIND_AT] != RECORD_MARK) return false;
    if (!is_record(scan, offset, bytes, available, &record)) return false;

    const uint8_t *value = bytes + RECORD_HEADER_SIZE;
    struct record_mark mark;
    if (record_payload_checksum(record.key_hash, value, RECORD_MARK_SIZE) != record.payload_checksum)
        return false;
    if (record_decode_mark(value, RECORD_MARK_SIZE, &mark) != STAVE_OK) return false;
    if (mark.durable_end < SEGMENT_HEADER_SIZE || mark.durable_end > offset) return false;
    if (mark.durable_sequence > record.sequence) return false;
    *ret_mark = mark;
    return true;
}

static bool best_mark(const struct scan *scan, uint64_t *offset, const uint8_t *bytes, size_t available,
                      struct record_mark *best)
{
    bool found = false;
    for (size_t at = 0; available >= SCAN_MARK_SIZE && at <= available - SCAN_MARK_SIZE;
         at += RECORD_ALIGNMENT) {
        struct record_mark mark;
        if (is_mark(scan, *offset, bytes + at, available - at, &mark) &&
            mark.durable_end >= best->durable_end) {
            *best = mark;
            found = true;
        }
        *offset += RECORD_ALIGNMENT;
    }
    return found;
}

enum stave_status scan_search_mark(struct scan *scan, uint64_t from, struct record_mark *ret_mark,
                                   struct error *error)
{
    struct record_mark best = {0};
    bool found = false;
    uint64_t offset = align_up(from, RECORD_ALIGNMENT);

    forget_key(scan);
    while (offset < scan->end && scan->end - offset >= SCAN_MARK_SIZE) {
        const uint8_t *bytes = NULL;
        size_t available = 0;
        const enum stave_status status = fetch(scan, offset, SCAN_MARK_SIZE, &bytes, &available, error);
        if (status != STAVE_OK) return status;
        found |= best_mark(scan, &offset, bytes, available, &best);
    }
    if (!found) return STAVE_NOT_FOUND;
    *ret_mark = best;
    return STAVE_OK;
}
