/* SPDX-License-Identifier: MIT */
/*
 * AUTH and HELLO.
 *
 *   A1  A password is compared in time that depends on the length of what was sent alone.
 *   A2  After wrong ones, a client waits longer from one to the next; others do not.
 */
#include <string.h>

#include "net/words.h"
#include "server/clock.h"
#include "server/command/connection.h"
#include "server/log.h"
#include "server/server.h"

#define FAILED_DELAY_FIRST_MS UINT64_C(50)
#define FAILED_DELAY_MAX_MS UINT64_C(2000)
#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."
#define NO_PASSWORD_SET                                                                                      \
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your "    \
    "configuration is correct?"
#define HELLO_WITHOUT_AUTH                                                                                   \
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "    \
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same " \
    "time"

/* What HELLO reports; clients look at its first number. */
#define REDIS_VERSION "7.0.15"

/* A1: every byte of `given` is looked at, whatever the password. */
static bool is_password(const char *password, struct stave_bytes given)
{
    const unsigned char *bytes = given.data;
    const size_t size = strlen(password);
    size_t difference = size ^ given.size;
    for (size_t i = 0; i < given.size; i++)
        difference |= (size_t)((unsigned char)password[size > 0 ? i % size : 0] ^ bytes[i]);
    return difference == 0;
}

static void delay(struct call *call)
{
    struct client *client = call->client;
    uint64_t delay_ms = FAILED_DELAY_FIRST_MS
                        << (client->failed_auth_count < 6 ? client->failed_auth_count : 6);
    if (delay_ms > FAILED_DELAY_MAX_MS) delay_ms = FAILED_DELAY_MAX_MS;
    if (client->failed_auth_count < UINT32_MAX) client->failed_auth_count++;
    client->suspended_until_ms = clock_now_ms() + delay_ms;
    log_write(LOG_VERBOSE, "Wrong password from %s", client->address);
}

/* The one user is "default"; without a password anybody is it (a user name must still be right). */
static bool authenticate(struct call *call, const struct stave_bytes *user, struct stave_bytes given)
{
    const char *password = call->server->config.requirepass;
    const bool is_user = user == NULL || (user->size == 7 && memcmp(user->data, "default", 7) == 0);
    const bool is_right = password[0] == 0 || is_password(password, given);
    if (is_user && is_right) {
        call->client->authenticated = true;
        call->client->failed_auth_count = 0;
        return true;
    }
    delay(call);
    return false;
}

enum stave_status auth_auth(struct call *call)
{
    if (call->argument_count > 3) return call_syntax_error(call);
    const bool has_user = call->argument_count == 3;
    if (!has_user && call->server->config.requirepass[0] == 0) return call_error(call, NO_PASSWORD_SET);
    if (!authenticate(call, has_user ? &call->arguments[1] : NULL, call->arguments[call->argument_count - 1]))
        return call_error(call, WRONG_PASSWORD);
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ HELLO */

/* One after the other, as Redis: what stands before a wrong one is done. False: the answer has been given. */
static bool take_options(struct call *call, enum stave_status *ret_status)
{
    for (size_t i = 2; i < call->argument_count; i++) {
        const size_t left = call->argument_count - 1 - i;
        if (call_is(call, i, "auth") && left >= 2) {
            if (!authenticate(call, &call->arguments[i + 1], call->arguments[i + 2])) {
                *ret_status = call_error(call, WRONG_PASSWORD);
                return false;
            }
            i += 2;
        } else if (call_is(call, i, "setname") && left >= 1) {
            if (!client_take_name(call, ++i, ret_status)) return false;
        } else {
            *ret_status = call_error(call, "ERR Syntax error in HELLO option '%.*s'",
                                     words_shown(call->arguments[i]), (const char *)call->arguments[i].data);
            return false;
        }
    }
    return true;
}

static void reply_hello(struct call *call)
{
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_text(reply, "server");
    reply_text(reply, "redis");
    reply_text(reply, "version");
    reply_text(reply, REDIS_VERSION);
    reply_text(reply, "proto");
    reply_integer(reply, call->client->protocol);
    reply_text(reply, "id");
    reply_integer(reply, (int64_t)call->client->id);
    reply_text(reply, "mode");
    reply_text(reply, "standalone");
    reply_text(reply, "role");
    reply_text(reply, "master");
    reply_text(reply, "modules");
    reply_array(reply, 0);
}

enum stave_status auth_hello(struct call *call)
{
    struct client *client = call->client;
    int64_t protocol = client->protocol;
    enum stave_status status = STAVE_OK;
    if (call->argument_count >= 2 &&
        !call_integer_between(call, 1, INT64_MIN, INT64_MAX,
                              "ERR Protocol version is not an integer or out of range", &protocol))
        return STAVE_OK;
    if (protocol < 2 || protocol > 3) return call_error(call, "NOPROTO unsupported protocol version");
    if (!take_options(call, &status)) return status;
    if (!client_is_authenticated(client)) return call_error(call, HELLO_WITHOUT_AUTH);
    client->protocol = (int)protocol;
    call->reply->protocol = client->protocol;
    reply_hello(call);
    return STAVE_OK;
}
