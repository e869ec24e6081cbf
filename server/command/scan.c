/* SPDX-License-Identifier: MIT */
/*
 * KEYS and SCAN: walks over the keys of a database, in slices with other clients in between.
 *
 *   W1  What a turn adds to the walk is taken back if the turn fails, so that it can be run again.
 *   W2  SCAN's cursor is the transaction's with its bits reversed. Positions are the upper bounds of hashes
 *       read backwards, large numbers with zeroes at the end; clients that keep cursors in signed or short
 *       integers are used to small ones.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "server/client.h"
#include "server/command/generic.h"
#include "server/glob.h"
#include "server/server.h"

#define SLICE_KEY_COUNT ((size_t)1024) /* keys looked at in one turn */
#define SCAN_COUNT_DEFAULT 10
#define CURSOR_SIZE_MAX 128 /* of SCAN's argument; Redis cuts nothing, but no number is as long */

struct walk {
    uint64_t position; /* where the next slice begins */
    uint64_t seen;     /* keys looked at */
    uint64_t count;    /* keys in `keys` */
    struct buffer keys;
};

struct filter {
    bool all;  /* every key matches */
    bool none; /* no key does */
    struct stave_bytes pattern;
    struct walk *walk;
};

static void walk_free(void *state)
{
    struct walk *walk = state;
    if (walk == NULL) return;
    buffer_free(&walk->keys);
    memory_free(walk);
}

static enum stave_status take_key(void *context, struct stave_bytes key, const struct item *item)
{
    (void)item;
    const struct filter *filter = context;
    struct walk *walk = filter->walk;
    walk->seen++;
    if (filter->none || (!filter->all && !glob_matches(filter->pattern, key, false))) return STAVE_OK;
    enum stave_status status = buffer_reserve(&walk->keys, sizeof(uint32_t) + key.size);
    if (status == STAVE_OK) status = buffer_append_le32(&walk->keys, (uint32_t)key.size);
    if (status == STAVE_OK) status = buffer_append(&walk->keys, key.data, key.size);
    if (status == STAVE_OK) walk->count++;
    return status;
}

/* One slice of the walk, or nothing (W1). */
static enum stave_status walk_slice(struct call *call, struct filter *filter, size_t count_wanted)
{
    struct walk *walk = filter->walk;
    const struct walk before = *walk;
    const enum stave_status status =
        transaction_scan(call->transaction, call->database, &walk->position, count_wanted, take_key, filter);
    if (status == STAVE_OK) return STAVE_OK;
    walk->position = before.position;
    walk->seen = before.seen;
    walk->count = before.count;
    walk->keys.size = before.keys.size;
    return status;
}

static struct walk *walk_begin(const struct call *call, uint64_t position)
{
    if (call->state != NULL) return call->state;
    struct walk *walk = memory_alloc_zero(1, sizeof(*walk));
    if (walk == NULL) return NULL;
    const int64_t size_max = call->server->config.output_limits[CLIENT_CLASS_NORMAL].hard_size;
    walk->position = position;
    walk->keys = buffer_limited(size_max > 0 ? (size_t)size_max : BUFFER_SIZE_MAX);
    return walk;
}

static void walk_end(struct call *call, struct walk *walk)
{
    walk_free(walk);
    call->state = NULL;
    call->free_state = NULL;
}

static void reply_keys(struct call *call, const struct walk *walk)
{
    reply_array(call->reply, walk->count);
    for (size_t at = 0; at < walk->keys.size;) {
        const struct stave_bytes key = {walk->keys.data + at + sizeof(uint32_t),
                                        load_le32(walk->keys.data + at)};
        reply_bulk(call->reply, key);
        at += sizeof(uint32_t) + key.size;
    }
}

/* The walk cannot go on: it is over, or begins anew when the command is run again. */
static enum stave_status walk_fail(struct call *call, struct walk *walk, enum stave_status status)
{
    if (status == STAVE_WOULD_BLOCK && call->state != NULL) return status;
    walk_end(call, walk);
    if (status != STAVE_LIMIT) return status;
    return call_error(call, "ERR the keys exceed client-output-buffer-limit, SCAN gives them in parts");
}

/* Until `seen_wanted` keys have been looked at, or all; then *ret_walk is not NULL. */
static enum stave_status walk_turn(struct call *call, struct filter *filter, uint64_t position,
                                   uint64_t seen_wanted, struct walk **ret_walk)
{
    *ret_walk = NULL;
    struct walk *walk = walk_begin(call, position);
    if (walk == NULL) return STAVE_NO_MEMORY;
    filter->walk = walk;
    for (;;) {
        const uint64_t wanted = seen_wanted - walk->seen;
        const enum stave_status status =
            walk_slice(call, filter, wanted < SLICE_KEY_COUNT ? (size_t)wanted : SLICE_KEY_COUNT);
        if (status != STAVE_OK) return walk_fail(call, walk, status);
        if (walk->position == 0 || walk->seen >= seen_wanted) break;
        if (!call->in_exec) return call_yield(call, walk, walk_free);
    }
    *ret_walk = walk;
    return STAVE_OK;
}

static bool is_star(struct stave_bytes pattern)
{
    return pattern.size == 1 && *(const char *)pattern.data == '*';
}

enum stave_status generic_keys(struct call *call)
{
    struct filter filter = {.all = is_star(call->arguments[1]), .pattern = call->arguments[1]};
    struct walk *walk;
    const enum stave_status status = walk_turn(call, &filter, 0, UINT64_MAX, &walk);
    if (walk == NULL) return status;
    reply_keys(call, walk);
    walk_end(call, walk);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ SCAN */

static uint64_t reverse_bits(uint64_t value)
{
    value = (value & 0x5555555555555555) << 1 | (value >> 1 & 0x5555555555555555);
    value = (value & 0x3333333333333333) << 2 | (value >> 2 & 0x3333333333333333);
    value = (value & 0x0F0F0F0F0F0F0F0F) << 4 | (value >> 4 & 0x0F0F0F0F0F0F0F0F);
    return __builtin_bswap64(value);
}

/* As strtoul() reads it, which takes signs, and nothing at all for 0. */
static bool parse_cursor(struct stave_bytes text, uint64_t *ret_cursor)
{
    char copy[CURSOR_SIZE_MAX];
    char *end;
    if (text.size >= sizeof copy) return false;
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    if (isspace((unsigned char)copy[0])) return false;
    errno = 0;
    *ret_cursor = strtoul(copy, &end, 10);
    return *end == 0 && errno == 0;
}

struct scan_options {
    uint64_t cursor;
    uint64_t count;
    struct filter filter;
};

/* False: it has been answered. */
static bool read_scan_option(struct call *call, size_t index, struct scan_options *options)
{
    const bool has_value = index + 1 < call->argument_count;
    int64_t count = 1;
    if (has_value && call_is(call, index, "COUNT")) {
        if (!call_integer(call, index + 1, &count)) return false;
        options->count = (uint64_t)count;
    } else if (has_value && call_is(call, index, "MATCH")) {
        options->filter.pattern = call->arguments[index + 1];
        options->filter.all = is_star(call->arguments[index + 1]);
    } else if (has_value && call_is(call, index, "TYPE")) {
        options->filter.none = !call_is(call, index + 1, "string");
    } else {
        count = 0;
    }
    if (count >= 1) return true;
    (void)call_syntax_error(call);
    return false;
}

enum stave_status generic_scan(struct call *call)
{
    struct scan_options options = {.count = SCAN_COUNT_DEFAULT, .filter = {.all = true}};
    if (!parse_cursor(call->arguments[1], &options.cursor)) return call_error(call, "ERR invalid cursor");
    for (size_t i = 2; i < call->argument_count; i += 2)
        if (!read_scan_option(call, i, &options)) return STAVE_OK;
    struct walk *walk;
    const enum stave_status status =
        walk_turn(call, &options.filter, reverse_bits(options.cursor), options.count, &walk);
    if (walk == NULL) return status;
    reply_array(call->reply, 2);
    reply_format(call->reply, "%" PRIu64, reverse_bits(walk->position));
    reply_keys(call, walk);
    walk_end(call, walk);
    return STAVE_OK;
}
