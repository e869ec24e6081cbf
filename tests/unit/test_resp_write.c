/* SPDX-License-Identifier: MIT */
/*
 * Replies of the Redis protocol: net/resp.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/resp.h"

static void expect(struct buffer *out, enum stave_status status, const char *expected)
{
    assert_int_equal(status, STAVE_OK);
    assert_int_equal(out->size, strlen(expected));
    assert_memory_equal(out->data, expected, out->size);
    buffer_clear(out);
}

static void resp_writes_what_both_versions_share(void **state)
{
    (void)state;
    struct buffer out = BUFFER_NONE;
    expect(&out, resp_write_simple(&out, "OK"), "+OK\r\n");
    expect(&out, resp_write_error(&out, "ERR a\r\nb"), "-ERR a  b\r\n");
    expect(&out, resp_write_integer(&out, INT64_MIN), ":-9223372036854775808\r\n");
    expect(&out, resp_write_integer(&out, INT64_MAX), ":9223372036854775807\r\n");
    expect(&out, resp_write_integer(&out, 0), ":0\r\n");
    expect(&out, resp_write_bulk(&out, stave_text("a\r\nb")), "$4\r\na\r\nb\r\n");
    expect(&out, resp_write_bulk(&out, stave_text("")), "$0\r\n\r\n");
    expect(&out, resp_write_bulk_size(&out, 123456), "$123456\r\n");
    expect(&out, resp_write_array(&out, 0), "*0\r\n");
    expect(&out, resp_write_array(&out, UINT64_MAX), "*18446744073709551615\r\n");
    buffer_free(&out);
}

static void resp_writes_version_3_as_version_2_to_those_who_know_that_alone(void **state)
{
    (void)state;
    struct buffer out = BUFFER_NONE;
    expect(&out, resp_write_null(&out, 2), "$-1\r\n");
    expect(&out, resp_write_null(&out, 3), "_\r\n");
    expect(&out, resp_write_null_array(&out, 2), "*-1\r\n");
    expect(&out, resp_write_null_array(&out, 3), "_\r\n");
    expect(&out, resp_write_map(&out, 2, 3), "*6\r\n");
    expect(&out, resp_write_map(&out, 3, 3), "%3\r\n");
    expect(&out, resp_write_set(&out, 2, 3), "*3\r\n");
    expect(&out, resp_write_set(&out, 3, 3), "~3\r\n");
    expect(&out, resp_write_push(&out, 2, 3), "*3\r\n");
    expect(&out, resp_write_push(&out, 3, 3), ">3\r\n");
    expect(&out, resp_write_attribute(&out, 1), "|1\r\n");
    expect(&out, resp_write_boolean(&out, 2, true), ":1\r\n");
    expect(&out, resp_write_boolean(&out, 2, false), ":0\r\n");
    expect(&out, resp_write_boolean(&out, 3, true), "#t\r\n");
    expect(&out, resp_write_boolean(&out, 3, false), "#f\r\n");
    expect(&out, resp_write_big_number(&out, 2, stave_text("-123")), "$4\r\n-123\r\n");
    expect(&out, resp_write_big_number(&out, 3, stave_text("-123")), "(-123\r\n");
    expect(&out, resp_write_verbatim(&out, 2, "txt", stave_text("a\r\n")), "$3\r\na\r\n\r\n");
    expect(&out, resp_write_verbatim(&out, 3, "txt", stave_text("a\r\n")), "=7\r\ntxt:a\r\n\r\n");
    buffer_free(&out);
}

static void resp_writes_doubles_short_and_exact(void **state)
{
    (void)state;
    struct buffer out = BUFFER_NONE;
    expect(&out, resp_write_double(&out, 3, 0.1), ",0.1\r\n");
    expect(&out, resp_write_double(&out, 3, 3), ",3\r\n");
    expect(&out, resp_write_double(&out, 3, 1.0 / 3), ",0.3333333333333333\r\n");
    expect(&out, resp_write_double(&out, 2, -2.5), "$4\r\n-2.5\r\n");
    expect(&out, resp_write_double(&out, 3, INFINITY), ",inf\r\n");
    expect(&out, resp_write_double(&out, 3, -INFINITY), ",-inf\r\n");
    expect(&out, resp_write_double(&out, 2, NAN), "$3\r\nnan\r\n");
    expect(&out, resp_write_double(&out, 3, -NAN), ",nan\r\n");
    uint64_t bits = 1;
    for (int i = 0; i < 100000; i++) {
        double value = 0;
        bits = bits * 6364136223846793005U + 1442695040888963407U;
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value)) continue;
        assert_int_equal(resp_write_double(&out, 3, value), STAVE_OK);
        assert_int_equal(buffer_append(&out, "", 1), STAVE_OK);
        assert_true(strtod((const char *)out.data + 1, NULL) == value);
        buffer_clear(&out);
    }
    buffer_free(&out);
}

static void resp_write_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct buffer out = buffer_limited(24);
    assert_int_equal(resp_write_simple(&out, "0123456789"), STAVE_OK);
    const size_t size = out.size;
    assert_int_equal(resp_write_simple(&out, "0123456789"), STAVE_LIMIT);
    assert_int_equal(resp_write_error(&out, "0123456789"), STAVE_LIMIT);
    assert_int_equal(resp_write_bulk(&out, stave_text("0123456789")), STAVE_LIMIT);
    assert_int_equal(resp_write_bulk(&out, (struct stave_bytes){"", SIZE_MAX}), STAVE_LIMIT);
    assert_int_equal(resp_write_verbatim(&out, 3, "txt", stave_text("0123456789")), STAVE_LIMIT);
    assert_int_equal(resp_write_integer(&out, 1), STAVE_LIMIT);
    assert_int_equal(resp_write_array(&out, 1), STAVE_LIMIT);
    assert_int_equal(out.size, size);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_writes_what_both_versions_share),
        cmocka_unit_test(resp_writes_version_3_as_version_2_to_those_who_know_that_alone),
        cmocka_unit_test(resp_writes_doubles_short_and_exact),
        cmocka_unit_test(resp_write_that_does_not_fit_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
