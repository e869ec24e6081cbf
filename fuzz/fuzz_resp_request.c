/* SPDX-License-Identifier: MIT */
/*
 * Requests of the Redis protocol: a stream read whole and read in pieces gives the same requests, and what
 * was parsed, written again, is parsed as the same.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/resp.h"

static const struct resp_limits limits = {
    .argument_count_max = 4096, .bulk_size_max = 65536, .inline_size_max = 4096};

/* What a stream came to: the arguments of all requests, each with its size, and how it ended. */
struct outcome {
    struct buffer arguments;
    size_t request_count;
    enum resp_status end;
};

static void note_request(struct outcome *outcome, const struct resp_parser *parser, const uint8_t *input)
{
    outcome->request_count++;
    (void)buffer_append_le32(&outcome->arguments, (uint32_t)parser->argument_count);
    for (size_t i = 0; i < parser->argument_count; i++) {
        const struct stave_bytes argument = resp_argument(parser, input, i);
        (void)buffer_append_le32(&outcome->arguments, (uint32_t)argument.size);
        (void)buffer_append(&outcome->arguments, argument.data, argument.size);
    }
}

/*
 * Gives the parser `step` bytes more each time, in a block of its own so that no byte behind them is there.
 */
static struct outcome parse(const uint8_t *data, size_t size, size_t step)
{
    struct outcome outcome = {.end = RESP_MORE};
    struct resp_parser parser = {0};
    size_t start = 0;
    size_t end = step < size ? step : size;
    for (;;) {
        uint8_t *block = malloc(end - start + 1);
        fuzz_expect(block != NULL, "there is memory");
        memcpy(block, data + start, end - start);
        const enum resp_status status = resp_parse(&parser, block, end - start, &limits);
        if (status == RESP_OK) {
            fuzz_expect(parser.used > 0 && parser.used <= end - start,
                        "a request takes bytes that are there");
            note_request(&outcome, &parser, block);
            start += parser.used;
            resp_parser_reset(&parser);
        }
        free(block);
        if (status == RESP_OK && start < end) continue;
        outcome.end = status == RESP_OK ? RESP_MORE : status;
        if (outcome.end != RESP_MORE || end == size) break;
        end = end + step < size ? end + step : size;
    }
    resp_parser_free(&parser);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct outcome whole = parse(data, size, size);
    struct outcome pieces = parse(data, size, 1 + data[0] % 7);
    /* A refusal may come earlier or later; what came before it is the same. */
    const size_t common =
        whole.request_count < pieces.request_count ? whole.arguments.size : pieces.arguments.size;
    if (whole.end == RESP_MORE && pieces.end == RESP_MORE)
        fuzz_expect(whole.request_count == pieces.request_count, "as many requests whole as in pieces");
    fuzz_expect(common == 0 || memcmp(whole.arguments.data, pieces.arguments.data, common) == 0,
                "the same requests whole as in pieces");
    buffer_free(&whole.arguments);
    buffer_free(&pieces.arguments);
    return 0;
}

static const char *const seeds[] = {
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n",
    "PING\r\nset key 'a \\' b' \"\\x41\\n\"\r\n\r\nGET key\n",
    "*0\r\n*-1\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
    "*1\r\n$70000\r\n",
    "*5000\r\n",
    NULL,
};

size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    if (number >= sizeof(seeds) / sizeof(seeds[0]) - 1) return 0;
    const size_t size = strlen(seeds[number]);
    memcpy(ret_bytes, seeds[number], size);
    return size;
}
