/* SPDX-License-Identifier: MIT */
/*
 * server/watch.h (W1, W2, W3): the table of watched keys; and what a client watches of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/client.h"
#include "server/server.h"
#include "server/watch.h"

static struct watched watch(struct watch_table *table, uint32_t database, const char *key)
{
    struct watched watched;
    assert_int_equal(watch_add(table, database, stave_text(key), &watched), STAVE_OK);
    return watched;
}

/* W1 */
static void every_change_of_a_key_is_seen_by_all_who_watch_it(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(1);
    assert_non_null(table);
    assert_true(watch_is_empty(table));
    struct watched first = watch(table, 0, "key");
    struct watched other = watch(table, 0, "other");
    struct watched elsewhere = watch(table, 1, "key");
    assert_false(watch_is_empty(table));
    watch_touch(table, 0, stave_text("key"));
    watch_touch(table, 0, stave_text("absent"));
    struct watched late = watch(table, 0, "key");
    assert_true(watch_is_dirty(&first));
    assert_false(watch_is_dirty(&late));
    assert_false(watch_is_dirty(&other));
    assert_false(watch_is_dirty(&elsewhere));

    watch_remove(table, &first); /* the others watch on */
    watch_touch(table, 0, stave_text("key"));
    assert_true(watch_is_dirty(&late));
    watch_remove(table, &late);
    watch_remove(table, &other);
    watch_remove(table, &elsewhere);
    assert_true(watch_is_empty(table));
    struct watched again = watch(table, 0, "key"); /* nothing of before is left */
    assert_false(watch_is_dirty(&again));
    watch_table_free(table);
}

static bool begins_with_a(void *context, struct stave_bytes key)
{
    ++*(size_t *)context;
    return key.size > 0 && *(const char *)key.data == 'a';
}

static void a_database_is_touched_where_the_caller_says_so(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(2);
    assert_non_null(table);
    const struct watched yes = watch(table, 3, "a");
    const struct watched no = watch(table, 3, "b");
    const struct watched empty = watch(table, 3, "");
    const struct watched elsewhere = watch(table, 4, "a");
    size_t asked = 0;
    watch_touch_database(table, 3, begins_with_a, &asked);
    assert_int_equal(asked, 3);
    assert_true(watch_is_dirty(&yes));
    assert_false(watch_is_dirty(&no));
    assert_false(watch_is_dirty(&empty));
    assert_false(watch_is_dirty(&elsewhere));
    watch_table_free(table);
}

/* W2 */
static void a_full_table_refuses_new_keys_and_loses_no_change_of_others(void **state)
{
    (void)state;
    struct watch_table *table = watch_table_new(3);
    struct watched *all = calloc(WATCH_KEY_COUNT_MAX, sizeof *all);
    assert_non_null(table);
    assert_non_null(all);
    for (uint32_t i = 0; i < WATCH_KEY_COUNT_MAX; i++) {
        if (watch_add(table, 0, stave_bytes(&i, sizeof i), &all[i]) != STAVE_OK) fail_msg("key %u", i);
    }
    struct watched refused;
    assert_int_equal(watch_add(table, 0, stave_text("one more"), &refused), STAVE_LIMIT);
    struct watched second;
    const uint32_t some = 123456;
    assert_int_equal(watch_add(table, 0, stave_bytes(&some, sizeof some), &second), STAVE_OK);
    watch_touch(table, 0, stave_bytes(&some, sizeof some));
    watch_touch(table, 0, stave_text("one more"));
    for (uint32_t i = 0; i < WATCH_KEY_COUNT_MAX; i++) {
        if (watch_is_dirty(&all[i]) != (i == some)) fail_msg("key %u", i);
    }
    assert_true(watch_is_dirty(&second));
    watch_remove(table, &all[0]);
    assert_int_equal(watch_add(table, 0, stave_text("one more"), &refused), STAVE_OK);
    watch_table_free(table);
    free(all);
}

/* W2 */
static void the_bytes_of_watched_keys_are_bounded(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    struct watch_table *table = watch_table_new(4);
    uint8_t *key = calloc(1, SIZE);
    assert_non_null(table);
    assert_non_null(key);
    struct watched watched;
    for (size_t i = 0; i < WATCH_SIZE_MAX / SIZE; i++) {
        key[0] = (uint8_t)i;
        assert_int_equal(watch_add(table, 0, stave_bytes(key, SIZE), &watched), STAVE_OK);
    }
    key[0] = UINT8_MAX;
    assert_int_equal(watch_add(table, 0, stave_bytes(key, SIZE), &watched), STAVE_LIMIT);
    assert_int_equal(watch_add(table, 0, stave_bytes(key, 1), &watched), STAVE_LIMIT);
    key[0] = 0;
    struct watched again;
    assert_int_equal(watch_add(table, 0, stave_bytes(key, SIZE), &again), STAVE_OK);
    watch_remove(table, &again);
    key[0] = (uint8_t)(WATCH_SIZE_MAX / SIZE - 1);
    watch_remove(table, &watched); /* the last that was taken */
    key[0] = UINT8_MAX;
    assert_int_equal(watch_add(table, 0, stave_bytes(key, SIZE), &watched), STAVE_OK);
    watch_table_free(table);
    free(key);
}

/* How many slots one after the other hold a key: so many steps at most does it take to find one. */
static size_t longest_run(const struct client *client)
{
    size_t longest = 0;
    size_t run = 0;
    for (size_t i = 0; i < 2 * client->watched_capacity; i++) { /* twice: the first follow on the last */
        run = client->watched[i & (client->watched_capacity - 1)].key != NULL ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    return longest;
}

/* WATCH of many keys takes time in proportion to them. */
static void a_client_finds_one_of_many_watched_keys_in_a_few_steps(void **state)
{
    (void)state;
    enum { KEYS = 20000, STEPS_MAX = 500 };
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->watch = watch_table_new(5);
    assert_non_null(server->watch);
    struct client client = {.server = server};
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        const uint32_t key = i % KEYS;
        struct watched watched;
        struct watched *kept;
        assert_int_equal(watch_add(server->watch, 0, stave_bytes(&key, sizeof key), &watched), STAVE_OK);
        assert_int_equal(client_watch(&client, watched, &kept), STAVE_OK);
        assert_int_equal(kept != NULL, i < KEYS); /* else it is watched already */
    }
    assert_int_equal(client.watched_count, KEYS);
    assert_true(longest_run(&client) < STEPS_MAX);
    client_unwatch(&client);
    assert_true(watch_is_empty(server->watch));
    watch_table_free(server->watch);
    free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_of_a_key_is_seen_by_all_who_watch_it),
        cmocka_unit_test(a_database_is_touched_where_the_caller_says_so),
        cmocka_unit_test(a_full_table_refuses_new_keys_and_loses_no_change_of_others),
        cmocka_unit_test(the_bytes_of_watched_keys_are_bounded),
        cmocka_unit_test(a_client_finds_one_of_many_watched_keys_in_a_few_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
