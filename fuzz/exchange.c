/* SPDX-License-Identifier: MIT */
/* A record that a parser of `stave load` accepts survives being written and parsed again. */
#include "fuzz/exchange.h"

#include <string.h>

static void expect_within(struct stave_bytes part, struct stave_bytes whole)
{
    fuzz_expect(part.size <= whole.size, "what is parsed is not longer than its input");
}

static int same(struct stave_bytes a, struct stave_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void write_and_parse(const struct record *record)
{
    char *text = NULL;
    size_t size = 0;
    struct refusal refusal = {NULL, 0};
    FILE *out = open_memstream(&text, &size);
    fuzz_expect(out != NULL, "there is memory");
    exchange_write(out, record);
    (void)fclose(out);
    const size_t line_size = size - exchange_end_size;
    uint8_t *scratch = malloc(size + 1);
    fuzz_expect(scratch != NULL, "there is memory");
    struct record again = {.key = {NULL, 0}};
    fuzz_expect(exchange_parse(stave_bytes(text, line_size), scratch, &again, &refusal) == PARSE_DONE,
                "what was written is accepted");
    fuzz_expect(same(again.key, record->key) && same(again.value, record->value),
                "key and value are the same");
    fuzz_expect(again.expires_at_ms == record->expires_at_ms, "the expiry is the same");
    free(scratch);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct stave_bytes input = {data, size};
    struct record record = {.key = {NULL, 0}};
    struct refusal refusal = {NULL, 0};
    uint8_t *scratch = malloc(size + 1);
    fuzz_expect(scratch != NULL, "there is memory");
    const enum parse_result result = exchange_parse(input, scratch, &record, &refusal);
    if (result == PARSE_REFUSED) {
        fuzz_expect(refusal.reason != NULL && refusal.offset <= size, "a refusal says why and where");
    } else if (result == PARSE_DONE) {
        uint8_t *key =
            malloc(record.key.size + record.value.size + 1); /* exchange_parse may use one buffer only */
        fuzz_expect(key != NULL, "there is memory");
        expect_within(record.key, input);
        expect_within(record.value, input);
        if (record.key.size > 0) memcpy(key, record.key.data, record.key.size);
        if (record.value.size > 0) memcpy(key + record.key.size, record.value.data, record.value.size);
        const struct record copy = {.key = {key, record.key.size},
                                    .value = {key + record.key.size, record.value.size},
                                    .expires_at_ms = record.expires_at_ms};
        write_and_parse(&copy);
        free(key);
    }
    free(scratch);
    return 0;
}

/* Seeds have no zero bytes; an empty one stands for a line feed. */
size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    for (unsigned i = 0; i <= number; i++)
        if (exchange_seeds[i] == NULL) return 0;
    const char *text = exchange_seeds[number][0] == 0 ? "\n" : exchange_seeds[number];
    memcpy(ret_bytes, text, strlen(text));
    return strlen(text);
}
