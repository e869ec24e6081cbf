/* SPDX-License-Identifier: MIT */
/* The last error under its lock; the failure, which is told once and stays. */
#include "store/failure.h"

#include <stdarg.h>
#include <stdio.h>

enum stave_status store_note_error(struct store *store, const struct error *error)
{
    mutex_lock(&store->error_lock);
    store->last_error = *error;
    mutex_unlock(&store->error_lock);
    return error->status;
}

void store_last_error(struct store *store, struct error *ret_error)
{
    mutex_lock(&store->error_lock);
    error_copy(ret_error, &store->last_error);
    mutex_unlock(&store->error_lock);
}

enum stave_status store_error(struct store *store, enum stave_status status, const char *format, ...)
{
    struct error error = {.status = status};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.message, sizeof(error.message), format, arguments);
    va_end(arguments);
    return store_note_error(store, &error);
}

void store_fail(struct store *store, enum stave_status status, const struct error *error)
{
    (void)store_note_error(store, error);
    mutex_lock(&store->write_lock);
    atomic_store(&store->failed, status);
    condition_broadcast(&store->roll_done);
    mutex_unlock(&store->write_lock);
    store_tell_failed(store);
}

void store_tell_failed(struct store *store)
{
    mutex_lock(&store->sync_lock);
    condition_broadcast(&store->sync_done);
    if (store->durable_event.fd >= 0) event_signal(&store->durable_event);
    mutex_unlock(&store->sync_lock);
}
