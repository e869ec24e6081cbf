/* SPDX-License-Identifier: MIT */
/*
 * When keys expire: EXPIRE and its forms, TTL and its forms, PERSIST.
 */
#include "server/command/generic.h"

#define MS_PER_S INT64_C(1000)

enum expire_condition {
    EXPIRE_NX = 1 << 0,
    EXPIRE_XX = 1 << 1,
    EXPIRE_GT = 1 << 2,
    EXPIRE_LT = 1 << 3,
};

/* False: it has been answered. */
static bool read_conditions(struct call *call, uint32_t *ret_conditions)
{
    uint32_t conditions = 0;
    for (size_t i = 3; i < call->argument_count; i++) {
        if (call_is(call, i, "NX")) {
            conditions |= EXPIRE_NX;
        } else if (call_is(call, i, "XX")) {
            conditions |= EXPIRE_XX;
        } else if (call_is(call, i, "GT")) {
            conditions |= EXPIRE_GT;
        } else if (call_is(call, i, "LT")) {
            conditions |= EXPIRE_LT;
        } else {
            const struct stave_bytes option = call->arguments[i];
            (void)call_error(call, "ERR Unsupported option %.*s",
                             option.size > 4096 ? 4096 : (int)option.size, (const char *)option.data);
            return false;
        }
    }
    if (conditions & EXPIRE_NX && conditions & (EXPIRE_XX | EXPIRE_GT | EXPIRE_LT)) {
        (void)call_error(call, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (conditions & EXPIRE_GT && conditions & EXPIRE_LT) {
        (void)call_error(call, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_conditions = conditions;
    return true;
}

/* The moment asked for, in milliseconds, from `base`; negative ones lie before 1970. False: answered. */
static bool read_moment(struct call *call, int64_t base, int64_t unit, int64_t *ret_moment)
{
    int64_t moment;
    if (!call_integer(call, 2, &moment)) return false;
    const bool unit_fits = moment <= INT64_MAX / unit && moment >= INT64_MIN / unit;
    if (!unit_fits || moment * unit > INT64_MAX - base) {
        (void)call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
        return false;
    }
    *ret_moment = moment * unit + base;
    return true;
}

/* A key without an expiry lives longer than any moment. */
static bool conditions_hold(uint32_t conditions, const struct item *item, int64_t moment)
{
    const bool expires = item->expires_at_ms != 0;
    const int64_t present = (int64_t)item->expires_at_ms;
    if (conditions & EXPIRE_NX && expires) return false;
    if (conditions & EXPIRE_XX && !expires) return false;
    if (conditions & EXPIRE_GT && (!expires || moment <= present)) return false;
    if (conditions & EXPIRE_LT && expires && moment >= present) return false;
    return true;
}

static enum stave_status expire_at(struct call *call, int64_t base, int64_t unit)
{
    const struct stave_bytes key = call->arguments[1];
    uint32_t conditions;
    int64_t moment;
    if (!read_conditions(call, &conditions) || !read_moment(call, base, unit, &moment)) return STAVE_OK;

    struct item item;
    enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
    if (status != STAVE_OK) return status;
    if (!item.found || !conditions_hold(conditions, &item, moment)) {
        reply_integer(call->reply, 0);
        return STAVE_OK;
    }
    reply_integer(call->reply, 1);
    if (moment <= (int64_t)call->now_ms) return transaction_delete(call->transaction, call->database, key);
    return transaction_expire(call->transaction, call->database, key, (uint64_t)moment);
}

enum stave_status generic_expire(struct call *call)
{
    return expire_at(call, (int64_t)call->now_ms, MS_PER_S);
}

enum stave_status generic_pexpire(struct call *call)
{
    return expire_at(call, (int64_t)call->now_ms, 1);
}

enum stave_status generic_expireat(struct call *call)
{
    return expire_at(call, 0, MS_PER_S);
}

enum stave_status generic_pexpireat(struct call *call)
{
    return expire_at(call, 0, 1);
}

/* Answers -2 for no key, -1 for one that stays, else what is left from `base` on, rounded to `unit`. */
static enum stave_status reply_expiry(struct call *call, uint64_t base, int64_t unit)
{
    struct item item;
    const enum stave_status status =
        transaction_info(call->transaction, call->database, call->arguments[1], &item);
    if (status != STAVE_OK) return status;
    if (!item.found) {
        reply_integer(call->reply, -2);
    } else if (item.expires_at_ms == 0) {
        reply_integer(call->reply, -1);
    } else {
        const uint64_t left = item.expires_at_ms > base ? item.expires_at_ms - base : 0;
        reply_integer(call->reply, (int64_t)((left + (uint64_t)unit / 2) / (uint64_t)unit));
    }
    return STAVE_OK;
}

enum stave_status generic_ttl(struct call *call)
{
    return reply_expiry(call, call->now_ms, MS_PER_S);
}

enum stave_status generic_pttl(struct call *call)
{
    return reply_expiry(call, call->now_ms, 1);
}

enum stave_status generic_expiretime(struct call *call)
{
    return reply_expiry(call, 0, MS_PER_S);
}

enum stave_status generic_pexpiretime(struct call *call)
{
    return reply_expiry(call, 0, 1);
}

enum stave_status generic_persist(struct call *call)
{
    const struct stave_bytes key = call->arguments[1];
    struct item item;
    const enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
    if (status != STAVE_OK) return status;
    const bool expires = item.found && item.expires_at_ms != 0;
    reply_integer(call->reply, expires);
    return expires ? transaction_expire(call->transaction, call->database, key, 0) : STAVE_OK;
}
