/* SPDX-License-Identifier: MIT */
/*
 * Directories, stores and values for tests of whole stores.
 *
 * Everything here fails the running test when it cannot be done, with the reason. Directories are made below
 * TMPDIR or /tmp and are removed with all that is in them.
 */
#ifndef STAVE_TESTS_SCRATCH_H
#define STAVE_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

enum { SCRATCH_PATH_SIZE = 600 };

struct scratch {
    char root[SCRATCH_PATH_SIZE - 100];
    char store[SCRATCH_PATH_SIZE]; /* root/store, not made yet */
};

void scratch_make(struct scratch *ret_scratch);
void scratch_remove(struct scratch *scratch);
void scratch_path(const struct scratch *scratch, const char *name, char ret_path[SCRATCH_PATH_SIZE]);

/* Copies a flat directory's files; `to` is made. */
void scratch_copy(const char *from, const char *to);
void scratch_remove_tree(const char *path);

bool scratch_has(const char *dir, const char *name);
uint64_t scratch_size(const char *dir, const char *name);
void scratch_unlink(const char *dir, const char *name);
void scratch_truncate(const char *dir, const char *name, uint64_t size);
/* Turns over the bits of one byte. */
void scratch_flip(const char *dir, const char *name, uint64_t offset);
/* The offset of the first, or last, place where `bytes` stand in a file; UINT64_MAX if they do not. */
uint64_t scratch_find(const char *dir, const char *name, struct stave_bytes bytes, bool last);
/* The segment file that holds `bytes`: its name, and the offset. False if there is none. */
bool scratch_find_segment(const char *dir, struct stave_bytes bytes, char ret_name[64], uint64_t *ret_offset);
size_t scratch_count_segments(const char *dir);
/* Out of the page cache, as far as the file system lets them go (tmpfs does not), and nobody maps them. */
void scratch_drop_pages(const char *dir);
/* Bytes of the files in a flat directory that are in the page cache, as the system has it: whole pages. */
uint64_t scratch_resident_size(const char *dir);
/* Descriptors that this process has open. */
size_t scratch_count_descriptors(void);

/* Options for small segments, so that rolls and compactions happen all the time. */
struct stave_options small_options(void);

struct stave *store_open(const char *path, const struct stave_options *options);
void store_close(struct stave *store);
void store_put(struct stave *store, const char *key, const char *value);
void store_expect(struct stave *store, const char *key, const char *value); /* NULL: absent */

/* Numbers from a seed, the same everywhere. */
struct random_source {
    uint64_t state;
};

uint64_t random_next(struct random_source *random);
uint64_t random_below(struct random_source *random, uint64_t limit);
bool random_chance(struct random_source *random, unsigned one_in);

/* Bytes that follow from a number: for values that can be checked without keeping them. */
void fill_bytes(void *ret_bytes, size_t size, uint64_t number);
bool bytes_are(const void *bytes, size_t size, uint64_t number);

/* A number of the environment, or `standard`. */
uint64_t environment_number(const char *name, uint64_t standard);
uint64_t test_seed(void); /* STAVE_TEST_SEED, or the clock's; printed once */
uint64_t test_clock_ns(void);
/*
 * Sleeps a moment between two looks at what must come. False when it has not come minutes after `began_ns`:
 * that is no bound for what is waited for, but ends a wait in vain with its line, before ctest ends the
 * program.
 */
bool test_nap(uint64_t began_ns);
/* Skips the running test for what is missing here, never for what Stave answered; `make test` names it. */
_Noreturn void test_skip(const char *reason);

#endif
