/* SPDX-License-Identifier: MIT */
/* The command list: keys, with their values if wanted, for people and for programs. */
#include "tools/commands.h"

#include "tools/cancel.h"
#include "tools/json.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdio.h>

static void write_entry(const struct tool *tool, const struct stave_entry *entry, bool values)
{
    if (!tool->json) {
        text_escaped_write(stdout, entry->key);
        if (values) {
            putchar('\t');
            text_escaped_write(stdout, entry->value);
        }
        putchar('\n');
        return;
    }
    putchar('{');
    json_write_bytes(stdout, "key", entry->key);
    if (values) {
        fputs(", ", stdout);
        json_write_bytes(stdout, "value", entry->value);
    }
    printf(", \"value_size\": %zu, \"sequence\": %" PRIu64, entry->value_size, entry->sequence);
    if (entry->expires_at_ms != 0) printf(", \"expires_at_ms\": %" PRIu64, entry->expires_at_ms);
    puts("}");
}

static enum tool_exit list_entries(const struct tool *tool, struct stave *space, struct stave_cursor *cursor,
                                   uint64_t limit)
{
    const bool values = tool_given(tool, OPTION_VALUES);
    enum tool_exit result = TOOL_DONE;
    for (uint64_t count = 0; count < limit;) {
        struct stave_entry entry;
        const enum stave_status status = stave_cursor_next(cursor, &entry);
        if (status == STAVE_END) return result;
        if (cancel_requested()) return tool_result(tool, space, "list", STAVE_CANCELLED);
        if (status == STAVE_OK) {
            write_entry(tool, &entry, values);
            count++;
            continue;
        }
        result = tool_result(tool, space, "list", status);
        if (status != STAVE_CORRUPT) return result; /* a damaged record is reported and passed over */
    }
    return result;
}

static enum tool_exit run_list(const struct tool *tool)
{
    uint64_t limit = 0;
    enum tool_exit result = tool_number(tool, OPTION_LIMIT, UINT64_MAX, UINT64_MAX, &limit);
    if (result != TOOL_DONE) return result;
    const char *prefix_text = tool->arguments.values[OPTION_PREFIX];
    struct stave_bytes prefix = {NULL, 0};
    if (prefix_text != NULL) result = tool_bytes(tool, (char *)(uintptr_t)prefix_text, &prefix);
    if (result != TOOL_DONE) return result;

    struct tool_store store = {NULL, NULL};
    result = tool_open(tool, TOOL_READ, &store);
    if (result != TOOL_DONE) return result;
    struct stave_cursor *cursor = NULL;
    const uint32_t flags = tool_given(tool, OPTION_VALUES) ? 0 : STAVE_CURSOR_KEYS;
    const enum stave_status status = stave_cursor_open(store.space, 0, prefix, flags, &cursor);
    result = tool_result(tool, store.space, "list", status);
    if (result == TOOL_DONE) result = list_entries(tool, store.space, cursor, limit);
    stave_cursor_close(cursor);
    return tool_close(tool, &store, result);
}

const struct tool_command command_list = {
    .name = "list",
    .words = "STORE",
    .summary = "write the keys, one a line, in no order",
    .details = "Keys and values are written with the escapes \\t \\n \\r \\0 \\\\ \\xNN; with --values a tab "
               "stands between\n"
               "them. With --json each line is an object with the value's size and sequence.",
    .options = OPTION_BIT(OPTION_PREFIX) | OPTION_BIT(OPTION_LIMIT) | OPTION_BIT(OPTION_VALUES) |
               OPTION_BIT(OPTION_ESCAPED) | OPTION_BIT(OPTION_ACCEPT_DAMAGE),
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_list,
};
