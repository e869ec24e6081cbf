/* SPDX-License-Identifier: MIT */
/* Strings that are numbers. The expiry of a key stays what it was. */
#include <math.h>
#include <string.h>

#include "net/resp_number.h"
#include "server/command/string.h"
#include "server/number.h"

/* Stages the number that has been written to `text`. */
static enum stave_status put_number(struct call *call, const char *text, size_t size, const struct item *old,
                                    struct stave_bytes *ret_value)
{
    char *bytes = transaction_alloc(call->transaction, size);
    if (bytes == NULL) return STAVE_NO_MEMORY;
    memcpy(bytes, text, size);
    *ret_value = stave_bytes(bytes, size);
    return transaction_put(call->transaction, call->database, call->arguments[1], *ret_value,
                           old->found ? old->expires_at_ms : 0);
}

static enum stave_status add(struct call *call, int64_t increment)
{
    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;

    int64_t value = 0;
    if (old.found && !resp_integer(old.value, &value))
        return call_error(call, "ERR value is not an integer or out of range");
    if (__builtin_add_overflow(value, increment, &value))
        return call_error(call, "ERR increment or decrement would overflow");

    char text[RESP_INTEGER_SIZE_MAX];
    struct stave_bytes staged;
    status = put_number(call, text, resp_integer_write(value, text), &old, &staged);
    if (status == STAVE_OK) reply_integer(call->reply, value);
    return status;
}

enum stave_status string_incr(struct call *call)
{
    return add(call, 1);
}

enum stave_status string_decr(struct call *call)
{
    return add(call, -1);
}

enum stave_status string_incrby(struct call *call)
{
    int64_t increment;
    if (!call_integer(call, 2, &increment)) return STAVE_OK;
    return add(call, increment);
}

enum stave_status string_decrby(struct call *call)
{
    int64_t decrement;
    if (!call_integer(call, 2, &decrement)) return STAVE_OK;
    if (decrement == INT64_MIN) return call_error(call, "ERR decrement would overflow");
    return add(call, -decrement);
}

enum stave_status string_incrbyfloat(struct call *call)
{
    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;

    long double value = 0, increment;
    if ((old.found && !number_parse_float(old.value, &value)) ||
        !number_parse_float(call->arguments[2], &increment))
        return call_error(call, "ERR value is not a valid float");
    value += increment;
    if (isnan(value) || isinf(value)) return call_error(call, "ERR increment would produce NaN or Infinity");

    char text[NUMBER_FLOAT_SIZE];
    struct stave_bytes staged;
    status = put_number(call, text, number_format_float(value, text), &old, &staged);
    if (status == STAVE_OK) reply_bulk(call->reply, staged);
    return status;
}
