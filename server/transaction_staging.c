/* SPDX-License-Identifier: MIT */
/* Writes staged in a transaction, and finding them again. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "server/transaction_state.h"
#include "server/watch.h"

#define UNINDEXED_COUNT_MAX ((size_t)8) /* so many are looked through one by one */
#define SLOT_COUNT_FIRST ((size_t)64)

static uint64_t hash_of(const struct transaction *transaction, uint32_t number, struct stave_bytes key)
{
    return hash_bytes(key.data, key.size, transaction->server->hash_seed + number);
}

static bool is_entry(const struct staged *staged, uint64_t hash, uint32_t number, struct stave_bytes key)
{
    return staged->hash == hash && staged->kind <= STAGED_EXPIRE && staged->number == number &&
           staged->key.size == key.size &&
           (key.size == 0 || memcmp(staged->key.data, key.data, key.size) == 0);
}

static struct staged *find(const struct transaction *transaction, uint64_t hash, uint32_t number,
                           struct stave_bytes key)
{
    if (transaction->slots == NULL) {
        for (size_t i = 0; i < transaction->staged_count; i++) {
            if (is_entry(&transaction->staged[i], hash, number, key)) return &transaction->staged[i];
        }
        return NULL;
    }
    size_t slot = hash & (transaction->slot_count - 1);
    for (; transaction->slots[slot] != 0; slot = (slot + 1) & (transaction->slot_count - 1)) {
        struct staged *staged = &transaction->staged[transaction->slots[slot] - 1];
        if (is_entry(staged, hash, number, key)) return staged;
    }
    return NULL;
}

struct staged *transaction_find_staged(const struct transaction *transaction, uint32_t number,
                                       struct stave_bytes key)
{
    if (transaction->staged_count == 0) return NULL;
    return find(transaction, hash_of(transaction, number, key), number, key);
}

static void index_entry(struct transaction *transaction, size_t index)
{
    size_t slot = transaction->staged[index].hash & (transaction->slot_count - 1);
    while (transaction->slots[slot] != 0) slot = (slot + 1) & (transaction->slot_count - 1);
    transaction->slots[slot] = (uint32_t)(index + 1);
}

/* Keeps the index at most half full. */
static bool grow_index(struct transaction *transaction)
{
    if (transaction->staged_count < UNINDEXED_COUNT_MAX) return true;
    if (transaction->slots != NULL && 2 * (transaction->staged_count + 1) <= transaction->slot_count)
        return true;

    const size_t slot_count = transaction->slots == NULL ? SLOT_COUNT_FIRST : 2 * transaction->slot_count;
    uint32_t *slots = memory_alloc_zero(slot_count, sizeof *slots);
    if (slots == NULL) return false;
    memory_free(transaction->slots);
    transaction->slots = slots;
    transaction->slot_count = slot_count;
    for (size_t i = 0; i < transaction->staged_count; i++) {
        if (transaction->staged[i].kind <= STAGED_EXPIRE) index_entry(transaction, i);
    }
    return true;
}

/* Appends an entry. */
static enum stave_status stage(struct transaction *transaction, const struct staged *entry)
{
    assert(transaction->mode.is_writing);
    if (transaction->staged_count >= STAVE_BATCH_COUNT_MAX) return STAVE_LIMIT;
    if (!grow_index(transaction) ||
        !transaction_reserve((void **)&transaction->staged, transaction->staged_count,
                             &transaction->staged_capacity, sizeof *entry)) {
        return STAVE_NO_MEMORY;
    }
    transaction->staged[transaction->staged_count++] = *entry;
    if (transaction->slots != NULL && entry->kind <= STAGED_EXPIRE) {
        index_entry(transaction, transaction->staged_count - 1);
    }
    return STAVE_OK;
}

/* A put or delete of a key: in the place of its earlier entry, or behind all. */
static enum stave_status stage_key(struct transaction *transaction, enum staged_kind kind, uint32_t database,
                                   struct stave_bytes key, struct stave_bytes value, uint64_t expires_at_ms)
{
    if (kind != STAGED_DELETE) transaction_use(transaction, database, key);
    const struct mapping mapping = transaction_mapping(transaction, database);
    const uint64_t hash = hash_of(transaction, mapping.number, key);
    struct staged *staged =
        transaction->staged_count == 0 ? NULL : find(transaction, hash, mapping.number, key);
    if (staged != NULL) {
        staged->kind = kind;
        staged->value = value;
        staged->expires_at_ms = expires_at_ms;
        return STAVE_OK;
    }
    const struct staged entry = {.kind = kind,
                                 .database = database,
                                 .number = mapping.number,
                                 .hash = hash,
                                 .key = key,
                                 .value = value,
                                 .expires_at_ms = expires_at_ms};
    return stage(transaction, &entry);
}

enum stave_status transaction_put(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                  struct stave_bytes value, uint64_t expires_at_ms)
{
    return stage_key(transaction, STAGED_PUT, database, key, value, expires_at_ms);
}

enum stave_status transaction_delete(struct transaction *transaction, uint32_t database,
                                     struct stave_bytes key)
{
    return stage_key(transaction, STAGED_DELETE, database, key, stave_bytes(NULL, 0), 0);
}

enum stave_status transaction_expire(struct transaction *transaction, uint32_t database,
                                     struct stave_bytes key, uint64_t expires_at_ms)
{
    const struct mapping mapping = transaction_mapping(transaction, database);
    struct staged *staged = transaction_find_staged(transaction, mapping.number, key);
    if (staged == NULL && transaction->mappings != NULL) {
        struct item item; /* the commit would look for the value in another space */
        const enum stave_status status = transaction_get(transaction, database, key, &item);
        if (status != STAVE_OK || !item.found) return status;
        return stage_key(transaction, STAGED_PUT, database, key, item.value, expires_at_ms);
    }
    if (staged == NULL) {
        return stage_key(transaction, STAGED_EXPIRE, database, key, stave_bytes(NULL, 0), expires_at_ms);
    }
    if (staged->kind != STAGED_DELETE) staged->expires_at_ms = expires_at_ms;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ whole databases */

/* From here on databases are seen through mappings (TS1). */
static bool map_databases(struct transaction *transaction)
{
    if (transaction->mappings != NULL) return true;
    const uint32_t count = transaction->server->database_count;
    struct mapping *mappings = memory_alloc_zero(count, sizeof *mappings);
    if (mappings == NULL) return false;
    for (uint32_t i = 0; i < count; i++) mappings[i] = (struct mapping){i, i, false};
    transaction->mappings = mappings;
    transaction->next_number = count;
    return true;
}

/* A watched key is touched by what empties or replaces its database if it was there, or is now. */
struct touched {
    struct transaction *transaction;
    uint32_t databases[2];
    size_t database_count;
};

/* What is noted of the key is taken back: it is the table's, and may go before the commit (UNWATCH). */
static bool is_touched(void *context, struct stave_bytes key)
{
    const struct touched *touched = context;
    struct transaction *transaction = touched->transaction;
    const size_t expired_count = transaction->expired_count;
    const size_t wanted_count = transaction->wanted_count;
    bool was_found = false;
    for (size_t i = 0; i < touched->database_count && !was_found; i++) {
        struct item item;
        was_found =
            transaction_info(transaction, touched->databases[i], key, &item) != STAVE_OK || item.found;
    }
    transaction->expired_count = expired_count;
    transaction->wanted_count = wanted_count;
    return was_found;
}

enum stave_status transaction_flush(struct transaction *transaction, uint32_t database)
{
    assert(transaction->mode.is_exclusive);
    if (!map_databases(transaction)) return STAVE_NO_MEMORY;
    struct touched touched = {transaction, {database, 0}, 1};
    watch_touch_database(transaction->server->watch, database, is_touched, &touched);

    const struct staged entry = {.kind = STAGED_FLUSH, .database = database};
    const enum stave_status status = stage(transaction, &entry);
    if (status != STAVE_OK) return status;
    transaction->mappings[database].number = transaction->next_number++;
    transaction->mappings[database].is_flushed = true;
    return STAVE_OK;
}

enum stave_status transaction_swap(struct transaction *transaction, uint32_t database_a, uint32_t database_b)
{
    assert(transaction->mode.is_exclusive);
    if (database_a == database_b) return STAVE_OK;
    if (!map_databases(transaction)) return STAVE_NO_MEMORY;
    struct touched touched = {transaction, {database_a, database_b}, 2};
    watch_touch_database(transaction->server->watch, database_a, is_touched, &touched);
    watch_touch_database(transaction->server->watch, database_b, is_touched, &touched);

    const struct staged entry = {.kind = STAGED_SWAP, .database = database_a, .other = database_b};
    const enum stave_status status = stage(transaction, &entry);
    if (status != STAVE_OK) return status;
    const struct mapping moved = transaction->mappings[database_a];
    transaction->mappings[database_a] = transaction->mappings[database_b];
    transaction->mappings[database_b] = moved;
    return STAVE_OK;
}
