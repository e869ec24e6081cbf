/* SPDX-License-Identifier: MIT */
/*
 * When keys were last used: a small table that forgets, for OBJECT IDLETIME.
 *
 *   ID1  The table has a fixed number of places; a key has one, and takes it from the key that had it.
 *   ID2  Of a key that has lost its place, or was not used since the start, the idle time is the server's
 *        age.
 *   ID3  A place is one atomic word: any thread notes and asks at any time, without order between keys.
 */
#ifndef STAVE_SERVER_IDLE_H
#define STAVE_SERVER_IDLE_H

#include <stdint.h>

#include "stave.h"

struct idle;

/* NULL: no memory. */
struct idle *idle_new(uint64_t now_ms);
void idle_free(struct idle *idle);

/* Asks for the memory that idle_note() of the same key will touch. */
void idle_prefetch(const struct idle *idle, uint32_t database, struct stave_bytes key);

/* The key is used now. */
void idle_note(struct idle *idle, uint32_t database, struct stave_bytes key, uint64_t now_ms);

uint64_t idle_seconds(const struct idle *idle, uint32_t database, struct stave_bytes key, uint64_t now_ms);

#endif
