/* SPDX-License-Identifier: MIT */
/* Commands are sent as they are; a few of them change what the session knows. */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "net/words.h"

static char *copy_or_null(const char *text)
{
    return text == NULL ? NULL : message_need(memory_copy_string(text));
}

static void replace(char **text, struct stave_bytes bytes)
{
    char *const copy = message_need(memory_alloc(bytes.size + 1));
    memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    memory_free(*text);
    *text = copy;
}

void session_init(struct session *session, const struct options *options, FILE *out)
{
    memset(session, 0, sizeof(*session));
    connection_init(&session->connection);
    session->options = options;
    session->format = format_choose(options, out);
    session->user = copy_or_null(options->user);
    session->password = copy_or_null(options->password);
    session->wanted_database = options->database;
    session->protocol = options->protocol;
}

void session_free(struct session *session)
{
    connection_free(&session->connection);
    memory_free(session->user);
    memory_free(session->password);
}

enum cli_exit session_exit_of(const struct session *session, enum connection_status status)
{
    switch (status) {
    case CONNECTION_OK:
        return session->had_error && session->options->error_exit ? CLI_ERROR_REPLY : CLI_DONE;
    case CONNECTION_INTERRUPTED:
    case CONNECTION_TIMEOUT:
    case CONNECTION_REFUSED:
    case CONNECTION_LOST: return CLI_FAILURE;
    }
    return CLI_FAILURE;
}

/* ------------------------------------------------------------------ connecting */

static const struct resp_value *last_reply(const struct session *session)
{
    return resp_reply(&session->connection.reader);
}

static bool begins_with(const struct session *session, const struct resp_value *reply, const char *start)
{
    const struct stave_bytes text = resp_text(&session->connection.reader, reply);
    return text.size >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

/* One question at the start; an error in the answer is told, and the session goes on. */
static enum connection_status introduce(struct session *session, const char *const *words)
{
    const enum connection_status status = connection_ask(&session->connection, words);
    if (status != CONNECTION_OK) return status;
    const struct resp_value *const reply = last_reply(session);
    if (reply->type != RESP_ERROR) return status;
    const struct stave_bytes text = resp_text(&session->connection.reader, reply);
    message("%s failed: %.*s", words[0], (int)text.size, (const char *)text.data);
    return status;
}

static enum connection_status authenticate(struct session *session)
{
    const char *const with_user[] = {"AUTH", session->user, session->password, NULL};
    const char *const without[] = {"AUTH", session->password, NULL};
    if (session->password == NULL) return CONNECTION_OK;
    return introduce(session, session->user != NULL ? with_user : without);
}

static enum connection_status choose_protocol(struct session *session)
{
    static const char *const words[] = {"HELLO", "3", NULL};
    return session->protocol < 3 ? CONNECTION_OK : introduce(session, words);
}

static enum connection_status select_database(struct session *session)
{
    char number[RESP_INTEGER_SIZE_MAX + 1];
    number[resp_unsigned_write(session->wanted_database, number)] = '\0';
    const char *const words[] = {"SELECT", number, NULL};
    if (session->wanted_database == session->database) return CONNECTION_OK;
    const enum connection_status status = introduce(session, words);
    if (status != CONNECTION_OK) return status;
    const struct resp_value *const reply = last_reply(session);
    if (reply->type != RESP_ERROR) session->database = session->wanted_database;
    /* Before AUTH no command does anything. */
    else if (!session->is_interactive && !begins_with(session, reply, "NOAUTH "))
        return CONNECTION_REFUSED;
    return CONNECTION_OK;
}

static void tell_no_connection(const struct session *session)
{
    const struct options *const options = session->options;
    if (options->socket != NULL)
        message("no connection to %s: %s", options->socket, session->connection.error);
    else
        message("no connection to %s:%s: %s", options->host, options->port, session->connection.error);
}

enum connection_status session_connect(struct session *session)
{
    session->in_transaction = false;
    session->replies = REPLIES_ON;
    session->database = 0;
    enum connection_status status = connection_open(&session->connection, session->options);
    if (status == CONNECTION_OK) status = authenticate(session);
    if (status == CONNECTION_OK) status = choose_protocol(session);
    if (status == CONNECTION_OK) status = select_database(session);
    if (status == CONNECTION_OK) return status;
    if (status == CONNECTION_LOST) tell_no_connection(session);
    connection_close(&session->connection);
    return status;
}

/* ------------------------------------------------------------------ what commands change */

static bool is_text(const struct session *session, const struct resp_value *reply, const char *text)
{
    return reply->type == RESP_SIMPLE && words_is(resp_text(&session->connection.reader, reply), text);
}

static void note_number(struct stave_bytes word, int64_t max, int64_t *number)
{
    int64_t value = 0;
    if (resp_integer(word, &value) && value >= 0 && value <= max) *number = value;
}

/* AUTH and HELLO's AUTH: for connecting again. */
static void note_password(struct session *session, const struct stave_bytes *words, size_t count)
{
    if (count == 2) {
        memory_free(session->user);
        session->user = NULL;
    } else {
        replace(&session->user, words[count - 2]);
    }
    replace(&session->password, words[count - 1]);
}

static void note_hello(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    int64_t protocol = session->protocol;
    if (count < 2) return;
    note_number(arguments[1], 3, &protocol);
    session->protocol = (int)protocol;
    for (size_t i = 2; i + 2 < count; i++) {
        if (!words_is(arguments[i], "auth")) continue;
        note_password(session, arguments + i, 3);
        return;
    }
}

static void note_reset(struct session *session)
{
    session->database = 0;
    session->wanted_database = 0;
    session->in_transaction = false;
    session->protocol = 0;
    session->replies = REPLIES_ON;
}

static void note_success(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    const struct resp_value *const reply = last_reply(session);
    const struct stave_bytes name = arguments[0];
    const bool is_ok = is_text(session, reply, "ok");
    int64_t database = session->database;
    if (words_is(name, "select") && is_ok && count == 2) {
        note_number(arguments[1], INT32_MAX, &database);
        session->database = (uint32_t)database;
        session->wanted_database = session->database;
    } else if (words_is(name, "multi") && is_ok) {
        session->in_transaction = true;
    } else if (words_is(name, "exec") || (words_is(name, "discard") && is_ok)) {
        session->in_transaction = false;
    } else if (words_is(name, "auth") && is_ok && (count == 2 || count == 3)) {
        note_password(session, arguments, count);
    } else if (words_is(name, "hello") && resp_is_aggregate(reply->type)) {
        note_hello(session, arguments, count);
    } else if (words_is(name, "reset") && is_text(session, reply, "reset")) {
        note_reset(session);
    }
}

static void note_reply(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    session->had_error = last_reply(session)->type == RESP_ERROR;
    if (!session->had_error)
        note_success(session, arguments, count);
    else if (words_is(arguments[0], "exec"))
        session->in_transaction = false;
}

/* CLIENT REPLY ON, OFF, SKIP: from now on, or for the next command, no replies come. */
static void note_client_reply(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    if (session->replies == REPLIES_SKIPPED_NOW) session->replies = REPLIES_ON;
    if (session->replies == REPLIES_SKIP) session->replies = REPLIES_SKIPPED_NOW;
    if (count != 3 || !words_is(arguments[0], "client") || !words_is(arguments[1], "reply")) return;
    if (words_is(arguments[2], "on")) session->replies = REPLIES_ON;
    if (words_is(arguments[2], "off")) session->replies = REPLIES_OFF;
    if (words_is(arguments[2], "skip") && session->replies == REPLIES_ON) session->replies = REPLIES_SKIP;
}

/* After AUTH a database that was refused may be had. */
static enum connection_status select_again(struct session *session, struct stave_bytes name)
{
    const bool may_help = !session->had_error && (words_is(name, "auth") || words_is(name, "hello"));
    return may_help ? select_database(session) : CONNECTION_OK;
}

/* ------------------------------------------------------------------ running */

/* Is the reply text for people? */
static bool answers_with_text(const struct stave_bytes *arguments, size_t count)
{
    static const char *const names[][2] = {
        {"info", NULL},       {"lolwut", NULL},           {"client", "info"},    {"client", "list"},
        {"memory", "doctor"}, {"memory", "malloc-stats"}, {"latency", "doctor"}, {"latency", "graph"},
        {"cluster", "info"},  {"cluster", "nodes"},       {"debug", "htstats"},  {"debug", "htstats-key"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!words_is(arguments[0], names[i][0])) continue;
        if (names[i][1] == NULL || (count > 1 && words_is(arguments[1], names[i][1]))) return true;
    }
    return false;
}

static void show_reply(const struct session *session)
{
    const struct resp_reader *const reader = &session->connection.reader;
    if (session->is_text)
        format_text_reply(&session->format, stdout, reader, last_reply(session));
    else
        format_reply(&session->format, stdout, reader, last_reply(session));
    fflush(stdout);
}

static enum connection_status tell_failure(struct session *session, enum connection_status status)
{
    if (status == CONNECTION_LOST && !session->has_ended)
        message("the connection was lost before the reply came: %s", session->connection.error);
    if (status == CONNECTION_INTERRUPTED) connection_close(&session->connection);
    if (!connection_is_open(&session->connection)) session->in_transaction = false;
    return status;
}

static bool is_push(const struct session *session)
{
    return last_reply(session)->type == RESP_PUSH;
}

/* Everything that comes, until the user or the server ends it. */
static enum connection_status show_stream(struct session *session)
{
    enum connection_status status;
    if (session->is_interactive) {
        fputs("(waiting for messages; Ctrl-C ends it)\n", stdout);
        fflush(stdout);
    }
    while ((status = connection_receive(&session->connection, CONNECTION_FOR_EVER)) == CONNECTION_OK)
        show_reply(session);
    return status;
}

enum command_kind { KIND_USUAL, KIND_SUBSCRIBE, KIND_UNSUBSCRIBE, KIND_MONITOR };

static enum command_kind kind_of(struct stave_bytes name)
{
    if (words_is(name, "monitor")) return KIND_MONITOR;
    if (words_is(name, "subscribe") || words_is(name, "psubscribe") || words_is(name, "ssubscribe"))
        return KIND_SUBSCRIBE;
    if (words_is(name, "unsubscribe") || words_is(name, "punsubscribe") || words_is(name, "sunsubscribe"))
        return KIND_UNSUBSCRIBE;
    return KIND_USUAL;
}

/* The reply of the command, pushes before it shown as well. */
static enum connection_status receive_reply(struct session *session, bool push_is_reply)
{
    for (;;) {
        const enum connection_status status = connection_receive(&session->connection, CONNECTION_FOR_EVER);
        if (status != CONNECTION_OK) return status;
        show_reply(session);
        if (push_is_reply || !is_push(session)) return CONNECTION_OK;
    }
}

/* Subscriptions are answered once for each channel; then messages come, which a prompt shows in version 3. */
static enum connection_status follow_subscription(struct session *session, enum command_kind kind,
                                                  size_t count)
{
    const struct resp_value *const reply = last_reply(session);
    const bool has_begun =
        kind == KIND_MONITOR ? is_text(session, reply, "ok") : resp_is_aggregate(reply->type);
    if (!has_begun) return CONNECTION_OK;
    const bool returns =
        kind == KIND_UNSUBSCRIBE || (kind == KIND_SUBSCRIBE && session->is_interactive && is_push(session));
    if (!returns) return show_stream(session);
    for (size_t i = 2; i < count; i++) {
        const enum connection_status status = receive_reply(session, true);
        if (status != CONNECTION_OK) return status;
    }
    return CONNECTION_OK;
}

enum connection_status session_run(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    const enum command_kind kind = kind_of(arguments[0]);
    session->had_error = false;
    session->is_text = answers_with_text(arguments, count);
    if (!connection_is_open(&session->connection)) {
        const enum connection_status status = session_connect(session);
        if (status != CONNECTION_OK) return status;
    }
    session->has_ended = words_is(arguments[0], "quit") || words_is(arguments[0], "shutdown");
    note_client_reply(session, arguments, count);
    enum connection_status status = connection_send(&session->connection, arguments, count);
    if (status != CONNECTION_OK) return tell_failure(session, status);
    if (session->replies != REPLIES_ON) return CONNECTION_OK;

    status = receive_reply(session, kind != KIND_USUAL);
    if (status == CONNECTION_LOST && session->has_ended) return CONNECTION_OK;
    if (status != CONNECTION_OK) return tell_failure(session, status);
    if (words_is(arguments[0], "shutdown")) session->has_ended = false; /* it was refused */
    note_reply(session, arguments, count);
    if (kind == KIND_USUAL) return select_again(session, arguments[0]);
    status = follow_subscription(session, kind, count);
    return status == CONNECTION_OK ? status : tell_failure(session, status);
}

bool session_show_pushes(struct session *session, const char *before)
{
    bool has_shown = false;
    while (connection_is_open(&session->connection)) {
        const enum connection_status status = connection_receive(&session->connection, 0);
        if (status == CONNECTION_TIMEOUT || status == CONNECTION_INTERRUPTED) break;
        if (!has_shown) fputs(before, stdout);
        has_shown = true;
        if (status == CONNECTION_OK) {
            show_reply(session);
            continue;
        }
        session->in_transaction = false;
        printf("(the connection was lost: %s; the next command makes a new one)\n",
               session->connection.error);
    }
    return has_shown;
}
