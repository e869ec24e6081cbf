/* SPDX-License-Identifier: MIT */
/* stave_check and stave_salvage: every damage is reported with its place, and what can be read is kept
   (P6). */
#include "support/fixture.h"

#include <unistd.h>

#include "log/record.h"

struct damages {
    size_t count[8]; /* by kind */
    uint64_t offset; /* of the last one that is not harmless */
    char file[64];
    char key[64];
    bool stop;
};

static bool note_damage(void *context, const struct stave_damage *damage)
{
    struct damages *damages = context;
    assert_non_null(damage->file);
    assert_non_null(damage->message);
    damages->count[damage->kind]++;
    if (damage->kind == STAVE_DAMAGE_TORN || damage->kind == STAVE_DAMAGE_CHECKPOINT) return damages->stop;
    damages->offset = damage->offset;
    (void)snprintf(damages->file, sizeof(damages->file), "%s", damage->file);
    (void)snprintf(damages->key, sizeof(damages->key), "%.*s", (int)damage->key.size,
                   (const char *)damage->key.data);
    return damages->stop;
}

static size_t harmful(const struct damages *damages)
{
    return damages->count[STAVE_DAMAGE_MANIFEST] + damages->count[STAVE_DAMAGE_FILE] +
           damages->count[STAVE_DAMAGE_HEADER] + damages->count[STAVE_DAMAGE_PAYLOAD];
}

static enum stave_status check(const char *path, struct damages *ret_damages)
{
    *ret_damages = (struct damages){.stop = false};
    return stave_check(path, note_damage, NULL, ret_damages, NULL);
}

static struct stave *salvaged(struct fixture *fixture, struct damages *ret_damages,
                              struct stave_salvage_result *ret_result)
{
    char path[SCRATCH_PATH_SIZE];
    struct stave_error error = {.status = STAVE_OK};
    scratch_path(&fixture->scratch, "salvaged", path);
    *ret_damages = (struct damages){.stop = false};
    const enum stave_status status =
        stave_salvage(fixture->scratch.store, path, note_damage, NULL, ret_damages, ret_result, &error);
    if (status != STAVE_OK) fail_msg("salvage: %d %s", (int)status, error.message);
    assert_false(scratch_has(fixture->scratch.root, "salvaged.part"));
    return store_open(path, &fixture->options);
}

/* A store with overwritten, deleted, moved, dropped, swapped and large values; closed. */
static void fill_all_kinds(struct fixture *fixture)
{
    struct stave *store = fixture->store;
    const struct stave_write write = {.expires_at_ms = UINT64_C(4102444800000)};
    fixture_fill(store, "old", 100, 1000, 1);
    fixture_fill(store, "gone", 100, 1000, 1);
    fixture_fill(stave_space(store, 3), "dropped", 50, 300, 1);
    fixture_fill(stave_space(store, 4), "swapped", 50, 300, 1);
    assert_int_equal(stave_drop(stave_space(store, 3), NULL, NULL), STAVE_OK);
    fixture_fill(stave_space(store, 3), "after", 20, 300, 2);
    assert_int_equal(stave_swap(store, 4, 5, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_fill(store, "old", 50, 1000, 2);
    fixture_delete(store, "gone", 100);
    fixture_fill(store, "large", 1, (size_t)STAVE_LARGE_SIZE + 77, 5);
    assert_int_equal(stave_put_with(store, stave_text("expiring"), stave_text("later"), &write, NULL),
                     STAVE_OK);
}

static void expect_all_kinds(struct stave *store)
{
    struct stave_info info;
    char key[32];
    fixture_expect_filled(store, "old", 50, 1000, 2);
    for (size_t number = 50; number < 100; number++) {
        (void)snprintf(key, sizeof(key), "old%zu", number);
        assert_int_equal(stave_exists(store, stave_text(key)), STAVE_OK);
    }
    fixture_expect_absent(store, "gone", 100);
    fixture_expect_absent(stave_space(store, 3), "dropped", 50);
    fixture_expect_filled(stave_space(store, 3), "after", 20, 300, 2);
    fixture_expect_filled(stave_space(store, 5), "swapped", 50, 300, 1);
    fixture_expect_absent(stave_space(store, 4), "swapped", 50);
    fixture_expect_filled(store, "large", 1, (size_t)STAVE_LARGE_SIZE + 77, 5);
    assert_int_equal(stave_info(store, stave_text("expiring"), &info), STAVE_OK);
    assert_true(info.expires_at_ms == UINT64_C(4102444800000));
    assert_true(stave_count(store) == 102);
}

static void a_sound_store_checks_out(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    fill_all_kinds(fixture);
    fixture_close(fixture);
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_OK);
    assert_int_equal(harmful(&damages), 0);
    assert_int_equal(damages.count[STAVE_DAMAGE_TORN] + damages.count[STAVE_DAMAGE_CHECKPOINT], 0);
}

/* Damages the byte that stands `distance` from where the text does. */
static void flip_at(struct fixture *fixture, const char *text, int distance)
{
    char name[64];
    uint64_t offset = 0;
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text(text), name, &offset));
    scratch_flip(fixture->scratch.store, name, offset + (uint64_t)distance);
}

/* A damaged value can be replaced; whose record a damaged key or header is, nobody can tell. (P6) */
static void only_what_can_be_told_apart_is_overwritten(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    store_put(fixture->store, "damaged-key", "1");
    store_put(fixture->store, "damaged-header", "2");
    store_put(fixture->store, "put", "damaged-value-1");
    store_put(fixture->store, "deleted", "damaged-value-2");
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK); /* else the open would read them all */
    fixture_close(fixture);
    flip_at(fixture, "damaged-key", 0);
    flip_at(fixture, "damaged-header", RECORD_SEQUENCE_AT - RECORD_HEADER_SIZE);
    flip_at(fixture, "damaged-value-1", 0);
    flip_at(fixture, "damaged-value-2", 0);
    fixture_reopen(fixture);
    struct stave *store = fixture->store;
    assert_int_equal(stave_put(store, stave_text("damaged-key"), stave_text("3")), STAVE_CORRUPT);
    assert_int_equal(stave_delete(store, stave_text("damaged-key")), STAVE_CORRUPT);
    assert_int_equal(stave_put(store, stave_text("damaged-header"), stave_text("3")), STAVE_CORRUPT);
    assert_int_equal(stave_delete(store, stave_text("damaged-header")), STAVE_CORRUPT);
    store_put(store, "put", "3");
    assert_int_equal(stave_delete(store, stave_text("deleted")), STAVE_OK);
    fixture_close(fixture);
    store = salvaged(fixture, &damages, NULL);
    store_expect(store, "put", "3");
    store_expect(store, "deleted", NULL);
    store_put(store, "damaged-key", "3");
    store_put(store, "damaged-header", "3");
    store_close(store);
}

static void check_refuses_what_it_cannot_check(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error = {.status = STAVE_OK};
    char path[SCRATCH_PATH_SIZE];
    assert_int_equal(stave_check(NULL, NULL, NULL, NULL, &error), STAVE_INVALID);
    assert_int_equal(stave_check(fixture->scratch.store, NULL, NULL, NULL, &error), STAVE_LOCKED);
    assert_int_equal(stave_check(fixture->scratch.root, NULL, NULL, NULL, &error), STAVE_NOT_A_STORE);
    assert_false(scratch_has(fixture->scratch.root, "LOCK"));
    scratch_path(&fixture->scratch, "absent", path);
    assert_int_equal(stave_check(path, NULL, NULL, NULL, &error), STAVE_NOT_FOUND);
    assert_int_equal(stave_salvage(path, NULL, NULL, NULL, NULL, NULL, &error), STAVE_INVALID);
    fixture_close(fixture);
    assert_int_equal(
        stave_salvage(fixture->scratch.store, fixture->scratch.store, NULL, NULL, NULL, NULL, &error),
        STAVE_EXISTS);
}

static void a_damaged_value_is_named_by_its_key(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    char name[64];
    uint64_t offset = 0;
    store_put(fixture->store, "the key", "an older value");
    store_put(fixture->store, "the key", "the needle is here");
    fixture_fill(fixture->store, "k", 50, 300, 1);
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("the needle"), name, &offset));
    scratch_flip(fixture->scratch.store, name, offset);
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_CORRUPT);
    assert_int_equal(damages.count[STAVE_DAMAGE_PAYLOAD], 1);
    assert_int_equal(harmful(&damages), 1);
    assert_string_equal(damages.key, "the key");
    assert_string_equal(damages.file, name);
    assert_true(damages.offset < offset && offset - damages.offset < 100);

    struct stave *store = salvaged(fixture, &damages, &result);
    assert_int_equal(damages.count[STAVE_DAMAGE_PAYLOAD], 1);
    assert_true(result.record_count == 50 && result.damage_count == 1 && result.lost_size > 0);
    fixture_expect_filled(store, "k", 50, 300, 1);
    store_expect(store, "the key", NULL); /* P4: the older value does not come back */
    store_close(store);
}

static void behind_a_damaged_header_reading_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    char name[64];
    uint64_t offset = 0;
    store_put(fixture->store, "before", "1");
    store_put(fixture->store, "needle key", "2");
    fixture_fill(fixture->store, "k", 50, 300, 1);
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("needle key"), name, &offset));
    scratch_flip(fixture->scratch.store, name, offset - 20); /* in the header of 40 bytes before the key */
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_CORRUPT);
    assert_int_equal(damages.count[STAVE_DAMAGE_HEADER], 1);
    assert_int_equal(harmful(&damages), 1);
    assert_true(damages.offset == offset - 40);
    struct stave *store = salvaged(fixture, &damages, &result);
    assert_true(result.record_count == 51);
    store_expect(store, "before", "1");
    store_expect(store, "needle key", NULL);
    fixture_expect_filled(store, "k", 50, 300, 1);
    store_close(store);
}

static void a_missing_manifest_does_not_stop_salvage(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    fill_all_kinds(fixture);
    fixture_close(fixture);
    scratch_unlink(fixture->scratch.store, "MANIFEST");
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_CORRUPT);
    assert_int_equal(damages.count[STAVE_DAMAGE_MANIFEST], 1);
    assert_int_equal(harmful(&damages), 1);
    struct stave *store = salvaged(fixture, &damages, &result);
    fixture_expect_filled(store, "old", 50, 1000, 2);
    fixture_expect_absent(store, "gone", 100);
    fixture_expect_filled(store, "large", 1, (size_t)STAVE_LARGE_SIZE + 77, 5);
    assert_true(stave_count(store) == 102);
    store_close(store);
}

static void a_damaged_manifest_does_not_stop_salvage(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    fixture_fill(fixture->store, "k", 300, 700, 1);
    fixture_fill(fixture->store, "k", 300, 700, 2);
    fixture_close(fixture);
    scratch_flip(fixture->scratch.store, "MANIFEST", 30);
    struct stave *store = salvaged(fixture, &damages, &result);
    assert_int_equal(damages.count[STAVE_DAMAGE_MANIFEST], 1);
    fixture_expect_filled(store, "k", 300, 700, 2);
    assert_true(result.record_count == 300);
    store_close(store);
}

static void a_sound_store_is_salvaged_whole(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    fill_all_kinds(fixture);
    fixture_close(fixture);
    struct stave *store = salvaged(fixture, &damages, &result);
    assert_int_equal(harmful(&damages), 0);
    expect_all_kinds(store);
    assert_true(result.record_count == 102 + 20 + 50);
    store_close(store);
    fixture_reopen(fixture); /* the old one is as it was */
    expect_all_kinds(fixture->store);
}

static void a_missing_and_a_short_segment_are_reported(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    struct stave_salvage_result result;
    char name[64];
    uint64_t offset = 0;
    fixture_fill(fixture->store, "first", 50, 1000, 1);
    store_put(fixture->store, "needle", "x");
    fixture_fill(fixture->store, "last", 150, 1000, 1);
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("needle"), name, &offset));
    scratch_truncate(fixture->scratch.store, name, offset + 20);
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_CORRUPT);
    assert_true(damages.count[STAVE_DAMAGE_FILE] >= 1);
    assert_string_equal(damages.file, name);
    struct stave *store = salvaged(fixture, &damages, &result);
    fixture_expect_filled(store, "first", 50, 1000, 1);
    assert_true(result.lost_size > 0);
    store_close(store);
    scratch_unlink(fixture->scratch.store, name);
    assert_int_equal(check(fixture->scratch.store, &damages), STAVE_CORRUPT);
    assert_int_equal(damages.count[STAVE_DAMAGE_FILE], 1);
    assert_false(scratch_has(fixture->scratch.store, name));
}

static void a_damaged_checkpoint_is_harmless(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages;
    fixture_fill(fixture->store, "k", 3000, 20, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_close(fixture);
    assert_true(scratch_has(fixture->scratch.store, "CHECKPOINT"));
    const uint64_t size = scratch_size(fixture->scratch.store, "CHECKPOINT");
    for (uint64_t offset = 0; offset < size; offset += size / 23) {
        scratch_flip(fixture->scratch.store, "CHECKPOINT", offset);
        assert_int_equal(check(fixture->scratch.store, &damages), STAVE_OK);
        assert_int_equal(damages.count[STAVE_DAMAGE_CHECKPOINT], 1);
        fixture->store = store_open(fixture->scratch.store, &fixture->options);
        fixture_expect_filled(fixture->store, "k", 3000, 20, 1);
        assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
        fixture_close(fixture);
    }
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done <= total);
    return true;
}

static void check_and_salvage_can_be_stopped(void **state)
{
    struct fixture *fixture = *state;
    struct damages damages = {.stop = true};
    char path[SCRATCH_PATH_SIZE];
    fixture_fill(fixture->store, "k", 10, (size_t)3 << 20, 1);
    fixture_close(fixture);
    scratch_path(&fixture->scratch, "salvaged", path);
    assert_int_equal(stave_check(fixture->scratch.store, NULL, stop_at_once, NULL, NULL), STAVE_CANCELLED);
    assert_int_equal(stave_salvage(fixture->scratch.store, path, NULL, stop_at_once, NULL, NULL, NULL),
                     STAVE_CANCELLED);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(scratch_has(fixture->scratch.root, "salvaged.part"));
    scratch_unlink(fixture->scratch.store, "MANIFEST");
    assert_int_equal(stave_check(fixture->scratch.store, note_damage, NULL, &damages, NULL), STAVE_CANCELLED);
}

#define REPORT_SIZE_MAX (UINT64_C(16) << 20) /* stave.h, section 11 */

struct reports {
    struct stave *store; /* the one worked on, if it is open */
    uint64_t count;
    uint64_t done;
    uint64_t gap; /* the largest */
};

static bool note_report(void *context, uint64_t done, uint64_t total)
{
    struct reports *reports = context;
    struct stave_value value = {0};
    assert_true(done >= reports->done && done <= total);
    if (done - reports->done > reports->gap) reports->gap = done - reports->done;
    reports->done = done;
    reports->count++;
    if (reports->store == NULL) return false;
    assert_int_equal(stave_get(reports->store, stave_text("k0"), &value), STAVE_OK);
    stave_free(value.data);
    return false;
}

/* `done` grows by whole records. */
static void expect_reports(const struct reports *reports, uint64_t size, uint64_t value_size)
{
    assert_true(reports->count > 0);
    assert_true(reports->gap <= REPORT_SIZE_MAX + value_size);
    assert_true(reports->done + REPORT_SIZE_MAX + value_size >= size);
}

/*
 * Long work reports at least every 16 MiB, if not within a value, and its callback may read the store. (P11)
 */
static void long_work_reports_every_16_mib(void **state)
{
    enum { MIB = 1 << 20, COUNT = 24, LARGE = 40 * MIB };
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "salvaged", path);
    fixture->options.segment_size = UINT64_C(64) << 20;
    fixture->options.manual_compaction = true;
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "large", 1, LARGE, 1);
    fixture_fill(fixture->store, "k", COUNT, MIB, 1);
    struct reports reports = {.store = fixture->store};
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, note_report, &reports), STAVE_OK);
    expect_reports(&reports, LARGE + COUNT * (uint64_t)MIB, LARGE);
    fixture_close(fixture);
    reports = (struct reports){.store = NULL};
    assert_int_equal(stave_check(fixture->scratch.store, NULL, note_report, &reports, NULL), STAVE_OK);
    expect_reports(&reports, LARGE + COUNT * (uint64_t)MIB, LARGE);
    reports = (struct reports){.store = NULL};
    assert_int_equal(stave_salvage(fixture->scratch.store, path, NULL, note_report, &reports, NULL, NULL),
                     STAVE_OK);
    expect_reports(&reports, LARGE + COUNT * (uint64_t)MIB, LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_sound_store_checks_out),
        FIXTURE_TEST(only_what_can_be_told_apart_is_overwritten),
        FIXTURE_TEST(check_refuses_what_it_cannot_check),
        FIXTURE_TEST(a_damaged_value_is_named_by_its_key),
        FIXTURE_TEST(behind_a_damaged_header_reading_goes_on),
        FIXTURE_TEST(a_missing_manifest_does_not_stop_salvage),
        FIXTURE_TEST(a_damaged_manifest_does_not_stop_salvage),
        FIXTURE_TEST(a_sound_store_is_salvaged_whole),
        FIXTURE_TEST(a_missing_and_a_short_segment_are_reported),
        FIXTURE_TEST(a_damaged_checkpoint_is_harmless),
        FIXTURE_TEST(check_and_salvage_can_be_stopped),
        FIXTURE_TEST(long_work_reports_every_16_mib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
