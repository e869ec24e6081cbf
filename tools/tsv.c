/* SPDX-License-Identifier: MIT */
/* Writes and parses tab-separated values. */
#include "tools/tsv.h"

#include "tools/text.h"

#include <inttypes.h>

void tsv_write(FILE *out, const struct record *record)
{
    text_escaped_write(out, record->key);
    putc_unlocked('\t', out);
    text_escaped_write(out, record->value);
    if (record->expires_at_ms != 0) fprintf(out, "\t%" PRIu64, record->expires_at_ms);
    putc_unlocked('\n', out);
}

static enum parse_result refuse(struct refusal *refusal, const char *reason, size_t offset)
{
    *refusal = (struct refusal){reason, offset};
    return PARSE_REFUSED;
}

/* The column from `start` to the next tab or the end. */
static struct stave_bytes column_at(struct stave_bytes line, size_t start)
{
    const uint8_t *at = (const uint8_t *)line.data + start;
    const void *tab = line.size == start ? NULL : memchr(at, '\t', line.size - start);
    return stave_bytes(at, tab == NULL ? line.size - start : (size_t)((const uint8_t *)tab - at));
}

static bool read_number(struct stave_bytes column, uint64_t *ret_number)
{
    const uint8_t *digits = column.data;
    uint64_t number = 0;
    for (size_t i = 0; i < column.size; i++) {
        if (digits[i] < '0' || digits[i] > '9') return false;
        const uint64_t digit = (uint64_t)(digits[i] - '0');
        if (number > (UINT64_MAX - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return column.size > 0;
}

enum parse_result tsv_parse(struct stave_bytes line, uint8_t *scratch, struct record *ret_record,
                            struct refusal *ret_refusal)
{
    if (line.size > 0 && ((const uint8_t *)line.data)[line.size - 1] == '\r') line.size--;
    if (line.size == 0) return PARSE_NOTHING;

    struct record record = {0};
    const struct stave_bytes key = column_at(line, 0);
    if (key.size == line.size) return refuse(ret_refusal, "there is no tab between key and value", line.size);
    record.key.data = scratch;
    if (!text_escaped_decode(key, scratch, &record.key.size))
        return refuse(ret_refusal, "there is no such escape", record.key.size);

    const size_t value_start = key.size + 1;
    const struct stave_bytes value = column_at(line, value_start);
    record.value.data = scratch + record.key.size;
    if (!text_escaped_decode(value, scratch + record.key.size, &record.value.size))
        return refuse(ret_refusal, "there is no such escape", value_start + record.value.size);

    const size_t value_end = value_start + value.size;
    if (value_end < line.size) {
        const struct stave_bytes rest =
            stave_bytes((const uint8_t *)line.data + value_end + 1, line.size - value_end - 1);
        if (!read_number(rest, &record.expires_at_ms))
            return refuse(ret_refusal, "the third column is not a time in milliseconds", value_end + 1);
    }
    *ret_record = record;
    return PARSE_DONE;
}
