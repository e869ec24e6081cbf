/* SPDX-License-Identifier: MIT */
/*
 * A second reader of a store's files, written from docs/FORMAT.md alone: it shares no code with src/.
 *
 * What it cannot read by that text, or reads differently than the store does, is a mistake in the one or the
 * other. It keeps whole files in memory, and is for stores made by tests.
 */
#ifndef STAVE_TESTS_TINY_READER_H
#define STAVE_TESTS_TINY_READER_H

#include <stdint.h>
#include <stdio.h>

enum { TINY_READER_PROBLEM_SIZE = 256 };

/*
 * Prints a line for every key that has a value at `now_ms`: the space's number, the key and the value in
 * hexadecimal ("-" if empty), in the order of generations and keys. Returns 0; or -1, with what is damaged,
 * and where.
 */
int tiny_reader_print(const char *directory, uint64_t now_ms, FILE *out,
                      char ret_problem[TINY_READER_PROBLEM_SIZE]);

#endif
