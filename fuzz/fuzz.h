/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target: a function of bytes that must end, touch nothing out of bounds, and abort on a wrong answer.
 *
 * Each fuzz_*.c is linked twice: with libFuzzer (`make fuzz`), and with replay.c, which gives it its seeds
 * and random changes of them in `make test`. Bytes with checksums are mended first, so that changes reach
 * what lies behind them.
 */
#ifndef STAVE_FUZZ_FUZZ_H
#define STAVE_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Always 0, as libFuzzer wants it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes seed `number`, counted from 0; its size is at most FUZZ_SEED_SIZE, and 0 if there is none. */
size_t fuzz_seed(unsigned number, uint8_t *ret_bytes);

enum { FUZZ_SEED_SIZE = 8192 };

static inline void fuzz_expect(int condition, const char *what)
{
    if (condition) return;
    (void)fprintf(stderr, "not so: %s\n", what);
    abort();
}

#endif
