/* SPDX-License-Identifier: MIT */
/* stave_open, stave_close and what they answer: options, locks, foreign directories, read-only stores,
   fork. */
#include "support/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/pressure.h"

static enum stave_status try_open(const char *path, const struct stave_options *options,
                                  struct stave_error *error)
{
    struct stave *store = NULL;
    const enum stave_status status = stave_open(path, options, &store, error);
    if (status == STAVE_OK)
        store_close(store);
    else
        assert_null(store); /* outputs are written on STAVE_OK only */
    return status;
}

static void open_makes_a_store_and_finds_it_again(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "city", "Bern");
    fixture_reopen(fixture);
    store_expect(fixture->store, "city", "Bern");
    store_expect(fixture->store, "town", NULL);
}

static void open_accepts_no_options(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "standard", path);
    struct stave *store = store_open(path, NULL);
    store_put(store, "a", "1");
    store_expect(store, "a", "1");
    store_close(store);
}

static void open_refuses_bad_arguments(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = NULL;
    struct stave_error error = {.status = STAVE_OK};
    struct stave_options options = small_options();
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "other", path);

    assert_int_equal(stave_open(NULL, NULL, &store, &error), STAVE_INVALID);
    assert_int_equal(error.status, STAVE_INVALID);
    assert_int_not_equal(error.message[0], 0);
    assert_int_equal(stave_open(path, NULL, NULL, NULL), STAVE_INVALID);
    options.must_exist = options.must_not_exist = true;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options = small_options();
    options.segment_size = STAVE_SEGMENT_SIZE_MIN - 1;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options.segment_size = STAVE_SEGMENT_SIZE_MAX + 1;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options = small_options();
    options.disk_ratio_percent = 109;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options = small_options();
    options.rebuild_thread_count = 17;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options = small_options();
    options.sync = (enum stave_sync)9;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    options = small_options();
    options.accept_damage = true;
    assert_int_equal(try_open(path, &options, &error), STAVE_INVALID);
    assert_int_equal(access(path, F_OK), -1); /* nothing was made */
}

static void open_accepts_the_options_of_an_older_caller(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    struct stave_options options;
    memset(&options, 0xFF, sizeof(options));
    options.size = offsetof(struct stave_options, sync);
    options.read_only = options.must_exist = options.must_not_exist = options.accept_damage =
        options.skip_verify = false;
    assert_int_equal(try_open(fixture->scratch.store, &options, NULL), STAVE_OK);
}

static void open_does_not_make_parents(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "no/such", path);
    struct stave_error error;
    assert_true(try_open(path, NULL, &error) != STAVE_OK);
    assert_non_null(strstr(error.message, "no/such"));
}

static void open_must_exist_and_must_not_exist(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = small_options();
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "absent", path);
    options.must_exist = true;
    assert_int_equal(try_open(path, &options, NULL), STAVE_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    fixture_close(fixture);
    assert_int_equal(try_open(fixture->scratch.store, &options, NULL), STAVE_OK);
    options.must_exist = false;
    options.must_not_exist = true;
    assert_int_equal(try_open(fixture->scratch.store, &options, NULL), STAVE_EXISTS);
    assert_int_equal(try_open(path, &options, NULL), STAVE_OK);
    options.read_only = true;
    options.must_not_exist = false;
    scratch_path(&fixture->scratch, "absent2", path);
    assert_int_equal(try_open(path, &options, NULL), STAVE_NOT_FOUND);
}

static void a_second_writer_is_locked_out(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error;
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_LOCKED);
    assert_non_null(strstr(error.message, fixture->scratch.store));
    store_put(fixture->store, "a", "1");
    fixture_close(fixture);
    assert_int_equal(try_open(fixture->scratch.store, NULL, NULL), STAVE_OK);
}

static void a_writer_of_another_process_is_locked_out(void **state)
{
    struct fixture *fixture = *state;
    int ready[2];
    int done[2];
    char byte = 0;
    fixture_close(fixture);
    assert_int_equal(pipe(ready) + pipe(done), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct stave *store = NULL;
        if (stave_open(fixture->scratch.store, NULL, &store, NULL) != STAVE_OK) _exit(1);
        if (write(ready[1], "r", 1) != 1 || read(done[0], &byte, 1) != 1) _exit(2);
        _exit(0); /* without closing: the lock goes with the process */
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(try_open(fixture->scratch.store, NULL, NULL), STAVE_LOCKED);
    assert_int_equal(write(done[1], "d", 1), 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(try_open(fixture->scratch.store, NULL, NULL), STAVE_OK);
    for (int end = 0; end < 2; end++) (void)(close(ready[end]) + close(done[end]));
}

static void a_foreign_directory_is_refused_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "foreign", path);
    assert_int_equal(mkdir(path, 0700), 0);
    char file[SCRATCH_PATH_SIZE];
    (void)snprintf(file, sizeof(file), "%.500s/letter.txt", path);
    const int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "hello", 5), 5);
    (void)close(fd);
    assert_int_equal(try_open(path, NULL, NULL), STAVE_NOT_A_STORE);
    assert_true(scratch_has(path, "letter.txt"));
    assert_false(scratch_has(path, "MANIFEST"));
    assert_false(scratch_has(path, "LOCK"));
}

static void a_file_is_not_a_store(void **state)
{
    struct fixture *fixture = *state;
    char file[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "file", file);
    (void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_true(try_open(file, NULL, NULL) < 0);
}

static void an_empty_directory_becomes_a_store(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "empty", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_open(path, NULL, NULL), STAVE_OK);
    assert_true(scratch_has(path, "MANIFEST"));
}

static void a_segment_of_another_store_is_named(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char from[SCRATCH_PATH_SIZE];
    char to[SCRATCH_PATH_SIZE];
    char name[64];
    uint64_t offset = 0;
    scratch_path(&fixture->scratch, "other", path);
    struct stave *other = store_open(path, &fixture->options);
    store_put(other, "needle-of-other", "x");
    store_close(other);
    store_put(fixture->store, "needle-of-this", "x");
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("needle-of-this"), name, &offset));
    (void)snprintf(to, sizeof(to), "%.500s/%.60s", fixture->scratch.store, name);
    assert_true(scratch_find_segment(path, stave_text("needle-of-other"), name, &offset));
    (void)snprintf(from, sizeof(from), "%.500s/%.60s", path, name);
    assert_int_equal(rename(from, to), 0);
    struct stave_error error;
    const enum stave_status status = try_open(fixture->scratch.store, NULL, &error);
    assert_true(status == STAVE_NOT_A_STORE || status == STAVE_CORRUPT);
    assert_non_null(strstr(error.message, ".seg"));
}

static void a_missing_or_short_segment_is_named(void **state)
{
    struct fixture *fixture = *state;
    char name[64];
    uint64_t offset = 0;
    struct stave_error error;
    store_put(fixture->store, "needle", "value");
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("needle"), name, &offset));
    scratch_truncate(fixture->scratch.store, name, scratch_size(fixture->scratch.store, name) - 16);
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, name));
    scratch_unlink(fixture->scratch.store, name);
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, name));
    assert_false(scratch_has(fixture->scratch.store, name));
}

/* Bytes 8 to 11 of the manifest are its version, the last 8 its checksum. */
static void raise_version(const struct fixture *fixture, int by)
{
    char path[SCRATCH_PATH_SIZE];
    const size_t size = (size_t)scratch_size(fixture->scratch.store, "MANIFEST");
    uint8_t *bytes = malloc(size);
    (void)snprintf(path, sizeof(path), "%.500s/MANIFEST", fixture->scratch.store);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, bytes, size, 0), (ssize_t)size);
    bytes[8] = (uint8_t)(bytes[8] + by);
    store_le64(bytes + size - 8, hash_bytes(bytes, size - 8, 0));
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
    (void)close(fd);
    free(bytes);
}

static void a_newer_version_is_told_from_damage(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error;
    fixture_close(fixture);
    raise_version(fixture, 1);
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_VERSION);
    raise_version(fixture, -1);
    scratch_flip(fixture->scratch.store, "MANIFEST", 20);
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, "MANIFEST"));
    scratch_flip(fixture->scratch.store, "MANIFEST", 20);
    assert_int_equal(try_open(fixture->scratch.store, NULL, &error), STAVE_OK);
}

static void a_missing_manifest_beside_segments_is_not_a_new_store(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "needle", "value");
    fixture_close(fixture);
    const size_t count = scratch_count_segments(fixture->scratch.store);
    assert_true(count > 0);
    scratch_unlink(fixture->scratch.store, "MANIFEST");
    assert_true(try_open(fixture->scratch.store, NULL, NULL) < 0);
    assert_int_equal(scratch_count_segments(fixture->scratch.store), count);
}

enum { NOBODY = 65534 };

static void a_refusing_system_is_a_status(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    assert_int_equal(chmod(fixture->scratch.store, 0), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* root is refused nothing */
        const bool is_refusable = geteuid() != 0 || setuid(NOBODY) == 0;
        const enum stave_status status =
            stave_open(fixture->scratch.store, NULL, &(struct stave *){NULL}, NULL);
        _exit(is_refusable && status == STAVE_PERMISSION ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(fixture->scratch.store, 0700), 0);
}

static void an_open_that_failed_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    const size_t descriptors = scratch_count_descriptors();
    scratch_flip(fixture->scratch.store, "MANIFEST", 20);
    for (int count = 0; count < 5; count++)
        assert_int_equal(try_open(fixture->scratch.store, NULL, NULL), STAVE_CORRUPT);
    assert_int_equal(scratch_count_descriptors(), descriptors);
    scratch_flip(fixture->scratch.store, "MANIFEST", 20);
    fixture_reopen(fixture);
}

static void close_accepts_null(void **state)
{
    (void)state;
    assert_int_equal(stave_close(NULL), STAVE_OK);
    stave_free(NULL);
}

static void a_read_only_store_reads_beside_the_writer_and_follows_it(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = small_options();
    options.read_only = true;
    store_put(fixture->store, "a", "1");
    struct stave *reader = store_open(fixture->scratch.store, &options);
    store_expect(reader, "a", "1");
    store_put(fixture->store, "a", "2");
    store_put(fixture->store, "b", "1");
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    store_expect(reader, "a", "2");
    store_expect(reader, "b", "1");
    fixture_fill(fixture->store, "k", 300, 1000, 1);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    store_expect(reader, "a", "2"); /* the files went, the store reads again */
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    fixture_expect_filled(reader, "k", 300, 1000, 1);
    assert_int_equal(stave_delete(fixture->store, stave_text("a")), STAVE_OK);
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    store_expect(reader, "a", NULL);
    store_close(reader);
}

static void *make_store(void *path)
{
    return store_open(path, NULL);
}

/* Between a look for the manifest and the listing of the directory it may have come. */
static void a_store_that_is_being_made_is_no_foreign_directory(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 25; round++) {
        const struct stave_options options = {.size = sizeof(options), .read_only = true};
        struct stave_error error = {.status = STAVE_OK};
        char name[32];
        char path[SCRATCH_PATH_SIZE];
        pthread_t maker;
        void *made = NULL;
        (void)snprintf(name, sizeof(name), "made%d", round);
        scratch_path(&fixture->scratch, name, path);
        assert_int_equal(pthread_create(&maker, NULL, make_store, path), 0);
        enum stave_status status = STAVE_NOT_FOUND;
        while (status == STAVE_NOT_FOUND) status = try_open(path, &options, &error);
        assert_int_equal(pthread_join(maker, &made), 0);
        store_close(made);
        if (status != STAVE_OK) fail_msg("%s", error.message);
    }
}

static void a_read_only_store_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = small_options();
    struct stave_batch *batch = NULL;
    options.read_only = true;
    store_put(fixture->store, "a", "1");
    fixture_close(fixture);
    struct stave *reader = store_open(fixture->scratch.store, &options);
    assert_int_equal(stave_put(reader, stave_text("a"), stave_text("2")), STAVE_READ_ONLY);
    assert_int_equal(stave_delete(reader, stave_text("a")), STAVE_READ_ONLY);
    assert_int_equal(stave_drop(reader, NULL, NULL), STAVE_READ_ONLY);
    assert_int_equal(stave_swap(reader, 0, 1, NULL, NULL), STAVE_READ_ONLY);
    assert_int_equal(stave_compact(reader, 0, NULL, NULL), STAVE_READ_ONLY);
    assert_int_equal(stave_checkpoint(reader), STAVE_READ_ONLY);
    if (stave_batch_begin(reader, &batch) == STAVE_OK) {
        (void)stave_batch_put(batch, stave_text("a"), stave_text("2"), 0);
        assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_READ_ONLY);
        stave_batch_free(batch);
    }
    store_expect(reader, "a", "1");
    store_close(reader);
}

static void a_read_only_store_works_in_a_directory_that_cannot_be_written(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = small_options();
    options.read_only = true;
    store_put(fixture->store, "a", "1");
    fixture_close(fixture);
    assert_int_equal(chmod(fixture->scratch.store, 0500), 0);
    struct stave *reader = store_open(fixture->scratch.store, &options);
    store_expect(reader, "a", "1");
    store_close(reader);
    assert_int_equal(chmod(fixture->scratch.store, 0700), 0);
}

/* Each call in the child answers STAVE_FORKED; closing there touches nothing. (P12) */
static void call_in_child(struct stave *store, struct stave_batch *parents)
{
    struct stave_value value = {0};
    struct stave_batch *batch = NULL;
    struct stave_cursor *cursor = NULL;
    const struct stave_bytes key = stave_text("a");
    const bool right =
        stave_put(store, key, key) == STAVE_FORKED && stave_get(store, key, &value) == STAVE_FORKED &&
        stave_delete(store, key) == STAVE_FORKED && stave_exists(store, key) == STAVE_FORKED &&
        stave_sync(store) == STAVE_FORKED && stave_drop(store, NULL, NULL) == STAVE_FORKED &&
        stave_compact(store, 0, NULL, NULL) == STAVE_FORKED && stave_checkpoint(store) == STAVE_FORKED &&
        stave_cursor_open(store, 0, key, 0, &cursor) == STAVE_FORKED &&
        stave_batch_begin(store, &batch) == STAVE_FORKED &&
        stave_batch_put(parents, key, key, 0) == STAVE_FORKED &&
        stave_batch_delete(parents, key) == STAVE_FORKED &&
        stave_batch_require(parents, key, 0) == STAVE_FORKED &&
        stave_batch_select(parents, 1) == STAVE_FORKED && stave_batch_drop(parents, 1) == STAVE_FORKED &&
        stave_batch_swap(parents, 1, 2) == STAVE_FORKED &&
        stave_batch_commit(parents, NULL, NULL) == STAVE_FORKED;
    const enum stave_status closed = stave_close(store);
    _exit(right && (closed == STAVE_OK || closed == STAVE_FORKED) ? 0 : 1);
}

static void a_child_made_by_fork_may_only_close(void **state)
{
    struct fixture *fixture = *state;
    struct stave_batch *batch = NULL;
    store_put(fixture->store, "a", "1");
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    const pid_t child = fork();
    if (child == 0) call_in_child(fixture->store, batch);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stave_batch_free(batch);
    store_put(fixture->store, "b", "2");
    store_expect(fixture->store, "a", "1");
    fixture_reopen(fixture);
    store_expect(fixture->store, "b", "2");
}

/* P12 */
static void several_stores_are_open_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct stave *stores[8];
    char path[SCRATCH_PATH_SIZE];
    char name[16];
    for (size_t index = 0; index < 8; index++) {
        (void)snprintf(name, sizeof(name), "s%zu", index);
        scratch_path(&fixture->scratch, name, path);
        stores[index] = store_open(path, &fixture->options);
        store_put(stores[index], "name", name);
    }
    for (size_t index = 0; index < 8; index++) {
        (void)snprintf(name, sizeof(name), "s%zu", index);
        store_expect(stores[index], "name", name);
        store_close(stores[index]);
    }
}

static void options_change_while_open(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = small_options();
    options.segment_size = UINT64_C(1) << 20;
    assert_int_equal(stave_set_options(fixture->store, &options), STAVE_OK);
    options.segment_size = 1;
    assert_int_equal(stave_set_options(fixture->store, &options), STAVE_INVALID);
    assert_int_equal(stave_set_sync(fixture->store, STAVE_SYNC_ALWAYS, 0), STAVE_OK);
    store_put(fixture->store, "a", "1");
    assert_true(stave_durable_sequence(fixture->store) >= stave_sequence(fixture->store));
    assert_int_equal(stave_set_sync(fixture->store, (enum stave_sync)7, 0), STAVE_INVALID);
    fixture_fill(fixture->store, "k", 100, 5000, 1);
    fixture_expect_filled(fixture->store, "k", 100, 5000, 1);
}

static void each_status_has_a_text(void **state)
{
    (void)state;
    for (int status = STAVE_FAILED; status <= STAVE_STEP; status++) {
        const char *text = stave_status_text((enum stave_status)status);
        assert_non_null(text);
        assert_int_not_equal(text[0], 0);
    }
    assert_non_null(stave_status_text((enum stave_status)12345));
}

/* The largest numbers mean "never" and "without a limit": no sum with them wraps. */
static void options_may_be_as_large_as_can_be(void **state)
{
    struct fixture *fixture = *state;
    struct stave_stats stats = {.size = sizeof(stats)};
    fixture_close(fixture);
    fixture->options.segment_age_ms = UINT64_MAX;
    fixture->options.disk_ratio_percent = UINT32_MAX;
    fixture->options.feed_retention_size = UINT64_MAX;
    fixture->options.checkpoint_size = UINT64_MAX;
    fixture->options.sync_interval_ms = UINT32_MAX;
    fixture_reopen(fixture);
    assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
    const uint32_t segment_count = stats.segment_count;
    for (int round = 0; round < 50; round++) {
        store_put(fixture->store, "a", "1");
        assert_int_equal(stave_sync_start(fixture->store, 0), STAVE_OK);
        (void)usleep(1000);
    }
    assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
    assert_int_equal(stats.segment_count, segment_count);
    assert_true(pressure_allowed(fixture->store->store, UINT64_C(16) << 40) > UINT64_C(16) << 40);
}

/* What the main thread does meanwhile: which values are large changes all the time. */
struct sizes {
    struct stave *store;
    _Atomic bool is_over;
};

static void *change_sizes(void *context)
{
    struct sizes *sizes = context;
    struct stave_options options = small_options();
    for (uint64_t round = 0; !atomic_load(&sizes->is_over); round++) {
        options.segment_size = round & 1 ? STAVE_SEGMENT_SIZE_MIN : UINT64_C(1) << 20;
        if (stave_set_options(sizes->store, &options) != STAVE_OK) return sizes;
    }
    return NULL;
}

/* P12: a value that was prepared as a large one, or was not, stays so when the options change before it is
    written. */
static void sizes_may_change_while_values_are_written(void **state)
{
    enum { BATCHES = 60, VALUES = 8, SIZE = 40000 };
    struct fixture *fixture = *state;
    struct sizes sizes = {.store = fixture->store};
    pthread_t thread;
    void *failed = NULL;
    struct stave_batch *batch = NULL;
    uint8_t *value = calloc(1, SIZE);
    assert_non_null(value);
    assert_int_equal(pthread_create(&thread, NULL, change_sizes, &sizes), 0);
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    for (int round = 0; round < BATCHES; round++) {
        for (uint8_t i = 0; i < VALUES; i++)
            assert_int_equal(stave_batch_put(batch, stave_bytes(&i, 1), stave_bytes(value, SIZE), 0),
                             STAVE_OK);
        assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
        stave_batch_clear(batch);
        assert_int_equal(stave_put(fixture->store, stave_text("single"), stave_bytes(value, SIZE)), STAVE_OK);
    }
    stave_batch_free(batch);
    atomic_store(&sizes.is_over, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    free(value);
    assert_int_equal(stave_count(fixture->store), VALUES + 1);
    fixture_reopen(fixture);
    assert_int_equal(stave_count(fixture->store), VALUES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(open_makes_a_store_and_finds_it_again),
        FIXTURE_TEST(open_accepts_no_options),
        FIXTURE_TEST(open_refuses_bad_arguments),
        FIXTURE_TEST(open_accepts_the_options_of_an_older_caller),
        FIXTURE_TEST(open_does_not_make_parents),
        FIXTURE_TEST(open_must_exist_and_must_not_exist),
        FIXTURE_TEST(a_second_writer_is_locked_out),
        FIXTURE_TEST(a_writer_of_another_process_is_locked_out),
        FIXTURE_TEST(a_foreign_directory_is_refused_and_left_alone),
        FIXTURE_TEST(a_file_is_not_a_store),
        FIXTURE_TEST(an_empty_directory_becomes_a_store),
        FIXTURE_TEST(a_segment_of_another_store_is_named),
        FIXTURE_TEST(a_missing_or_short_segment_is_named),
        FIXTURE_TEST(a_newer_version_is_told_from_damage),
        FIXTURE_TEST(a_missing_manifest_beside_segments_is_not_a_new_store),
        FIXTURE_TEST(a_refusing_system_is_a_status),
        FIXTURE_TEST(an_open_that_failed_leaves_nothing_behind),
        FIXTURE_TEST(close_accepts_null),
        FIXTURE_TEST(a_read_only_store_reads_beside_the_writer_and_follows_it),
        FIXTURE_TEST(a_store_that_is_being_made_is_no_foreign_directory),
        FIXTURE_TEST(a_read_only_store_changes_nothing),
        FIXTURE_TEST(a_read_only_store_works_in_a_directory_that_cannot_be_written),
        FIXTURE_TEST(a_child_made_by_fork_may_only_close),
        FIXTURE_TEST(several_stores_are_open_at_once),
        FIXTURE_TEST(options_change_while_open),
        FIXTURE_TEST(sizes_may_change_while_values_are_written),
        FIXTURE_TEST(options_may_be_as_large_as_can_be),
        FIXTURE_TEST(each_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
