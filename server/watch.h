/* SPDX-License-Identifier: MIT */
/*
 * The table of watched keys: each has a version that every change of the key raises.
 *
 *   W1  A key is in the table while at least one client watches it. What a client watches is dirty when the
 *       version is no longer the one it saw at WATCH; so a key that was made and deleted again counts.
 *   W2  The table is bounded: in keys, and in bytes of keys. Beyond that a key cannot be watched and WATCH is
 *       an error; what is watched already stays so, and loses nothing.
 *   W3  A writer raises the version after its commit and before anybody is told of it. While nobody watches
 *       anything, that costs one load.
 */
#ifndef STAVE_SERVER_WATCH_H
#define STAVE_SERVER_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

#define WATCH_KEY_COUNT_MAX ((size_t)1000000)
#define WATCH_SIZE_MAX ((size_t)64 << 20)

struct watch_table;
struct watch_key;

/* One key that a client watches. */
struct watched {
    struct watch_key *key;
    uint64_t version;
    uint64_t expires_at_ms; /* as of WATCH; 0: never, or absent */
};

/* `seed`: of the hash. NULL: no memory. */
struct watch_table *watch_table_new(uint64_t seed);
void watch_table_free(struct watch_table *table);

/* STAVE_OK, STAVE_LIMIT (W2) or STAVE_NO_MEMORY. */
enum stave_status watch_add(struct watch_table *table, uint32_t database, struct stave_bytes key,
                            struct watched *ret_watched);
void watch_remove(struct watch_table *table, struct watched *watched);
bool watch_is_dirty(const struct watched *watched);

/* A key has changed. */
void watch_touch(struct watch_table *table, uint32_t database, struct stave_bytes key);
bool watch_is_empty(const struct watch_table *table);

/*
 * Touches the watched keys of a database of which `call` says so: for FLUSHDB and SWAPDB, under the
 * exclusive gate.
 */
typedef bool (*watch_call)(void *context, struct stave_bytes key);
void watch_touch_database(struct watch_table *table, uint32_t database, watch_call call, void *context);

#endif
