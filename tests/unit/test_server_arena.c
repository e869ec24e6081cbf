/* SPDX-License-Identifier: MIT */
/*
 * Memory of what a transaction computes: server/arena.h (AR1, AR2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/arena.h"

enum { MIB = 1 << 20 };

static uint8_t *need(struct arena *arena, size_t size)
{
    uint8_t *bytes = arena_alloc(arena, size, SIZE_MAX);
    assert_non_null(bytes);
    return bytes;
}

static void what_nobody_points_into_is_freed(void **state) /* AR1 */
{
    (void)state;
    struct arena arena = {.blocks = NULL};
    uint8_t *blocks[10];
    for (size_t i = 0; i < 10; i++) blocks[i] = need(&arena, 8 * MIB);
    assert_true(arena_begin_marking(&arena));
    arena_mark(&arena, stave_bytes(blocks[3], 8 * MIB));
    arena_mark(&arena, stave_bytes(blocks[5] + 8 * MIB - 1, 1));
    arena_mark(&arena, stave_bytes(blocks[7] + 5, 100));
    arena_mark(&arena, stave_text("elsewhere"));
    arena_mark(&arena, stave_bytes(NULL, 0));
    arena_end_marking(&arena);
    assert_int_equal(arena.block_count, 3);
    blocks[3][0] = blocks[5][8 * MIB - 1] = blocks[7][5] = 1;
    arena_clear(&arena);
    assert_int_equal(arena.size, 0);
}

static void marking_waits_until_much_may_be_unused(void **state) /* AR2 */
{
    (void)state;
    struct arena arena = {.blocks = NULL};
    assert_false(arena_begin_marking(&arena));
    uint8_t *kept = need(&arena, 100 * MIB);
    assert_true(arena_begin_marking(&arena));
    arena_mark(&arena, stave_bytes(kept, 1));
    arena_end_marking(&arena);
    (void)need(&arena, 99 * MIB);
    assert_false(arena_begin_marking(&arena));
    (void)need(&arena, 2 * MIB);
    assert_true(arena_begin_marking(&arena));
    arena_end_marking(&arena);
    assert_int_equal(arena.block_count, 0);
    arena_clear(&arena);
}

static void an_arena_has_its_bound(void **state) /* P11 */
{
    (void)state;
    struct arena arena = {.blocks = NULL};
    assert_non_null(arena_alloc(&arena, MIB, 2 * MIB));
    assert_null(arena_alloc(&arena, MIB, 2 * MIB));
    assert_null(arena_alloc(&arena, SIZE_MAX, 2 * MIB));
    assert_non_null(arena_alloc(&arena, MIB / 2, 2 * MIB));
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_points_into_is_freed),
        cmocka_unit_test(marking_waits_until_much_may_be_unused),
        cmocka_unit_test(an_arena_has_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
