/* SPDX-License-Identifier: MIT */
/*
 * base/bytes.h, base/hash.h: little-endian integers, checked arithmetic, the hash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"

static void bytes_lie_in_little_endian_order_at_any_alignment(void **state)
{
    (void)state;
    for (size_t at = 0; at < 8; at++) {
        uint8_t bytes[16] = {0};
        store_le64(bytes + at, UINT64_C(0x8877665544332211));
        for (size_t i = 0; i < 8; i++) assert_int_equal(bytes[at + i], 0x11 * (i + 1));
        assert_int_equal(load_le64(bytes + at), UINT64_C(0x8877665544332211));
        assert_int_equal(load_le32(bytes + at), 0x44332211);
        assert_int_equal(load_le16(bytes + at), 0x2211);
        assert_int_equal(load_le32(bytes + at + 4), 0x88776655);
        assert_int_equal(load_le16(bytes + at + 6), 0x8877);
    }
}

static void stores_touch_only_their_own_bytes(void **state)
{
    (void)state;
    uint8_t bytes[6] = {0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa};
    store_le32(bytes + 1, 0);
    assert_int_equal(bytes[0], 0xaa);
    assert_int_equal(bytes[5], 0xaa);
    store_le16(bytes + 2, 0xffff);
    assert_int_equal(load_le32(bytes + 1), 0x00ffff00);
}

static void sums_and_products_that_wrap_do_not_fit(void **state)
{
    (void)state;
    uint64_t result = 7;
    assert_false(add_fits(UINT64_MAX, 1, &result));
    assert_false(multiply_fits(UINT64_C(1) << 32, UINT64_C(1) << 32, &result));
    assert_false(align_up_fits(UINT64_MAX - 14, 16, &result));
    assert_int_equal(result, 7);
    assert_true(add_fits(UINT64_MAX - 1, 1, &result));
    assert_true(result == UINT64_MAX);
    assert_true(multiply_fits(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &result));
    assert_true(multiply_fits(UINT64_MAX, 0, &result));
    assert_int_equal(result, 0);
    assert_true(align_up_fits(UINT64_MAX - 15, 16, &result));
    assert_true(result == UINT64_MAX - 15);
}

static void alignment_rounds_to_multiples(void **state)
{
    (void)state;
    assert_int_equal(align_up(0, 16), 0);
    assert_int_equal(align_up(1, 16), 16);
    assert_int_equal(align_up(16, 16), 16);
    assert_int_equal(align_down(31, 16), 16);
    assert_true(is_power_of_two(1));
    assert_true(is_power_of_two(UINT64_C(1) << 63));
    assert_false(is_power_of_two(0));
    assert_false(is_power_of_two(6));
}

/* The value is xxHash's own for the empty input: the hash stands in files, so it may never change. */
static void hash_is_xxh3_and_takes_an_empty_input(void **state)
{
    (void)state;
    assert_true(hash_bytes(NULL, 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_bytes("a", 1, 1) != hash_bytes("a", 1, 2));
}

static void hash_of_pieces_is_the_hash_of_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 31);
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 50) {
        struct hash_stream stream;
        hash_begin(&stream, 42);
        hash_add(&stream, bytes, cut);
        hash_add(&stream, bytes + cut, sizeof(bytes) - cut);
        assert_true(hash_end(&stream) == hash_bytes(bytes, sizeof(bytes), 42));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_lie_in_little_endian_order_at_any_alignment),
        cmocka_unit_test(stores_touch_only_their_own_bytes),
        cmocka_unit_test(sums_and_products_that_wrap_do_not_fit),
        cmocka_unit_test(alignment_rounds_to_multiples),
        cmocka_unit_test(hash_is_xxh3_and_takes_an_empty_input),
        cmocka_unit_test(hash_of_pieces_is_the_hash_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
