/* SPDX-License-Identifier: MIT */
/* An array without order: the last one fills the place of one that goes. */
#include "server/client_set.h"

#include "base/memory.h"

void client_set_add(struct client_set *set, struct client *client)
{
    size_t *place = &client->places[set->kind];
    if (*place != 0) return;
    if (set->count == set->capacity) {
        const size_t capacity = set->capacity == 0 ? 64 : 2 * set->capacity;
        struct client **grown = memory_realloc(set->items, capacity * sizeof *grown);
        if (grown == NULL) {
            client->flags |= CLIENT_KILLED;
            return;
        }
        set->items = grown;
        set->capacity = capacity;
    }
    set->items[set->count++] = client;
    *place = set->count;
}

void client_set_remove(struct client_set *set, struct client *client)
{
    size_t *place = &client->places[set->kind];
    if (*place == 0) return;
    struct client *last = set->items[--set->count];
    set->items[*place - 1] = last;
    last->places[set->kind] = *place;
    *place = 0;
}

void client_set_free(struct client_set *set)
{
    memory_free(set->items);
    *set = (struct client_set){.kind = set->kind};
}
