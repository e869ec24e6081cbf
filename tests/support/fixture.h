/* SPDX-License-Identifier: MIT */
/* An open store in a directory of its own, made before a test and removed after it. */
#ifndef STAVE_TESTS_FIXTURE_H
#define STAVE_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stave.h"
#include "support/scratch.h"

struct fixture {
    struct scratch scratch;
    struct stave_options options;
    struct stave *store; /* NULL: closed by the test */
};

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    scratch_make(&fixture->scratch);
    fixture->options = small_options();
    fixture->store = store_open(fixture->scratch.store, &fixture->options);
    *state = fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->store != NULL) (void)stave_close(fixture->store);
    scratch_remove(&fixture->scratch);
    free(fixture);
    return 0;
}

static inline void fixture_close(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

static inline void fixture_reopen(struct fixture *fixture)
{
    if (fixture->store != NULL) fixture_close(fixture);
    fixture->store = store_open(fixture->scratch.store, &fixture->options);
}

/* Puts `count` keys "<prefix>0".. with values of `size` bytes that follow from their number. */
static inline void fixture_fill(struct stave *store, const char *prefix, size_t count, size_t size,
                                uint64_t version)
{
    char key[64];
    uint8_t *value = malloc(size + 1);
    assert_non_null(value);
    for (size_t number = 0; number < count; number++) {
        (void)snprintf(key, sizeof(key), "%s%zu", prefix, number);
        fill_bytes(value, size, number + (version << 32));
        assert_int_equal(stave_put(store, stave_text(key), stave_bytes(value, size)), STAVE_OK);
    }
    free(value);
}

static inline void fixture_expect_filled(struct stave *store, const char *prefix, size_t count, size_t size,
                                         uint64_t version)
{
    char key[64];
    for (size_t number = 0; number < count; number++) {
        struct stave_value value = {0};
        (void)snprintf(key, sizeof(key), "%s%zu", prefix, number);
        const enum stave_status status = stave_get(store, stave_text(key), &value);
        if (status != STAVE_OK) fail_msg("%s: %d", key, (int)status);
        assert_int_equal(value.size, size);
        if (!bytes_are(value.data, value.size, number + (version << 32)))
            fail_msg("%s has another value", key);
        stave_free(value.data);
    }
}

static inline void fixture_delete(struct stave *store, const char *prefix, size_t count)
{
    char key[64];
    for (size_t number = 0; number < count; number++) {
        (void)snprintf(key, sizeof(key), "%s%zu", prefix, number);
        assert_int_equal(stave_delete(store, stave_text(key)), STAVE_OK);
    }
}

static inline void fixture_expect_absent(struct stave *store, const char *prefix, size_t count)
{
    char key[64];
    for (size_t number = 0; number < count; number++) {
        (void)snprintf(key, sizeof(key), "%s%zu", prefix, number);
        store_expect(store, key, NULL);
    }
}

#define FIXTURE_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

#endif
