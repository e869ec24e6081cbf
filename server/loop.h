/* SPDX-License-Identifier: MIT */
/*
 * An event loop: a thread that reads, runs and answers for the clients that live on it.
 *
 *   L1  Whatever touches a client runs on its loop, inside the gate (gate.h); or elsewhere, under the whole
 *       gate, and then only marks it and calls loop_wake().
 *   L2  One input buffer, one slice of requests, one transaction and one reply serve all clients of the loop
 *       in turn: an idle client has none of its own.
 *   L3  A sync is asked for at the end of a turn, where all who wait are gathered. The only loop syncs by
 *       itself for its only client, which spares three wake-ups; else the store's thread does. Who comes
 *       meanwhile waits for one sync.
 */
#ifndef STAVE_SERVER_LOOP_H
#define STAVE_SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "server/connection_set.h"
#include "server/dispatch.h"
#include "server/requests.h"
#include "server/server.h"

#define LOOP_INPUT_SIZE ((size_t)262144)

struct connection;

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

    struct connection_set ready;    /* to be looked at in the next turn; the gate */
    struct connection_set withheld; /* with replies that wait for a sync */
    uint64_t sync_wanted;           /* L3: up to where, at the end of this turn; 0: none */
    size_t waiting_count;           /* clients that wait for a time */
    uint32_t cron_count;

    pthread_mutex_t inbox_lock;
    struct connection *inbox; /* inbox_lock: new connections */
    _Atomic bool is_stopping;
};

/* NULL: no memory, or no thread. */
struct loop *loop_start(struct server *server, size_t index);
void loop_wake(struct loop *loop);
/* On the loop: has everything up to `sequence` synced, at the end of the turn. */
void loop_sync(struct loop *loop, uint64_t sequence);
/* From the acceptor: the loop takes the connection over. */
void loop_give(struct loop *loop, struct connection *connection);
/* Closes all clients and ends the thread; other loops may still look at it until it is freed. */
void loop_end(struct loop *loop);
void loop_free(struct loop *loop);

/*
 * The counters of all loops in one; under the exclusive gate. `ret_stats->commands`: the caller's array or
 * NULL.
 */
void loop_sum_stats(const struct server *server, struct loop_stats *ret_stats);
/* Under the exclusive gate. */
void loop_clear_stats(struct server *server);

#endif
