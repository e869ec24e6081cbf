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

/* Skipped where the file system keeps its pages. */
static void a_thread_that_has_read_from_disk_is_noticed(void **state)
{
    (void)state;
    char path[] = "coldness.XXXXXX";
    char page[4096] = "x";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(file, page, sizeof page), sizeof page);
    assert_int_equal(fsync(file), 0);

    struct server server = {.disk_size = 1};
    uint64_t read_count = 0;
    coldness_look(&server, &read_count);
    atomic_store(&server.is_cold, false);
    coldness_look(&server, &read_count);
    assert_false(atomic_load(&server.is_cold)); /* nothing was read in between */

    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    const uint64_t before = read_count;
    assert_int_equal(pread(file, page, sizeof page, 0), sizeof page);
    coldness_look(&server, &read_count);
    (void)close(file);
    if (read_count == before) skip();
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
