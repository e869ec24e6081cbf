/* SPDX-License-Identifier: MIT */
/*
 * server/glob.h (O1, O2), server/idle.h (ID1, ID2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/glob.h"
#include "server/idle.h"

static bool matches(const char *pattern, const char *text)
{
    return glob_matches(stave_text(pattern), stave_text(text), false);
}

static void a_pattern_matches_as_redis_matches_it(void **state)
{
    (void)state;
    static const char *const yes[][2] = {
        {"", ""},       {"a", "a"},     {"?", "a"},         {"*", "a"},      {"**", "a"},
        {"a*", "a"},    {"*a", "a"},    {"a*b", "ab"},      {"a*b", "axxb"}, {"*a*b*", "xaxbx"},
        {"[abc]", "b"}, {"[a-c]", "b"}, {"[c-a]", "b"},     {"[^a]", "b"},   {"[^", "x"},
        {"\\*", "*"},   {"a\\", "a\\"}, {"[\\]]", "]"},     {"[a", "a"},     {"[a-]x]", "^"},
        {"*ab", "aab"}, {"*?b", "aab"}, {"*[ab]c", "abac"}, {"a**?", "ab"},  {"*aab*aab", "aabaab"},
    };
    static const char *const no[][2] = {
        {"", "a"},      {"*", ""},      {"a", ""},      {"a", "b"},
        {"?", "ab"},    {"a*b", "a"},   {"a*b", "abx"}, {"[^a]", "a"},
        {"[]", "a"},    {"[a", "b"},    {"\\*", "a"},   {"??", "a"},
        {"*ab", "aba"}, {"a*?b", "ab"}, {"ab*b", "ab"}, {"*aab*aab", "aabab"},
    };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!matches(yes[i][0], yes[i][1])) fail_msg("%s does not match %s", yes[i][0], yes[i][1]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (matches(no[i][0], no[i][1])) fail_msg("%s matches %s", no[i][0], no[i][1]);
    assert_true(glob_matches(stave_text("H[A-F]L?O"), stave_text("hello"), true));
    assert_false(glob_matches(stave_text("h[A-F]llo"), stave_text("hello"), false));
    assert_true(glob_matches(stave_bytes("a\0?", 3), stave_bytes("a\0\xff", 3), false));
}

/* O1: patterns that take others exponential time. */
static void a_hostile_pattern_takes_little_time(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    char *text = malloc(SIZE + 1);
    char *pattern = malloc(SIZE + 1);
    assert_non_null(text);
    assert_non_null(pattern);
    memset(text, 'a', SIZE);
    text[SIZE] = 0;
    const clock_t begin = clock();
    for (size_t i = 0; i < SIZE; i++) pattern[i] = i % 2 == 0 ? '*' : 'a';
    memcpy(pattern + SIZE - 2, "*b", 3);
    assert_false(matches(pattern, text));
    memset(pattern, 'a', SIZE / 2);
    memcpy(pattern + SIZE / 2, "b*", 3);
    pattern[0] = '*';
    assert_false(matches(pattern, text));
    memset(pattern, '*', SIZE);
    pattern[SIZE] = 0;
    assert_true(matches(pattern, text));
    assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
    free(text);
    free(pattern);
}

static void a_key_is_idle_since_its_last_use_as_far_as_that_is_known(void **state)
{
    (void)state;
    const uint64_t start = UINT64_C(1700000000000);
    struct idle *idle = idle_new(start);
    assert_non_null(idle);
    const struct stave_bytes key = stave_text("key");
    assert_int_equal(idle_seconds(idle, 0, key, start + 5000), 5); /* ID2 */
    idle_note(idle, 0, key, start + 7000);
    assert_int_equal(idle_seconds(idle, 0, key, start + 7999), 0);
    assert_int_equal(idle_seconds(idle, 0, key, start + 17000), 10);
    assert_int_equal(idle_seconds(idle, 1, key, start + 17000), 17);
    assert_int_equal(idle_seconds(idle, 0, key, start - 1), 0);
    for (uint32_t i = 0; i < 1000000; i++) idle_note(idle, 2, stave_bytes(&i, sizeof i), start + 20000);
    assert_int_equal(idle_seconds(idle, 0, key, start + 30000), 30); /* ID1 */
    idle_free(idle);
    idle_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_as_redis_matches_it),
        cmocka_unit_test(a_hostile_pattern_takes_little_time),
        cmocka_unit_test(a_key_is_idle_since_its_last_use_as_far_as_that_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
