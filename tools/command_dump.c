/* SPDX-License-Identifier: MIT */
/* The command dump: all records of a space in a form that load reads back, byte for byte. */
#include "tools/commands.h"

#include "tools/cancel.h"
#include "tools/exchange.h"
#include "tools/progress.h"

#include <errno.h>
#include <stdio.h>

/* Writes every record. A damaged one is reported and passed over; the result says so. */
static enum tool_exit dump_entries(const struct tool *tool, struct stave *space, struct stave_cursor *cursor,
                                   const struct exchange *exchange)
{
    struct progress progress;
    enum tool_exit result = TOOL_DONE;
    const uint64_t total = stave_count(space);
    progress_begin(&progress, "dumping", PROGRESS_RECORDS);
    for (uint64_t count = 0; ferror(stdout) == 0;) {
        struct stave_entry entry;
        const enum stave_status status =
            cancel_requested() ? STAVE_CANCELLED : stave_cursor_next(cursor, &entry);
        if (status == STAVE_END) break;
        if (status == STAVE_OK) {
            const struct record record = {entry.key, entry.value, entry.expires_at_ms, 0};
            exchange->write(stdout, &record);
            progress_step(&progress, ++count, total);
            continue;
        }
        progress_wipe(&progress);
        result = tool_result(tool, space, "dump", status);
        if (status != STAVE_CORRUPT) break;
    }
    progress_wipe(&progress);
    return result;
}

static enum tool_exit run_dump(const struct tool *tool)
{
    const struct exchange *exchange = NULL;
    enum tool_exit result = exchange_find(tool, &exchange);
    if (result != TOOL_DONE) return result;
    struct tool_store store = {NULL, NULL};
    result = tool_open(tool, TOOL_READ, &store);
    if (result != TOOL_DONE) return result;

    struct stave_cursor *cursor = NULL;
    const enum stave_status status = stave_cursor_open(store.space, 0, stave_bytes(NULL, 0), 0, &cursor);
    result = tool_result(tool, store.space, "dump", status);
    if (result == TOOL_DONE) result = dump_entries(tool, store.space, cursor, exchange);
    stave_cursor_close(cursor);
    return tool_close(tool, &store, result);
}

const struct tool_command command_dump = {
    .name = "dump",
    .words = "STORE",
    .summary = "write all records of a space in a form that load reads",
    .details =
        "Formats:\n"
        "  jsonl  a JSON object a line: {\"key\": \"...\", \"value\": \"...\", \"expires_at_ms\": N}. What "
        "is not UTF-8, or\n"
        "         holds control characters besides \\b \\t \\n \\f \\r, is a member key_base64 or "
        "value_base64 instead.\n"
        "  tsv    key, tab, value and, where it expires, tab and milliseconds since 1970. Escapes: \\t \\n "
        "\\r \\0 \\\\ \\xNN.\n"
        "  resp   SET commands of the Redis protocol, as redis-cli --pipe takes them; expiry as PXAT.\n"
        "Every format keeps any bytes exactly. A damaged record is reported and left out; the exit code is 3 "
        "then.",
    .options = OPTION_BIT(OPTION_FORMAT) | OPTION_BIT(OPTION_ACCEPT_DAMAGE),
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_dump,
};
