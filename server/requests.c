/* SPDX-License-Identifier: MIT */
/* Gathers requests and their arguments in arrays that serve slice after slice. */
#include "server/requests.h"

#include "base/memory.h"
#include "server/prefetch.h"

static bool reserve_arguments(struct requests *requests, size_t more)
{
    if (more <= requests->argument_capacity - requests->argument_count) return true;
    size_t capacity =
        requests->argument_capacity == 0 ? REQUESTS_ARGUMENT_COUNT_MAX : requests->argument_capacity;
    while (capacity - requests->argument_count < more) capacity *= 2;
    struct stave_bytes *grown = memory_realloc(requests->arguments, capacity * sizeof *grown);
    if (grown == NULL) return false;
    requests->arguments = grown;
    requests->argument_capacity = capacity;
    return true;
}

/* Adds the request just parsed from `input`. */
static bool add(struct requests *requests, const uint8_t *input, size_t end)
{
    const struct resp_parser *parser = &requests->parser;
    if (!reserve_arguments(requests, parser->argument_count)) return false;
    requests->items[requests->count++] =
        (struct parsed_request){requests->argument_count, parser->argument_count, end};
    for (size_t i = 0; i < parser->argument_count; i++) {
        requests->arguments[requests->argument_count++] = resp_argument(parser, input, i);
    }
    return true;
}

enum resp_status requests_parse(struct requests *requests, const uint8_t *input, size_t size, size_t at,
                                const struct resp_limits *limits)
{
    struct resp_parser *parser = &requests->parser;
    requests->count = 0;
    requests->argument_count = 0;
    while (requests->count < REQUESTS_COUNT_MAX && requests->argument_count < REQUESTS_ARGUMENT_COUNT_MAX) {
        if (at == size) return RESP_MORE;
        const enum resp_status status = resp_parse(parser, input + at, size - at, limits);
        if (status != RESP_OK) return status;
        if (!add(requests, input + at, at + parser->used)) return RESP_NO_MEMORY;
        at += parser->used;
        if (parser->is_inline || limits->is_unauthenticated) return RESP_OK; /* RQ1, RQ3 */
        resp_parser_reset(parser);
    }
    return RESP_OK;
}

size_t requests_keys(const struct requests *requests, struct stave_bytes *ret_keys, size_t capacity)
{
    size_t count = 0;
    for (size_t i = 0; i < requests->count && count < capacity; i++) {
        const struct parsed_request *request = &requests->items[i];
        if (request->argument_count < 2) continue;
        count += prefetch_keys(&requests->arguments[request->first_argument], request->argument_count,
                               ret_keys + count, capacity - count);
    }
    return count;
}

void requests_free(struct requests *requests)
{
    resp_parser_free(&requests->parser);
    memory_free(requests->arguments);
    *requests = (struct requests){.arguments = NULL};
}
