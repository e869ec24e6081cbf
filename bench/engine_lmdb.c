/* SPDX-License-Identifier: MIT */
/* LMDB: a copy-on-write B+ tree, mapped. A session keeps one read transaction and renews it for each get. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct lmdb_store {
    MDB_env *env;
    MDB_dbi dbi;
    size_t key_size;
    size_t value_size;
};

struct lmdb_session {
    const struct lmdb_store *store;
    MDB_txn *reader; /* reset between gets */
};

static int result_of(int code)
{
    if (code == 0) return ENGINE_FOUND;
    if (code == MDB_NOTFOUND) return ENGINE_NOT_FOUND;
    fprintf(stderr, "lmdb: %s\n", mdb_strerror(code));
    return ENGINE_FAILED;
}

static MDB_val bytes(const uint8_t *data, size_t size)
{
    MDB_val value = {.mv_size = size, .mv_data = (void *)(uintptr_t)data};
    return value;
}

/* Ample: a page of the tree is half full at worst, and pages are copied. Takes address space, not disk. */
static size_t map_size(const struct engine_options *options)
{
    return (size_t)options->key_count * (options->key_size + options->value_size + 64) * 8 +
           ((size_t)1 << 30);
}

static int open_tree(struct lmdb_store *store)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) return code;
    code = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct lmdb_store *store = calloc(1, sizeof *store);
    if (store == NULL) return ENGINE_FAILED;
    store->key_size = options->key_size;
    store->value_size = options->value_size;

    const unsigned flags = MDB_NOTLS | (options->always ? 0 : MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP);
    int code = mdb_env_create(&store->env);
    if (code == 0) code = mdb_env_set_mapsize(store->env, map_size(options));
    if (code == 0) code = mdb_env_open(store->env, options->directory, flags, 0644);
    if (code == 0) code = open_tree(store);
    if (code != 0) {
        mdb_env_close(store->env);
        free(store);
        return result_of(code);
    }
    *ret_store = store;
    return ENGINE_FOUND;
}

static int close_store(void *opaque)
{
    struct lmdb_store *store = opaque;
    const int code = mdb_env_sync(store->env, 1);
    mdb_env_close(store->env);
    free(store);
    return result_of(code);
}

static int begin(void *store, void **ret_session)
{
    struct lmdb_session *session = calloc(1, sizeof *session);
    if (session == NULL) return ENGINE_FAILED;
    session->store = store;
    const int code = mdb_txn_begin(session->store->env, NULL, MDB_RDONLY, &session->reader);
    if (code != 0) {
        free(session);
        return result_of(code);
    }
    mdb_txn_reset(session->reader);
    *ret_session = session;
    return ENGINE_FOUND;
}

static void end(void *opaque)
{
    struct lmdb_session *session = opaque;
    mdb_txn_abort(session->reader);
    free(session);
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    const struct lmdb_store *store = ((const struct lmdb_session *)opaque)->store;
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) return result_of(code);
    for (size_t i = 0; i < count && code == 0; i++) {
        MDB_val key = bytes(writes[i].key, store->key_size);
        MDB_val value = bytes(writes[i].value, store->value_size);
        code = mdb_put(txn, store->dbi, &key, &value, 0);
    }
    if (code == 0) return result_of(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return result_of(code);
}

static int put(void *session, const uint8_t *key, const uint8_t *value)
{
    const struct engine_write write = {key, value};
    return batch(session, &write, 1);
}

static int get(void *opaque, const uint8_t *key_data, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct lmdb_session *session = opaque;
    int code = mdb_txn_renew(session->reader);
    if (code != 0) return result_of(code);

    MDB_val key = bytes(key_data, session->store->key_size);
    MDB_val found = {0};
    code = mdb_get(session->reader, session->store->dbi, &key, &found);
    if (code == 0) {
        memcpy(value, found.mv_data, found.mv_size < capacity ? found.mv_size : capacity);
        *ret_size = found.mv_size;
    }
    mdb_txn_reset(session->reader);
    return result_of(code);
}

static int delete (void *opaque, const uint8_t *key_data)
{
    const struct lmdb_store *store = ((const struct lmdb_session *)opaque)->store;
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) return result_of(code);
    MDB_val key = bytes(key_data, store->key_size);
    code = mdb_del(txn, store->dbi, &key, NULL);
    if (code == 0) return result_of(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return result_of(code);
}

static int sync_store(void *opaque)
{
    return result_of(mdb_env_sync(((const struct lmdb_session *)opaque)->store->env, 1));
}

const struct engine engine_lmdb = {
    .name = "lmdb",
    .version = MDB_VERSION_STRING,
    .settings = "WRITEMAP | NOSYNC | NOMETASYNC in mode none, plain synced commits in mode always; ample map",
    .survives_none = "kill -9: every write; power loss: the file may be unusable",
    .survives_always = "power loss: every write",
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
