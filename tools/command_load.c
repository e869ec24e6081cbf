/* SPDX-License-Identifier: MIT */
/*
 * The command load: stores records from a stream of any size in batches of bounded size.
 *
 *   L1  Records are stored in the order of the input.
 *   L2  `stored_count` counts only records whose batch has been committed.
 */
#include "tools/commands.h"

#include "tools/cancel.h"
#include "tools/exchange.h"
#include "tools/format.h"
#include "tools/input.h"
#include "tools/progress.h"
#include "tools/resp_set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_COUNT_DEFAULT = 1000,
    BATCH_SIZE = 4194304, /* a batch is committed when it holds this much; a larger record is put by itself */
};

struct load {
    const struct tool *tool;
    const struct exchange *exchange;
    const char *name; /* of the input, for messages */
    struct tool_store store;
    struct stave_batch *batch;
    struct stave_write write; /* durability of each batch */
    struct input input;
    uint8_t *scratch; /* for the parser: as large as the longest line so far */
    size_t scratch_size;
    uint64_t line; /* of the record at hand, from 1 */
    uint64_t batch_count_max;
    uint64_t batch_size;
    uint64_t stored_count; /* L2 */
    uint64_t input_size;   /* 0: unknown */
    struct progress progress;
};

static void acknowledge(const struct load *load)
{
    if (!tool_given(load->tool, OPTION_ACKNOWLEDGE)) return;
    if (load->tool->json) {
        printf("{\"stored\": %" PRIu64 "}\n", load->stored_count);
    } else {
        printf("%" PRIu64 "\n", load->stored_count);
    }
    (void)fflush(stdout);
}

static enum tool_exit store_failed(struct load *load, enum stave_status status)
{
    progress_wipe(&load->progress);
    return tool_result(load->tool, load->store.space, "load", status);
}

static enum tool_exit commit(struct load *load)
{
    const size_t count = stave_batch_count(load->batch);
    if (count == 0) return TOOL_DONE;
    const enum stave_status status = stave_batch_commit(load->batch, &load->write, NULL);
    if (status != STAVE_OK) return store_failed(load, status);
    stave_batch_clear(load->batch);
    load->batch_size = 0;
    load->stored_count += count;
    acknowledge(load);
    return TOOL_DONE;
}

static enum tool_exit put_alone(struct load *load, const struct record *record, uint64_t expires_at_ms)
{
    const enum tool_exit result = commit(load); /* L1 */
    if (result != TOOL_DONE) return result;
    const struct stave_write write = {.flags = load->write.flags, .expires_at_ms = expires_at_ms};
    const enum stave_status status =
        stave_put_with(load->store.space, record->key, record->value, &write, NULL);
    if (status != STAVE_OK) return store_failed(load, status);
    load->stored_count++;
    acknowledge(load);
    return TOOL_DONE;
}

static enum tool_exit store_record(struct load *load, const struct record *record)
{
    const uint64_t size = (uint64_t)record->key.size + record->value.size;
    uint64_t expires_at_ms = record->expires_at_ms;
    if (record->expires_in_ms > 0) expires_at_ms = tool_now_ms() + record->expires_in_ms;
    if (size > BATCH_SIZE) return put_alone(load, record, expires_at_ms);

    const enum stave_status status = stave_batch_put(load->batch, record->key, record->value, expires_at_ms);
    if (status != STAVE_OK) return store_failed(load, status);
    load->batch_size += size;
    const bool full =
        load->batch_size >= BATCH_SIZE || stave_batch_count(load->batch) >= load->batch_count_max;
    return full ? commit(load) : TOOL_DONE;
}

static enum tool_exit input_failed(struct load *load, enum input_status status)
{
    progress_wipe(&load->progress);
    return input_failure(load->tool, load->name, status);
}

static enum tool_exit refuse_line(struct load *load, const struct refusal *refusal)
{
    progress_wipe(&load->progress);
    return tool_usage(load->tool, "%s: line %" PRIu64 ", byte %zu: %s", load->name, load->line,
                      refusal->offset + 1, refusal->reason);
}

static enum tool_exit refuse_offset(struct load *load, const struct refusal *refusal)
{
    progress_wipe(&load->progress);
    return tool_usage(load->tool, "%s: byte offset %" PRIu64 ": %s", load->name,
                      load->input.offset + refusal->offset, refusal->reason);
}

static enum tool_exit grow_scratch(struct load *load, size_t size)
{
    if (size <= load->scratch_size) return TOOL_DONE;
    const size_t wanted = size < load->scratch_size * 2 ? load->scratch_size * 2 : size;
    uint8_t *scratch = realloc(load->scratch, wanted);
    if (scratch == NULL) return input_failed(load, INPUT_NO_MEMORY);
    load->scratch = scratch;
    load->scratch_size = wanted;
    return TOOL_DONE;
}

static enum tool_exit load_line(struct load *load, struct stave_bytes line)
{
    struct record record = {0};
    struct refusal refusal = {NULL, 0};
    load->line++;
    const enum tool_exit result = grow_scratch(load, line.size);
    if (result != TOOL_DONE) return result;
    const enum parse_result parsed = load->exchange->parse_line(line, load->scratch, &record, &refusal);
    if (parsed == PARSE_NOTHING) return TOOL_DONE;
    if (parsed != PARSE_DONE) return refuse_line(load, &refusal);
    return store_record(load, &record);
}

static enum tool_exit load_lines(struct load *load)
{
    for (;;) {
        struct stave_bytes line = {NULL, 0};
        size_t used = 0;
        const enum input_status status = input_line(&load->input, &line, &used);
        if (status == INPUT_END) return TOOL_DONE;
        if (status != INPUT_OK) return input_failed(load, status);
        const enum tool_exit result = load_line(load, line);
        if (result != TOOL_DONE) return result;
        if (cancel_requested()) return input_failed(load, INPUT_INTERRUPTED);
        input_consume(&load->input, used);
        progress_step(&load->progress, load->input.offset, load->input_size);
    }
}

/* More bytes for a command that is not all there. The end is fine where none has begun. */
static enum tool_exit load_more(struct load *load)
{
    const enum input_status status = input_fill(&load->input);
    if (status < 0) return input_failed(load, status);
    if (status == INPUT_OK || input_bytes(&load->input).size == 0) return TOOL_DONE;
    const struct refusal refusal = {"the input ends within this command", 0};
    return refuse_offset(load, &refusal);
}

static enum tool_exit load_commands(struct load *load)
{
    enum tool_exit result = grow_scratch(load, RESP_SET_LINE_SIZE_MAX);
    while (result == TOOL_DONE) {
        struct record record = {0};
        struct refusal refusal = {NULL, 0};
        size_t used = 0;
        const struct stave_bytes held = input_bytes(&load->input);
        if (held.size == 0 && load->input.ended) return TOOL_DONE;
        if (cancel_requested()) return input_failed(load, INPUT_INTERRUPTED);
        const enum parse_result parsed = resp_set_parse(held, load->scratch, &record, &used, &refusal);
        if (parsed == PARSE_REFUSED) return refuse_offset(load, &refusal);
        if (parsed == PARSE_MORE) {
            result = load_more(load);
            continue;
        }
        if (parsed == PARSE_DONE) result = store_record(load, &record);
        input_consume(&load->input, used);
        progress_step(&load->progress, load->input.offset, load->input_size);
    }
    return result;
}

static enum tool_exit open_input(struct load *load)
{
    const struct arguments *arguments = &load->tool->arguments;
    struct stat status;
    load->name = "standard input";
    load->input.fd = STDIN_FILENO;
    if (arguments->word_count == 2 && strcmp(arguments->words[1], "-") != 0) {
        load->name = arguments->words[1];
        load->input.fd = open(load->name, O_RDONLY | O_CLOEXEC);
        if (load->input.fd < 0) return input_failure(load->tool, load->name, INPUT_FAILED);
    }
    if (fstat(load->input.fd, &status) == 0 && S_ISREG(status.st_mode))
        load->input_size = (uint64_t)status.st_size;
    return TOOL_DONE;
}

static enum tool_exit prepare(struct load *load)
{
    const struct tool *tool = load->tool;
    enum tool_exit result = exchange_find(tool, &load->exchange);
    if (result != TOOL_DONE) return result;
    result =
        tool_number(tool, OPTION_BATCH, STAVE_BATCH_COUNT_MAX, BATCH_COUNT_DEFAULT, &load->batch_count_max);
    if (result != TOOL_DONE) return result;
    if (load->batch_count_max == 0) return tool_usage(tool, "--batch: a batch holds at least 1 record");
    load->write.flags = tool_given(tool, OPTION_DURABLE) ? STAVE_DURABLE : 0;
    result = open_input(load);
    if (result == TOOL_DONE) result = tool_open(tool, TOOL_MAKE, &load->store);
    if (result != TOOL_DONE) return result;
    return tool_result(tool, load->store.space, "load", stave_batch_begin(load->store.space, &load->batch));
}

static void write_summary(const struct load *load)
{
    char count[FORMAT_SIZE];
    char size[FORMAT_SIZE];
    if (tool_given(load->tool, OPTION_ACKNOWLEDGE)) return;
    format_count(load->stored_count, count);
    format_size(load->input.offset, size);
    if (load->tool->json) {
        printf("{\"stored\": %" PRIu64 ", \"input_size\": %" PRIu64 "}\n", load->stored_count,
               load->input.offset);
    } else {
        printf("%s records stored, %s read\n", count, size);
    }
}

/* Reads everything; what was read before a mistake or an interruption is stored, too. */
static enum tool_exit load_all(struct load *load)
{
    progress_begin(&load->progress, "loading", PROGRESS_BYTES);
    const enum tool_exit result = load->exchange->parse_line != NULL ? load_lines(load) : load_commands(load);
    progress_wipe(&load->progress);
    if (result != TOOL_DONE && result != TOOL_USAGE && result != TOOL_INTERRUPTED) return result;
    const enum tool_exit committed = commit(load);
    if (committed != TOOL_DONE) return committed;
    if (result != TOOL_DONE)
        (void)tool_usage(load->tool, "%" PRIu64 " records before it are stored", load->stored_count);
    return result;
}

static enum tool_exit run_load(const struct tool *tool)
{
    struct load load = {.tool = tool, .input = INPUT_NONE};
    enum tool_exit result = prepare(&load);
    if (result == TOOL_DONE) result = load_all(&load);
    stave_batch_free(load.batch);
    result = tool_close(tool, &load.store, result);
    if (result == TOOL_DONE) write_summary(&load);
    free(load.scratch);
    input_free(&load.input);
    return result;
}

const struct tool_command command_load = {
    .name = "load",
    .words = "STORE [FILE]",
    .summary = "store records from a file or standard input",
    .details = "Formats as for dump. resp takes SET commands with EX, PX, EXAT or PXAT, as arrays or inline. "
               "The store is made\n"
               "if it is not there; keys that are there get the new value. Records are written in batches, "
               "each as a whole or\n"
               "not at all. A mistake in the input is named by line, or by byte offset for resp, and ends "
               "the load with exit\n"
               "code 2; the records before it are stored.\n"
               "With --acknowledge the count of records stored so far is written after each batch: they "
               "survive the end of the\n"
               "process, however it ends, and with --durable a loss of power.",
    .options = OPTION_BIT(OPTION_FORMAT) | OPTION_BIT(OPTION_BATCH) | OPTION_BIT(OPTION_ACKNOWLEDGE) |
               OPTION_BIT(OPTION_DURABLE),
    .word_count_min = 1,
    .word_count_max = 2,
    .run = run_load,
};
