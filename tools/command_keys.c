/* SPDX-License-Identifier: MIT */
/* Commands on single keys: get, put, delete. */
#include "tools/commands.h"

#include "tools/input.h"
#include "tools/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void write_view(const struct tool *tool, const struct stave_view *view)
{
    const struct stave_bytes value = stave_bytes(view->data, view->size);
    if (!tool->json) {
        if (value.size > 0) (void)fwrite(value.data, 1, value.size, stdout);
        if (isatty(STDOUT_FILENO) == 1) putchar('\n');
        return;
    }
    putchar('{');
    json_write_bytes(stdout, "value", value);
    printf(", \"sequence\": %" PRIu64, view->sequence);
    if (view->expires_at_ms != 0) printf(", \"expires_at_ms\": %" PRIu64, view->expires_at_ms);
    puts("}");
}

/* An expected "no": the exit code says it, and a line for people or for programs. */
static enum tool_exit answer_no(const struct tool *tool, const char *member, const char *message)
{
    if (tool->json) {
        printf("{\"%s\": false, \"reason\": \"%s\"}\n", member, message);
    } else {
        fprintf(stderr, "stave: %s\n", message);
    }
    return TOOL_NO;
}

static const char *no_text(enum stave_status status)
{
    if (status == STAVE_EXISTS) return "the key is there already";
    if (status == STAVE_CONFLICT) return "the key has another sequence";
    return "there is no such key";
}

static enum tool_exit run_get(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    struct stave_bytes key = {NULL, 0};
    enum tool_exit result = tool_bytes(tool, tool->arguments.words[1], &key);
    if (result != TOOL_DONE) return result;
    result = tool_open(tool, TOOL_READ, &store);
    if (result != TOOL_DONE) return result;

    struct stave_view view = {.data = NULL};
    const enum stave_status status = stave_view(store.space, key, NULL, &view);
    if (status == STAVE_OK) {
        write_view(tool, &view);
        stave_view_release(store.space, &view);
    } else if (status > 0) {
        result = answer_no(tool, "found", no_text(status));
    } else {
        result = tool_result(tool, store.space, "get", status);
    }
    return tool_close(tool, &store, result);
}

/* What put's options ask for. */
static enum tool_exit read_write(const struct tool *tool, struct stave_write *ret_write)
{
    struct stave_write write = {.flags = 0};
    if (tool_given(tool, OPTION_IF_ABSENT)) write.flags |= STAVE_IF_ABSENT;
    if (tool_given(tool, OPTION_IF_PRESENT)) write.flags |= STAVE_IF_PRESENT;
    if (tool_given(tool, OPTION_IF_SEQUENCE)) write.flags |= STAVE_IF_SEQUENCE;
    if (tool_given(tool, OPTION_DURABLE)) write.flags |= STAVE_DURABLE;
    const enum tool_exit result = tool_number(tool, OPTION_IF_SEQUENCE, UINT64_MAX, 0, &write.if_sequence);
    if (result != TOOL_DONE) return result;
    if (tool_given(tool, OPTION_EXPIRE_IN)) {
        const char *text = tool->arguments.values[OPTION_EXPIRE_IN];
        uint64_t duration_ms = 0;
        if (!arguments_duration(text, &duration_ms) || duration_ms > UINT64_MAX / 2)
            return tool_usage(
                tool, "--expire-in: a time such as 250ms, 30s, 5m, 2h or 7d is needed, not \"%s\"", text);
        write.expires_at_ms = tool_now_ms() + duration_ms;
    }
    *ret_write = write;
    return TOOL_DONE;
}

static enum tool_exit put_bytes(const struct tool *tool, struct stave_bytes key, struct stave_bytes value,
                                const struct stave_write *write)
{
    struct tool_store store = {NULL, NULL};
    enum tool_exit result = tool_open(tool, TOOL_MAKE, &store);
    if (result != TOOL_DONE) return result;
    uint64_t sequence = 0;
    const enum stave_status status = stave_put_with(store.space, key, value, write, &sequence);
    if (status > 0) {
        result = answer_no(tool, "stored", no_text(status));
    } else {
        result = tool_result(tool, store.space, "put", status);
    }
    result = tool_close(tool, &store, result);
    if (result == TOOL_DONE && tool->json)
        printf("{\"stored\": true, \"sequence\": %" PRIu64 "}\n", sequence);
    return result;
}

static enum tool_exit run_put(const struct tool *tool)
{
    struct input input = INPUT_NONE;
    struct stave_bytes key = {NULL, 0};
    struct stave_bytes value = {NULL, 0};
    struct stave_write write = {.flags = 0};
    enum tool_exit result = read_write(tool, &write);
    if (result == TOOL_DONE) result = tool_bytes(tool, tool->arguments.words[1], &key);
    if (result != TOOL_DONE) return result;

    if (strcmp(tool->arguments.words[2], "-") != 0) {
        result = tool_bytes(tool, tool->arguments.words[2], &value);
    } else {
        input.fd = STDIN_FILENO;
        result = input_failure(tool, "standard input", input_all(&input, STAVE_VALUE_SIZE_MAX, &value));
    }
    if (result == TOOL_DONE) result = put_bytes(tool, key, value, &write);
    input_free(&input);
    return result;
}

static enum tool_exit run_delete(const struct tool *tool)
{
    struct tool_store store = {NULL, NULL};
    enum tool_exit result = tool_open(tool, TOOL_WRITE, &store);
    if (result != TOOL_DONE) return result;

    const struct stave_write write = {.flags = tool_given(tool, OPTION_DURABLE) ? STAVE_DURABLE : 0};
    size_t deleted_count = 0;
    size_t absent_count = 0;
    for (size_t i = 1; i < tool->arguments.word_count && result == TOOL_DONE; i++) {
        struct stave_bytes key = {NULL, 0};
        result = tool_bytes(tool, tool->arguments.words[i], &key);
        if (result != TOOL_DONE) break;
        const enum stave_status status = stave_delete_with(store.space, key, &write, NULL);
        if (status >= 0) *(status == STAVE_OK ? &deleted_count : &absent_count) += 1;
        if (status < 0) result = tool_result(tool, store.space, "delete", status);
    }
    result = tool_close(tool, &store, result);
    if (result != TOOL_DONE) return result;
    if (tool->json) printf("{\"deleted\": %zu, \"absent\": %zu}\n", deleted_count, absent_count);
    if (absent_count == 0) return TOOL_DONE;
    if (!tool->json) fprintf(stderr, "stave: %zu of the keys were not there\n", absent_count);
    return TOOL_NO;
}

const struct tool_command command_get = {
    .name = "get",
    .words = "STORE KEY",
    .summary = "write the value of a key to standard output",
    .details = "Writes the bytes of the value and nothing else; on a terminal a line end follows. Exit code "
               "1 if there\n"
               "is no such key.",
    .options = OPTION_BIT(OPTION_ESCAPED) | OPTION_BIT(OPTION_ACCEPT_DAMAGE),
    .word_count_min = 2,
    .word_count_max = 2,
    .run = run_get,
};

const struct tool_command command_put = {
    .name = "put",
    .words = "STORE KEY VALUE",
    .summary = "store a value under a key",
    .details = "The value `-` stands for all of standard input. The store is made if it is not there. Exit "
               "code 1 if a\n"
               "condition does not hold; then nothing is written.",
    .options = OPTION_BIT(OPTION_ESCAPED) | OPTION_BIT(OPTION_IF_ABSENT) | OPTION_BIT(OPTION_IF_PRESENT) |
               OPTION_BIT(OPTION_IF_SEQUENCE) | OPTION_BIT(OPTION_EXPIRE_IN) | OPTION_BIT(OPTION_DURABLE),
    .word_count_min = 3,
    .word_count_max = 3,
    .run = run_put,
};

const struct tool_command command_delete = {
    .name = "delete",
    .words = "STORE KEY...",
    .summary = "remove keys",
    .details = "Exit code 1 if one of the keys was not there; the others are removed all the same.",
    .options = OPTION_BIT(OPTION_ESCAPED) | OPTION_BIT(OPTION_DURABLE),
    .word_count_min = 2,
    .word_count_max = SIZE_MAX,
    .run = run_delete,
};
