/* SPDX-License-Identifier: MIT */
/*
 * Stores written once, kept in golden/, and read for ever: by the library and by the reader that was written
 * from docs/FORMAT.md alone. The two agree on every store that the library makes.
 *
 * STAVE_TEST_GOLDEN names a directory to write such stores into, for a new version of the format.
 */
#include "support/fixture.h"

#include <time.h>

#include "support/tiny_reader.h"

enum { LINE_MAX_COUNT = 4096, LARGE_SIZE = 17000 };

#define FAR_FUTURE_MS UINT64_C(4102444800000) /* the year 2100 */

/* What both readers find: a line for each key, sorted. */
struct listing {
    char *text;
    size_t size;
    char *lines[LINE_MAX_COUNT];
    size_t count;
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void listing_sort(struct listing *listing)
{
    char *rest = listing->text;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        assert_true(listing->count < LINE_MAX_COUNT);
        listing->lines[listing->count++] = line;
    }
    qsort(listing->lines, listing->count, sizeof(listing->lines[0]), compare_lines);
}

static void print_hex(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size == 0) (void)fputc('-', out);
    for (size_t i = 0; i < bytes.size; i++) (void)fprintf(out, "%02x", at[i]);
}

static void print_space(FILE *out, struct stave *space)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status;
    if (stave_count(space) == 0) return;
    assert_int_equal(stave_cursor_open(space, 0, stave_bytes(NULL, 0), 0, &cursor), STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
        (void)fprintf(out, "%u ", (unsigned)stave_space_number(space));
        print_hex(out, entry.key);
        (void)fputc(' ', out);
        print_hex(out, entry.value);
        (void)fputc('\n', out);
    }
    assert_int_equal(status, STAVE_END);
    stave_cursor_close(cursor);
}

static struct listing list_with_library(struct stave *store)
{
    struct listing listing = {.text = NULL};
    FILE *out = open_memstream(&listing.text, &listing.size);
    assert_non_null(out);
    for (uint32_t number = 0; number < STAVE_SPACE_COUNT_MAX; number++)
        print_space(out, stave_space(store, number));
    (void)fclose(out);
    listing_sort(&listing);
    return listing;
}

static struct listing list_with_tiny_reader(const char *path)
{
    struct listing listing = {.text = NULL};
    char problem[TINY_READER_PROBLEM_SIZE] = {0};
    struct timespec now;
    FILE *out = open_memstream(&listing.text, &listing.size);
    assert_non_null(out);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (tiny_reader_print(path, (uint64_t)now.tv_sec * 1000, out, problem) != 0)
        fail_msg("the tiny reader refuses %s: %s", path, problem);
    (void)fclose(out);
    listing_sort(&listing);
    return listing;
}

static void expect_same(const struct listing *library, const struct listing *tiny)
{
    for (size_t i = 0; i < library->count && i < tiny->count; i++)
        if (strcmp(library->lines[i], tiny->lines[i]) != 0)
            fail_msg("the library finds %.60s, the tiny reader %.60s", library->lines[i], tiny->lines[i]);
    assert_int_equal(library->count, tiny->count);
}

/* Both read `path`, the library from a copy, so that the directory stays as it is. */
static void expect_agreement(const struct scratch *scratch, const char *path, size_t count_least)
{
    char copy[SCRATCH_PATH_SIZE];
    const struct stave_options options = small_options();
    struct listing tiny = list_with_tiny_reader(path);
    scratch_path(scratch, "copy", copy);
    scratch_copy(path, copy);
    struct stave *store = store_open(copy, &options);
    struct listing library = list_with_library(store);
    expect_same(&library, &tiny);
    assert_true(library.count >= count_least);
    store_put(store, "writable", "1");
    store_close(store);
    assert_int_equal(stave_check(copy, NULL, NULL, NULL, NULL), STAVE_OK);
    scratch_remove_tree(copy);
    free(library.text);
    free(tiny.text);
}

static void write_batch(struct stave *store, uint64_t round)
{
    struct stave_batch *batch = NULL;
    char key[32];
    assert_int_equal(stave_batch_begin(store, &batch), STAVE_OK);
    for (unsigned number = 0; number < 5; number++) {
        (void)snprintf(key, sizeof(key), "batch%u", number);
        assert_int_equal(stave_batch_select(batch, number % 2), STAVE_OK);
        assert_int_equal(stave_batch_put(batch, stave_text(key), stave_bytes(&round, sizeof(round)), 0),
                         STAVE_OK);
    }
    if (round % 2 == 1) assert_int_equal(stave_batch_drop(batch, 3), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
}

static void put_until(struct stave *store, const char *key, uint64_t expires_at_ms)
{
    const struct stave_write write = {.expires_at_ms = expires_at_ms};
    assert_int_equal(stave_put_with(store, stave_text(key), stave_text("for a while"), &write, NULL),
                     STAVE_OK);
}

/* Something of everything that a log can hold; a round after another, with compaction between. */
static void write_everything(struct stave *store, uint64_t round)
{
    fixture_fill(store, "k", 20, 60, round);
    fixture_fill(stave_space(store, 1), "one", 10, 10, round);
    fixture_fill(stave_space(store, 2), "two", 10, 10, round);
    fixture_fill(stave_space(store, 3), "three", 10, 10, round);
    store_put(store, "", "the empty key");
    store_put(store, "empty", "");
    fixture_delete(store, "k", 5);
    put_until(store, "later", FAR_FUTURE_MS);
    put_until(store, "gone", 1000);
    write_batch(store, round);
    fixture_fill(store, "large", 1, LARGE_SIZE, round);
    assert_int_equal(stave_swap(store, 1, 2, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_drop(stave_space(store, 3), NULL, NULL), STAVE_OK);
    store_put(stave_space(store, 3), "after", "the drop");
    if (round % 2 == 1) assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
}

/* Without what means nothing to a reader. */
static void keep(const char *from, const char *parent, const char *name)
{
    static const char *const others[] = {"LOCK", "RESERVE", "MANIFEST.spare", "CHECKPOINT"};
    char to[SCRATCH_PATH_SIZE];
    (void)snprintf(to, sizeof(to), "%.400s/%s", parent, name);
    scratch_copy(from, to);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) scratch_unlink(to, others[i]);
}

static void stores_of_every_version_are_read(void **state)
{
    (void)state;
    static const char *const names[] = {"version-1-closed", "version-1-killed"};
    struct scratch scratch;
    scratch_make(&scratch);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[SCRATCH_PATH_SIZE];
        (void)snprintf(path, sizeof(path), "%s/tests/golden/%s", TEST_SOURCE_DIR, names[i]);
        expect_agreement(&scratch, path, 45);
    }
    scratch_remove(&scratch);
}

static void a_store_of_version_1_holds_what_was_written(void **state)
{
    (void)state;
    struct scratch scratch;
    const struct stave_options options = small_options();
    scratch_make(&scratch);
    scratch_copy(TEST_SOURCE_DIR "/tests/golden/version-1-killed", scratch.store);
    struct stave *store = store_open(scratch.store, &options);
    store_expect(store, "", "the empty key");
    store_expect(store, "empty", "");
    store_expect(store, "later", "for a while");
    store_expect(store, "gone", NULL);
    store_expect(store, "k4", NULL);
    fixture_expect_filled(store, "large", 1, LARGE_SIZE, 2);
    store_expect(stave_space(store, 3), "after", "the drop");
    fixture_expect_filled(stave_space(store, 2), "one", 10, 10, 2);
    store_close(store);
    scratch_remove(&scratch);
}

static void both_readers_agree_on_what_the_library_writes(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    const char *golden = getenv("STAVE_TEST_GOLDEN");
    fixture_close(fixture);
    fixture->options.manual_compaction = true;
    for (uint64_t round = 0; round < 6; round++) {
        fixture_reopen(fixture);
        write_everything(fixture->store, round);
        assert_int_equal(stave_sync(fixture->store), STAVE_OK);
        scratch_path(&fixture->scratch, "killed", path);
        scratch_copy(fixture->scratch.store, path); /* as a killed writer leaves it */
        expect_agreement(&fixture->scratch, path, 45);
        if (golden != NULL && round == 2) keep(path, golden, "version-1-killed");
        scratch_remove_tree(path);
        fixture_close(fixture);
        expect_agreement(&fixture->scratch, fixture->scratch.store, 45);
        if (golden != NULL && round == 2) keep(fixture->scratch.store, golden, "version-1-closed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(both_readers_agree_on_what_the_library_writes),
        cmocka_unit_test(stores_of_every_version_are_read),
        cmocka_unit_test(a_store_of_version_1_holds_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
