/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a store and on a plain map, side by side (support/model.h, O1 to O3).
 *
 * STAVE_TEST_SEED repeats a run, STAVE_TEST_RUNS and STAVE_TEST_STEPS make more of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/model.h"

static void store_agrees_with_a_map(void **state)
{
    (void)state;
    const uint64_t seed = test_seed();
    const uint64_t runs = environment_number("STAVE_TEST_RUNS", 4);
    const uint64_t steps = environment_number("STAVE_TEST_STEPS", 500);
    struct model *model = malloc(sizeof(*model));
    assert_non_null(model);
    for (uint64_t run = 0; run < runs; run++) {
        (void)fprintf(stderr, "run of STAVE_TEST_SEED=%llu STAVE_TEST_RUNS=1\n",
                      (unsigned long long)(seed + run));
        model_begin(model, seed + run);
        for (uint64_t step = 0; step < steps; step++) model_step(model);
        model_compare(model, model->store);
        model_end(model);
    }
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(store_agrees_with_a_map)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
