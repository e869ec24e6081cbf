/* SPDX-License-Identifier: MIT */
/* Segments of one record: written, synced, published. */
#include "store/large.h"

#include "base/memory.h"
#include "store/account.h"
#include "store/failure.h"
#include "store/pressure.h"
#include "store/segments.h"
#include "store/sync.h"
#include "store/writer.h"

#define WRITE_SIZE_MAX ((size_t)16 << 20)
#define LARGE_UNSYNCED_MAX ((size_t)128)
#define LARGE_UNSYNCED_ASK (LARGE_UNSYNCED_MAX / 4)  /* from here on a sync is asked for */
#define LARGE_UNSYNCED_WAIT (LARGE_UNSYNCED_MAX / 2) /* and waited for: as many may be in the one under way */

bool large_is_due(const struct store *store, const struct change *change)
{
    return change->kind == RECORD_PUT && change->value.size > atomic_load(&store->large_size);
}

static size_t large_header_size(const struct change *change)
{
    return record_header_size(change->write.expires_at_ms != 0 ? RECORD_HAS_EXPIRY : 0);
}

static enum stave_status write_all(const struct file *file, struct stave_bytes bytes, uint64_t offset,
                                   struct error *error)
{
    enum stave_status status = STAVE_OK;
    for (size_t at = 0; at < bytes.size && status == STAVE_OK;) {
        const size_t size = bytes.size - at < WRITE_SIZE_MAX ? bytes.size - at : WRITE_SIZE_MAX;
        status = file_write_at(file, (const uint8_t *)bytes.data + at, size, offset + at, error);
        at += size;
    }
    return status;
}

static enum stave_status write_value(struct store *store, const struct change *change,
                                     const struct file *file, struct error *error)
{
    const uint64_t offset = SEGMENT_HEADER_SIZE + large_header_size(change);
    enum stave_status status = write_all(file, change->key, offset, error);
    if (status == STAVE_OK) status = write_all(file, change->value, offset + change->key.size, error);
    if (status == STAVE_OK && sync_is_awaited(store, change->write.flags))
        status = file_sync(file, error); /* L2 */
    return status;
}

/* Room for a segment, as far as waiting can make it, and for one more that is not synced (L3). */
static enum stave_status wait_for_room(struct store *store, uint64_t capacity)
{
    mutex_lock(&store->write_lock);
    (void)pressure_wait(store, capacity);
    const size_t unsynced_count = store->unsynced_large_count;
    mutex_unlock(&store->write_lock);
    const uint64_t newest = store_newest(store);
    if (unsynced_count >= LARGE_UNSYNCED_WAIT) return sync_to(store, newest);
    if (unsynced_count >= LARGE_UNSYNCED_ASK) sync_ask(store, newest);
    return STAVE_OK;
}

enum stave_status large_prepare(struct store *store, struct change *change)
{
    struct error error = {.status = STAVE_OK};
    const struct record record = {
        .flags = change->write.expires_at_ms != 0 ? RECORD_HAS_EXPIRY : 0,
        .key_size = (uint32_t)change->key.size,
        .value_size = (uint32_t)change->value.size,
    };
    const uint64_t capacity = SEGMENT_HEADER_SIZE + record_size(&record);
    enum stave_status status = wait_for_room(store, capacity);
    if (status != STAVE_OK) return status;
    status = segment_create(store, SEGMENT_LARGE, capacity, capacity, 0, RESERVE_FOR_NOTHING, &change->large,
                            &error);
    if (status != STAVE_OK) return store_note_error(store, &error);
    change->large_expires = change->write.expires_at_ms != 0;
    status = write_value(store, change, &change->large->file, &error);
    if (status == STAVE_OK) return STAVE_OK;
    segment_discard(store, change->large);
    change->large = NULL;
    return store_note_error(store, &error);
}

/* write_lock: room for one more in the list of what the next sync has to sync first. */
static enum stave_status list_unsynced(struct store *store)
{
    if (store->unsynced_large_count < store->unsynced_large_capacity) return STAVE_OK;
    const size_t capacity = store->unsynced_large_capacity == 0 ? 16 : store->unsynced_large_capacity * 2;
    struct segment **larger = memory_realloc(store->unsynced_large, capacity * sizeof(struct segment *));
    if (larger == NULL) return STAVE_NO_MEMORY;
    store->unsynced_large = larger;
    store->unsynced_large_capacity = capacity;
    return STAVE_OK;
}

static struct record link_of(const struct change *change, const struct record *record, uint8_t *value)
{
    const struct record_link link = {
        .segment_id = change->large->id,
        .value_size = record->value_size,
        .identity = change->large->identity,
        .payload_checksum = record->payload_checksum,
    };
    record_encode_link(&link, value);
    struct record result = *record;
    result.kind = RECORD_LINK;
    result.value_size = RECORD_LINK_SIZE;
    result.payload_checksum = record_payload_checksum(record->key_hash, value, RECORD_LINK_SIZE);
    return result;
}

enum stave_status large_publish(struct store *store, struct change *change, struct record *record,
                                uint64_t *ret_location)
{
    struct segment *large = change->large;
    struct error error = {.status = STAVE_OK};
    uint8_t header[RECORD_HEADER_SIZE_MAX];
    uint8_t value[RECORD_LINK_SIZE];
    uint64_t unused;
    struct record link = link_of(change, record, value);
    struct record put = *record;
    put.flags = record->flags & RECORD_HAS_EXPIRY;
    put.sequence = (uint64_t)store->tail->incarnation << SEQUENCE_BITS | store->counter;
    record_encode_header(&put, large->identity, SEGMENT_HEADER_SIZE, header);

    enum stave_status status = list_unsynced(store);
    if (status == STAVE_OK)
        status =
            file_write_at(&large->file, header, record_header_size(put.flags), SEGMENT_HEADER_SIZE, &error);
    if (status == STAVE_OK) status = segment_publish(store, large);
    if (status != STAVE_OK)
        return error.status != STAVE_OK ? store_note_error(store, &error)
                                        : store_error(store, status, "no memory to publish a large value");
    atomic_store_explicit(&large->end, SEGMENT_HEADER_SIZE + record_size(&put), memory_order_release);
    status = writer_append(store, &link, change->key.data, value, &unused);
    if (status != STAVE_OK) {
        segment_withdraw(store, large);
        return status;
    }
    account_record(large, &put);
    large->horizon = put.sequence;
    large->sealed = true;
    large->listed = true;
    atomic_fetch_add(&large->references, 1); /* until it is synced */
    store->unsynced_large[store->unsynced_large_count++] = large;
    change->large = NULL;
    record->sequence = put.sequence;
    *ret_location = location_in(large, SEGMENT_HEADER_SIZE);
    return STAVE_OK;
}
