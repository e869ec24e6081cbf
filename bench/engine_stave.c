/* SPDX-License-Identifier: MIT */
/* Stave, through its public header alone. */
#include <stave.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

struct stave_session {
    struct stave *store;
    struct stave_batch *batch;
    size_t key_size;
    size_t value_size;
};

struct stave_handle {
    struct stave *store;
    size_t key_size;
    size_t value_size;
};

static int result_of(enum stave_status status)
{
    if (status == STAVE_OK) return ENGINE_FOUND;
    if (status == STAVE_NOT_FOUND) return ENGINE_NOT_FOUND;
    fprintf(stderr, "stave: %s\n", stave_status_text(status));
    return ENGINE_FAILED;
}

static int open_store(const struct engine_options *options, void **ret_store)
{
    struct stave_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) return ENGINE_FAILED;

    struct stave_options stave_options = {.size = sizeof stave_options};
    stave_options.sync = options->always ? STAVE_SYNC_ALWAYS : STAVE_SYNC_NONE;
    struct stave_error error;
    if (stave_open(options->directory, &stave_options, &handle->store, &error) < 0) {
        fprintf(stderr, "stave: %s\n", error.message);
        free(handle);
        return ENGINE_FAILED;
    }
    handle->key_size = options->key_size;
    handle->value_size = options->value_size;
    *ret_store = handle;
    return ENGINE_FOUND;
}

static int close_store(void *store)
{
    struct stave_handle *handle = store;
    const int result = result_of(stave_close(handle->store));
    free(handle);
    return result;
}

static int begin(void *store, void **ret_session)
{
    const struct stave_handle *handle = store;
    struct stave_session *session = calloc(1, sizeof *session);
    if (session == NULL) return ENGINE_FAILED;

    session->store = handle->store;
    session->key_size = handle->key_size;
    session->value_size = handle->value_size;
    if (stave_batch_begin(handle->store, &session->batch) < 0) {
        free(session);
        return ENGINE_FAILED;
    }
    *ret_session = session;
    return ENGINE_FOUND;
}

static void end(void *opaque)
{
    struct stave_session *session = opaque;
    stave_batch_free(session->batch);
    free(session);
}

static int put(void *opaque, const uint8_t *key, const uint8_t *value)
{
    const struct stave_session *session = opaque;
    return result_of(stave_put(session->store, stave_bytes(key, session->key_size),
                               stave_bytes(value, session->value_size)));
}

static int get(void *opaque, const uint8_t *key, uint8_t *value, size_t capacity, size_t *ret_size)
{
    const struct stave_session *session = opaque;
    struct stave_value found;
    const int result = result_of(stave_get(session->store, stave_bytes(key, session->key_size), &found));
    if (result != ENGINE_FOUND) return result;

    memcpy(value, found.data, found.size < capacity ? found.size : capacity);
    *ret_size = found.size;
    stave_free(found.data);
    return ENGINE_FOUND;
}

static int delete (void *opaque, const uint8_t *key)
{
    const struct stave_session *session = opaque;
    return result_of(stave_delete(session->store, stave_bytes(key, session->key_size)));
}

static int batch(void *opaque, const struct engine_write *writes, size_t count)
{
    struct stave_session *session = opaque;
    stave_batch_clear(session->batch);
    for (size_t i = 0; i < count; i++) {
        const int result =
            result_of(stave_batch_put(session->batch, stave_bytes(writes[i].key, session->key_size),
                                      stave_bytes(writes[i].value, session->value_size), 0));
        if (result < 0) return result;
    }
    return result_of(stave_batch_commit(session->batch, NULL, NULL));
}

static int sync_store(void *opaque)
{
    const struct stave_session *session = opaque;
    return result_of(stave_sync(session->store));
}

const struct engine engine_stave = {
    .name = "stave",
    .version = STAVE_VERSION_TEXT,
    .settings = "defaults; sync none | always; gets by stave_get, a checked copy",
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
