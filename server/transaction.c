/* SPDX-License-Identifier: MIT */
/* A transaction's life, and what it reads. */
#include "server/transaction.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "server/idle.h"
#include "server/transaction_state.h"

#define KEPT_CAPACITY_MAX ((size_t)1024) /* arrays above this are freed at the reset */
#define ARENA_SIZE_BASE                                                                                      \
    (UINT64_C(1) << 30) /* computed for one transaction, beside two of the largest values */

bool transaction_reserve(void **array, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity) return true;
    const size_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
    void *grown = memory_realloc(*array, wanted * element_size);
    if (grown == NULL) return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

struct transaction *transaction_new(struct server *server)
{
    struct transaction *transaction = memory_alloc_zero(1, sizeof *transaction);
    if (transaction != NULL) transaction->server = server;
    return transaction;
}

void transaction_free(struct transaction *transaction)
{
    if (transaction == NULL) return;
    transaction_reset(transaction);
    memory_free(transaction->notes);
    memory_free(transaction->expired);
    memory_free(transaction->views);
    memory_free(transaction->staged);
    memory_free(transaction->wanted);
    stave_batch_free(transaction->batch);
    stave_free(transaction->random.data);
    memory_free(transaction);
}

void transaction_begin(struct transaction *transaction, const struct transaction_mode *mode)
{
    transaction->mode = *mode;
    transaction->counts_reads = mode->counts_reads;
}

/* Empties an array; one that has grown large is freed. */
static void empty_array(void **array, size_t *count, size_t *capacity)
{
    *count = 0;
    if (*capacity <= KEPT_CAPACITY_MAX) return;
    memory_free(*array);
    *array = NULL;
    *capacity = 0;
}

void transaction_reset(struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->view_count; i++) {
        struct held_view *held = &transaction->views[i];
        if (!held->is_taken) stave_view_release(held->store, &held->view);
    }
    empty_array((void **)&transaction->views, &transaction->view_count, &transaction->view_capacity);
    empty_array((void **)&transaction->notes, &transaction->note_count, &transaction->note_capacity);
    empty_array((void **)&transaction->expired, &transaction->expired_count, &transaction->expired_capacity);
    empty_array((void **)&transaction->staged, &transaction->staged_count, &transaction->staged_capacity);
    empty_array((void **)&transaction->wanted, &transaction->wanted_count, &transaction->wanted_capacity);
    memory_free(transaction->slots);
    transaction->slots = NULL;
    transaction->slot_count = 0;
    memory_free(transaction->mappings);
    transaction->mappings = NULL;
    transaction->next_number = 0;
    transaction->is_looking = false;
    transaction->hit_count = 0;
    transaction->miss_count = 0;
    transaction->walk = (struct transaction_walk){.is_wanted = false};
    arena_clear(&transaction->arena);
}

/* ------------------------------------------------------------------ memory */

void *transaction_alloc(struct transaction *transaction, size_t size)
{
    const uint64_t size_max = ARENA_SIZE_BASE + 2 * (uint64_t)transaction->server->config.proto_max_bulk_len;
    return arena_alloc(&transaction->arena, size, size_max);
}

void transaction_collect(struct transaction *transaction)
{
    if (!arena_begin_marking(&transaction->arena)) return;
    for (size_t i = 0; i < transaction->staged_count; i++) {
        arena_mark(&transaction->arena, transaction->staged[i].key);
        arena_mark(&transaction->arena, transaction->staged[i].value);
    }
    arena_end_marking(&transaction->arena);
}

/* ------------------------------------------------------------------ what the dispatcher and the reply ask */

uint64_t transaction_seen(const struct transaction *transaction)
{
    return transaction->seen_sequence;
}

void transaction_see_all(struct transaction *transaction)
{
    transaction->seen_sequence = stave_sequence(transaction->server->store);
}

void transaction_forget_seen(struct transaction *transaction)
{
    transaction->seen_sequence = 0;
}

struct mapping transaction_mapping(const struct transaction *transaction, uint32_t database)
{
    assert(database < transaction->server->database_count);
    if (transaction->mappings == NULL) return (struct mapping){database, database, false};
    return transaction->mappings[database];
}

const struct transaction_key *transaction_wanted(const struct transaction *transaction, size_t *ret_count)
{
    *ret_count = transaction->wanted_count;
    return transaction->wanted;
}

struct transaction_walk transaction_wanted_walk(const struct transaction *transaction)
{
    return transaction->walk;
}

void transaction_bring_random(struct transaction *transaction, uint32_t space, struct stave_value *key)
{
    stave_free(transaction->random.data);
    transaction->random = *key;
    transaction->random_space = space;
    *key = (struct stave_value){.data = NULL};
}

bool transaction_take_view(struct transaction *transaction, struct stave_bytes value,
                           struct stave **ret_store, struct stave_view *ret_view)
{
    for (size_t i = transaction->view_count; i > 0; i--) {
        struct held_view *held = &transaction->views[i - 1];
        if (held->is_taken || held->view.data != value.data || held->view.size != value.size) continue;
        held->is_taken = true;
        *ret_store = held->store;
        *ret_view = held->view;
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------ reading */

void transaction_look(struct transaction *transaction)
{
    transaction->is_looking = true;
}

void transaction_use(struct transaction *transaction, uint32_t database, struct stave_bytes key)
{
    if (transaction->is_looking) return;
    idle_note(transaction->server->idle, database, key, transaction->mode.now_ms);
}

void transaction_count_reads(struct transaction *transaction, bool counts)
{
    transaction->counts_reads = counts;
}

static void count_read(struct transaction *transaction, bool found)
{
    if (!transaction->counts_reads) return;
    transaction->hit_count += found;
    transaction->miss_count += !found;
}

static enum stave_status note_read(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                   uint64_t sequence)
{
    if (sequence > transaction->seen_sequence) transaction->seen_sequence = sequence;
    if (sequence == 0) transaction_see_all(transaction);
    if (transaction->mode.is_exclusive) return STAVE_OK;
    if (!transaction_reserve((void **)&transaction->notes, transaction->note_count,
                             &transaction->note_capacity, sizeof *transaction->notes)) {
        return STAVE_NO_MEMORY;
    }
    transaction->notes[transaction->note_count++] = (struct read_note){database, key, sequence};
    return STAVE_OK;
}

static enum stave_status note_wanted(struct transaction *transaction, uint32_t space, struct stave_bytes key,
                                     struct transaction_part part)
{
    if (transaction->wanted_count >= TRANSACTION_WANTED_COUNT_MAX) return STAVE_WOULD_BLOCK;
    if (!transaction_reserve((void **)&transaction->wanted, transaction->wanted_count,
                             &transaction->wanted_capacity, sizeof *transaction->wanted)) {
        return STAVE_NO_MEMORY;
    }
    transaction->wanted[transaction->wanted_count++] = (struct transaction_key){space, key, part};
    return STAVE_WOULD_BLOCK;
}

enum stave_status transaction_seek(struct transaction *transaction, uint32_t space, struct stave_bytes key,
                                   struct transaction_part part)
{
    struct stave_read read = {
        .flags = STAVE_READ_NO_WAIT, .offset = part.offset, .size = part.size, .now_ms = EXPIRED_TOO};
    if (part.offset == 0 && part.size == 0) read.offset = 1; /* less than the whole is not verified */
    struct stave *store = transaction->server->databases[space];
    struct stave_info info;
    struct stave_view view = {0};
    const enum stave_status status =
        part.is_wanted ? stave_view(store, key, &read, &view) : stave_info_with(store, key, &read, &info);
    stave_view_release(store, &view);
    return status == STAVE_WOULD_BLOCK ? note_wanted(transaction, space, key, part) : STAVE_OK;
}

static enum stave_status hold_view(struct transaction *transaction, struct stave *store,
                                   const struct stave_view *view)
{
    if (!transaction_reserve((void **)&transaction->views, transaction->view_count,
                             &transaction->view_capacity, sizeof *transaction->views)) {
        return STAVE_NO_MEMORY;
    }
    transaction->views[transaction->view_count++] = (struct held_view){store, *view, false};
    return STAVE_OK;
}

static struct item item_of_view(const struct stave_view *view)
{
    return (struct item){.found = true,
                         .value = stave_bytes(view->data, view->size),
                         .value_size = view->size,
                         .sequence = view->sequence,
                         .expires_at_ms = view->expires_at_ms};
}

bool transaction_is_expired(const struct transaction *transaction, uint64_t expires_at_ms)
{
    return expires_at_ms != 0 && expires_at_ms <= transaction->mode.now_ms;
}

/* T4. What has expired is absent; the commit removes it, as far as there is room to note it. */
static bool note_expired(struct transaction *transaction, uint32_t space, struct stave_bytes key,
                         uint64_t sequence, uint64_t expires_at_ms)
{
    if (!transaction_is_expired(transaction, expires_at_ms)) return false;
    if (transaction->expired_count < TRANSACTION_EXPIRED_COUNT_MAX &&
        transaction_reserve((void **)&transaction->expired, transaction->expired_count,
                            &transaction->expired_capacity, sizeof *transaction->expired)) {
        transaction->expired[transaction->expired_count++] = (struct read_note){space, key, sequence};
    }
    return true;
}

/* What has expired is seen, to be removed. */
static void complete_read(const struct transaction *transaction, struct stave_read *read)
{
    read->now_ms = EXPIRED_TOO;
    if (!transaction->mode.may_wait) read->flags |= STAVE_READ_NO_WAIT;
}

/* A key's value (or the part that `read` asks for) as the store has it; it is not noted as read. */
static enum stave_status view_store(struct transaction *transaction, const struct mapping *mapping,
                                    uint32_t database, struct stave_bytes key, struct stave_read read,
                                    struct item *ret_item)
{
    *ret_item = (struct item){0};
    if (mapping->is_flushed) return STAVE_OK;
    struct stave *store = transaction->server->databases[mapping->space];
    complete_read(transaction, &read);
    struct stave_view view;
    enum stave_status status = stave_view(store, key, &read, &view);
    if (status == STAVE_CORRUPT) { /* what has expired is absent, and not damaged */
        read.now_ms = transaction->mode.now_ms;
        status = stave_view(store, key, &read, &view);
    }
    if (status == STAVE_WOULD_BLOCK)
        return note_wanted(transaction, mapping->space, key,
                           (struct transaction_part){true, read.offset, read.size});
    if (status == STAVE_NOT_FOUND) return STAVE_OK;
    if (status != STAVE_OK) return status;
    if (note_expired(transaction, mapping->space, key, view.sequence, view.expires_at_ms)) {
        stave_view_release(store, &view);
        return STAVE_OK;
    }

    status = hold_view(transaction, store, &view);
    if (status != STAVE_OK) {
        stave_view_release(store, &view);
        return status;
    }
    *ret_item = item_of_view(&view);
    transaction_use(transaction, database, key);
    return STAVE_OK;
}

static enum stave_status read_store(struct transaction *transaction, const struct mapping *mapping,
                                    uint32_t database, struct stave_bytes key, struct item *ret_item)
{
    const enum stave_status status =
        view_store(transaction, mapping, database, key, (struct stave_read){0}, ret_item);
    if (status != STAVE_OK || mapping->is_flushed) return status;
    return note_read(transaction, database, key, ret_item->sequence);
}

struct item transaction_staged_item(const struct transaction *transaction, const struct staged *staged)
{
    if (staged->kind == STAGED_DELETE || transaction_is_expired(transaction, staged->expires_at_ms)) {
        return (struct item){0};
    }
    return (struct item){.found = true,
                         .value = staged->value,
                         .value_size = staged->value.size,
                         .expires_at_ms = staged->expires_at_ms};
}

/* A staged expiry of a value that the store has becomes a put of that value. */
static enum stave_status settle_expire(struct transaction *transaction, const struct mapping *mapping,
                                       struct staged *staged)
{
    struct item item;
    const enum stave_status status = read_store(transaction, mapping, staged->database, staged->key, &item);
    if (status != STAVE_OK) return status;
    staged->kind = item.found ? STAGED_PUT : STAGED_DELETE;
    staged->value = item.value;
    return STAVE_OK;
}

static enum stave_status get(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                             struct item *ret_item)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    struct staged *staged = transaction_find_staged(transaction, mapping.number, key);
    if (staged == NULL) {
        return read_store(transaction, &mapping, database, key, ret_item);
    }
    if (staged->kind == STAGED_EXPIRE) {
        const enum stave_status status = settle_expire(transaction, &mapping, staged);
        if (status != STAVE_OK) return status;
    }
    *ret_item = transaction_staged_item(transaction, staged);
    return STAVE_OK;
}

enum stave_status transaction_get(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                  struct item *ret_item)
{
    const enum stave_status status = get(transaction, database, key, ret_item);
    if (status == STAVE_OK) count_read(transaction, ret_item->found);
    return status;
}

static enum stave_status get_info(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                  struct item *ret_item)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    if (transaction_find_staged(transaction, mapping.number, key) != NULL) {
        const enum stave_status status = get(transaction, database, key, ret_item);
        if (status == STAVE_OK) ret_item->value = stave_bytes(NULL, 0);
        return status;
    }
    *ret_item = (struct item){0};
    if (mapping.is_flushed) return STAVE_OK;

    struct stave_read read = {0};
    complete_read(transaction, &read);
    struct stave_info info;
    const enum stave_status status =
        stave_info_with(transaction->server->databases[mapping.space], key, &read, &info);
    if (status == STAVE_WOULD_BLOCK)
        return note_wanted(transaction, mapping.space, key, TRANSACTION_NO_VALUE);
    if (status < 0) return status;
    if (status == STAVE_NOT_FOUND ||
        note_expired(transaction, mapping.space, key, info.sequence, info.expires_at_ms))
        return note_read(transaction, database, key, 0);
    *ret_item = (struct item){.found = true,
                              .value_size = info.value_size,
                              .sequence = info.sequence,
                              .expires_at_ms = info.expires_at_ms};
    return note_read(transaction, database, key, info.sequence);
}

enum stave_status transaction_info(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                   struct item *ret_item)
{
    const enum stave_status status = get_info(transaction, database, key, ret_item);
    if (status == STAVE_OK) count_read(transaction, ret_item->found);
    return status;
}

/* A part of a value that is staged. */
static enum stave_status get_staged_range(struct transaction *transaction, uint32_t database,
                                          struct stave_bytes key, uint64_t offset, size_t size,
                                          struct item *ret_item)
{
    struct item item;
    const enum stave_status status = get(transaction, database, key, &item);
    if (status != STAVE_OK) return status;
    const size_t start = offset < item.value.size ? (size_t)offset : item.value.size;
    const size_t rest = item.value.size - start;
    item.value = stave_bytes((const uint8_t *)item.value.data + start, size < rest ? size : rest);
    *ret_item = item;
    return STAVE_OK;
}

enum stave_status transaction_get_range(struct transaction *transaction, uint32_t database,
                                        struct stave_bytes key, const struct item *whole, uint64_t offset,
                                        size_t size, struct item *ret_item)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    struct item item = {0};
    enum stave_status status = STAVE_OK;
    if (whole != NULL)
        item = *whole;
    else
        status = transaction_info(transaction, database, key, &item);
    if (status != STAVE_OK) return status;
    if (transaction_find_staged(transaction, mapping.number, key) != NULL)
        return get_staged_range(transaction, database, key, offset, size, ret_item);
    if (!item.found || size == 0 || offset >= item.value_size) {
        *ret_item = item;
        return STAVE_OK;
    }
    struct item part;
    const struct stave_read range = {.offset = offset, .size = size};
    status = view_store(transaction, &mapping, database, key, range, &part);
    if (status != STAVE_OK) return status;
    if (part.sequence != item.sequence) return STAVE_CONFLICT;
    part.value_size = item.value_size;
    *ret_item = part;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ many keys */

/* One of many: its view is kept, or released. */
static enum stave_status keep_view(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                   struct stave_view *view, struct item *ret_item)
{
    struct stave *store = transaction->server->databases[database];
    const bool expired = note_expired(transaction, database, key, view->sequence, view->expires_at_ms);
    const enum stave_status status = expired ? STAVE_OK : hold_view(transaction, store, view);
    if (expired || status != STAVE_OK) {
        stave_view_release(store, view);
        return status == STAVE_OK ? note_read(transaction, database, key, 0) : status;
    }
    *ret_item = item_of_view(view);
    transaction_use(transaction, database, key);
    return note_read(transaction, database, key, view->sequence);
}

static enum stave_status keep_many(struct transaction *transaction, uint32_t database,
                                   const struct stave_bytes *keys, size_t count, struct stave_view *views,
                                   const enum stave_status *statuses, struct item *ret_items)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    enum stave_status result = STAVE_OK;
    for (size_t i = 0; i < count; i++) {
        enum stave_status status = statuses[i];
        ret_items[i] = (struct item){0};
        if (status == STAVE_WOULD_BLOCK)
            status = note_wanted(transaction, database, keys[i], TRANSACTION_WHOLE_VALUE);
        else if (status == STAVE_NOT_FOUND)
            status = note_read(transaction, database, keys[i], 0);
        else if (status == STAVE_OK)
            status = keep_view(transaction, database, keys[i], &views[i], &ret_items[i]);
        else
            status = read_store(transaction, &mapping, database, keys[i], &ret_items[i]);
        if (status == STAVE_OK) count_read(transaction, ret_items[i].found);
        if (result == STAVE_OK) result = status;
    }
    return result;
}

enum stave_status transaction_get_many(struct transaction *transaction, uint32_t database,
                                       const struct stave_bytes *keys, size_t count, struct item *ret_items)
{
    if (count == 1 || transaction->staged_count > 0) {
        for (size_t i = 0; i < count; i++) {
            const enum stave_status status = transaction_get(transaction, database, keys[i], &ret_items[i]);
            if (status != STAVE_OK) return status;
        }
        return STAVE_OK;
    }

    struct stave_view *views = memory_alloc_zero(count, sizeof *views);
    enum stave_status *statuses = memory_alloc_zero(count, sizeof *statuses);
    enum stave_status status = views == NULL || statuses == NULL ? STAVE_NO_MEMORY : STAVE_OK;
    if (status != STAVE_OK) goto done;
    struct stave_read read = {0};
    complete_read(transaction, &read);
    status = stave_multi_get(transaction->server->databases[database], keys, count, &read, views, statuses);
    if (status != STAVE_OK) goto done;
    status = keep_many(transaction, database, keys, count, views, statuses, ret_items);

done:
    memory_free(views);
    memory_free(statuses);
    return status;
}
