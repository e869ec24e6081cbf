/* SPDX-License-Identifier: MIT */
/*
 * Requests of the Redis protocol: net/resp.h (R1 to R3), net/words.h, net/resp_number.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/resp.h"
#include "net/resp_number.h"

static const struct resp_limits limits = {RESP_ARGUMENT_COUNT_MAX, 512 << 20, 65536, false};
static const struct resp_limits before_auth = {10, 16384, 65536, true};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
#define TEXT(literal) ((struct stave_bytes)BYTES(literal))

/* What a stream of requests is parsed to, as text: "[a|b]" a request, "!..." a refusal, "~" wants more. */
static void describe(struct resp_parser *parser, const uint8_t *input, enum resp_status status,
                     struct buffer *out)
{
    if (status == RESP_REFUSED) {
        assert_int_equal(buffer_append_format(out, "!%s", parser->error), STAVE_OK);
        return;
    }
    assert_int_equal(status, RESP_OK);
    assert_int_equal(buffer_append(out, "[", 1), STAVE_OK);
    for (size_t i = 0; i < parser->argument_count; i++) {
        const struct stave_bytes argument = resp_argument(parser, input, i);
        assert_int_equal(buffer_append(out, "|", i > 0), STAVE_OK);
        assert_int_equal(buffer_append(out, argument.data, argument.size), STAVE_OK);
    }
    assert_int_equal(buffer_append(out, "]", 1), STAVE_OK);
}

/* Feeds the input in pieces that end at `first` and then every `step` bytes; each in memory of its own. */
static void parse_in_pieces(struct stave_bytes input, size_t first, size_t step,
                            const struct resp_limits *with, struct buffer *ret_text)
{
    struct resp_parser parser = {.arguments = NULL};
    size_t start = 0;
    buffer_clear(ret_text);
    for (size_t end = first; start < input.size;) {
        uint8_t *const copy = malloc(end - start + 1); /* exact, so that a sanitizer sees a byte too far */
        assert_non_null(copy);
        if (end > start) memcpy(copy, (const uint8_t *)input.data + start, end - start);
        const enum resp_status status = resp_parse(&parser, copy, end - start, with);
        if (status == RESP_MORE) {
            assert_true(resp_wanted(&parser) > end - start);
        } else {
            describe(&parser, copy, status, ret_text);
            start += parser.used;
            resp_parser_reset(&parser);
        }
        free(copy);
        if (status == RESP_REFUSED) break;
        if (status == RESP_OK) continue;
        if (end == input.size) {
            assert_int_equal(buffer_append(ret_text, "~", 1), STAVE_OK);
            break;
        }
        end = input.size - end < step ? input.size : end + step;
    }
    resp_parser_free(&parser);
}

static void expect_parsed(struct stave_bytes input, const char *expected, const struct resp_limits *with)
{
    struct buffer text = BUFFER_NONE;
    for (size_t first = 0; first <= input.size; first++) {
        parse_in_pieces(input, first, input.size, with, &text);
        assert_int_equal(buffer_append(&text, "", 1), STAVE_OK);
        assert_string_equal((const char *)text.data, expected);
    }
    for (size_t step = 1; step <= 3; step++) {
        parse_in_pieces(input, 1, step, with, &text);
        assert_int_equal(buffer_append(&text, "", 1), STAVE_OK);
        assert_string_equal((const char *)text.data, expected);
    }
    buffer_free(&text);
}

static const struct {
    struct stave_bytes input;
    const char *expected;
} cases[] = {
    {BYTES("*1\r\n$4\r\nPING\r\n"), "[PING]"},
    {BYTES("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n*1\r\n$4\r\nQUIT\r\n"), "[SET|a|][QUIT]"},
    {BYTES("*2\r\n$3\r\nGET\r\n$6\r\na\r\n\r\nb\r\n"), "[GET|a\r\n\r\nb]"},
    {BYTES("*0\r\n*-1\r\n*-5\r\nPING\r\n"), "[][][][PING]"},
    {BYTES("*10\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n"
           "$1\r\n8\r\n$10\r\n0123456789\r\n"),
     "[0|1|2|3|4|5|6|7|8|0123456789]"},
    /* What stands behind a carriage return or a bulk string is not looked at. */
    {BYTES("*1\rx$4\rxPINGxx*1\r\n$4\r\nPINGab"), "[PING][PING]"},
    {BYTES("*1\r\n$4\r\nPING\r"), "~"},
    {BYTES("*1\r"), "~"},
    {BYTES("*1\r\n$"), "~"},
    {BYTES("*2147483647\r\n"), "~"},
    {BYTES("*2147483648\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*9223372036854775808\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*01\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*+1\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("* 1\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*-0\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*\r\n"), "!Protocol error: invalid multibulk length"},
    {BYTES("*1\r\n$-1\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*1\r\n$00\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*1\r\n$\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*1\r\n$4xPING\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*1\r\n$536870912\r\n"), "~"},
    {BYTES("*1\r\n$536870913\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*1\r\n$18446744073709551615\r\n"), "!Protocol error: invalid bulk length"},
    {BYTES("*2\r\n$4\r\nPING\r\nx\r\n"), "!Protocol error: expected '$', got 'x'"},
    {BYTES("*1\r\nfoo"), "~"},
    {BYTES("*1\r\n\n\r\n"), "!Protocol error: expected '$', got ' '"},
    {BYTES("*1\r\n\r\n"), "!Protocol error: expected '$', got ' '"},
    {BYTES("*1\r\n\xff\r\n"), "!Protocol error: expected '$', got '\xff'"},
    {BYTES("*1\r\n\0\r\n"), "!Protocol error: expected '$', got ' '"},
    {BYTES("PING\r\n"), "[PING]"},
    {BYTES("  SET  a\tb  \r\nPING\n"), "[SET|a|b][PING]"},
    {BYTES("\r\n\n \n"), "[][][]"},
    {BYTES("ECHO \"\\x41\\x4gq\\n\\r\\t\\b\\a\\\"\\q\"\n"), "[ECHO|Ax4gq\n\r\t\b\a\"q]"},
    {BYTES("ECHO '\\'\\n\\\"' \"\" ''\n"), "[ECHO|'\\n\\\"||]"},
    {BYTES("a\vb \vc\fd\n"), "[a\vb|c\fd]"},
    {BYTES("ECHO \"a\"\vb c\"d e\"\n"), "[ECHO|a|b|cd e]"},
    {BYTES("PING\rx\n"), "[PING|x]"},
    {BYTES("SET a \"b\r\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("SET a 'b\r\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("\"PING\"x\r\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("P\"IN\"G\r\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("ECHO \"a\\\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("ECHO 'a\\\n"), "!Protocol error: unbalanced quotes in request"},
    {BYTES("ECHO \"a\\x4\n"), "!Protocol error: unbalanced quotes in request"},
};

static void resp_reads_requests_whatever_the_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_parsed(cases[i].input, cases[i].expected, &limits); /* R1, R3 */
}

static void resp_refuses_more_than_is_allowed_before_auth(void **state)
{
    (void)state;
    expect_parsed(TEXT("*11\r\n"), "!Protocol error: unauthenticated multibulk length", &before_auth);
    expect_parsed(TEXT("*10\r\n"), "~", &before_auth);
    expect_parsed(TEXT("*2147483648\r\n"), "!Protocol error: invalid multibulk length", &before_auth);
    expect_parsed(TEXT("*1\r\n$16384\r\n"), "~", &before_auth);
    expect_parsed(TEXT("*1\r\n$16385\r\n"), "!Protocol error: unauthenticated bulk length", &before_auth);
    expect_parsed(TEXT("*1\r\n$536870913\r\n"), "!Protocol error: invalid bulk length", &before_auth);
    const struct resp_limits few = {2, 10, 65536, false};
    expect_parsed(TEXT("*3\r\n"), "!Protocol error: invalid multibulk length", &few);
    expect_parsed(TEXT("*2\r\n$11\r\n"), "!Protocol error: invalid bulk length", &few);
}

static void expect_line_limit(const char *before, const char *problem)
{
    enum { LIMIT = 100 };
    const struct resp_limits with = {10, 1000, LIMIT, false};
    char line[LIMIT + 32];
    const size_t size = strlen(before);
    for (size_t extra = 0; extra <= 2; extra++) {
        const size_t line_size = (size_t)LIMIT - 1 + extra;
        memset(line, '1', sizeof(line));
        memcpy(line, before, size);
        const char *const last = memrchr(before, '\n', size);
        const size_t start = last != NULL ? (size_t)(last - before) + 1 : 0;
        expect_parsed((struct stave_bytes){line, start + line_size}, extra < 2 ? "~" : problem, &with);
    }
}

static void resp_bounds_the_length_of_a_line(void **state)
{
    (void)state;
    expect_line_limit("*", "!Protocol error: too big mbulk count string");
    expect_line_limit("*1\r\n$", "!Protocol error: too big bulk count string");
    expect_line_limit("P", "!Protocol error: too big inline request");
}

/* R2: one argument has come, two billion are announced; a bulk string of 512 MiB has not begun. */
static void resp_allocates_nothing_for_what_is_announced(void **state)
{
    (void)state;
    struct resp_parser parser = {.arguments = NULL};
    const struct stave_bytes input = TEXT("*2147483647\r\n$1\r\na\r\n$536870912\r\n");
    assert_int_equal(resp_parse(&parser, input.data, input.size, &limits), RESP_MORE);
    assert_true(parser.argument_capacity <= 16);
    assert_int_equal(parser.unquoted.capacity, 0);
    assert_int_equal(resp_wanted(&parser), input.size + 536870912 + 2);
    resp_parser_free(&parser);
}

/*
 * R1: a million arguments arrive byte by byte, and cost what they cost at once, but for the calls: quadratic
 * would be hours.
 */
static void resp_takes_many_slow_arguments_in_linear_time(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    struct buffer input = BUFFER_NONE;
    struct resp_parser parser = {.arguments = NULL};
    assert_int_equal(buffer_append_format(&input, "*%d\r\n", COUNT), STAVE_OK);
    for (int i = 0; i < COUNT; i++) assert_int_equal(buffer_append(&input, "$1\r\na\r\n", 7), STAVE_OK);
    for (size_t size = 1; size < input.size; size++)
        assert_true(resp_parse(&parser, input.data, size, &limits) == RESP_MORE);
    assert_int_equal(resp_parse(&parser, input.data, input.size, &limits), RESP_OK);
    assert_int_equal(parser.argument_count, COUNT);
    assert_int_equal(resp_argument(&parser, input.data, COUNT - 1).size, 1);
    resp_parser_reset(&parser);
    assert_int_equal(parser.argument_capacity, 0);
    resp_parser_free(&parser);
    buffer_free(&input);
}

/* R1: to look at all of it again for each byte would take longer than a test may. */
static void resp_takes_a_long_line_and_a_long_bulk_in_linear_time(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    const struct resp_limits wide = {10, SIZE, SIZE, false};
    struct buffer input = BUFFER_NONE;
    for (int is_inline = 0; is_inline <= 1; is_inline++) {
        struct resp_parser parser = {.arguments = NULL};
        buffer_clear(&input);
        if (!is_inline) assert_int_equal(buffer_append_format(&input, "*1\r\n$%d\r\n", SIZE - 64), STAVE_OK);
        const size_t start = input.size;
        assert_int_equal(buffer_append_zero(&input, SIZE - 64), STAVE_OK);
        memset(input.data + start, 'x', SIZE - 64);
        assert_int_equal(buffer_append(&input, "\r\n", 2), STAVE_OK);
        for (size_t size = 1; size < input.size; size++)
            assert_true(resp_parse(&parser, input.data, size, &wide) == RESP_MORE);
        assert_int_equal(resp_parse(&parser, input.data, input.size, &wide), RESP_OK);
        assert_int_equal(resp_argument(&parser, input.data, 0).size, SIZE - 64);
        resp_parser_free(&parser);
    }
    buffer_free(&input);
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

/* Any bytes are parsed to the same end whatever their pieces, and nothing is read beyond them. */
static void resp_agrees_with_itself_on_mutated_input(void **state)
{
    (void)state;
    struct buffer whole = BUFFER_NONE;
    struct buffer pieces = BUFFER_NONE;
    static const uint8_t bytes[] = "*$\r\n0123456789-'\"\\x \0\xff";
    for (int round = 0; round < 20000; round++) {
        uint8_t input[512];
        size_t size = 0;
        for (int part = 0; part < 3; part++) {
            const struct stave_bytes from = cases[random_below(sizeof(cases) / sizeof(cases[0]))].input;
            if (from.size > sizeof(input) - size) break;
            memcpy(input + size, from.data, from.size);
            size += from.size;
        }
        for (uint32_t i = random_below(4); i > 0; i--)
            input[random_below((uint32_t)size)] = bytes[random_below(sizeof(bytes))];
        const struct stave_bytes mutated = {input, size - random_below(3)};
        const struct resp_limits *const with = random_below(2) == 0 ? &limits : &before_auth;
        parse_in_pieces(mutated, mutated.size, 1, with, &whole);
        parse_in_pieces(mutated, random_below((uint32_t)mutated.size + 1), 1 + random_below(8), with,
                        &pieces);
        assert_int_equal(whole.size, pieces.size);
        if (whole.size > 0) assert_memory_equal(whole.data, pieces.data, whole.size);
    }
    buffer_free(&whole);
    buffer_free(&pieces);
}

static void resp_number_is_read_in_one_way_of_writing_alone(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          "-",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "01",
                                          "-0",
                                          "-01",
                                          "1.0",
                                          "9223372036854775808",
                                          "x",
                                          "0x10",
                                          "1e2",
                                          "--1",
                                          "-9223372036854775809",
                                          "00",
                                          "1\n",
                                          "1234567890123456789012"};
    int64_t value = 77;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(resp_integer(stave_text(refused[i]), &value));
        assert_int_equal(value, 77);
    }
    static const int64_t accepted[] = {0, 1, -1, 10, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1000000007};
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        char digits[RESP_INTEGER_SIZE_MAX];
        const size_t size = resp_integer_write(accepted[i], digits);
        assert_true(resp_integer((struct stave_bytes){digits, size}, &value));
        assert_true(value == accepted[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_reads_requests_whatever_the_pieces),
        cmocka_unit_test(resp_refuses_more_than_is_allowed_before_auth),
        cmocka_unit_test(resp_bounds_the_length_of_a_line),
        cmocka_unit_test(resp_allocates_nothing_for_what_is_announced),
        cmocka_unit_test(resp_takes_many_slow_arguments_in_linear_time),
        cmocka_unit_test(resp_takes_a_long_line_and_a_long_bulk_in_linear_time),
        cmocka_unit_test(resp_agrees_with_itself_on_mutated_input),
        cmocka_unit_test(resp_number_is_read_in_one_way_of_writing_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
