/* SPDX-License-Identifier: MIT */
/*
 * LCS: the longest common subsequence of two strings.
 *
 * L(i, j) is the length of the longest one of the first i bytes of `a` and the first j of `b`. Neighbouring
 * cells differ by 0 or 1, so that a column is a row of bits, 64 of which are computed at once (Hyyrö, "Bit-
 * parallel LCS-length computation revisited", 2004): bit i of `flat` is 0 where L grows from row i to i + 1.
 * The carries of the addition say where L grows from the column before; with both it is known, for each cell,
 * which neighbour the way back leads to, and one bit a cell is all that is kept of the table.
 *
 *   L1  The way back goes to L(i - 1, j) only if it is greater than L(i, j - 1): of several longest ones,
 *       Redis' is found.
 *   L2  Memory and time are bounded: LCS_CELLS_MAX where the way back is kept, LCS_LENGTH_CELLS_MAX for the
 *       length alone.
 */
#include <string.h>

#include "server/command/string.h"

#define LCS_CELLS_MAX (UINT64_C(1) << 30) /* 128 MiB of bits, and at most as much again for the masks */
#define LCS_LENGTH_CELLS_MAX (UINT64_C(1) << 34) /* half a second */

struct lcs_options {
    bool length;
    bool ranges;
    bool range_lengths;
    int64_t range_length_min;
};

struct lcs {
    const uint8_t *a;
    const uint8_t *b;
    size_t a_size;
    size_t b_size;
    size_t word_count;    /* for a column */
    uint64_t *masks[256]; /* of each byte of `b`: where it stands in `a`; NULL: not in `b` */
    uint64_t *flat;
    uint64_t *up; /* b_size columns of bits: 1 where the way back goes to i - 1; NULL: not kept */
    uint64_t length;
};

/* Bytes first..last of both strings that are the same. */
struct lcs_range {
    size_t a_first;
    size_t b_first;
    size_t size;
};

static bool parse_options(struct call *call, struct lcs_options *ret_options)
{
    struct lcs_options options = {0};
    for (size_t i = 3; i < call->argument_count; i++) {
        if (call_is(call, i, "idx"))
            options.ranges = true;
        else if (call_is(call, i, "len"))
            options.length = true;
        else if (call_is(call, i, "withmatchlen"))
            options.range_lengths = true;
        else if (call_is(call, i, "minmatchlen") && i + 1 < call->argument_count) {
            if (!call_integer(call, ++i, &options.range_length_min)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (options.ranges && options.length) {
        call_error(call, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    *ret_options = options;
    return true;
}

/* ------------------------------------------------------------------ forth */

/* Rows are bytes of `a`; for the length alone the shorter string is it, as the masks are of its size. */
static enum stave_status lcs_init(struct call *call, const struct item *items, bool is_length_alone,
                                  struct lcs *ret_lcs)
{
    const struct stave_bytes empty = stave_bytes("", 0);
    struct stave_bytes a = items[0].found ? items[0].value : empty;
    struct stave_bytes b = items[1].found ? items[1].value : empty;
    if (is_length_alone && a.size > b.size) {
        const struct stave_bytes shorter = b;
        b = a;
        a = shorter;
    }
    *ret_lcs = (struct lcs){.a = a.data, .b = b.data, .a_size = a.size, .b_size = b.size};
    ret_lcs->word_count = (a.size + 63) / 64;
    const size_t column_size = ret_lcs->word_count * sizeof(uint64_t);

    ret_lcs->flat = transaction_alloc(call->transaction, column_size);
    if (ret_lcs->flat == NULL) return STAVE_NO_MEMORY;
    memset(ret_lcs->flat, 0xff, column_size);
    if (is_length_alone) return STAVE_OK;
    ret_lcs->up = transaction_alloc(call->transaction, column_size * b.size);
    return ret_lcs->up == NULL ? STAVE_NO_MEMORY : STAVE_OK;
}

static enum stave_status lcs_make_masks(struct call *call, struct lcs *lcs)
{
    const size_t column_size = lcs->word_count * sizeof(uint64_t);
    for (size_t j = 0; j < lcs->b_size; j++) {
        uint64_t **mask = &lcs->masks[lcs->b[j]];
        if (*mask != NULL) continue;
        *mask = transaction_alloc(call->transaction, column_size);
        if (*mask == NULL) return STAVE_NO_MEMORY;
        memset(*mask, 0, column_size);
    }
    for (size_t i = 0; i < lcs->a_size; i++) {
        uint64_t *mask = lcs->masks[lcs->a[i]];
        if (mask != NULL) mask[i / 64] |= UINT64_C(1) << (i % 64);
    }
    return STAVE_OK;
}

/*
 * From one column to the next. A carry into row i says that L(i, j) is one more than L(i, j - 1) was there,
 * which is the row above i; the carry out of row i says it of row i + 1, where the way back is decided.
 */
static void lcs_column(struct lcs *lcs, const uint64_t *mask, uint64_t *ret_up)
{
    uint64_t carry = 0;
    for (size_t k = 0; k < lcs->word_count; k++) {
        const uint64_t flat = lcs->flat[k];
        const uint64_t matching = flat & mask[k];
        uint64_t sum;
        uint64_t carry_out = __builtin_add_overflow(flat, matching, &sum);
        carry_out |= __builtin_add_overflow(sum, carry, &sum);
        lcs->flat[k] = sum | (flat & ~mask[k]);
        if (ret_up != NULL) {
            const uint64_t carries_in = flat ^ matching ^ sum;
            const uint64_t grown = carries_in >> 1 | carry_out << 63;
            ret_up[k] = grown & lcs->flat[k];
        }
        carry = carry_out;
    }
}

static void lcs_run(struct lcs *lcs)
{
    for (size_t j = 0; j < lcs->b_size; j++)
        lcs_column(lcs, lcs->masks[lcs->b[j]], lcs->up == NULL ? NULL : lcs->up + j * lcs->word_count);
    for (size_t i = 0; i < lcs->a_size; i++) lcs->length += ~lcs->flat[i / 64] >> (i % 64) & 1;
}

/* ------------------------------------------------------------------ back */

static bool goes_up(const struct lcs *lcs, size_t i, size_t j)
{
    return lcs->up[(j - 1) * lcs->word_count + (i - 1) / 64] >> ((i - 1) % 64) & 1;
}

/* The next range of matching bytes before row *i and column *j, which move before it; false: no more. */
static bool lcs_back(const struct lcs *lcs, size_t *i, size_t *j, struct lcs_range *ret_range)
{
    while (*i > 0 && *j > 0 && lcs->a[*i - 1] != lcs->b[*j - 1]) {
        if (goes_up(lcs, *i, *j))
            (*i)--;
        else
            (*j)--;
    }
    if (*i == 0 || *j == 0) return false;

    size_t size = 0;
    while (*i > 0 && *j > 0 && lcs->a[*i - 1] == lcs->b[*j - 1]) {
        (*i)--;
        (*j)--;
        size++;
    }
    *ret_range = (struct lcs_range){*i, *j, size};
    return true;
}

static enum stave_status reply_string(struct call *call, const struct lcs *lcs)
{
    uint8_t *bytes = transaction_alloc(call->transaction, lcs->length);
    if (bytes == NULL) return STAVE_NO_MEMORY;
    uint64_t left = lcs->length;
    struct lcs_range range;
    for (size_t i = lcs->a_size, j = lcs->b_size; lcs_back(lcs, &i, &j, &range);) {
        left -= range.size;
        memcpy(bytes + left, lcs->a + range.a_first, range.size);
    }
    reply_bulk(call->reply, stave_bytes(bytes, lcs->length));
    return STAVE_OK;
}

static void reply_range(struct call *call, const struct lcs_range *range, bool with_length)
{
    const size_t firsts[2] = {range->a_first, range->b_first};
    reply_array(call->reply, with_length ? 3 : 2);
    for (size_t k = 0; k < 2; k++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, (int64_t)firsts[k]);
        reply_integer(call->reply, (int64_t)(firsts[k] + range->size - 1));
    }
    if (with_length) reply_integer(call->reply, (int64_t)range->size);
}

static bool is_wanted(const struct lcs_range *range, const struct lcs_options *options)
{
    return options->range_length_min <= 0 || range->size >= (uint64_t)options->range_length_min;
}

static void reply_ranges(struct call *call, const struct lcs *lcs, const struct lcs_options *options)
{
    struct lcs_range range;
    uint64_t count = 0;
    for (size_t i = lcs->a_size, j = lcs->b_size; lcs_back(lcs, &i, &j, &range);)
        count += is_wanted(&range, options);

    reply_map(call->reply, 2);
    reply_text(call->reply, "matches");
    reply_array(call->reply, count);
    for (size_t i = lcs->a_size, j = lcs->b_size; lcs_back(lcs, &i, &j, &range);) {
        if (is_wanted(&range, options)) reply_range(call, &range, options->range_lengths);
    }
    reply_text(call->reply, "len");
    reply_integer(call->reply, (int64_t)lcs->length);
}

/* ------------------------------------------------------------------ the command */

static bool fits(const struct item *items, uint64_t cells_max)
{
    const uint64_t a_size = items[0].found ? items[0].value.size : 0;
    const uint64_t b_size = items[1].found ? items[1].value.size : 0;
    return a_size == 0 || b_size == 0 || a_size + 63 <= cells_max / b_size;
}

enum stave_status string_lcs(struct call *call)
{
    struct lcs_options options;
    if (!parse_options(call, &options)) return STAVE_OK;
    struct item items[2];
    enum stave_status status =
        transaction_get_many(call->transaction, call->database, call->arguments + 1, 2, items);
    if (status != STAVE_OK) return status;
    if (!fits(items, options.length ? LCS_LENGTH_CELLS_MAX : LCS_CELLS_MAX))
        return call_error(call, "ERR Insufficient memory, failed allocating transient memory for LCS");

    struct lcs lcs;
    status = lcs_init(call, items, options.length, &lcs);
    if (status == STAVE_OK) status = lcs_make_masks(call, &lcs);
    if (status != STAVE_OK) return status;
    lcs_run(&lcs);
    if (!options.length && !options.ranges) return reply_string(call, &lcs);
    if (options.ranges)
        reply_ranges(call, &lcs, &options);
    else
        reply_integer(call->reply, (int64_t)lcs.length);
    return STAVE_OK;
}
