/* SPDX-License-Identifier: MIT */
/* Keys that change while a cursor holds them (cursor.c, U3). */
#include "support/fixture.h"

#include "os/clock.h"
#include "store/store.h"
#include "support/fault.h"

enum { HOUR_MS = 3600000 };

struct pair {
    char keys[2][32];
};

/* Two keys of one bucket of the index: a cursor holds the second while it returns the first. */
static struct pair find_pair(const struct stave *handle)
{
    const struct store *store = handle->store;
    const uint64_t bucket_count = keydir_bucket_count(&store->keydir);
    uint32_t *seen = calloc(bucket_count, sizeof(*seen));
    assert_non_null(seen);
    struct pair pair = {{"", ""}};
    for (uint32_t number = 1; pair.keys[0][0] == 0; number++) {
        (void)snprintf(pair.keys[1], sizeof(pair.keys[1]), "key %u", number);
        const uint64_t hash =
            record_key_hash(store->hash_seed, handle->number, pair.keys[1], strlen(pair.keys[1]));
        uint32_t *place = &seen[hash % bucket_count];
        if (*place != 0) (void)snprintf(pair.keys[0], sizeof(pair.keys[0]), "key %u", *place);
        *place = number;
    }
    free(seen);
    return pair;
}

/* A cursor that has returned the first of two keys; *ret_other is the one that it holds. */
static struct stave_cursor *hold_one(struct fixture *fixture, const struct stave_write *write,
                                     char ret_other[32])
{
    const struct pair pair = find_pair(fixture->store);
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            stave_put_with(fixture->store, stave_text(pair.keys[i]), stave_text("1"), write, NULL), STAVE_OK);
    assert_int_equal(stave_cursor_open(fixture->store, 0, stave_text(""), STAVE_CURSOR_KEYS, &cursor),
                     STAVE_OK);
    assert_int_equal(stave_cursor_next(cursor, &entry), STAVE_OK);
    const bool is_first =
        entry.key.size == strlen(pair.keys[0]) && memcmp(entry.key.data, pair.keys[0], entry.key.size) == 0;
    memcpy(ret_other, pair.keys[is_first ? 1 : 0], 32);
    return cursor;
}

static void expect_no_more(struct stave_cursor *cursor)
{
    struct stave_entry entry;
    assert_int_equal(stave_cursor_next(cursor, &entry), STAVE_END);
    stave_cursor_close(cursor);
}

/* What a cursor returns is as new as the call that returns it (cursor.c, U3). */
static void a_key_that_a_cursor_holds_is_looked_at_again(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write never = {.expires_at_ms = 0};
    char other[32];

    struct stave_cursor *cursor = hold_one(fixture, &never, other);
    assert_int_equal(stave_delete(fixture->store, stave_text(other)), STAVE_OK);
    expect_no_more(cursor);

    cursor = hold_one(fixture, &never, other);
    struct stave_entry entry;
    store_put(fixture->store, other, "22");
    assert_int_equal(stave_cursor_next(cursor, &entry), STAVE_OK);
    assert_int_equal(entry.value_size, 2);
    assert_int_equal(entry.sequence, stave_sequence(fixture->store));
    expect_no_more(cursor);

    cursor = hold_one(fixture, &never, other);
    assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
    expect_no_more(cursor);
}

/* U3 */
static void a_key_that_expires_while_a_cursor_holds_it_is_not_returned(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write later = {.expires_at_ms = clock_wall_ms() + HOUR_MS};
    char other[32];
    struct stave_cursor *cursor = hold_one(fixture, &later, other);
    fault_shift_wall_clock(2 * HOUR_MS);
    expect_no_more(cursor);
    fault_shift_wall_clock(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_key_that_a_cursor_holds_is_looked_at_again),
        FIXTURE_TEST(a_key_that_expires_while_a_cursor_holds_it_is_not_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
