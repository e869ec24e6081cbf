/* SPDX-License-Identifier: MIT */
/*
 * The segments that compaction writes: filled with pwrite, seen by nobody, then synced, sealed, listed, and
 * only then do the entries of the index move (C2, C5).
 */
#include "store/compaction.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "store/segments.h"

#define OUTPUT_BUFFER_SIZE ((size_t)1 << 20)

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

/* ------------------------------------------------------------------ records */

static enum stave_status begin_segment(struct store *store, struct output *output, uint64_t size,
                                       struct error *error)
{
    if (output->buffer == NULL) output->buffer = memory_alloc(OUTPUT_BUFFER_SIZE);
    if (output->buffer == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to compact");
    mutex_lock(&store->write_lock);
    uint64_t capacity = store->options.segment_size;
    mutex_unlock(&store->write_lock);
    if (capacity > SEGMENT_HEADER_SIZE + output->expected) capacity = SEGMENT_HEADER_SIZE + output->expected;
    if (capacity < SEGMENT_HEADER_SIZE + size) capacity = SEGMENT_HEADER_SIZE + size;
    const enum stave_status status = segment_create(store, SEGMENT_OUTPUT, capacity, capacity,
                                                    output->horizon, true, &output->segment, error);
    if (status != STAVE_OK) return status;
    output->end = SEGMENT_HEADER_SIZE;
    output->buffered = 0;
    output->move_count = 0;
    return STAVE_OK;
}

static enum stave_status reserve_move(struct output *output, struct error *error)
{
    if (output->move_count < output->move_capacity) return STAVE_OK;
    const size_t capacity = output->move_capacity == 0 ? 1024 : output->move_capacity * 2;
    struct move *larger = memory_realloc(output->moves, capacity * sizeof(struct move));
    if (larger == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to compact");
    output->moves = larger;
    output->move_capacity = capacity;
    return STAVE_OK;
}

enum stave_status output_reserve(struct store *store, struct output *output, uint64_t size,
                                 struct error *error)
{
    enum stave_status status = STAVE_OK;
    if (output->segment != NULL &&
        (size > output->segment->capacity - output->end || output->move_count == COMPACTION_MOVE_MAX))
        status = output_publish(store, output, error);
    if (status == STAVE_OK && output->segment == NULL) status = begin_segment(store, output, size, error);
    return status == STAVE_OK ? reserve_move(output, error) : status;
}

enum stave_status output_begin_record(struct output *output, const struct record *record, uint64_t from,
                                      struct error *error)
{
    struct segment *segment = output->segment;
    const uint64_t offset = output->end;
    assert(record_size(record) <= segment->capacity - offset);
    uint8_t header[RECORD_HEADER_SIZE_MAX];
    record_encode_header(record, segment->identity, offset, header);
    if (record->kind == RECORD_PUT)
        output->moves[output->move_count++] =
            (struct move){record->key_hash, from, location_in(segment, offset), record_size(record)};
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
    mutex_unlock(&store->write_lock);
    return status == STAVE_OK ? status
                              : error_set(error, status, 0, "%s: no memory for a segment", store->dir.path);
}

/* An entry that points elsewhere by now has a newer record, or none: the copy is dead from birth. */
static void move_entries(struct store *store, const struct move *moves, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t slice = count - done < COMPACTION_SLICE ? count - done : COMPACTION_SLICE;
        mutex_lock(&store->write_lock);
        for (; slice > 0; slice--, done++) {
            const struct move *move = &moves[done];
            if (!keydir_replace(&store->keydir, move->hash, move->from, move->to)) continue;
            account_dead(store, move->from, move->hash, move->size);
            account_live(store, move->to, move->hash, move->size);
        }
        mutex_unlock(&store->write_lock);
    }
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
    if (status == STAVE_OK) {
        atomic_store(&segment->end, output->end);
        status = file_sync(&segment->file, error);
    }
    if (status == STAVE_OK) status = segment_seal(store, segment, error);
    if (status == STAVE_OK) status = list_segment(store, segment, error);
    if (status != STAVE_OK) return status;

    output->segment = NULL;
    status = manifest_install(store, error);
    if (status == STAVE_OK) move_entries(store, output->moves, output->move_count);
    return status;
}

void output_free(struct store *store, struct output *output)
{
    segment_discard(store, output->segment);
    memory_free(output->buffer);
    memory_free(output->moves);
    *output = OUTPUT_NONE;
}
