/* SPDX-License-Identifier: MIT */
/* The command watch: the change feed, a line a change, until interrupted. */
#include "tools/commands.h"

#include "tools/cancel.h"
#include "tools/json.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { WAIT_MS = 100 };

static const char *kind_text(enum stave_change_kind kind)
{
    switch (kind) {
    case STAVE_CHANGE_PUT: return "put";
    case STAVE_CHANGE_DELETE: return "delete";
    case STAVE_CHANGE_DROP: return "drop";
    case STAVE_CHANGE_SWAP: return "swap";
    }
    return "other";
}

static void write_change_json(const struct stave_change *change)
{
    printf("{\"sequence\": %" PRIu64 ", \"change\": \"%s\", \"space\": %" PRIu32, change->sequence,
           kind_text(change->kind), change->space);
    if (change->kind == STAVE_CHANGE_SWAP) printf(", \"other_space\": %" PRIu32, change->other_space);
    if (change->kind == STAVE_CHANGE_PUT || change->kind == STAVE_CHANGE_DELETE) {
        fputs(", ", stdout);
        json_write_bytes(stdout, "key", change->key);
    }
    if (change->kind == STAVE_CHANGE_PUT) {
        fputs(", ", stdout);
        json_write_bytes(stdout, "value", change->value);
    }
    if (change->expires_at_ms != 0) printf(", \"expires_at_ms\": %" PRIu64, change->expires_at_ms);
    printf(", \"batch_continues\": %s}\n", change->batch_continues ? "true" : "false");
}

static void write_change_line(const struct stave_change *change)
{
    printf("%" PRIu64 "\t%" PRIu32 "\t%s", change->sequence, change->space, kind_text(change->kind));
    if (change->kind == STAVE_CHANGE_SWAP) printf("\t%" PRIu32, change->other_space);
    if (change->kind == STAVE_CHANGE_PUT || change->kind == STAVE_CHANGE_DELETE) {
        putchar('\t');
        text_escaped_write(stdout, change->key);
    }
    if (change->kind == STAVE_CHANGE_PUT) {
        putchar('\t');
        text_escaped_write(stdout, change->value);
    }
    if (change->expires_at_ms != 0) printf("\t%" PRIu64, change->expires_at_ms);
    putchar('\n');
}

static bool is_wanted(const struct tool *tool, const struct stave_change *change)
{
    if (!tool_given(tool, OPTION_SPACE) || change->space == tool->space) return true;
    return change->kind == STAVE_CHANGE_SWAP && change->other_space == tool->space;
}

/* What to do at the end of what is there: STAVE_END to stop, STAVE_OK to go on. */
static enum stave_status at_end(const struct tool *tool, struct stave *store, uint32_t *timeout_ms)
{
    (void)fflush(stdout);
    if (tool_given(tool, OPTION_ONCE) && *timeout_ms == WAIT_MS) return STAVE_END;
    *timeout_ms = WAIT_MS; /* what was written is flushed: now there is time to wait */
    return stave_refresh(store);
}

static enum stave_status write_changes(const struct tool *tool, struct stave *store, struct stave_feed *feed,
                                       uint64_t limit)
{
    uint32_t timeout_ms = 0;
    for (uint64_t count = 0; count < limit && ferror(stdout) == 0;) {
        struct stave_change change;
        if (cancel_requested()) return STAVE_OK; /* how watch ends */
        enum stave_status status = stave_feed_next(feed, timeout_ms, &change);
        if (status == STAVE_END) {
            status = at_end(tool, store, &timeout_ms);
            if (status != STAVE_OK) return status == STAVE_END ? STAVE_OK : status;
            continue;
        }
        if (status != STAVE_OK) return status;
        timeout_ms = 0;
        if (!is_wanted(tool, &change)) continue;
        count++;
        if (tool->json) {
            write_change_json(&change);
        } else {
            write_change_line(&change);
        }
    }
    return STAVE_OK;
}

/* The sequence after which the feed begins. */
static enum tool_exit read_start(const struct tool *tool, struct stave *store, uint64_t *ret_after)
{
    const char *from = tool->arguments.values[OPTION_FROM];
    if (from == NULL) {
        *ret_after = stave_sequence(store);
        return TOOL_DONE;
    }
    if (strcmp(from, "oldest") != 0) {
        uint64_t sequence = 0;
        const enum tool_exit result = tool_number(tool, OPTION_FROM, UINT64_MAX, 0, &sequence);
        if (result == TOOL_DONE) *ret_after = sequence == 0 ? 0 : sequence - 1;
        return result;
    }
    struct stave_stats stats = {.size = sizeof stats};
    const enum stave_status status = stave_stats(store, &stats);
    if (status == STAVE_OK) *ret_after = stats.feed_floor == 0 ? 0 : stats.feed_floor - 1;
    return tool_result(tool, store, "watch", status);
}

static enum tool_exit watch_failed(const struct tool *tool, struct stave *store, enum stave_status status)
{
    if (status != STAVE_GONE) return tool_result(tool, store, "watch", status);
    return tool_report(tool, status,
                       "watch: changes from that sequence on are no longer held; see --from oldest");
}

static enum tool_exit run_watch(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    struct stave_feed *feed = NULL;
    uint64_t limit = 0;
    uint64_t after = 0;
    enum tool_exit result = tool_number(tool, OPTION_LIMIT, UINT64_MAX, UINT64_MAX, &limit);
    if (result == TOOL_DONE) result = tool_open(tool, TOOL_READ, &store);
    if (result == TOOL_DONE) result = read_start(tool, store.store, &after);
    if (result == TOOL_DONE) {
        const uint32_t flags = tool_given(tool, OPTION_NOT_DURABLE) ? STAVE_FEED_NOT_DURABLE : 0;
        enum stave_status status = stave_feed_open(store.store, after, flags, &feed);
        if (status == STAVE_OK) status = write_changes(tool, store.store, feed, limit);
        result = watch_failed(tool, store.store, status);
    }
    stave_feed_close(feed);
    return tool_close(tool, &store, result);
}

const struct tool_command command_watch = {
    .name = "watch",
    .words = "STORE",
    .summary = "write changes as they happen, one a line, until interrupted",
    .details = "A line holds, between tabs, sequence, space, put, delete, drop or swap, then key, value and "
               "expiry, with the\n"
               "escapes \\t \\n \\r \\0 \\\\ \\xNN; with --json it is an object. Changes of all spaces, or "
               "of the one given with\n"
               "--space. An interruption is the normal end: exit code 0. Exit code 1 if the changes asked "
               "for are no longer\n"
               "held.",
    .options = OPTION_BIT(OPTION_FROM) | OPTION_BIT(OPTION_NOT_DURABLE) | OPTION_BIT(OPTION_LIMIT) |
               OPTION_BIT(OPTION_ONCE),
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_watch,
};
