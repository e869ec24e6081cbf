/* SPDX-License-Identifier: MIT */
/*
 * The power loss model itself (support/power_loss.h, L1 to L4): a protocol that is right survives every cut,
 * and one that leaves out a sync is found out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/dir.h"
#include "os/file.h"
#include "support/fault.h"
#include "support/power_loss.h"
#include "support/scratch.h"

enum { CONTENT_SIZE = 3 * 4096, VERSIONS = 3, SEEDS = 16, SYNC_FILE = 1, SYNC_DIR = 2 };

struct place {
    struct scratch scratch;
    char dir[600];
    char shadow[600];
    char image[600];
};

static struct place place_make(void)
{
    struct place place = {0};
    scratch_make(&place.scratch);
    (void)snprintf(place.dir, sizeof(place.dir), "%s/dir", place.scratch.root);
    (void)snprintf(place.shadow, sizeof(place.shadow), "%s/shadow", place.scratch.root);
    (void)snprintf(place.image, sizeof(place.image), "%s/image", place.scratch.root);
    assert_int_equal(mkdir(place.dir, 0700), 0);
    assert_int_equal(mkdir(place.shadow, 0700), 0);
    return place;
}

/* Replaces "file" by a new version, with the syncs named. */
static void replace_file(const struct dir *dir, char version, int syncs)
{
    struct file file = FILE_NONE;
    char content[CONTENT_SIZE];
    memset(content, version, sizeof(content));
    if (file_create_over(dir, "file.new", &file, NULL) != STAVE_OK) _exit(1);
    if (file_write_at(&file, content, sizeof(content), 0, NULL) != STAVE_OK) _exit(1);
    if ((syncs & SYNC_FILE) != 0 && file_sync(&file, NULL) != STAVE_OK) _exit(1);
    (void)file_close(&file, NULL);
    if (dir_rename(dir, "file.new", "file", NULL) != STAVE_OK) _exit(1);
    if ((syncs & SYNC_DIR) != 0 && dir_sync(dir, NULL) != STAVE_OK) _exit(1);
}

/* In a child: writes the versions and dies at the nth change. True when it got to the end. */
static bool run_until(const struct place *place, int syncs, uint64_t nth)
{
    const pid_t child = fork();
    if (child == 0) {
        struct dir dir = DIR_NONE;
        if (dir_open(place->dir, &dir, NULL) != STAVE_OK) _exit(1);
        replace_file(&dir, 'a', SYNC_FILE | SYNC_DIR);
        fault_power_begin(place->dir, place->shadow);
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(nth, false);
        for (char version = 'b'; version < 'b' + VERSIONS; version++) replace_file(&dir, version, syncs);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_true(WEXITSTATUS(result) == 0 || WEXITSTATUS(result) == FAULT_CRASH_EXIT);
    return WEXITSTATUS(result) == 0;
}

/* The version in the image, if it is there and whole; 0 otherwise. */
static char image_version(const struct place *place)
{
    char path[700];
    char content[CONTENT_SIZE + 1];
    (void)snprintf(path, sizeof(path), "%s/file", place->image);
    FILE *const file = fopen(path, "r");
    if (file == NULL) return 0;
    const size_t size = fread(content, 1, sizeof(content), file);
    (void)fclose(file);
    if (size != CONTENT_SIZE) return 0;
    for (size_t i = 1; i < size; i++) {
        if (content[i] != content[0]) return 0;
    }
    return content[0];
}

/* Cuts the power at every point; how many images held no whole version. */
static int broken_images(int syncs, char *ret_least_at_end)
{
    int broken = 0;
    bool is_complete = false;
    char least = 'z';
    for (uint64_t nth = 1; !is_complete; nth++) {
        struct place place = place_make();
        is_complete = run_until(&place, syncs, nth);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            power_loss_compose(place.dir, place.shadow, place.image, seed);
            const char version = image_version(&place);
            if (version == 0) broken++;
            if (is_complete && version != 0 && version < least) least = version;
            power_loss_remove_tree(place.image);
        }
        scratch_remove(&place.scratch);
    }
    *ret_least_at_end = least;
    return broken;
}

static void replacing_with_both_syncs_survives_every_cut(void **state)
{
    (void)state;
    char least = 0;
    assert_int_equal(broken_images(SYNC_FILE | SYNC_DIR, &least), 0);
    assert_int_equal(least, 'a' + VERSIONS);
}

static void leaving_out_the_file_sync_is_found_out(void **state) /* L1, L2 */
{
    (void)state;
    char least = 0;
    assert_true(broken_images(SYNC_DIR, &least) > 0);
}

static void leaving_out_the_directory_sync_loses_names_but_not_files(void **state) /* L3 */
{
    (void)state;
    char least = 0;
    assert_int_equal(broken_images(SYNC_FILE, &least), 0);
    assert_int_equal(least, 'a');
}

static void the_same_seed_gives_the_same_image(void **state) /* L4 */
{
    (void)state;
    struct place place = place_make();
    (void)run_until(&place, 0, 4);
    char versions[2][SEEDS];
    for (int round = 0; round < 2; round++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            power_loss_compose(place.dir, place.shadow, place.image, seed);
            versions[round][seed] = image_version(&place);
            power_loss_remove_tree(place.image);
        }
    }
    assert_memory_equal(versions[0], versions[1], SEEDS);
    scratch_remove(&place.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replacing_with_both_syncs_survives_every_cut),
        cmocka_unit_test(leaving_out_the_file_sync_is_found_out),
        cmocka_unit_test(leaving_out_the_directory_sync_loses_names_but_not_files),
        cmocka_unit_test(the_same_seed_gives_the_same_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
