/* SPDX-License-Identifier: MIT */
/* Reads key specs. */
#include "server/prefetch.h"

#include "base/memory.h"

#define KEYS_OF_REQUEST_MAX ((size_t)16) /* that are prefetched */
#define PARTIAL_SIZE ((size_t)65536)     /* brought of a value before it is known which part is wanted */

size_t prefetch_keys(const struct stave_bytes *arguments, size_t argument_count, struct stave_bytes *ret_keys,
                     size_t capacity)
{
    const struct command *command = command_find(arguments[0]);
    if (command == NULL || command->keys[0].begin == KEY_BEGIN_NONE) return 0;
    if (command->keys[0].begin == KEY_BEGIN_INDEX && command->keys[0].find_last == 0 && argument_count > 1) {
        ret_keys[0] = arguments[1];
        return 1;
    }
    struct command_key found[KEYS_OF_REQUEST_MAX];
    if (capacity > KEYS_OF_REQUEST_MAX) capacity = KEYS_OF_REQUEST_MAX;
    const int count = command_keys(command, arguments, argument_count, found, capacity);
    const size_t kept = count <= 0 ? 0 : (size_t)count < capacity ? (size_t)count : capacity;
    for (size_t i = 0; i < kept; i++) ret_keys[i] = arguments[found[i].index];
    return kept;
}

/* What a command reads of the value of such a key, or writes again. */
static struct transaction_part part_wanted(const struct command *command, uint32_t key_flags)
{
    if ((key_flags & KEY_VARIABLE_FLAGS) != 0) return TRANSACTION_NO_VALUE; /* SET: seldom */
    const bool is_read =
        (key_flags & KEY_RW) != 0 || (key_flags & (KEY_RO | KEY_ACCESS)) == (KEY_RO | KEY_ACCESS);
    if (!is_read) return TRANSACTION_NO_VALUE;
    if ((command->flags & COMMAND_PARTIAL) == 0) return TRANSACTION_WHOLE_VALUE;
    return (struct transaction_part){.is_wanted = true, .size = PARTIAL_SIZE};
}

/* The command itself has noted this argument, with the part that it needs. */
static bool is_wanted(const struct transaction *transaction, struct stave_bytes key)
{
    size_t count;
    const struct transaction_key *wanted = transaction_wanted(transaction, &count);
    return count > 0 && wanted[0].key.data == key.data;
}

enum stave_status prefetch_seek(struct transaction *transaction, uint32_t database,
                                const struct command *command, const struct stave_bytes *arguments,
                                size_t argument_count)
{
    if (command->keys[0].begin == KEY_BEGIN_NONE) return STAVE_OK;
    struct command_key *keys = memory_alloc(argument_count * sizeof(struct command_key));
    if (keys == NULL) return STAVE_OK; /* then they are brought one by one */
    const int found = command_keys(command, arguments, argument_count, keys, argument_count);
    const size_t count = found < 0 ? 0 : (size_t)found < argument_count ? (size_t)found : argument_count;
    enum stave_status result = STAVE_OK;
    for (size_t i = 0; i < count; i++) {
        const struct stave_bytes key = arguments[keys[i].index];
        if (is_wanted(transaction, key)) continue;
        const enum stave_status status =
            transaction_seek(transaction, database, key, part_wanted(command, keys[i].flags));
        if (result == STAVE_OK) result = status;
    }
    memory_free(keys);
    return result;
}
