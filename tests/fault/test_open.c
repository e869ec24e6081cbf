/* SPDX-License-Identifier: MIT */
/* What an open reads, counted. */
#include "support/crash_copy.h"

#include <errno.h>

#include "support/fault.h"

enum { SEGMENT_SIZE = 1 << 20, VALUE_SIZE = 100, FEW = 2000, MANY = 80000, SINCE = 500 };

/* Of a store of `count` keys, killed when SINCE records had been written since its checkpoint. */
static void make_killed(struct fixture *fixture, size_t count, char ret_path[SCRATCH_PATH_SIZE])
{
    crash_start(fixture, SEGMENT_SIZE);
    fixture_fill(fixture->store, "k", count, VALUE_SIZE, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_fill(fixture->store, "k", SINCE, VALUE_SIZE, 2);
    crash_take(fixture, ret_path);
}

static uint64_t reads_of_open(const struct fixture *fixture, const char *path, struct stave_stats *ret_stats)
{
    struct stave *store = NULL;
    fault_choose(FAULT_READ);
    fault_arm(UINT64_MAX, EIO);
    assert_int_equal(stave_open(path, &fixture->options, &store, NULL), STAVE_OK);
    const uint64_t count = fault_count();
    (void)fault_disarm();
    ret_stats->size = sizeof(*ret_stats);
    assert_int_equal(stave_stats(store, ret_stats), STAVE_OK);
    assert_true(ret_stats->open_from_checkpoint);
    assert_int_equal(ret_stats->open_replayed, SINCE);
    store_close(store);
    return count;
}

/*
 * P10: an open costs what has changed since the last checkpoint, and not what is stored: with forty times the
 * keys it reads no more than something of each further segment.
 */
static void an_open_reads_what_was_written_since_the_checkpoint_and_not_what_is_stored(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    struct stave_stats stats;
    make_killed(fixture, FEW, path);
    const uint64_t of_few = reads_of_open(fixture, path, &stats);
    const uint64_t of_few_closed = reads_of_open(fixture, path, &stats);
    make_killed(fixture, MANY, path);
    const uint64_t of_many = reads_of_open(fixture, path, &stats);
    const uint64_t of_many_closed = reads_of_open(fixture, path, &stats);
    assert_true(stats.segment_count > 10);
    assert_true(of_many <= of_few + 2 * stats.segment_count);
    assert_true(of_many_closed <= of_few_closed + 2 * stats.segment_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(an_open_reads_what_was_written_since_the_checkpoint_and_not_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
