/* SPDX-License-Identifier: MIT */
/*
 * DEBUG: what tests of clients ask of a server, and nothing that would end it. Off unless
 * enable-debug-command allows it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "server/client.h"
#include "server/command/digest.h"
#include "server/command/generic.h"
#include "server/command/help.h"
#include "server/command/object.h"
#include "server/log.h"
#include "server/server.h"

#define NUMBER_TEXT_SIZE 64
#define TEXT_SIZE_MAX 4096 /* of an argument that is shown */
#define NS_PER_S 1e9
#define POPULATE_KEY_SIZE 128          /* with a final zero; longer keys are cut */
#define POPULATE_COUNT INT64_C(4096)   /* keys made in one turn */
#define POPULATE_SIZE INT64_C(4194304) /* bytes of values made in one turn */
#define SLEEP_SECONDS_MAX 1e6

struct debug_subcommand {
    const char *name;
    size_t count_min; /* of arguments, with DEBUG and the name */
    size_t count_max;
    command_run run;
};

/* An argument as a C string, cut where it does not fit or holds a zero. */
static const char *copy_argument(const struct call *call, size_t index, char *buffer, size_t size)
{
    const struct stave_bytes argument = call->arguments[index];
    const size_t length = argument.size < size - 1 ? argument.size : size - 1;
    if (length > 0) memcpy(buffer, argument.data, length);
    buffer[length] = 0;
    return buffer;
}

static enum stave_status answer_ok(struct call *call)
{
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ data */

static enum stave_status debug_digest_value(struct call *call)
{
    const size_t count = call->argument_count - 2;
    transaction_look(call->transaction);
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct item item;
        uint8_t digest[DIGEST_SIZE] = {0};
        char text[DIGEST_TEXT_SIZE];
        enum stave_status status =
            transaction_get(call->transaction, call->database, call->arguments[2 + i], &item);
        if (status == STAVE_OK && item.found) status = digest_item(digest, &item);
        if (status != STAVE_OK) return status;
        digest_text(digest, text);
        reply_simple(call->reply, text);
    }
    return STAVE_OK;
}

static enum stave_status debug_object(struct call *call)
{
    const struct stave_bytes key = call->arguments[2];
    struct object object;
    const uint64_t idle = object_idle_seconds(call, key);
    const enum stave_status status = object_read(call, key, &object);
    if (status != STAVE_OK) return status;
    if (!object.item.found) return call_error(call, "ERR no such key");
    char text[256];
    (void)snprintf(text, sizeof text,
                   "Value at:0x%" PRIx64 " refcount:%" PRId64 " encoding:%s serializedlength:%zu lru:%" PRIu64
                   " lru_seconds_idle:%" PRIu64,
                   object.item.sequence, object.reference_count, object.encoding, object.item.value_size,
                   (call->now_ms / 1000 - idle) & 0xFFFFFF, idle);
    reply_simple(call->reply, text);
    return STAVE_OK;
}

struct population {
    char prefix[POPULATE_KEY_SIZE];
    int64_t count;
    int64_t size; /* of a value; 0: as long as its text */
    int64_t next; /* key to be made */
};

/* Key and value `number` as Redis makes them, in memory of the transaction. */
static enum stave_status populate_one(struct call *call, const struct population *population)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t length = (size_t)snprintf(text, sizeof text, "value:%" PRId64, population->next);
    const size_t size = population->size > 0 ? (size_t)population->size : length;
    char *key = transaction_alloc(call->transaction, POPULATE_KEY_SIZE);
    if (key == NULL) return STAVE_NO_MEMORY;
    (void)snprintf(key, POPULATE_KEY_SIZE, "%s:%" PRId64, population->prefix, population->next);
    const size_t key_size = strlen(key);

    struct item item;
    const enum stave_status status =
        transaction_info(call->transaction, call->database, stave_bytes(key, key_size), &item);
    if (status != STAVE_OK || item.found) return status;
    uint8_t *value = transaction_alloc(call->transaction, size);
    if (value == NULL) return STAVE_NO_MEMORY;
    memset(value, 0, size);
    memcpy(value, text, length < size ? length : size);
    return transaction_put(call->transaction, call->database, stave_bytes(key, key_size),
                           stave_bytes(value, size), 0);
}

/* Some thousand keys, or all of them in an EXEC. */
static enum stave_status populate_turn(struct call *call, struct population *population)
{
    const int64_t by_size = population->size > 0 ? POPULATE_SIZE / population->size + 1 : POPULATE_COUNT;
    const int64_t most = by_size < POPULATE_COUNT ? by_size : POPULATE_COUNT;
    for (int64_t i = 0; population->next < population->count && (call->in_exec || i < most); i++) {
        const enum stave_status status = populate_one(call, population);
        if (status != STAVE_OK) return status;
        population->next++;
    }
    return STAVE_OK;
}

static bool positive_argument(const struct call *call, size_t index, int64_t *ret_value)
{
    int64_t value;
    if (!resp_integer(call->arguments[index], &value) || value < 0) return false;
    *ret_value = value;
    return true;
}

static enum stave_status debug_populate(struct call *call)
{
    struct population population = {.prefix = "key"};
    if (!positive_argument(call, 2, &population.count) ||
        (call->argument_count > 4 && !positive_argument(call, 4, &population.size)))
        return call_error(call, "ERR value is out of range, must be positive");
    if (population.size > (int64_t)call_string_size_max(call))
        return call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    if (call->argument_count > 3) (void)copy_argument(call, 3, population.prefix, sizeof population.prefix);
    struct population *kept = call->state;
    if (kept != NULL) population.next = kept->next;

    enum stave_status status = populate_turn(call, &population);
    if (status != STAVE_OK) return status;
    if (population.next == population.count) return answer_ok(call);
    if (kept == NULL) kept = memory_alloc(sizeof(*kept));
    if (kept == NULL) return STAVE_NO_MEMORY;
    /* What a turn has made is there before others have theirs. */
    status = transaction_commit(call->transaction);
    if (status != STAVE_OK && call->state == NULL) memory_free(kept);
    if (status != STAVE_OK) return status;
    *kept = population;
    return call_yield(call, kept, memory_free);
}

/* ------------------------------------------------------------------ the server */

/* Everybody waits, as DEBUG runs while no other command does. */
static enum stave_status debug_sleep(struct call *call)
{
    char text[NUMBER_TEXT_SIZE];
    double seconds = strtod(copy_argument(call, 2, text, sizeof text), NULL);
    if (!(seconds > 0)) seconds = 0;
    if (seconds > SLEEP_SECONDS_MAX) seconds = SLEEP_SECONDS_MAX;
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * NS_PER_S)};
    while (nanosleep(&left, &left) != 0) continue;
    return answer_ok(call);
}

static enum stave_status debug_set_active_expire(struct call *call)
{
    char text[NUMBER_TEXT_SIZE];
    call->server->active_expire = strtol(copy_argument(call, 2, text, sizeof text), NULL, 10) != 0;
    return answer_ok(call);
}

/* What is stored is what would be loaded; there is nothing in memory alone. */
static enum stave_status debug_reload(struct call *call)
{
    for (size_t i = 2; i < call->argument_count; i++)
        if (!call_is(call, i, "MERGE") && !call_is(call, i, "NOFLUSH") && !call_is(call, i, "NOSAVE"))
            return call_error(call, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    return answer_ok(call);
}

static enum stave_status debug_log(struct call *call)
{
    char text[TEXT_SIZE_MAX];
    log_write(LOG_WARNING, "DEBUG LOG: %s", copy_argument(call, 2, text, sizeof text));
    return answer_ok(call);
}

static enum stave_status debug_error(struct call *call)
{
    char text[TEXT_SIZE_MAX];
    return call_error(call, "%s", copy_argument(call, 2, text, sizeof text));
}

/* ------------------------------------------------------------------ replies of every type */

static void protocol_numbers(struct call *call, void (*head)(struct reply *, uint64_t))
{
    head(call->reply, 3);
    for (int64_t i = 0; i < 3; i++) reply_integer(call->reply, i);
}

static void protocol_map(struct call *call)
{
    reply_map(call->reply, 3);
    for (int64_t i = 0; i < 3; i++) {
        reply_integer(call->reply, i);
        reply_boolean(call->reply, i == 1);
    }
}

static void protocol_attribute(struct call *call)
{
    if (reply_protocol(call->reply) >= 3) {
        reply_attribute(call->reply, 1);
        reply_text(call->reply, "key-popularity");
        reply_array(call->reply, 2);
        reply_text(call->reply, "key:123");
        reply_integer(call->reply, 90);
    }
    reply_text(call->reply, "Some real reply following the attribute");
}

static void protocol_push(struct call *call)
{
    if (reply_protocol(call->reply) < 3) {
        (void)call_error(call, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(call->reply, 2);
    reply_text(call->reply, "server-cpu-usage");
    reply_integer(call->reply, 42);
    /* A client that sets pushes aside waits for this one. */
    reply_text(call->reply, "Some real reply following the push reply");
}

static enum stave_status debug_protocol(struct call *call)
{
    struct reply *reply = call->reply;
    if (call_is(call, 2, "string")) {
        reply_text(reply, "Hello World");
    } else if (call_is(call, 2, "integer")) {
        reply_integer(reply, 12345);
    } else if (call_is(call, 2, "double")) {
        reply_double(reply, 3.141);
    } else if (call_is(call, 2, "bignum")) {
        reply_big_number(reply, "1234567999999999999999999999999999999");
    } else if (call_is(call, 2, "null")) {
        reply_null(reply);
    } else if (call_is(call, 2, "array")) {
        protocol_numbers(call, reply_array);
    } else if (call_is(call, 2, "set")) {
        protocol_numbers(call, reply_set);
    } else if (call_is(call, 2, "map")) {
        protocol_map(call);
    } else if (call_is(call, 2, "attrib")) {
        protocol_attribute(call);
    } else if (call_is(call, 2, "push")) {
        protocol_push(call);
    } else if (call_is(call, 2, "true") || call_is(call, 2, "false")) {
        reply_boolean(reply, call_is(call, 2, "true"));
    } else if (call_is(call, 2, "verbatim")) {
        reply_verbatim(reply, "txt", stave_text("This is a verbatim\nstring"));
    } else {
        return call_error(call, "ERR Wrong protocol type name. Please use one of the following: "
                                "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|"
                                "false");
    }
    return STAVE_OK;
}

/* ------------------------------------------------------------------ subcommands */

static enum stave_status debug_help(struct call *call)
{
    static const char *const lines[] = {
        "DIGEST",
        "    Return a digest of all data, equal to that of a Redis with the same data.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Return the digest of each value.",
        "ERROR <string>",
        "    Answer with <string> as an error.",
        "LOADAOF",
        "    Nothing, as the data are on disk.",
        "LOG <message>",
        "    Write <message> to the log.",
        "OBJECT <key>",
        "    Say how <key> is stored.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Make the keys <prefix>:0 and so on (key:0, if there is no prefix) that are",
        "    not there, with values of <size> bytes.",
        "PROTOCOL <type>",
        "    Answer with a value of this type: string, integer, double, bignum, null,",
        "    array, set, map, attrib, push, verbatim, true, false.",
        "RELOAD [option ...]",
        "    Nothing, as the data are on disk.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Stop removing expired keys that nobody asks for, or go on with it.",
        "SLEEP <seconds>",
        "    Let all clients wait.",
        NULL,
    };
    return help_reply(call, lines);
}

static const struct debug_subcommand subcommands[] = {
    {"DIGEST", 2, 2, digest_all},
    {"DIGEST-VALUE", 2, SIZE_MAX, debug_digest_value},
    {"ERROR", 3, 3, debug_error},
    {"HELP", 2, 2, debug_help},
    {"LOADAOF", 2, 2, answer_ok},
    {"LOG", 3, 3, debug_log},
    {"OBJECT", 3, 3, debug_object},
    {"POPULATE", 3, 5, debug_populate},
    {"PROTOCOL", 3, 3, debug_protocol},
    {"RELOAD", 2, SIZE_MAX, debug_reload},
    {"SET-ACTIVE-EXPIRE", 3, 3, debug_set_active_expire},
    {"SLEEP", 3, 3, debug_sleep},
};

enum stave_status database_debug(struct call *call)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        const struct debug_subcommand *subcommand = &subcommands[i];
        if (call->argument_count < subcommand->count_min || call->argument_count > subcommand->count_max)
            continue;
        if (call_is(call, 1, subcommand->name)) return subcommand->run(call);
    }
    return call_wrong_subcommand(call);
}
