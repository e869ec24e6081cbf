/* SPDX-License-Identifier: MIT */
/*
 * MEMORY: what keys and the process take.
 */
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/command/generic.h"
#include "server/command/help.h"
#include "server/server.h"

/* FORMAT.md: a record's header, its expiry, and what records are aligned to; and P8's entry of the index. */
#define RECORD_HEADER_SIZE 40
#define RECORD_EXPIRY_SIZE 8
#define RECORD_ALIGNMENT 16
#define INDEX_ENTRY_SIZE 16

/* Of its record in the log, and of its entry in the index, which alone is in memory. */
enum stave_status memory_usage(struct call *call)
{
    const struct stave_bytes key = call->arguments[2];
    for (size_t i = 3; i < call->argument_count; i += 2) {
        if (!call_is(call, i, "SAMPLES") || i + 1 == call->argument_count) return call_syntax_error(call);
        int64_t samples;
        if (!call_integer(call, i + 1, &samples)) return STAVE_OK;
        if (samples < 0) return call_syntax_error(call);
    }
    struct item item;
    transaction_count_reads(call->transaction, false);
    const enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
    if (status != STAVE_OK) return status;
    if (!item.found) {
        reply_null(call->reply);
        return STAVE_OK;
    }
    uint64_t size = RECORD_HEADER_SIZE + (uint64_t)key.size + item.value_size;
    if (item.expires_at_ms != 0) size += RECORD_EXPIRY_SIZE;
    size = (size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    reply_integer(call->reply, (int64_t)(size + INDEX_ENTRY_SIZE));
    return STAVE_OK;
}

enum stave_status memory_doctor(struct call *call)
{
    const struct server *server = call->server;
    const uint64_t used = atomic_load(&server->used_memory);
    const uint64_t clients = atomic_load(&server->client_memory);
    const char *finding = "Nothing stands out. Values are on disk; memory holds the index and the buffers of "
                          "clients.";
    if (server->config.maxmemory > 0 && used > (uint64_t)server->config.maxmemory / 10 * 9)
        finding =
            "Memory is within a tenth of maxmemory: writes that need memory are refused when it is reached.";
    else if (clients > used / 2)
        finding = "More than half of the memory is buffers of clients: CLIENT LIST shows whose (tot-mem).";
    reply_verbatim(call->reply, "txt", stave_text(finding));
    return STAVE_OK;
}

enum stave_status memory_malloc_stats(struct call *call)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) return STAVE_NO_MEMORY;
    const bool done = malloc_info(0, stream) == 0;
    if (fclose(stream) == 0 && done) {
        reply_verbatim(call->reply, "txt", stave_bytes(text, size));
    } else {
        (void)call_error(call, "ERR the allocator gives no statistics");
    }
    free(text); /* the stream's, from the C library */
    return STAVE_OK;
}

enum stave_status memory_purge(struct call *call)
{
    (void)malloc_trim(0);
    reply_ok(call->reply);
    return STAVE_OK;
}

struct memory_figure {
    const char *name;
    uint64_t value;
};

enum stave_status memory_stats(struct call *call)
{
    struct server *server = call->server;
    struct stave_stats stats = {.size = sizeof(stats)};
    const enum stave_status status = stave_stats(server->store, &stats);
    if (status != STAVE_OK) return status;
    const uint64_t used = atomic_load(&server->used_memory);
    const uint64_t peak = atomic_load(&server->used_memory_peak);
    const struct memory_figure figures[] = {
        {"peak.allocated", peak},
        {"total.allocated", used},
        {"clients.normal", atomic_load(&server->client_memory)},
        {"overhead.total", used},
        {"index.bytes", stats.index_size},
        {"keys.count", stats.key_count},
        {"keys.bytes-per-key", stats.key_count > 0 ? stats.index_size / stats.key_count : 0},
        {"dataset.bytes", stats.live_size},
        {"disk.bytes", stats.disk_size},
    };
    const size_t count = sizeof figures / sizeof figures[0];
    reply_map(call->reply, count + 1);
    for (size_t i = 0; i < count; i++) {
        reply_text(call->reply, figures[i].name);
        reply_integer(call->reply, (int64_t)figures[i].value);
    }
    reply_text(call->reply, "peak.percentage");
    reply_double(call->reply, peak > 0 ? 100.0 * (double)used / (double)peak : 0);
    return STAVE_OK;
}

enum stave_status memory_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Say what stands out in the use of memory.",
        "MALLOC-STATS",
        "    Return what the allocator says of itself.",
        "PURGE",
        "    Give memory that the allocator keeps unused back to the system.",
        "STATS",
        "    Return figures on memory and disk.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return the bytes that <key> takes in the log, and its entry in the index.",
        "    SAMPLES changes nothing.",
        NULL,
    };
    return help_reply(call, lines);
}
