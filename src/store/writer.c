/* SPDX-License-Identifier: MIT */
/*
 * The end of the log.
 *
 *   W1  Bytes at and beyond `end` of the tail are not records yet; readers stop before them.
 *   W2  Nothing is stored to through the map above `granted` (no SIGBUS).
 *   W3  The last DELETE_RESERVE allocated bytes of a tail are for deletes, so that a full disk can be deleted
 *       out of, and so are those of its capacity while there is no spare; when they are used up, deletes go
 *       on in the spare. The last MARK_ROOM bytes of a segment are for a MARK. (P9)
 *   W4  The counter goes on from one tail to the next, and no tail is left without a record, so that recovery
 *       can tell whether the end of a tail is missing before it takes what follows. (P3)
 */
#include "store/writer.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "os/clock.h"
#include "store/account.h"
#include "store/failure.h"
#include "store/pressure.h"
#include "store/reading.h"
#include "store/reserve.h"
#include "store/wake.h"

#define ALLOCATE_STEP_MIN (UINT64_C(1) << 20)
#define ALLOCATE_STEP_MAX (UINT64_C(16) << 20)
#define GRANT_STEP (UINT64_C(256) << 10)
#define ASSEMBLE_SIZE_MAX 4096

/* ------------------------------------------------------------------ space in the file */

/* D1, D3 */
static enum stave_status allocate(struct store *store, struct segment *segment, uint64_t from, uint64_t to,
                                  bool is_delete, struct error *error)
{
    const bool is_allowed = is_delete ? reserve_lets_delete(store) : reserve_cover(store, to) == STAVE_OK;
    if (!is_allowed) return error_set(error, STAVE_FULL, 0, "%s: the disk is full", store->dir.path);
    const enum stave_status status = file_allocate(&segment->file, from, to - from, error);
    if (status == STAVE_FULL || !is_delete) atomic_store(&store->disk_is_full, status == STAVE_FULL);
    return status;
}

/* Any thread; steps grow with the file, so that a small store stays small. */
static enum stave_status allocate_to(struct store *store, struct segment *segment, uint64_t size,
                                     bool is_delete, struct error *error)
{
    const uint64_t allocated = atomic_load(&segment->allocated);
    if (size <= allocated) return STAVE_OK;
    uint64_t step = allocated;
    if (step < ALLOCATE_STEP_MIN) step = ALLOCATE_STEP_MIN;
    if (step > ALLOCATE_STEP_MAX) step = ALLOCATE_STEP_MAX;
    uint64_t wanted = align_up(size > allocated + step ? size : allocated + step, MAP_PAGE_SIZE);
    const uint64_t most = align_up(segment->capacity, MAP_PAGE_SIZE);
    if (wanted > most) wanted = most;
    enum stave_status status = allocate(store, segment, allocated, wanted, false, error);
    if (status == STAVE_FULL) { /* what is needed may still fit where a step does not */
        wanted = align_up(size, MAP_PAGE_SIZE) < wanted ? align_up(size, MAP_PAGE_SIZE) : wanted;
        status = allocate(store, segment, allocated, wanted, is_delete, error);
    }
    if (status != STAVE_OK) return status;
    uint64_t seen = allocated;
    while (seen < wanted && !atomic_compare_exchange_weak(&segment->allocated, &seen, wanted)) {
    }
    return STAVE_OK;
}

enum stave_status writer_grant(struct store *store, struct segment *segment, uint64_t size,
                               struct error *error)
{
    const uint64_t most = align_up(segment->capacity, MAP_PAGE_SIZE);
    if (size > most) size = most;
    enum stave_status status = allocate_to(store, segment, size, false, error);
    if (status != STAVE_OK || segment->written) return status;
    const uint64_t granted = atomic_load(&segment->granted);
    if (size <= granted) return STAVE_OK;
    const uint64_t wanted = align_up(size, MAP_PAGE_SIZE);
    status = map_populate_write(&segment->map, granted, (size_t)(wanted - granted), error);
    if (status != STAVE_OK) return status;
    uint64_t seen = granted;
    while (seen < wanted && !atomic_compare_exchange_weak(&segment->granted, &seen, wanted)) {
    }
    return STAVE_OK;
}

/* Where pages come in large steps, all of a step, as far as it has blocks; else a page or two. */
static uint64_t granted_end(const struct store *store, const struct segment *tail, uint64_t room_end)
{
    if (atomic_load(&store->sync_mode) == STAVE_SYNC_ALWAYS) return room_end;
    const uint64_t step_end = align_up(room_end, GRANT_STEP);
    const uint64_t allocated = align_down(atomic_load(&tail->allocated), MAP_PAGE_SIZE);
    if (step_end <= allocated) return step_end;
    return room_end > allocated ? room_end : allocated;
}

/* write_lock. The preparer is usually ahead and nothing is to be done here. */
static enum stave_status grant_now(struct store *store, struct segment *tail, uint64_t size, bool is_delete)
{
    const uint64_t end = atomic_load_explicit(&tail->end, memory_order_relaxed);
    const uint64_t room_end = end + size + MARK_ROOM;
    uint64_t reserve_end = room_end + (is_delete ? 0 : DELETE_RESERVE);
    const uint64_t most = align_up(tail->capacity, MAP_PAGE_SIZE);
    if (reserve_end > most) reserve_end = most;
    struct error error = {.status = STAVE_OK};
    enum stave_status status = allocate_to(store, tail, reserve_end, is_delete, &error);
    if (status == STAVE_OK && !tail->written && room_end > atomic_load(&tail->granted))
        status = writer_grant(store, tail, granted_end(store, tail, room_end), &error);
    if (status == STAVE_INVALID) { /* a kernel that cannot populate */
        tail->written = true;
        return STAVE_OK;
    }
    if (status != STAVE_OK) return store_note_error(store, &error);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ roll */

static bool fits(const struct segment *segment, uint64_t size)
{
    const uint64_t end = atomic_load_explicit(&segment->end, memory_order_relaxed);
    return size + MARK_ROOM <= segment->capacity - end;
}

void writer_begin_roll(struct store *store)
{
    struct segment *next = store->spare;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        next->start_spaces[i] =
            (struct manifest_space){i, atomic_load(&store->generation_of[i]), store->count_of[i]};
    next->created_ms = clock_wall_ms();
    store->sealing = store->tail;
    store->tail = next;
    store->spare = NULL;
    const uint32_t durable_rolls = atomic_load_explicit(&store->durable_rolls, memory_order_relaxed);
    if (durable_rolls > 0) atomic_store(&store->durable_rolls, durable_rolls - 1);
    if (store->counter > RECORD_COUNTER_ROUND)
        store->counter -= RECORD_COUNTER_ROUND; /* W4: room for all that fits in a segment */
    wake_syncer(store);
    wake_preparer(store);
}

/*
 * W4. A MARK for a tail that no record fitted in. What it vouches for is true: all segments before the tail
 * are sealed when it is left.
 */
static enum stave_status mark_empty(struct store *store)
{
    struct segment *tail = store->tail;
    const struct record_mark mark = {SEGMENT_HEADER_SIZE, atomic_load(&store->durable_sequence)};
    if (atomic_load(&tail->end) != SEGMENT_HEADER_SIZE) return STAVE_OK;
    const enum stave_status status = grant_now(store, tail, MARK_ROOM, true);
    return status == STAVE_OK ? writer_append_mark(store, &mark) : status;
}

/* D3 */
static bool may_be_appended_to(struct store *store, const struct segment *tail, bool is_delete)
{
    if (!tail->for_deletes) return true;
    if (!is_delete) return reserve_cover(store, 0) == STAVE_OK;
    return !tail->for_opening || tail->last_sequence != 0 ||
           reserve_has_tail(store); /* a MARK alone is not in the way */
}

static enum stave_status writable_status(const struct store *store)
{
    if (store->tail == NULL) return STAVE_READ_ONLY;
    return atomic_load(&store->failed) != STAVE_OK ? STAVE_FAILED : STAVE_OK;
}

static bool can_roll(const struct store *store, uint64_t size)
{
    return store->sealing == NULL && store->spare != NULL && fits(store->spare, size);
}

/*
 * write_lock. Rolls, or waits for what a roll needs, and says why a spare cannot be made: a turn of the
 * syncer that was under way may have looked too early.
 */
static enum stave_status roll_or_wait(struct store *store, uint64_t size)
{
    if (can_roll(store, size)) {
        const enum stave_status status = mark_empty(store);
        if (status == STAVE_OK) writer_begin_roll(store);
        return status;
    }
    const struct segment *tail = store->tail;
    const uint64_t first = store->turns_begun + 1;
    while (store->turns_ended < first) {
        if (size > store->room_wanted) store->room_wanted = size; /* a turn that made a spare forgets it */
        wake_syncer(store);
        condition_wait(&store->roll_done, &store->write_lock);
        if (can_roll(store, size) || store->tail != tail || writable_status(store) != STAVE_OK)
            return STAVE_OK;
    }
    return store->spare_status;
}

enum stave_status writer_make_room(struct store *store, uint64_t size, bool is_delete, bool *ret_waited)
{
    bool has_waited = false;
    if (ret_waited != NULL) *ret_waited = false;
    for (;;) {
        enum stave_status status = writable_status(store);
        if (status != STAVE_OK) return status;
        struct segment *tail = store->tail;
        if (!may_be_appended_to(store, tail, is_delete))
            return store_error(store, STAVE_FULL, "%s: the disk is full", store->dir.path);
        if (fits(tail, is_delete || store->spare != NULL ? size : size + DELETE_RESERVE)) { /* W3 */
            const uint64_t end = atomic_load_explicit(&tail->end, memory_order_relaxed);
            const uint64_t needed = end + size + MARK_ROOM + DELETE_RESERVE;
            if (needed <= (tail->written ? atomic_load(&tail->allocated) : atomic_load(&tail->granted)))
                return STAVE_OK;
            status = grant_now(store, tail, size, is_delete);
            if (status != STAVE_FULL || !is_delete || end == SEGMENT_HEADER_SIZE) return status;
            status = roll_or_wait(store, size); /* W3 */
        } else if (!is_delete && !has_waited && pressure_wait(store, 0)) {
            has_waited = true;
        } else {
            status = roll_or_wait(store, size);
        }
        if (ret_waited != NULL) *ret_waited = true;
        if (status != STAVE_OK) return status;
    }
}

enum stave_status writer_roll(struct store *store)
{
    enum stave_status status = writable_status(store);
    const struct segment *tail = store->tail;
    while (status == STAVE_OK && store->tail == tail && atomic_load(&tail->end) > SEGMENT_HEADER_SIZE) {
        status = roll_or_wait(store, 0);
        if (status == STAVE_OK) status = writable_status(store);
    }
    const uint64_t first = store->turns_begun + 1;
    while (status == STAVE_OK && store->sealing != NULL) {
        wake_syncer(store);
        condition_wait(&store->roll_done, &store->write_lock);
        status = writable_status(store);
        if (status == STAVE_OK && store->sealing != NULL && store->turns_ended >= first)
            status = store->spare_status;
    }
    return status;
}

/* ------------------------------------------------------------------ append */

/* Small records go in one write. Of others the header comes last: what a failure leaves is no record. (P4) */
static enum stave_status append_written(struct segment *tail, const struct record *record, uint64_t offset,
                                        const void *key, const void *value, struct error *error)
{
    static const uint8_t zeroes[RECORD_ALIGNMENT] = {0};
    const uint64_t size = record_size(record);
    const size_t header_size = record_header_size(record->flags);
    uint8_t bytes[ASSEMBLE_SIZE_MAX];
    record_encode_header(record, tail->identity, offset, bytes);
    if (size <= sizeof(bytes)) {
        if (record->key_size > 0) memcpy(bytes + header_size, key, record->key_size);
        if (record->value_size > 0) memcpy(bytes + header_size + record->key_size, value, record->value_size);
        memset(bytes + size - record_padding(record), 0, record_padding(record));
        return file_write_at(&tail->file, bytes, (size_t)size, offset, error);
    }
    const uint64_t key_at = offset + header_size;
    const uint64_t value_at = key_at + record->key_size;
    enum stave_status status = file_write_at(&tail->file, key, record->key_size, key_at, error);
    if (status == STAVE_OK) status = file_write_at(&tail->file, value, record->value_size, value_at, error);
    if (status == STAVE_OK)
        status =
            file_write_at(&tail->file, zeroes, record_padding(record), value_at + record->value_size, error);
    if (status == STAVE_OK) status = file_write_at(&tail->file, bytes, header_size, offset, error);
    return status;
}

static void append_mapped(struct segment *tail, const struct record *record, uint64_t offset, const void *key,
                          const void *value)
{
    const size_t header_size = record_header_size(record->flags);
    uint8_t *at = tail->map.data + offset;
    if (record->key_size > 0) memcpy(at + header_size, key, record->key_size);
    if (record->value_size > 0) memcpy(at + header_size + record->key_size, value, record->value_size);
    memset(at + header_size + record->key_size + record->value_size, 0, record_padding(record));
    record_encode_header(record, tail->identity, offset, at);
}

enum stave_status writer_append(struct store *store, struct record *record, const void *key,
                                const void *value, uint64_t *ret_location)
{
    struct segment *tail = store->tail;
    const uint64_t offset = atomic_load_explicit(&tail->end, memory_order_relaxed);
    const uint64_t size = record_size(record);
    assert(size <= tail->capacity - offset);
    record->sequence = (uint64_t)tail->incarnation << SEQUENCE_BITS | store->counter;
    if (tail->written) {
        struct error error = {.status = STAVE_OK};
        const enum stave_status status = append_written(tail, record, offset, key, value, &error);
        if (status != STAVE_OK) return store_note_error(store, &error);
    } else {
        assert(offset + size <= atomic_load_explicit(&tail->granted, memory_order_relaxed)); /* W2 */
        append_mapped(tail, record, offset, key, value);
    }
    store->counter++;
    account_record(tail, record);
    store->log_since_checkpoint += size;
    atomic_store_explicit(&tail->end, offset + size, memory_order_release);
    if (record->kind != RECORD_MARK)
        atomic_store_explicit(&store->sequence, record->sequence, memory_order_release);
    *ret_location = location_in(tail, offset);

    const uint64_t granted = atomic_load_explicit(&tail->granted, memory_order_relaxed);
    if (!tail->written && granted < tail->capacity &&
        granted - offset < atomic_load_explicit(&store->prepare_low, memory_order_relaxed))
        wake_preparer(store);
    return STAVE_OK;
}

enum stave_status writer_append_mark(struct store *store, const struct record_mark *mark)
{
    uint8_t value[RECORD_MARK_SIZE];
    uint64_t unused;
    record_encode_mark(mark, value);
    struct record record = {
        .kind = RECORD_MARK,
        .value_size = sizeof(value),
        .payload_checksum = record_payload_checksum(0, value, sizeof(value)),
    };
    assert(record_size(&record) == MARK_ROOM);
    return writer_append(store, &record, NULL, value, &unused);
}

/* ------------------------------------------------------------------ expiry */

/* An expired record as it was found, and the tombstone for its key. */
struct expiring {
    struct record tombstone;
    uint64_t size; /* of the record */
    uint64_t expires_at_ms;
    uint64_t identity; /* of the segment it lies in */
    uint8_t *key;
};

/* Inside an epoch, with no lock: the reading may take a while. */
static enum stave_status read_expiring(struct store *store, uint64_t hash, uint64_t location,
                                       struct expiring *ret_expiring)
{
    struct reading reading = READING_NONE;
    enum stave_status status = reading_begin(store, location, 0, &reading);
    if (status != STAVE_OK) return status;
    const struct record *record = &reading.record;
    if (record->key_hash != hash || !record_is_expired(record, clock_wall_ms())) {
        reading_end(&reading);
        return STAVE_NOT_FOUND;
    }
    uint8_t *key = memory_copy(reading.key, record->key_size);
    if (key == NULL) {
        reading_end(&reading);
        return store_error(store, STAVE_NO_MEMORY, "no memory for a key");
    }
    *ret_expiring = (struct expiring){
        .tombstone = {.kind = RECORD_TOMBSTONE,
                      .key_hash = hash,
                      .key_size = record->key_size,
                      .generation = record->generation,
                      .payload_checksum = record_payload_checksum(hash, NULL, 0)},
        .size = record_size(record),
        .expires_at_ms = record->expires_at_ms,
        .identity = reading.segment->identity,
        .key = key,
    };
    reading_end(&reading);
    return STAVE_OK;
}

/* write_lock. Somebody reads as of a moment at which it had not expired. */
static bool is_held(const struct store *store, const struct expiring *expiring)
{
    return store->expiry_held_ms != 0 && expiring->expires_at_ms > store->expiry_held_ms;
}

/* write_lock. The entry leads to this record, and to none in its place. */
static bool is_still_there(const struct store *store, const struct expiring *expiring, uint64_t location)
{
    const struct segment *segment = segment_at(store, location);
    return segment != NULL && segment->identity == expiring->identity &&
           keydir_has(&store->keydir, expiring->tombstone.key_hash, location);
}

enum stave_status writer_expire(struct store *store, uint64_t hash, uint64_t location)
{
    struct expiring expiring = {.key = NULL};
    const uint32_t token = epoch_enter(&store->epoch);
    enum stave_status status = read_expiring(store, hash, location, &expiring);
    epoch_leave(&store->epoch, token);
    if (status != STAVE_OK) return status;

    mutex_lock(&store->write_lock);
    status = writer_make_room(store, record_size(&expiring.tombstone), true, NULL);
    if (status == STAVE_OK && is_held(store, &expiring)) status = STAVE_NOT_FOUND;
    if (status == STAVE_OK && !is_still_there(store, &expiring, location)) status = STAVE_NOT_FOUND;
    uint64_t unused;
    if (status == STAVE_OK) status = writer_append(store, &expiring.tombstone, expiring.key, NULL, &unused);
    if (status == STAVE_OK) {
        (void)keydir_remove(&store->keydir, hash, location);
        account_dead(store, location, hash, expiring.size);
        for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
            if (atomic_load(&store->generation_of[i]) == expiring.tombstone.generation) store->count_of[i]--;
        atomic_fetch_add(&store->counters.expired, 1);
    }
    mutex_unlock(&store->write_lock);
    memory_free(expiring.key);
    return status;
}
