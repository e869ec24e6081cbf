/* SPDX-License-Identifier: MIT */
/* server/coldness.h: when reads may meet the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/coldness.h"
#include "server/server.h"
#include "support/scratch.h"

static bool is_cold_after_tick(struct server *server)
{
    coldness_tick(server);
    return atomic_load(&server->is_cold);
}

static void a_store_is_cold_when_it_is_larger_than_memory(void **state)
{
    (void)state;
    struct server server = {.disk_size = UINT64_C(1) << 20};
    assert_false(is_cold_after_tick(&server));
    atomic_store(&server.disk_size, UINT64_C(1) << 60);
    assert_true(is_cold_after_tick(&server));
}

static void a_store_is_cold_for_a_while_after_a_read_from_disk(void **state)
{
    (void)state;
    struct server server = {.disk_size = 1};
    coldness_met(&server);
    assert_true(atomic_load(&server.is_cold)); /* at once */
    assert_true(is_cold_after_tick(&server));
    atomic_store(&server.disk_met_ms, clock_now_ms() - COLDNESS_MS - 1);
    assert_false(is_cold_after_tick(&server));
}

/* A page on disk, of a file in the root; false where the file system keeps its pages. */
static bool write_and_drop(const struct scratch *scratch, int *ret_file)
{
    char path[SCRATCH_PATH_SIZE];
    const char page[4096] = "x";
    scratch_path(scratch, "page", path);
    *ret_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(*ret_file >= 0);
    assert_int_equal(write(*ret_file, page, sizeof page), sizeof page);
    assert_int_equal(fsync(*ret_file), 0);
    scratch_drop_pages(scratch->root);
    return scratch_resident_size(scratch->root) == 0;
}

static void a_thread_that_has_read_from_disk_is_noticed(void **state)
{
    (void)state;
    char page[4096];
    int file = -1;
    struct scratch scratch;
    scratch_make(&scratch);
    struct server server = {.disk_size = 1};
    uint64_t read_count = 0;
    const bool is_dropped = write_and_drop(&scratch, &file);
    coldness_look(&server, &read_count);
    atomic_store(&server.is_cold, false);
    coldness_look(&server, &read_count);
    assert_false(atomic_load(&server.is_cold)); /* nothing was read in between */

    assert_int_equal(pread(file, page, sizeof page, 0), sizeof page);
    coldness_look(&server, &read_count);
    (void)close(file);
    scratch_remove(&scratch);
    if (!is_dropped) test_skip("the file system keeps its pages");
    assert_true(atomic_load(&server.is_cold));
}

static void a_test_can_say_that_all_is_in_memory(void **state)
{
    (void)state;
    struct server server = {.disk_size = UINT64_C(1) << 60};
    assert_int_equal(setenv("STAVE_COLD_READS", "no", 1), 0);
    coldness_met(&server);
    assert_false(atomic_load(&server.is_cold));
    assert_false(is_cold_after_tick(&server));
    assert_int_equal(unsetenv("STAVE_COLD_READS"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_is_cold_when_it_is_larger_than_memory),
        cmocka_unit_test(a_store_is_cold_for_a_while_after_a_read_from_disk),
        cmocka_unit_test(a_thread_that_has_read_from_disk_is_noticed),
        cmocka_unit_test(a_test_can_say_that_all_is_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
