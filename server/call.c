/* SPDX-License-Identifier: MIT */
/* What commands ask of their call: arguments as words and numbers, error answers. */
#include "server/call.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/resp_number.h"
#include "net/words.h"
#include "server/server.h"

#define ERROR_SIZE_MAX ((size_t)1024)

bool call_is(const struct call *call, size_t index, const char *word)
{
    return words_is(call->arguments[index], word);
}

bool call_integer(struct call *call, size_t index, int64_t *ret_value)
{
    return call_integer_between(call, index, INT64_MIN, INT64_MAX, NULL, ret_value);
}

bool call_integer_between(struct call *call, size_t index, int64_t min, int64_t max, const char *error,
                          int64_t *ret_value)
{
    int64_t value;
    const bool is_integer = resp_integer(call->arguments[index], &value);
    if (!is_integer || value < min || value > max) {
        const char *redis =
            is_integer ? "ERR value is out of range" : "ERR value is not an integer or out of range";
        (void)call_error(call, "%s", error != NULL ? error : redis);
        return false;
    }
    *ret_value = value;
    return true;
}

bool call_database(struct call *call, size_t index, uint32_t *ret_database)
{
    int64_t number;
    if (!call_integer(call, index, &number)) return false;
    if (number < INT32_MIN || number > INT32_MAX) {
        (void)call_error(call, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                         INT32_MAX);
        return false;
    }
    if (number < 0 || number >= call->server->database_count) {
        (void)call_error(call, "ERR DB index is out of range");
        return false;
    }
    *ret_database = (uint32_t)number;
    return true;
}

uint64_t call_string_size_max(const struct call *call)
{
    return (uint64_t)call->server->config.proto_max_bulk_len;
}

enum stave_status call_yield(struct call *call, void *state, void (*free_state)(void *))
{
    call->state = state;
    call->free_state = free_state;
    call->is_yielded = true;
    return STAVE_WOULD_BLOCK;
}

enum stave_status call_error(struct call *call, const char *format, ...)
{
    char text[ERROR_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reply_error(call->reply, text);
    return STAVE_OK;
}

enum stave_status call_syntax_error(struct call *call)
{
    return call_error(call, "ERR syntax error");
}

enum stave_status call_wrong_arity(struct call *call)
{
    char name[64];
    command_full_name(call->command, name, sizeof name);
    return call_error(call, "ERR wrong number of arguments for '%s' command", name);
}

enum stave_status call_wrong_subcommand(struct call *call)
{
    char container[32];
    const struct stave_bytes name = call->arguments[0];
    size_t size = 0;
    for (; size < name.size && size + 1 < sizeof container; size++)
        container[size] = (char)toupper(((const unsigned char *)name.data)[size]);
    return call_error(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %.*s HELP.",
                      words_shown(call->arguments[1]), (const char *)call->arguments[1].data, (int)size,
                      container);
}
