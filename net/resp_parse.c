/* SPDX-License-Identifier: MIT */
/*
 * Requests: arrays of bulk strings, and inline lines with quotes.
 *
 * A request is read line by line: `line` is where the current one begins, `position` how far it has been
 * searched for its end. What is accepted, and what is refused with which words, is what Redis 7.0 does: the
 * byte behind a carriage return and the two behind a bulk string are not looked at.
 */
#include "net/resp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "net/words.h"

enum {
    ARGUMENT_CAPACITY_FIRST = 8,
    ARGUMENT_CAPACITY_KEPT = 256,
    UNQUOTED_CAPACITY_KEPT = 4096,
    LINE_END_SIZE = 2,
};

static enum resp_status refuse(struct resp_parser *parser, const char *reason)
{
    (void)snprintf(parser->error, sizeof(parser->error), "Protocol error: %s", reason);
    return RESP_REFUSED;
}

static enum resp_status refuse_line_start(struct resp_parser *parser, uint8_t got)
{
    const bool ends_text = got == '\0' || got == '\r' || got == '\n';
    (void)snprintf(parser->error, sizeof(parser->error), "Protocol error: expected '$', got '%c'",
                   ends_text ? ' ' : got);
    return RESP_REFUSED;
}

/* Room for one more argument: grows with those that have come, not with those announced (R2). */
static bool grow_arguments(struct resp_parser *parser)
{
    const size_t capacity =
        parser->argument_capacity > 0 ? 2 * parser->argument_capacity : ARGUMENT_CAPACITY_FIRST;
    struct resp_slice *const arguments = memory_realloc(parser->arguments, capacity * sizeof(*arguments));
    if (arguments == NULL) return false;
    parser->arguments = arguments;
    parser->argument_capacity = capacity;
    return true;
}

static inline bool add_argument(struct resp_parser *parser, size_t offset, size_t size)
{
    if (parser->argument_count == parser->argument_capacity && !grow_arguments(parser)) return false;
    parser->arguments[parser->argument_count++] = (struct resp_slice){offset, size};
    return true;
}

/*
 * Searches the line for `end` from where the search stopped last. RESP_OK: it stands at *ret_at; RESP_MORE;
 * RESP_REFUSED without a text: the line is longer than `size_max`.
 */
static enum resp_status find_line_end(struct resp_parser *parser, const uint8_t *input, size_t size,
                                      uint8_t end, size_t size_max, size_t *ret_at)
{
    const uint8_t *const found = memchr(input + parser->position, end, size - parser->position);
    const size_t at = found != NULL ? (size_t)(found - input) : size;
    if (at - parser->line > size_max) return RESP_REFUSED;
    parser->position = at;
    if (found == NULL) return RESP_MORE;
    *ret_at = at;
    return RESP_OK;
}

/* ------------------------------------------------------------------ announced numbers */

/*
 * The usual line, one to eight digits behind its mark, read as it is searched. False: not such a line, or not
 * all of it; the parser is unchanged.
 */
static inline bool parse_short_count(struct resp_parser *parser, const uint8_t *input, size_t size,
                                     uint8_t mark, int64_t *ret_count)
{
    enum { DIGITS_MAX = 8 };
    size_t at = parser->line;
    if (parser->position != at || size - at < 1 + 1 + LINE_END_SIZE || input[at] != mark) return false;

    const size_t first = ++at;
    uint32_t count = 0;
    for (; at < size && input[at] - (unsigned)'0' <= 9 && at - first < DIGITS_MAX; at++)
        count = 10 * count + (uint32_t)(input[at] - '0');
    if (size - at < LINE_END_SIZE || input[at] != '\r' || at == first) return false;
    if (input[first] == '0' && at - first > 1) return false;
    parser->line = parser->position = at + LINE_END_SIZE;
    *ret_count = count;
    return true;
}

/*
 * Any line of a number behind its mark. RESP_REFUSED: *ret_problem says why, or is NULL if the line began
 * with something else than the mark.
 */
static enum resp_status parse_count(struct resp_parser *parser, const uint8_t *input, size_t size,
                                    uint8_t mark, const struct resp_limits *limits, int64_t *ret_count,
                                    const char **ret_problem)
{
    if (parse_short_count(parser, input, size, mark, ret_count)) return RESP_OK;

    size_t end = 0;
    *ret_problem = mark == '*' ? "too big mbulk count string" : "too big bulk count string";
    const enum resp_status status = find_line_end(parser, input, size, '\r', limits->inline_size_max, &end);
    if (status != RESP_OK) return status;
    if (size - end < LINE_END_SIZE) return RESP_MORE;

    *ret_problem = NULL;
    if (input[parser->line] != mark) return RESP_REFUSED;
    *ret_problem = mark == '*' ? "invalid multibulk length" : "invalid bulk length";
    const struct stave_bytes digits = {input + parser->line + 1, end - parser->line - 1};
    if (!resp_integer(digits, ret_count)) return RESP_REFUSED;
    parser->line = parser->position = end + LINE_END_SIZE;
    return RESP_OK;
}

/* ------------------------------------------------------------------ arrays of bulk strings */

/* "*3\r\n": a count of 0 or less is a request of nothing. */
static enum resp_status parse_array_header(struct resp_parser *parser, const uint8_t *input, size_t size,
                                           const struct resp_limits *limits)
{
    int64_t count = 0;
    const char *problem = NULL;
    const enum resp_status status = parse_count(parser, input, size, '*', limits, &count, &problem);
    if (status == RESP_REFUSED) return refuse(parser, problem);
    if (status != RESP_OK) return status;
    if (count > (int64_t)RESP_ARGUMENT_COUNT_MAX) return refuse(parser, "invalid multibulk length");
    if (count > 0 && (uint64_t)count > limits->argument_count_max)
        return refuse(parser, limits->is_unauthenticated ? "unauthenticated multibulk length"
                                                         : "invalid multibulk length");
    parser->has_argument_total = true;
    parser->argument_total = count > 0 ? (uint64_t)count : 0;
    return RESP_OK;
}

/* "$5\r\n" */
static enum resp_status parse_bulk_header(struct resp_parser *parser, const uint8_t *input, size_t size,
                                          const struct resp_limits *limits)
{
    int64_t bulk_size = 0;
    const char *problem = NULL;
    const enum resp_status status = parse_count(parser, input, size, '$', limits, &bulk_size, &problem);
    if (status == RESP_REFUSED && problem == NULL) return refuse_line_start(parser, input[parser->line]);
    if (status == RESP_REFUSED) return refuse(parser, problem);
    if (status != RESP_OK) return status;
    if (bulk_size < 0) return refuse(parser, "invalid bulk length");
    if ((uint64_t)bulk_size > limits->bulk_size_max) {
        const bool is_valid = (uint64_t)bulk_size <= RESP_BULK_SIZE_DEFAULT_MAX;
        return refuse(parser, limits->is_unauthenticated && is_valid ? "unauthenticated bulk length"
                                                                     : "invalid bulk length");
    }
    parser->has_bulk_size = true;
    parser->bulk_size = (uint64_t)bulk_size;
    return RESP_OK;
}

static enum resp_status parse_array(struct resp_parser *parser, const uint8_t *input, size_t size,
                                    const struct resp_limits *limits)
{
    if (!parser->has_argument_total) {
        const enum resp_status status = parse_array_header(parser, input, size, limits);
        if (status != RESP_OK) return status;
    }
    while (parser->argument_count < parser->argument_total) {
        if (!parser->has_bulk_size) {
            const enum resp_status status = parse_bulk_header(parser, input, size, limits);
            if (status != RESP_OK) return status;
        }
        if (size - parser->position < parser->bulk_size + LINE_END_SIZE) return RESP_MORE;
        if (!add_argument(parser, parser->position, (size_t)parser->bulk_size)) return RESP_NO_MEMORY;
        parser->position += (size_t)parser->bulk_size + LINE_END_SIZE;
        parser->line = parser->position;
        parser->has_bulk_size = false;
    }
    parser->used = parser->position;
    return RESP_OK;
}

/* ------------------------------------------------------------------ inline lines */

static enum resp_status parse_inline(struct resp_parser *parser, const uint8_t *input, size_t size,
                                     const struct resp_limits *limits)
{
    size_t end = 0;
    const enum resp_status found = find_line_end(parser, input, size, '\n', limits->inline_size_max, &end);
    if (found == RESP_REFUSED) return refuse(parser, "too big inline request");
    if (found != RESP_OK) return found;

    const size_t line_size = end > 0 && input[end - 1] == '\r' ? end - 1 : end;
    const enum stave_status status = buffer_reserve(&parser->unquoted, line_size);
    if (status != STAVE_OK) return RESP_NO_MEMORY;
    struct words_reader words = {.text = {input, line_size}, .out = parser->unquoted.data};
    struct resp_slice word = {0, 0};
    enum words_result read;
    while ((read = words_read(&words, &word)) == WORDS_ONE) {
        if (!add_argument(parser, word.offset, word.size)) return RESP_NO_MEMORY;
    }
    if (read == WORDS_UNBALANCED) return refuse(parser, "unbalanced quotes in request");
    parser->unquoted.size = words.out_size;
    parser->used = parser->position = end + 1;
    return RESP_OK;
}

/* ------------------------------------------------------------------ the parser */

enum resp_status resp_parse(struct resp_parser *parser, const uint8_t *input, size_t size,
                            const struct resp_limits *limits)
{
    assert(size >= parser->position); /* R3 */
    if (size == 0) return RESP_MORE;
    if (!parser->is_started) {
        parser->is_started = true;
        parser->is_inline = input[0] != '*';
    }
    return parser->is_inline ? parse_inline(parser, input, size, limits)
                             : parse_array(parser, input, size, limits);
}

size_t resp_wanted(const struct resp_parser *parser)
{
    if (parser->has_bulk_size) return parser->position + (size_t)parser->bulk_size + LINE_END_SIZE;
    return parser->position + (parser->is_inline ? 1 : LINE_END_SIZE);
}

void resp_parser_reset(struct resp_parser *parser)
{
    if (parser->argument_capacity > ARGUMENT_CAPACITY_KEPT) {
        memory_free(parser->arguments);
        parser->arguments = NULL;
        parser->argument_capacity = 0;
    }
    if (parser->unquoted.capacity > UNQUOTED_CAPACITY_KEPT) buffer_free(&parser->unquoted);
    buffer_clear(&parser->unquoted);
    parser->argument_count = 0;
    parser->argument_total = 0;
    parser->used = 0;
    parser->line = 0;
    parser->position = 0;
    parser->has_argument_total = false;
    parser->has_bulk_size = false;
    parser->is_started = false;
    parser->error[0] = '\0';
}

void resp_parser_free(struct resp_parser *parser)
{
    memory_free(parser->arguments);
    buffer_free(&parser->unquoted);
    *parser = (struct resp_parser){.arguments = NULL};
}
