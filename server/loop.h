/* SPDX-License-Identifier: MIT */
/*
 * A loop: what the clients that live on it share. Its thread is io_thread.h.
 *
 *   L1  Whatever touches a client runs on its loop, inside the gate (gate.h); or elsewhere, under the whole
 *       gate, and then only marks it and calls loop_wake().
 *   L2  One input buffer, one slice of requests, one transaction and one reply serve all clients of the loop
 *       in turn: an idle client has none of its own.
 */
#ifndef STAVE_SERVER_LOOP_H
#define STAVE_SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "server/client.h"
#include "server/client_set.h"
#include "server/dispatch.h"
#include "server/requests.h"
#include "server/server.h"

#define LOOP_INPUT_SIZE ((size_t)262144)

struct loop {
    struct server *server;
    size_t index;
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t cron;
    uv_prepare_t before_wait;
    bool cron_is_fast;
    uv_poll_t durable; /* the first loop hears of syncs, and tells the others */
    int durable_event;
    bool has_durable;

    struct dispatcher dispatcher;
    struct client *clients; /* K1 */
    size_t client_count;

    uint8_t *input;
    struct requests requests;

    struct client_set ready;    /* to be looked at in the next turn; the gate */
    struct client_set withheld; /* with replies that wait for a sync */
    uint64_t sync_wanted;       /* up to where, at the end of this turn; 0: none */
    size_t waiting_count;       /* clients that wait for a time */
    uint32_t cron_count;

    pthread_mutex_t inbox_lock;
    struct client *inbox; /* inbox_lock: new ones, that it has not taken yet */
    _Atomic bool is_stopping;
};

/* Without its thread and what wakes it. NULL: no memory. */
struct loop *loop_new(struct server *server, size_t index);
/* After its clients have gone. */
void loop_free(struct loop *loop);

/* From any thread: has the loop look at what came in, and at those of `ready`. */
void loop_wake(struct loop *loop);
/* On the loop: has everything up to `sequence` synced, at the end of the turn. */
void loop_sync(struct loop *loop, uint64_t sequence);

/* From the acceptor: the loop takes the client over, as the first of loop_take_given(), linked by `next`. */
void loop_give(struct loop *loop, struct client *client);
struct client *loop_take_given(struct loop *loop);
/* On the loop, inside the gate. */
void loop_add_client(struct loop *loop, struct client *client);
void loop_remove_client(struct loop *loop, struct client *client);
/*
 * The next client of all loops after `client` (NULL: the first), under the exclusive gate. Killed ones too.
 */
struct client *loop_next_client(const struct server *server, const struct client *client);

/*
 * The counters of all loops in one; under the exclusive gate. `ret_stats->commands`: the caller's array or
 * NULL.
 */
void loop_sum_stats(const struct server *server, struct loop_stats *ret_stats);
/* Under the exclusive gate. */
void loop_clear_stats(struct server *server);

#endif
