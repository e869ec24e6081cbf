/* SPDX-License-Identifier: MIT */
/* What the protocol knows of a client: its queued commands, its watched keys, its texts. */
#include "server/client.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "server/server.h"
#include "server/watch.h"

static bool is_local(const struct client *client)
{
    return (client->flags & CLIENT_UNIX_SOCKET) != 0 || strncmp(client->address, "127.", 4) == 0 ||
           strncmp(client->address, "[::1]", 5) == 0;
}

bool client_is_authenticated(const struct client *client)
{
    return client->authenticated || client->server->config.requirepass[0] == 0;
}

bool client_has_access(const struct client *client, int access)
{
    return access == CONFIG_ACCESS_YES || (access == CONFIG_ACCESS_LOCAL && is_local(client));
}

/* The arguments and their bytes in one block. */
static struct stave_bytes *copy_arguments(const struct stave_bytes *arguments, size_t count, size_t *ret_size)
{
    size_t size = count * sizeof *arguments;
    for (size_t i = 0; i < count; i++) size += arguments[i].size;
    struct stave_bytes *copy = memory_alloc(size);
    if (copy == NULL) return NULL;

    uint8_t *at = (uint8_t *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = stave_bytes(at, arguments[i].size);
        if (arguments[i].size > 0) memcpy(at, arguments[i].data, arguments[i].size);
        at += arguments[i].size;
    }
    *ret_size = size;
    return copy;
}

enum stave_status client_queue(struct client *client, const struct command *command,
                               const struct stave_bytes *arguments, size_t argument_count)
{
    if ((client->flags & CLIENT_DIRTY_EXEC) != 0) return STAVE_OK; /* it will not run */
    if (client->queued_count == CLIENT_QUEUED_COUNT_MAX) return STAVE_LIMIT;
    if (client->queued_count == client->queued_capacity) {
        const size_t capacity = client->queued_capacity == 0 ? 4 : 2 * client->queued_capacity;
        struct queued_command *grown = memory_realloc(client->queued, capacity * sizeof *grown);
        if (grown == NULL) return STAVE_NO_MEMORY;
        client->queued = grown;
        client->queued_capacity = capacity;
    }
    size_t size;
    struct stave_bytes *copy = copy_arguments(arguments, argument_count, &size);
    if (copy == NULL) return STAVE_NO_MEMORY;
    client->queued[client->queued_count++] =
        (struct queued_command){.command = command, .arguments = copy, .argument_count = argument_count};
    client->queued_size += size + sizeof *client->queued;
    return STAVE_OK;
}

/* Where the key is among the slots, or would be. */
static struct watched *watched_slot(struct watched *slots, size_t capacity, struct watch_key *key)
{
    size_t at = hash_bytes(&key, sizeof key, 0) & (capacity - 1);
    while (slots[at].key != NULL && slots[at].key != key) at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool reserve_watched(struct client *client)
{
    if (2 * client->watched_count < client->watched_capacity) return true;
    const size_t capacity = client->watched_capacity == 0 ? 4 : 2 * client->watched_capacity;
    struct watched *slots = memory_alloc_zero(capacity, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < client->watched_capacity; i++) {
        const struct watched *kept = &client->watched[i];
        if (kept->key != NULL) *watched_slot(slots, capacity, kept->key) = *kept;
    }
    memory_free(client->watched);
    client->watched = slots;
    client->watched_capacity = capacity;
    return true;
}

enum stave_status client_watch(struct client *client, struct watched watched, struct watched **ret_kept)
{
    const bool has_room = reserve_watched(client);
    struct watched *slot =
        has_room ? watched_slot(client->watched, client->watched_capacity, watched.key) : NULL;
    if (slot == NULL || slot->key != NULL) {
        watch_remove(client->server->watch, &watched);
        *ret_kept = NULL;
        return has_room ? STAVE_OK : STAVE_NO_MEMORY;
    }
    *slot = watched;
    client->watched_count++;
    *ret_kept = slot;
    return STAVE_OK;
}

void client_unwatch(struct client *client)
{
    for (size_t i = 0; i < client->watched_capacity; i++) {
        if (client->watched[i].key != NULL) watch_remove(client->server->watch, &client->watched[i]);
    }
    memory_free(client->watched);
    client->watched = NULL;
    client->watched_count = 0;
    client->watched_capacity = 0;
    client->flags &= ~(uint32_t)CLIENT_WATCH_FAILED;
}

void client_discard(struct client *client)
{
    for (size_t i = 0; i < client->queued_count; i++) memory_free(client->queued[i].arguments);
    memory_free(client->queued);
    client->queued = NULL;
    client->queued_count = 0;
    client->queued_capacity = 0;
    client->queued_size = 0;
    client->flags &= ~(uint32_t)(CLIENT_MULTI | CLIENT_DIRTY_EXEC);
    client_unwatch(client);
}

bool client_set_text(char **name, struct stave_bytes text)
{
    char *copy = NULL;
    if (text.size > 0) {
        copy = memory_alloc(text.size + 1);
        if (copy == NULL) return false;
        memcpy(copy, text.data, text.size);
        copy[text.size] = 0;
    }
    memory_free(*name);
    *name = copy;
    return true;
}
