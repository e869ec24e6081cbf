/* SPDX-License-Identifier: MIT */
/* Replies of the Redis protocol, as a client reads them: whole and in pieces they are the same values. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/resp_value.h"

#define MEMORY_MAX ((size_t)1 << 20)

static enum resp_status read_all(struct resp_reader *reader, const uint8_t *data, size_t size, size_t step)
{
    size_t at = 0;
    enum resp_status status = RESP_MORE;
    while (at < size && status == RESP_MORE) {
        const size_t part = step < size - at ? step : size - at;
        uint8_t *block = malloc(part);
        fuzz_expect(block != NULL, "there is memory");
        memcpy(block, data + at, part);
        size_t used = 0;
        status = resp_read(reader, block, part, &used);
        free(block);
        fuzz_expect(used <= part, "no more is used than there is");
        fuzz_expect(status != RESP_MORE || used == part, "all bytes are taken before more are wanted");
        at += used;
    }
    return status;
}

/* Each value lies within its parent, and texts within what has come. */
static void check_values(const struct resp_reader *reader)
{
    for (size_t i = 0; i < reader->value_count; i++) {
        const struct resp_value *value = &reader->values[i];
        fuzz_expect(value->next > i && value->next <= reader->value_count,
                    "a value ends behind its beginning");
        fuzz_expect(value->depth <= RESP_DEPTH_MAX, "not too deep");
        if (resp_is_aggregate(value->type) || value->type == RESP_INTEGER || value->type == RESP_BOOLEAN ||
            value->type == RESP_NULL)
            continue;
        const struct stave_bytes text = resp_text(reader, value);
        uint32_t sum = 0;
        for (size_t byte = 0; byte < text.size; byte++) sum += ((const uint8_t *)text.data)[byte];
        fuzz_expect(sum <= text.size * 255, "every byte of a text can be read");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct resp_reader whole = {.memory_max = MEMORY_MAX};
    struct resp_reader pieces = {.memory_max = MEMORY_MAX};
    const enum resp_status first = read_all(&whole, data, size, size);
    const enum resp_status second = read_all(&pieces, data, size, 1 + data[size - 1] % 5);
    fuzz_expect(first == second, "the same end whole and in pieces");
    if (first == RESP_OK) {
        check_values(&whole);
        check_values(&pieces);
        fuzz_expect(whole.value_count == pieces.value_count, "as many values whole as in pieces");
        for (size_t i = 0; i < whole.value_count; i++)
            fuzz_expect(whole.values[i].type == pieces.values[i].type, "the same types whole and in pieces");
    }
    resp_reader_free(&whole);
    resp_reader_free(&pieces);
    return 0;
}

static const char *const seeds[] = {
    "*3\r\n$3\r\nabc\r\n:-5\r\n*1\r\n+OK\r\n",
    "%2\r\n+a\r\n,3.25\r\n#t\r\n~2\r\n_\r\n(12345678901234567890\r\n",
    "|1\r\n+ttl\r\n:3\r\n>2\r\n+message\r\n=7\r\ntxt:abc\r\n",
    "$?\r\n;4\r\nabcd\r\n;2\r\nef\r\n;0\r\n",
    "*?\r\n:1\r\n!5\r\nERR x\r\n.\r\n",
    "*1000000000\r\n$-1\r\n*-1\r\n-ERR no\r\n",
    NULL,
};

size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    if (number >= sizeof(seeds) / sizeof(seeds[0]) - 1) return 0;
    const size_t size = strlen(seeds[number]);
    memcpy(ret_bytes, seeds[number], size);
    return size;
}
