/* SPDX-License-Identifier: MIT */
/*
 * The change feed: the records of the log's own segments, in order, from a sequence on.
 *
 *   F1  Between two segments that it reads none is missing: feed_floor is raised when compaction withdraws
 *       one, and the manifest that does not list it any more has the new floor already.
 *   F2  It reads with pread from a descriptor of its own, so what it has begun to read stays readable.
 *   F3  Of a batch nothing is handed out before all of it is within the limit (published, or durable). (P5)
 *   F4  A change names the space that the record's generation belonged to then. What that was is worked out
 *       backwards from now, through the drops and swaps between: a drop names the generation that it gave up.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "os/clock.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/segments.h"

#define NS_PER_MS UINT64_C(1000000)
#define NAP_NS (UINT64_C(10) * NS_PER_MS)
#define READ_SIZE ((size_t)128 << 10)
#define READ_SIZE_MAX ((size_t)RECORD_SIZE_MAX + READ_SIZE)
#define LEARN_MAX ((size_t)1 << 20) /* drops and swaps between the beginning of a feed and now */

/* A file of the store and a part of it in memory. */
struct window {
    struct file file;
    uint64_t offset;
    struct buffer bytes;
};

struct spaces_change {
    uint64_t sequence;
    struct record_spaces spaces;
};

struct stave_feed {
    struct store *store;
    uint32_t flags;
    uint64_t after; /* everything up to it has been handed out or passed over */

    struct segment *segment; /* referenced; NULL: none found yet */
    uint64_t offset;
    uint32_t batch_left;
    struct window log;
    struct window large;

    uint32_t generation_of[STAVE_SPACE_COUNT_MAX]; /* at `after` */
};

/* ------------------------------------------------------------------ windows */

static enum stave_status window_open(struct store *store, struct window *window, uint32_t segment_id,
                                     struct error *error)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment_id, name);
    (void)file_close(&window->file, NULL);
    buffer_clear(&window->bytes);
    window->offset = 0;
    return file_open(&store->dir, name, false, &window->file, error);
}

static void window_close(struct window *window)
{
    (void)file_close(&window->file, NULL);
    buffer_free(&window->bytes);
}

/* Bytes [offset, offset + size) at *ret_at; none at or beyond `end` is read, and size ends before it. */
static enum stave_status window_show(struct window *window, uint64_t offset, size_t size, uint64_t end,
                                     const uint8_t **ret_at, struct error *error)
{
    const uint64_t have_end = window->offset + window->bytes.size;
    if (offset < window->offset || offset + size > have_end) {
        const uint64_t available = end - offset;
        size_t wanted = size > READ_SIZE ? size : READ_SIZE;
        if (wanted > available) wanted = (size_t)available;
        buffer_clear(&window->bytes);
        enum stave_status status = buffer_reserve(&window->bytes, wanted);
        if (status != STAVE_OK) return error_set(error, status, 0, "no memory to read a change");
        status = file_read_at(&window->file, window->bytes.data, wanted, offset, error);
        if (status != STAVE_OK) return status;
        window->offset = offset;
        window->bytes.size = wanted;
    }
    *ret_at = window->bytes.data + (offset - window->offset);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ segments */

static void release(struct stave_feed *feed)
{
    if (feed->segment != NULL) atomic_fetch_sub(&feed->segment->references, 1);
    feed->segment = NULL;
}

/* write_lock. The LOG segment with the lowest incarnation that is not below `incarnation`. */
static struct segment *find_log(const struct store *store, uint32_t incarnation)
{
    struct segment *best = NULL;
    for (size_t i = 0; i < store->segment_count; i++) {
        struct segment *segment = store->segments[i];
        if (segment->kind != SEGMENT_LOG || segment->incarnation < incarnation || segment == store->spare)
            continue;
        if (best == NULL || segment->incarnation < best->incarnation) best = segment;
    }
    return best;
}

/* Takes the next segment from `incarnation` on. STAVE_END: there is none yet; STAVE_GONE (F1). */
static enum stave_status enter(struct stave_feed *feed, uint32_t incarnation, struct error *error)
{
    struct store *store = feed->store;
    enum stave_status status = STAVE_END;
    mutex_lock(&store->write_lock);
    struct segment *next = find_log(store, incarnation);
    if (feed->after + 1 < store->feed_floor)
        status = STAVE_GONE;
    else if (next != NULL)
        status = STAVE_OK;
    if (status == STAVE_OK) atomic_fetch_add(&next->references, 1);
    mutex_unlock(&store->write_lock);
    if (status != STAVE_OK) return status;
    release(feed);
    feed->segment = next;
    feed->offset = SEGMENT_HEADER_SIZE;
    feed->batch_left = 0;
    status = window_open(store, &feed->log, next->id, error);
    if (status == STAVE_OK) return status;
    release(feed);
    return status == STAVE_NOT_FOUND ? STAVE_GONE : status;
}

/*
 * Whether nothing more will be appended to the segment that is being read. To a reader, the view of an
 * unsealed one ends where it ends if there is a next one.
 */
static bool is_finished(struct stave_feed *feed)
{
    struct store *store = feed->store;
    mutex_lock(&store->write_lock);
    const struct segment *segment = feed->segment;
    const bool finished = segment->sealed || segment == store->sealing ||
                          (store->options.read_only && find_log(store, segment->incarnation + 1) != NULL);
    mutex_unlock(&store->write_lock);
    return finished;
}

/*
 * Read-only: a refresh has put a newer view of the segment in the place of the one that is being read. When
 * there is none compaction has removed it, and the floor says whether anything was missed.
 */
static enum stave_status take_newer_view(struct stave_feed *feed, struct error *error)
{
    struct store *store = feed->store;
    const uint32_t incarnation = feed->segment->incarnation;
    mutex_lock(&store->write_lock);
    struct segment *newer = segment_by_id(store, feed->segment->id);
    if (newer != NULL && newer != feed->segment) atomic_fetch_add(&newer->references, 1);
    mutex_unlock(&store->write_lock);
    if (newer == feed->segment) return STAVE_END;
    if (newer == NULL) return enter(feed, incarnation + 1, error);
    release(feed);
    feed->segment = newer;
    return STAVE_OK;
}

/* At the end of a segment. STAVE_OK: there is another; STAVE_END: not yet. */
static enum stave_status advance(struct stave_feed *feed, struct error *error)
{
    if (feed->segment == NULL) return enter(feed, sequence_incarnation(feed->after), error);
    if (feed->store->options.read_only) {
        const enum stave_status status = take_newer_view(feed, error);
        if (status != STAVE_END) return status;
    }
    if (!is_finished(feed)) return STAVE_END;
    if (feed->offset < atomic_load_explicit(&feed->segment->end, memory_order_acquire)) return STAVE_OK;
    const uint32_t incarnation = feed->segment->incarnation;
    const uint64_t last = (uint64_t)incarnation << SEQUENCE_BITS | UINT32_MAX;
    const uint64_t before = feed->after;
    if (feed->after < last) feed->after = last;
    const enum stave_status status = enter(feed, incarnation + 1, error);
    if (status == STAVE_END) feed->after = before;
    return status;
}

/* ------------------------------------------------------------------ records */

static enum stave_status damaged(const struct stave_feed *feed, uint64_t offset, const char *what,
                                 struct error *error)
{
    (void)feed;
    return file_error(&feed->log.file, error, STAVE_CORRUPT, 0, "offset %llu: %s", (unsigned long long)offset,
                      what);
}

/* The header of the record at feed->offset. STAVE_END at the end of what has been written so far. */
static enum stave_status peek(struct stave_feed *feed, struct record *ret_record, struct error *error)
{
    if (feed->segment == NULL) return STAVE_END;
    const uint64_t end = atomic_load_explicit(&feed->segment->end, memory_order_acquire);
    if (feed->offset >= end) return STAVE_END;
    const uint64_t left = end - feed->offset;
    const size_t size = left < RECORD_HEADER_SIZE_MAX ? (size_t)left : RECORD_HEADER_SIZE_MAX;
    const uint8_t *at = NULL;
    const enum stave_status status = window_show(&feed->log, feed->offset, size, end, &at, error);
    if (status != STAVE_OK) return status;
    if (record_decode_header(at, size, feed->segment->identity, feed->offset, ret_record) != STAVE_OK)
        return damaged(feed, feed->offset, "the header of a record is damaged", error);
    if (record_size(ret_record) > left) return damaged(feed, feed->offset, "the record has no end", error);
    return STAVE_OK;
}

/* Key and value of the record at feed->offset, checked. */
static enum stave_status show(struct stave_feed *feed, const struct record *record, const uint8_t **ret_key,
                              struct error *error)
{
    const uint64_t end = atomic_load_explicit(&feed->segment->end, memory_order_acquire);
    const uint8_t *at = NULL;
    const enum stave_status status =
        window_show(&feed->log, feed->offset, (size_t)record_size(record), end, &at, error);
    if (status != STAVE_OK) return status;
    const uint8_t *key = at + record_header_size(record->flags);
    const uint64_t seed = feed->store->hash_seed;
    if (record_has_key(record->kind) &&
        record_key_hash(seed, record->generation, key, record->key_size) != record->key_hash)
        return damaged(feed, feed->offset, "the key of a record is damaged", error);
    if (record_payload_checksum(record->key_hash, key + record->key_size, record->value_size) !=
        record->payload_checksum)
        return damaged(feed, feed->offset, "the value of a record is damaged", error);
    *ret_key = key;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ spaces (F4) */

static uint32_t space_of(const struct stave_feed *feed, uint32_t generation)
{
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        if (feed->generation_of[i] == generation) return i;
    return STAVE_SPACE_COUNT_MAX;
}

static void swap_generations(struct stave_feed *feed, uint32_t a, uint32_t b)
{
    const uint32_t generation = feed->generation_of[a];
    feed->generation_of[a] = feed->generation_of[b];
    feed->generation_of[b] = generation;
}

static void apply(struct stave_feed *feed, const struct record_spaces *spaces)
{
    if (spaces->op == RECORD_SPACES_SWAP)
        swap_generations(feed, spaces->a, spaces->b);
    else
        feed->generation_of[spaces->a] = spaces->generation;
}

static void undo(struct stave_feed *feed, const struct record_spaces *spaces)
{
    if (spaces->op == RECORD_SPACES_SWAP)
        swap_generations(feed, spaces->a, spaces->b);
    else
        feed->generation_of[spaces->a] = spaces->old_generation;
}

/* Collects the drops and swaps with a sequence above feed->after, up to `now`, into `changes`. */
static enum stave_status collect(struct stave_feed *feed, uint64_t now, struct buffer *changes,
                                 struct error *error)
{
    const uint64_t after = feed->after;
    for (;;) {
        struct record record;
        enum stave_status status = peek(feed, &record, error);
        if (status == STAVE_END) {
            status = advance(feed, error);
            if (status == STAVE_OK) continue;
            return status == STAVE_END ? STAVE_OK : status;
        }
        if (status != STAVE_OK) return status;
        if (record.sequence > now) return STAVE_OK;
        const uint8_t *key = NULL;
        if (record.kind == RECORD_SPACES && record.sequence > after) {
            struct spaces_change change = {.sequence = record.sequence};
            status = show(feed, &record, &key, error);
            if (status == STAVE_OK) status = record_decode_spaces(key, record.value_size, &change.spaces);
            if (status == STAVE_OK) status = buffer_append(changes, &change, sizeof(change));
            if (status != STAVE_OK) return status;
        }
        feed->offset += record_size(&record);
    }
}

/* feed->generation_of as it was at feed->after, and the feed back at its beginning. */
static enum stave_status learn_spaces(struct stave_feed *feed, struct error *error)
{
    struct store *store = feed->store;
    const uint64_t after = feed->after;
    struct buffer changes = buffer_limited(LEARN_MAX * sizeof(struct spaces_change));
    mutex_lock(&store->write_lock);
    const uint64_t now = atomic_load(&store->sequence);
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        feed->generation_of[i] = atomic_load(&store->generation_of[i]);
    mutex_unlock(&store->write_lock);
    enum stave_status status = after < now ? collect(feed, now, &changes, error) : STAVE_OK;
    for (size_t left = changes.size / sizeof(struct spaces_change); left > 0; left--) {
        struct spaces_change change;
        memcpy(&change, changes.data + (left - 1) * sizeof(change), sizeof(change));
        undo(feed, &change.spaces);
    }
    buffer_free(&changes);
    if (status != STAVE_OK) return status;
    feed->after = after;
    status = enter(feed, sequence_incarnation(after), error);
    return status == STAVE_END ? STAVE_OK : status;
}

/* ------------------------------------------------------------------ changes */

/* The value that a LINK publishes lies in a segment of its own, which compaction may have taken by now. */
static enum stave_status read_link(struct stave_feed *feed, const struct record *record, const uint8_t *value,
                                   struct stave_bytes *ret_value, struct error *error)
{
    struct record_link link;
    enum stave_status status = record_decode_link(value, record->value_size, &link);
    if (status == STAVE_OK) status = window_open(feed->store, &feed->large, link.segment_id, error);
    if (status == STAVE_NOT_FOUND) return STAVE_GONE;
    uint64_t size = 0;
    if (status == STAVE_OK) status = file_size(&feed->large.file, &size, error);
    if (status != STAVE_OK) return status;

    const uint8_t *at = NULL;
    struct record put = {.kind = 0};
    status = size < SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE
                 ? STAVE_CORRUPT
                 : window_show(&feed->large, SEGMENT_HEADER_SIZE, (size_t)(size - SEGMENT_HEADER_SIZE), size,
                               &at, error);
    if (status == STAVE_OK)
        status = record_decode_header(at, (size_t)(size - SEGMENT_HEADER_SIZE), link.identity,
                                      SEGMENT_HEADER_SIZE, &put);
    if (status > 0) status = STAVE_CORRUPT;
    if (status == STAVE_OK &&
        (put.sequence != record->sequence || record_size(&put) > size - SEGMENT_HEADER_SIZE))
        status = STAVE_CORRUPT;
    if (status != STAVE_OK)
        return file_error(&feed->large.file, error, status, 0, "this is not the value that was linked");
    *ret_value = stave_bytes(at + record_header_size(put.flags) + put.key_size, put.value_size);
    if (record_payload_checksum(put.key_hash, ret_value->data, put.value_size) == link.payload_checksum)
        return STAVE_OK;
    return file_error(&feed->large.file, error, STAVE_CORRUPT, 0,
                      "offset %d: the value of a record is damaged", SEGMENT_HEADER_SIZE);
}

static uint64_t limit_of(const struct stave_feed *feed)
{
    const struct store *store = feed->store;
    const bool all = feed->flags & STAVE_FEED_NOT_DURABLE || store->options.read_only;
    return all ? atomic_load(&store->sequence) : atomic_load(&store->durable_sequence);
}

/* F3. The sequences of a batch's records follow its own without a gap. */
static enum stave_status begin_batch(struct stave_feed *feed, const struct record *record, uint64_t limit,
                                     struct error *error)
{
    struct record_batch batch;
    const uint8_t *key = NULL;
    enum stave_status status = show(feed, record, &key, error);
    if (status == STAVE_OK) status = record_decode_batch(key, record->value_size, &batch);
    if (status != STAVE_OK) return status;
    if (record->sequence + batch.count > limit) return STAVE_END;
    feed->batch_left = batch.count;
    return STAVE_OK;
}

static void fill_spaces(struct stave_feed *feed, const struct record_spaces *spaces,
                        struct stave_change *change)
{
    change->kind = spaces->op == RECORD_SPACES_SWAP ? STAVE_CHANGE_SWAP : STAVE_CHANGE_DROP;
    change->space = spaces->a;
    change->other_space = spaces->op == RECORD_SPACES_SWAP ? spaces->b : 0;
    apply(feed, spaces);
}

/* STAVE_NOT_FOUND: a record that is no change, or of a space that is not known any more. */
static enum stave_status fill(struct stave_feed *feed, const struct record *record,
                              struct stave_change *change, struct error *error)
{
    const uint8_t *key = NULL;
    enum stave_status status = show(feed, record, &key, error);
    if (status != STAVE_OK) return status;
    const uint8_t *value = key + record->key_size;
    if (record->kind == RECORD_SPACES) {
        struct record_spaces spaces;
        status = record_decode_spaces(value, record->value_size, &spaces);
        if (status == STAVE_OK) fill_spaces(feed, &spaces, change);
        return status;
    }
    change->space = space_of(feed, record->generation);
    if (change->space == STAVE_SPACE_COUNT_MAX) return STAVE_NOT_FOUND;
    change->kind = record->kind == RECORD_TOMBSTONE ? STAVE_CHANGE_DELETE : STAVE_CHANGE_PUT;
    change->key = stave_bytes(key, record->key_size);
    change->value = stave_bytes(value, record->value_size);
    change->expires_at_ms = record->expires_at_ms;
    return record->kind == RECORD_LINK ? read_link(feed, record, value, &change->value, error) : STAVE_OK;
}

static void step_over(struct stave_feed *feed, const struct record *record)
{
    feed->offset += record_size(record);
    if (record->sequence > feed->after) feed->after = record->sequence;
    if (record->flags & RECORD_IN_BATCH && feed->batch_left > 0) feed->batch_left--;
}

/* The record at feed->offset. STAVE_OK: a change; STAVE_NOT_FOUND: none, go on; STAVE_END: nothing yet. */
static enum stave_status take(struct stave_feed *feed, struct stave_change *change, struct error *error)
{
    struct record record;
    const uint64_t limit = limit_of(feed);
    enum stave_status status = peek(feed, &record, error);
    if (status != STAVE_OK) return status;
    if (record.kind != RECORD_MARK && record.sequence > limit) return STAVE_END;
    if (record.kind == RECORD_BATCH) status = begin_batch(feed, &record, limit, error);
    if (status != STAVE_OK) return status;

    *change = (struct stave_change){.sequence = record.sequence};
    const bool is_note = record.kind == RECORD_BATCH || record.kind == RECORD_MARK;
    if (is_note || record.sequence <= feed->after)
        status = STAVE_NOT_FOUND;
    else
        status = fill(feed, &record, change, error);
    if (status != STAVE_OK && status != STAVE_NOT_FOUND) return status;
    step_over(feed, &record);
    change->batch_continues = record.flags & RECORD_IN_BATCH && feed->batch_left > 0;
    return status;
}

/* The next change if there is one now. */
static enum stave_status poll(struct stave_feed *feed, struct stave_change *change, struct error *error)
{
    for (;;) {
        enum stave_status status = take(feed, change, error);
        if (status == STAVE_NOT_FOUND) continue;
        if (status != STAVE_END) return status;
        const uint64_t end = feed->segment == NULL ? 0 : atomic_load(&feed->segment->end);
        if (feed->segment != NULL && feed->offset < end) return STAVE_END;
        status = advance(feed, error);
        if (status != STAVE_OK) return status;
    }
}

/* ------------------------------------------------------------------ the interface */

static void nap(struct store *store, uint64_t deadline_ns)
{
    const uint64_t now = clock_monotonic_ns();
    const uint64_t wake = deadline_ns - now < NAP_NS ? deadline_ns : now + NAP_NS;
    mutex_lock(&store->sync_lock);
    (void)condition_wait_until(&store->sync_done, &store->sync_lock, wake);
    mutex_unlock(&store->sync_lock);
}

enum stave_status stave_feed_open(struct stave *handle, uint64_t after, uint32_t flags,
                                  struct stave_feed **ret_feed)
{
    enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (ret_feed == NULL || flags & ~(uint32_t)STAVE_FEED_NOT_DURABLE || after == UINT64_MAX)
        return STAVE_INVALID;
    struct stave_feed *feed = memory_alloc_zero(1, sizeof(*feed));
    if (feed == NULL) return store_error(handle->store, STAVE_NO_MEMORY, "no memory for a feed");
    feed->store = handle->store;
    feed->flags = flags;
    feed->after = after;
    feed->log = (struct window){.file = FILE_NONE, .bytes = buffer_limited(READ_SIZE_MAX)};
    feed->large = feed->log;

    struct error error = ERROR_NONE;
    status = enter(feed, sequence_incarnation(after), &error);
    if (status == STAVE_OK || status == STAVE_END) status = learn_spaces(feed, &error);
    if (status == STAVE_OK) {
        *ret_feed = feed;
        return STAVE_OK;
    }
    stave_feed_close(feed);
    return status < 0 && error.status != STAVE_OK ? store_note_error(handle->store, &error) : status;
}

enum stave_status stave_feed_next(struct stave_feed *feed, uint32_t timeout_ms,
                                  struct stave_change *ret_change)
{
    if (feed == NULL || ret_change == NULL) return STAVE_INVALID;
    if (!store_is_ours(feed->store)) return STAVE_FORKED;
    const uint64_t deadline = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    struct error error = ERROR_NONE;
    struct stave_change change;
    enum stave_status status;
    while ((status = poll(feed, &change, &error)) == STAVE_END && clock_monotonic_ns() < deadline)
        nap(feed->store, deadline);
    if (status == STAVE_OK) *ret_change = change;
    return status < 0 && error.status != STAVE_OK ? store_note_error(feed->store, &error) : status;
}

void stave_feed_close(struct stave_feed *feed)
{
    if (feed == NULL) return;
    release(feed);
    window_close(&feed->log);
    window_close(&feed->large);
    memory_free(feed);
}
