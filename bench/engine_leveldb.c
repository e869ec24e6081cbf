/* SPDX-License-Identifier: MIT */
/* LevelDB: a log-structured merge tree. */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct leveldb_store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_filterpolicy_t *filter;
    leveldb_cache_t *cache;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    leveldb_writeoptions_t *write_synced;
    size_t key_size;
    size_t value_size;
};

static int result_of(char *message)
{
    if (message == NULL) return ENGINE_FOUND;
    fprintf(stderr, "leveldb: %s\n", message);
    leveldb_free(message);
    return ENGINE_FAILED;
}

static void set_options(struct leveldb_store *store)
{
    store->options = leveldb_options_create();
    store->filter = leveldb_filterpolicy_create_bloom(ENGINE_BLOOM_BITS);
    store->cache = leveldb_cache_create_lru(ENGINE_CACHE_SIZE);
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_options_set_filter_policy(store->options, store->filter);
    leveldb_options_set_cache(store->options, store->cache);
}

static void free_store(struct leveldb_store *store)
{
    leveldb_readoptions_destroy(store->read);
    leveldb_writeoptions_destroy(store->write);
    leveldb_writeoptions_destroy(store->write_synced);
    leveldb_options_destroy(store->options);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_cache_destroy(store->cache);
    free(store);
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct leveldb_store *store = calloc(1, sizeof *store);
    if (store == NULL) return ENGINE_FAILED;
    store->key_size = options->key_size;
    store->value_size = options->value_size;
    set_options(store);
    store->read = leveldb_readoptions_create();
    store->write = leveldb_writeoptions_create();
    store->write_synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->write, options->always);
    leveldb_writeoptions_set_sync(store->write_synced, 1);

    char *message = NULL;
    store->db = leveldb_open(store->options, options->directory, &message);
    if (message != NULL) {
        free_store(store);
        return result_of(message);
    }
    *ret_store = store;
    return ENGINE_FOUND;
}

static int close_store(void *opaque)
{
    struct leveldb_store *store = opaque;
    leveldb_close(store->db);
    free_store(store);
    return ENGINE_FOUND;
}

static int begin(void *store, void **ret_session)
{
    *ret_session = store;
    return ENGINE_FOUND;
}

static void end(void *session)
{
    (void)session;
}

static int put(void *opaque, const uint8_t *key, const uint8_t *value)
{
    const struct leveldb_store *store = opaque;
    char *message = NULL;
    leveldb_put(store->db, store->write, (const char *)key, store->key_size, (const char *)value,
                store->value_size, &message);
    return result_of(message);
}

static int get(void *opaque, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct leveldb_store *store = opaque;
    char *message = NULL;
    size_t size = 0;
    char *found = leveldb_get(store->db, store->read, (const char *)key, store->key_size, &size, &message);
    if (message != NULL) return result_of(message);
    if (found == NULL) return ENGINE_NOT_FOUND;

    memcpy(value, found, size < capacity ? size : capacity);
    *ret_size = size;
    leveldb_free(found);
    return ENGINE_FOUND;
}

static int delete (void *opaque, const uint8_t *key)
{
    const struct leveldb_store *store = opaque;
    char *message = NULL;
    leveldb_delete(store->db, store->write, (const char *)key, store->key_size, &message);
    return result_of(message);
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    const struct leveldb_store *store = opaque;
    leveldb_writebatch_t *gathered = leveldb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        leveldb_writebatch_put(gathered, (const char *)writes[i].key, store->key_size,
                               (const char *)writes[i].value, store->value_size);
    char *message = NULL;
    leveldb_write(store->db, store->write, gathered, &message);
    leveldb_writebatch_destroy(gathered);
    return result_of(message);
}

/* An empty write with sync makes the log durable. */
static int sync_store(void *opaque)
{
    const struct leveldb_store *store = opaque;
    leveldb_writebatch_t *empty = leveldb_writebatch_create();
    char *message = NULL;
    leveldb_write(store->db, store->write_synced, empty, &message);
    leveldb_writebatch_destroy(empty);
    return result_of(message);
}

const struct engine engine_leveldb = {
    .name = "leveldb",
    .version = "1.23",
    .settings = "no compression, bloom filter 10 bits, cache 64 MiB, write buffer 4 MiB (default)",
    .survives_none = "kill -9: every write; power loss: a prefix of the log, consistent",
    .survives_always = "power loss: every write (group commit)",
    .open = open_store,
    .close = close_store,
    .begin = begin,
    .end = end,
    .put = put,
    .get = get,
    .delete = delete,
    .batch = batch,
    .sync = sync_store,
};
