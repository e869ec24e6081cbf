/* SPDX-License-Identifier: MIT */
/* CLIENT KILL. */
#include <string.h>

#include "net/words.h"
#include "server/command/connection.h"
#include "server/connection.h"
#include "server/loop.h"
#include "server/server.h"

/* What a client must be to go; all that is set must fit. */
struct filter {
    uint64_t id; /* 0: any */
    const struct stave_bytes *address;
    const struct stave_bytes *local_address;
    bool has_type;
    enum client_type type;
    bool skip_self;
};

static bool equals(const char *text, const struct stave_bytes *wanted)
{
    return strlen(text) == wanted->size && memcmp(text, wanted->data, wanted->size) == 0;
}

static bool fits(const struct client *client, const struct client *self, const struct filter *filter)
{
    if (client->flags & CLIENT_KILLED) return false;
    if (filter->id != 0 && client->id != filter->id) return false;
    if (filter->address != NULL && !equals(client->address, filter->address)) return false;
    if (filter->local_address != NULL && !equals(client->local_address, filter->local_address)) return false;
    if (filter->has_type && filter->type != CLIENT_TYPE_NORMAL) return false;
    return client != self || !filter->skip_self;
}

/* The connection that asks gets its reply before it goes. */
static int64_t kill_all(struct call *call, const struct filter *filter)
{
    int64_t count = 0;
    struct client *client = loop_next_client(call->server, NULL);
    for (; client != NULL; client = loop_next_client(call->server, client)) {
        if (!fits(client, call->client, filter)) continue;
        connection_kill(client, client == call->client);
        count++;
    }
    return count;
}

/* False: the answer has been given. */
static bool parse_option(struct call *call, size_t index, struct filter *filter)
{
    if (index + 1 == call->argument_count) {
        call_syntax_error(call);
        return false;
    }
    const struct stave_bytes *value = &call->arguments[index + 1];
    if (call_is(call, index, "id")) {
        int64_t id;
        if (!call_integer_between(call, index + 1, 1, INT64_MAX, "ERR client-id should be greater than 0",
                                  &id))
            return false;
        filter->id = (uint64_t)id;
    } else if (call_is(call, index, "addr")) {
        filter->address = value;
    } else if (call_is(call, index, "laddr")) {
        filter->local_address = value;
    } else if (call_is(call, index, "type")) {
        filter->has_type = true;
        return client_type_parse(call, index + 1, &filter->type);
    } else if (call_is(call, index, "user")) {
        if (!equals("default", value)) {
            call_error(call, "ERR No such user '%.*s'", words_shown(*value), (const char *)value->data);
            return false;
        }
    } else if (call_is(call, index, "skipme") &&
               (call_is(call, index + 1, "yes") || call_is(call, index + 1, "no"))) {
        filter->skip_self = call_is(call, index + 1, "yes");
    } else {
        call_syntax_error(call);
        return false;
    }
    return true;
}

enum stave_status client_kill(struct call *call)
{
    struct filter filter = {.skip_self = false};
    if (call->argument_count == 3) {
        filter.address = &call->arguments[2];
        if (kill_all(call, &filter) == 0) return call_error(call, "ERR No such client");
        reply_ok(call->reply);
        return STAVE_OK;
    }
    filter.skip_self = true;
    for (size_t i = 2; i < call->argument_count; i += 2)
        if (!parse_option(call, i, &filter)) return STAVE_OK;
    reply_integer(call->reply, kill_all(call, &filter));
    return STAVE_OK;
}
