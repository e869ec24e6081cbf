/* SPDX-License-Identifier: MIT */
/*
 * P9: a small disk that is really full, a tmpfs of a few MiB: no SIGBUS, reads and deletes go on, and a store
 * that was closed or killed there opens with all it had.
 *
 * Mounting takes root, or a user namespace in which the user is root: skipped where neither is to be had.
 */
#include "support/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/slowness.h"

enum { VALUE_SIZE = 100, DELETE_COUNT = 10 };

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
    if (mount("stave-test", ret_disk->scratch.root, "tmpfs", 0, option) == 0) return true;
    assert_true(errno == EPERM || errno == EACCES);
    return false;
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
    for (size_t number = 0; number < 1000000; number++) {
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
            if (!is_made) test_skip("a small disk cannot be mounted");
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

/*
 * ------------------------------------------------------------------ a snapshot, whose links keep the blocks
 */

enum { KILL_COUNT = 60 / TEST_SLOWNESS, BALLAST_SIZE = 1 << 18, AGAIN_FIRST = 1000000 };

/* What was acknowledged, in memory that outlives a killed child. */
struct ledger {
    size_t count;     /* keys put */
    size_t deleted;   /* of the even ones, from the first on */
    size_t put_again; /* keys from AGAIN_FIRST on */
    char message[600];
};

static struct ledger *ledger_make(void)
{
    struct ledger *ledger =
        mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(ledger != MAP_FAILED);
    return ledger;
}

/* In a child of its own, which is killed behind it: an assertion there would run the parent's other tests. */
static void run_and_kill(struct disk *disk, struct ledger *ledger,
                         bool (*run)(struct stave *store, struct ledger *ledger))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct stave *store = NULL;
        struct stave_error error = {0};
        const bool is_open = stave_open(disk->scratch.store, &disk->options, &store, &error) == STAVE_OK;
        if (!is_open) (void)snprintf(ledger->message, sizeof(ledger->message), "%s", error.message);
        _exit(is_open && run(store, ledger) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%x: %s", status, ledger->message);
}

static bool fails(struct stave *store, struct ledger *ledger, const char *what)
{
    struct stave_error error = {0};
    stave_last_error(store, &error);
    (void)snprintf(ledger->message, sizeof(ledger->message), "%s: %s", what, error.message);
    return false;
}

static enum stave_status delete_next(struct stave *store, struct ledger *ledger)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "k%zu", 2 * ledger->deleted);
    enum stave_status status = stave_delete(store, stave_text(key));
    if (status == STAVE_FULL && stave_compact(store, 0, NULL, NULL) == STAVE_OK)
        status = stave_delete(store, stave_text(key));
    if (status == STAVE_OK) ledger->deleted++;
    return status;
}

/* The even ones, until the disk is full even for that, or they are gone. */
static bool delete_until_full(struct stave *store, struct ledger *ledger)
{
    enum stave_status status = STAVE_OK;
    while (status == STAVE_OK && 2 * ledger->deleted < ledger->count) status = delete_next(store, ledger);
    return status == STAVE_OK || status == STAVE_FULL || fails(store, ledger, "delete");
}

static bool put_again_until_full(struct stave *store, struct ledger *ledger)
{
    enum stave_status status = STAVE_OK;
    while ((status = put(store, AGAIN_FIRST + ledger->put_again, 1)) == STAVE_OK) ledger->put_again++;
    return status == STAVE_FULL || fails(store, ledger, "put");
}

static bool put_and_delete_until_full(struct stave *store, struct ledger *ledger)
{
    return delete_until_full(store, ledger) && put_again_until_full(store, ledger) &&
           delete_until_full(store, ledger);
}

static void expect_ledger(struct stave *store, const struct ledger *ledger)
{
    char key[32];
    for (size_t number = 0; number < ledger->count; number++) {
        const bool is_gone = number % 2 == 0 && number / 2 < ledger->deleted;
        (void)snprintf(key, sizeof(key), "k%zu", number);
        assert_int_equal(stave_exists(store, stave_text(key)), is_gone ? STAVE_NOT_FOUND : STAVE_OK);
    }
    assert_int_equal(stave_count(store), ledger->count - ledger->deleted + ledger->put_again);
}

/* All the blocks that there are. */
static void fill_disk(const char *path)
{
    off_t size = 0;
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    for (off_t step = 1 << 20; step >= 4096; step /= 2)
        while (posix_fallocate(file, size, step) == 0) size += step;
    assert_int_equal(close(file), 0);
}

/* Nearly all that the disk holds is in the snapshot. */
static void fill_with_snapshot(struct disk *disk, struct ledger *ledger, const char *snapshot)
{
    char ballast[SCRATCH_PATH_SIZE];
    scratch_path(&disk->scratch, "ballast", ballast);
    const int file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(posix_fallocate(file, 0, 3 * (off_t)disk->options.segment_size + BALLAST_SIZE), 0);
    assert_int_equal(close(file), 0);
    struct stave *store = store_open(disk->scratch.store, &disk->options);
    while (put(store, ledger->count, 1) == STAVE_OK) ledger->count++;
    assert_int_equal(unlink(ballast), 0);
    assert_int_equal(stave_snapshot(store, snapshot, NULL), STAVE_OK);
    store_close(store);
    fill_disk(ballast);
}

static void fill_snapshot_and_kill(struct disk *disk)
{
    char snapshot[SCRATCH_PATH_SIZE];
    struct stave_error error = {0};
    struct ledger *ledger = ledger_make();
    scratch_path(&disk->scratch, "snapshot", snapshot);
    fill_with_snapshot(disk, ledger, snapshot);
    for (int i = 0; i < KILL_COUNT; i++) run_and_kill(disk, ledger, put_and_delete_until_full);

    struct stave *store = store_open(disk->scratch.store, &disk->options);
    expect_ledger(store, ledger);
    assert_int_equal(delete_next(store, ledger), STAVE_FULL);
    stave_last_error(store, &error);
    assert_int_equal(error.status, STAVE_FULL);
    assert_non_null(strstr(error.message, "remove the snapshot"));

    scratch_remove_tree(snapshot);
    while (2 * ledger->deleted < ledger->count) assert_int_equal(delete_next(store, ledger), STAVE_OK);
    assert_int_equal(stave_compact(store, 0, NULL, NULL), STAVE_OK);
    for (; ledger->put_again < ledger->deleted / 4; ledger->put_again++)
        assert_int_equal(put(store, AGAIN_FIRST + ledger->put_again, 1), STAVE_OK);
    expect_ledger(store, ledger);
    store_close(store);
    (void)munmap(ledger, sizeof(*ledger));
}

static void a_store_killed_again_and_again_beside_a_snapshot_on_a_full_disk_opens(void **state)
{
    (void)state;
    for_each_disk(fill_snapshot_and_kill);
}

static void fill_and_put_and_kill(struct disk *disk)
{
    struct ledger *ledger = ledger_make();
    struct stave *store = store_open(disk->scratch.store, &disk->options);
    ledger->count = put_until_full(store);
    store_close(store);
    for (int i = 0; i < KILL_COUNT; i++) run_and_kill(disk, ledger, put_again_until_full);
    store = store_open(disk->scratch.store, &disk->options);
    expect_ledger(store, ledger);
    store_close(store);
    (void)munmap(ledger, sizeof(*ledger));
}

static void a_store_that_is_put_to_and_killed_again_and_again_on_a_full_disk_opens(void **state)
{
    (void)state;
    for_each_disk(fill_and_put_and_kill);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_deletes_go_on_on_a_full_disk),
        cmocka_unit_test(a_store_killed_on_a_full_disk_opens_with_all_it_had),
        cmocka_unit_test(a_store_closed_on_a_full_disk_opens_with_all_it_had),
        cmocka_unit_test(a_store_that_is_put_to_and_killed_again_and_again_on_a_full_disk_opens),
        cmocka_unit_test(a_store_killed_again_and_again_beside_a_snapshot_on_a_full_disk_opens),
    };
    return cmocka_run_group_tests(tests, own_mounts, NULL);
}
