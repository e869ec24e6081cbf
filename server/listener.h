/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets, and what happens to a connection before it is a client: limits, protected mode.
 *
 *   I1  Sockets are opened where the result is needed; they are accepted from on the main thread alone.
 */
#ifndef STAVE_SERVER_LISTENER_H
#define STAVE_SERVER_LISTENER_H

#include <uv.h>

#include "server/server.h"

#define LISTENER_COUNT_MAX ((size_t)17)

struct listeners;

struct listener {
    struct server *server;
    struct listeners *all;
    uv_poll_t poll;
    int descriptor;
    bool is_unix;
    bool is_resting; /* there were no descriptors left to accept with */
};

struct listeners {
    struct listener items[LISTENER_COUNT_MAX];
    size_t count;
    size_t open_count;
    size_t next_loop;
};

/* Descriptors that listen. */
struct listening {
    int descriptors[LISTENER_COUNT_MAX];
    bool is_unix[LISTENER_COUNT_MAX];
    size_t count;
};
/*
 * Listens as the configuration says. An address of `present` is not listened at twice, which the system
 * refuses: it gets a second descriptor. False: `ret_error` says why, and no descriptor is left.
 */
bool listener_listen(const struct config *config, const struct listening *present,
                     struct listening *ret_listening, char ret_error[CONFIG_ERROR_SIZE]);
void listener_unlisten(struct listening *listening);
/* Is the Unix socket among them? */
bool listener_has_unix(const struct listening *listening);

/* On the main thread: accepts from these from now on, until listeners_close(). NULL: no memory. */
struct listeners *listeners_open(struct server *server, uv_loop_t *uv, const struct listening *listening);
/* From time to time: those that rest try again. */
void listeners_resume(struct listeners *listeners);
/* Frees itself when the event loop has let go of it. */
void listeners_close(struct listeners *listeners);

#endif
