/* SPDX-License-Identifier: MIT */
/* Lines of MONITOR. */
#include "server/monitor.h"

#include <sys/time.h>

#include "base/buffer.h"
#include "net/words.h"
#include "server/call.h"
#include "server/client.h"
#include "server/connection.h"
#include "server/loop.h"
#include "server/secret.h"
#include "server/server.h"

/* What is longer is cut, and what is left out named: a line goes to every monitor. */
#define SHOWN_SIZE_MAX ((size_t)65536)

static enum stave_status append_argument(struct stave_bytes argument, struct buffer *line)
{
    if (argument.size <= SHOWN_SIZE_MAX) return words_quote(line, argument);
    const enum stave_status status = words_quote(line, stave_bytes(argument.data, SHOWN_SIZE_MAX));
    if (status != STAVE_OK) return status;
    return buffer_append_format(line, "... (%zu more bytes)", argument.size - SHOWN_SIZE_MAX);
}

static enum stave_status append_arguments(const struct call *call, struct buffer *line)
{
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < call->argument_count && status == STAVE_OK; i++) {
        status = buffer_append(line, " ", 1);
        if (status != STAVE_OK) break;
        const bool is_secret = secret_argument(call->command, call->arguments, call->argument_count, i);
        status = append_argument(is_secret ? stave_text("(redacted)") : call->arguments[i], line);
    }
    return status;
}

static enum stave_status format_line(const struct call *call, struct buffer *line)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    const bool is_unix = (call->client->flags & CLIENT_UNIX_SOCKET) != 0;
    enum stave_status status = buffer_append_format(
        line, "+%lld.%06ld [%u %s%s]", (long long)now.tv_sec, (long)now.tv_usec, call->database,
        is_unix ? "unix:" : "", is_unix ? call->server->config.unixsocket : call->client->address);
    if (status == STAVE_OK) status = append_arguments(call, line);
    if (status == STAVE_OK) status = buffer_append(line, "\r\n", 2);
    return status;
}

static void send_line(struct server *server, const struct buffer *line, uint64_t seen)
{
    for (struct client *client = loop_next_client(server, NULL); client != NULL;
         client = loop_next_client(server, client))
        if (client->flags & CLIENT_MONITOR && !(client->flags & CLIENT_KILLED))
            connection_send(client, buffer_bytes(line), seen);
}

void monitor_feed(const struct call *call)
{
    struct buffer line = {0};
    if (call->command->flags & (COMMAND_SKIP_MONITOR | COMMAND_ADMIN)) return;
    if (format_line(call, &line) == STAVE_OK)
        send_line(call->server, &line, transaction_seen(call->transaction));
    buffer_free(&line);
}
