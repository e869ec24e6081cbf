/* SPDX-License-Identifier: MIT */
/* RocksDB: a log-structured merge tree. */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct rocksdb_store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    size_t key_size;
    size_t value_size;
};

static int result_of(char *message)
{
    if (message == NULL) return ENGINE_FOUND;
    fprintf(stderr, "rocksdb: %s\n", message);
    rocksdb_free(message);
    return ENGINE_FAILED;
}

/* The table options own the filter. */
static void set_options(struct rocksdb_store *store)
{
    store->cache = rocksdb_cache_create_lru(ENGINE_CACHE_SIZE);
    store->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_filter_policy(store->table,
                                                  rocksdb_filterpolicy_create_bloom_full(ENGINE_BLOOM_BITS));
    rocksdb_block_based_options_set_block_cache(store->table, store->cache);

    store->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_set_block_based_table_factory(store->options, store->table);
}

static void free_store(struct rocksdb_store *store)
{
    rocksdb_readoptions_destroy(store->read);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_options_destroy(store->options);
    rocksdb_block_based_options_destroy(store->table);
    rocksdb_cache_destroy(store->cache);
    free(store);
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct rocksdb_store *store = calloc(1, sizeof *store);
    if (store == NULL) return ENGINE_FAILED;
    store->key_size = options->key_size;
    store->value_size = options->value_size;
    set_options(store);
    store->read = rocksdb_readoptions_create();
    store->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write, options->always);

    char *message = NULL;
    store->db = rocksdb_open(store->options, options->directory, &message);
    if (message != NULL) {
        free_store(store);
        return result_of(message);
    }
    *ret_store = store;
    return ENGINE_FOUND;
}

static int close_store(void *opaque)
{
    struct rocksdb_store *store = opaque;
    rocksdb_close(store->db);
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
    const struct rocksdb_store *store = opaque;
    char *message = NULL;
    rocksdb_put(store->db, store->write, (const char *)key, store->key_size, (const char *)value,
                store->value_size, &message);
    return result_of(message);
}

static int get(void *opaque, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct rocksdb_store *store = opaque;
    char *message = NULL;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned(store->db, store->read, (const char *)key, store->key_size, &message);
    if (message != NULL) return result_of(message);
    if (found == NULL) return ENGINE_NOT_FOUND;

    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(found, &size);
    memcpy(value, data, size < capacity ? size : capacity);
    *ret_size = size;
    rocksdb_pinnableslice_destroy(found);
    return ENGINE_FOUND;
}

static int delete (void *opaque, const uint8_t *key)
{
    const struct rocksdb_store *store = opaque;
    char *message = NULL;
    rocksdb_delete(store->db, store->write, (const char *)key, store->key_size, &message);
    return result_of(message);
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    const struct rocksdb_store *store = opaque;
    rocksdb_writebatch_t *gathered = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(gathered, (const char *)writes[i].key, store->key_size,
                               (const char *)writes[i].value, store->value_size);
    char *message = NULL;
    rocksdb_write(store->db, store->write, gathered, &message);
    rocksdb_writebatch_destroy(gathered);
    return result_of(message);
}

static int sync_store(void *opaque)
{
    const struct rocksdb_store *store = opaque;
    char *message = NULL;
    rocksdb_flush_wal(store->db, 1, &message);
    return result_of(message);
}

const struct engine engine_rocksdb = {
    .name = "rocksdb",
    .version = "7.8.3",
    .settings = "no compression, bloom filter 10 bits, cache 64 MiB, write buffer 64 MiB (default)",
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
