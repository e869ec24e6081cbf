/* SPDX-License-Identifier: MIT */
/* CLIENT, without KILL. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "net/words.h"
#include "server/clock.h"
#include "server/command/connection.h"
#include "server/command/help.h"
#include "server/connection.h"
#include "server/loop.h"
#include "server/server.h"

#define BAD_NAME "ERR Client names cannot contain spaces, newlines or special characters."
#define NAME_TOO_LONG "ERR Client names cannot be longer than %zu bytes"

static bool is_printable_word(struct stave_bytes text)
{
    const unsigned char *bytes = text.data;
    for (size_t i = 0; i < text.size; i++)
        if (bytes[i] < '!' || bytes[i] > '~') return false;
    return true;
}

bool client_type_parse(struct call *call, size_t index, enum client_type *ret_type)
{
    static const struct {
        const char *name;
        enum client_type type;
    } types[] = {{"normal", CLIENT_TYPE_NORMAL},
                 {"master", CLIENT_TYPE_MASTER},
                 {"replica", CLIENT_TYPE_REPLICA},
                 {"slave", CLIENT_TYPE_REPLICA},
                 {"pubsub", CLIENT_TYPE_PUBSUB}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!call_is(call, index, types[i].name)) continue;
        *ret_type = types[i].type;
        return true;
    }
    call_error(call, "ERR Unknown client type '%.*s'", words_shown(call->arguments[index]),
               (const char *)call->arguments[index].data);
    return false;
}

enum stave_status client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->client->id);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ LIST and INFO */

static void flag_letters(const struct client *client, char letters[8])
{
    size_t count = 0;
    if (client->flags & CLIENT_MONITOR) letters[count++] = 'O';
    if (client->flags & CLIENT_MULTI) letters[count++] = 'x';
    if (client->flags & CLIENT_DIRTY_EXEC) letters[count++] = 'd';
    if (client->flags & CLIENT_CLOSE_AFTER_REPLY) letters[count++] = 'c';
    if (client->flags & CLIENT_UNIX_SOCKET) letters[count++] = 'U';
    if (client->flags & CLIENT_NO_EVICT) letters[count++] = 'e';
    if (count == 0) letters[count++] = 'N';
    letters[count] = 0;
}

/* By a clock that may have been set back. */
static uint64_t seconds_between(uint64_t begin_ms, uint64_t end_ms)
{
    return end_ms > begin_ms ? (end_ms - begin_ms) / 1000 : 0;
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static enum stave_status append_client(const struct client *client, uint64_t now_ms, struct buffer *out)
{
    struct connection_figures figures;
    char letters[8];
    char command[64] = "NULL";
    connection_figures(client, &figures);
    flag_letters(client, letters);
    if (client->last_command != NULL) command_full_name(client->last_command, command, sizeof(command));
    const int64_t multi = client->flags & CLIENT_MULTI ? (int64_t)client->queued_count : -1;
    return buffer_append_format(
        out,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRIu64 " idle=%" PRIu64
        " flags=%s db=%u sub=0 psub=0 ssub=0 multi=%" PRId64
        " qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu rbs=0 rbp=0 obl=%zu oll=%zu omem=%zu "
        "tot-mem=%zu events=%s cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
        client->id, client->address, client->local_address, client->descriptor, text_or_empty(client->name),
        seconds_between(client->created_ms, now_ms), seconds_between(client->active_ms, now_ms), letters,
        client->database, multi, figures.query_buffer, figures.query_buffer_free, figures.argument_memory,
        figures.multi_memory, figures.output_buffer_size, figures.output_list_length,
        figures.output_list_memory, figures.total_memory, figures.events, command, client->protocol,
        text_or_empty(client->library_name), text_or_empty(client->library_version));
}

static enum stave_status reply_buffer(struct call *call, struct buffer *text, enum stave_status status)
{
    if (status == STAVE_OK) reply_verbatim(call->reply, "txt", buffer_bytes(text));
    buffer_free(text);
    return status;
}

enum stave_status client_info(struct call *call)
{
    struct buffer text = {0};
    return reply_buffer(call, &text, append_client(call->client, clock_now_ms(), &text));
}

/* The clients of all loops, by their ids; each is listed once, however often it is asked for. */
struct listed {
    struct client *client;
    bool is_shown;
};

static int compare_ids(const void *a, const void *b)
{
    const uint64_t left = ((const struct listed *)a)->client->id;
    const uint64_t right = ((const struct listed *)b)->client->id;
    return left < right ? -1 : left > right;
}

static struct listed *gather_clients(struct server *server, size_t *ret_count)
{
    size_t count = 0;
    for (struct client *client = loop_next_client(server, NULL); client != NULL;
         client = loop_next_client(server, client))
        count++;
    struct listed *listed = memory_alloc_zero(count + 1, sizeof(*listed));
    if (listed == NULL) return NULL;
    *ret_count = 0;
    for (struct client *client = loop_next_client(server, NULL); client != NULL;
         client = loop_next_client(server, client))
        if (!(client->flags & CLIENT_KILLED)) listed[(*ret_count)++].client = client;
    qsort(listed, *ret_count, sizeof(*listed), compare_ids);
    return listed;
}

static struct listed *find_client(struct listed *listed, size_t count, int64_t id)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((int64_t)listed[middle].client->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && (int64_t)listed[low].client->id == id ? &listed[low] : NULL;
}

/* Those of LIST ID, in the order in which they are asked for. */
static enum stave_status append_by_id(struct call *call, struct listed *listed, size_t count,
                                      struct buffer *text, bool *ret_refused)
{
    const uint64_t now_ms = clock_now_ms();
    enum stave_status status = STAVE_OK;
    for (size_t i = 3; i < call->argument_count && status == STAVE_OK; i++) {
        int64_t id;
        *ret_refused = !call_integer_between(call, i, INT64_MIN, INT64_MAX, "ERR Invalid client ID", &id);
        if (*ret_refused) return STAVE_OK;
        struct listed *found = find_client(listed, count, id);
        if (found == NULL || found->is_shown) continue;
        found->is_shown = true;
        status = append_client(found->client, now_ms, text);
    }
    return status;
}

static enum stave_status append_all(const struct listed *listed, size_t count, struct buffer *text)
{
    const uint64_t now_ms = clock_now_ms();
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < count && status == STAVE_OK; i++)
        status = append_client(listed[i].client, now_ms, text);
    return status;
}

enum stave_status client_list(struct call *call)
{
    enum client_type type = CLIENT_TYPE_NORMAL;
    const bool by_id = call->argument_count > 3 && call_is(call, 2, "id");
    const bool by_type = call->argument_count == 4 && call_is(call, 2, "type");
    if (by_type && !client_type_parse(call, 3, &type)) return STAVE_OK;
    if (!by_id && !by_type && call->argument_count != 2) return call_syntax_error(call);

    size_t count = 0;
    struct listed *listed = gather_clients(call->server, &count);
    if (listed == NULL) return STAVE_NO_MEMORY;
    struct buffer text = {0};
    bool is_refused = false;
    enum stave_status status = STAVE_OK;
    if (by_id)
        status = append_by_id(call, listed, count, &text, &is_refused);
    else if (type == CLIENT_TYPE_NORMAL)
        status = append_all(listed, count, &text);
    memory_free(listed);
    if (!is_refused) return reply_buffer(call, &text, status);
    buffer_free(&text);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ names */

bool client_take_name(struct call *call, size_t index, enum stave_status *ret_status)
{
    const struct stave_bytes name = call->arguments[index];
    if (name.size > CLIENT_NAME_SIZE_MAX)
        *ret_status = call_error(call, NAME_TOO_LONG, CLIENT_NAME_SIZE_MAX);
    else if (!is_printable_word(name))
        *ret_status = call_error(call, BAD_NAME);
    else if (!client_set_text(&call->client->name, name))
        *ret_status = STAVE_NO_MEMORY;
    else
        return true;
    return false;
}

enum stave_status client_setname(struct call *call)
{
    enum stave_status status = STAVE_OK;
    if (client_take_name(call, 2, &status)) reply_ok(call->reply);
    return status;
}

enum stave_status client_getname(struct call *call)
{
    if (call->client->name != NULL)
        reply_text(call->reply, call->client->name);
    else
        reply_null(call->reply);
    return STAVE_OK;
}

/* Of Redis 7.2; clients of today send it without looking at the version. */
enum stave_status client_setinfo(struct call *call)
{
    const bool is_name = call_is(call, 2, "lib-name");
    if (!is_name && !call_is(call, 2, "lib-ver"))
        return call_error(call, "ERR Unrecognized option '%.*s'", words_shown(call->arguments[2]),
                          (const char *)call->arguments[2].data);
    if (call->arguments[3].size > CLIENT_NAME_SIZE_MAX || !is_printable_word(call->arguments[3]))
        return call_error(call, "ERR %s cannot contain spaces, newlines or special characters.",
                          is_name ? "lib-name" : "lib-ver");
    char **target = is_name ? &call->client->library_name : &call->client->library_version;
    if (!client_set_text(target, call->arguments[3])) return STAVE_NO_MEMORY;
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ replies, pauses */

enum stave_status client_reply(struct call *call)
{
    uint32_t *flags = &call->client->flags;
    if (call_is(call, 2, "on")) {
        *flags &= ~(uint32_t)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
        reply_ok(call->reply);
    } else if (call_is(call, 2, "off")) {
        *flags |= CLIENT_REPLY_OFF;
    } else if (call_is(call, 2, "skip")) {
        if (!(*flags & CLIENT_REPLY_OFF)) *flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        return call_syntax_error(call);
    }
    return STAVE_OK;
}

enum stave_status client_pause(struct call *call)
{
    bool writes_only = false;
    int64_t timeout_ms;
    if (call->argument_count > 4) return call_wrong_subcommand(call);
    if (call->argument_count == 4) {
        writes_only = call_is(call, 3, "write");
        if (!writes_only && !call_is(call, 3, "all"))
            return call_error(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
    if (!call_integer_between(call, 2, INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range",
                              &timeout_ms))
        return STAVE_OK;
    if (timeout_ms < 0) return call_error(call, "ERR timeout is negative");
    struct server_pause *pause = &call->server->pause;
    const uint64_t now_ms = clock_now_ms();
    if ((uint64_t)timeout_ms > INT64_MAX - now_ms) return call_error(call, "ERR timeout is out of range");
    /* A pause that is on already is made longer and stricter, never the opposite. */
    const bool is_on = pause->until_ms > now_ms;
    const uint64_t until_ms = now_ms + (uint64_t)timeout_ms;
    pause->writes_only = writes_only && (!is_on || pause->writes_only);
    if (!is_on || until_ms > pause->until_ms) pause->until_ms = until_ms;
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status client_unpause(struct call *call)
{
    call->server->pause = (struct server_pause){0, false};
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status client_no_evict(struct call *call)
{
    if (call_is(call, 2, "on"))
        call->client->flags |= CLIENT_NO_EVICT;
    else if (call_is(call, 2, "off"))
        call->client->flags &= ~(uint32_t)CLIENT_NO_EVICT;
    else
        return call_syntax_error(call);
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ what has nothing to act on here */

/* No command blocks, so nobody can be unblocked. */
enum stave_status client_unblock(struct call *call)
{
    int64_t unused;
    if (call->argument_count > 4) return call_wrong_subcommand(call);
    if (call->argument_count == 4 && !call_is(call, 3, "timeout") && !call_is(call, 3, "error"))
        return call_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    if (!call_integer(call, 2, &unused)) return STAVE_OK;
    reply_integer(call->reply, 0);
    return STAVE_OK;
}

enum stave_status client_getredir(struct call *call)
{
    reply_integer(call->reply, -1);
    return STAVE_OK;
}

enum stave_status client_tracking(struct call *call)
{
    if (call_is(call, 2, "off") && call->argument_count == 3) {
        reply_ok(call->reply);
        return STAVE_OK;
    }
    if (!call_is(call, 2, "on")) return call_syntax_error(call);
    return call_error(call, "ERR client side caching is not supported by this server");
}

enum stave_status client_trackinginfo(struct call *call)
{
    reply_map(call->reply, 3);
    reply_text(call->reply, "flags");
    reply_set(call->reply, 1);
    reply_text(call->reply, "off");
    reply_text(call->reply, "redirect");
    reply_integer(call->reply, -1);
    reply_text(call->reply, "prefixes");
    reply_array(call->reply, 0);
    return STAVE_OK;
}

enum stave_status client_caching(struct call *call)
{
    return call_error(
        call, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
              "OPTOUT mode enabled");
}

enum stave_status client_help(struct call *call)
{
    static const char *const lines[] = {
        "GETNAME",
        "    The name of this connection.",
        "ID",
        "    The number of this connection, never used again.",
        "INFO",
        "    What CLIENT LIST says of this connection.",
        "KILL <ip:port>",
        "    Close the connection from this address.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Close the connections that fit all of these:",
        "    * ID <client-id>",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "    * USER <username>",
        "    * SKIPME (YES|NO): leave this connection alone (default: yes)",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> [...]]",
        "    A line for each connection.",
        "NO-EVICT (ON|OFF)",
        "    Keep this connection when the memory for clients runs out.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold back all commands, or those that write, for this many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether this connection gets replies.",
        "SETINFO (LIB-NAME|LIB-VER) <text>",
        "    Name the client library.",
        "SETNAME <name>",
        "    Name this connection.",
        "UNPAUSE",
        "    End the pause.",
        NULL,
    };
    return help_reply(call, lines);
}
