/* SPDX-License-Identifier: MIT */
/*
 * Batches: applied as a whole or not at all (P5).
 *
 *   B1  Everything that can fail is done before the first record is appended: look-ups, conditions, room,
 *       memory. In a tail that is written by pwrite an append can still fail; then the store fails (T7), and
 *       recovery drops the batch, whose BATCH record promises more than there is.
 *   B2  The index and the spaces are changed when all records have been appended: of a batch that fails
 *       nothing is ever seen.
 *   B3  batch_version is odd while records of a batch become visible one by one; multi_get repeats around it.
 */
#include <assert.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "store/failure.h"
#include "store/large.h"
#include "store/operation.h"
#include "store/segments.h"
#include "store/space.h"
#include "store/writer.h"

#define KEPT_SIZE_MAX ((size_t)1 << 20) /* of each kind of memory that a cleared batch keeps */

enum { PREFETCH_GROUP = 32 }; /* writes whose memory is asked for at once */

enum entry_kind { ENTRY_PUT, ENTRY_DELETE, ENTRY_REQUIRE, ENTRY_DROP, ENTRY_SWAP };

struct entry {
    enum entry_kind kind;
    uint32_t space;
    uint32_t other_space;
    size_t key_at; /* in batch->bytes */
    size_t key_size;
    size_t value_size; /* the value follows the key */
    uint64_t expires_at_ms;
    uint64_t sequence;       /* REQUIRE; DROP, SWAP: of the record, once it is appended */
    uint32_t generation;     /* DROP: the new one, */
    uint32_t old_generation; /* and the one that it gives up */
    struct change change;
};

struct stave_batch {
    struct stave *handle;
    uint32_t space;
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint8_t *bytes;
    size_t bytes_size;
    size_t bytes_capacity;
    uint64_t log_size; /* of values not above STAVE_LARGE_SIZE, for the limit */
    uint32_t *table;   /* while committing: 1 + index of the last entry of a hash; open addressing */
    size_t table_size;
};

/* ------------------------------------------------------------------ gathering */

enum stave_status stave_batch_begin(struct stave *handle, struct stave_batch **ret_batch)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (ret_batch == NULL) return STAVE_INVALID;
    struct stave_batch *batch = memory_alloc_zero(1, sizeof(*batch));
    if (batch == NULL) return store_error(handle->store, STAVE_NO_MEMORY, "no memory for a batch");
    batch->handle = handle;
    batch->space = handle->number;
    *ret_batch = batch;
    return STAVE_OK;
}

void stave_batch_clear(struct stave_batch *batch)
{
    if (batch == NULL) return;
    if (batch->bytes_capacity > KEPT_SIZE_MAX) {
        memory_free(batch->bytes);
        batch->bytes = NULL;
        batch->bytes_capacity = 0;
    }
    if (batch->capacity > KEPT_SIZE_MAX / sizeof(*batch->entries)) {
        memory_free(batch->entries);
        batch->entries = NULL;
        batch->capacity = 0;
    }
    batch->count = 0;
    batch->bytes_size = 0;
    batch->log_size = 0;
    batch->space = batch->handle->number;
}

void stave_batch_free(struct stave_batch *batch)
{
    if (batch == NULL) return;
    memory_free(batch->entries);
    memory_free(batch->bytes);
    memory_free(batch->table);
    memory_free(batch);
}

size_t stave_batch_count(const struct stave_batch *batch)
{
    return batch == NULL ? 0 : batch->count;
}

static enum stave_status no_memory(struct stave_batch *batch)
{
    return store_error(batch->handle->store, STAVE_NO_MEMORY, "no memory for a batch of %zu writes",
                       batch->count);
}

static enum stave_status make_entry_room(struct stave_batch *batch, size_t bytes)
{
    if (batch->count == batch->capacity) {
        const size_t capacity = batch->capacity == 0 ? 16 : batch->capacity * 2;
        struct entry *larger = memory_realloc(batch->entries, capacity * sizeof(struct entry));
        if (larger == NULL) return no_memory(batch);
        batch->entries = larger;
        batch->capacity = capacity;
    }
    if (bytes <= batch->bytes_capacity - batch->bytes_size) return STAVE_OK;
    size_t capacity = batch->bytes_capacity == 0 ? 1024 : batch->bytes_capacity;
    while (capacity - batch->bytes_size < bytes) capacity *= 2;
    uint8_t *larger = memory_realloc(batch->bytes, capacity);
    if (larger == NULL) return no_memory(batch);
    batch->bytes = larger;
    batch->bytes_capacity = capacity;
    return STAVE_OK;
}

static enum stave_status add_entry(struct stave_batch *batch, const struct entry *entry,
                                   struct stave_bytes key, struct stave_bytes value)
{
    const uint64_t counted = RECORD_HEADER_SIZE_MAX + RECORD_ALIGNMENT + (uint64_t)key.size +
                             (value.size > STAVE_LARGE_SIZE ? RECORD_LINK_SIZE : value.size);
    if (batch->count >= STAVE_BATCH_COUNT_MAX || counted > STAVE_BATCH_SIZE_MAX - batch->log_size)
        return store_error(batch->handle->store, STAVE_LIMIT, "a batch may have %u writes and %llu bytes",
                           (unsigned)STAVE_BATCH_COUNT_MAX, (unsigned long long)STAVE_BATCH_SIZE_MAX);
    const enum stave_status status = make_entry_room(batch, key.size + value.size);
    if (status != STAVE_OK) return status;
    struct entry *added = &batch->entries[batch->count++];
    *added = *entry;
    added->space = entry->kind == ENTRY_DROP || entry->kind == ENTRY_SWAP ? entry->space : batch->space;
    added->key_at = batch->bytes_size;
    added->key_size = key.size;
    added->value_size = value.size;
    if (key.size > 0) memcpy(batch->bytes + batch->bytes_size, key.data, key.size);
    if (value.size > 0) memcpy(batch->bytes + batch->bytes_size + key.size, value.data, value.size);
    batch->bytes_size += key.size + value.size;
    batch->log_size += counted;
    return STAVE_OK;
}

enum stave_status stave_batch_put(struct stave_batch *batch, struct stave_bytes key, struct stave_bytes value,
                                  uint64_t expires_at_ms)
{
    if (batch == NULL) return STAVE_INVALID;
    const enum stave_status status = guard_write(batch->handle, key, value);
    if (status != STAVE_OK) return status;
    const struct entry entry = {.kind = ENTRY_PUT, .expires_at_ms = expires_at_ms};
    return add_entry(batch, &entry, key, value);
}

enum stave_status stave_batch_delete(struct stave_batch *batch, struct stave_bytes key)
{
    if (batch == NULL) return STAVE_INVALID;
    const enum stave_status status = guard_write(batch->handle, key, stave_bytes(NULL, 0));
    if (status != STAVE_OK) return status;
    const struct entry entry = {.kind = ENTRY_DELETE};
    return add_entry(batch, &entry, key, stave_bytes(NULL, 0));
}

enum stave_status stave_batch_require(struct stave_batch *batch, struct stave_bytes key, uint64_t sequence)
{
    if (batch == NULL) return STAVE_INVALID;
    const enum stave_status status = guard_write(batch->handle, key, stave_bytes(NULL, 0));
    if (status != STAVE_OK) return status;
    const struct entry entry = {.kind = ENTRY_REQUIRE, .sequence = sequence};
    return add_entry(batch, &entry, key, stave_bytes(NULL, 0));
}

enum stave_status stave_batch_select(struct stave_batch *batch, uint32_t space)
{
    if (batch == NULL || space >= STAVE_SPACE_COUNT_MAX) return STAVE_INVALID;
    if (!store_is_ours(batch->handle->store)) return STAVE_FORKED;
    batch->space = space;
    return STAVE_OK;
}

enum stave_status stave_batch_drop(struct stave_batch *batch, uint32_t space)
{
    if (batch == NULL || space >= STAVE_SPACE_COUNT_MAX) return STAVE_INVALID;
    if (!store_is_ours(batch->handle->store)) return STAVE_FORKED;
    const struct entry entry = {.kind = ENTRY_DROP, .space = space};
    return add_entry(batch, &entry, stave_bytes(NULL, 0), stave_bytes(NULL, 0));
}

enum stave_status stave_batch_swap(struct stave_batch *batch, uint32_t space_a, uint32_t space_b)
{
    if (batch == NULL || space_a >= STAVE_SPACE_COUNT_MAX || space_b >= STAVE_SPACE_COUNT_MAX)
        return STAVE_INVALID;
    if (!store_is_ours(batch->handle->store)) return STAVE_FORKED;
    const struct entry entry = {.kind = ENTRY_SWAP, .space = space_a, .other_space = space_b};
    return add_entry(batch, &entry, stave_bytes(NULL, 0), stave_bytes(NULL, 0));
}

/* ------------------------------------------------------------------ looking up, without a lock */

/*
 * The generations that the spaces have as the batch goes along: what the store has now, changed by the
 * batch's own drops and swaps. All of it is checked again under the write lock: as a whole if the batch has
 * drops or swaps, else for each write.
 */
struct plan {
    uint64_t now_ms; /* as of which requirements judge expiry */
    uint32_t flags;  /* of the commit */
    bool has_spaces; /* else the rest is not used */
    uint32_t generation[STAVE_SPACE_COUNT_MAX];
    uint32_t next_generation;
    uint64_t version; /* of the spaces, when they were read */
};

static void begin_plan(struct store *store, bool has_spaces, struct plan *plan)
{
    plan->has_spaces = has_spaces;
    if (!has_spaces) return;
    mutex_lock(&store->write_lock);
    plan->version = store->spaces_version;
    plan->next_generation = store->next_generation;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) plan->generation[i] = generation_of(store, i);
    mutex_unlock(&store->write_lock);
}

static uint32_t planned_generation(struct store *store, const struct plan *plan, uint32_t space)
{
    return plan->has_spaces ? plan->generation[space] : generation_of(store, space);
}

static void plan_spaces(struct plan *plan, struct entry *entry)
{
    if (entry->kind == ENTRY_DROP) {
        entry->generation = plan->next_generation++;
        entry->old_generation = plan->generation[entry->space];
        plan->generation[entry->space] = entry->generation;
    } else {
        const uint32_t generation = plan->generation[entry->space];
        plan->generation[entry->space] = plan->generation[entry->other_space];
        plan->generation[entry->other_space] = generation;
    }
}

static enum stave_status make_table(struct stave_batch *batch)
{
    size_t size = 16;
    while (size < batch->count * 2) size *= 2;
    if (size > batch->table_size) {
        memory_free(batch->table);
        batch->table = memory_alloc(size * sizeof(uint32_t));
        batch->table_size = batch->table != NULL ? size : 0;
        if (batch->table == NULL) return no_memory(batch);
    }
    memset(batch->table, 0, batch->table_size * sizeof(uint32_t));
    return STAVE_OK;
}

static bool same_key(const struct change *a, const struct change *b)
{
    return a->hash == b->hash && a->generation == b->generation && a->key.size == b->key.size &&
           (a->key.size == 0 || memcmp(a->key.data, b->key.data, a->key.size) == 0);
}

/* Notes the last write before it of the same key; a requirement looks at what was there before the batch. */
static void link_earlier(struct stave_batch *batch, size_t index)
{
    struct change *change = &batch->entries[index].change;
    size_t at = change->hash & (batch->table_size - 1);
    while (batch->table[at] != 0 && !same_key(&batch->entries[batch->table[at] - 1].change, change))
        at = (at + 1) & (batch->table_size - 1);
    change->earlier = batch->table[at];
    if (batch->entries[index].kind != ENTRY_REQUIRE) batch->table[at] = (uint32_t)index + 1;
}

static bool is_of_spaces(const struct entry *entry)
{
    return entry->kind == ENTRY_DROP || entry->kind == ENTRY_SWAP;
}

static bool has_spaces(const struct stave_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (is_of_spaces(&batch->entries[i])) return true;
    return false;
}

static void begin_change(struct stave_batch *batch, struct entry *entry, const struct plan *plan)
{
    struct store *store = batch->handle->store;
    const uint8_t *key = batch->bytes + entry->key_at;
    entry->change = (struct change){
        .kind = entry->kind == ENTRY_DELETE ? RECORD_TOMBSTONE : RECORD_PUT,
        .space = entry->space,
        .key = {key, entry->key_size},
        .value = {key + entry->key_size, entry->value_size},
        .write = {.flags = plan->flags, .expires_at_ms = entry->expires_at_ms},
        .generation = planned_generation(store, plan, entry->space),
    };
    change_hash(store, &entry->change);
}

static enum stave_status look_up(struct stave_batch *batch, size_t index)
{
    struct store *store = batch->handle->store;
    struct entry *entry = &batch->entries[index];
    const enum stave_status status = change_find_hashed(store, &entry->change);
    if (status != STAVE_OK) return status;
    link_earlier(batch, index);
    const bool is_large = entry->kind == ENTRY_PUT && large_is_due(store, &entry->change);
    return is_large ? large_prepare(store, &entry->change) : STAVE_OK;
}

static void prefetch_group(struct stave_batch *batch, size_t first, size_t end)
{
    struct store *store = batch->handle->store;
    const uint32_t token = epoch_enter(&store->epoch);
    for (size_t i = first; i < end; i++)
        if (!is_of_spaces(&batch->entries[i])) change_prefetch(store, &batch->entries[i].change);
    epoch_leave(&store->epoch, token);
}

/* Group by group: index lines are on their way while hashes are made, records while entries are looked up. */
static enum stave_status prepare_group(struct stave_batch *batch, size_t first, size_t end, struct plan *plan)
{
    for (size_t i = first; i < end; i++) {
        struct entry *entry = &batch->entries[i];
        if (is_of_spaces(entry))
            plan_spaces(plan, entry);
        else
            begin_change(batch, entry, plan);
    }
    prefetch_group(batch, first, end);
    enum stave_status status = STAVE_OK;
    for (size_t i = first; i < end && status == STAVE_OK; i++)
        if (!is_of_spaces(&batch->entries[i])) status = look_up(batch, i);
    return status;
}

static enum stave_status prepare(struct stave_batch *batch, struct plan *plan)
{
    for (size_t i = 0; i < batch->count; i++) batch->entries[i].change.large = NULL;
    begin_plan(batch->handle->store, has_spaces(batch), plan);
    enum stave_status status = make_table(batch);
    for (size_t first = 0; first < batch->count && status == STAVE_OK; first += PREFETCH_GROUP) {
        const size_t left = batch->count - first;
        status = prepare_group(batch, first, first + (left < PREFETCH_GROUP ? left : PREFETCH_GROUP), plan);
    }
    return status;
}

static void release_large(struct stave_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        segment_discard(batch->handle->store, batch->entries[i].change.large);
        batch->entries[i].change.large = NULL;
    }
}

/* ------------------------------------------------------------------ under the write lock */

/* STAVE_WOULD_BLOCK: something came between. */
static enum stave_status check_all(struct stave_batch *batch, const struct plan *plan)
{
    struct store *store = batch->handle->store;
    if (plan->has_spaces &&
        (plan->version != store->spaces_version || plan->next_generation < store->next_generation))
        return STAVE_WOULD_BLOCK;
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = &batch->entries[i];
        const struct change *change = &entry->change;
        if (is_of_spaces(entry)) continue;
        if (!plan->has_spaces && change->generation != generation_of(store, change->space))
            return STAVE_WOULD_BLOCK;
        const bool was_looked_up = change->earlier == 0 || entry->kind == ENTRY_REQUIRE;
        if (was_looked_up && !change_entry_still_holds(store, change)) return STAVE_WOULD_BLOCK;
        if (entry->kind != ENTRY_REQUIRE) continue;
        const bool is_there = change->found && !record_is_expired(&change->old, plan->now_ms);
        if (entry->sequence != (is_there ? change->old.sequence : 0)) return STAVE_CONFLICT;
    }
    return STAVE_OK;
}

/* Nothing in it asks for room that stays: it may use what is kept for deletes. (P9) */
static bool only_deletes(const struct stave_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].kind == ENTRY_PUT) return false;
    return true;
}

/* A requirement, and a delete of what is not there. */
static bool writes_nothing(const struct entry *entry)
{
    return entry->kind == ENTRY_REQUIRE || (entry->kind == ENTRY_DELETE && !entry->change.found);
}

/* What a write finds is what an earlier one of the same key left. Returns bytes and records of the log. */
static uint64_t resolve(struct stave_batch *batch, uint32_t *ret_count)
{
    const struct record spaces = {.value_size = RECORD_SPACES_SIZE};
    uint64_t size = 0;
    *ret_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct entry *entry = &batch->entries[i];
        struct change *change = &entry->change;
        if (entry->kind == ENTRY_REQUIRE) continue;
        if (is_of_spaces(entry)) {
            size += record_size(&spaces);
            ++*ret_count;
            continue;
        }
        if (change->earlier != 0) change->found = batch->entries[change->earlier - 1].kind == ENTRY_PUT;
        if (writes_nothing(entry)) continue;
        size += change_log_size(change);
        ++*ret_count;
    }
    return size;
}

static enum stave_status append_batch_header(struct store *store, uint32_t count, uint64_t size)
{
    uint8_t value[RECORD_BATCH_SIZE];
    const struct record_batch header = {count, size};
    uint64_t unused;
    record_encode_batch(&header, value);
    struct record record = {
        .kind = RECORD_BATCH,
        .value_size = RECORD_BATCH_SIZE,
        .payload_checksum = record_payload_checksum(0, value, sizeof(value)),
    };
    return writer_append(store, &record, NULL, value, &unused);
}

static struct record_spaces spaces_of(const struct entry *entry)
{
    if (entry->kind == ENTRY_SWAP)
        return (struct record_spaces){.op = RECORD_SPACES_SWAP, .a = entry->space, .b = entry->other_space};
    return (struct record_spaces){
        .op = RECORD_SPACES_DROP,
        .a = entry->space,
        .generation = entry->generation,
        .old_generation = entry->old_generation,
    };
}

static enum stave_status append_spaces(struct store *store, struct entry *entry, uint8_t flags)
{
    const struct record_spaces spaces = spaces_of(entry);
    uint8_t value[RECORD_SPACES_SIZE];
    uint64_t unused;
    record_encode_spaces(&spaces, value);
    struct record record = {
        .kind = RECORD_SPACES,
        .flags = flags,
        .value_size = RECORD_SPACES_SIZE,
        .payload_checksum = record_payload_checksum(0, value, sizeof(value)),
    };
    const enum stave_status status = writer_append(store, &record, NULL, value, &unused);
    if (status == STAVE_OK) entry->sequence = record.sequence;
    return status;
}

static enum stave_status append_entry(struct store *store, struct entry *entry, uint8_t flags,
                                      uint64_t *ret_sequence)
{
    if (writes_nothing(entry)) return STAVE_OK;
    if (!is_of_spaces(entry)) return change_append(store, &entry->change, flags, ret_sequence);
    const enum stave_status status = append_spaces(store, entry, flags);
    if (status == STAVE_OK) *ret_sequence = entry->sequence;
    return status;
}

static enum stave_status append_all(struct stave_batch *batch, uint32_t count, uint64_t *ret_sequence)
{
    struct store *store = batch->handle->store;
    const uint8_t flags = count > 1 ? RECORD_IN_BATCH : 0;
    uint64_t sequence = *ret_sequence;
    for (size_t i = 0; i < batch->count; i++) {
        const enum stave_status status = append_entry(store, &batch->entries[i], flags, &sequence);
        if (status != STAVE_OK) return status;
    }
    *ret_sequence = sequence;
    return STAVE_OK;
}

static void enter_entry(struct stave_batch *batch, struct entry *entry)
{
    struct store *store = batch->handle->store;
    struct change *change = &entry->change;
    if (writes_nothing(entry)) return;
    if (is_of_spaces(entry)) {
        const struct record_spaces spaces = spaces_of(entry);
        spaces_apply(store, &spaces, entry->sequence);
        return;
    }
    if (change->earlier != 0 && change->found) {
        const struct change *earlier = &batch->entries[change->earlier - 1].change;
        change->location = earlier->location;
        change->old = earlier->old;
    }
    change_enter(store, change);
}

static enum stave_status apply_all(struct stave_batch *batch, uint32_t count, uint64_t size,
                                   uint64_t *ret_sequence)
{
    struct store *store = batch->handle->store;
    enum stave_status status = count > 1 ? append_batch_header(store, count, size) : STAVE_OK;
    if (status != STAVE_OK) return status;
    status = append_all(batch, count, ret_sequence);
    if (status != STAVE_OK) {
        atomic_store(&store->failed, status); /* B1 */
        condition_broadcast(&store->roll_done);
        return status;
    }
    atomic_fetch_add(&store->batch_version, 1);
    for (size_t i = 0; i < batch->count; i++) enter_entry(batch, &batch->entries[i]); /* B2 */
    atomic_fetch_add(&store->batch_version, 1);
    return STAVE_OK;
}

static enum stave_status commit_locked(struct stave_batch *batch, const struct plan *plan,
                                       uint64_t *ret_sequence)
{
    struct store *store = batch->handle->store;
    const struct record header = {.value_size = RECORD_BATCH_SIZE};
    uint32_t count = 0;
    enum stave_status status = check_all(batch, plan);
    if (status != STAVE_OK) return status;
    uint64_t size = resolve(batch, &count);
    if (count == 0) return STAVE_OK;
    bool waited = false;
    status = writer_make_room(store, size + record_size(&header), only_deletes(batch), &waited);
    if (status == STAVE_OK) status = keydir_reserve(&store->keydir, batch->count);
    if (status == STAVE_OK && waited) {
        status = check_all(batch, plan);
        size = resolve(batch, &count);
    }
    if (status != STAVE_OK) return status;
    return apply_all(batch, count, size, ret_sequence);
}

enum stave_status stave_batch_commit(struct stave_batch *batch, const struct stave_write *write,
                                     uint64_t *ret_sequence)
{
    if (batch == NULL) return STAVE_INVALID;
    if (write != NULL && write->flags & ~(uint32_t)(STAVE_DURABLE | STAVE_NOT_DURABLE)) return STAVE_INVALID;
    struct store *store = batch->handle->store;
    enum stave_status status = guard_writable(batch->handle);
    if (status != STAVE_OK) return status;
    struct plan *plan = memory_alloc(sizeof(*plan));
    if (plan == NULL) return no_memory(batch);
    uint64_t sequence = store_newest(store);
    plan->flags = write == NULL ? 0 : write->flags;
    struct relief relief = {.may_come = only_deletes(batch)};
    do {
        plan->now_ms = moment_of(write == NULL ? 0 : write->now_ms);
        status = prepare(batch, plan);
        if (status == STAVE_OK) {
            mutex_lock(&store->write_lock);
            status = commit_locked(batch, plan, &sequence);
            mutex_unlock(&store->write_lock);
            if (atomic_load_explicit(&store->failed, memory_order_relaxed) != STAVE_OK)
                store_tell_failed(store); /* it may have been this batch: B1 */
        }
        release_large(batch);
        if (status == STAVE_FULL && relief.may_come) status = operation_relief(store, &relief);
    } while (status == STAVE_WOULD_BLOCK);
    const uint32_t flags = plan->flags;
    memory_free(plan);
    if (status == STAVE_FULL) (void)store_explain_full(store);
    if (status != STAVE_OK) return status;
    status = operation_finish(store, flags, sequence);
    if (status == STAVE_OK && ret_sequence != NULL) *ret_sequence = sequence;
    return status;
}

/* ------------------------------------------------------------------ spaces, as batches of one */

static enum stave_status commit_spaces(struct stave *handle, const struct entry *entry,
                                       const struct stave_write *write, uint64_t *ret_sequence)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(handle, &batch);
    if (status != STAVE_OK) return status;
    status = add_entry(batch, entry, stave_bytes(NULL, 0), stave_bytes(NULL, 0));
    if (status == STAVE_OK) status = stave_batch_commit(batch, write, ret_sequence);
    stave_batch_free(batch);
    return status;
}

enum stave_status stave_drop(struct stave *handle, const struct stave_write *write, uint64_t *ret_sequence)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    const struct entry entry = {.kind = ENTRY_DROP, .space = handle->number};
    return commit_spaces(handle, &entry, write, ret_sequence);
}

enum stave_status stave_swap(struct stave *handle, uint32_t space_a, uint32_t space_b,
                             const struct stave_write *write, uint64_t *ret_sequence)
{
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (space_a >= STAVE_SPACE_COUNT_MAX || space_b >= STAVE_SPACE_COUNT_MAX) return STAVE_INVALID;
    const struct entry entry = {.kind = ENTRY_SWAP, .space = space_a, .other_space = space_b};
    return commit_spaces(handle, &entry, write, ret_sequence);
}
