/* SPDX-License-Identifier: MIT */
/* PING ECHO QUIT RESET SELECT. */
#include "server/command/connection.h"

#include "server/connection.h"
#include "server/server.h"

enum stave_status connection_ping(struct call *call)
{
    if (call->argument_count > 2) return call_wrong_arity(call);
    if (call->argument_count == 2)
        reply_bulk(call->reply, call->arguments[1]);
    else
        reply_simple(call->reply, "PONG");
    return STAVE_OK;
}

enum stave_status connection_echo(struct call *call)
{
    reply_bulk(call->reply, call->arguments[1]);
    return STAVE_OK;
}

enum stave_status connection_quit(struct call *call)
{
    reply_ok(call->reply);
    connection_kill(call->client, true);
    return STAVE_OK;
}

/* As a new connection would be, except for its id, name of the library and the place in the list. */
enum stave_status connection_reset(struct call *call)
{
    struct client *client = call->client;
    if (client->flags & CLIENT_MONITOR) atomic_fetch_sub(&call->server->monitor_count, 1);
    client_discard(client);
    client->flags &= ~(uint32_t)(CLIENT_MONITOR | CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP |
                                 CLIENT_REPLY_SKIP_NEXT | CLIENT_NO_EVICT);
    client->database = 0;
    call->database = 0;
    client->protocol = 2;
    call->reply->protocol = 2;
    client->authenticated = call->server->config.requirepass[0] == 0;
    client_set_text(&client->name, stave_bytes(NULL, 0));
    reply_simple(call->reply, "RESET");
    return STAVE_OK;
}

enum stave_status connection_select(struct call *call)
{
    if (!call_database(call, 1, &call->database)) return STAVE_OK;
    call->client->database = call->database;
    reply_ok(call->reply);
    return STAVE_OK;
}
