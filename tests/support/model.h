/* SPDX-License-Identifier: MIT */
/*
 * A plain map that does what a store is to do, and random operations that are carried out on both.
 *
 *   O1  After every operation the result is the one that the map gives.
 *   O2  After a reopen, whatever became of the checkpoint, each key holds what it held.         (P3, P4)
 *   O3  Sequences only grow, and a key keeps the one that its write returned.                   (P4)
 *
 * All that happens follows from the seed, except what threads of the store do beside it.
 */
#ifndef STAVE_TESTS_MODEL_H
#define STAVE_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"
#include "support/scratch.h"

enum {
    MODEL_SPACE_COUNT = 4,
    MODEL_KEY_COUNT = 150,
    MODEL_KEY_SIZE_MAX = 3000,
};

struct model_value {
    bool present;
    bool indeterminate; /* expired: the store may still count it */
    uint64_t number;    /* of fill_bytes */
    size_t size;
    uint64_t expires_at_ms;
    uint64_t sequence;
};

struct model {
    struct scratch scratch;
    struct random_source random;
    struct stave *store;
    struct stave_options options;
    struct model_value values[MODEL_SPACE_COUNT][MODEL_KEY_COUNT];
    uint64_t newest; /* sequence */
    uint64_t steps;
    bool has_old_checkpoint;
    bool only_spaces; /* steps are those that fill, empty, drop and swap spaces */
    bool stays_open;  /* no step closes the store */
};

/* Makes a directory and a store in it. */
void model_begin(struct model *model, uint64_t seed);
void model_end(struct model *model);

/* Opens the closed, or killed, store with other options, its checkpoint perhaps spoiled, and compares. */
void model_open(struct model *model);

/* One random operation, and the check of its result. */
void model_step(struct model *model);

/* Compares every key of every space, the counts, and what a cursor walks through. */
void model_compare(struct model *model, struct stave *store);

#endif
