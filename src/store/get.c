/* SPDX-License-Identifier: MIT */
/* Reads: each inside one epoch, without a lock (P7). */
#include "base/memory.h"
#include "store/failure.h"
#include "store/operation.h"

#define MULTI_GET_TRIES 8 /* against batches, before the write lock is taken */

void stave_free(void *data)
{
    memory_free(data);
}

static uint64_t hash_of(const struct stave *handle, struct stave_bytes key, uint32_t *ret_generation)
{
    *ret_generation = generation_of(handle->store, handle->number);
    return record_key_hash(handle->store->hash_seed, *ret_generation, key.data, key.size);
}

/* Inside an epoch: the newest record that has not expired. */
static enum stave_status find_live(struct stave *handle, struct stave_bytes key,
                                   const struct stave_read *read, struct found *ret_found)
{
    struct store *store = handle->store;
    uint32_t generation;
    const uint64_t hash = hash_of(handle, key, &generation);
    const uint32_t flags = read == NULL ? 0 : read->flags;
    const enum stave_status status = find_key(store, hash, generation, key, flags, ret_found);
    if (status != STAVE_OK) return status;
    const struct record *record = &ret_found->reading.record;
    if (record->expires_at_ms == 0) return STAVE_OK;
    if (!record_is_expired(record, moment_of(read == NULL ? 0 : read->now_ms))) return STAVE_OK;
    reading_end(&ret_found->reading);
    return STAVE_NOT_FOUND;
}

/* The part of the value that was asked for. */
static enum stave_status select_part(struct store *store, struct reading *reading,
                                     const struct stave_read *read, struct stave_bytes *ret_part)
{
    const size_t size = reading->record.value_size;
    const uint64_t from = read == NULL || read->offset == 0 ? 0 : read->offset < size ? read->offset : size;
    size_t wanted = size - (size_t)from;
    if (read != NULL && read->size != 0 && read->size < wanted) wanted = read->size;
    const uint32_t flags = read == NULL ? 0 : read->flags;
    return reading_value(store, reading, from, wanted, flags, ret_part);
}

static bool read_is_valid(const struct stave_read *read)
{
    return read == NULL || (read->flags & ~(uint32_t)STAVE_READ_NO_WAIT) == 0;
}

enum stave_status stave_get_with(struct stave *handle, struct stave_bytes key, const struct stave_read *read,
                                 struct stave_value *ret_value)
{
    enum stave_status status = guard_key(handle, key);
    if (status != STAVE_OK) return status;
    if (ret_value == NULL || !read_is_valid(read)) return STAVE_INVALID;
    struct store *store = handle->store;
    struct found found;
    struct stave_bytes part;
    atomic_fetch_add_explicit(&calls_of(store)->gets, 1, memory_order_relaxed);
    const uint32_t token = epoch_enter(&store->epoch);
    status = find_live(handle, key, read, &found);
    if (status == STAVE_OK) {
        status = select_part(store, &found.reading, read, &part);
        uint8_t *copy = status == STAVE_OK ? memory_alloc(part.size + 1) : NULL;
        if (copy != NULL) {
            memcpy(copy, part.data, part.size);
            copy[part.size] = 0;
            *ret_value = (struct stave_value){copy, part.size, found.reading.record.sequence,
                                              found.reading.record.expires_at_ms};
        } else if (status == STAVE_OK) {
            status = store_error(store, STAVE_NO_MEMORY, "no memory for a value of %zu bytes", part.size);
        }
        reading_end(&found.reading);
    }
    epoch_leave(&store->epoch, token);
    return status;
}

enum stave_status stave_get(struct stave *handle, struct stave_bytes key, struct stave_value *ret_value)
{
    return stave_get_with(handle, key, NULL, ret_value);
}

enum stave_status stave_info_with(struct stave *handle, struct stave_bytes key, const struct stave_read *read,
                                  struct stave_info *ret_info)
{
    enum stave_status status = guard_key(handle, key);
    if (status != STAVE_OK) return status;
    if (ret_info == NULL || !read_is_valid(read)) return STAVE_INVALID;
    struct found found;
    const uint32_t token = epoch_enter(&handle->store->epoch);
    status = find_live(handle, key, read, &found);
    if (status == STAVE_OK) {
        const struct record *record = &found.reading.record;
        *ret_info = (struct stave_info){record->sequence, record->expires_at_ms, record->value_size,
                                        record_size(record)};
        reading_end(&found.reading);
    }
    epoch_leave(&handle->store->epoch, token);
    return status;
}

enum stave_status stave_info(struct stave *handle, struct stave_bytes key, struct stave_info *ret_info)
{
    return stave_info_with(handle, key, NULL, ret_info);
}

enum stave_status stave_exists(struct stave *handle, struct stave_bytes key)
{
    struct stave_info info;
    return stave_info(handle, key, &info);
}

/* ------------------------------------------------------------------ views */

/* In the lowest bits of a view's owner: what else it is than a segment of which it keeps a reference. */
enum {
    OWNER_IS_COPY = 1,     /* the bytes themselves, copied */
    OWNER_IS_VERIFIED = 2, /* that segment, and its value was verified for the view as a whole */
    OWNER_BITS = 3,
};
static_assert(_Alignof(struct segment) > OWNER_BITS, "the bits are free");

static enum stave_status make_view(struct stave *handle, struct stave_bytes key,
                                   const struct stave_read *read, struct stave_view *ret_view)
{
    struct store *store = handle->store;
    struct found found;
    struct stave_bytes part;
    enum stave_status status = find_live(handle, key, read, &found);
    if (status != STAVE_OK) return status;
    status = select_part(store, &found.reading, read, &part);
    if (status != STAVE_OK) {
        reading_end(&found.reading);
        return status;
    }
    *ret_view = (struct stave_view){part.data, part.size, found.reading.record.sequence,
                                    found.reading.record.expires_at_ms, NULL};
    if (found.reading.copy != NULL) {
        ret_view->owner = (uint8_t *)found.reading.copy + OWNER_IS_COPY;
        return STAVE_OK;
    }
    struct segment *segment = found.reading.segment;
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    ret_view->owner = segment;
    if (!reading_is_large(&found.reading) || part.size != found.reading.record.value_size) return STAVE_OK;
    atomic_fetch_add_explicit(&segment->verified_count, 1, memory_order_relaxed);
    ret_view->owner = (uint8_t *)segment + OWNER_IS_VERIFIED;
    return STAVE_OK;
}

enum stave_status stave_view(struct stave *handle, struct stave_bytes key, const struct stave_read *read,
                             struct stave_view *ret_view)
{
    enum stave_status status = guard_key(handle, key);
    if (status != STAVE_OK) return status;
    if (ret_view == NULL || !read_is_valid(read)) return STAVE_INVALID;
    atomic_fetch_add_explicit(&calls_of(handle->store)->gets, 1, memory_order_relaxed);
    const uint32_t token = epoch_enter(&handle->store->epoch);
    status = make_view(handle, key, read, ret_view);
    epoch_leave(&handle->store->epoch, token);
    return status;
}

void stave_view_release(struct stave *handle, struct stave_view *view)
{
    (void)handle;
    if (view == NULL || view->owner == NULL) return;
    const uintptr_t bits = (uintptr_t)view->owner & OWNER_BITS;
    void *owner = (uint8_t *)view->owner - bits;
    if (bits == OWNER_IS_COPY) {
        memory_free(owner);
    } else {
        struct segment *segment = owner;
        if (bits == OWNER_IS_VERIFIED)
            atomic_fetch_sub_explicit(&segment->verified_count, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&segment->references, 1, memory_order_release);
    }
    view->owner = NULL;
    view->data = NULL;
    view->size = 0;
}

/* ------------------------------------------------------------------ many keys */

static bool is_missing(struct stave_bytes key)
{
    return key.data == NULL && key.size > 0;
}

void stave_prefetch(struct stave *handle, const struct stave_bytes *keys, size_t count)
{
    if (handle == NULL || keys == NULL || !store_is_ours(handle->store)) return;
    struct store *store = handle->store;
    uint32_t generation;
    for (size_t i = 0; i < count; i++)
        if (!is_missing(keys[i])) keydir_prefetch(&store->keydir, hash_of(handle, keys[i], &generation));
    const uint32_t token = epoch_enter(&store->epoch);
    for (size_t i = 0; i < count; i++) {
        struct keydir_probe probe;
        uint64_t location;
        if (is_missing(keys[i])) continue;
        const uint64_t hash = hash_of(handle, keys[i], &generation);
        if (!keydir_is_loaded(&store->keydir, hash)) continue; /* a look-up would read from disk */
        if (keydir_probe_begin(&store->keydir, hash, &probe) != STAVE_OK) continue;
        if (keydir_probe_next(&probe, &location)) reading_prefetch(store, location);
    }
    epoch_leave(&store->epoch, token);
}

static void get_all(struct stave *handle, const struct stave_bytes *keys, size_t count,
                    const struct stave_read *read, struct stave_view *views, enum stave_status *statuses)
{
    const uint32_t token = epoch_enter(&handle->store->epoch);
    for (size_t i = 0; i < count; i++) statuses[i] = make_view(handle, keys[i], read, &views[i]);
    epoch_leave(&handle->store->epoch, token);
}

static void release_all(struct stave *handle, size_t count, struct stave_view *views,
                        const enum stave_status *statuses)
{
    for (size_t i = 0; i < count; i++)
        if (statuses[i] == STAVE_OK) stave_view_release(handle, &views[i]);
}

enum stave_status stave_multi_get(struct stave *handle, const struct stave_bytes *keys, size_t count,
                                  const struct stave_read *read, struct stave_view *ret_views,
                                  enum stave_status *ret_statuses)
{
    const enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (!read_is_valid(read)) return STAVE_INVALID;
    if (count > 0 && (keys == NULL || ret_views == NULL || ret_statuses == NULL)) return STAVE_INVALID;
    if (count > STAVE_MULTI_GET_COUNT_MAX)
        return store_error(handle->store, STAVE_LIMIT, "multi_get of %zu keys, more than %u", count,
                           (unsigned)STAVE_MULTI_GET_COUNT_MAX);
    for (size_t i = 0; i < count; i++)
        if (is_missing(keys[i])) return STAVE_INVALID;

    struct store *store = handle->store;
    stave_prefetch(handle, keys, count);
    atomic_fetch_add_explicit(&calls_of(store)->gets, count, memory_order_relaxed);
    for (int tries = 0; tries < MULTI_GET_TRIES; tries++) {
        const uint64_t version = atomic_load(&store->batch_version);
        if (version & 1) {
            thread_yield();
            continue;
        }
        get_all(handle, keys, count, read, ret_views, ret_statuses);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load(&store->batch_version) == version) return STAVE_OK;
        release_all(handle, count, ret_views, ret_statuses);
    }
    mutex_lock(&store->write_lock);
    get_all(handle, keys, count, read, ret_views, ret_statuses);
    mutex_unlock(&store->write_lock);
    return STAVE_OK;
}
