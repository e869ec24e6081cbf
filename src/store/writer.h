/* SPDX-License-Identifier: MIT */
/*
 * The end of the log: room, append, roll.
 */
#ifndef STAVE_STORE_WRITER_H
#define STAVE_STORE_WRITER_H

#include "store/store.h"

#define DELETE_RESERVE UINT64_C(16384) /* bytes: W3 */
#define MARK_ROOM UINT64_C(64)         /* bytes: W3 */

/*
 * write_lock, which is let go and taken again while it waits (*ret_waited, optional, says so: revalidate what
 * was read before). Makes room for `size` bytes of records in the tail, rolling to the next segment when they
 * do not fit or the tail is too old. `is_delete`: may use the room at the end that is kept for deletes.
 * Result STAVE_OK; STAVE_FULL; STAVE_FAILED; STAVE_LIMIT.
 */
enum stave_status writer_make_room(struct store *store, uint64_t size, bool is_delete, bool *ret_waited);

/*
 * write_lock; the room is there. Appends one record: gives it the next sequence (record->sequence is set),
 * writes header, key, value and padding, moves the end, and returns its location. Cannot fail in a mapped
 * tail; a written one may (STAVE_IO, STAVE_FULL: nothing appended).
 */
enum stave_status writer_append(struct store *store, struct record *record, const void *key,
                                const void *value, uint64_t *ret_location);

/* The same for a MARK, which takes MARK_ROOM bytes. */
enum stave_status writer_append_mark(struct store *store, const struct record_mark *mark);

/*
 * write_lock (let go meanwhile): begins a new tail although there is room; returns when the old one has been
 * sealed and listed so.
 */
enum stave_status writer_roll(struct store *store);

/* write_lock; nothing is being sealed and the spare is there: the spare becomes the tail. */
void writer_begin_roll(struct store *store);

/*
 * Deletes the key of an expired record for good, if it still is the newest and has expired: a tombstone in
 * the log. STAVE_NOT_FOUND: it is not, or stave_hold_expiry keeps it. No lock held.
 */
enum stave_status writer_expire(struct store *store, uint64_t hash, uint64_t location);

/* Any thread: gives an open segment blocks, and populated pages if it is mapped, up to `size` bytes. */
enum stave_status writer_grant(struct store *store, struct segment *segment, uint64_t size,
                               struct error *error);

#endif
