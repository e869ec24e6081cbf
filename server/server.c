/* SPDX-License-Identifier: MIT */
/* What any thread asks of the main thread. */
#include "server/server.h"

#include "server/posts.h"

bool server_background(struct server *server, void (*work)(void *context), void (*done)(void *context),
                       void *context)
{
    return posts_add_work(server->posts, work, done, context);
}

void server_stop(struct server *server)
{
    if (!atomic_exchange(&server->stopping, true)) posts_wake(server->posts);
}
