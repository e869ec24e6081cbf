/* SPDX-License-Identifier: MIT */
/* The manifest: comes back as it was, refuses any damage, is replaced as a whole (M1 to M4; P3, P6, P9). */
#include "log/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "os/dir.h"
#include "os/file.h"
#include "support/segment_writer.h"

enum { SEGMENT_AT = 80 + 2 * 16, VERSION_AT = 8, SEGMENT_BYTES = 112 };

static const struct manifest_segment log_segment = {
    .id = 7,
    .kind = SEGMENT_LOG,
    .state = MANIFEST_SEGMENT_SEALED,
    .flags = MANIFEST_SEGMENT_DAMAGED | MANIFEST_SEGMENT_COPIED,
    .first_slot = 16,
    .slot_count = 16,
    .incarnation = 3,
    .identity = 0xABCDEF,
    .length = 1 << 20,
    .horizon = 1,
    .last_sequence = 3ull << 32 | 9,
    .spaces_mask = 5,
    .record_count = 9,
    .tombstone_bytes = 48,
    .expiring_bytes = 64,
    .earliest_expiry_ms = 10,
    .latest_expiry_ms = 20,
    .created_at_ms = 1000,
};

static struct manifest make_sample(void)
{
    struct manifest manifest = {
        .flags = MANIFEST_SNAPSHOT,
        .incarnation = 4,
        .store_id = 0x1111,
        .hash_seed = 0x2222,
        .next_segment_id = 10,
        .next_slot = 48,
        .next_generation = 5,
        .swept_generation = 2,
        .feed_floor = 1ull << 32 | 1,
    };
    struct manifest_segment segment = log_segment;
    assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    segment = (struct manifest_segment){
        .id = 9, .kind = SEGMENT_LOG, .first_slot = 32, .slot_count = 1, .incarnation = 4, .identity = 99};
    assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    segment = (struct manifest_segment){.id = 2,
                                        .kind = SEGMENT_OUTPUT,
                                        .state = MANIFEST_SEGMENT_SEALED,
                                        .first_slot = 0,
                                        .slot_count = 16,
                                        .identity = 98,
                                        .length = 64};
    assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    assert_int_equal(manifest_set_space(&manifest, &(struct manifest_space){3, 4, 12}), STAVE_OK);
    assert_int_equal(manifest_set_space(&manifest, &(struct manifest_space){0, 1, 1000}), STAVE_OK);
    return manifest;
}

static uint8_t *encode(const struct manifest *manifest)
{
    uint8_t *bytes = malloc(manifest_size(manifest));
    assert_non_null(bytes);
    manifest_encode(manifest, bytes);
    return bytes;
}

static void assert_same_manifest(const struct manifest *a, const struct manifest *b)
{
    uint8_t *a_bytes = encode(a);
    uint8_t *b_bytes = encode(b);
    assert_int_equal(manifest_size(a), manifest_size(b));
    assert_memory_equal(a_bytes, b_bytes, manifest_size(a));
    free(a_bytes);
    free(b_bytes);
}

static void a_manifest_comes_back_as_it_was(void **state)
{
    (void)state;
    struct manifest manifest = make_sample();
    uint8_t *bytes = encode(&manifest);
    struct manifest back = MANIFEST_NONE;
    assert_int_equal(manifest_decode(bytes, manifest_size(&manifest), &back, NULL), STAVE_OK);
    assert_same_manifest(&manifest, &back);

    const struct manifest_segment *segment = manifest_find_segment(&back, 7);
    assert_non_null(segment);
    assert_memory_equal(segment, &log_segment, sizeof(log_segment));
    assert_int_equal(back.flags, MANIFEST_SNAPSHOT);
    assert_int_equal(back.store_id, 0x1111);
    assert_int_equal(back.hash_seed, 0x2222);
    assert_int_equal(back.incarnation, 4);
    assert_int_equal(back.next_segment_id, 10);
    assert_int_equal(back.next_slot, 48);
    assert_int_equal(back.next_generation, 5);
    assert_int_equal(back.swept_generation, 2);
    assert_int_equal(back.feed_floor, 1ull << 32 | 1);
    assert_int_equal(manifest_find_space(&back, 3)->generation, 4);
    assert_int_equal(manifest_find_space(&back, 0)->count, 1000);
    manifest_free(&back);
    manifest_free(&manifest);
    free(bytes);
}

static void a_manifest_with_any_bit_flipped_is_refused(void **state) /* M2 */
{
    (void)state;
    struct manifest manifest = make_sample();
    const size_t size = manifest_size(&manifest);
    uint8_t *bytes = encode(&manifest);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct error error = ERROR_NONE;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(manifest_decode(bytes, size, &manifest, &error) < 0);
        assert_true(error.message[0] != '\0');
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
    manifest_free(&manifest);
}

static void a_manifest_cut_or_extended_is_refused(void **state) /* M2 */
{
    (void)state;
    struct manifest manifest = make_sample();
    const size_t size = manifest_size(&manifest);
    uint8_t *bytes = encode(&manifest);
    struct manifest back = MANIFEST_NONE;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that a read past the end is seen by the sanitizer */
        memcpy(copy, bytes, cut);
        assert_true(manifest_decode(copy, cut, &back, NULL) < 0);
        free(copy);
    }
    uint8_t *longer = calloc(size + 8, 1);
    memcpy(longer, bytes, size);
    assert_int_equal(manifest_decode(longer, size + 8, &back, NULL), STAVE_CORRUPT);
    free(longer);
    free(bytes);
    manifest_free(&manifest);
}

/* The sample with 32 bits changed, under a checksum that fits. */
static enum stave_status decode_changed(size_t at, uint32_t value)
{
    struct manifest manifest = make_sample();
    const size_t size = manifest_size(&manifest);
    uint8_t *bytes = encode(&manifest);
    struct manifest back = MANIFEST_NONE;
    store_le32(bytes + at, value);
    store_le64(bytes + size - 8, hash_bytes(bytes, size - 8, 0));
    const enum stave_status status = manifest_decode(bytes, size, &back, NULL);
    manifest_free(&back);
    free(bytes);
    manifest_free(&manifest);
    return status;
}

static void foreign_and_newer_manifests_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(0, 0), STAVE_NOT_A_STORE);
    assert_int_equal(decode_changed(VERSION_AT, MANIFEST_VERSION + 1), STAVE_VERSION);
    assert_int_equal(decode_changed(VERSION_AT, 0), STAVE_CORRUPT);
    assert_int_equal(decode_changed(12, 0), STAVE_OK);
}

static void fields_that_contradict_each_other_are_refused(void **state) /* M2, M3 */
{
    (void)state;
    const size_t output = SEGMENT_AT, log = SEGMENT_AT + SEGMENT_BYTES, open = log + SEGMENT_BYTES;
    const struct {
        size_t at;
        uint32_t value;
    } changes[] = {
        {12, 2}, /* an unknown flag */
        {32, 3}, /* incarnation below a segment's */
        {36, 9}, /* next segment id below a segment's */
        {40, MANIFEST_SLOT_MAX + 1},
        {44, 4}, /* next generation not above a space's */
        {48, 6}, /* swept generation above the next */
        {52, 1}, /* the counts do not fit the size */
        {52, UINT32_MAX},
        {56, UINT32_MAX},
        {60, 1},                            /* reserved */
        {72, 0},                            /* size */
        {80, MANIFEST_SPACE_MAX},           /* a space out of range */
        {80, 3},                            /* the same space twice */
        {output, 0},                        /* a segment's id */
        {output, 7},                        /* the same id twice */
        {output + 4, 4 | 1 << 8},           /* an unknown kind */
        {output + 4, 2 | 2 << 8},           /* an unknown state */
        {output + 4, 2 | 1 << 8 | 4 << 16}, /* an unknown flag */
        {output + 4, 2 | 1 << 8 | 1 << 24}, /* reserved */
        {open + 4, 1 | 1 << 16},            /* an open segment with a flag */
        {output + 4, 1 | 1 << 8},           /* a log segment without incarnation */
        {output + 12, 0},                   /* no slots */
        {output + 12, 17},                  /* a slot of the next segment */
        {output + 12, UINT32_MAX},
        {output + 8, UINT32_MAX},
        {output + 16, 1}, /* an output with an incarnation */
        {output + 20, 1},
        {output + 32, 48}, /* shorter than its header */
        {output + 32, 72}, /* not aligned */
        {output + 36, 1},  /* longer than its slots */
        {output + 76, 1},  /* more tombstones than bytes */
        {output + 84, 1},
        {output + 68, 1}, /* more records than bytes */
        {log + 96, 5},    /* the latest expiry before the earliest */
        {open + 32, 64},  /* an open segment with a length */
    };
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++)
        assert_int_equal(decode_changed(changes[index].at, changes[index].value), STAVE_CORRUPT);
}

static void segments_and_spaces_are_added_and_found(void **state) /* M3 */
{
    (void)state;
    struct manifest manifest = MANIFEST_NONE;
    for (uint32_t index = 0; index < 1000; index++) {
        const struct manifest_segment segment = {.id = index * 7 % 1000 + 1};
        assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    }
    for (uint32_t id = 1; id <= 1000; id++) {
        assert_int_equal(manifest.segments[id - 1].id, id);
        assert_int_equal(manifest_find_segment(&manifest, id)->id, id);
    }
    assert_null(manifest_find_segment(&manifest, 1001));

    assert_int_equal(manifest_set_space(&manifest, &(struct manifest_space){.number = MANIFEST_SPACE_MAX}),
                     STAVE_LIMIT);
    assert_int_equal(manifest_set_space(&manifest, &(struct manifest_space){.number = 5}), STAVE_OK);
    assert_int_equal(manifest_set_space(&manifest, &(struct manifest_space){.number = 5, .count = 2}),
                     STAVE_OK);
    assert_int_equal(manifest.space_count, 1);
    assert_int_equal(manifest_find_space(&manifest, 5)->count, 2);
    assert_null(manifest_find_space(&manifest, 4));
    manifest_free(&manifest);
    manifest_free(&manifest);
}

static void segments_have_a_limit(void **state) /* P11 */
{
    (void)state;
    struct manifest manifest = MANIFEST_NONE;
    for (uint32_t id = 1; id <= MANIFEST_SEGMENT_MAX; id++) {
        const struct manifest_segment segment = {
            .id = id, .kind = SEGMENT_LARGE, .first_slot = id, .slot_count = 1, .identity = id};
        assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    }
    const struct manifest_segment segment = {.id = MANIFEST_SEGMENT_MAX + 1};
    assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_LIMIT);

    manifest.next_segment_id = MANIFEST_SEGMENT_MAX + 1;
    uint8_t *bytes = encode(&manifest);
    struct manifest back = MANIFEST_NONE;
    assert_int_equal(manifest_decode(bytes, manifest_size(&manifest), &back, NULL), STAVE_OK);
    assert_same_manifest(&manifest, &back);
    manifest_free(&back);
    manifest_free(&manifest);
    free(bytes);
}

static void what_was_written_is_read_and_replaced(void **state) /* M1, M4 */
{
    (void)state;
    char *path = test_directory_make();
    struct dir dir = DIR_NONE;
    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    struct manifest manifest = make_sample();
    struct manifest back = MANIFEST_NONE;
    assert_int_equal(manifest_read(&dir, &back, NULL), STAVE_NOT_FOUND);

    for (uint32_t round = 0; round < 3; round++) {
        manifest.next_slot = round;
        assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK);
        assert_int_equal(manifest_read(&dir, &back, NULL), STAVE_OK);
        assert_int_equal(back.next_slot, round);
        manifest_free(&back);
        assert_int_equal(dir_exists(&dir, MANIFEST_TEMP_FILE_NAME, NULL), STAVE_NOT_FOUND);

        struct file spare = FILE_NONE;
        uint64_t size = 0;
        assert_int_equal(file_open(&dir, MANIFEST_SPARE_FILE_NAME, false, &spare, NULL), STAVE_OK);
        assert_int_equal(file_disk_size(&spare, &size, NULL), STAVE_OK);
        assert_true(size >= manifest_size(&manifest));
        (void)file_close(&spare, NULL);
    }
    manifest_free(&manifest);
    dir_close(&dir);
    test_directory_remove(path);
}

static void leftovers_of_a_crash_do_not_matter(void **state) /* M1, P3 */
{
    (void)state;
    char *path = test_directory_make();
    struct dir dir = DIR_NONE;
    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    struct manifest manifest = make_sample();
    struct manifest back = MANIFEST_NONE;
    assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK);

    uint8_t *larger = calloc(100000, 1); /* a half-written file of a larger manifest */
    memset(larger, 0xEE, 100000);
    test_file_write(path, MANIFEST_TEMP_FILE_NAME, larger, 100000);
    test_file_write(path, MANIFEST_SPARE_FILE_NAME, larger, 100000);
    assert_int_equal(manifest_read(&dir, &back, NULL), STAVE_OK);
    manifest_free(&back);
    assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK); /* over the spare */
    assert_int_equal(manifest_read(&dir, &back, NULL), STAVE_OK);
    assert_same_manifest(&manifest, &back);
    manifest_free(&back);
    assert_int_equal(dir_unlink(&dir, MANIFEST_SPARE_FILE_NAME, NULL), STAVE_OK);
    assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK); /* over the temporary file */
    assert_int_equal(manifest_read(&dir, &back, NULL), STAVE_OK);
    assert_same_manifest(&manifest, &back);
    manifest_free(&back);

    struct error error = ERROR_NONE;
    const size_t size = manifest_size(&manifest);
    manifest_encode(&manifest, larger);
    larger[size / 2] ^= 1;
    test_file_write(path, MANIFEST_FILE_NAME, larger, size);
    assert_int_equal(manifest_read(&dir, &back, &error), STAVE_CORRUPT);
    char expected[ERROR_MESSAGE_SIZE]; /* P6: file and offset */
    (void)snprintf(expected, sizeof(expected),
                   "%s/" MANIFEST_FILE_NAME ": does not match its checksum at offset %zu", path, size - 8);
    assert_string_equal(error.message, expected);

    memset(larger, 0xEE, 100000);
    test_file_write(path, MANIFEST_FILE_NAME, larger, 100000);
    assert_int_equal(manifest_read(&dir, &back, &error), STAVE_NOT_A_STORE);
    assert_non_null(strstr(error.message, MANIFEST_FILE_NAME));
    test_file_write(path, MANIFEST_FILE_NAME, larger, 0);
    assert_true(manifest_read(&dir, &back, NULL) < 0);
    free(larger);
    manifest_free(&manifest);
    dir_close(&dir);
    test_directory_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_comes_back_as_it_was),
        cmocka_unit_test(a_manifest_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_manifest_cut_or_extended_is_refused),
        cmocka_unit_test(foreign_and_newer_manifests_are_told_apart),
        cmocka_unit_test(fields_that_contradict_each_other_are_refused),
        cmocka_unit_test(segments_and_spaces_are_added_and_found),
        cmocka_unit_test(segments_have_a_limit),
        cmocka_unit_test(what_was_written_is_read_and_replaced),
        cmocka_unit_test(leftovers_of_a_crash_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
