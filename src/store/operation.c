/* SPDX-License-Identifier: MIT */
/*
 * The path of one write: look up without a lock, decide, then under the write lock check that what was found
 * still holds, append, and point the index to the new record.
 */
#include "store/operation.h"

#include "base/memory.h"
#include "store/account.h"
#include "store/failure.h"
#include "store/large.h"
#include "store/pressure.h"
#include "store/segments.h"
#include "store/sync.h"
#include "store/writer.h"

/* ------------------------------------------------------------------ guards */

enum stave_status guard_store(const struct stave *handle)
{
    if (handle == NULL) return STAVE_INVALID;
    return store_is_ours(handle->store) ? STAVE_OK : STAVE_FORKED;
}

enum stave_status guard_writable(const struct stave *handle)
{
    const enum stave_status status = guard_store(handle);
    if (status != STAVE_OK) return status;
    if (handle->store->options.read_only) return STAVE_READ_ONLY;
    return atomic_load_explicit(&handle->store->failed, memory_order_acquire) != STAVE_OK ? STAVE_FAILED
                                                                                          : STAVE_OK;
}

enum stave_status guard_key(const struct stave *handle, struct stave_bytes key)
{
    if (key.data == NULL && key.size > 0) return STAVE_INVALID;
    return guard_store(handle);
}

enum stave_status guard_write(const struct stave *handle, struct stave_bytes key, struct stave_bytes value)
{
    if (key.data == NULL && key.size > 0) return STAVE_INVALID;
    if (value.data == NULL && value.size > 0) return STAVE_INVALID;
    const enum stave_status status = guard_writable(handle);
    if (status != STAVE_OK) return status;
    if (key.size > STAVE_KEY_SIZE_MAX)
        return store_error(handle->store, STAVE_LIMIT, "the key has %zu bytes, more than %u", key.size,
                           (unsigned)STAVE_KEY_SIZE_MAX);
    if (value.size > STAVE_VALUE_SIZE_MAX)
        return store_error(handle->store, STAVE_LIMIT, "the value has %zu bytes, more than %u", value.size,
                           (unsigned)STAVE_VALUE_SIZE_MAX);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ find and decide */

static enum stave_status find(struct store *store, struct change *change)
{
    change->generation = generation_of(store, change->space);
    change_hash(store, change);
    return change_find_hashed(store, change);
}

void change_hash(struct store *store, struct change *change)
{
    change->hash = record_key_hash(store->hash_seed, change->generation, change->key.data, change->key.size);
    keydir_prefetch(&store->keydir, change->hash);
    change->payload_checksum = record_payload_checksum(change->hash, change->value.data, change->value.size);
}

void change_prefetch(struct store *store, const struct change *change)
{
    struct keydir_probe probe;
    uint64_t location;
    if (keydir_probe_begin(&store->keydir, change->hash, &probe) != STAVE_OK) return;
    if (keydir_probe_next(&probe, &location)) reading_prefetch(store, location);
}

enum stave_status change_find_hashed(struct store *store, struct change *change)
{
    struct found found;
    const uint32_t token = epoch_enter(&store->epoch);
    const enum stave_status status =
        find_key(store, change->hash, change->generation, change->key, 0, &found);
    change->found = status == STAVE_OK;
    if (change->found) {
        change->location = found.location;
        change->identity = found.reading.segment->identity;
        change->old = found.reading.record;
        reading_end(&found.reading);
    }
    epoch_leave(&store->epoch, token);
    return status < 0 ? status : STAVE_OK;
}

/*
 * Whether the conditions in `write` hold for what was found: STAVE_OK, STAVE_EXISTS, STAVE_NOT_FOUND,
 * STAVE_CONFLICT.
 */
static enum stave_status check_conditions(const struct change *change, uint64_t now_ms)
{
    const uint32_t flags = change->write.flags;
    const bool is_there = change->found && !record_is_expired(&change->old, now_ms);
    if (flags & STAVE_IF_ABSENT && is_there) return STAVE_EXISTS;
    if (flags & STAVE_IF_PRESENT && !is_there) return STAVE_NOT_FOUND;
    if (flags & STAVE_IF_SEQUENCE && change->write.if_sequence != (is_there ? change->old.sequence : 0))
        return STAVE_CONFLICT;
    if (change->kind == RECORD_TOMBSTONE && !is_there) return STAVE_NOT_FOUND;
    return STAVE_OK;
}

static bool is_still_absent(struct store *store, const struct change *change)
{
    struct keydir_probe probe;
    uint64_t location;
    if (keydir_probe_begin(&store->keydir, change->hash, &probe) != STAVE_OK) return false;
    if (!keydir_probe_next(&probe, &location)) return true;
    /* Another key with the same tag, or this one put meanwhile: rare enough to read under the lock. */
    struct found found;
    const uint32_t token = epoch_enter(&store->epoch);
    const enum stave_status status =
        find_key(store, change->hash, change->generation, change->key, 0, &found);
    if (status == STAVE_OK) reading_end(&found.reading);
    epoch_leave(&store->epoch, token);
    return status == STAVE_NOT_FOUND;
}

bool change_entry_still_holds(struct store *store, const struct change *change)
{
    if (!change->found) return is_still_absent(store, change);
    const struct segment *segment = segment_at(store, change->location);
    return segment != NULL && segment->identity == change->identity &&
           keydir_has(&store->keydir, change->hash, change->location);
}

/* ------------------------------------------------------------------ apply */

static struct record record_of(const struct change *change, uint8_t flags)
{
    struct record record = {
        .kind = change->kind,
        .flags = flags,
        .key_hash = change->hash,
        .key_size = (uint32_t)change->key.size,
        .value_size = (uint32_t)change->value.size,
        .generation = change->generation,
        .payload_checksum = change->payload_checksum,
        .expires_at_ms = change->write.expires_at_ms,
    };
    if (record.expires_at_ms != 0) record.flags |= RECORD_HAS_EXPIRY;
    if (change->kind == RECORD_PUT && !change->found) record.flags |= RECORD_INSERT;
    return record;
}

uint64_t change_log_size(const struct change *change)
{
    struct record record = record_of(change, 0);
    if (change->large != NULL) record.value_size = RECORD_LINK_SIZE;
    return record_size(&record);
}

enum stave_status change_append(struct store *store, struct change *change, uint8_t record_flags,
                                uint64_t *ret_sequence)
{
    struct record record = record_of(change, record_flags);
    uint64_t location = 0;
    const enum stave_status status = change->large != NULL ? large_publish(store, change, &record, &location)
                                                           : writer_append(store, &record, change->key.data,
                                                                           change->value.data, &location);
    if (status != STAVE_OK) return status;
    change->appended_at = location;
    *ret_sequence = record.sequence;
    return STAVE_OK;
}

void change_enter(struct store *store, struct change *change)
{
    const struct record record = record_of(change, 0);
    const uint64_t location = change->appended_at;
    if (change->found) account_dead(store, change->location, change->hash, record_size(&change->old));
    if (change->kind == RECORD_PUT) {
        account_live(store, location, change->hash, record_size(&record));
        if (change->found)
            (void)keydir_replace(&store->keydir, change->hash, change->location, location);
        else
            keydir_insert(&store->keydir, change->hash, location);
        if (!change->found) store->count_of[change->space]++;
    } else {
        (void)keydir_remove(&store->keydir, change->hash, change->location);
        store->count_of[change->space]--;
    }
    change->location = location;
    change->old = record;
}

/* ------------------------------------------------------------------ the whole path */

/* Only an expiry makes the time matter. */
static bool change_needs_clock(const struct change *change)
{
    return change->found && change->old.expires_at_ms != 0;
}

/* write_lock: whether what was found is still so. */
static bool still_holds(struct store *store, const struct change *change)
{
    return change->generation == generation_of(store, change->space) &&
           change_entry_still_holds(store, change);
}

/* One attempt; STAVE_WOULD_BLOCK: something came between, try again. */
static enum stave_status attempt(struct store *store, struct change *change, uint64_t *ret_sequence)
{
    enum stave_status status = find(store, change);
    if (status != STAVE_OK) return status;
    const uint64_t now_ms = change_needs_clock(change) ? moment_of(change->write.now_ms) : 0;
    status = check_conditions(change, now_ms);
    if (status != STAVE_OK) return status;
    if (change->write.flags & STAVE_KEEP_EXPIRY && change->found && !record_is_expired(&change->old, now_ms))
        change->write.expires_at_ms = change->old.expires_at_ms;
    if (change->large != NULL && change->large_expires != (change->write.expires_at_ms != 0)) {
        segment_discard(store, change->large);
        change->large = NULL;
    }
    if (change->kind == RECORD_PUT && change->large == NULL && large_is_due(store, change)) {
        status = large_prepare(store, change);
        if (status != STAVE_OK) return status;
    }

    mutex_lock(&store->write_lock);
    status = writer_make_room(store, change_log_size(change), change->kind == RECORD_TOMBSTONE, NULL);
    if (status == STAVE_OK) status = keydir_reserve(&store->keydir, 1);
    if (status == STAVE_OK && !still_holds(store, change)) status = STAVE_WOULD_BLOCK;
    if (status == STAVE_OK) status = change_append(store, change, 0, ret_sequence);
    if (status == STAVE_OK) change_enter(store, change);
    mutex_unlock(&store->write_lock);
    return status;
}

enum stave_status operation_relief(struct store *store, struct relief *relief)
{
    relief->may_come = pressure_relief(
        store, &relief->fruitless); /* once more in any case: a turn under way may have gained */
    return STAVE_WOULD_BLOCK;
}

enum stave_status operation_write(struct store *store, struct change *change, uint64_t *ret_sequence)
{
    const struct stave_write asked = change->write;
    uint64_t sequence = 0;
    struct relief relief = {.may_come = change->kind == RECORD_TOMBSTONE};
    enum stave_status status;
    do {
        change->write = asked;
        status = attempt(store, change, &sequence);
        if (status == STAVE_FULL && relief.may_come) status = operation_relief(store, &relief);
    } while (status == STAVE_WOULD_BLOCK);
    segment_discard(store, change->large);
    if (status == STAVE_FULL) (void)store_explain_full(store);
    if (status != STAVE_OK) return status;
    status = operation_finish(store, asked.flags, sequence);
    if (status == STAVE_OK && ret_sequence != NULL) *ret_sequence = sequence;
    return status;
}

enum stave_status operation_finish(struct store *store, uint32_t write_flags, uint64_t sequence)
{
    const bool always = syncs_always(store);
    if (write_flags & STAVE_NOT_DURABLE) {
        if (always) sync_ask(store, sequence);
        return STAVE_OK;
    }
    if (always) return sync_to(store, sequence);
    return write_flags & STAVE_DURABLE ? sync_asked(store, sequence) : STAVE_OK;
}
