/* SPDX-License-Identifier: MIT */
/*
 * An engine: a key-value store behind one struct of functions, so that every store runs the same program.
 *
 *   E1  A function returns 0 for done, 1 for "not there", and a negative number for a failure.
 *   E2  A put or delete is one transaction of its own; a batch is one transaction.
 *   E3  Values read are copied into the caller's buffer, whatever the engine could do cheaper.
 *   E4  With `always`, a write is durable when its function returns.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENGINE_FOUND = 0, ENGINE_NOT_FOUND = 1, ENGINE_FAILED = -1 };

#define ENGINE_CACHE_SIZE ((size_t)64 << 20) /* of engines that have a cache of their own */
#define ENGINE_BLOOM_BITS 10                 /* a key, of engines that have filters */
#define ENGINE_BATCH_COUNT_MAX 100

struct engine_options {
    const char *directory; /* exists */
    uint64_t key_count;    /* that the store will hold; engines that are sized beforehand use it */
    size_t key_size;
    size_t value_size;
    bool always;
};

struct engine_write {
    const uint8_t *key;
    const uint8_t *value;
};

struct engine {
    const char *name;
    const char *version;
    const char *settings;
    const char *survives_none; /* what the mode `none` survives, by the engine's design */
    const char *survives_always;

    int (*open)(const struct engine_options *options, void **ret_store);
    int (*close)(void *store);

    /* What one thread works with: `session` below. */
    int (*begin)(void *store, void **ret_session);
    void (*end)(void *session);

    int (*put)(void *session, const uint8_t *key, const uint8_t *value);
    int (*get)(void *session, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size);
    int (*delete)(void *session, const uint8_t *key);
    int (*batch)(void *session, const struct engine_write *writes, size_t count);
    int (*sync)(void *session);
};

/* All engines that were built in, Stave first; ends with NULL. */
extern const struct engine *const engine_list[];

#endif
