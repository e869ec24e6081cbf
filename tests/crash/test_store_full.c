/* SPDX-License-Identifier: MIT */
/*
 * P9: a full disk, a tmpfs of a few MiB, is deleted and compacted out of, with compaction in the background
 * and on demand, killed and opened again at any point: nothing acknowledged is lost, no SIGBUS, and
 * when compaction is done there is room for puts.
 *
 * Mounting takes root: skipped otherwise. Slow: with STAVE_TEST_SLOW alone (make test-long).
 */
#include "support/fixture.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/fault.h"

enum { KEY_MAX = 100000, SEED_COUNT = 20, KILLS_MAX = 12, CALLS_BEFORE_KILL = 400, PATIENCE_MS = 20000 };

/* What was acknowledged, in memory that outlives a killed child. */
struct ledger {
    size_t count;     /* keys put */
    size_t deleted;   /* of the even ones, how many are gone for certain */
    size_t refused;   /* deletes that found the disk full */
    bool is_deleting; /* one more may be gone */
    bool is_done;
    char failure[200];
};

struct disk {
    struct scratch scratch;
    struct stave_options options;
    size_t value_size;
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
    return mount("stave-test", disk->scratch.root, "tmpfs", 0, option) == 0;
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

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
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

static void check_reads(const struct disk *disk, struct stave *store)
{
    const struct ledger *ledger = disk->ledger;
    for (size_t number = 0; number < ledger->count; number++) {
        char key[32];
        struct stave_value value = {0};
        const bool is_gone = number % 2 == 0 && number / 2 < ledger->deleted;
        const bool may_be_gone = ledger->is_deleting && number == 2 * ledger->deleted;
        (void)snprintf(key, sizeof(key), "k%zu", number);
        const enum stave_status status = stave_get(store, stave_text(key), &value);
        if (may_be_gone && status == STAVE_NOT_FOUND) continue;
        if (status != (is_gone ? STAVE_NOT_FOUND : STAVE_OK)) child_fail(disk, "get", status);
        if (!is_gone && !bytes_are(value.data, value.size, number)) child_fail(disk, "value", status);
        stave_free(value.data);
    }
}

static void fill(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    enum stave_status status = STAVE_OK;
    while (ledger->count < KEY_MAX && (status = put(disk, store, ledger->count)) == STAVE_OK) ledger->count++;
    if (status != STAVE_FULL) child_fail(disk, "put until full", status);
}

/* With compaction on demand a delete may be refused: then that is demanded, and it is not refused again. */
static void delete_half(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    while (2 * ledger->deleted < ledger->count) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%zu", 2 * ledger->deleted);
        const bool may_be_gone = ledger->is_deleting;
        ledger->is_deleting = true;
        enum stave_status status = stave_delete(store, stave_text(key));
        if (status == STAVE_FULL && disk->options.manual_compaction) {
            ledger->refused++;
            status = stave_compact(store, 0, NULL, NULL);
            if (status != STAVE_OK) child_fail(disk, "compact", status);
            status = stave_delete(store, stave_text(key));
        }
        if (status != STAVE_OK && !(may_be_gone && status == STAVE_NOT_FOUND))
            child_fail(disk, "delete", status);
        ledger->deleted++;
        ledger->is_deleting = false;
    }
}

/* As many as a quarter of what was deleted. */
static void put_again(const struct disk *disk, struct stave *store)
{
    struct ledger *ledger = disk->ledger;
    const uint64_t until = now_ms() + PATIENCE_MS;
    if (disk->options.manual_compaction) {
        const enum stave_status status = stave_compact(store, 0, NULL, NULL);
        if (status != STAVE_OK) child_fail(disk, "compact at the end", status);
    }
    for (size_t number = 0; number < ledger->deleted / 4;) {
        const enum stave_status status = put(disk, store, KEY_MAX + number);
        if (status == STAVE_OK) number++;
        if (status != STAVE_OK && status != STAVE_FULL) child_fail(disk, "put again", status);
        if (status != STAVE_FULL) continue;
        if (disk->options.manual_compaction || now_ms() > until) child_fail(disk, "put again", status);
        (void)usleep(10000);
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
static const size_t value_sizes[] = {1000, 100, 3000};

static void run_seed(unsigned seed, bool manual, bool kills)
{
    struct disk disk;
    char name[96];
    const uint64_t segment_size = segment_sizes[seed % 3];
    uint64_t size = sizes[seed % 4];
    if (size < 5 * segment_size) size = 6 * segment_size;
    (void)snprintf(name, sizeof(name), "seed %u, manual %d, disk %llu, segment %llu", seed, manual,
                   (unsigned long long)size, (unsigned long long)segment_size);
    const bool is_made = disk_make(&disk, size, segment_size, value_sizes[seed / 4 % 3], manual);
    uint64_t random = seed * UINT64_C(2654435761) + 12345;
    for (int i = 0; is_made && kills && i < KILLS_MAX && !disk.ledger->is_done; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        live_in_child(&disk, 1 + (random >> 33) % CALLS_BEFORE_KILL, name);
    }
    if (is_made && !disk.ledger->is_done) live_in_child(&disk, 0, name);
    disk_remove(&disk);
    if (!is_made) skip();
}

static void a_full_disk_is_deleted_out_of_with_compaction_in_the_background(void **state)
{
    (void)state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    for (unsigned seed = 0; seed < 12; seed++) run_seed(seed, false, false);
}

static void a_full_disk_is_deleted_out_of_with_compaction_on_demand(void **state)
{
    (void)state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    for (unsigned seed = 0; seed < 12; seed++) run_seed(seed, true, false);
}

static void a_store_killed_again_and_again_on_a_full_disk_loses_nothing(void **state)
{
    (void)state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    for (unsigned seed = 0; seed < SEED_COUNT; seed++) run_seed(seed, seed % 2 != 0, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_deleted_out_of_with_compaction_in_the_background),
        cmocka_unit_test(a_full_disk_is_deleted_out_of_with_compaction_on_demand),
        cmocka_unit_test(a_store_killed_again_and_again_on_a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, own_mounts, NULL);
}
