/* SPDX-License-Identifier: MIT */
/* A transaction's life, and what it reads. */
#include "server/transaction.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/idle.h"
#include "server/transaction_state.h"

#define KEPT_CAPACITY_MAX ((size_t)1024) /* arrays above this are freed at the reset */
#define ARENA_SIZE_BASE                                                                                      \
    (UINT64_C(1) << 30) /* computed for one transaction, beside two of the largest values */
#define ARENA_UNUSED_SIZE ((size_t)64 << 20) /* may lie about before it is looked for */
#define SCAN_DAMAGE_COUNT_MAX 1000
#define SCAN_STEP_COUNT_MAX 256 /* of a cursor without a key, in one call */

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
    while (transaction->arena != NULL) {
        struct arena_block *block = transaction->arena;
        transaction->arena = block->next;
        memory_free(block);
    }
    transaction->arena_block_count = 0;
    transaction->arena_size = 0;
    transaction->arena_used = 0;
}

/* ------------------------------------------------------------------ memory */

void *transaction_alloc(struct transaction *transaction, size_t size)
{
    const uint64_t size_max = ARENA_SIZE_BASE + 2 * (uint64_t)transaction->server->config.proto_max_bulk_len;
    if (size > size_max || transaction->arena_size > size_max - size) return NULL;
    struct arena_block *block = memory_alloc(sizeof *block + size);
    if (block == NULL) return NULL;
    block->next = transaction->arena;
    block->size = size;
    block->is_used = false;
    transaction->arena = block;
    transaction->arena_block_count++;
    transaction->arena_size += sizeof *block + size;
    return block->bytes;
}

static int compare_blocks(const void *a, const void *b)
{
    const uintptr_t first = (uintptr_t) * (struct arena_block *const *)a;
    const uintptr_t second = (uintptr_t) * (struct arena_block *const *)b;
    return first < second ? -1 : first > second;
}

/* Marks the block that the bytes lie in, if any. */
static void mark_block(struct arena_block **blocks, size_t count, struct stave_bytes bytes)
{
    size_t low = 0; /* blocks before it begin at the bytes or before them */
    while (low < count) {
        const size_t middle = (low + count) / 2;
        if ((uintptr_t)blocks[middle]->bytes <= (uintptr_t)bytes.data)
            low = middle + 1;
        else
            count = middle;
    }
    if (low == 0) return;
    struct arena_block *block = blocks[low - 1];
    if ((uintptr_t)bytes.data - (uintptr_t)block->bytes <= block->size) block->is_used = true;
}

static void free_unused(struct transaction *transaction)
{
    struct arena_block **link = &transaction->arena;
    while (*link != NULL) {
        struct arena_block *block = *link;
        if (block->is_used) {
            block->is_used = false;
            link = &block->next;
            continue;
        }
        *link = block->next;
        transaction->arena_block_count--;
        transaction->arena_size -= sizeof *block + block->size;
        memory_free(block);
    }
}

void transaction_collect(struct transaction *transaction)
{
    const size_t used = transaction->arena_used;
    const size_t more = used > ARENA_UNUSED_SIZE ? used : ARENA_UNUSED_SIZE;
    if (transaction->arena_size - used < more) return;
    const size_t count = transaction->arena_block_count;
    struct arena_block **blocks = memory_alloc(count * sizeof(struct arena_block *));
    if (blocks == NULL) return; /* later, perhaps */

    struct arena_block *block = transaction->arena;
    for (size_t i = 0; i < count; i++, block = block->next) blocks[i] = block;
    qsort(blocks, count, sizeof blocks[0], compare_blocks);
    for (size_t i = 0; i < transaction->staged_count; i++) {
        mark_block(blocks, count, transaction->staged[i].key);
        mark_block(blocks, count, transaction->staged[i].value);
    }
    memory_free(blocks);
    free_unused(transaction);
    transaction->arena_used = transaction->arena_size;
}

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

static bool is_expired(const struct transaction *transaction, uint64_t expires_at_ms)
{
    return expires_at_ms != 0 && expires_at_ms <= transaction->mode.now_ms;
}

/* T4. What has expired is absent; the commit removes it, as far as there is room to note it. */
static bool note_expired(struct transaction *transaction, uint32_t space, struct stave_bytes key,
                         uint64_t sequence, uint64_t expires_at_ms)
{
    if (!is_expired(transaction, expires_at_ms)) return false;
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

/* What a staged put shows; nothing if it is a delete or has expired. */
static struct item item_of_staged(const struct transaction *transaction, const struct staged *staged)
{
    if (staged->kind == STAGED_DELETE || is_expired(transaction, staged->expires_at_ms)) {
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
    *ret_item = item_of_staged(transaction, staged);
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

/* ------------------------------------------------------------------ all keys */

static bool is_stored(struct stave *store, struct stave_bytes key, uint64_t now_ms)
{
    const struct stave_read read = {.now_ms = now_ms};
    struct stave_info info;
    return stave_info_with(store, key, &read, &info) == STAVE_OK;
}

enum stave_status transaction_count(struct transaction *transaction, uint32_t database, uint64_t *ret_count)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    struct stave *store = transaction->server->databases[mapping.space];
    int64_t count = mapping.is_flushed ? 0 : (int64_t)stave_count(store);
    for (size_t i = 0; i < transaction->staged_count; i++) {
        const struct staged *staged = &transaction->staged[i];
        if (staged->number != mapping.number || staged->kind > STAGED_DELETE) continue;
        const bool was = !mapping.is_flushed && is_stored(store, staged->key, EXPIRED_TOO);
        count += (staged->kind == STAGED_PUT ? 1 : 0) - (was ? 1 : 0);
    }
    transaction_see_all(transaction);
    *ret_count = count > 0 ? (uint64_t)count : 0;
    return STAVE_OK;
}

/* Keys that are staged and not in the store. */
static enum stave_status scan_staged(struct transaction *transaction, const struct mapping *mapping,
                                     transaction_key_call call, void *context)
{
    for (size_t i = 0; i < transaction->staged_count; i++) {
        const struct staged *staged = &transaction->staged[i];
        if (staged->number != mapping->number || staged->kind != STAGED_PUT) continue;
        struct stave *store = transaction->server->databases[mapping->space];
        if (!mapping->is_flushed && is_stored(store, staged->key, transaction->mode.now_ms)) continue;
        const struct item item = item_of_staged(transaction, staged);
        if (!item.found) continue;
        const enum stave_status status = call(context, staged->key, &item);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

static enum stave_status scan_entry(struct transaction *transaction, const struct mapping *mapping,
                                    const struct stave_entry *entry, transaction_key_call call, void *context)
{
    struct item item = {.found = true,
                        .value_size = entry->value_size,
                        .sequence = entry->sequence,
                        .expires_at_ms = entry->expires_at_ms};
    const struct staged *staged = transaction_find_staged(transaction, mapping->number, entry->key);
    if (staged != NULL && staged->kind == STAGED_EXPIRE)
        item.expires_at_ms = staged->expires_at_ms;
    else if (staged != NULL)
        item = item_of_staged(transaction, staged);
    if (!item.found || is_expired(transaction, item.expires_at_ms)) return STAVE_OK;
    return call(context, entry->key, &item);
}

/* What comes next is on disk: the walk goes as far as it came, and waits only if that is nowhere. */
static enum stave_status stop_walk(struct transaction *transaction, uint32_t space, uint64_t began,
                                   const struct stave_cursor *keys)
{
    const uint64_t position = stave_cursor_position(keys);
    if (position != began) return STAVE_OK;
    transaction->walk = (struct transaction_walk){.is_wanted = true, .space = space, .position = position};
    return STAVE_WOULD_BLOCK;
}

static enum stave_status scan(struct transaction *transaction, uint32_t database, uint64_t *cursor,
                              size_t count_wanted, transaction_key_call call, void *context)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    enum stave_status status = STAVE_OK;
    if (*cursor == 0) status = scan_staged(transaction, &mapping, call, context);
    if (status != STAVE_OK) return status;
    if (mapping.is_flushed) {
        *cursor = 0;
        return STAVE_OK;
    }

    struct stave_cursor *keys = NULL;
    status = stave_cursor_open(transaction->server->databases[mapping.space], *cursor, stave_bytes(NULL, 0),
                               STAVE_CURSOR_KEYS | STAVE_CURSOR_STEPS |
                                   (transaction->mode.may_wait ? 0 : (uint32_t)STAVE_CURSOR_NO_WAIT),
                               &keys);
    if (status != STAVE_OK) return status;
    stave_cursor_as_of(keys, transaction->mode.now_ms);
    size_t seen = 0;
    size_t damage_count = 0;
    size_t step_count = 0;
    while (status == STAVE_OK) {
        struct stave_entry entry;
        status = stave_cursor_next(keys, &entry);
        if (status == STAVE_OK) {
            seen++;
            status = scan_entry(transaction, &mapping, &entry, call, context);
        } else if (status == STAVE_CORRUPT && ++damage_count < SCAN_DAMAGE_COUNT_MAX) {
            status = STAVE_OK;
        } else if (status == STAVE_STEP) {
            status = STAVE_OK;
            if (seen >= count_wanted || ++step_count >= SCAN_STEP_COUNT_MAX) break;
        }
    }
    if (status == STAVE_WOULD_BLOCK) status = stop_walk(transaction, mapping.space, *cursor, keys);
    if (status == STAVE_OK || status == STAVE_END) {
        *cursor = status == STAVE_END ? 0 : stave_cursor_position(keys);
        status = STAVE_OK;
    }
    stave_cursor_close(keys);
    return status;
}

enum stave_status transaction_scan(struct transaction *transaction, uint32_t database, uint64_t *cursor,
                                   size_t count_wanted, transaction_key_call call, void *context)
{
    const enum stave_status status = scan(transaction, database, cursor, count_wanted, call, context);
    transaction_see_all(transaction);
    return status;
}

/* Any staged key that is there. */
static enum stave_status random_staged(struct transaction *transaction, uint32_t number,
                                       struct stave_value *ret_key)
{
    for (size_t i = 0; i < transaction->staged_count; i++) {
        const struct staged *staged = &transaction->staged[i];
        if (staged->number != number || !item_of_staged(transaction, staged).found) continue;
        char *copy = memory_alloc(staged->key.size + 1);
        if (copy == NULL) return STAVE_NO_MEMORY;
        if (staged->key.size > 0) memcpy(copy, staged->key.data, staged->key.size);
        copy[staged->key.size] = 0;
        *ret_key = (struct stave_value){.data = copy, .size = staged->key.size};
        return STAVE_OK;
    }
    return STAVE_NOT_FOUND;
}

/* Where it may not wait, the pool brings one; which key it is may change meanwhile, not that it is there. */
static enum stave_status random_stored(struct transaction *transaction, uint32_t space,
                                       struct stave_value *ret_key)
{
    struct stave *store = transaction->server->databases[space];
    if (transaction->mode.may_wait) return stave_random_key(store, ret_key);
    if (stave_count(store) == 0) return STAVE_NOT_FOUND;
    struct stave_value key = transaction->random;
    transaction->random.data = NULL;
    if (key.data != NULL && transaction->random_space == space &&
        is_stored(store, stave_bytes(key.data, key.size), transaction->mode.now_ms)) {
        *ret_key = key;
        return STAVE_OK;
    }
    stave_free(key.data);
    transaction->walk = (struct transaction_walk){.is_wanted = true, .is_random = true, .space = space};
    return STAVE_WOULD_BLOCK;
}

static enum stave_status random_key(struct transaction *transaction, uint32_t database,
                                    struct stave_value *ret_key)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    for (int tries = 0; tries < 100 && !mapping.is_flushed; tries++) {
        struct stave_value key;
        const enum stave_status status = random_stored(transaction, mapping.space, &key);
        if (status == STAVE_NOT_FOUND) break;
        if (status != STAVE_OK) return status;
        const struct staged *staged =
            transaction_find_staged(transaction, mapping.number, stave_bytes(key.data, key.size));
        if (staged == NULL || staged->kind == STAGED_EXPIRE || item_of_staged(transaction, staged).found) {
            *ret_key = key;
            return STAVE_OK;
        }
        stave_free(key.data);
    }
    return random_staged(transaction, mapping.number, ret_key);
}

enum stave_status transaction_random_key(struct transaction *transaction, uint32_t database,
                                         struct stave_value *ret_key)
{
    const enum stave_status status = random_key(transaction, database, ret_key);
    transaction_see_all(transaction);
    return status;
}
