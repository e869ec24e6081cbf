/* SPDX-License-Identifier: MIT */
/*
 * The commit: nothing, one write, or one batch.
 *
 *   CM1  What a command answers that reads several keys was true at one moment. So its keys are looked at
 *        once more at its end: those that were there must be as they were; and meanwhile no loop may have
 *        committed a batch (of which half could be in sight) or a deletion (which can hide that an absent key
 *        was there for a moment). Otherwise the command is run again.
 *   CM2  A loop's commit version is odd while it commits a batch or a deletion.
 *   CM3  A write looks at the record that it takes the place of. Where that may not be waited for, it is
 *        brought before the commit begins.
 *   CM4  What a command has met and found expired is removed behind its commit, so that DBSIZE counts it no
 *        more. Nobody is shown anything else by that (X4); if it fails it is left to the cycle of expiry.h,
 *        and so is all else, until that has got through.
 */
#include <assert.h>
#include <string.h>

#include "server/stats.h"
#include "server/transaction_state.h"
#include "server/watch.h"

static bool is_same_key(const struct read_note *note, const struct staged *staged)
{
    return note->database == staged->database && note->key.size == staged->key.size &&
           (note->key.size == 0 || memcmp(note->key.data, staged->key.data, note->key.size) == 0);
}

/* Has the transaction read this key alone, and seen it once? */
static bool is_single(const struct transaction *transaction)
{
    if (transaction->staged_count != 1 || transaction->staged[0].kind > STAGED_EXPIRE) return false;
    for (size_t i = 0; i < transaction->note_count; i++) {
        if (!is_same_key(&transaction->notes[i], &transaction->staged[0])) return false;
        if (transaction->notes[i].sequence != transaction->notes[0].sequence) return false;
    }
    return true;
}

/* As of which the commit judges expiry (T4); 0: the clock's. */
static uint64_t moment_of(const struct transaction *transaction)
{
    return transaction->mode.is_exclusive ? transaction->mode.now_ms : 0;
}

static enum stave_status commit_single(struct transaction *transaction, uint64_t *ret_sequence)
{
    const struct staged *staged = &transaction->staged[0];
    struct stave *store = transaction->server->databases[staged->database];
    struct stave_write write = {
        .flags = STAVE_NOT_DURABLE, .expires_at_ms = staged->expires_at_ms, .now_ms = moment_of(transaction)};
    if (transaction->note_count > 0) {
        write.flags |= STAVE_IF_SEQUENCE;
        write.if_sequence = transaction->notes[0].sequence;
    }
    if (staged->kind == STAGED_PUT)
        return stave_put_with(store, staged->key, staged->value, &write, ret_sequence);

    if (staged->kind == STAGED_EXPIRE) {
        const enum stave_status status = stave_expire(store, staged->key, &write, ret_sequence);
        return status == STAVE_NOT_FOUND ? STAVE_CONFLICT : status; /* it was there, and has expired */
    }
    write.expires_at_ms = 0;
    const enum stave_status status = stave_delete_with(store, staged->key, &write, ret_sequence);
    if (status != STAVE_NOT_FOUND) return status;
    return write.flags & STAVE_IF_SEQUENCE && write.if_sequence != 0 ? STAVE_CONFLICT : STAVE_OK;
}

/* An expiry in a batch: the value is written again. */
static enum stave_status add_expire(struct transaction *transaction, const struct staged *staged)
{
    struct stave *store = transaction->server->databases[staged->database];
    const struct stave_read read = {.now_ms = moment_of(transaction)};
    struct stave_view view;
    const enum stave_status status = stave_view(store, staged->key, &read, &view);
    if (status == STAVE_NOT_FOUND) return STAVE_OK;
    if (status != STAVE_OK) return status;
    const enum stave_status added = stave_batch_put(transaction->batch, staged->key,
                                                    stave_bytes(view.data, view.size), staged->expires_at_ms);
    stave_view_release(store, &view);
    return added;
}

static enum stave_status add_staged(struct transaction *transaction, const struct staged *staged)
{
    struct stave_batch *batch = transaction->batch;
    if (staged->kind == STAGED_FLUSH) return stave_batch_drop(batch, staged->database);
    if (staged->kind == STAGED_SWAP) return stave_batch_swap(batch, staged->database, staged->other);

    const enum stave_status status = stave_batch_select(batch, staged->database);
    if (status != STAVE_OK) return status;
    if (staged->kind == STAGED_PUT) {
        return stave_batch_put(batch, staged->key, staged->value, staged->expires_at_ms);
    }
    if (staged->kind == STAGED_DELETE) return stave_batch_delete(batch, staged->key);
    return add_expire(transaction, staged);
}

static enum stave_status add_note(struct transaction *transaction, const struct read_note *note)
{
    const enum stave_status status = stave_batch_select(transaction->batch, note->database);
    if (status != STAVE_OK) return status;
    return stave_batch_require(transaction->batch, note->key, note->sequence);
}

static enum stave_status commit_batch(struct transaction *transaction, uint64_t *ret_sequence)
{
    enum stave_status status = STAVE_OK;
    if (transaction->batch == NULL) {
        status = stave_batch_begin(transaction->server->store, &transaction->batch);
        if (status != STAVE_OK) return status;
    }
    for (size_t i = 0; i < transaction->note_count && status == STAVE_OK; i++) {
        status = add_note(transaction, &transaction->notes[i]);
    }
    for (size_t i = 0; i < transaction->staged_count && status == STAVE_OK; i++) {
        status = add_staged(transaction, &transaction->staged[i]);
    }
    const struct stave_write write = {.flags = STAVE_NOT_DURABLE, .now_ms = moment_of(transaction)};
    if (status == STAVE_OK) status = stave_batch_commit(transaction->batch, &write, ret_sequence);
    stave_batch_clear(transaction->batch);
    return status;
}

/* Those who watch a key that was changed (T5). A database's own change has touched its keys already. */
static void touch_watchers(struct transaction *transaction)
{
    struct watch_table *watch = transaction->server->watch;
    if (watch_is_empty(watch)) return;
    for (size_t i = 0; i < transaction->staged_count; i++) {
        const struct staged *staged = &transaction->staged[i];
        if (staged->kind <= STAGED_EXPIRE) watch_touch(watch, staged->database, staged->key);
    }
}

/* The sum of all loops' versions; false: one is at it just now. */
static bool sum_versions(const struct server *server, uint64_t *ret_sum)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < server->loop_count; i++) {
        const uint64_t number = atomic_load(&server->commit_versions[i].number);
        if (number % 2 == 1) return false;
        sum += number;
    }
    *ret_sum = sum;
    return true;
}

/* By the clock (T4). STAVE_CONFLICT: it has changed. */
static enum stave_status check_read(struct transaction *transaction, const struct read_note *note)
{
    const struct stave_read read = {.flags = transaction->mode.may_wait ? 0 : STAVE_READ_NO_WAIT};
    struct stave_info info;
    const enum stave_status status =
        stave_info_with(transaction->server->databases[note->database], note->key, &read, &info);
    if (status == STAVE_WOULD_BLOCK)
        return transaction_seek(transaction, note->database, note->key, TRANSACTION_NO_VALUE) == STAVE_OK
                   ? STAVE_CONFLICT
                   : status;
    if (status == STAVE_NOT_FOUND) return note->sequence == 0 ? STAVE_OK : STAVE_CONFLICT;
    return status == STAVE_OK && info.sequence == note->sequence ? STAVE_OK : STAVE_CONFLICT;
}

/* CM1 */
static enum stave_status check_reads(struct transaction *transaction)
{
    if (transaction->note_count < 2) return STAVE_OK;
    uint64_t before;
    uint64_t after;
    if (!sum_versions(transaction->server, &before)) return STAVE_CONFLICT;
    for (size_t i = 0; i < transaction->note_count; i++) {
        const enum stave_status status = check_read(transaction, &transaction->notes[i]);
        if (status != STAVE_OK) return status;
    }
    if (!sum_versions(transaction->server, &after)) return STAVE_CONFLICT;
    return before == after ? STAVE_OK : STAVE_CONFLICT;
}

static enum stave_status commit_staged(struct transaction *transaction)
{
    const bool single = is_single(transaction);
    uint64_t sequence = 0; /* nothing was there to be deleted: what is said of that is the store's state */
    enum stave_status status;
    if (single && transaction->staged[0].kind == STAGED_PUT) {
        status = commit_single(transaction, &sequence);
    } else {
        _Atomic uint64_t *version = &transaction->server->commit_versions[transaction->mode.place].number;
        (void)atomic_fetch_add(version, 1); /* CM2 */
        status = single ? commit_single(transaction, &sequence) : commit_batch(transaction, &sequence);
        (void)atomic_fetch_add(version, 1);
    }
    if (sequence == 0) transaction_see_all(transaction);
    if (sequence > transaction->seen_sequence) transaction->seen_sequence = sequence;
    return status;
}

/* CM3 */
static enum stave_status seek_staged(struct transaction *transaction)
{
    if (transaction->mode.may_wait) return STAVE_OK;
    enum stave_status result = STAVE_OK;
    for (size_t i = 0; i < transaction->staged_count; i++) {
        const struct staged *staged = &transaction->staged[i];
        if (staged->kind > STAGED_EXPIRE) continue;
        const enum stave_status status =
            transaction_seek(transaction, staged->database, staged->key,
                             staged->kind == STAGED_EXPIRE ? TRANSACTION_WHOLE_VALUE /* written again */
                                                           : TRANSACTION_NO_VALUE);
        if (result == STAVE_OK) result = status;
    }
    return result;
}

static enum stave_status commit(struct transaction *transaction)
{
    if (transaction->staged_count == 0) return check_reads(transaction);
    enum stave_status status = seek_staged(transaction);
    if (status == STAVE_OK) status = commit_staged(transaction);
    if (status != STAVE_OK) return status;
    (void)atomic_fetch_add_explicit(&transaction->server->dirty, transaction->staged_count,
                                    memory_order_relaxed);
    touch_watchers(transaction);
    return STAVE_OK;
}

/* CM4 */
static void remove_expired(const struct transaction *transaction)
{
    struct server *server = transaction->server;
    for (size_t i = 0; i < transaction->expired_count; i++) {
        if (atomic_load_explicit(&server->leaves_expired, memory_order_relaxed)) return;
        const struct read_note *expired = &transaction->expired[i];
        const struct stave_write write = {.flags = STAVE_NOT_DURABLE | STAVE_IF_SEQUENCE,
                                          .if_sequence = expired->sequence,
                                          .now_ms = EXPIRED_TOO};
        const enum stave_status status =
            stave_delete_with(server->databases[expired->database], expired->key, &write, NULL);
        if (status < 0) atomic_store(&server->leaves_expired, true);
        if (status == STAVE_OK) transaction->mode.stats->expired_keys++;
    }
}

enum stave_status transaction_commit(struct transaction *transaction)
{
    const enum stave_status status = commit(transaction);
    if (status != STAVE_OK) return status;
    transaction->mode.stats->keyspace_hits += transaction->hit_count;
    transaction->mode.stats->keyspace_misses += transaction->miss_count;
    if (transaction->expired_count > 0) remove_expired(transaction);
    return STAVE_OK;
}
