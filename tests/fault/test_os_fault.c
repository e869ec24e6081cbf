/* SPDX-License-Identifier: MIT */
/*
 * os over a failing system: every call fails in turn, statuses are the right ones, nothing is left open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "os/clock.h"
#include "os/dir.h"
#include "os/file.h"
#include "os/map.h"
#include "support/fault.h"
#include "support/scratch.h"

static int open_descriptors(void)
{
    int count = 0;
    DIR *const dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

static enum stave_status write_a_file(const char *path)
{
    struct dir dir = DIR_NONE;
    struct file file = FILE_NONE;
    struct map map = MAP_NONE;
    enum stave_status status = dir_open(path, &dir, NULL);
    if (status == STAVE_OK) status = file_create_over(&dir, "new", &file, NULL);
    if (status == STAVE_OK) status = file_allocate(&file, 0, MAP_PAGE_SIZE, NULL);
    if (status == STAVE_OK) status = file_write_at(&file, "0123456789", 10, 5, NULL);
    if (status == STAVE_OK) status = map_file(&file, MAP_PAGE_SIZE, true, &map, NULL);
    if (status == STAVE_OK) status = map_populate_write(&map, 0, MAP_PAGE_SIZE, NULL);
    if (status == STAVE_OK) status = file_sync(&file, NULL);
    if (status == STAVE_OK) status = dir_rename(&dir, "new", "file", NULL);
    if (status == STAVE_OK) status = dir_sync(&dir, NULL);
    map_free(&map);
    const enum stave_status closed = file_close(&file, NULL);
    if (status == STAVE_OK) status = closed;
    dir_close(&dir);
    return status;
}

/* Closing the directory, which was only read, is the one failure that is not reported. */
static void each_call_that_fails_is_reported(int system_error, enum stave_status expected)
{
    struct scratch scratch;
    scratch_make(&scratch);
    const int descriptors = open_descriptors();
    bool fired = true;
    uint64_t nth = 0;
    uint64_t unreported = 0;
    while (fired) {
        fault_arm(++nth, system_error);
        const enum stave_status status = write_a_file(scratch.root);
        fired = fault_disarm();
        if (fired && status == STAVE_OK) unreported++;
        assert_true(status == STAVE_OK || (fired && status == expected));
    }
    assert_int_equal(nth, 12); /* eleven calls */
    assert_int_equal(unreported, 1);
    assert_int_equal(open_descriptors(), descriptors);
    scratch_remove(&scratch);
}

static void every_call_may_fail(void **state)
{
    (void)state;
    each_call_that_fails_is_reported(EIO, STAVE_IO);
    each_call_that_fails_is_reported(ENOSPC, STAVE_FULL);
    each_call_that_fails_is_reported(EROFS, STAVE_PERMISSION);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_make(&scratch);
    fault_choose(FAULT_MEMORY);
    fault_arm(1, 0);
    assert_int_equal(write_a_file(scratch.root), STAVE_NO_MEMORY);
    assert_true(fault_disarm());
    fault_choose(FAULT_SYSTEM);
    scratch_remove(&scratch);
}

static void short_and_interrupted_transfers_are_continued(void **state) /* F1 */
{
    (void)state;
    struct scratch scratch;
    scratch_make(&scratch);
    struct dir dir = DIR_NONE;
    struct file file = FILE_NONE;
    char data[10];
    assert_int_equal(dir_open(scratch.root, &dir, NULL), STAVE_OK);
    assert_int_equal(file_create(&dir, "f", &file, NULL), STAVE_OK);
    fault_choose(FAULT_WRITE | FAULT_READ);
    fault_arm_short(1);
    assert_int_equal(file_write_at(&file, "0123456789", 10, 0, NULL), STAVE_OK);
    assert_true(fault_disarm());
    fault_arm_short(1);
    assert_int_equal(file_read_at(&file, data, 10, 0, NULL), STAVE_OK);
    assert_true(fault_disarm());
    assert_memory_equal(data, "0123456789", 10);
    fault_arm(1, EINTR);
    assert_int_equal(file_write_at(&file, "abc", 3, 0, NULL), STAVE_OK);
    assert_true(fault_disarm());
    fault_choose(FAULT_SYSTEM);
    (void)file_close(&file, NULL);
    dir_close(&dir);
    scratch_remove(&scratch);
}

static void a_failed_sync_is_not_repeated(void **state) /* F4 */
{
    (void)state;
    struct scratch scratch;
    scratch_make(&scratch);
    struct dir dir = DIR_NONE;
    struct file file = FILE_NONE;
    assert_int_equal(dir_open(scratch.root, &dir, NULL), STAVE_OK);
    assert_int_equal(file_create(&dir, "f", &file, NULL), STAVE_OK);
    fault_choose(FAULT_SYNC);
    const int errors[] = {EIO, EINTR, ENOSPC};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fault_arm(1, errors[i]);
        assert_true(file_sync(&file, NULL) < 0);
        assert_int_equal(fault_count(), 1);
        assert_true(fault_disarm());
    }
    fault_choose(FAULT_SYSTEM);
    (void)file_close(&file, NULL);
    dir_close(&dir);
    scratch_remove(&scratch);
}

/* P2: what is synced in a directory of which nothing is left after a power loss was not durable. */
static void a_directory_is_made_durable_in_its_parent(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_make(&scratch);
    fault_choose(FAULT_DIR_SYNC);
    fault_arm(1, EIO);
    assert_int_equal(dir_create(scratch.store, NULL), STAVE_IO);
    assert_true(fault_disarm());
    fault_choose(FAULT_SYSTEM);
    scratch_remove(&scratch);
}

static void the_wall_clock_can_be_set(void **state)
{
    (void)state;
    const uint64_t now_ms = clock_wall_ms();
    fault_shift_wall_clock(-3600000);
    assert_true(clock_wall_ms() < now_ms);
    fault_shift_wall_clock(0);
    assert_true(clock_wall_ms() >= now_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(short_and_interrupted_transfers_are_continued),
        cmocka_unit_test(a_failed_sync_is_not_repeated),
        cmocka_unit_test(a_directory_is_made_durable_in_its_parent),
        cmocka_unit_test(the_wall_clock_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
