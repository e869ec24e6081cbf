/* SPDX-License-Identifier: MIT */
/* SET commands, as `stave load` reads them: what is accepted is written and read again as the same record. */
#include "fuzz/exchange.h"

#include "tools/resp_set.h"

enum parse_result exchange_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 struct refusal *ret_refusal)
{
    static uint8_t line[RESP_SET_LINE_SIZE_MAX];
    size_t used = 0;
    (void)scratch;
    const enum parse_result result = resp_set_parse(input, line, ret_record, &used, ret_refusal);
    if (result == PARSE_DONE || result == PARSE_NOTHING)
        fuzz_expect(used > 0 && used <= input.size, "a command takes some of its input");
    return result;
}

void exchange_write(FILE *out, const struct record *record)
{
    resp_set_write(out, record);
}

const size_t exchange_end_size = 0;

const char *const exchange_seeds[] = {
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\nbc\r\n",
    "*5\r\n$3\r\nset\r\n$1\r\na\r\n$0\r\n\r\n$2\r\nPX\r\n$5\r\n12345\r\n",
    "SET key \"va\\x00l\\n\" EX 10\r\n",
    "set 'it\\'s' value pxat 1700000000000\n",
    "*3\r\n$3\r\nSET\r\n$4\r\nlong",
    "\r\n",
    NULL,
};
