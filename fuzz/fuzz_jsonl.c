/* SPDX-License-Identifier: MIT */
/* JSON Lines, as `stave load` reads them: what is accepted is written and read again as the same record. */
#include "fuzz/exchange.h"

#include "tools/jsonl.h"

enum parse_result exchange_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 struct refusal *ret_refusal)
{
    return jsonl_parse(input, scratch, ret_record, ret_refusal);
}

void exchange_write(FILE *out, const struct record *record)
{
    jsonl_write(out, record);
}

const size_t exchange_end_size = 1;

const char *const exchange_seeds[] = {
    "{\"key\": \"a\", \"value\": \"b\"}",
    "{\"value_base64\": \"AAEC/w==\", \"key_base64\": \"/w==\", \"expires_at_ms\": 1700000000000}",
    " { \"key\" : \"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\" , \"value\" : \"\\u0000\" } \r",
    "{\"key\": \"\303\251\360\237\230\200\", \"value\": \"\", \"expires_at_ms\": 18446744073709551615}",
    "",
    NULL,
};
