/* SPDX-License-Identifier: MIT */
/* Tkrzw HashDBM: a hash table in a mapped file, sized beforehand, updated in place. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tkrzw_langc.h>

#include "engine.h"

struct tkrzw_store {
    TkrzwDBM *dbm;
    int32_t key_size;
    int32_t value_size;
    bool always;
};

static int failure(void)
{
    const TkrzwStatus status = tkrzw_get_last_status();
    if (status.code == TKRZW_STATUS_NOT_FOUND_ERROR) return ENGINE_NOT_FOUND;
    fprintf(stderr, "tkrzw: %s %s\n", tkrzw_status_code_name(status.code), status.message);
    return ENGINE_FAILED;
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct tkrzw_store *store = calloc(1, sizeof *store);
    if (store == NULL) return ENGINE_FAILED;
    store->key_size = (int32_t)options->key_size;
    store->value_size = (int32_t)options->value_size;
    store->always = options->always;

    char path[4096];
    char parameters[128];
    (void)snprintf(path, sizeof path, "%s/data.tkh", options->directory);
    (void)snprintf(parameters, sizeof parameters, "dbm=hash,num_buckets=%" PRIu64, 2 * options->key_count);
    store->dbm = tkrzw_dbm_open(path, true, parameters);
    if (store->dbm == NULL) {
        free(store);
        (void)failure();
        return ENGINE_FAILED;
    }
    *ret_store = store;
    return ENGINE_FOUND;
}

static int close_store(void *opaque)
{
    struct tkrzw_store *store = opaque;
    const bool closed = tkrzw_dbm_close(store->dbm);
    free(store);
    return closed ? ENGINE_FOUND : failure();
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
    const struct tkrzw_store *store = opaque;
    return tkrzw_dbm_synchronize(store->dbm, true, NULL, NULL, "") ? ENGINE_FOUND : failure();
}

static int finish_write(void *opaque, bool written)
{
    const struct tkrzw_store *store = opaque;
    if (!written) return failure();
    return store->always ? sync_store(opaque) : ENGINE_FOUND;
}

static int put(void *opaque, const uint8_t *key, const uint8_t *value)
{
    const struct tkrzw_store *store = opaque;
    return finish_write(opaque, tkrzw_dbm_set(store->dbm, (const char *)key, store->key_size,
                                              (const char *)value, store->value_size, true));
}

static int get(void *opaque, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct tkrzw_store *store = opaque;
    int32_t size = 0;
    char *found = tkrzw_dbm_get(store->dbm, (const char *)key, store->key_size, &size);
    if (found == NULL) return failure();

    memcpy(value, found, (size_t)size < capacity ? (size_t)size : capacity);
    *ret_size = (size_t)size;
    free(found);
    return ENGINE_FOUND;
}

static int delete (void *opaque, const uint8_t *key)
{
    const struct tkrzw_store *store = opaque;
    return finish_write(opaque, tkrzw_dbm_remove(store->dbm, (const char *)key, store->key_size));
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    const struct tkrzw_store *store = opaque;
    TkrzwKeyValuePair pairs[ENGINE_BATCH_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        pairs[i].key_ptr = (char *)(uintptr_t)writes[i].key;
        pairs[i].key_size = store->key_size;
        pairs[i].value_ptr = (char *)(uintptr_t)writes[i].value;
        pairs[i].value_size = store->value_size;
    }
    return finish_write(opaque, tkrzw_dbm_set_multi(store->dbm, pairs, (int32_t)count, true));
}

const struct engine engine_tkrzw = {
    .name = "tkrzw",
    .version = "1.0.25",
    .settings =
        "HashDBM, mapped file (default), num_buckets = 2 x keys; batches by SetMulti, which is not atomic",
    .survives_none = "kill -9: every write that was complete, after a repair at open; power loss: no promise",
    .survives_always = "power loss: every write (Synchronize, hard, after each)",
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
