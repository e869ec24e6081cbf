/* SPDX-License-Identifier: MIT */
/*
 * The segments that compaction writes: filled with pwrite, seen by nobody, then synced, sealed, listed, and
 * only then do the entries of the index move (C2, C5).
 */
#include "store/account.h"
#include "store/compaction.h"

#include <assert.h>
#include <string.h>

#include "log/scan.h"
#include "os/map.h"
#include "store/segments.h"

#define OUTPUT_BUFFER_SIZE ((size_t)64 << 10)
#define MOVE_SIZE_MAX ((size_t)6) /* 7 bits a byte of a difference of two locations, and its sign */
#define MOVES_SIZE (COMPACTION_MOVE_MAX * MOVE_SIZE_MAX)

/* ------------------------------------------------------------------ bytes */

static enum stave_status flush(struct output *output, struct error *error)
{
    if (output->buffered == 0) return STAVE_OK;
    const uint64_t offset = output->end - output->buffered;
    const enum stave_status status =
        file_write_at(&output->segment->file, output->buffer, output->buffered, offset, error);
    if (status == STAVE_OK) output->buffered = 0;
    return status;
}

enum stave_status output_bytes(struct output *output, const uint8_t *bytes, size_t size, struct error *error)
{
    while (size > 0) {
        if (output->buffered == OUTPUT_BUFFER_SIZE) {
            const enum stave_status status = flush(output, error);
            if (status != STAVE_OK) return status;
        }
        const size_t room = OUTPUT_BUFFER_SIZE - output->buffered;
        const size_t part = size < room ? size : room;
        memcpy(output->buffer + output->buffered, bytes, part);
        output->buffered += part;
        output->end += part;
        bytes += part;
        size -= part;
    }
    return STAVE_OK;
}

/* ------------------------------------------------------------------ where copies come from */

/*
 * Victims are read from front to back, so that most differences take one byte. A difference has its sign in
 * its lowest bit.
 */
static void remember_move(struct output *output, uint64_t from)
{
    assert(output->move_count < output->move_max && output->move_max <= COMPACTION_MOVE_MAX);
    const bool is_back = from < output->moved_from;
    uint64_t left = is_back ? (output->moved_from - from) << 1 | 1 : (from - output->moved_from) << 1;
    while (left >= 0x80) {
        output->moves[output->moves_size++] = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    output->moves[output->moves_size++] = (uint8_t)left;
    output->moved_from = from;
    output->move_count++;
}

static uint64_t next_move(struct output *output)
{
    assert(output->moves_size < MOVES_SIZE);
    uint64_t difference = 0;
    for (unsigned shift = 0;; shift += 7) {
        const uint8_t byte = output->moves[output->moves_size++];
        difference |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) break;
    }
    output->moved_from += difference & 1 ? 0 - (difference >> 1) : difference >> 1;
    return output->moved_from;
}

/* ------------------------------------------------------------------ records */

static void set_output_size(struct store *store, uint64_t size)
{
    mutex_lock(&store->write_lock);
    store->output_size = size;
    mutex_unlock(&store->write_lock);
}

static enum stave_status begin_segment(struct store *store, struct output *output, uint64_t size,
                                       struct error *error)
{
    if (output->buffer == NULL) output->buffer = pages_alloc_small(OUTPUT_BUFFER_SIZE);
    if (output->moves == NULL) output->moves = pages_alloc_small(MOVES_SIZE);
    if (output->buffer == NULL || output->moves == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory to compact");
    mutex_lock(&store->write_lock);
    uint64_t capacity = store->options.segment_size;
    mutex_unlock(&store->write_lock);
    if (capacity > SEGMENT_HEADER_SIZE + output->expected) capacity = SEGMENT_HEADER_SIZE + output->expected;
    if (capacity < SEGMENT_HEADER_SIZE + size) capacity = SEGMENT_HEADER_SIZE + size;
    const enum stave_status status = segment_create(
        store, SEGMENT_OUTPUT, capacity, capacity, output->horizon, output->reserve, &output->segment, error);
    if (status != STAVE_OK) return status;
    set_output_size(store, capacity);
    output->end = SEGMENT_HEADER_SIZE;
    output->buffered = 0;
    output->move_count = 0;
    output->move_max = compaction_move_max(store);
    output->moves_size = 0;
    output->moved_from = 0;
    return STAVE_OK;
}

enum stave_status output_reserve(struct store *store, struct output *output, uint64_t size,
                                 struct error *error)
{
    enum stave_status status = STAVE_OK;
    if (output->segment != NULL &&
        (size > output->segment->capacity - output->end || output->move_count == output->move_max))
        status = output_publish(store, output, error);
    if (status == STAVE_OK && output->segment == NULL) status = begin_segment(store, output, size, error);
    return status;
}

enum stave_status output_begin_record(struct output *output, const struct record *record, uint64_t from,
                                      struct error *error)
{
    struct segment *segment = output->segment;
    const uint64_t offset = output->end;
    assert(record_size(record) <= segment->capacity - offset);
    uint8_t header[RECORD_HEADER_SIZE_MAX];
    record_encode_header(record, segment->identity, offset, header);
    if (record->kind == RECORD_PUT) remember_move(output, from);
    return output_bytes(output, header, record_header_size(record->flags), error);
}

enum stave_status output_end_record(struct output *output, const struct record *record, struct error *error)
{
    static const uint8_t zeroes[RECORD_ALIGNMENT] = {0};
    const enum stave_status status = output_bytes(output, zeroes, record_padding(record), error);
    if (status != STAVE_OK) return status;
    account_record(output->segment, record);
    const uint64_t size = record_size(record);
    output->written += size;
    output->expected = size < output->expected ? output->expected - size : 0;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ publication */

static enum stave_status list_segment(struct store *store, struct segment *segment, struct error *error)
{
    mutex_lock(&store->write_lock);
    const enum stave_status status = segment_publish(store, segment);
    segment->listed = status == STAVE_OK;
    if (status == STAVE_OK) store->output_size = 0;            /* counted with the others from here on */
    store->log_since_checkpoint += atomic_load(&segment->end); /* an open replays it too (P10) */
    mutex_unlock(&store->write_lock);
    return status == STAVE_OK ? status
                              : error_set(error, status, 0, "%s: no memory for a segment", store->dir.path);
}

/* A copy, and what it was copied from. */
struct move {
    uint64_t hash;
    uint64_t from;
    uint64_t to;
    uint64_t size;
};

/* An entry that points elsewhere by now has a newer record, or none: the copy is dead from birth. */
static void move_entries(struct store *store, const struct move *moves, size_t count)
{
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < count; i++) {
        const struct move *move = &moves[i];
        if (!keydir_replace(&store->keydir, move->hash, move->from, move->to)) continue;
        account_dead(store, move->from, move->hash, move->size);
        account_live(store, move->to, move->hash, move->size);
    }
    mutex_unlock(&store->write_lock);
}

/* Reads the output once more, beside the list of where its records came from. */
static enum stave_status move_records(struct store *store, struct output *output,
                                      const struct segment *segment, struct scan *scan, struct error *error)
{
    struct move moves[COMPACTION_SLICE];
    size_t count = 0;
    enum stave_status status;
    struct scan_record found;
    output->moves_size = 0;
    output->moved_from = 0;
    while ((status = scan_next(scan, &found, error)) == STAVE_OK) {
        if (found.record.kind != RECORD_PUT) continue;
        if (count == COMPACTION_SLICE) {
            move_entries(store, moves, count);
            count = 0;
        }
        const uint64_t to = location_in(segment, found.offset);
        moves[count++] =
            (struct move){found.record.key_hash, next_move(output), to, record_size(&found.record)};
        keydir_prefetch(&store->keydir, found.record.key_hash);
    }
    move_entries(store, moves, count);
    return status == STAVE_END ? STAVE_OK : status;
}

/* What cannot be read back stays where it was: entries not moved point to the victims, which are kept. */
static enum stave_status move_output(struct store *store, struct output *output,
                                     const struct segment *segment, struct error *error)
{
    struct scan scan = SCAN_NONE;
    const struct scan_expect expect = {
        .identity = segment->identity,
        .end = atomic_load(&segment->end),
        .id = segment->id,
    };
    enum stave_status status = scan_open(&store->dir, &expect, &scan, error);
    if (status == STAVE_OK) status = move_records(store, output, segment, &scan, error);
    scan_close(&scan);
    return status == STAVE_OK || status == STAVE_NO_MEMORY ? status : STAVE_IO;
}

/*
 * When the manifest cannot be replaced the segment stays, listed in memory and without an entry: another
 * replacement may have listed it, so its file may not go. It counts as wholly dead, and is removed as such
 * later.
 */
enum stave_status output_publish(struct store *store, struct output *output, struct error *error)
{
    struct segment *segment = output->segment;
    if (segment == NULL) return STAVE_OK;
    enum stave_status status = flush(output, error);
    if (status == STAVE_OK) atomic_store(&segment->end, output->end);
    if (status == STAVE_OK) status = segment_seal(store, segment, error); /* C2: which syncs it */
    if (status == STAVE_OK) status = list_segment(store, segment, error);
    if (status != STAVE_OK) return status;

    output->segment = NULL;
    pages_discard(output->buffer, OUTPUT_BUFFER_SIZE); /* the scan below has a buffer of its own (P8) */
    status = manifest_install(store, error);
    return status == STAVE_OK ? move_output(store, output, segment, error) : status;
}

void output_free(struct store *store, struct output *output)
{
    if (output->segment != NULL) set_output_size(store, 0);
    segment_discard(store, output->segment);
    pages_free(output->buffer, OUTPUT_BUFFER_SIZE);
    pages_free(output->moves, MOVES_SIZE);
    *output = OUTPUT_NONE;
}
