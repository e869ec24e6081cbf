/* SPDX-License-Identifier: MIT */
/* Writes of one key. */
#include "base/memory.h"
#include "store/operation.h"

#define WRITE_FLAGS_DURABILITY (STAVE_DURABLE | STAVE_NOT_DURABLE)
#define WRITE_FLAGS_CONDITION (STAVE_IF_ABSENT | STAVE_IF_PRESENT | STAVE_IF_SEQUENCE)
#define WRITE_FLAGS_ALL (WRITE_FLAGS_DURABILITY | WRITE_FLAGS_CONDITION | STAVE_KEEP_EXPIRY)

static bool flags_are_valid(const struct stave_write *write, uint32_t allowed)
{
    if (write == NULL) return true;
    const uint32_t condition = write->flags & WRITE_FLAGS_CONDITION;
    if (write->flags & ~allowed) return false;
    if ((write->flags & WRITE_FLAGS_DURABILITY) == WRITE_FLAGS_DURABILITY) return false;
    if (write->flags & STAVE_KEEP_EXPIRY && write->expires_at_ms != 0) return false;
    return (condition & (condition - 1)) == 0;
}

enum stave_status stave_put_with(struct stave *handle, struct stave_bytes key, struct stave_bytes value,
                                 const struct stave_write *write, uint64_t *ret_sequence)
{
    const enum stave_status status = guard_write(handle, key, value);
    if (status != STAVE_OK) return status;
    if (!flags_are_valid(write, WRITE_FLAGS_ALL)) return STAVE_INVALID;
    struct change change = {.kind = RECORD_PUT, .space = handle->number, .key = key, .value = value};
    if (write != NULL) change.write = *write;
    atomic_fetch_add_explicit(&calls_of(handle->store)->puts, 1, memory_order_relaxed);
    return operation_write(handle->store, &change, ret_sequence);
}

enum stave_status stave_put(struct stave *handle, struct stave_bytes key, struct stave_bytes value)
{
    return stave_put_with(handle, key, value, NULL, NULL);
}

enum stave_status stave_delete_with(struct stave *handle, struct stave_bytes key,
                                    const struct stave_write *write, uint64_t *ret_sequence)
{
    const enum stave_status status = guard_write(handle, key, stave_bytes(NULL, 0));
    if (status != STAVE_OK) return status;
    if (!flags_are_valid(write, WRITE_FLAGS_DURABILITY | STAVE_IF_SEQUENCE | STAVE_IF_PRESENT))
        return STAVE_INVALID;
    struct change change = {.kind = RECORD_TOMBSTONE, .space = handle->number, .key = key};
    if (write != NULL) change.write = *write;
    change.write.flags |= change.write.flags & STAVE_IF_SEQUENCE ? 0 : STAVE_IF_PRESENT;
    change.write.expires_at_ms = 0;
    atomic_fetch_add_explicit(&calls_of(handle->store)->deletes, 1, memory_order_relaxed);
    return operation_write(handle->store, &change, ret_sequence);
}

enum stave_status stave_delete(struct stave *handle, struct stave_bytes key)
{
    return stave_delete_with(handle, key, NULL, NULL);
}

/* ------------------------------------------------------------------ read, change, write */

static enum stave_status update_once(struct stave *handle, struct stave_bytes key, stave_update_call call,
                                     void *context, const struct stave_write *write, uint64_t *ret_sequence)
{
    const struct stave_read read = {.now_ms = write == NULL ? 0 : write->now_ms};
    struct stave_view view = {0};
    enum stave_status status = stave_view(handle, key, &read, &view);
    if (status < 0) return status;
    struct stave_update update = {
        .found = status == STAVE_OK,
        .old_value = stave_bytes(view.data, view.size),
        .old_sequence = view.sequence,
        .old_expires_at_ms = view.expires_at_ms,
        .new_expires_at_ms = view.expires_at_ms,
    };
    const enum stave_update_action action = call(context, &update);
    struct stave_write conditional = {
        .flags = (write != NULL ? write->flags : 0) | STAVE_IF_SEQUENCE,
        .if_sequence = update.found ? view.sequence : 0,
        .expires_at_ms = update.new_expires_at_ms,
        .now_ms = read.now_ms,
    };
    status = STAVE_OK;
    if (action == STAVE_UPDATE_PUT)
        status = stave_put_with(handle, key, update.new_value, &conditional, ret_sequence);
    else if (action == STAVE_UPDATE_DELETE && update.found)
        status = stave_delete_with(handle, key, &conditional, ret_sequence);
    else if (action == STAVE_UPDATE_CANCEL)
        status = STAVE_CANCELLED;
    else if (ret_sequence != NULL)
        *ret_sequence = update.old_sequence;
    stave_view_release(handle, &view);
    return status;
}

enum stave_status stave_update(struct stave *handle, struct stave_bytes key, stave_update_call call,
                               void *context, const struct stave_write *write, uint64_t *ret_sequence)
{
    enum stave_status status = guard_write(handle, key, stave_bytes(NULL, 0));
    if (status != STAVE_OK) return status;
    if (call == NULL || !flags_are_valid(write, WRITE_FLAGS_DURABILITY)) return STAVE_INVALID;
    do {
        status = update_once(handle, key, call, context, write, ret_sequence);
    } while (status == STAVE_CONFLICT);
    return status;
}

enum stave_status stave_expire(struct stave *handle, struct stave_bytes key, const struct stave_write *write,
                               uint64_t *ret_sequence)
{
    enum stave_status status = guard_write(handle, key, stave_bytes(NULL, 0));
    if (status != STAVE_OK) return status;
    if (!flags_are_valid(write, WRITE_FLAGS_DURABILITY | STAVE_IF_SEQUENCE)) return STAVE_INVALID;
    do {
        struct stave_write conditional = write != NULL ? *write : (struct stave_write){0};
        const struct stave_read read = {.now_ms = conditional.now_ms};
        struct stave_view view;
        status = stave_view(handle, key, &read, &view);
        if (status != STAVE_OK) return status;
        const bool is_asked = conditional.flags & STAVE_IF_SEQUENCE;
        const bool differs = is_asked && conditional.if_sequence != view.sequence;
        conditional.flags |= STAVE_IF_SEQUENCE;
        conditional.if_sequence = view.sequence;
        if (!differs)
            status =
                stave_put_with(handle, key, stave_bytes(view.data, view.size), &conditional, ret_sequence);
        stave_view_release(handle, &view);
        if (differs) return STAVE_CONFLICT;
    } while (status == STAVE_CONFLICT);
    return status;
}
