/* SPDX-License-Identifier: MIT */
/* Names are compared without regard to case. */
#include "cli/complete.h"

#include <string.h>
#include <strings.h>

#include "cli/line.h"

static void append(struct buffer *out, const char *text)
{
    (void)message_need(buffer_append(out, text, strlen(text)) == STAVE_OK ? out : NULL);
}

static void append_zero(struct buffer *out)
{
    (void)message_need(buffer_append(out, "", 1) == STAVE_OK ? out : NULL);
}

/* ------------------------------------------------------------------ completion */

static void add_name(struct completion *completion, const char *name, size_t size)
{
    const size_t last = completion->count - 1;
    if (completion->count == COMPLETE_NAMES_MAX) return;
    if (completion->count > 0 && completion->name_sizes[last] == size &&
        memcmp(completion->names[last], name, size) == 0)
        return;
    if (completion->count == 0) completion->common_size = size;
    size_t common = 0;
    while (common < completion->common_size && common < size && completion->names[0] != NULL &&
           name[common] == completion->names[0][common])
        common++;
    if (completion->count > 0) completion->common_size = common;
    completion->names[completion->count] = name;
    completion->name_sizes[completion->count++] = size;
}

/* Commands whose name begins with the line's words: of the name the word that stands at the line's end. */
static void add_matching(const struct docs *docs, const char *typed, size_t typed_size, size_t word_start,
                         struct completion *completion)
{
    for (size_t i = 0; i < docs->count; i++) {
        const char *const name = docs->commands[i].name;
        if (strncasecmp(name, typed, typed_size) != 0 || strlen(name) < typed_size) continue;
        const char *const word = name + word_start;
        const size_t size = strcspn(word, " ");
        if (size > 0) add_name(completion, word, size);
    }
}

void complete_line(const struct docs *docs, const char *line, size_t size, struct completion *ret_completion)
{
    static const char help[] = "help ";
    struct completion completion = {.count = 0};
    while (size > 0 && *line == ' ') {
        line++;
        size--;
    }
    if (size >= strlen(help) && strncasecmp(line, help, strlen(help)) == 0) {
        line += strlen(help);
        size -= strlen(help);
    }
    const char *const space = memrchr(line, ' ', size);
    const size_t word_start = space != NULL ? (size_t)(space - line) + 1 : 0;
    completion.typed_size = size - word_start;
    add_matching(docs, line, size, word_start, &completion);
    *ret_completion = completion;
}

/* ------------------------------------------------------------------ hints */

static void append_argument(struct buffer *out, const struct docs_argument *argument)
{
    if (out->size > 0) append(out, " ");
    append(out, argument->text);
}

void complete_syntax(const struct docs_command *command, struct buffer *ret_text)
{
    buffer_clear(ret_text);
    append(ret_text, command->name);
    for (size_t i = 0; i < command->argument_count; i++) append_argument(ret_text, &command->arguments[i]);
    append_zero(ret_text);
}

/* Each word given takes one of the arguments that must stand first; what may be left out is always shown. */
static void append_hint(const struct docs_command *command, size_t given, struct buffer *hint)
{
    size_t taken = 0;
    while (taken < given && taken < command->argument_count && !command->arguments[taken].is_optional &&
           strchr(command->arguments[taken].text, '[') == NULL)
        taken++;
    for (size_t i = taken; i < command->argument_count; i++) append_argument(hint, &command->arguments[i]);
}

void complete_hint(const struct docs *docs, const char *line, size_t size, struct buffer *ret_hint)
{
    struct words words = {.list = NULL};
    size_t used = 0;
    buffer_clear(ret_hint);
    const bool is_behind_word = size > 0 && line[size - 1] == ' ';
    if (words_split((struct stave_bytes){line, size}, &words) && words.count > 0) {
        const struct docs_command *const command = docs_find(docs, words.list, words.count, &used);
        const size_t finished = is_behind_word ? words.count : words.count - 1;
        if (command != NULL && finished >= used) append_hint(command, finished - used, ret_hint);
    }
    words_free(&words);
    append_zero(ret_hint);
}
