/* SPDX-License-Identifier: MIT */
/*
 * P9: a small disk that is really full, a tmpfs of a few MiB: no SIGBUS, reads and deletes go on, and a store
 * that was closed or killed there opens with all it had.
 *
 * Mounting takes root, or a user namespace in which the user is root: skipped where neither is to be had.
 */
#include "support/fixture.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALUE_SIZE = 1000, DELETE_COUNT = 10 };

struct disk {
    struct scratch scratch;
    struct stave_options options;
};

/* False: not allowed here. The mounts are this process' own. */
static bool disk_make(struct disk *ret_disk, uint64_t size, uint64_t segment_size)
{
    char option[64];
    scratch_make(&ret_disk->scratch);
    (void)snprintf(option, sizeof(option), "size=%llu", (unsigned long long)size);
    ret_disk->options = small_options();
    ret_disk->options.segment_size = segment_size;
    ret_disk->options.sync = STAVE_SYNC_NONE;
    ret_disk->options.manual_compaction = true;
    return mount("stave-test", ret_disk->scratch.root, "tmpfs", 0, option) == 0;
}

static void disk_remove(struct disk *disk)
{
    (void)umount2(disk->scratch.root, MNT_DETACH);
    scratch_remove(&disk->scratch);
}

static bool write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) return false;
    const bool is_written = fputs(text, file) >= 0;
    return fclose(file) == 0 && is_written;
}

/* Root of mounts of its own, whoever it is. */
static bool become_root(void)
{
    char uids[64];
    char gids[64];
    (void)snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)getuid());
    (void)snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", uids) && write_text("/proc/self/gid_map", gids);
}

static int own_mounts(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) == 0 || become_root()) (void)mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return 0;
}

static enum stave_status put(struct stave *store, size_t number, uint64_t version)
{
    char key[32];
    uint8_t value[VALUE_SIZE];
    (void)snprintf(key, sizeof(key), "k%zu", number);
    fill_bytes(value, sizeof(value), number + (version << 32));
    return stave_put(store, stave_text(key), stave_bytes(value, sizeof(value)));
}

static size_t put_until_full(struct stave *store)
{
    for (size_t number = 0; number < 100000; number++) {
        const enum stave_status status = put(store, number, 1);
        if (status == STAVE_FULL) return number;
        assert_int_equal(status, STAVE_OK);
    }
    fail_msg("the disk never became full");
    return 0;
}

/* At once: there is room that only deletes may use. */
static void delete_some(struct stave *store, size_t count)
{
    char key[32];
    for (size_t number = 0; number < DELETE_COUNT; number++) {
        (void)snprintf(key, sizeof(key), "k%zu", number);
        assert_int_equal(stave_delete(store, stave_text(key)), STAVE_OK);
        assert_int_equal(stave_exists(store, stave_text(key)), STAVE_NOT_FOUND);
    }
    assert_int_equal(stave_count(store), count - DELETE_COUNT);
    store_close(store);
}

static const uint64_t sizes[] = {3 << 20, (4 << 20) + 4096, (5 << 20) + 12288, 9 << 20};
static const uint64_t segment_sizes[] = {65536, 1 << 20};

static void for_each_disk(void (*run)(struct disk *disk))
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t k = 0; k < sizeof(segment_sizes) / sizeof(segment_sizes[0]); k++) {
            struct disk disk;
            if (sizes[i] < 5 * segment_sizes[k]) continue;
            const bool is_made = disk_make(&disk, sizes[i], segment_sizes[k]);
            if (is_made) run(&disk);
            disk_remove(&disk);
            if (!is_made) skip();
        }
}

static void fill_and_delete(struct disk *disk)
{
    struct stave *store = store_open(disk->scratch.store, &disk->options);
    const size_t count = put_until_full(store);
    fixture_expect_filled(store, "k", count, VALUE_SIZE, 1);
    delete_some(store, count);
}

static void reads_and_deletes_go_on_on_a_full_disk(void **state)
{
    (void)state;
    for_each_disk(fill_and_delete);
}

static void fill_and_kill(struct disk *disk)
{
    size_t *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(count != MAP_FAILED);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        *count = put_until_full(store_open(disk->scratch.store, &disk->options));
        _exit(0); /* not closed */
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* no SIGBUS */
    struct stave *store = store_open(disk->scratch.store, &disk->options);
    fixture_expect_filled(store, "k", *count, VALUE_SIZE, 1);
    delete_some(store, *count);
    (void)munmap(count, sizeof(*count));
}

static void a_store_killed_on_a_full_disk_opens_with_all_it_had(void **state)
{
    (void)state;
    for_each_disk(fill_and_kill);
}

static void fill_and_close(struct disk *disk)
{
    struct stave *store = store_open(disk->scratch.store, &disk->options);
    const size_t count = put_until_full(store);
    store_close(store);
    store = store_open(disk->scratch.store, &disk->options);
    fixture_expect_filled(store, "k", count, VALUE_SIZE, 1);
    delete_some(store, count);
}

static void a_store_closed_on_a_full_disk_opens_with_all_it_had(void **state)
{
    (void)state;
    for_each_disk(fill_and_close);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_deletes_go_on_on_a_full_disk),
        cmocka_unit_test(a_store_killed_on_a_full_disk_opens_with_all_it_had),
        cmocka_unit_test(a_store_closed_on_a_full_disk_opens_with_all_it_had),
    };
    return cmocka_run_group_tests(tests, own_mounts, NULL);
}
