/* SPDX-License-Identifier: MIT */
/*
 * os/file.h (F1, F2), os/dir.h, os/map.h (M1, M2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/dir.h"
#include "os/file.h"
#include "os/map.h"
#include "support/scratch.h"

struct fixture {
    struct scratch scratch;
    struct dir dir;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    scratch_make(&fixture.scratch);
    *state = &fixture;
    return dir_open(fixture.scratch.root, &fixture.dir, NULL);
}

static int tear_down(void **state)
{
    struct fixture *const fixture = *state;
    dir_close(&fixture->dir);
    dir_close(&fixture->dir);
    scratch_remove(&fixture->scratch);
    return 0;
}

static void file_gives_back_what_was_written(void **state)
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    char data[8];
    uint64_t size = 0;
    assert_int_equal(file_create(&fixture->dir, "a", &file, NULL), STAVE_OK);
    assert_int_equal(file_write_at(&file, "stave", 5, 10, NULL), STAVE_OK);
    assert_int_equal(file_sync(&file, NULL), STAVE_OK);
    assert_int_equal(file_size(&file, &size, NULL), STAVE_OK);
    assert_int_equal(size, 15);
    assert_int_equal(file_read_at(&file, data, 5, 10, NULL), STAVE_OK);
    assert_memory_equal(data, "stave", 5);
    assert_int_equal(file_close(&file, NULL), STAVE_OK);
    assert_int_equal(file_close(&file, NULL), STAVE_OK);
}

static void file_read_past_the_end_says_where_it_ended(void **state) /* F1 */
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct error error = ERROR_NONE;
    char data[8];
    size_t got = 0;
    assert_int_equal(file_create(&fixture->dir, "short", &file, NULL), STAVE_OK);
    assert_int_equal(file_write_at(&file, "12345", 5, 0, NULL), STAVE_OK);
    assert_int_equal(file_read_at(&file, data, 8, 2, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, "/short: ends at offset 5, 5 bytes short"));
    assert_int_equal(file_read_some(&file, data, 8, 2, &got, NULL), STAVE_OK);
    assert_int_equal(got, 3);
    assert_int_equal(file_read_some(&file, data, 8, UINT64_MAX, &got, NULL), STAVE_LIMIT);
    (void)file_close(&file, NULL);
}

static void file_open_tells_missing_from_there_already(void **state)
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct error error = ERROR_NONE;
    assert_int_equal(file_open(&fixture->dir, "none", false, &file, &error), STAVE_NOT_FOUND);
    assert_non_null(strstr(error.message, "/none: cannot open: No such file"));
    assert_false(file_is_open(&file));
    assert_int_equal(file_create(&fixture->dir, "b", &file, NULL), STAVE_OK);
    (void)file_close(&file, NULL);
    assert_int_equal(file_create(&fixture->dir, "b", &file, NULL), STAVE_EXISTS);
    assert_int_equal(file_create_over(&fixture->dir, "b", &file, NULL), STAVE_OK);
    (void)file_close(&file, NULL);
}

static void allocated_space_is_real_and_reads_as_zeroes(void **state) /* F2 */
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    uint64_t size = 0;
    char data[16];
    assert_int_equal(file_create(&fixture->dir, "c", &file, NULL), STAVE_OK);
    assert_int_equal(file_allocate(&file, 0, 1 << 20, NULL), STAVE_OK);
    assert_int_equal(file_disk_size(&file, &size, NULL), STAVE_OK);
    assert_true(size >= 1 << 20);
    assert_int_equal(file_read_at(&file, data, 16, (1 << 20) - 16, NULL), STAVE_OK);
    assert_memory_equal(data, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    assert_int_equal(file_truncate(&file, 10, NULL), STAVE_OK);
    assert_int_equal(file_size(&file, &size, NULL), STAVE_OK);
    assert_int_equal(size, 10);
    (void)file_close(&file, NULL);
}

static enum stave_status count_entry(void *context, const char *name)
{
    assert_int_not_equal(name[0], '.');
    (*(int *)context)++;
    return STAVE_OK;
}

static enum stave_status stop_at_once(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
    return STAVE_END;
}

static void dir_lists_every_entry_until_told_to_stop(void **state)
{
    struct fixture *const fixture = *state;
    enum { FILES = 700 };
    for (int i = 0; i < FILES; i++) {
        char name[32];
        struct file file = FILE_NONE;
        (void)snprintf(name, sizeof(name), "%010d.a_long_enough_name", i);
        assert_int_equal(file_create(&fixture->dir, name, &file, NULL), STAVE_OK);
        (void)file_close(&file, NULL);
    }
    int count = 0;
    assert_int_equal(dir_list(&fixture->dir, count_entry, &count, NULL), STAVE_OK);
    assert_int_equal(count, FILES);
    count = 0;
    assert_int_equal(dir_list(&fixture->dir, stop_at_once, &count, NULL), STAVE_END);
    assert_int_equal(count, 1);
}

static void dir_renames_links_and_unlinks(void **state)
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    uint64_t count = 0;
    assert_int_equal(file_create(&fixture->dir, "old", &file, NULL), STAVE_OK);
    assert_int_equal(dir_rename(&fixture->dir, "old", "new", NULL), STAVE_OK);
    assert_int_equal(dir_exists(&fixture->dir, "old", NULL), STAVE_NOT_FOUND);
    assert_int_equal(dir_link(&fixture->dir, "new", &fixture->dir, "second", NULL), STAVE_OK);
    assert_int_equal(dir_link(&fixture->dir, "new", &fixture->dir, "second", NULL), STAVE_EXISTS);
    assert_int_equal(file_link_count(&file, &count, NULL), STAVE_OK);
    assert_int_equal(count, 2);
    assert_int_equal(dir_unlink(&fixture->dir, "new", NULL), STAVE_OK);
    assert_int_equal(dir_unlink(&fixture->dir, "new", NULL), STAVE_NOT_FOUND);
    assert_int_equal(dir_sync(&fixture->dir, NULL), STAVE_OK);
    (void)file_close(&file, NULL);
}

static void dir_is_made_wherever_the_path_points(void **state)
{
    struct fixture *const fixture = *state;
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/sub//", fixture->scratch.root);
    assert_int_equal(dir_create(path, NULL), STAVE_OK);
    assert_int_equal(dir_create(path, NULL), STAVE_EXISTS);
    assert_int_equal(chdir(fixture->scratch.root), 0);
    assert_int_equal(dir_create("relative", NULL), STAVE_OK);
    assert_int_equal(dir_remove("relative", NULL), STAVE_OK);
    assert_int_equal(dir_create("not/there", NULL), STAVE_NOT_FOUND);
}

static void lock_excludes_other_opens_of_this_process_and_goes_with_the_process(void **state)
{
    struct fixture *const fixture = *state;
    struct dir_lock lock = DIR_LOCK_NONE;
    struct dir_lock second = DIR_LOCK_NONE;
    const pid_t child = fork();
    if (child == 0) _exit(dir_lock(&fixture->dir, "LOCK", &lock, NULL) == STAVE_OK ? 0 : 1);
    int result = 1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);

    assert_int_equal(dir_lock(&fixture->dir, "LOCK", &lock, NULL), STAVE_OK);
    assert_int_equal(dir_lock(&fixture->dir, "LOCK", &second, NULL), STAVE_LOCKED);
    dir_unlock(&lock);
    assert_int_equal(dir_lock(&fixture->dir, "LOCK", &second, NULL), STAVE_OK);
    dir_unlock(&second);
}

static void map_and_file_show_the_same_bytes(void **state) /* M1 */
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct map map = MAP_NONE;
    char data[4];
    enum { SIZE = 3 * MAP_PAGE_SIZE };
    assert_int_equal(file_create(&fixture->dir, "m", &file, NULL), STAVE_OK);
    assert_int_equal(file_allocate(&file, 0, SIZE, NULL), STAVE_OK);
    assert_int_equal(map_file(&file, SIZE, true, &map, NULL), STAVE_OK);
    map_advise_filling(&map);
    assert_int_equal(map_populate_write(&map, 100, SIZE - 100, NULL), STAVE_OK);
    map_advise_filled(&map);
    assert_true(map_resident(&map, 0, SIZE));
    memcpy(map.data + SIZE - 4, "tail", 4);
    assert_int_equal(file_read_at(&file, data, 4, SIZE - 4, NULL), STAVE_OK);
    assert_memory_equal(data, "tail", 4);
    map_shrink(&map, MAP_PAGE_SIZE + 1);
    map.data[MAP_PAGE_SIZE] = 1;
    map_free(&map);
    map_free(&map);
    (void)file_close(&file, NULL);
}

static void map_past_the_file_is_refused_instead_of_raising_a_signal(void **state) /* M1 */
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct map map = MAP_NONE;
    assert_int_equal(file_create(&fixture->dir, "n", &file, NULL), STAVE_OK);
    assert_int_equal(file_allocate(&file, 0, MAP_PAGE_SIZE, NULL), STAVE_OK);
    assert_int_equal(map_file(&file, 4 * MAP_PAGE_SIZE, true, &map, NULL), STAVE_OK);
    assert_true(map_populate_write(&map, 0, 4 * MAP_PAGE_SIZE, NULL) < 0);
    map_advise_filling(&map);
    assert_true(map_populate_write(&map, 0, 4 * MAP_PAGE_SIZE, NULL) < 0);
    map_free(&map);
    (void)file_close(&file, NULL);
}

static void map_tells_pages_in_memory_from_those_that_are_not(void **state) /* for STAVE_READ_NO_WAIT */
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct map map = MAP_NONE;
    enum { SIZE = 600 * MAP_PAGE_SIZE };
    assert_int_equal(file_create(&fixture->dir, "r", &file, NULL), STAVE_OK);
    assert_int_equal(file_truncate(&file, SIZE, NULL), STAVE_OK); /* a hole: nothing of it is in memory */
    assert_int_equal(file_write_at(&file, "here", 4, SIZE - MAP_PAGE_SIZE, NULL), STAVE_OK);
    assert_int_equal(map_file(&file, SIZE, false, &map, NULL), STAVE_OK);
    assert_true(map_resident(&map, SIZE - MAP_PAGE_SIZE, 4));
    assert_false(map_resident(&map, SIZE - MAP_PAGE_SIZE - 1, 4));
    assert_false(map_resident(&map, 0, SIZE));
    map_free(&map);
    (void)file_close(&file, NULL);
}

enum { SHRINK_PAGES = 64, LOOKS = 1000 };

struct looker {
    const struct map *map;
    bool was_always_there;
};

static void *look_at_first_page(void *context)
{
    struct looker *const looker = context;
    looker->was_always_there = true;
    for (int look = 0; look < LOOKS; look++)
        if (!map_resident(looker->map, 0, MAP_PAGE_SIZE)) looker->was_always_there = false;
    return NULL;
}

/* STAVE_READ_NO_WAIT beside the sealer; of a race the thread sanitizer tells. */
static void map_is_looked_at_while_it_shrinks(void **state)
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    struct map map = MAP_NONE;
    struct looker looker = {.map = &map};
    pthread_t thread;
    enum { SIZE = SHRINK_PAGES * MAP_PAGE_SIZE };
    assert_int_equal(file_create(&fixture->dir, "s", &file, NULL), STAVE_OK);
    assert_int_equal(file_allocate(&file, 0, SIZE, NULL), STAVE_OK);
    assert_int_equal(map_file(&file, SIZE, true, &map, NULL), STAVE_OK);
    assert_int_equal(map_populate_write(&map, 0, SIZE, NULL), STAVE_OK);
    assert_int_equal(pthread_create(&thread, NULL, look_at_first_page, &looker), 0);
    for (size_t pages = SHRINK_PAGES - 1; pages > 0; pages--) map_shrink(&map, pages * MAP_PAGE_SIZE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(looker.was_always_there);
    assert_int_equal(map.size, MAP_PAGE_SIZE);
    map_free(&map);
    (void)file_close(&file, NULL);
}

static void a_symbolic_link_is_not_opened_as_a_file_of_the_directory(void **state)
{
    struct fixture *const fixture = *state;
    struct file file = FILE_NONE;
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/link", fixture->scratch.root);
    assert_int_equal(file_create(&fixture->dir, "target", &file, NULL), STAVE_OK);
    assert_int_equal(file_close(&file, NULL), STAVE_OK);
    assert_int_equal(symlink("target", path), 0);
    assert_true(file_open(&fixture->dir, "link", false, &file, NULL) < 0);
    assert_true(file_create_over(&fixture->dir, "link", &file, NULL) < 0);
}

/* P9: elsewhere a granted page can still raise SIGBUS, so the tail is written. */
static void only_file_systems_known_to_be_safe_have_a_mapped_tail(void **state)
{
    struct dir dir = DIR_NONE;
    (void)state;
    assert_int_equal(dir_open("/proc", &dir, NULL), STAVE_OK);
    assert_false(file_system_maps_safely(dir.fd));
    dir_close(&dir);
    assert_false(file_system_maps_safely(-1));
}

static void large_pages_are_aligned_zeroed_and_can_be_given_back(void **state) /* M2 */
{
    (void)state;
    const size_t size = 3 * (size_t)MAP_HUGE_PAGE_SIZE + 5;
    uint8_t *const pages = pages_alloc(size);
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % MAP_HUGE_PAGE_SIZE, 0);
    assert_int_equal(pages[size - 1], 0);
    memset(pages, 1, size);
    pages_discard(pages, size);
    assert_int_equal(pages[MAP_HUGE_PAGE_SIZE], 0);
    pages_free(pages, size);
    pages_free(NULL, size);
}

static void fork_wipes_the_page_that_tells_a_child(void **state)
{
    (void)state;
    uint8_t *const page = pages_alloc_fork_wiped();
    assert_non_null(page);
    page[0] = 1;
    const pid_t child = fork();
    if (child == 0) _exit(page[0]);
    int result = 1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(page[0], 1);
    pages_free(page, MAP_PAGE_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_gives_back_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_read_past_the_end_says_where_it_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_open_tells_missing_from_there_already, set_up, tear_down),
        cmocka_unit_test_setup_teardown(allocated_space_is_real_and_reads_as_zeroes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dir_lists_every_entry_until_told_to_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dir_renames_links_and_unlinks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dir_is_made_wherever_the_path_points, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lock_excludes_other_opens_of_this_process_and_goes_with_the_process,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(map_and_file_show_the_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(map_past_the_file_is_refused_instead_of_raising_a_signal, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(map_tells_pages_in_memory_from_those_that_are_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(map_is_looked_at_while_it_shrinks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_symbolic_link_is_not_opened_as_a_file_of_the_directory, set_up,
                                        tear_down),
        cmocka_unit_test(only_file_systems_known_to_be_safe_have_a_mapped_tail),
        cmocka_unit_test(large_pages_are_aligned_zeroed_and_can_be_given_back),
        cmocka_unit_test(fork_wipes_the_page_that_tells_a_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
