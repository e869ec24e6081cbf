/* SPDX-License-Identifier: MIT */
/*
 * Questions to a whole database in a transaction: how many keys, all keys, any key. The answer is the
 * store's, with what is staged in its place.
 *
 *   WK1  A key that is staged and not stored is given at the start of a walk, one that is both where the
 *        store has it; so each is given once.
 *   WK2  Where the transaction may not wait for the disk, a walk ends early at what it would have to wait
 *        for, and asks for the disk only if it got nowhere.
 *   WK3  A key of which a damaged record is all that there is cannot be given; the walk goes on behind it, up
 *        to SCAN_DAMAGE_COUNT_MAX of them.
 */
#include <string.h>

#include "base/memory.h"
#include "server/transaction_state.h"

#define SCAN_DAMAGE_COUNT_MAX 1000
#define SCAN_STEP_COUNT_MAX 256 /* of a cursor without a key, in one call */

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
        const struct item item = transaction_staged_item(transaction, staged);
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
        item = transaction_staged_item(transaction, staged);
    if (!item.found || transaction_is_expired(transaction, item.expires_at_ms)) return STAVE_OK;
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

/* Ends a walk at its first key. */
static enum stave_status take_first(void *context, struct stave_bytes key, const struct item *item)
{
    struct stave_value *taken = context;
    char *copy = memory_alloc(key.size + 1);
    if (copy == NULL) return STAVE_NO_MEMORY;
    if (key.size > 0) memcpy(copy, key.data, key.size);
    copy[key.size] = 0;
    *taken = (struct stave_value){copy, key.size, item->sequence, item->expires_at_ms};
    return STAVE_END;
}

/*
 * Any key that is there for the transaction. The store's choice goes by the clock, and knows nothing of what
 * is staged: in an EXEC it may have found none.
 */
static enum stave_status first_key(struct transaction *transaction, uint32_t database,
                                   struct stave_value *ret_key)
{
    struct stave_value key = {.data = NULL};
    uint64_t cursor = 0;
    do {
        const enum stave_status status = scan(transaction, database, &cursor, 1, take_first, &key);
        if (status != STAVE_OK && status != STAVE_END) return status;
    } while (cursor != 0 && key.data == NULL);
    if (key.data == NULL) return STAVE_NOT_FOUND;
    *ret_key = key;
    return STAVE_OK;
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
        if (staged == NULL || staged->kind == STAGED_EXPIRE ||
            transaction_staged_item(transaction, staged).found) {
            *ret_key = key;
            return STAVE_OK;
        }
        stave_free(key.data);
    }
    return first_key(transaction, database, ret_key);
}

enum stave_status transaction_random_key(struct transaction *transaction, uint32_t database,
                                         struct stave_value *ret_key)
{
    const enum stave_status status = random_key(transaction, database, ret_key);
    transaction_see_all(transaction);
    return status;
}
