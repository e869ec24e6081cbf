/* SPDX-License-Identifier: MIT */
/* docs/FORMAT.md is enough to write a reader: one written from it reads what src/log writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/manifest.h"
#include "os/dir.h"
#include "support/segment_writer.h"
#include "support/tiny_reader.h"

enum { NOW_MS = 1000 };

struct fixture {
    char *path;
    struct manifest manifest;
    char problem[TINY_READER_PROBLEM_SIZE];
};

static struct fixture begin(void)
{
    struct segment_writer writer; /* for the hash seed */
    segment_writer_begin(&writer, SEGMENT_LOG, 1);
    struct fixture fixture = {.path = test_directory_make(),
                              .manifest = {.store_id = writer.header.store_id,
                                           .hash_seed = writer.header.hash_seed,
                                           .incarnation = 100,
                                           .next_segment_id = 101,
                                           .next_generation = 2000}};
    segment_writer_free(&writer);
    return fixture;
}

static void end(struct fixture *fixture)
{
    manifest_free(&fixture->manifest);
    test_directory_remove(fixture->path);
}

/* Writes the segment's file and lists it: sealed at its size, or open with zeroes behind. */
static void add(struct fixture *fixture, struct segment_writer *writer, bool is_sealed,
                uint64_t last_sequence)
{
    const struct manifest_segment segment = {.id = writer->header.id,
                                             .kind = (uint8_t)writer->header.kind,
                                             .state =
                                                 is_sealed ? MANIFEST_SEGMENT_SEALED : MANIFEST_SEGMENT_OPEN,
                                             .first_slot = writer->header.id,
                                             .slot_count = 1,
                                             .incarnation = writer->header.incarnation,
                                             .identity = writer->header.identity,
                                             .length = is_sealed ? writer->size : 0,
                                             .last_sequence = last_sequence};
    assert_int_equal(manifest_add_segment(&fixture->manifest, &segment), STAVE_OK);
    segment_writer_save(writer, fixture->path, is_sealed ? writer->size : writer->size + 4096);
    segment_writer_free(writer);
}

static int print(struct fixture *fixture, char **ret_text)
{
    struct dir dir = DIR_NONE;
    size_t size = 0;
    assert_int_equal(dir_open(fixture->path, &dir, NULL), STAVE_OK);
    assert_int_equal(manifest_write(&dir, &fixture->manifest, NULL), STAVE_OK);
    dir_close(&dir);
    FILE *out = open_memstream(ret_text, &size);
    assert_non_null(out);
    const int result = tiny_reader_print(fixture->path, NOW_MS, out, fixture->problem);
    (void)fclose(out);
    return result;
}

static void expect_text(struct fixture *fixture, const char *expected)
{
    char *text = NULL;
    const int result = print(fixture, &text);
    if (result != 0) print_message("%s\n", fixture->problem);
    assert_int_equal(result, 0);
    assert_string_equal(text, expected);
    free(text);
}

static void expect_damage(struct fixture *fixture, const char *where)
{
    char *text = NULL;
    assert_int_equal(print(fixture, &text), -1);
    assert_non_null(strstr(fixture->problem, where));
    free(text);
}

static struct segment_writer writer_of(enum segment_kind kind, uint32_t id)
{
    struct segment_writer writer;
    segment_writer_begin(&writer, kind, id);
    return writer;
}

static void the_highest_sequence_wins_in_whichever_file(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer old = writer_of(SEGMENT_LOG, 1);
    segment_writer_put(&old, "a", "1");
    segment_writer_put(&old, "b", "2");
    segment_writer_put(&old, "c", "3");
    segment_writer_put(&old, "", "e");
    add(&fixture, &old, true, 0);
    struct segment_writer moved = writer_of(SEGMENT_OUTPUT, 3); /* older than its file: `a` as of segment 1 */
    segment_writer_add(&moved, (struct record){.kind = RECORD_PUT, .sequence = 1ull << 32 | 1}, "a", 1, "1",
                       1);
    add(&fixture, &moved, true, 0);
    struct segment_writer tail = writer_of(SEGMENT_LOG, 2);
    segment_writer_put(&tail, "a", "new");
    segment_writer_delete(&tail, "b");
    segment_writer_put(&tail, "d", "");
    segment_writer_mark(&tail, tail.size, 1);
    add(&fixture, &tail, false, 0);
    expect_text(&fixture, "0 - 65\n0 61 6e6577\n0 63 33\n0 64 -\n");
    end(&fixture);
}

static void an_unfinished_output_and_a_headerless_spare_mean_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer output = writer_of(SEGMENT_OUTPUT, 1);
    segment_writer_add(&output, (struct record){.kind = RECORD_PUT, .sequence = 9}, "a", 1, "1", 1);
    add(&fixture, &output, false, 0);
    struct segment_writer spare = writer_of(SEGMENT_LOG, 2);
    memset(spare.bytes, 0, SEGMENT_HEADER_SIZE);
    add(&fixture, &spare, false, 0);
    expect_text(&fixture, "");
    end(&fixture);
}

static void an_expired_key_is_absent(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    struct record record = {.kind = RECORD_PUT, .flags = RECORD_HAS_EXPIRY, .expires_at_ms = NOW_MS};
    segment_writer_put(&log, "a", "older");
    segment_writer_add(&log, record, "a", 1, "1", 1);
    record.expires_at_ms = NOW_MS + 1;
    segment_writer_add(&log, record, "b", 1, "2", 1);
    add(&fixture, &log, true, 0);
    expect_text(&fixture, "0 62 32\n");
    end(&fixture);
}

static void spaces(struct segment_writer *writer, struct record_spaces spaces)
{
    uint8_t value[RECORD_SPACES_SIZE];
    record_encode_spaces(&spaces, value);
    segment_writer_add(writer, (struct record){.kind = RECORD_SPACES}, NULL, 0, value, sizeof(value));
}

static void spaces_are_dropped_and_swapped_by_the_log(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    segment_writer_put(&log, "a", "1");
    segment_writer_add(&log, (struct record){.kind = RECORD_PUT, .generation = 1500}, "b", 1, "2", 1);
    segment_writer_add(&log, (struct record){.kind = RECORD_PUT, .generation = 3}, "c", 1, "3", 1);
    spaces(&log,
           (struct record_spaces){.op = RECORD_SPACES_DROP, .a = 3, .generation = 1501, .old_generation = 3});
    spaces(&log, (struct record_spaces){.op = RECORD_SPACES_SWAP, .a = 0, .b = 1023});
    segment_writer_add(&log, (struct record){.kind = RECORD_PUT, .generation = 1501}, "d", 1, "4", 1);
    add(&fixture, &log, false, 0);
    assert_int_equal(manifest_set_space(&fixture.manifest, &(struct manifest_space){7, 1500, 1}), STAVE_OK);
    expect_text(&fixture, "1023 61 31\n7 62 32\n3 64 34\n");
    end(&fixture);
}

/* A LARGE segment of one record, and the LINK to it in `log`. */
static struct segment_writer link_large(struct segment_writer *log, uint32_t id)
{
    struct segment_writer large = writer_of(SEGMENT_LARGE, id);
    const struct record put = {.kind = RECORD_PUT,
                               .sequence = (uint64_t)log->header.incarnation << 32 | ++log->counter};
    segment_writer_add(&large, put, "large", 5, "value", 5);
    const struct record link_record = {.kind = RECORD_LINK, .sequence = put.sequence};
    const struct record_link link = {
        .segment_id = id,
        .identity = large.header.identity,
        .value_size = 5,
        .payload_checksum = load_le32(large.bytes + SEGMENT_HEADER_SIZE + RECORD_PAYLOAD_CHECKSUM_AT)};
    uint8_t value[RECORD_LINK_SIZE];
    record_encode_link(&link, value);
    segment_writer_add(log, link_record, "large", 5, value, sizeof(value));
    return large;
}

static void a_link_in_an_open_segment_publishes_a_large_one(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    struct segment_writer large = link_large(&log, 2);
    add(&fixture, &log, false, 0);
    segment_writer_save(&large, fixture.path, large.size); /* not listed */
    segment_writer_free(&large);
    expect_text(&fixture, "0 6c61726765 76616c7565\n");
    end(&fixture);
}

static void a_large_segment_whose_link_was_lost_does_not_count(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    segment_writer_put(&log, "a", "1");
    const size_t before = log.size;
    struct segment_writer large = link_large(&log, 2);
    log.size = before;
    add(&fixture, &log, false, 0);
    add(&fixture, &large, true, 1ull << 32 | 2);
    expect_text(&fixture, "0 61 31\n");
    fixture.manifest.segments[0].state =
        MANIFEST_SEGMENT_SEALED; /* with the log sealed, it counts by itself */
    fixture.manifest.segments[0].length = before;
    expect_text(&fixture, "0 61 31\n0 6c61726765 76616c7565\n");
    end(&fixture);
}

static void a_batch_counts_as_a_whole_or_not_at_all(void **state) /* P5 */
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    segment_writer_put(&log, "a", "1");
    segment_writer_batch(&log, 2, 96);
    segment_writer_put_in_batch(&log, "b", "2");
    const size_t last = segment_writer_put_in_batch(&log, "c", "3");
    segment_writer_put(&log, "d", "4");
    struct segment_writer copy = log;
    copy.bytes = malloc(log.size);
    memcpy(copy.bytes, log.bytes, log.size);
    copy.bytes[last + 41] ^= 1;
    copy.header.id = log.header.id;
    add(&fixture, &log, false, 0);
    expect_text(&fixture, "0 61 31\n0 62 32\n0 63 33\n0 64 34\n");
    segment_writer_save(&copy, fixture.path, copy.size);
    segment_writer_free(&copy);
    expect_text(&fixture, "0 61 31\n");
    end(&fixture);
}

static void a_torn_tail_is_the_end_and_a_mark_makes_it_damage(void **state) /* P3, P6 */
{
    (void)state;
    for (int with_mark = 0; with_mark < 3; with_mark++) {
        struct fixture fixture = begin();
        struct segment_writer first = writer_of(SEGMENT_LOG, 1);
        segment_writer_put(&first, "a", "1");
        const size_t bad = segment_writer_put(&first, "b", "2");
        segment_writer_put(&first, "c", "3");
        if (with_mark == 1) segment_writer_mark(&first, first.size, 1);
        first.bytes[bad] ^= 1;
        add(&fixture, &first, false, 0);
        struct segment_writer second = writer_of(SEGMENT_LOG, 2);
        segment_writer_put(&second, "d", "4");
        if (with_mark == 2) segment_writer_mark(&second, SEGMENT_HEADER_SIZE, 1);
        add(&fixture, &second, false, 0);
        if (with_mark == 0)
            expect_text(&fixture, "0 61 31\n");
        else
            expect_damage(&fixture, "0000000001.seg: damage at offset 112");
        end(&fixture);
    }
}

static void a_segment_whose_last_records_are_missing_ends_the_log(void **state) /* P3, P6 */
{
    (void)state;
    for (uint32_t counter = 1; counter <= 3; counter++) { /* the last before the second segment's first */
        for (int with_mark = 0; with_mark < 2; with_mark++) {
            struct fixture fixture = begin();
            struct segment_writer first = writer_of(SEGMENT_LOG, 1);
            segment_writer_put(&first, "a", "1");
            segment_writer_put(&first, "b", "2");
            add(&fixture, &first, false, 0);
            struct segment_writer second = writer_of(SEGMENT_LOG, 2);
            second.counter = counter;
            segment_writer_put(&second, "c", "3");
            if (with_mark) segment_writer_mark(&second, SEGMENT_HEADER_SIZE, 1);
            add(&fixture, &second, false, 0);
            if (counter == 2)
                expect_text(&fixture, "0 61 31\n0 62 32\n0 63 33\n");
            else if (with_mark)
                expect_damage(&fixture, "0000000001.seg: damage at offset 160");
            else
                expect_text(&fixture, "0 61 31\n0 62 32\n");
            end(&fixture);
        }
    }
}

static void damage_in_a_sealed_segment_is_named(void **state) /* P6 */
{
    (void)state;
    struct fixture fixture = begin();
    struct segment_writer log = writer_of(SEGMENT_LOG, 1);
    segment_writer_put(&log, "a", "1");
    const size_t bad = segment_writer_put(&log, "b", "2");
    log.bytes[bad + 41] ^= 1;
    add(&fixture, &log, true, 0);
    expect_damage(&fixture, "0000000001.seg: damage at offset 112");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_sequence_wins_in_whichever_file),
        cmocka_unit_test(an_unfinished_output_and_a_headerless_spare_mean_nothing),
        cmocka_unit_test(an_expired_key_is_absent),
        cmocka_unit_test(spaces_are_dropped_and_swapped_by_the_log),
        cmocka_unit_test(a_link_in_an_open_segment_publishes_a_large_one),
        cmocka_unit_test(a_large_segment_whose_link_was_lost_does_not_count),
        cmocka_unit_test(a_batch_counts_as_a_whole_or_not_at_all),
        cmocka_unit_test(a_torn_tail_is_the_end_and_a_mark_makes_it_damage),
        cmocka_unit_test(a_segment_whose_last_records_are_missing_ends_the_log),
        cmocka_unit_test(damage_in_a_sealed_segment_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
