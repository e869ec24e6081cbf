/* SPDX-License-Identifier: MIT */
/* Kyoto Cabinet HashDB: a hash table in a file, sized beforehand, updated in place. */
#include <inttypes.h>
#include <kclangc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct kyoto_store {
    KCDB *db;
    size_t key_size;
    size_t value_size;
    bool always;
};

static int failure(KCDB *db)
{
    if (kcdbecode(db) == KCENOREC) return ENGINE_NOT_FOUND;
    fprintf(stderr, "kyoto: %s: %s\n", kcecodename(kcdbecode(db)), kcdbemsg(db));
    return ENGINE_FAILED;
}

/* The whole file where that is possible: what lies outside of the map is read and written by system calls. */
static uint64_t map_size(const struct engine_options *options)
{
    const uint64_t file_size = options->key_count * (options->key_size + options->value_size + 48);
    return file_size < ENGINE_CACHE_SIZE ? ENGINE_CACHE_SIZE : file_size;
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct kyoto_store *store = calloc(1, sizeof *store);
    if (store == NULL) return ENGINE_FAILED;
    store->key_size = options->key_size;
    store->value_size = options->value_size;
    store->always = options->always;
    store->db = kcdbnew();

    char path[4096];
    (void)snprintf(path, sizeof path, "%s/data.kch#bnum=%" PRIu64 "#msiz=%" PRIu64, options->directory,
                   2 * options->key_count, map_size(options));
    if (!kcdbopen(store->db, path, KCOWRITER | KCOCREATE)) {
        (void)failure(store->db);
        kcdbdel(store->db);
        free(store);
        return ENGINE_FAILED;
    }
    *ret_store = store;
    return ENGINE_FOUND;
}

static int close_store(void *opaque)
{
    struct kyoto_store *store = opaque;
    const int result = kcdbclose(store->db) ? ENGINE_FOUND : failure(store->db);
    kcdbdel(store->db);
    free(store);
    return result;
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

static int sync_store(void *opaque)
{
    const struct kyoto_store *store = opaque;
    return kcdbsync(store->db, 1, NULL, NULL) ? ENGINE_FOUND : failure(store->db);
}

/* OAUTOSYNC would sync for every record of a batch; one sync at its end is kinder. */
static int finish_write(void *opaque, bool written)
{
    const struct kyoto_store *store = opaque;
    if (!written) return failure(store->db);
    return store->always ? sync_store(opaque) : ENGINE_FOUND;
}

static int put(void *opaque, const uint8_t *key, const uint8_t *value)
{
    const struct kyoto_store *store = opaque;
    return finish_write(opaque, kcdbset(store->db, (const char *)key, store->key_size, (const char *)value,
                                        store->value_size) != 0);
}

static int get(void *opaque, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct kyoto_store *store = opaque;
    const int32_t size = kcdbgetbuf(store->db, (const char *)key, store->key_size, (char *)value, capacity);
    if (size < 0) return failure(store->db);
    *ret_size = (size_t)size;
    return ENGINE_FOUND;
}

static int delete (void *opaque, const uint8_t *key)
{
    const struct kyoto_store *store = opaque;
    return finish_write(opaque, kcdbremove(store->db, (const char *)key, store->key_size) != 0);
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    const struct kyoto_store *store = opaque;
    KCREC records[ENGINE_BATCH_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        records[i].key.buf = (char *)(uintptr_t)writes[i].key;
        records[i].key.size = store->key_size;
        records[i].value.buf = (char *)(uintptr_t)writes[i].value;
        records[i].value.size = store->value_size;
    }
    return finish_write(opaque, kcdbsetbulk(store->db, records, count, 1) == (int64_t)count);
}

const struct engine engine_kyoto = {
    .name = "kyoto",
    .version = "1.2.79",
    .settings = "HashDB, bnum = 2 x keys, msiz = the whole file, 64 MiB at least; batches by set_bulk, not "
                "atomic in a crash",
    .survives_none = "kill -9: every write that was complete, after a repair at open; power loss: no promise",
    .survives_always = "power loss: every write (synchronize, hard, after each)",
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
