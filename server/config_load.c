/* SPDX-License-Identifier: MIT */
/* Configuration files and the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "net/words.h"
#include "server/config.h"
#include "server/config_table.h"
#include "server/config_value.h"

/* Where a line stands: named in its errors. */
struct source {
    struct config *config;
    struct buffer *warnings;
    const char *file; /* NULL: the command line */
    size_t line;
    size_t depth; /* of includes */
    char *error;
};

struct line {
    struct buffer bytes;
    struct stave_bytes words[CONFIG_WORD_COUNT_MAX];
    size_t count;
};

static enum stave_status load_file(const struct source *parent, const char *path);

static enum stave_status refuse(const struct source *source, const char *what, const char *reason)
{
    if (source->file == NULL)
        snprintf(source->error, CONFIG_ERROR_SIZE, "option '--%.100s': %.300s", what, reason);
    else
        snprintf(source->error, CONFIG_ERROR_SIZE, "%.100s:%zu: '%.100s': %.300s", source->file, source->line,
                 what, reason);
    return STAVE_INVALID;
}

/* A line that cannot be cut into words: its first one is named, since the others may be secrets. */
static enum stave_status refuse_line(const struct source *source, struct stave_bytes line)
{
    char name[64] = "";
    const char *at = line.data;
    const char *const end = at + line.size;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    for (size_t i = 0; i < sizeof(name) - 1 && at < end && *at != ' ' && *at != '\t'; i++) name[i] = *at++;
    return refuse(source, name, "unbalanced quotes, or too many words");
}

/* ------------------------------------------------------------------ one line */

static enum stave_status cut(struct stave_bytes text, struct line *line)
{
    size_t sizes[CONFIG_WORD_COUNT_MAX];
    size_t position = 0;
    line->count = 0;
    for (;;) {
        const size_t before = line->bytes.size;
        const enum words_result result = words_next(text, &position, &line->bytes);
        if (result == WORDS_END) break;
        if (result == WORDS_NO_MEMORY) return STAVE_NO_MEMORY;
        if (result == WORDS_UNBALANCED || line->count == CONFIG_WORD_COUNT_MAX) return STAVE_INVALID;
        /* Each word ends with a zero, for those that are used as text. */
        sizes[line->count++] = line->bytes.size - before;
        if (buffer_append_zero(&line->bytes, 1) != STAVE_OK) return STAVE_NO_MEMORY;
    }
    const uint8_t *at = line->bytes.data;
    for (size_t i = 0; i < line->count; at += sizes[i] + 1, i++) line->words[i] = stave_bytes(at, sizes[i]);
    return STAVE_OK;
}

/* Of a list one argument may hold all words: save "60 1000". */
static enum stave_status store(struct config *config, int number, const struct line *line, char *error)
{
    if (line->count == 2 && line->words[1].size > 0)
        return config_value_store_text(config, number, line->words[1], error);
    return config_value_store(config, number, line->words + 1, line->count - 1, error);
}

/* `save` lines add to each other; an empty one forgets those before. */
static enum stave_status add_periods(struct config *config, int number, const struct line *line, char *error)
{
    struct config_period before[CONFIG_PERIOD_COUNT_MAX];
    const size_t before_count = config->period_count;
    memcpy(before, config->periods, sizeof(before));
    enum stave_status status = store(config, number, line, error);
    if (status != STAVE_OK || config->period_count == 0) return status;
    if (before_count + config->period_count > CONFIG_PERIOD_COUNT_MAX) {
        snprintf(error, CONFIG_ERROR_SIZE, "more than %d periods", CONFIG_PERIOD_COUNT_MAX);
        return STAVE_INVALID;
    }
    memmove(config->periods + before_count, config->periods, config->period_count * sizeof(before[0]));
    memcpy(config->periods, before, before_count * sizeof(before[0]));
    config->period_count += before_count;
    return STAVE_OK;
}

static enum stave_status warn_without_effect(const struct source *source, int number)
{
    const struct directive *directive = &config_directives[number];
    if ((directive->flags & (DIRECTIVE_IGNORED | DIRECTIVE_QUIET)) != DIRECTIVE_IGNORED) return STAVE_OK;
    if (source->file == NULL)
        return buffer_append_format(source->warnings, "option '--%s' is accepted and has no effect\n",
                                    directive->name);
    return buffer_append_format(source->warnings, "%s:%zu: '%s' is accepted and has no effect\n",
                                source->file, source->line, directive->name);
}

static enum stave_status take_directive(const struct source *source, const struct line *line)
{
    const char *name = line->words[0].data;
    const int number = config_directive_find(line->words[0]);
    if (number < 0) return refuse(source, name, "no such directive");
    if (line->count < 2) return refuse(source, name, "wrong number of arguments");
    char reason[CONFIG_ERROR_SIZE];
    enum stave_status status;
    if (config_directives[number].type == DIRECTIVE_PERIODS)
        status = add_periods(source->config, number, line, reason);
    else
        status = store(source->config, number, line, reason);
    if (status == STAVE_INVALID) return refuse(source, name, reason);
    return status == STAVE_OK ? warn_without_effect(source, number) : status;
}

static enum stave_status take_line(const struct source *source, struct stave_bytes text)
{
    struct line line = {.count = 0};
    enum stave_status status = cut(text, &line);
    if (status == STAVE_INVALID) status = refuse_line(source, text);
    if (status == STAVE_OK && line.count > 0) {
        const bool is_include = strcasecmp(line.words[0].data, "include") == 0;
        if (is_include && line.count == 2)
            status = load_file(source, line.words[1].data);
        else
            status = take_directive(source, &line);
    }
    buffer_free(&line.bytes);
    return status;
}

/* ------------------------------------------------------------------ files */

static bool is_comment(struct stave_bytes line)
{
    const char *text = line.data;
    size_t at = 0;
    while (at < line.size && strchr(" \t\r", text[at]) != NULL && text[at] != 0) at++;
    return at == line.size || text[at] == '#';
}

static enum stave_status take_text(struct source *source, struct stave_bytes text)
{
    const char *at = text.data;
    const char *const end = at + text.size;
    for (source->line = 1; at < end; source->line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const struct stave_bytes line = stave_bytes(at, (size_t)((stop != NULL ? stop : end) - at));
        if (!is_comment(line)) {
            const enum stave_status status = take_line(source, line);
            if (status != STAVE_OK) return status;
        }
        if (stop == NULL) break;
        at = stop + 1;
    }
    return STAVE_OK;
}

static enum stave_status read_stream(FILE *stream, struct buffer *text)
{
    char block[4096];
    size_t size;
    while ((size = fread(block, 1, sizeof(block), stream)) > 0) {
        const enum stave_status status = buffer_append(text, block, size);
        if (status != STAVE_OK) return status;
    }
    return ferror(stream) ? STAVE_IO : STAVE_OK;
}

static enum stave_status load_stream(const struct source *parent, FILE *stream, const char *name)
{
    struct source source = *parent;
    source.file = name;
    source.depth++;
    struct buffer text = buffer_limited(CONFIG_FILE_SIZE_MAX);
    enum stave_status status = read_stream(stream, &text);
    if (status == STAVE_IO || status == STAVE_LIMIT)
        snprintf(source.error, CONFIG_ERROR_SIZE, "%.200s: %s", name,
                 status == STAVE_IO ? strerror(errno) : "too large for a configuration file");
    if (status == STAVE_OK) status = take_text(&source, buffer_bytes(&text));
    buffer_free(&text);
    return status == STAVE_LIMIT ? STAVE_INVALID : status;
}

/* Depth is bounded, so this returns to itself at most CONFIG_INCLUDE_DEPTH_MAX times. */
static enum stave_status load_file(const struct source *parent, const char *path)
{
    if (parent->depth >= CONFIG_INCLUDE_DEPTH_MAX) return refuse(parent, "include", "included too deeply");
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        char reason[CONFIG_ERROR_SIZE];
        snprintf(reason, sizeof(reason), "cannot open the configuration file %.200s: %s", path,
                 strerror(errno));
        if (parent->file != NULL) return refuse(parent, "include", reason);
        snprintf(parent->error, CONFIG_ERROR_SIZE, "%s", reason);
        return STAVE_IO;
    }
    const enum stave_status status = load_stream(parent, stream, path);
    fclose(stream);
    return status;
}

/* ------------------------------------------------------------------ the command line */

static bool is_option(const char *argument)
{
    return strncmp(argument, "--", 2) == 0 && argument[2] != 0;
}

/* `--name value...` up to the next option. Returns how many arguments it took. */
static enum stave_status take_option(const struct source *source, char **arguments, int left, int *ret_used)
{
    struct line line = {.count = 1};
    int used = 1;
    line.words[0] = stave_text(arguments[0] + 2);
    for (; used < left && !is_option(arguments[used]); used++) {
        if (line.count == CONFIG_WORD_COUNT_MAX)
            return refuse(source, arguments[0] + 2, "too many arguments");
        line.words[line.count++] = stave_text(arguments[used]);
    }
    *ret_used = used;
    const bool is_save_alone = line.count == 1 && strcasecmp(line.words[0].data, "save") == 0;
    if (is_save_alone) line.words[line.count++] = stave_text(""); /* as with Redis: at no time */
    return take_directive(source, &line);
}

static enum stave_status remember_file(struct config *config, const char *path)
{
    char *absolute = realpath(path, NULL);
    memory_free(config->file);
    config->file = absolute != NULL ? memory_copy_string(absolute) : NULL;
    free(absolute);
    return config->file != NULL ? STAVE_OK : STAVE_NO_MEMORY;
}

enum stave_status config_load(struct config *config, int argument_count, char **arguments,
                              struct buffer *ret_warnings, char ret_error[CONFIG_ERROR_SIZE])
{
    const struct source source = {config, ret_warnings, NULL, 0, 0, ret_error};
    enum stave_status status = STAVE_OK;
    int at = 1;
    snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", "no memory for the configuration");
    if (at < argument_count && !is_option(arguments[at])) {
        const bool is_input = strcmp(arguments[at], "-") == 0;
        if (arguments[at][0] == '-' && !is_input) {
            snprintf(ret_error, CONFIG_ERROR_SIZE, "'%.200s' is no option; see stave-server --help",
                     arguments[at]);
            return STAVE_INVALID;
        }
        status = is_input ? load_stream(&source, stdin, "standard input") : load_file(&source, arguments[at]);
        if (status == STAVE_OK && !is_input) status = remember_file(config, arguments[at]);
        at++;
    }
    while (at < argument_count && status == STAVE_OK) {
        int used = 1;
        if (!is_option(arguments[at])) {
            snprintf(ret_error, CONFIG_ERROR_SIZE, "'%.200s' is neither an option nor its value",
                     arguments[at]);
            return STAVE_INVALID;
        }
        status = take_option(&source, arguments + at, argument_count - at, &used);
        at += used;
    }
    return status;
}
