/* SPDX-License-Identifier: MIT */
/* Tab-separated values, as `stave load` reads them: what is accepted is written and read again the same. */
#include "fuzz/exchange.h"

#include "tools/tsv.h"

enum parse_result exchange_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 struct refusal *ret_refusal)
{
    return tsv_parse(input, scratch, ret_record, ret_refusal);
}

void exchange_write(FILE *out, const struct record *record)
{
    tsv_write(out, record);
}

const size_t exchange_end_size = 1;

const char *const exchange_seeds[] = {
    "key\tvalue", "k\\t\\n\\r\\0\\\\\\x7f\tv\\xff\t1700000000000", "\t\r", "k\tv\t18446744073709551615", "",
    NULL,
};
