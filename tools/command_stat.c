/* SPDX-License-Identifier: MIT */
/* The command stat: what the store holds and takes, and its segments as bars of live and dead bytes. */
#include "tools/commands.h"

#include "tools/format.h"
#include "tools/json.h"
#include "tools/table.h"

#include <inttypes.h>

enum { SEGMENTS_SHOWN = 40 };

struct segments {
    struct stave_segment_stats *all;
    size_t count;
};

static const char *kind_text(uint32_t kind)
{
    return kind == 1 ? "log" : kind == 2 ? "compacted" : kind == 3 ? "large" : "other";
}

static uint64_t dead_size(const struct stave_segment_stats *segment)
{
    return segment->size > segment->live_size ? segment->size - segment->live_size : 0;
}

static void write_segment_json(const struct stave_segment_stats *segment)
{
    printf("{\"id\": %" PRIu32 ", \"kind\": \"%s\", \"sealed\": %s, \"damaged\": %s, \"size\": %" PRIu64
           ", \"live_size\": %" PRIu64 ", \"live_count\": %" PRIu64 ", \"created_ms\": %" PRIu64 "}",
           segment->id, kind_text(segment->kind), segment->sealed ? "true" : "false",
           segment->damaged ? "true" : "false", segment->size, segment->live_size, segment->live_count,
           segment->created_ms);
}

static void write_json(const struct tool *tool, const struct stave_stats *stats, uint64_t space_count,
                       const struct segments *segments)
{
    const struct {
        const char *name;
        uint64_t number;
    } members[] = {
        {"space", tool->space},
        {"space_key_count", space_count},
        {"key_count", stats->key_count},
        {"disk_size", stats->disk_size},
        {"log_size", stats->log_size},
        {"live_size", stats->live_size},
        {"index_size", stats->index_size},
        {"segment_count", stats->segment_count},
        {"sequence", stats->sequence},
        {"durable_sequence", stats->durable_sequence},
        {"feed_floor", stats->feed_floor},
        {"open_time_us", stats->open_time_us},
        {"open_replayed", stats->open_replayed},
    };
    fputs("{\"path\": ", stdout);
    json_write_text(stdout, tool_path(tool));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        printf(", \"%s\": %" PRIu64, members[i].name, members[i].number);
    printf(", \"open_from_checkpoint\": %s, \"segments\": [", stats->open_from_checkpoint ? "true" : "false");
    for (size_t i = 0; i < segments->count; i++) {
        if (i > 0) fputs(", ", stdout);
        write_segment_json(&segments->all[i]);
    }
    puts("]}");
}

static void set_cell(struct table_row *row, size_t column, const char *text)
{
    (void)snprintf(row->cells[column], TABLE_CELL_SIZE_MAX, "%.*s", TABLE_CELL_SIZE_MAX - 1, text);
}

static bool add_size(struct table *table, const char *name, uint64_t size)
{
    struct table_row *row = table_add(table);
    if (row == NULL) return false;
    char bytes[FORMAT_SIZE];
    char text[FORMAT_SIZE];
    format_count(size, bytes);
    format_size(size, text);
    set_cell(row, 0, name);
    set_cell(row, 1, text);
    (void)snprintf(row->cells[2], TABLE_CELL_SIZE_MAX, "%s bytes", bytes);
    return true;
}

static bool add_text(struct table *table, const char *name, const char *text, const char *remark)
{
    struct table_row *row = table_add(table);
    if (row == NULL) return false;
    set_cell(row, 0, name);
    set_cell(row, 1, text);
    set_cell(row, 2, remark);
    return true;
}

static bool add_count(struct table *table, const char *name, uint64_t count, const char *remark)
{
    char text[FORMAT_SIZE];
    format_count(count, text);
    return add_text(table, name, text, remark);
}

/* As watch and put take it: without separators. */
static bool add_sequence(struct table *table, const char *name, uint64_t sequence, const char *remark)
{
    char text[FORMAT_SIZE];
    (void)snprintf(text, sizeof text, "%" PRIu64, sequence);
    return add_text(table, name, text, remark);
}

static bool fill_summary(struct table *table, const struct tool *tool, const struct stave_stats *stats,
                         uint64_t space_count)
{
    char open_time[FORMAT_SIZE];
    char space[FORMAT_SIZE];
    char live_share[FORMAT_SIZE];
    char replayed[FORMAT_SIZE];
    char remark[TABLE_CELL_SIZE_MAX * 2];
    const uint64_t log_size = stats->log_size == 0 ? 1 : stats->log_size;
    format_duration(stats->open_time_us, open_time);
    format_count(stats->open_replayed, replayed);
    (void)snprintf(space, sizeof space, "in space %" PRIu32, tool->space);
    (void)snprintf(live_share, sizeof live_share, "%.0f %% of the log",
                   (double)stats->live_size * 100 / (double)log_size);
    (void)snprintf(remark, sizeof remark, "%s, %s replayed",
                   stats->open_from_checkpoint ? "from a checkpoint" : "without checkpoint", replayed);

    *table = (struct table){.column_count = 3, .right_mask = 2};
    return add_count(table, "keys", stats->key_count, "in all spaces") &&
           add_count(table, "", space_count, space) && add_size(table, "live", stats->live_size) &&
           add_text(table, "", "", live_share) && add_size(table, "log", stats->log_size) &&
           add_size(table, "disk", stats->disk_size) && add_size(table, "index", stats->index_size) &&
           add_count(table, "segments", stats->segment_count, "") &&
           add_sequence(table, "sequence", stats->sequence, "newest") &&
           add_sequence(table, "", stats->durable_sequence, "durable") &&
           add_sequence(table, "", stats->feed_floor, "the change feed begins there") &&
           add_text(table, "opened in", open_time, remark);
}

static bool add_segment(struct table *table, const struct stave_segment_stats *segment)
{
    struct table_row *row = table_add(table);
    if (row == NULL) return false;
    char size[FORMAT_SIZE];
    char live_count[FORMAT_SIZE];
    const uint64_t whole = segment->size == 0 ? 1 : segment->size;
    format_size(segment->size, size);
    format_count(segment->live_count, live_count);
    (void)snprintf(row->cells[0], TABLE_CELL_SIZE_MAX, "%" PRIu32, segment->id);
    set_cell(row, 1, kind_text(segment->kind));
    set_cell(row, 2, segment->damaged ? "damaged" : segment->sealed ? "sealed" : "open");
    set_cell(row, 3, size);
    set_cell(row, 4, live_count);
    (void)snprintf(row->cells[5], TABLE_CELL_SIZE_MAX, "%.0f %%",
                   (double)segment->live_size * 100 / (double)whole);
    row->bar_first = segment->live_size < segment->size ? segment->live_size : segment->size;
    row->bar_second = dead_size(segment);
    return true;
}

static bool fill_segments(struct table *table, const struct segments *segments, size_t shown)
{
    static const char *const heads[] = {"id", "kind", "state", "size", "live keys", "live"};
    *table = (struct table){.column_count = 6, .right_mask = 1 | 8 | 16 | 32};
    struct table_row *row = table_add(table);
    if (row == NULL) return false;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) set_cell(row, i, heads[i]);
    for (size_t i = segments->count - shown; i < segments->count; i++) {
        if (!add_segment(table, &segments->all[i])) return false;
    }
    return true;
}

static enum tool_exit write_tables(const struct tool *tool, const struct stave_stats *stats,
                                   uint64_t space_count, const struct segments *segments)
{
    struct table summary = {0};
    struct table list = {0};
    const struct table_style style = table_style_of(stdout);
    const bool all = tool_given(tool, OPTION_SEGMENTS) || segments->count <= SEGMENTS_SHOWN;
    const size_t shown = all ? segments->count : SEGMENTS_SHOWN;
    const bool filled =
        fill_summary(&summary, tool, stats, space_count) && fill_segments(&list, segments, shown);
    if (filled) {
        table_write(stdout, &summary, &style);
        putchar('\n');
        table_write(stdout, &list, &style);
        if (shown < segments->count)
            printf("and %zu older ones: --segments shows them all\n", segments->count - shown);
        printf("\n%s\n", style.blocks ? "\u2588 live  \u2591 dead" : "# live  - dead");
    }
    table_free(&summary);
    table_free(&list);
    return filled ? TOOL_DONE : tool_report(tool, STAVE_NO_MEMORY, "stat: out of memory");
}

static enum tool_exit run_stat(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    struct segments segments = {NULL, 0};
    struct stave_stats stats = {.size = sizeof stats};
    enum tool_exit result = tool_open(tool, TOOL_READ, &store);
    if (result != TOOL_DONE) return result;

    enum stave_status status = stave_stats(store.store, &stats);
    if (status == STAVE_OK) status = stave_segments(store.store, &segments.all, &segments.count);
    result = tool_result(tool, store.store, "stat", status);
    if (result == TOOL_DONE) {
        const uint64_t space_count = stave_count(store.space);
        if (tool->json) {
            write_json(tool, &stats, space_count, &segments);
        } else {
            result = write_tables(tool, &stats, space_count, &segments);
        }
    }
    stave_free(segments.all);
    return tool_close(tool, &store, result);
}

const struct tool_command command_stat = {
    .name = "stat",
    .words = "STORE",
    .summary = "show sizes, counts, and each segment's live and dead bytes",
    .details = "The newest 40 segments are shown as bars, the longest bar for the largest. Colours and block "
               "characters\n"
               "are for terminals only; NO_COLOR is respected.",
    .options = OPTION_BIT(OPTION_SEGMENTS) | OPTION_BIT(OPTION_ACCEPT_DAMAGE),
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_stat,
};
