/* SPDX-License-Identifier: MIT */
/*
 * Connections of a loop that something is to be done for.
 *
 *   CS1  A connection is in a set once at most, and knows its place there: it is taken out without a search.
 */
#ifndef STAVE_SERVER_CONNECTION_SET_H
#define STAVE_SERVER_CONNECTION_SET_H

#include <stddef.h>

struct connection;

enum connection_set_kind { CONNECTION_SET_READY, CONNECTION_SET_WITHHELD, CONNECTION_SET_COUNT };

struct connection_set {
    enum connection_set_kind kind;
    struct connection **items;
    size_t count;
    size_t capacity;
};

/* One that there is no memory for is marked to be closed. */
void connection_set_add(struct connection_set *set, struct connection *connection);
/* Does nothing if it is not in it. */
void connection_set_remove(struct connection_set *set, struct connection *connection);
void connection_set_free(struct connection_set *set);

#endif
