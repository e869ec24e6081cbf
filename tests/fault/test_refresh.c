/* SPDX-License-Identifier: MIT */
/* A refresh that fails anywhere: what is seen after it, and after the next one (refresh.h, F3). */
#include "support/fixture.h"

#include <errno.h>

#include "support/crash_copy.h"
#include "support/fault.h"

enum { KEY_COUNT = 120, VALUE_SIZE = 400, ROUNDS_MIN = 20, ROUNDS_MAX = 1000 };

/* The version of each key's value; 0: it is not there. */
struct contents {
    uint64_t versions[KEY_COUNT];
};

static struct stave_bytes name_key(char ret_text[32], size_t number)
{
    (void)snprintf(ret_text, 32, "k%zu", number);
    return stave_text(ret_text);
}

static void change_some(struct stave *writer, struct contents *contents, uint64_t round)
{
    uint8_t value[VALUE_SIZE];
    char text[32];
    for (size_t number = 0; number < KEY_COUNT; number++) {
        const struct stave_bytes key = name_key(text, number);
        if (number % 5 == round % 5 && contents->versions[number] != 0) {
            assert_int_equal(stave_delete(writer, key), STAVE_OK);
            contents->versions[number] = 0;
        } else if (number % 3 == round % 3) {
            fill_bytes(value, sizeof(value), number + (round << 32));
            assert_int_equal(stave_put(writer, key, stave_bytes(value, sizeof(value))), STAVE_OK);
            contents->versions[number] = round;
        }
    }
    if (round % 4 == 0) assert_int_equal(stave_compact(writer, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    crash_wait_until_quiet(writer);
}

static bool is_version(const struct stave_value *value, size_t number, uint64_t version)
{
    if (value->data == NULL) return version == 0;
    return version != 0 && value->size == VALUE_SIZE &&
           bytes_are(value->data, value->size, number + (version << 32));
}

/* Each key is as it was at the refresh before, or as it is now. */
static void expect_either(struct stave *reader, const struct contents *before, const struct contents *now)
{
    char text[32];
    for (size_t number = 0; number < KEY_COUNT; number++) {
        struct stave_value value = {0};
        const enum stave_status status = stave_get(reader, name_key(text, number), &value);
        assert_true(status == STAVE_OK || status == STAVE_NOT_FOUND);
        if (!is_version(&value, number, before->versions[number]) &&
            !is_version(&value, number, now->versions[number]))
            fail_msg("%s is neither as it was nor as it is", text);
        stave_free(value.data);
    }
}

/* As long as the nth call of a refresh fails, for each n in turn. */
static void each_call_fails(struct fixture *fixture, uint32_t kinds)
{
    struct contents before = {{0}};
    struct contents now = {{0}};
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    struct stave_options options = fixture->options;
    options.read_only = true;
    struct stave *reader = store_open(fixture->scratch.store, &options);
    uint64_t failed = 0;
    bool fired = true;
    for (uint64_t round = 1; (fired || round < ROUNDS_MIN) && round < ROUNDS_MAX; round++) {
        change_some(fixture->store, &now, round);
        fault_choose(kinds);
        fault_arm(round, EIO);
        const enum stave_status status = stave_refresh(reader);
        fired = fault_disarm();
        fault_choose(FAULT_SYSTEM);
        failed += status != STAVE_OK;
        expect_either(reader, &before, &now);
        assert_int_equal(stave_refresh(reader), STAVE_OK);
        expect_either(reader, &now, &now);
        before = now;
    }
    assert_true(failed >= ROUNDS_MIN / 2);
    store_close(reader);
}

/* F3, P4 */
static void after_a_refresh_without_memory_the_next_one_sees_everything(void **state)
{
    each_call_fails(*state, FAULT_MEMORY);
}

/* F3, P4 */
static void after_a_refresh_that_could_not_read_the_next_one_sees_everything(void **state)
{
    each_call_fails(*state, FAULT_READ | FAULT_OPEN | FAULT_MAP | FAULT_STAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(after_a_refresh_without_memory_the_next_one_sees_everything),
        FIXTURE_TEST(after_a_refresh_that_could_not_read_the_next_one_sees_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
