/* SPDX-License-Identifier: MIT */
/* What the formats of dump and load have in common: exchange.c drives what each target defines. */
#ifndef STAVE_FUZZ_EXCHANGE_H
#define STAVE_FUZZ_EXCHANGE_H

#include "fuzz/fuzz.h"
#include "tools/record.h"

/* `scratch` is as large as the input. */
enum parse_result exchange_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 struct refusal *ret_refusal);
void exchange_write(FILE *out, const struct record *record);

extern const size_t exchange_end_size; /* of what is written, bytes that the parser does not take */

extern const char *const exchange_seeds[]; /* NULL ends them */

#endif
