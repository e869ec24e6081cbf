/* SPDX-License-Identifier: MIT */
/*
 * Cursors: buckets of the index in bit-reversed order (keydir_walk.c), the keys of one bucket at a time.
 *
 *   U1  The keys of a bucket are copied in the epoch in which its entries were read; one whose record has
 *       been moved away in between makes the bucket be read again, so that none is passed over.
 *   U2  With STAVE_CURSOR_STEPS a step ends with the keys of a bucket, or after STEP_BUCKETS buckets without;
 *       EMPTY_BUCKETS that hold no entry at all count for one.
 *   U3  Values are looked up when their key's turn comes: they are as new as the call that returns them. So
 *       is what STAVE_CURSOR_KEYS returns: as the record was, while the index still leads to it.
 *   U4  What has expired is removed outside of the epoch, and only while it is the newest of its key (P4).
 *   U5  A bucket is taken as a whole or, when it cannot be (STAVE_WOULD_BLOCK), not at all.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "os/random.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/writer.h"

#define STEP_BUCKETS 64u
#define EMPTY_BUCKETS 16u
#define EMPTY_BUCKETS_MAX UINT64_C(1024) /* passed at once */
#define RECORDS_AHEAD 4u                 /* buckets whose records are on their way to the processor */
#define FLAGS                                                                                                \
    ((uint32_t)(STAVE_CURSOR_KEYS | STAVE_CURSOR_STEPS | STAVE_CURSOR_EXPIRE | STAVE_CURSOR_NO_WAIT))

struct stave_cursor {
    struct stave *handle;
    uint32_t flags;
    uint64_t now_ms;        /* stave_cursor_as_of; 0: the clock decides */
    uint64_t position;      /* of the bucket after the one held */
    uint64_t held_position; /* of the one held */
    bool at_end;            /* position is beyond the last bucket */
    uint32_t step;          /* buckets taken since the last step's end (U2) */
    uint64_t passed;        /* buckets ever, empty ones included */
    uint64_t expired_count; /* keys removed (U4) */
    uint8_t *prefix;
    size_t prefix_size;
    struct buffer keys;    /* struct held_key, then the key; of the bucket held */
    size_t next_key;       /* offset in keys */
    struct buffer expired; /* struct expired_entry; of the bucket held */
    bool damaged;          /* a record of the bucket could not be read: to be reported once */
    enum stave_status damage;
    struct stave_view view; /* of the value returned last */
};

/* What the record of a key said; not aligned in its buffer. */
struct held_key {
    uint64_t hash;
    uint64_t location;
    uint64_t identity; /* of the segment it lies in */
    uint64_t sequence;
    uint64_t expires_at_ms;
    uint32_t generation;
    uint32_t value_size;
    uint32_t key_size;
};

struct expired_entry {
    uint64_t hash;
    uint64_t location;
};

static struct held_key held_at(const struct buffer *keys, size_t offset)
{
    struct held_key held;
    memcpy(&held, keys->data + offset, sizeof(held));
    return held;
}

/* Of the key at `offset`, its bytes; and where the next one is. */
static struct stave_bytes key_at(const struct buffer *keys, size_t offset)
{
    const struct held_key held = held_at(keys, offset);
    return stave_bytes(keys->data + offset + sizeof(held), held.key_size);
}

static size_t behind_key(const struct buffer *keys, size_t offset)
{
    return offset + sizeof(struct held_key) + held_at(keys, offset).key_size;
}

enum stave_status stave_cursor_open(struct stave *handle, uint64_t position, struct stave_bytes prefix,
                                    uint32_t flags, struct stave_cursor **ret_cursor)
{
    enum stave_status status = guard_key(handle, prefix);
    if (status != STAVE_OK) return status;
    if (ret_cursor == NULL || flags & ~FLAGS) return STAVE_INVALID;
    if (flags & STAVE_CURSOR_EXPIRE) status = guard_writable(handle);
    if (status != STAVE_OK) return status;
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
    buffer_free(&cursor->expired);
    memory_free(cursor);
}

uint64_t stave_cursor_position(const struct stave_cursor *cursor)
{
    if (cursor == NULL) return 0;
    if (cursor->next_key < cursor->keys.size || cursor->damaged) return cursor->held_position;
    return cursor->at_end ? 0 : cursor->position;
}

void stave_cursor_as_of(struct stave_cursor *cursor, uint64_t now_ms)
{
    if (cursor != NULL) cursor->now_ms = now_ms;
}

uint64_t stave_cursor_expired(const struct stave_cursor *cursor)
{
    return cursor == NULL ? 0 : cursor->expired_count;
}

/* ------------------------------------------------------------------ one record */

/* A segment without a record of the generation, as far as its mask tells: a stale entry leads there. */
static bool is_elsewhere(const struct store *store, uint64_t location, uint32_t generation)
{
    const struct segment *segment = segment_at(store, location);
    if (segment == NULL || store->options.read_only) return false; /* a refresh keeps no masks */
    const uint64_t mask = atomic_load_explicit(&segment->spaces_mask, memory_order_relaxed);
    return mask != 0 && !(mask >> (generation & 63) & 1);
}

static bool is_wanted(const struct stave_cursor *cursor, const struct reading *reading, uint32_t generation)
{
    const struct record *record = &reading->record;
    return record->kind == RECORD_PUT && record->generation == generation &&
           record->key_size >= cursor->prefix_size &&
           (cursor->prefix_size == 0 || memcmp(reading->key, cursor->prefix, cursor->prefix_size) == 0);
}

static enum stave_status hold_key(struct stave_cursor *cursor, const struct reading *reading,
                                  uint64_t location)
{
    const struct record *record = &reading->record;
    const struct held_key held = {
        record->key_hash,      location,           reading->segment->identity, record->sequence,
        record->expires_at_ms, record->generation, record->value_size,         record->key_size};
    enum stave_status status = buffer_append(&cursor->keys, &held, sizeof(held));
    if (status == STAVE_OK) status = buffer_append(&cursor->keys, reading->key, record->key_size);
    return status;
}

static enum stave_status hold_expired(struct stave_cursor *cursor, const struct reading *reading,
                                      uint64_t location)
{
    const struct expired_entry expired = {reading->record.key_hash, location};
    if (!(cursor->flags & STAVE_CURSOR_EXPIRE)) return STAVE_OK;
    return buffer_append(&cursor->expired, &expired, sizeof(expired));
}

static uint32_t read_flags(const struct stave_cursor *cursor)
{
    return cursor->flags & STAVE_CURSOR_NO_WAIT ? STAVE_READ_NO_WAIT : 0;
}

/* STAVE_NOT_FOUND: the record has been moved, or the entry is stale. */
static enum stave_status take_record(struct stave_cursor *cursor, uint64_t location, uint32_t generation)
{
    struct store *store = cursor->handle->store;
    struct reading reading = READING_NONE;
    if (is_elsewhere(store, location, generation)) return STAVE_OK;
    enum stave_status status = reading_begin(store, location, read_flags(cursor), &reading);
    if (status > 0 || status == STAVE_NO_MEMORY) return status;
    if (status != STAVE_OK) {
        cursor->damaged = true;
        cursor->damage = status;
        return STAVE_OK;
    }
    if (is_wanted(cursor, &reading, generation)) {
        const uint64_t expires_at_ms = reading.record.expires_at_ms;
        const bool is_expired =
            expires_at_ms != 0 && record_is_expired(&reading.record, moment_of(cursor->now_ms));
        status = is_expired ? hold_expired(cursor, &reading, location) : hold_key(cursor, &reading, location);
    }
    reading_end(&reading);
    return status;
}

/* ------------------------------------------------------------------ one bucket */

static bool contains(const uint64_t *locations, size_t count, uint64_t location)
{
    for (size_t i = 0; i < count; i++)
        if (locations[i] == location) return true;
    return false;
}

static void prefetch_records(const struct store *store, const uint64_t *locations, size_t count)
{
    for (size_t i = 0; i < count; i++) reading_prefetch(store, locations[i]);
}

/* Inside an epoch. */
static void prefetch_ahead(const struct store *store, uint64_t position)
{
    uint64_t locations[KEYDIR_BUCKET_ENTRIES];
    prefetch_records(store, locations, keydir_walk_peek(&store->keydir, position, RECORDS_AHEAD, locations));
}

/* Where the bucket ends that is being taken. */
struct taken {
    uint64_t position;
    bool is_last;
};

/* Inside an epoch. *ret_again: entries moved meanwhile, once more (U1). */
static enum stave_status take_bucket(struct stave_cursor *cursor, struct taken *ret_taken, bool *ret_again)
{
    struct store *store = cursor->handle->store;
    const uint32_t generation = generation_of(store, cursor->handle->number);
    uint64_t locations[KEYDIR_WALK_CAPACITY];
    uint64_t stale[KEYDIR_WALK_CAPACITY];
    size_t count = 0;
    size_t stale_count = 0;
    *ret_again = false;
    ret_taken->position = cursor->position;
    if (cursor->flags & STAVE_CURSOR_NO_WAIT && !keydir_walk_is_loaded(&store->keydir, cursor->position))
        return STAVE_WOULD_BLOCK;
    enum stave_status status = keydir_walk(&store->keydir, &ret_taken->position, locations,
                                           KEYDIR_WALK_CAPACITY, &count, &ret_taken->is_last);
    prefetch_ahead(store, cursor->position);
    for (size_t i = 0; i < count && status == STAVE_OK; i++) {
        status = take_record(cursor, locations[i], generation);
        if (status != STAVE_NOT_FOUND) continue;
        stale[stale_count++] = locations[i];
        status = STAVE_OK;
    }
    if (stale_count == 0 || status != STAVE_OK) return status;
    uint64_t again = cursor->position;
    bool unused;
    status = keydir_walk(&store->keydir, &again, locations, KEYDIR_WALK_CAPACITY, &count, &unused);
    for (size_t i = 0; i < stale_count && status == STAVE_OK; i++)
        if (!contains(locations, count, stale[i])) *ret_again = true;
    return status;
}

/* U4. One that is damaged, or that could not be removed, is reported; the next call goes on behind it. */
static enum stave_status remove_expired(struct stave_cursor *cursor)
{
    for (size_t at = 0; at < cursor->expired.size; at += sizeof(struct expired_entry)) {
        struct expired_entry expired;
        memcpy(&expired, cursor->expired.data + at, sizeof(expired));
        const enum stave_status status = writer_expire(cursor->handle->store, expired.hash, expired.location);
        if (status == STAVE_OK) cursor->expired_count++;
        if (status < 0) return status;
    }
    return STAVE_OK;
}

static void forget_bucket(struct stave_cursor *cursor)
{
    buffer_clear(&cursor->keys);
    buffer_clear(&cursor->expired);
    cursor->next_key = 0;
    cursor->damaged = false;
}

static void pass_empty(struct stave_cursor *cursor)
{
    const uint64_t passed = keydir_walk_empty(&cursor->handle->store->keydir, &cursor->position,
                                              EMPTY_BUCKETS_MAX, &cursor->at_end);
    cursor->passed += passed;
    cursor->step += (uint32_t)(passed + EMPTY_BUCKETS - 1) / EMPTY_BUCKETS;
    cursor->held_position = cursor->position;
}

/* The next bucket that is not empty, or none (U5). */
static enum stave_status next_bucket(struct stave_cursor *cursor)
{
    struct store *store = cursor->handle->store;
    struct taken taken = {0, false};
    bool again;
    enum stave_status status;
    forget_bucket(cursor);
    pass_empty(cursor);
    if (cursor->at_end) return STAVE_OK;
    do {
        forget_bucket(cursor);
        const uint32_t token = epoch_enter(&store->epoch);
        status = take_bucket(cursor, &taken, &again);
        epoch_leave(&store->epoch, token);
    } while (status == STAVE_OK && again);
    if (status != STAVE_OK) {
        forget_bucket(cursor);
        return status;
    }
    cursor->position = taken.position;
    cursor->at_end = taken.is_last;
    cursor->step++;
    cursor->passed++;
    return remove_expired(cursor);
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

/* U3: the index still leads to the record that was read, which says all that is asked. */
static bool is_as_held(const struct stave_cursor *cursor, const struct held_key *held)
{
    struct store *store = cursor->handle->store;
    if (held->generation != generation_of(store, cursor->handle->number)) return false;
    if (held->expires_at_ms != 0 && held->expires_at_ms <= moment_of(cursor->now_ms)) return false;
    const uint32_t token = epoch_enter(&store->epoch);
    const struct segment *segment = segment_at(store, held->location);
    const bool is = segment != NULL && segment->identity == held->identity &&
                    keydir_has(&store->keydir, held->hash, held->location);
    epoch_leave(&store->epoch, token);
    return is;
}

static enum stave_status return_info(struct stave_cursor *cursor, const struct held_key *held,
                                     struct stave_bytes key, struct stave_entry *ret_entry)
{
    if (is_as_held(cursor, held)) {
        *ret_entry =
            (struct stave_entry){key, {NULL, 0}, held->value_size, held->sequence, held->expires_at_ms};
        return STAVE_OK;
    }
    const struct stave_read read = {.now_ms = cursor->now_ms};
    struct stave_info info;
    const enum stave_status status = stave_info_with(cursor->handle, key, &read, &info);
    if (status != STAVE_OK) return status;
    *ret_entry = (struct stave_entry){key, {NULL, 0}, info.value_size, info.sequence, info.expires_at_ms};
    return STAVE_OK;
}

static enum stave_status return_value(struct stave_cursor *cursor, struct stave_bytes key,
                                      struct stave_entry *ret_entry)
{
    const struct stave_read read = {.flags = read_flags(cursor), .now_ms = cursor->now_ms};
    const enum stave_status status = stave_view(cursor->handle, key, &read, &cursor->view);
    if (status != STAVE_OK) return status;
    *ret_entry = (struct stave_entry){key,
                                      {cursor->view.data, cursor->view.size},
                                      cursor->view.size,
                                      cursor->view.sequence,
                                      cursor->view.expires_at_ms};
    return STAVE_OK;
}

/* The key whose turn it is; it stays so if its value is on disk. */
static enum stave_status return_key(struct stave_cursor *cursor, struct stave_entry *ret_entry)
{
    const struct held_key held = held_at(&cursor->keys, cursor->next_key);
    const struct stave_bytes key = key_at(&cursor->keys, cursor->next_key);
    const enum stave_status status = cursor->flags & STAVE_CURSOR_KEYS
                                         ? return_info(cursor, &held, key, ret_entry)
                                         : return_value(cursor, key, ret_entry);
    if (status != STAVE_WOULD_BLOCK) cursor->next_key = behind_key(&cursor->keys, cursor->next_key);
    return status;
}

enum stave_status stave_cursor_next(struct stave_cursor *cursor, struct stave_entry *ret_entry)
{
    if (cursor == NULL || ret_entry == NULL) return STAVE_INVALID;
    enum stave_status status = guard_store(cursor->handle);
    if (status != STAVE_OK) return status;
    stave_view_release(cursor->handle, &cursor->view);
    for (;;) {
        while (cursor->next_key < cursor->keys.size) {
            status = return_key(cursor, ret_entry);
            if (status != STAVE_NOT_FOUND) return status;
        }
        if (cursor->damaged) {
            cursor->damaged = false;
            return cursor->damage;
        }
        if (cursor->at_end) return STAVE_END;
        if (is_step_over(cursor)) return STAVE_STEP;
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
    for (size_t at = 0; at < keys->size; at = behind_key(keys, at)) count++;
    return count;
}

/* Appends keys from the cursor's place on, once around the table at most, or until all have been seen. */
static enum stave_status gather_candidates(struct stave_cursor *cursor, struct buffer *candidates,
                                           size_t *ret_count)
{
    const uint64_t bucket_count = keydir_bucket_count(&cursor->handle->store->keydir);
    const uint64_t key_count = stave_count(cursor->handle);
    const uint64_t wanted = key_count < RANDOM_CANDIDATES ? key_count : RANDOM_CANDIDATES;
    size_t count = 0;
    while (cursor->passed <= bucket_count) {
        if (count >= wanted || candidates->size >= RANDOM_CANDIDATES_SIZE) break;
        if (count > 0 && cursor->passed >= RANDOM_BUCKETS) break;
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
    for (size_t i = 0; i < index; i++) at = behind_key(keys, at);
    const struct stave_bytes key = key_at(keys, at);
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
