/* SPDX-License-Identifier: MIT */
/* The clients of a loop, what they share, and what is asked of all loops. */
#include "server/loop.h"

#include "base/memory.h"

struct loop *loop_new(struct server *server, size_t index)
{
    struct loop *loop = memory_alloc_zero(1, sizeof *loop);
    if (loop == NULL) return NULL;
    loop->server = server;
    loop->index = index;
    loop->ready.kind = CLIENT_SET_READY;
    loop->withheld.kind = CLIENT_SET_WITHHELD;
    (void)pthread_mutex_init(&loop->inbox_lock, NULL);
    loop->input = memory_alloc(LOOP_INPUT_SIZE);
    if (!dispatcher_init(&loop->dispatcher, server, index) || loop->input == NULL) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) return;
    dispatcher_free(&loop->dispatcher);
    requests_free(&loop->requests);
    memory_free(loop->input);
    client_set_free(&loop->ready);
    client_set_free(&loop->withheld);
    (void)pthread_mutex_destroy(&loop->inbox_lock);
    memory_free(loop);
}

void loop_wake(struct loop *loop)
{
    (void)uv_async_send(&loop->wake);
}

void loop_sync(struct loop *loop, uint64_t sequence)
{
    if (sequence > loop->sync_wanted) loop->sync_wanted = sequence;
}

/* ------------------------------------------------------------------ its clients */

void loop_give(struct loop *loop, struct client *client)
{
    (void)pthread_mutex_lock(&loop->inbox_lock);
    client->next = loop->inbox;
    loop->inbox = client;
    (void)pthread_mutex_unlock(&loop->inbox_lock);
    loop_wake(loop);
}

struct client *loop_take_given(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->inbox_lock);
    struct client *client = loop->inbox;
    loop->inbox = NULL;
    (void)pthread_mutex_unlock(&loop->inbox_lock);
    return client;
}

void loop_add_client(struct loop *loop, struct client *client)
{
    client->loop = loop;
    client->previous = NULL;
    client->next = loop->clients;
    if (loop->clients != NULL) loop->clients->previous = client;
    loop->clients = client;
    loop->client_count++;
}

void loop_remove_client(struct loop *loop, struct client *client)
{
    client_set_remove(&loop->ready, client);
    client_set_remove(&loop->withheld, client);
    if (client->previous != NULL)
        client->previous->next = client->next;
    else
        loop->clients = client->next;
    if (client->next != NULL) client->next->previous = client->previous;
    loop->client_count--;
}

/* ------------------------------------------------------------------ all loops */

struct client *loop_next_client(const struct server *server, const struct client *client)
{
    if (client != NULL && client->next != NULL) return client->next;
    for (size_t i = client == NULL ? 0 : client->loop->index + 1; i < server->loop_count; i++) {
        if (server->loops[i]->clients != NULL) return server->loops[i]->clients;
    }
    return NULL;
}

void loop_sum_stats(const struct server *server, struct loop_stats *ret_stats)
{
    stats_clear(ret_stats);
    for (size_t i = 0; i < server->loop_count; i++) stats_add(ret_stats, &server->loops[i]->dispatcher.stats);
}

void loop_clear_stats(struct server *server)
{
    for (size_t i = 0; i < server->loop_count; i++) stats_clear(&server->loops[i]->dispatcher.stats);
}
