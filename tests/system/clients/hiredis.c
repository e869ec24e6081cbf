/* SPDX-License-Identifier: MIT */
/* stave-server through hiredis: hiredis PORT SOCKET PASSWORD, as support/client_program.py starts it. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { PIPELINE_COUNT = 10000, RACE_COUNT = 100, LARGE_SIZE = 32 << 20 };

static const char *path;
static const char *password;
static int port;

static _Noreturn void fail(int line, const char *what)
{
    fprintf(stderr, "hiredis.c:%d: %s\n", line, what);
    exit(1);
}

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) fail(__LINE__, #condition);                                                        \
    } while (0)

/* The reply to a command; a failure of the connection ends the program. */
static redisReply *ask(redisContext *context, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    if (reply == NULL) fail(__LINE__, context->errstr);
    return reply;
}

/* Whether a reply is this text, this number (freed then). */
static bool is_text(redisReply *reply, const char *text)
{
    const bool same = reply->str != NULL && strcmp(reply->str, text) == 0;
    if (!same) fprintf(stderr, "not %s but %s\n", text, reply->str != NULL ? reply->str : "no text");
    freeReplyObject(reply);
    return same;
}

static bool is_number(redisReply *reply, long long number)
{
    const bool same = reply->type == REDIS_REPLY_INTEGER && reply->integer == number;
    freeReplyObject(reply);
    return same;
}

static bool is_nil(redisReply *reply)
{
    const bool same = reply->type == REDIS_REPLY_NIL;
    freeReplyObject(reply);
    return same;
}

/* A connection that has given the password. */
static redisContext *join(redisContext *context)
{
    EXPECT(context != NULL);
    if (context->err != 0) fail(__LINE__, context->errstr);
    EXPECT(is_text(ask(context, "AUTH %s", password), "OK"));
    return context;
}

static redisContext *join_port(void)
{
    return join(redisConnect("127.0.0.1", port));
}

static void connections_of_all_kinds_reach_their_database(void)
{
    redisContext *stranger = redisConnect("127.0.0.1", port);
    EXPECT(is_text(ask(stranger, "GET k"), "NOAUTH Authentication required."));
    redisFree(stranger);

    const struct timeval timeout = {.tv_sec = 30};
    redisContext *by_port = join(redisConnectWithTimeout("127.0.0.1", port, timeout));
    redisContext *by_path = join(redisConnectUnix(path));
    EXPECT(is_text(ask(by_port, "SELECT 7"), "OK"));
    EXPECT(is_text(ask(by_port, "SET where seven"), "OK"));
    EXPECT(is_nil(ask(by_path, "GET where")));
    EXPECT(is_text(ask(by_path, "SELECT 7"), "OK"));
    EXPECT(is_text(ask(by_path, "GET where"), "seven"));
    EXPECT(is_text(ask(by_path, "CLIENT SETNAME teller"), "OK"));
    EXPECT(is_text(ask(by_path, "CLIENT GETNAME"), "teller"));
    redisFree(by_port);
    redisFree(by_path);
}

static void strings_counters_and_expiry(redisContext *context)
{
    EXPECT(is_text(ask(context, "SET k v EX 100"), "OK"));
    EXPECT(is_nil(ask(context, "SET k w NX")));
    EXPECT(is_number(ask(context, "PERSIST k"), 1));
    EXPECT(is_number(ask(context, "TTL k"), -1));
    EXPECT(is_number(ask(context, "INCRBY n 41"), 41));
    EXPECT(is_number(ask(context, "INCR n"), 42));
    EXPECT(is_text(ask(context, "INCR k"), "ERR value is not an integer or out of range"));

    static const char binary[] = "\0\r\n\xff";
    EXPECT(is_text(ask(context, "SET %b %b", binary, sizeof(binary), binary, sizeof(binary)), "OK"));
    redisReply *reply = ask(context, "MGET %b none", binary, sizeof(binary));
    EXPECT(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
    EXPECT(reply->element[0]->len == sizeof(binary));
    EXPECT(memcmp(reply->element[0]->str, binary, sizeof(binary)) == 0);
    EXPECT(reply->element[1]->type == REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

static void large_values_pass(redisContext *context)
{
    char *const value = malloc(LARGE_SIZE);
    EXPECT(value != NULL);
    for (size_t i = 0; i < LARGE_SIZE; i++) value[i] = (char)(i * 2654435761u >> 13);
    EXPECT(is_text(ask(context, "SET large %b", value, (size_t)LARGE_SIZE), "OK"));
    redisReply *reply = ask(context, "GET large");
    EXPECT(reply->type == REDIS_REPLY_STRING && reply->len == LARGE_SIZE);
    EXPECT(memcmp(reply->str, value, LARGE_SIZE) == 0);
    freeReplyObject(reply);
    free(value);
    EXPECT(is_number(ask(context, "DEL large"), 1));
}

static void pipelines_are_answered_in_order(redisContext *context)
{
    EXPECT(is_text(ask(context, "FLUSHDB"), "OK"));
    for (int i = 0; i < PIPELINE_COUNT; i++) {
        EXPECT(redisAppendCommand(context, "SET key:%d %d", i, i) == REDIS_OK);
        EXPECT(redisAppendCommand(context, "INCR key:%d", i) == REDIS_OK);
    }
    for (int i = 0; i < PIPELINE_COUNT; i++) {
        void *reply = NULL;
        EXPECT(redisGetReply(context, &reply) == REDIS_OK);
        EXPECT(is_text(reply, "OK"));
        EXPECT(redisGetReply(context, &reply) == REDIS_OK);
        EXPECT(is_number(reply, i + 1));
    }
}

static void a_scan_meets_every_key(redisContext *context)
{
    static bool seen[PIPELINE_COUNT];
    char cursor[32] = "0";
    do {
        redisReply *reply = ask(context, "SCAN %s COUNT 500", cursor);
        EXPECT(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
        EXPECT(reply->element[0]->len < sizeof(cursor));
        memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            int number = -1;
            EXPECT(sscanf(reply->element[1]->element[i]->str, "key:%d", &number) == 1);
            EXPECT(number >= 0 && number < PIPELINE_COUNT);
            seen[number] = true;
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
    for (int i = 0; i < PIPELINE_COUNT; i++) EXPECT(seen[i]);
}

/* One turn at the counter; whether the transaction was done. */
static bool count_once(redisContext *context, redisContext *rival, bool is_disturbed)
{
    EXPECT(is_text(ask(context, "WATCH counter"), "OK"));
    redisReply *reply = ask(context, "GET counter");
    const long value = reply->str != NULL ? strtol(reply->str, NULL, 10) : 0;
    freeReplyObject(reply);
    if (is_disturbed) freeReplyObject(ask(rival, "INCR counter"));
    EXPECT(is_text(ask(context, "MULTI"), "OK"));
    EXPECT(is_text(ask(context, "SET counter %ld", value + 1), "QUEUED"));
    reply = ask(context, "EXEC");
    const bool done = reply->type == REDIS_REPLY_ARRAY;
    EXPECT(done ? reply->elements == 1 : reply->type == REDIS_REPLY_NIL);
    freeReplyObject(reply);
    return done;
}

static void a_transaction_that_lost_the_race_is_tried_again(redisContext *context, redisContext *rival)
{
    EXPECT(is_text(ask(context, "SET counter 0"), "OK"));
    for (int i = 0; i < RACE_COUNT; i++) {
        EXPECT(!count_once(context, rival, true));
        EXPECT(count_once(context, rival, false));
    }
    EXPECT(is_number(ask(rival, "INCR counter"), 2 * RACE_COUNT + 1));
}

static void a_killed_server_comes_back_with_everything(redisContext *context)
{
    EXPECT(is_text(ask(context, "SELECT 3"), "OK"));
    EXPECT(is_text(ask(context, "SET kept yes"), "OK"));
    puts("restart");
    (void)fflush(stdout);
    EXPECT(getchar() == '\n');
    EXPECT(redisCommand(context, "PING") == NULL);
    EXPECT(context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO);
    EXPECT(redisReconnect(context) == REDIS_OK);
    (void)join(context);
    EXPECT(is_number(ask(context, "DBSIZE"), PIPELINE_COUNT + 1));
    EXPECT(is_text(ask(context, "GET key:77"), "78"));
    EXPECT(is_text(ask(context, "SELECT 3"), "OK"));
    EXPECT(is_text(ask(context, "GET kept"), "yes"));
}

#ifdef REDIS_REPLY_MAP
static void version_3_is_understood(redisContext *context)
{
    redisReply *reply = ask(context, "HELLO 3");
    EXPECT(reply->type == REDIS_REPLY_MAP);
    freeReplyObject(reply);
    EXPECT(is_nil(ask(context, "GET none")));
    reply = ask(context, "INFO server");
    EXPECT(reply->type == REDIS_REPLY_VERB && strcmp(reply->vtype, "txt") == 0);
    freeReplyObject(reply);
    reply = ask(context, "CONFIG GET port");
    EXPECT(reply->type == REDIS_REPLY_MAP && reply->elements == 2);
    freeReplyObject(reply);
    reply = ask(context, "HELLO 2");
    EXPECT(reply->type == REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
}
#endif

int main(int argument_count, char **arguments)
{
    EXPECT(argument_count == 4);
    port = (int)strtol(arguments[1], NULL, 10);
    path = arguments[2];
    password = arguments[3];
    printf("say hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);

    redisContext *context = join_port();
    redisContext *rival = join_port();
    connections_of_all_kinds_reach_their_database();
    strings_counters_and_expiry(context);
    large_values_pass(context);
    pipelines_are_answered_in_order(context);
    a_scan_meets_every_key(context);
    a_transaction_that_lost_the_race_is_tried_again(context, rival);
#ifdef REDIS_REPLY_MAP
    version_3_is_understood(context);
#else
    puts("say version 3 of the protocol is not known to it");
#endif
    redisFree(rival);
    a_killed_server_comes_back_with_everything(context);
    redisFree(context);
    return 0;
}
