/* SPDX-License-Identifier: MIT */
/* Commands on whole stores: check, salvage, compact, backup. */
#include "tools/commands.h"

#include "tools/cancel.h"
#include "tools/format.h"
#include "tools/json.h"
#include "tools/progress.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdio.h>

/* What the callbacks of long work share. */
struct upkeep {
    const struct tool *tool;
    struct progress progress;
    uint64_t damage_count;
    uint64_t harmless_count;
};

static void upkeep_begin(struct upkeep *upkeep, const struct tool *tool, const char *title)
{
    *upkeep = (struct upkeep){.tool = tool};
    progress_begin(&upkeep->progress, title, PROGRESS_BYTES);
}

static bool step(void *context, uint64_t done, uint64_t total)
{
    struct upkeep *upkeep = context;
    progress_step(&upkeep->progress, done, total);
    return cancel_requested();
}

static const char *damage_text(enum stave_damage_kind kind)
{
    switch (kind) {
    case STAVE_DAMAGE_MANIFEST: return "manifest";
    case STAVE_DAMAGE_FILE: return "file";
    case STAVE_DAMAGE_HEADER: return "header";
    case STAVE_DAMAGE_PAYLOAD: return "payload";
    case STAVE_DAMAGE_CHECKPOINT: return "checkpoint";
    case STAVE_DAMAGE_TORN: return "torn";
    }
    return "other";
}

static bool is_harmless(enum stave_damage_kind kind)
{
    return kind == STAVE_DAMAGE_CHECKPOINT || kind == STAVE_DAMAGE_TORN;
}

static void write_damage_json(const struct stave_damage *damage)
{
    fputs("{\"damage\": \"", stdout);
    fputs(damage_text(damage->kind), stdout);
    fputs("\", \"file\": ", stdout);
    json_write_text(stdout, damage->file == NULL ? "" : damage->file);
    printf(", \"offset\": %" PRIu64 ", \"size\": %" PRIu64 ", \"harmless\": %s, ", damage->offset,
           damage->size, is_harmless(damage->kind) ? "true" : "false");
    if (damage->key.data != NULL) {
        json_write_bytes(stdout, "key", damage->key);
        fputs(", ", stdout);
    }
    fputs("\"message\": ", stdout);
    json_write_text(stdout, damage->message == NULL ? "" : damage->message);
    puts("}");
}

static void write_damage_line(const struct stave_damage *damage)
{
    printf("%s at %" PRIu64 ": %s%s: %s", damage->file == NULL ? "?" : damage->file, damage->offset,
           damage_text(damage->kind), is_harmless(damage->kind) ? " (harmless)" : "",
           damage->message == NULL ? "" : damage->message);
    if (damage->size > 0) printf(", %" PRIu64 " bytes", damage->size);
    if (damage->key.data != NULL) {
        fputs(", key ", stdout);
        text_escaped_write(stdout, damage->key);
    }
    putchar('\n');
}

static bool note_damage(void *context, const struct stave_damage *damage)
{
    struct upkeep *upkeep = context;
    progress_wipe(&upkeep->progress);
    *(is_harmless(damage->kind) ? &upkeep->harmless_count : &upkeep->damage_count) += 1;
    if (upkeep->tool->json) {
        write_damage_json(damage);
    } else {
        write_damage_line(damage);
    }
    return cancel_requested();
}

/* The result of a call that does not work on an open store. */
static enum tool_exit report_error(const struct tool *tool, enum stave_status status,
                                   const struct stave_error *error)
{
    if (status == STAVE_CANCELLED) return tool_report(tool, status, "%s: interrupted", tool_path(tool));
    return tool_failure(tool, tool_path(tool), status, error);
}

static enum tool_exit run_check(const struct tool *tool)
{
    struct upkeep upkeep;
    struct stave_error error = {.status = STAVE_OK};
    upkeep_begin(&upkeep, tool, "checking");
    const enum stave_status status = stave_check(tool_path(tool), note_damage, step, &upkeep, &error);
    progress_wipe(&upkeep.progress);
    if (status != STAVE_OK && status != STAVE_CORRUPT) return report_error(tool, status, &error);
    if (status == STAVE_CORRUPT && upkeep.damage_count == 0) return report_error(tool, status, &error);

    if (tool->json) {
        printf("{\"sound\": %s, \"damage_count\": %" PRIu64 ", \"harmless_count\": %" PRIu64 "}\n",
               status == STAVE_OK ? "true" : "false", upkeep.damage_count, upkeep.harmless_count);
    } else if (status == STAVE_OK) {
        printf("no damage%s\n", upkeep.harmless_count > 0 ? " but what is harmless" : "");
    } else {
        printf("%" PRIu64 " damaged places; `stave salvage` copies what can be read\n", upkeep.damage_count);
    }
    return tool_exit_of(status);
}

static enum tool_exit run_salvage(const struct tool *tool)
{
    struct upkeep upkeep;
    struct stave_error error = {.status = STAVE_OK};
    struct stave_salvage_result salvaged = {0};
    const char *new_path = tool->arguments.words[1];
    upkeep_begin(&upkeep, tool, "salvaging");
    const enum stave_status status =
        stave_salvage(tool_path(tool), new_path, note_damage, step, &upkeep, &salvaged, &error);
    progress_wipe(&upkeep.progress);
    if (status != STAVE_OK) return report_error(tool, status, &error);

    char count[FORMAT_SIZE];
    char lost[FORMAT_SIZE];
    format_count(salvaged.record_count, count);
    format_size(salvaged.lost_size, lost);
    if (tool->json) {
        printf("{\"record_count\": %" PRIu64 ", \"damage_count\": %" PRIu64 ", \"lost_size\": %" PRIu64 "}\n",
               salvaged.record_count, salvaged.damage_count, salvaged.lost_size);
    } else {
        printf("%s keys copied to %s, %s could not be read\n", count, new_path,
               salvaged.lost_size == 0 ? "nothing" : lost);
    }
    return upkeep.damage_count > 0 ? TOOL_DAMAGE : TOOL_DONE;
}

/* Of all records: unlike that of the files it leaves out what is preallocated while the store is open. */
static uint64_t log_size_of(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof stats};
    return stave_stats(store, &stats) == STAVE_OK ? stats.log_size : 0;
}

static void write_compacted(const struct tool *tool, uint64_t before, uint64_t after)
{
    char before_text[FORMAT_SIZE];
    char after_text[FORMAT_SIZE];
    format_size(before, before_text);
    format_size(after, after_text);
    if (tool->json) {
        printf("{\"log_size_before\": %" PRIu64 ", \"log_size\": %" PRIu64 "}\n", before, after);
    } else {
        printf("log: %s before, %s now\n", before_text, after_text);
    }
}

static enum tool_exit run_compact(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    enum tool_exit result = tool_open(tool, TOOL_UPKEEP, &store);
    if (result != TOOL_DONE) return result;

    struct upkeep upkeep;
    const uint64_t before = log_size_of(store.store);
    const uint32_t flags = tool_given(tool, OPTION_ALL) ? STAVE_COMPACT_ALL : 0;
    upkeep_begin(&upkeep, tool, "compacting");
    const enum stave_status status = stave_compact(store.store, flags, step, &upkeep);
    progress_wipe(&upkeep.progress);
    result = tool_result(tool, store.store, "compact", status);
    const uint64_t after = log_size_of(store.store);
    result = tool_close(tool, &store, result);
    if (result == TOOL_DONE) write_compacted(tool, before, after);
    return result;
}

static enum tool_exit run_backup(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    const char *new_path = tool->arguments.words[1];
    enum tool_exit result = tool_open(tool, TOOL_UPKEEP, &store);
    if (result != TOOL_DONE) return result;

    struct stave_error error = {.status = STAVE_OK};
    const uint64_t sequence = stave_sequence(store.store);
    const enum stave_status status = stave_snapshot(store.store, new_path, &error);
    if (status != STAVE_OK) result = tool_failure(tool, new_path, status, &error);
    result = tool_close(tool, &store, result);
    if (result == TOOL_DONE && tool->json) {
        fputs("{\"path\": ", stdout);
        json_write_text(stdout, new_path);
        printf(", \"sequence\": %" PRIu64 "}\n", sequence);
    }
    return result;
}

const struct tool_command command_check = {
    .name = "check",
    .words = "STORE",
    .summary = "read every byte and name each damage; change nothing",
    .details = "Each damage is a line with file, offset, kind, and the key where it is known. Kinds: "
               "manifest, file, header,\n"
               "payload; and harmless ones: checkpoint, torn. Exit code 3 if there is damage that is not "
               "harmless. Nobody\n"
               "may have the store open for writing.",
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_check,
};

const struct tool_command command_salvage = {
    .name = "salvage",
    .words = "STORE NEW",
    .summary = "copy what can be read of a damaged store into a new one",
    .details = "STORE is left as it is; NEW must not exist. All spaces are copied. Exit code 0 if there was "
               "no damage, 3 if\n"
               "there was: then NEW holds what could be read, and each damage is named as by check.",
    .word_count_min = 2,
    .word_count_max = 2,
    .run = run_salvage,
};

const struct tool_command command_compact = {
    .name = "compact",
    .words = "STORE",
    .summary = "give back the room of what is dead",
    .details = "Rewrites the segments that hold enough dead bytes. An interruption loses nothing.",
    .options = OPTION_BIT(OPTION_ALL),
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run_compact,
};

const struct tool_command command_backup = {
    .name = "backup",
    .words = "STORE NEW",
    .summary = "make a second store with the contents of this moment",
    .details = "Takes no longer for a larger store: NEW, which must not exist and lies on the same file "
               "system, is made of\n"
               "hard links. Copy it elsewhere at leisure. All spaces are in it.",
    .word_count_min = 2,
    .word_count_max = 2,
    .run = run_backup,
};
