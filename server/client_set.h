/* SPDX-License-Identifier: MIT */
/*
 * Clients of a loop that something is to be done for.
 *
 *   CS1  A client is in a set once at most, and knows its place there: it is taken out without a search.
 */
#ifndef STAVE_SERVER_CLIENT_SET_H
#define STAVE_SERVER_CLIENT_SET_H

#include <stddef.h>

#include "server/client.h"

struct client_set {
    enum client_set_kind kind;
    struct client **items;
    size_t count;
    size_t capacity;
};

/* One that there is no memory for is marked to be closed. */
void client_set_add(struct client_set *set, struct client *client);
/* Does nothing if it is not in it. */
void client_set_remove(struct client_set *set, struct client *client);
void client_set_free(struct client_set *set);

#endif
