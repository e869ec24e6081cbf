/* SPDX-License-Identifier: MIT */
/*
 * Replies of the Redis protocol as a client reads them: net/resp_value.h (V1 to V3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/resp_value.h"

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
#define TEXT(literal) ((struct stave_bytes)BYTES(literal))

static const char marks[] = "+-:$_,#(=*%~>|"; /* by enum resp_type */

/* A reply as text: a mark and the text or number of each value, aggregates in brackets. */
static void describe(const struct resp_reader *reader, struct buffer *out)
{
    uint32_t open[RESP_DEPTH_MAX];
    size_t depth = 0;
    for (uint32_t i = 0; i <= reader->value_count; i++) {
        while (depth > 0 && open[depth - 1] == i) {
            assert_int_equal(buffer_append(out, "]", 1), STAVE_OK);
            depth--;
        }
        if (i == reader->value_count) break;
        const struct resp_value *const value = &reader->values[i];
        assert_int_equal(value->depth, depth);
        if (i > 0) assert_int_equal(buffer_append(out, " ", 1), STAVE_OK);
        assert_int_equal(buffer_append(out, &marks[value->type], 1), STAVE_OK);
        if (resp_is_aggregate(value->type)) {
            assert_int_equal(buffer_append_format(out, "%d[", (int)value->elements.count), STAVE_OK);
            open[depth++] = value->next;
            assert_true(value->next > i || value->elements.count == 0);
        } else if (value->type == RESP_INTEGER || value->type == RESP_BOOLEAN) {
            assert_int_equal(buffer_append_format(out, "%lld", (long long)value->integer), STAVE_OK);
        } else if (value->type != RESP_NULL) {
            const struct stave_bytes text = resp_text(reader, value);
            assert_int_equal(buffer_append(out, text.data, text.size), STAVE_OK);
        }
    }
    assert_int_equal(depth, 0);
}

/* Feeds the input in pieces, each in memory of its own; replies are described one a line. */
static void read_in_pieces(struct stave_bytes input, size_t first, size_t step, size_t memory_max,
                           struct buffer *ret_text)
{
    struct resp_reader reader = {.memory_max = memory_max};
    enum resp_status status = RESP_MORE;
    bool is_idle = true;
    buffer_clear(ret_text);
    for (size_t start = 0, end = first; start < input.size && status != RESP_REFUSED;) {
        uint8_t *const copy = malloc(end - start + 1);
        assert_non_null(copy);
        memcpy(copy, (const uint8_t *)input.data + start, end - start);
        for (size_t at = 0; at < end - start && status != RESP_REFUSED;) {
            size_t used = 0;
            status = resp_read(&reader, copy + at, end - start - at, &used);
            at += used;
            is_idle = status == RESP_OK;
            if (status == RESP_MORE) assert_int_equal(at, end - start);
            if (status == RESP_REFUSED)
                assert_int_equal(buffer_append_format(ret_text, "!%s", reader.error), STAVE_OK);
            if (status != RESP_OK) continue;
            describe(&reader, ret_text);
            assert_int_equal(buffer_append(ret_text, "\n", 1), STAVE_OK);
            resp_reader_reset(&reader);
        }
        free(copy);
        start = end;
        end = input.size - end < step ? input.size : end + step;
    }
    if (!is_idle && status == RESP_MORE) assert_int_equal(buffer_append(ret_text, "~", 1), STAVE_OK);
    resp_reader_free(&reader);
}

static void expect_read(struct stave_bytes input, const char *expected)
{
    struct buffer text = BUFFER_NONE;
    for (size_t first = 1; first <= input.size; first++) {
        read_in_pieces(input, first, first % 2 == 0 ? 1 : input.size, 0, &text);
        assert_int_equal(buffer_append(&text, "", 1), STAVE_OK);
        assert_string_equal((const char *)text.data, expected);
    }
    buffer_free(&text);
}

static const struct {
    struct stave_bytes input;
    const char *expected;
} cases[] = {
    {BYTES("+OK\r\n-ERR no\r\n:-7\r\n:+7\r\n$3\r\na\r\n\r\n$0\r\n\r\n"),
     "+OK\n-ERR no\n:-7\n:7\n$a\r\n\n$\n"},
    {BYTES("$-1\r\n*-1\r\n_\r\n"), "_\n_\n_\n"},
    {BYTES("*0\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n+x\r\n"), "*0[]\n*2[ :1 *1[ $a]]\n+x\n"},
    {BYTES("*2\r\n*0\r\n*0\r\n"), "*2[ *0[] *0[]]\n"},
    {BYTES(",3.14\r\n,inf\r\n,-inf\r\n,nan\r\n,1e5\r\n"), ",3.14\n,inf\n,-inf\n,nan\n,1e5\n"},
    {BYTES("#t\r\n#f\r\n(12345678901234567890\r\n"), "#1\n#0\n(12345678901234567890\n"},
    {BYTES("!8\r\nERR a\r\nb\r\n=7\r\ntxt:a\r\n\r\n=4\r\nmkd:\r\n"), "-ERR a\r\nb\n=a\r\n\n=\n"},
    {BYTES("%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n~1\r\n#t\r\n"), "%4[ +a :1 +b %0[]]\n~1[ #1]\n"},
    {BYTES(">2\r\n+message\r\n$1\r\na\r\n+OK\r\n"), ">2[ +message $a]\n+OK\n"},
    {BYTES("|1\r\n+ttl\r\n:5\r\n$1\r\na\r\n"), "|2[ +ttl :5] $a\n"},
    {BYTES("*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:2\r\n:3\r\n"), "*2[ |2[ +k *1[ :1]] :2 :3]\n"},
    {BYTES("|0\r\n|0\r\n+a\r\n"), "|0[] |0[] +a\n"},
    {BYTES("$?\r\n;4\r\nabcd\r\n;2\r\n\r\n\r\n;0\r\n+x\r\n"), "$abcd\r\n\n+x\n"},
    {BYTES("$?\r\n;0\r\n"), "$\n"},
    {BYTES("*?\r\n:1\r\n*?\r\n.\r\n:2\r\n.\r\n"), "*3[ :1 *0[] :2]\n"},
    {BYTES("%?\r\n+a\r\n$?\r\n;1\r\nx\r\n;0\r\n.\r\n"), "%2[ +a $x]\n"},
    {BYTES("*2\r\n~?\r\n.\r\n+x\r\n"), "*2[ ~0[] +x]\n"},
    {BYTES("$3\r\nabc"), "~"},
    {BYTES("$1000000000000\r\nabc"), "~"},
    {BYTES("*1000000000000\r\n+a\r\n"), "~"},
    {BYTES("|1\r\n+a\r\n+b\r\n"), "~"},
    {BYTES("+a"), "~"},
    {BYTES("$?\r\n;1\r\nx\r\n"), "~"},
    {BYTES("$2\r\nabc\r\n"), "!a string that is longer than announced"},
    {BYTES("$-2\r\n"), "!a length that is no number"},
    {BYTES("*-2\r\n"), "!a length that is no number"},
    {BYTES("%-1\r\n"), "!a length below zero"},
    {BYTES("=-1\r\n"), "!a length below zero"},
    {BYTES("=3\r\ntxt\r\n"), "!text without its format"},
    {BYTES("*9223372036854775807\r\n"), "!a length that is no number"},
    {BYTES("$\r\n"), "!a length that is no number"},
    {BYTES("!?\r\n"), "!a length that is no number"},
    {BYTES(":x\r\n"), "!an integer that is none"},
    {BYTES(":\r\n"), "!an integer that is none"},
    {BYTES("#x\r\n"), "!a boolean that is none"},
    {BYTES("+a\n"), "!a line without its mark or its end"},
    {BYTES("\r\n"), "!a line without its mark or its end"},
    {BYTES("HTTP/1.1 400\r\n"), "!a reply that begins with the byte 0x48"},
    {BYTES(".\r\n"), "!an end of nothing"},
    {BYTES("*1\r\n.\r\n"), "!an end of nothing"},
    {BYTES("%?\r\n+a\r\n.\r\n"), "!a key without a value"},
    {BYTES("*?\r\n|1\r\n+a\r\n+b\r\n.\r\n"), "!an end of nothing"},
    {BYTES("$?\r\n+a\r\n"), "!a part of a string was expected"},
    {BYTES("$?\r\n;-1\r\n"), "!a length that is no number"},
    {BYTES(";1\r\nx\r\n"), "!a reply that begins with the byte 0x3b"},
};

static void replies_are_read_whatever_the_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_read(cases[i].input, cases[i].expected);
}

static void reply_behind_its_attributes_is_found(void **state)
{
    (void)state;
    struct resp_reader reader = {.memory_max = 0};
    const struct stave_bytes input = TEXT("|1\r\n+a\r\n*1\r\n:1\r\n|0\r\n:7\r\n");
    size_t used = 0;
    assert_int_equal(resp_read(&reader, input.data, input.size, &used), RESP_OK);
    assert_int_equal(resp_reply(&reader)->type, RESP_INTEGER);
    assert_int_equal(resp_reply(&reader)->integer, 7);
    resp_reader_free(&reader);
}

/* V2 */
static void replies_are_refused_beyond_a_depth(void **state)
{
    (void)state;
    for (int depth = RESP_DEPTH_MAX - 1; depth <= RESP_DEPTH_MAX; depth++) {
        struct resp_reader reader = {.memory_max = 0};
        struct buffer input = BUFFER_NONE;
        size_t used = 0;
        for (int i = 0; i < depth; i++) assert_int_equal(buffer_append(&input, "*1\r\n", 4), STAVE_OK);
        assert_int_equal(buffer_append(&input, ":1\r\n", 4), STAVE_OK);
        const enum resp_status status = resp_read(&reader, input.data, input.size, &used);
        assert_int_equal(status, depth < RESP_DEPTH_MAX ? RESP_OK : RESP_REFUSED);
        resp_reader_free(&reader);
        buffer_free(&input);
    }
}

/* V1 */
static void reply_takes_no_memory_for_what_is_announced(void **state)
{
    (void)state;
    struct resp_reader reader = {.memory_max = 0};
    const struct stave_bytes input = TEXT("*1000000000000\r\n$1000000000000\r\nabc");
    size_t used = 0;
    assert_int_equal(resp_read(&reader, input.data, input.size, &used), RESP_MORE);
    assert_true(reader.value_capacity <= 16);
    assert_true(reader.text.capacity <= 256);
    resp_reader_free(&reader);
}

static void reply_is_refused_beyond_its_memory(void **state)
{
    (void)state;
    struct buffer text = BUFFER_NONE;
    struct buffer input = BUFFER_NONE;
    for (int is_bulk = 0; is_bulk <= 1; is_bulk++) {
        buffer_clear(&input);
        const enum stave_status status = buffer_append_format(&input, "%c100000\r\n", is_bulk ? '$' : '*');
        assert_int_equal(status, STAVE_OK);
        for (int i = 0; i < 25000; i++) assert_int_equal(buffer_append(&input, ":1\r\n", 4), STAVE_OK);
        read_in_pieces(buffer_bytes(&input), 100, 100, 50000, &text);
        assert_int_equal(buffer_append(&text, "", 1), STAVE_OK);
        assert_string_equal((const char *)text.data, "!a reply of more than 50000 bytes");
    }
    buffer_free(&text);
    buffer_free(&input);
}

/* V3: a million elements and a bulk of 4 MiB, byte by byte: in quadratic time this would not end. */
static void replies_that_come_slowly_take_linear_time(void **state)
{
    (void)state;
    enum { COUNT = 1000000, SIZE = 4 << 20 };
    struct buffer input = BUFFER_NONE;
    struct resp_reader reader = {.memory_max = 0};
    assert_int_equal(buffer_append_format(&input, "*%d\r\n$%d\r\n", COUNT + 1, SIZE), STAVE_OK);
    assert_int_equal(buffer_append_zero(&input, SIZE), STAVE_OK);
    assert_int_equal(buffer_append(&input, "\r\n", 2), STAVE_OK);
    for (int i = 0; i < COUNT; i++) assert_int_equal(buffer_append(&input, "+a\r\n", 4), STAVE_OK);
    enum resp_status status = RESP_MORE;
    for (size_t i = 0; i < input.size; i++) {
        size_t used = 0;
        assert_true(status == RESP_MORE);
        status = resp_read(&reader, input.data + i, 1, &used);
    }
    assert_int_equal(status, RESP_OK);
    assert_int_equal(reader.value_count, COUNT + 2);
    resp_reader_reset(&reader);
    assert_int_equal(reader.value_capacity, 0);
    resp_reader_free(&reader);
    buffer_free(&input);
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

static void mutated_replies_are_read_alike_whatever_the_pieces(void **state)
{
    (void)state;
    struct buffer whole = BUFFER_NONE;
    struct buffer pieces = BUFFER_NONE;
    static const uint8_t bytes[] = "+-:$_,#(=!*%~>|.;?\r\n0123456789tf";
    for (int round = 0; round < 20000; round++) {
        uint8_t input[512];
        size_t size = 0;
        for (int part = 0; part < 4; part++) {
            const struct stave_bytes from = cases[random_below(sizeof(cases) / sizeof(cases[0]))].input;
            if (from.size > sizeof(input) - size) break;
            memcpy(input + size, from.data, from.size);
            size += from.size;
        }
        for (uint32_t i = random_below(4); i > 0; i--)
            input[random_below((uint32_t)size)] = bytes[random_below(sizeof(bytes))];
        const struct stave_bytes mutated = {input, size};
        read_in_pieces(mutated, size, 1, 0, &whole);
        read_in_pieces(mutated, 1 + random_below((uint32_t)size), 1 + random_below(8), 0, &pieces);
        assert_int_equal(whole.size, pieces.size);
        if (whole.size > 0) assert_memory_equal(whole.data, pieces.data, whole.size);
    }
    buffer_free(&whole);
    buffer_free(&pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_whatever_the_pieces),
        cmocka_unit_test(reply_behind_its_attributes_is_found),
        cmocka_unit_test(replies_are_refused_beyond_a_depth),
        cmocka_unit_test(reply_takes_no_memory_for_what_is_announced),
        cmocka_unit_test(reply_is_refused_beyond_its_memory),
        cmocka_unit_test(replies_that_come_slowly_take_linear_time),
        cmocka_unit_test(mutated_replies_are_read_alike_whatever_the_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
