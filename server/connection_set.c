/* SPDX-License-Identifier: MIT */
/* An array without order: the last one fills the place of one that goes. */
#include "server/connection_set.h"

#include "base/memory.h"
#include "server/connection.h"

void connection_set_add(struct connection_set *set, struct connection *connection)
{
    size_t *place = &connection->places[set->kind];
    if (*place != 0) return;
    if (set->count == set->capacity) {
        const size_t capacity = set->capacity == 0 ? 64 : 2 * set->capacity;
        struct connection **grown = memory_realloc(set->items, capacity * sizeof *grown);
        if (grown == NULL) {
            connection->client.flags |= CLIENT_KILLED;
            return;
        }
        set->items = grown;
        set->capacity = capacity;
    }
    set->items[set->count++] = connection;
    *place = set->count;
}

void connection_set_remove(struct connection_set *set, struct connection *connection)
{
    size_t *place = &connection->places[set->kind];
    if (*place == 0) return;
    struct connection *last = set->items[--set->count];
    set->items[*place - 1] = last;
    last->places[set->kind] = *place;
    *place = 0;
}

void connection_set_free(struct connection_set *set)
{
    memory_free(set->items);
    *set = (struct connection_set){.kind = set->kind};
}
