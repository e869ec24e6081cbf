/* SPDX-License-Identifier: MIT */
/*
 * Errors of a store: the last one, which stave_last_error() gives, and the one after which it takes no more
 * writes (P13).
 */
#ifndef STAVE_STORE_FAILURE_H
#define STAVE_STORE_FAILURE_H

#include "store/store.h"

/* Keeps `error` for stave_last_error, and returns its status. Any thread; any lock may be held. */
enum stave_status store_note_error(struct store *store, const struct error *error);
/* The same from parts. */
enum stave_status store_error(struct store *store, enum stave_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The last one noted, by any thread. */
void store_last_error(struct store *store, struct error *ret_error);

/* No lock held. The store has failed (P13): says so to everybody who waits. */
void store_fail(struct store *store, enum stave_status status, const struct error *error);
/* No lock held. What is left to do when `failed` was set under write_lock: who waits for a sync is told. */
void store_tell_failed(struct store *store);

#endif
