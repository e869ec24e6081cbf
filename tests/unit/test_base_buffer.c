/* SPDX-License-Identifier: MIT */
/*
 * base/buffer.h (B1 to B3), base/error.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"

static void buffer_keeps_what_is_appended(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_NONE;
    for (uint32_t i = 0; i < 10000; i++) assert_int_equal(buffer_append_le32(&buffer, i), STAVE_OK);
    assert_int_equal(buffer.size, 40000);
    assert_true(buffer.capacity >= buffer.size); /* B1 */
    assert_int_equal(buffer.data[4 * 9999], 9999 & 255);
    buffer_consume(&buffer, 4 * 9999);
    assert_int_equal(buffer.size, 4);
    assert_int_equal(buffer.data[0], 9999 & 255);
    buffer_free(&buffer);
    assert_null(buffer.data); /* B2 */
    buffer_free(&buffer);
}

static void buffer_refuses_to_pass_its_maximum_and_stays_as_it_was(void **state)
{
    (void)state;
    struct buffer buffer = buffer_limited(100);
    assert_int_equal(buffer_append(&buffer, "0123456789", 10), STAVE_OK);
    assert_int_equal(buffer_append_zero(&buffer, 91), STAVE_LIMIT);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), STAVE_LIMIT);
    assert_int_equal(buffer.size, 10); /* B3 */
    assert_memory_equal(buffer.data, "0123456789", 10);
    assert_int_equal(buffer_append_zero(&buffer, 90), STAVE_OK);
    assert_int_equal(buffer.capacity, 100);
    buffer_free(&buffer);
    assert_int_equal(buffer.size_max, 100);
}

static void buffer_formats_text(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_NONE;
    assert_int_equal(buffer_append_format(&buffer, "%s=%d;", "a", 1), STAVE_OK);
    assert_int_equal(buffer_append_format(&buffer, "%0200d", 7), STAVE_OK);
    assert_int_equal(buffer.size, 204);
    assert_memory_equal(buffer.data, "a=1;000", 7);
    buffer_free(&buffer);
}

static void error_names_what_failed_and_why(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(error_set(&error, STAVE_IO, EIO, "file %d", 7), STAVE_IO);
    assert_string_equal(error.message, "file 7: Input/output error");
    assert_int_equal(error.system_error, EIO);
    assert_int_equal(error_set(NULL, STAVE_FULL, 0, "x"), STAVE_FULL);
}

static void error_cuts_a_message_that_is_too_long(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    char text[2 * ERROR_MESSAGE_SIZE];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)error_set(&error, STAVE_IO, EIO, "%s", text);
    assert_int_equal(strlen(error.message), ERROR_MESSAGE_SIZE - 1);
}

static void error_status_tells_full_permission_and_memory_from_the_rest(void **state)
{
    (void)state;
    assert_int_equal(error_status(ENOSPC), STAVE_FULL);
    assert_int_equal(error_status(EDQUOT), STAVE_FULL);
    assert_int_equal(error_status(EROFS), STAVE_PERMISSION);
    assert_int_equal(error_status(EACCES), STAVE_PERMISSION);
    assert_int_equal(error_status(ENOMEM), STAVE_NO_MEMORY);
    assert_int_equal(error_status(EIO), STAVE_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_keeps_what_is_appended),
        cmocka_unit_test(buffer_refuses_to_pass_its_maximum_and_stays_as_it_was),
        cmocka_unit_test(buffer_formats_text),
        cmocka_unit_test(error_names_what_failed_and_why),
        cmocka_unit_test(error_cuts_a_message_that_is_too_long),
        cmocka_unit_test(error_status_tells_full_permission_and_memory_from_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
