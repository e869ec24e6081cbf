/* SPDX-License-Identifier: MIT */
/* Cursors that remove what has expired, that do not wait for the disk, and over dropped keys. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "support/fixture.h"

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void put_expiring(struct stave *store, const char *prefix, int count, uint64_t expires_at_ms)
{
    const struct stave_write write = {.expires_at_ms = expires_at_ms};
    char key[32];
    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "%s%d", prefix, i);
        assert_int_equal(stave_put_with(store, stave_text(key), stave_text("short"), &write, NULL), STAVE_OK);
    }
}

/* How many keys it returned; *ret_expired: how many it removed. */
static size_t walk(struct stave *store, const char *prefix, uint32_t flags, uint64_t *ret_expired)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status;
    size_t count = 0;
    assert_int_equal(stave_cursor_open(store, 0, stave_text(prefix), flags, &cursor), STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK || status == STAVE_STEP)
        count += status == STAVE_OK;
    assert_int_equal(status, STAVE_END);
    *ret_expired = stave_cursor_expired(cursor);
    stave_cursor_close(cursor);
    return count;
}

/* ------------------------------------------------------------------ expiry */

static void a_cursor_removes_what_has_expired_in_passing(void **state)
{
    struct fixture *fixture = *state;
    struct stave *other = stave_space(fixture->store, 3);
    uint64_t expired = 0;
    fixture_fill(fixture->store, "kept", 100, 20, 1);
    put_expiring(fixture->store, "later", 10, now_ms() + 1000000);
    put_expiring(fixture->store, "gone/", 50, now_ms() - 1);
    put_expiring(fixture->store, "lost/", 70, now_ms() - 1);
    put_expiring(other, "gone/", 30, now_ms() - 1);
    assert_int_equal(stave_count(fixture->store), 230);
    assert_int_equal(walk(fixture->store, "", STAVE_CURSOR_KEYS, &expired), 110);
    assert_int_equal(expired, 0);
    assert_int_equal(stave_count(fixture->store), 230);

    assert_int_equal(walk(fixture->store, "gone", STAVE_CURSOR_EXPIRE | STAVE_CURSOR_STEPS, &expired), 0);
    assert_int_equal(expired, 50);
    assert_int_equal(stave_count(fixture->store), 180);
    assert_int_equal(walk(fixture->store, "", STAVE_CURSOR_EXPIRE | STAVE_CURSOR_KEYS, &expired), 110);
    assert_int_equal(expired, 70);
    assert_int_equal(walk(fixture->store, "", STAVE_CURSOR_EXPIRE, &expired), 110);
    assert_int_equal(expired, 0);
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
    assert_int_equal(stats.expired_count, 120);
    assert_int_equal(stave_cursor_expired(NULL), 0);

    fixture_reopen(fixture);
    assert_int_equal(stave_count(fixture->store), 110);
    assert_int_equal(stave_count(stave_space(fixture->store, 3)), 30);
}

/* Catalogue: expiry deleting a value just rewritten. */
struct expirer {
    struct stave *store;
    atomic_bool stop;
    uint64_t expired;
};

static void *expire_again_and_again(void *context)
{
    struct expirer *expirer = context;
    while (!atomic_load(&expirer->stop)) {
        struct stave_cursor *cursor = NULL;
        struct stave_entry entry;
        if (stave_cursor_open(expirer->store, 0, stave_text(""), STAVE_CURSOR_EXPIRE | STAVE_CURSOR_KEYS,
                              &cursor) != STAVE_OK)
            break;
        while (stave_cursor_next(cursor, &entry) == STAVE_OK) {
        }
        expirer->expired += stave_cursor_expired(cursor);
        stave_cursor_close(cursor);
    }
    return NULL;
}

/* P4 */
static void a_cursor_never_removes_a_value_just_rewritten(void **state)
{
    struct fixture *fixture = *state;
    struct expirer expirer = {.store = fixture->store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, expire_again_and_again, &expirer), 0);
    const uint64_t until = now_ms() + 500;
    while (now_ms() < until) {
        put_expiring(fixture->store, "k", 50, now_ms() - 1);
        fixture_fill(fixture->store, "k", 50, 10, 7);
        fixture_expect_filled(fixture->store, "k", 50, 10, 7);
        assert_int_equal(stave_count(fixture->store), 50);
    }
    atomic_store(&expirer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(expirer.expired > 0);
}

static void a_store_opened_read_only_refuses_to_expire(void **state)
{
    struct fixture *fixture = *state;
    struct stave_cursor *cursor = NULL;
    store_put(fixture->store, "a", "1");
    fixture_close(fixture);
    fixture->options.read_only = true;
    fixture_reopen(fixture);
    assert_int_equal(stave_cursor_open(fixture->store, 0, stave_text(""), STAVE_CURSOR_EXPIRE, &cursor),
                     STAVE_READ_ONLY);
}

/* ------------------------------------------------------------------ cold data */

/* What the cursor would have waited for is read by another one, a step from its position. */
static void bring(struct stave *store, const struct stave_cursor *stuck, uint32_t flags)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status;
    assert_int_equal(stave_cursor_open(store, stave_cursor_position(stuck), stave_text(""),
                                       flags | STAVE_CURSOR_STEPS, &cursor),
                     STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
    }
    assert_true(status == STAVE_STEP || status == STAVE_END);
    stave_cursor_close(cursor);
}

static void walk_without_waiting(struct fixture *fixture, uint32_t flags)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status;
    size_t count = 0;
    fixture_close(fixture);
    scratch_drop_pages(fixture->scratch.store);
    fixture_reopen(fixture);
    assert_int_equal(stave_cursor_open(fixture->store, 0, stave_text(""),
                                       flags | STAVE_CURSOR_NO_WAIT | STAVE_CURSOR_STEPS, &cursor),
                     STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) != STAVE_END) {
        assert_true(status == STAVE_OK || status == STAVE_STEP || status == STAVE_WOULD_BLOCK);
        count += status == STAVE_OK;
        if (status == STAVE_OK && !(flags & STAVE_CURSOR_KEYS)) assert_int_equal(entry.value.size, 6000);
        if (status == STAVE_WOULD_BLOCK) bring(fixture->store, cursor, flags);
    }
    stave_cursor_close(cursor);
    assert_int_equal(count, 300);
}

/* stave_cursor_next: STAVE_WOULD_BLOCK moves nothing on. */
static void a_cursor_that_may_not_wait_misses_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.reads = STAVE_READS_COPIED;
    fixture_fill(fixture->store, "k", 300, 6000, 1);
    walk_without_waiting(fixture, STAVE_CURSOR_KEYS);
    walk_without_waiting(fixture, 0);
    fixture->options.reads = STAVE_READS_MAPPED;
    walk_without_waiting(fixture, STAVE_CURSOR_KEYS);
}

/* ------------------------------------------------------------------ what was dropped */

static void a_cursor_and_a_random_key_find_what_is_left_after_drops(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unused = 0;
    const uint64_t began_ns = test_clock_ns();
    fixture_fill(stave_space(fixture->store, 1), "other", 20, 10, 1);
    for (uint64_t round = 1; round <= 3; round++) {
        fixture_fill(fixture->store, "dropped", 3000, 100, round);
        assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
        fixture_fill(fixture->store, "k", 3, 10, round);
    }
    struct stave_stats stats = {.size = sizeof(stats)};
    while (stats.compaction_count == 0) { /* before, while and after the dropped ones are cleaned up */
        struct stave_value key = {0};
        assert_int_equal(walk(fixture->store, "", 0, &unused), 3);
        assert_int_equal(walk(stave_space(fixture->store, 1), "", STAVE_CURSOR_KEYS, &unused), 20);
        assert_int_equal(stave_random_key(fixture->store, &key), STAVE_OK);
        assert_true(key.size == 2 && *(char *)key.data == 'k');
        stave_free(key.data);
        assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
        assert_true(test_nap(began_ns));
    }
    assert_int_equal(walk(fixture->store, "", 0, &unused), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_cursor_removes_what_has_expired_in_passing),
        FIXTURE_TEST(a_cursor_never_removes_a_value_just_rewritten),
        FIXTURE_TEST(a_store_opened_read_only_refuses_to_expire),
        FIXTURE_TEST(a_cursor_that_may_not_wait_misses_nothing),
        FIXTURE_TEST(a_cursor_and_a_random_key_find_what_is_left_after_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
