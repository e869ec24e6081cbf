/* SPDX-License-Identifier: MIT */
/* Turns of libuv's loop: new connections, those that something is to be done for, the clock. */
#include "server/io_thread.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/coldness.h"
#include "server/connection.h"
#include "server/upkeep.h"

#define TICK_MS 100
#define FAST_TICK_MS 10    /* while a client waits for a time */
#define TICKS_OF_A_LOOK 10 /* all clients are looked at every so many ticks */

/* ------------------------------------------------------------------ turns */

/* A client is the first member of its connection. */
static struct connection *connection_of(struct client *client)
{
    return (struct connection *)(void *)client;
}

static void open_new(struct loop *loop)
{
    struct client *client = loop_take_given(loop);
    while (client != NULL) {
        struct client *next = client->next;
        connection_open(connection_of(client), loop);
        client = next;
    }
}

/* Those that came in meanwhile have their turn the next time. */
static void look_at_ready(struct loop *loop)
{
    for (size_t count = loop->ready.count; count > 0 && loop->ready.count > 0; count--) {
        connection_look(connection_of(loop->ready.items[0]));
    }
}

static void release_withheld(struct loop *loop)
{
    for (size_t i = loop->withheld.count; i > 0; i--) {
        if (i <= loop->withheld.count) connection_release(connection_of(loop->withheld.items[i - 1]));
    }
}

static void set_tick(struct loop *loop);

static void close_all(struct loop *loop)
{
    struct client *client = loop_take_given(loop);
    while (client != NULL) {
        struct client *next = client->next;
        connection_discard(connection_of(client));
        client = next;
    }
    while (loop->clients != NULL) connection_close(connection_of(loop->clients));
    if (!uv_is_closing((uv_handle_t *)&loop->wake)) uv_close((uv_handle_t *)&loop->wake, NULL);
    if (!uv_is_closing((uv_handle_t *)&loop->cron)) uv_close((uv_handle_t *)&loop->cron, NULL);
    if (!uv_is_closing((uv_handle_t *)&loop->before_wait)) uv_close((uv_handle_t *)&loop->before_wait, NULL);
    if (loop->has_durable) uv_close((uv_handle_t *)&loop->durable, NULL);
    loop->has_durable = false;
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    gate_enter(&loop->server->gate, loop->index);
    loop->dispatcher.now_ms = clock_now_ms();
    open_new(loop);
    release_withheld(loop);
    if (atomic_load(&loop->is_stopping)) {
        close_all(loop);
    } else {
        look_at_ready(loop);
        if (loop->ready.count > 0) loop_wake(loop);
        set_tick(loop);
    }
    gate_leave(&loop->server->gate, loop->index);
}

static bool clear_durable(struct loop *loop)
{
    uint64_t count;
    return loop->has_durable && (read(loop->durable_event, &count, sizeof count) >= 0 || errno == EAGAIN);
}

/* IT1 */
static bool may_sync(const struct loop *loop)
{
    return loop->client_count == 1 && loop->server->loop_count == 1;
}

/* The end of a turn, in which a second client may have come. */
static void on_before_wait(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    struct server *server = loop->server;
    const uint64_t sequence = loop->sync_wanted;
    if (sequence <= stave_durable_sequence(server->store)) return;

    loop->sync_wanted = 0;
    if (!may_sync(loop) && stave_sync_start(server->store, sequence) == STAVE_OK) return;
    if (stave_sync(server->store) == STAVE_OK)
        clear_durable(loop);
    else
        upkeep_check_sync(server);
    gate_enter(&server->gate, loop->index);
    release_withheld(loop);
    gate_leave(&server->gate, loop->index);
    if (loop->sync_wanted != 0) loop_wake(loop);
}

static void on_durable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct loop *loop = poll->data;
    struct server *server = loop->server;
    if (status < 0 || !clear_durable(loop)) return;
    upkeep_check_sync(server);
    gate_enter(&server->gate, loop->index);
    for (size_t i = 0; i < server->loop_count; i++) {
        if (i != loop->index && server->loops[i] != NULL) loop_wake(server->loops[i]);
    }
    loop->dispatcher.now_ms = clock_now_ms();
    release_withheld(loop);
    gate_leave(&server->gate, loop->index);
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    coldness_look(loop->server, &loop->dispatcher.disk_read_count); /* replies are sent from mapped files */
    gate_enter(&loop->server->gate, loop->index);
    loop->dispatcher.now_ms = clock_now_ms();
    if (loop->waiting_count > 0 || loop->cron_count++ % TICKS_OF_A_LOOK == 0) {
        struct client *client = loop->clients;
        while (client != NULL) {
            struct client *next = client->next;
            connection_tick(connection_of(client), loop->dispatcher.now_ms);
            client = next;
        }
    }
    set_tick(loop);
    gate_leave(&loop->server->gate, loop->index);
}

static void set_tick(struct loop *loop)
{
    const bool is_fast = loop->waiting_count > 0;
    if (is_fast == loop->cron_is_fast) return;
    loop->cron_is_fast = is_fast;
    const uint64_t period = is_fast ? FAST_TICK_MS : TICK_MS;
    (void)uv_timer_start(&loop->cron, on_tick, period, period);
}

/* ------------------------------------------------------------------ start and end */

static void *run_loop(void *context)
{
    struct loop *loop = context;
    char name[16];
    (void)snprintf(name, sizeof name, "stave-io-%zu", loop->index);
    (void)pthread_setname_np(pthread_self(), name);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* Before the thread runs. */
static void listen_for_syncs(struct loop *loop)
{
    loop->durable_event = stave_durable_event(loop->server->store);
    loop->has_durable =
        loop->durable_event >= 0 && uv_poll_init(&loop->uv, &loop->durable, loop->durable_event) == 0;
    loop->durable.data = loop;
    if (loop->has_durable) (void)uv_poll_start(&loop->durable, UV_READABLE, on_durable);
}

static void start_handles(struct loop *loop)
{
    (void)uv_async_init(&loop->uv, &loop->wake, on_wake);
    (void)uv_timer_init(&loop->uv, &loop->cron);
    (void)uv_prepare_init(&loop->uv, &loop->before_wait);
    loop->wake.data = loop;
    loop->cron.data = loop;
    loop->before_wait.data = loop;
    (void)uv_prepare_start(&loop->before_wait, on_before_wait);
    (void)uv_timer_start(&loop->cron, on_tick, TICK_MS, TICK_MS);
    if (loop->index == 0) listen_for_syncs(loop);
}

struct loop *io_thread_start(struct server *server, size_t index)
{
    struct loop *loop = loop_new(server, index);
    if (loop == NULL) return NULL;
    if (uv_loop_init(&loop->uv) != 0) {
        loop_free(loop);
        return NULL;
    }
    start_handles(loop);
    if (pthread_create(&loop->thread, NULL, run_loop, loop) == 0) return loop;
    close_all(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop->uv);
    loop_free(loop);
    return NULL;
}

void io_thread_end(struct loop *loop)
{
    atomic_store(&loop->is_stopping, true);
    loop_wake(loop);
    (void)pthread_join(loop->thread, NULL);
    const int error = uv_loop_close(&loop->uv);
    assert(error == 0);
}
