/* SPDX-License-Identifier: MIT */
/*
 * Cursors: buckets of the index in bit-reversed order (keydir_walk.c), the keys of one bucket at a time.
 *
 *   U1  The keys of a bucket are copied in the epoch in which its entries were read; one whose record has
 *       been moved away in between makes the bucket be read again, so that none is passed over.
 *   U2  With STAVE_CURSOR_STEPS a step ends with the keys of a bucket, or after STEP_BUCKETS buckets without.
 *   U3  Values are looked up when their key's turn comes: they are as new as the call that returns them.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "store/operation.h"
#include "store/segments.h"

#define STEP_BUCKETS 64u

struct stave_cursor {
    struct stave *handle;
    uint32_t flags;
    uint64_t position;      /* of the bucket after the one held */
    uint64_t held_position; /* of the one held */
    bool at_end;            /* position is beyond the last bucket */
    uint32_t step;          /* buckets taken since the last step's end (U2) */
    uint8_t *prefix;
    size_t prefix_size;
    struct buffer keys; /* u32 size, then the key; of the bucket held */
    size_t next_key;    /* offset in keys */
    bool damaged;       /* a record of the bucket could not be read: to be reported once */
    enum stave_status damage;
    struct stave_view view; /* of the value returned last */
};

enum stave_status stave_cursor_open(struct stave *handle, uint64_t position, struct stave_bytes prefix,
                                    uint32_t flags, struct stave_cursor **ret_cursor)
{
    enum stave_status status = guard_key(handle, prefix);
    if (status != STAVE_OK) return status;
    if (ret_cursor == NULL || flags & ~(uint32_t)(STAVE_CURSOR_KEYS | STAVE_CURSOR_STEPS))
        return STAVE_INVALID;
    struct stave_cursor *cursor = memory_alloc_zero(1, sizeof(*cursor));
    uint8_t *copy = prefix.size > 0 ? memory_copy(prefix.data, prefix.size) : NULL;
    if (cursor == NULL || (prefix.size > 0 && copy == NULL)) {
        memory_free(cursor);
        memory_free(copy);
        return store_error(handle->store, STAVE_NO_MEMORY, "no memory for a cursor");
    }
    cursor->handle = handle;
    cursor->flags = flags;
    cursor->position = position;
    cursor->held_position = position;
    cursor->prefix = copy;
    cursor->prefix_size = prefix.size;
    *ret_cursor = cursor;
    return STAVE_OK;
}

void stave_cursor_close(struct stave_cursor *cursor)
{
    if (cursor == NULL) return;
    stave_view_release(cursor->handle, &cursor->view);
    memory_free(cursor->prefix);
    buffer_free(&cursor->keys);
    memory_free(cursor);
}

uint64_t stave_cursor_position(const struct stave_cursor *cursor)
{
    if (cursor == NULL) return 0;
    if (cursor->next_key < cursor->keys.size || cursor->damaged) return cursor->held_position;
    return cursor->at_end ? 0 : cursor->position;
}

/* ------------------------------------------------------------------ one bucket */

static bool is_wanted(const struct stave_cursor *cursor, const struct reading *reading)
{
    const struct record *record = &reading->record;
    return record->kind == RECORD_PUT &&
           record->generation == generation_of(cursor->handle->store, cursor->handle->number) &&
           !record_is_expired(record, clock_wall_ms()) && record->key_size >= cursor->prefix_size &&
           (cursor->prefix_size == 0 || memcmp(reading->key, cursor->prefix, cursor->prefix_size) == 0);
}

static bool contains(const uint64_t *locations, size_t count, uint64_t location)
{
    for (size_t i = 0; i < count; i++)
        if (locations[i] == location) return true;
    return false;
}

/* STAVE_NOT_FOUND: the record has been moved, or the entry is stale. */
static enum stave_status take_key(struct stave_cursor *cursor, uint64_t location)
{
    struct reading reading = READING_NONE;
    enum stave_status status = reading_begin(cursor->handle->store, location, 0, &reading);
    if (status == STAVE_NOT_FOUND || status == STAVE_NO_MEMORY) return status;
    if (status != STAVE_OK) {
        cursor->damaged = true;
        cursor->damage = status;
        return STAVE_OK;
    }
    if (is_wanted(cursor, &reading)) {
        status = buffer_append_le32(&cursor->keys, reading.record.key_size);
        if (status == STAVE_OK) status = buffer_append(&cursor->keys, reading.key, reading.record.key_size);
    }
    reading_end(&reading);
    return status;
}

/* Inside an epoch. STAVE_WOULD_BLOCK: entries moved meanwhile, again (U1). */
static enum stave_status take_bucket(struct stave_cursor *cursor, uint64_t *ret_position, bool *ret_end)
{
    struct keydir *keydir = &cursor->handle->store->keydir;
    uint64_t locations[KEYDIR_WALK_CAPACITY];
    uint64_t stale[KEYDIR_WALK_CAPACITY];
    size_t count = 0;
    size_t stale_count = 0;
    *ret_position = cursor->position;
    enum stave_status status =
        keydir_walk(keydir, ret_position, locations, KEYDIR_WALK_CAPACITY, &count, ret_end);
    for (size_t i = 0; i < count && status == STAVE_OK; i++) {
        status = take_key(cursor, locations[i]);
        if (status != STAVE_NOT_FOUND) continue;
        stale[stale_count++] = locations[i];
        status = STAVE_OK;
    }
    if (stale_count == 0 || status != STAVE_OK) return status;
    uint64_t again = cursor->position;
    bool unused;
    status = keydir_walk(keydir, &again, locations, KEYDIR_WALK_CAPACITY, &count, &unused);
    for (size_t i = 0; i < stale_count && status == STAVE_OK; i++)
        if (!contains(locations, count, stale[i])) status = STAVE_WOULD_BLOCK;
    return status;
}

static enum stave_status next_bucket(struct stave_cursor *cursor)
{
    struct store *store = cursor->handle->store;
    uint64_t position = 0;
    bool end = false;
    enum stave_status status;
    cursor->held_position = cursor->position;
    do {
        buffer_clear(&cursor->keys);
        cursor->next_key = 0;
        cursor->damaged = false;
        const uint32_t token = epoch_enter(&store->epoch);
        status = take_bucket(cursor, &position, &end);
        epoch_leave(&store->epoch, token);
    } while (status == STAVE_WOULD_BLOCK);
    if (status != STAVE_OK) return status;
    cursor->position = position;
    cursor->at_end = end;
    cursor->step++;
    return STAVE_OK;
}

/* All keys of the bucket held have been returned. */
static bool is_step_over(struct stave_cursor *cursor)
{
    if (!(cursor->flags & STAVE_CURSOR_STEPS) || cursor->step == 0) return false;
    if (cursor->keys.size == 0 && cursor->step < STEP_BUCKETS) return false;
    cursor->step = 0;
    return true;
}

/* ------------------------------------------------------------------ one key */

static enum stave_status return_key(struct stave_cursor *cursor, struct stave_bytes key,
                                    struct stave_entry *ret_entry)
{
    if (cursor->flags & STAVE_CURSOR_KEYS) {
        struct stave_info info;
        const enum stave_status status = stave_info(cursor->handle, key, &info);
        if (status != STAVE_OK) return status;
        *ret_entry = (struct stave_entry){key, {NULL, 0}, info.value_size, info.sequence, info.expires_at_ms};
        return STAVE_OK;
    }
    const enum stave_status status = stave_view(cursor->handle, key, NULL, &cursor->view);
    if (status != STAVE_OK) return status;
    *ret_entry = (struct stave_entry){key,
                                      {cursor->view.data, cursor->view.size},
                                      cursor->view.size,
                                      cursor->view.sequence,
                                      cursor->view.expires_at_ms};
    return STAVE_OK;
}

enum stave_status stave_cursor_next(struct stave_cursor *cursor, struct stave_entry *ret_entry)
{
    if (cursor == NULL || ret_entry == NULL) return STAVE_INVALID;
    enum stave_status status = guard_store(cursor->handle);
    if (status != STAVE_OK) return status;
    stave_view_release(cursor->handle, &cursor->view);
    for (;;) {
        while (cursor->next_key < cursor->keys.size) {
            const uint8_t *at = cursor->keys.data + cursor->next_key;
            const struct stave_bytes key = {at + sizeof(uint32_t), load_le32(at)};
            cursor->next_key += sizeof(uint32_t) + key.size;
            status = return_key(cursor, key, ret_entry);
            if (status != STAVE_NOT_FOUND) return status;
        }
        if (cursor->damaged) {
            cursor->damaged = false;
            return cursor->damage;
        }
        if (cursor->at_end) return STAVE_END;
        if (is_step_over(cursor)) return STAVE_WOULD_BLOCK;
        status = next_bucket(cursor);
        if (status != STAVE_OK) return status;
    }
}

/* ------------------------------------------------------------------ a random key */

/*
 * From a random bucket on, keys are gathered and one of them taken: in a small space each is as likely as the
 * other, which the first key found would not be (one behind a long gap would come up more often).
 */
#define RANDOM_CANDIDATES 64u                  /* keys to choose from */
#define RANDOM_CANDIDATES_SIZE ((size_t)65536) /* bytes of keys to choose from, at most one key more */
#define RANDOM_BUCKETS UINT64_C(131072)        /* looked at, once there is a key to choose */

static size_t count_keys(const struct buffer *keys)
{
    size_t count = 0;
    for (size_t at = 0; at < keys->size; at += sizeof(uint32_t) + load_le32(keys->data + at)) count++;
    return count;
}

/* Appends keys from the cursor's place on, once around the table at most. */
static enum stave_status gather_candidates(struct stave_cursor *cursor, struct buffer *candidates,
                                           size_t *ret_count)
{
    const uint64_t bucket_count = keydir_bucket_count(&cursor->handle->store->keydir);
    size_t count = 0;
    for (uint64_t i = 0; i <= bucket_count; i++) {
        if (count >= RANDOM_CANDIDATES || candidates->size >= RANDOM_CANDIDATES_SIZE) break;
        if (count > 0 && i >= RANDOM_BUCKETS) break;
        if (cursor->at_end) cursor->position = 0;
        enum stave_status status = next_bucket(cursor);
        if (status == STAVE_OK) status = buffer_append(candidates, cursor->keys.data, cursor->keys.size);
        if (status != STAVE_OK) return status;
        count += count_keys(&cursor->keys);
    }
    *ret_count = count;
    return STAVE_OK;
}

static enum stave_status copy_key(struct stave *handle, const struct buffer *keys, size_t index,
                                  struct stave_value *ret_key)
{
    size_t at = 0;
    for (size_t i = 0; i < index; i++) at += sizeof(uint32_t) + load_le32(keys->data + at);
    const struct stave_bytes key = {keys->data + at + sizeof(uint32_t), load_le32(keys->data + at)};
    struct stave_info info;
    const enum stave_status status = stave_info(handle, key, &info);
    if (status != STAVE_OK) return status;
    uint8_t *copy = memory_alloc(key.size + 1);
    if (copy == NULL) return store_error(handle->store, STAVE_NO_MEMORY, "no memory for a key");
    memcpy(copy, key.data, key.size);
    copy[key.size] = 0;
    *ret_key = (struct stave_value){copy, key.size, info.sequence, info.expires_at_ms};
    return STAVE_OK;
}

/* One key of the candidates, the next one if it has gone meanwhile. */
static enum stave_status choose_key(struct stave *handle, uint64_t start, uint64_t choice,
                                    struct stave_value *ret_key)
{
    struct stave_cursor *cursor = NULL;
    struct buffer candidates = {0};
    size_t count = 0;
    enum stave_status status =
        stave_cursor_open(handle, start, stave_bytes(NULL, 0), STAVE_CURSOR_KEYS, &cursor);
    if (status != STAVE_OK) return status;
    status = gather_candidates(cursor, &candidates, &count);
    if (status == STAVE_OK) status = STAVE_NOT_FOUND;
    for (size_t i = 0; i < count && status == STAVE_NOT_FOUND; i++)
        status = copy_key(handle, &candidates, (choice + i) % count, ret_key);
    buffer_free(&candidates);
    stave_cursor_close(cursor);
    return status;
}

enum stave_status stave_random_key(struct stave *handle, struct stave_value *ret_key)
{
    enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (ret_key == NULL) return STAVE_INVALID;
    if (stave_count(handle) == 0) return STAVE_NOT_FOUND;
    uint64_t random[2];
    struct error error = {.status = STAVE_OK};
    status = random_bytes(random, sizeof(random), &error);
    if (status != STAVE_OK) return store_note_error(handle->store, &error);
    return choose_key(handle, random[0], random[1], ret_key);
}
