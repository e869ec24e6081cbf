/* SPDX-License-Identifier: MIT */
/*
 * P9: a full disk, a tmpfs of a few MiB, is deleted and compacted out of, with compaction in the background
 * and on demand, killed and opened again at any point: nothing acknowledged is lost, no SIGBUS, and
 * when compaction is done there is room for puts.
 *
 * Mounting takes root: skipped otherwise. STAVE_TEST_SLOW (make test-long): many seeds.
 */
#include "support/fixture.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/slowness.h"

enum {
    KEY_MAX = 300000,
    SEED_COUNT = 12,
    SEED_COUNT_SLOW = 400,
    KILLS_MAX = 12,
    CALLS_BEFORE_KILL = 400,
    SNAPSHOT_AT = 1500, /* keys */
    GROUP_MAX = 20,     /* deletes of one batch */
    STRIDE = 15485863,  /* a prime above KEY_MAX: deletes are all over the segments */
};

/* What was acknowledged, in memory that outlives a killed child. */
struct ledger {
    size_t count;     /* keys put */
    size_t deleted;   /* of the even ones, how many are gone for certain */
    bool is_deleting; /* the next ones may be gone */
    bool is_done;
    bool gone[KEY_MAX];
    char failure[200];
};

struct disk {
    struct scratch scratch;
    struct stave_options options;
    size_t value_size;
    size_t stride;     /* from one deleted key to the next */
    size_t group;      /* deletes of one batch; 1: single ones */
    bool has_snapshot; /* of a part of it, until a delete finds the disk full for good */
    struct ledger *ledger;
};

static bool disk_make(struct disk *disk, uint64_t size, uint64_t segment_size, size_t value_size, bool manual)
{
    char option[64];
    scratch_make(&disk->scratch);
    (void)snprintf(option, sizeof(option), "size=%llu", (unsigned long long)size);
    disk->options = small_options();
    disk->options.segment_size = segment_size;
    disk->options.sync = STAVE_SYNC_NONE;
    disk->options.manual_compaction = manual;
    disk->value_size = value_size;
    disk->ledger =
        mmap(NULL, sizeof(*disk->ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(disk->ledger != MAP_FAILED);
    if (mount("stave-test", disk->scratch.root, "tmpfs", 0, option) == 0) return true;
    assert_true(errno == EPERM || errno == EACCES);
    return false;
}

static void disk_remove(struct disk *disk)
{
    (void)umount2(disk->scratch.root, MNT_DETACH);
    scratch_remove(&disk->scratch);
    (void)munmap(disk->ledger, sizeof(*disk->ledger));
}

static int own_mounts(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) == 0) (void)mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return 0;
}

/* In a child: an assertion would run the rest of the parent's tests there. */
static void child_fail(const struct disk *disk, const char *what, enum stave_status status)
{
    (void)snprintf(disk->ledger->failure, sizeof(disk->ledger->failure), "%s: %d (%zu put, %zu deleted)",
                   what, (int)status, disk->ledger->count, disk->ledger->deleted);
    _exit(1);
}

static enum stave_status put(const struct disk *disk, struct stave *store, size_t number)
{
    char key[32];
    uint8_t value[4096];
    (void)snprintf(key, sizeof(key), "k%zu", number);
    fill_bytes(value, disk->value_size, number);
    return stave_put(store, stave_text(key), stave_bytes(value, disk->value_size));
}

static struct stave *open_again(const struct disk *disk)
{
    struct stave *store = NULL;
    struct stave_error error = {0};
    const enum stave_status status = stave_open(disk->scratch.store, &disk->options, &store, &error);
    if (status != STAVE_OK) child_fail(disk, error.message, status);
    return store;
}

/* The even key that is deleted as the `index`th. */
static size_t deleted_key(const struct disk *disk, size_t index)
{
    return 2 * (index * disk->stride % ((disk->ledger->count + 1) / 2));
}

static size_t next_group(const struct disk *disk)
{
    const size_t left = (disk->ledger->count + 1) / 2 - disk->ledger->deleted;
    return left < disk->group ? left : disk->group;
}

static bool has_key(const struct disk *disk, struct stave *store, size_t number)
{
    char key[32];
    struct stave_value value = {0};
    (void)snprintf(key, sizeof(key), "k%zu", number);
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status == STAVE_NOT_FOUND) return false;
    if (status != STAVE_OK) child_fail(disk, "get", status);
    if (value.size != disk->value_size || !bytes_are(value.data, value.size, number))
        child_fail(disk, "value", status);
    stave_free(value.data);
    return true;
}

static void check_reads(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    const size_t group = ledger->is_deleting ? next_group(disk) : 0;
    const bool is_applied = group > 0 && !has_key(disk, store, deleted_key(disk, ledger->deleted));
    for (size_t i = 0; is_applied && i < group; i++) /* P5: all of them */
        ledger->gone[deleted_key(disk, ledger->deleted + i)] = true;
    for (size_t number = 0; number < ledger->count; number++)
        if (has_key(disk, store, number) == ledger->gone[number]) child_fail(disk, "key", (int)number);
}

static void fill(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    enum stave_status status = STAVE_OK;
    char snapshot[SCRATCH_PATH_SIZE];
    scratch_path(&disk->scratch, "snapshot", snapshot);
    while (ledger->count < KEY_MAX && (status = put(disk, store, ledger->count)) == STAVE_OK)
        if (++ledger->count == SNAPSHOT_AT && disk->has_snapshot) (void)stave_snapshot(store, snapshot, NULL);
    if (status != STAVE_FULL) child_fail(disk, "put until full", status);
}

static enum stave_status delete_group(const struct disk *disk, struct stave *store)
{
    char key[32];
    struct stave_batch *batch = NULL;
    const size_t first = disk->ledger->deleted;
    enum stave_status status = STAVE_OK;
    if (disk->group == 1) {
        (void)snprintf(key, sizeof(key), "k%zu", deleted_key(disk, first));
        status = stave_delete(store, stave_text(key));
        return status == STAVE_NOT_FOUND && disk->ledger->gone[deleted_key(disk, first)] ? STAVE_OK : status;
    }
    status = stave_batch_begin(store, &batch);
    for (size_t i = 0; i < next_group(disk) && status == STAVE_OK; i++) {
        (void)snprintf(key, sizeof(key), "k%zu", deleted_key(disk, first + i));
        status = stave_batch_delete(batch, stave_text(key));
    }
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    return status;
}

/* False: there is none. */
static bool remove_snapshot(const struct disk *disk)
{
    char snapshot[SCRATCH_PATH_SIZE];
    if (!scratch_has(disk->scratch.root, "snapshot")) return false;
    scratch_path(&disk->scratch, "snapshot", snapshot);
    scratch_remove_tree(snapshot);
    return true;
}

/* With compaction on demand a delete may be refused: then that is demanded, and it is not refused again. */
static void delete_half(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    while (2 * ledger->deleted < ledger->count) {
        const size_t group = next_group(disk);
        ledger->is_deleting = true;
        enum stave_status status = delete_group(disk, store);
        if (status == STAVE_FULL && disk->options.manual_compaction) {
            status = stave_compact(store, 0, NULL, NULL);
            if (status != STAVE_OK) child_fail(disk, "compact", status);
            status = delete_group(disk, store);
        }
        if (status == STAVE_FULL && remove_snapshot(disk)) continue;
        if (status != STAVE_OK) child_fail(disk, "delete", status);
        for (size_t i = 0; i < group; i++) ledger->gone[deleted_key(disk, ledger->deleted + i)] = true;
        ledger->deleted += group;
        ledger->is_deleting = false;
    }
}

/* As many as a quarter of what was deleted. */
static void put_again(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    const uint64_t began_ns = test_clock_ns();
    if (disk->options.manual_compaction) {
        const enum stave_status status = stave_compact(store, 0, NULL, NULL);
        if (status != STAVE_OK) child_fail(disk, "compact at the end", status);
    }
    for (size_t number = 0; number < ledger->deleted / 4;) {
        const enum stave_status status = put(disk, store, KEY_MAX + number);
        if (status == STAVE_OK) number++;
        if (status != STAVE_OK && status != STAVE_FULL) child_fail(disk, "put again", status);
        if (status != STAVE_FULL) continue;
        if (disk->options.manual_compaction || !test_nap(began_ns)) child_fail(disk, "put again", status);
    }
}

static void live_on(const struct disk *disk, uint64_t kill_at)
{
    if (kill_at != 0) {
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(kill_at, kill_at % 2 == 0);
    }
    struct stave *store = open_again(disk);
    if (disk->ledger->deleted == 0 && !disk->ledger->is_deleting) fill(disk, store);
    check_reads(disk, store);
    delete_half(disk, store);
    (void)remove_snapshot(disk);
    put_again(disk, store);
    check_reads(disk, store);
    const enum stave_status status = stave_close(store);
    if (status != STAVE_OK) child_fail(disk, "close", status);
    disk->ledger->is_done = true;
    _exit(0);
}

static void live_in_child(struct disk *disk, uint64_t kill_at, const char *name)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) live_on(disk, kill_at);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    const bool is_right =
        WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_EXIT);
    if (!is_right)
        fail_msg("%s, kill at %llu: %s (%x)", name, (unsigned long long)kill_at, disk->ledger->failure,
                 status);
}

static const uint64_t sizes[] = {3 << 20, (4 << 20) + 4096, (5 << 20) + 12288, 9 << 20};
static const uint64_t segment_sizes[] = {65536, 262144, 1 << 20};
static const size_t value_sizes[] = {1000, 100, 3000, 0};

static void run_seed(unsigned seed, bool manual, bool kills)
{
    struct disk disk;
    char name[128];
    const uint64_t segment_size = segment_sizes[seed % 3];
    uint64_t size = sizes[seed % 4];
    if (size < 5 * segment_size) size = 6 * segment_size;
    disk.stride = seed / 2 % 2 != 0 ? STRIDE : 1;
    disk.group = seed / 5 % 2 != 0 ? GROUP_MAX : 1;
    disk.has_snapshot = seed % 5 >= 3;
    const bool is_made = disk_make(&disk, size, segment_size, value_sizes[seed / 4 % 4], manual);
    (void)snprintf(name, sizeof(name), "seed %u, manual %d, disk %llu, segment %llu, value %zu", seed, manual,
                   (unsigned long long)size, (unsigned long long)segment_size, disk.value_size);
    uint64_t random = seed * UINT64_C(2654435761) + 12345;
    for (int i = 0; is_made && kills && i < KILLS_MAX && !disk.ledger->is_done; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        live_in_child(&disk, 1 + (random >> 33) % CALLS_BEFORE_KILL, name);
    }
    if (is_made && !disk.ledger->is_done) live_in_child(&disk, 0, name);
    disk_remove(&disk);
    if (!is_made) test_skip("a small disk cannot be mounted");
}

static unsigned seed_count(void)
{
    return environment_number("STAVE_TEST_SLOW", 0) != 0 ? SEED_COUNT_SLOW : 4 + SEED_COUNT / TEST_SLOWNESS;
}

static void a_full_disk_is_deleted_out_of_with_compaction_in_the_background(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seed_count(); seed++) run_seed(seed, false, false);
}

static void a_full_disk_is_deleted_out_of_with_compaction_on_demand(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seed_count(); seed++) run_seed(seed, true, false);
}

static void a_store_killed_again_and_again_on_a_full_disk_loses_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seed_count(); seed++) run_seed(seed, seed % 2 != 0, true);
}

/* A drop is a few bytes of log, and frees everything. */
static void a_full_disk_can_be_dropped_out_of(void **state)
{
    (void)state;
    struct disk disk = {.stride = 1, .group = 1};
    if (disk_make(&disk, 3 << 20, 262144, 1000, false)) {
        struct stave *store = store_open(disk.scratch.store, &disk.options);
        for (int round = 0; round < 3; round++) {
            enum stave_status status = STAVE_OK;
            size_t count = 0;
            while ((status = put(&disk, store, count)) == STAVE_OK) count++;
            assert_int_equal(status, STAVE_FULL);
            assert_true(count > 1000);
            assert_int_equal(stave_drop(store, NULL, NULL), STAVE_OK);
            assert_int_equal(stave_compact(store, 0, NULL, NULL), STAVE_OK);
        }
        store_close(store);
    }
    disk_remove(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_deleted_out_of_with_compaction_in_the_background),
        cmocka_unit_test(a_full_disk_is_deleted_out_of_with_compaction_on_demand),
        cmocka_unit_test(a_store_killed_again_and_again_on_a_full_disk_loses_nothing),
        cmocka_unit_test(a_full_disk_can_be_dropped_out_of),
    };
    return cmocka_run_group_tests(tests, own_mounts, NULL);
}
