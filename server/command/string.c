/* SPDX-License-Identifier: MIT */
/* Whole strings: set, get, many at once, with an expiry or a condition. */
#include "server/command/string.h"

#include <string.h>

/* Of SET and GETEX. */
struct string_options {
    bool only_if_absent;
    bool only_if_present;
    bool get;
    bool keep_ttl;
    bool persist;
    size_t expiry_index; /* its number; 0: none */
    bool is_seconds;
    bool is_relative;
};

/* EX, PX, EXAT, PXAT with a number behind: false if `index` is none of them, or another one came before. */
static bool parse_expiry_option(const struct call *call, size_t index, struct string_options *options)
{
    const bool is_ex = call_is(call, index, "ex");
    const bool is_px = call_is(call, index, "px");
    const bool is_exat = call_is(call, index, "exat");
    if (!is_ex && !is_px && !is_exat && !call_is(call, index, "pxat")) return false;
    if (index + 1 >= call->argument_count || options->keep_ttl || options->persist) return false;

    const bool is_seconds = is_ex || is_exat;
    const bool is_relative = is_ex || is_px;
    const bool is_again = options->is_seconds == is_seconds && options->is_relative == is_relative;
    if (options->expiry_index != 0 && !is_again) return false;

    options->expiry_index = index + 1;
    options->is_seconds = is_seconds;
    options->is_relative = is_relative;
    return true;
}

/* The options without a number behind; false: not one that may stand here. */
static bool parse_set_option(const struct call *call, size_t index, struct string_options *options)
{
    if (call_is(call, index, "nx") && !options->only_if_present) return options->only_if_absent = true;
    if (call_is(call, index, "xx") && !options->only_if_absent) return options->only_if_present = true;
    if (call_is(call, index, "get")) return options->get = true;
    if (call_is(call, index, "keepttl") && options->expiry_index == 0) return options->keep_ttl = true;
    return false;
}

static bool parse_getex_option(const struct call *call, size_t index, struct string_options *options)
{
    if (call_is(call, index, "persist") && options->expiry_index == 0) return options->persist = true;
    return false;
}

static bool parse_options(const struct call *call, size_t first,
                          bool (*parse_option)(const struct call *, size_t, struct string_options *),
                          struct string_options *ret_options)
{
    *ret_options = (struct string_options){0};
    for (size_t i = first; i < call->argument_count; i++) {
        if (parse_expiry_option(call, i, ret_options))
            i++;
        else if (!parse_option(call, i, ret_options))
            return false;
    }
    return true;
}

/* The moment that argument `index` names. False: it names none, and the answer has been given. */
static bool read_expiry(struct call *call, size_t index, bool is_seconds, bool is_relative,
                        uint64_t *ret_expires_at_ms)
{
    int64_t time;
    if (!call_integer(call, index, &time)) return false;

    const int64_t now = is_relative ? (int64_t)call->now_ms : 0;
    const int64_t unit = is_seconds ? 1000 : 1;
    if (time <= 0 || time > INT64_MAX / unit || time * unit > INT64_MAX - now) {
        call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
        return false;
    }
    *ret_expires_at_ms = (uint64_t)(time * unit + now);
    return true;
}

static enum stave_status put(struct call *call, size_t key_index, size_t value_index, uint64_t expires_at_ms)
{
    return transaction_put(call->transaction, call->database, call->arguments[key_index],
                           call->arguments[value_index], expires_at_ms);
}

static enum stave_status delete_found(struct call *call, const struct item *item)
{
    if (!item->found) return STAVE_OK;
    return transaction_delete(call->transaction, call->database, call->arguments[1]);
}

/* ------------------------------------------------------------------ SET */

static enum stave_status read_old(struct call *call, const struct string_options *options,
                                  bool is_already_expired, struct item *ret_old)
{
    *ret_old = (struct item){0};
    transaction_count_reads(call->transaction, options->get);
    if (options->get) return string_read(call, 1, ret_old);
    if (!options->only_if_absent && !options->only_if_present && !options->keep_ttl && !is_already_expired)
        return STAVE_OK;
    return string_info(call, 1, ret_old);
}

static enum stave_status set_with(struct call *call, const struct string_options *options,
                                  uint64_t expires_at_ms)
{
    const bool is_already_expired = expires_at_ms != 0 && expires_at_ms <= call->now_ms;
    struct item old;
    enum stave_status status = read_old(call, options, is_already_expired, &old);
    if (status != STAVE_OK) return status;

    const bool is_refused = options->only_if_absent ? old.found : options->only_if_present && !old.found;
    if (!is_refused) {
        if (options->keep_ttl) expires_at_ms = old.expires_at_ms;
        /* Who watches the key is told, even if it is absent before and after: it was there for no time. */
        status = is_already_expired
                     ? transaction_delete(call->transaction, call->database, call->arguments[1])
                     : put(call, 1, 2, expires_at_ms);
        if (status != STAVE_OK) return status;
    }
    if (options->get)
        reply_item(call->reply, &old);
    else if (is_refused)
        reply_null(call->reply);
    else
        reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status string_set(struct call *call)
{
    if (call->argument_count == 3) {
        const enum stave_status status = put(call, 1, 2, 0);
        if (status == STAVE_OK) reply_ok(call->reply);
        return status;
    }

    struct string_options options;
    if (!parse_options(call, 3, parse_set_option, &options)) return call_syntax_error(call);
    uint64_t expires_at_ms = 0;
    if (options.expiry_index != 0 &&
        !read_expiry(call, options.expiry_index, options.is_seconds, options.is_relative, &expires_at_ms))
        return STAVE_OK;
    return set_with(call, &options, expires_at_ms);
}

static enum stave_status set_expiring(struct call *call, bool is_seconds)
{
    uint64_t expires_at_ms;
    if (!read_expiry(call, 2, is_seconds, true, &expires_at_ms)) return STAVE_OK;
    const enum stave_status status = put(call, 1, 3, expires_at_ms);
    if (status == STAVE_OK) reply_ok(call->reply);
    return status;
}

enum stave_status string_setex(struct call *call)
{
    return set_expiring(call, true);
}

enum stave_status string_psetex(struct call *call)
{
    return set_expiring(call, false);
}

enum stave_status string_setnx(struct call *call)
{
    struct item old;
    enum stave_status status = transaction_info(call->transaction, call->database, call->arguments[1], &old);
    if (status == STAVE_OK && !old.found) status = put(call, 1, 2, 0);
    if (status == STAVE_OK) reply_integer(call->reply, !old.found);
    return status;
}

/* ------------------------------------------------------------------ GET */

enum stave_status string_get(struct call *call)
{
    struct item item;
    const enum stave_status status = string_read(call, 1, &item);
    if (status == STAVE_OK) reply_item(call->reply, &item);
    return status;
}

enum stave_status string_getset(struct call *call)
{
    struct item old;
    transaction_count_reads(call->transaction, true);
    enum stave_status status = string_read(call, 1, &old);
    if (status == STAVE_OK) status = put(call, 1, 2, 0);
    if (status == STAVE_OK) reply_item(call->reply, &old);
    return status;
}

enum stave_status string_getdel(struct call *call)
{
    struct item old;
    transaction_count_reads(call->transaction, true);
    enum stave_status status = string_read(call, 1, &old);
    if (status == STAVE_OK) status = delete_found(call, &old);
    if (status == STAVE_OK) reply_item(call->reply, &old);
    return status;
}

/* What GETEX does to the expiry of a key that is there. */
static enum stave_status change_expiry(struct call *call, const struct string_options *options,
                                       const struct item *item, uint64_t expires_at_ms)
{
    const struct stave_bytes key = call->arguments[1];
    if (options->expiry_index != 0 && expires_at_ms <= call->now_ms)
        return transaction_delete(call->transaction, call->database, key);
    if (options->expiry_index != 0)
        return transaction_expire(call->transaction, call->database, key, expires_at_ms);
    if (options->persist && item->expires_at_ms != 0)
        return transaction_expire(call->transaction, call->database, key, 0);
    return STAVE_OK;
}

enum stave_status string_getex(struct call *call)
{
    struct string_options options;
    if (!parse_options(call, 2, parse_getex_option, &options)) return call_syntax_error(call);
    struct item item;
    transaction_count_reads(call->transaction, true);
    enum stave_status status = string_read(call, 1, &item);
    if (status != STAVE_OK) return status;

    uint64_t expires_at_ms = 0;
    if (item.found && options.expiry_index != 0 &&
        !read_expiry(call, options.expiry_index, options.is_seconds, options.is_relative, &expires_at_ms))
        return STAVE_OK;
    if (item.found) status = change_expiry(call, &options, &item, expires_at_ms);
    if (status == STAVE_OK) reply_item(call->reply, &item);
    return status;
}

/* ------------------------------------------------------------------ many */

/* The keys at arguments first, first + step, ... with their items; both live as long as staged writes. */
static enum stave_status read_many(struct call *call, size_t step, size_t *ret_count, struct item **ret_items)
{
    const size_t count = (call->argument_count - 1) / step;
    const struct stave_bytes *keys = call->arguments + 1;
    if (step > 1) {
        struct stave_bytes *copied = transaction_alloc(call->transaction, count * sizeof *copied);
        if (copied == NULL) return STAVE_NO_MEMORY;
        for (size_t i = 0; i < count; i++) copied[i] = call->arguments[1 + i * step];
        keys = copied;
    }
    struct item *items = transaction_alloc(call->transaction, count * sizeof *items);
    if (items == NULL) return STAVE_NO_MEMORY;
    const enum stave_status status =
        transaction_get_many(call->transaction, call->database, keys, count, items);
    if (status != STAVE_OK) return status;
    *ret_count = count;
    *ret_items = items;
    return STAVE_OK;
}

enum stave_status string_mget(struct call *call)
{
    size_t count;
    struct item *items;
    const enum stave_status status = read_many(call, 1, &count, &items);
    if (status != STAVE_OK) return status;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_item(call->reply, &items[i]);
    return STAVE_OK;
}

static enum stave_status put_many(struct call *call)
{
    for (size_t i = 1; i + 1 < call->argument_count; i += 2) {
        const enum stave_status status = put(call, i, i + 1, 0);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

enum stave_status string_mset(struct call *call)
{
    if (call->argument_count % 2 == 0) return call_wrong_arity(call);
    const enum stave_status status = put_many(call);
    if (status == STAVE_OK) reply_ok(call->reply);
    return status;
}

enum stave_status string_msetnx(struct call *call)
{
    if (call->argument_count % 2 == 0) return call_wrong_arity(call);
    bool is_any_there = false;
    for (size_t i = 1; i < call->argument_count && !is_any_there; i += 2) {
        struct item item;
        const enum stave_status status = string_info(call, i, &item);
        if (status != STAVE_OK) return status;
        is_any_there = item.found;
    }
    const enum stave_status status = is_any_there ? STAVE_OK : put_many(call);
    if (status == STAVE_OK) reply_integer(call->reply, !is_any_there);
    return status;
}
