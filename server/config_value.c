/* SPDX-License-Identifier: MIT */
/* Values of directives, by their types. */
#include "server/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "net/words.h"

/* A word as text; longer ones are no number and no name. */
#define TEXT_SIZE 64

struct place {
    const struct directive *directive;
    struct config *config;
    void *field; /* of the configuration, or a value that is only looked at */
    char *error;
};

/* Of what has no effect: for a look at it. */
union value {
    bool boolean;
    int word;
    int64_t number;
};

static enum stave_status refuse(const struct place *place, const char *text)
{
    snprintf(place->error, CONFIG_ERROR_SIZE, "%s", text);
    return STAVE_INVALID;
}

static char *copy_text(struct stave_bytes word)
{
    char *copy = memory_alloc(word.size + 1);
    if (copy == NULL) return NULL;
    if (word.size > 0) memcpy(copy, word.data, word.size);
    copy[word.size] = 0;
    return copy;
}

static enum stave_status replace_text(char **target, struct stave_bytes word)
{
    char *copy = copy_text(word);
    if (copy == NULL) return STAVE_NO_MEMORY;
    memory_free(*target);
    *target = copy;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ numbers */

static bool parse_integer(struct stave_bytes word, int base, const char **ret_rest, char text[TEXT_SIZE],
                          int64_t *ret_value)
{
    if (word.size == 0 || word.size >= TEXT_SIZE) return false;
    memcpy(text, word.data, word.size);
    text[word.size] = 0;
    if (strchr("+ \t", text[0]) != NULL) return false;
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, base);
    if (errno != 0 || end == text) return false;
    *ret_rest = end;
    *ret_value = value;
    return true;
}

static int64_t unit_of(const char *text)
{
    static const struct {
        const char *name;
        int64_t size;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
                 {"m", 1000000}, {"mb", 1048576}, {"g", 1000000000}, {"gb", 1073741824}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcasecmp(units[i].name, text) == 0) return units[i].size;
    return 0;
}

static bool parse_memory(struct stave_bytes word, int64_t *ret_value)
{
    char text[TEXT_SIZE];
    const char *rest;
    int64_t value;
    if (!parse_integer(word, 10, &rest, text, &value) || value < 0) return false;
    const int64_t unit = unit_of(rest);
    if (unit == 0 || value > INT64_MAX / unit) return false;
    *ret_value = value * unit;
    return true;
}

static enum stave_status store_number(const struct place *place, int64_t value)
{
    const struct directive *directive = place->directive;
    if (value < directive->min || value > directive->max) {
        const char *format = directive->type == DIRECTIVE_OCTAL
                                 ? "argument must be between %" PRIo64 " and %" PRIo64 " inclusive"
                                 : "argument must be between %" PRId64 " and %" PRId64 " inclusive";
        snprintf(place->error, CONFIG_ERROR_SIZE, format, directive->min, directive->max);
        return STAVE_INVALID;
    }
    *(int64_t *)place->field = value;
    return STAVE_OK;
}

static enum stave_status store_integer(const struct place *place, struct stave_bytes word)
{
    int64_t value;
    if (!resp_integer(word, &value)) return refuse(place, "argument couldn't be parsed into an integer");
    return store_number(place, value);
}

static enum stave_status store_octal(const struct place *place, struct stave_bytes word)
{
    char text[TEXT_SIZE];
    const char *rest;
    int64_t value;
    if (!parse_integer(word, 8, &rest, text, &value) || *rest != 0)
        return refuse(place, "argument couldn't be parsed as an octal number");
    return store_number(place, value);
}

static enum stave_status store_memory(const struct place *place, struct stave_bytes word)
{
    const char *data = word.data;
    int64_t value;
    const bool has_percent =
        place->directive->type == DIRECTIVE_MEMORY_OR_PERCENT && word.size > 1 && data[word.size - 1] == '%';
    if (has_percent) {
        char text[TEXT_SIZE];
        const char *rest;
        if (!parse_integer(word, 10, &rest, text, &value) || strcmp(rest, "%") != 0 || value < 0)
            return refuse(place, "argument must be a memory or percent value");
        if (value > 100) return refuse(place, "percentage argument must be less or equal to 100");
        *(int64_t *)place->field = -value;
        return STAVE_OK;
    }
    if (!parse_memory(word, &value))
        return refuse(place, place->directive->type == DIRECTIVE_MEMORY
                                 ? "argument must be a memory value"
                                 : "argument must be a memory or percent value");
    return store_number(place, value);
}

/* ------------------------------------------------------------------ words */

static enum stave_status store_boolean(const struct place *place, struct stave_bytes word)
{
    const bool yes = words_is(word, "yes");
    if (!yes && !words_is(word, "no")) return refuse(place, "argument must be 'yes' or 'no'");
    *(bool *)place->field = yes;
    return STAVE_OK;
}

static enum stave_status store_enum(const struct place *place, struct stave_bytes word)
{
    for (const struct directive_word *at = place->directive->words; at->word != NULL; at++) {
        if (!words_is(word, at->word)) continue;
        *(int *)place->field = at->value;
        return STAVE_OK;
    }
    size_t used =
        (size_t)snprintf(place->error, CONFIG_ERROR_SIZE, "argument(s) must be one of the following: ");
    for (const struct directive_word *at = place->directive->words; at->word != NULL; at++)
        used += (size_t)snprintf(place->error + used, CONFIG_ERROR_SIZE - used, "%s%s", at->word,
                                 at[1].word != NULL ? ", " : "");
    return STAVE_INVALID;
}

/* One text of all words, a space between two. */
static enum stave_status store_joined(char **target, const struct stave_bytes *words, size_t count)
{
    struct buffer joined = {0};
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < count && status == STAVE_OK; i++) {
        if (i > 0) status = buffer_append(&joined, " ", 1);
        if (status == STAVE_OK) status = buffer_append(&joined, words[i].data, words[i].size);
    }
    if (status == STAVE_OK) status = replace_text(target, buffer_bytes(&joined));
    buffer_free(&joined);
    return status;
}

/* ------------------------------------------------------------------ lists */

static const char *const class_names[CLIENT_CLASS_COUNT] = {"normal", "slave", "pubsub"};

static int class_of(struct stave_bytes word)
{
    for (int i = 0; i < CLIENT_CLASS_COUNT; i++)
        if (words_is(word, class_names[i])) return i;
    return words_is(word, "replica") ? CLIENT_CLASS_REPLICA : -1;
}

static enum stave_status store_output_limits(const struct place *place, const struct stave_bytes *words,
                                             size_t count)
{
    struct config_output_limit limits[CLIENT_CLASS_COUNT];
    memcpy(limits, place->config->output_limits, sizeof(limits));
    if (count == 0 || count % 4 != 0)
        return refuse(place, "Wrong number of arguments in buffer limit configuration.");
    for (size_t i = 0; i < count; i += 4) {
        const int class = class_of(words[i]);
        if (class < 0) return refuse(place, "Invalid client class specified in buffer limit configuration.");
        struct config_output_limit limit;
        char text[TEXT_SIZE];
        const char *rest;
        if (!parse_memory(words[i + 1], &limit.hard_size) || !parse_memory(words[i + 2], &limit.soft_size) ||
            !parse_integer(words[i + 3], 10, &rest, text, &limit.soft_seconds) || *rest != 0 ||
            limit.soft_seconds < 0)
            return refuse(place,
                          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        limits[class] = limit;
    }
    memcpy(place->config->output_limits, limits, sizeof(limits));
    return STAVE_OK;
}

/* Adds to what is there; an empty word empties the list, as `save ""` does. */
static enum stave_status store_periods(const struct place *place, const struct stave_bytes *words,
                                       size_t count)
{
    struct config *config = place->config;
    if (count == 0 || (count == 1 && words[0].size == 0)) {
        config->period_count = 0;
        return STAVE_OK;
    }
    if (count % 2 != 0) return refuse(place, "Invalid save parameters");
    if (count / 2 > CONFIG_PERIOD_COUNT_MAX) return refuse(place, "Too many save parameters");
    struct config_period periods[CONFIG_PERIOD_COUNT_MAX];
    for (size_t i = 0; i < count; i += 2) {
        char text[TEXT_SIZE];
        const char *rest;
        struct config_period *period = &periods[i / 2];
        if (!parse_integer(words[i], 10, &rest, text, &period->seconds) || *rest != 0 ||
            period->seconds < 1 || !parse_integer(words[i + 1], 10, &rest, text, &period->change_count) ||
            *rest != 0 || period->change_count < 0)
            return refuse(place, "Invalid save parameters");
    }
    memcpy(config->periods, periods, sizeof(periods[0]) * (count / 2));
    config->period_count = count / 2;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ any */

static enum stave_status store_refused(const struct place *place, const struct stave_bytes *words,
                                       size_t count)
{
    const char *fallback = place->directive->default_text;
    if (count == 1 && (words[0].size == 0 || words_is(words[0], fallback))) return STAVE_OK;
    snprintf(place->error, CONFIG_ERROR_SIZE, "'%s' is not supported by this server", place->directive->name);
    return STAVE_INVALID;
}

static bool is_name(struct stave_bytes word)
{
    return word.size > 0 && memchr(word.data, '/', word.size) == NULL && !words_is(word, ".") &&
           !words_is(word, "..");
}

static enum stave_status store_single(const struct place *place, struct stave_bytes word)
{
    switch (place->directive->type) {
    case DIRECTIVE_BOOLEAN: return store_boolean(place, word);
    case DIRECTIVE_INTEGER: return store_integer(place, word);
    case DIRECTIVE_OCTAL: return store_octal(place, word);
    case DIRECTIVE_MEMORY:
    case DIRECTIVE_MEMORY_OR_PERCENT: return store_memory(place, word);
    case DIRECTIVE_ENUM: return store_enum(place, word);
    case DIRECTIVE_STRING:
        if ((place->directive->flags & DIRECTIVE_NAME) != 0 && !is_name(word))
            return refuse(place, "dbfilename can't be a path, just a filename");
        return replace_text((char **)place->field, word);
    case DIRECTIVE_POLICY:
        if (words_is(word, place->directive->default_text)) return STAVE_OK;
        return refuse(place, "argument must be 'noeviction': this server does not evict keys");
    default: return STAVE_INVALID;
    }
}

/* Each word must be one that the enum has. */
static enum stave_status check_words(const struct place *place, const struct stave_bytes *words, size_t count)
{
    enum stave_status status = store_enum(place, count > 0 ? words[0] : stave_text(""));
    for (size_t i = 1; i < count && status == STAVE_OK; i++) status = store_enum(place, words[i]);
    return status;
}

/* What has no effect is kept as it was written, once it has been found good. */
static enum stave_status store_ignored(const struct place *place, char **text,
                                       const struct stave_bytes *words, size_t count)
{
    union value value;
    struct place look = *place;
    look.field = &value;
    enum stave_status status = STAVE_OK;
    if (place->directive->type == DIRECTIVE_ENUMS)
        status = check_words(&look, words, count);
    else if (place->directive->type != DIRECTIVE_TEXT && count != 1)
        status = refuse(place, "wrong number of arguments");
    else if (place->directive->type != DIRECTIVE_TEXT && place->directive->type != DIRECTIVE_STRING)
        status = store_single(&look, words[0]);
    return status == STAVE_OK ? store_joined(text, words, count) : status;
}

enum stave_status config_value_store(struct config *config, int number, const struct stave_bytes *words,
                                     size_t count, char ret_error[CONFIG_ERROR_SIZE])
{
    const struct directive *directive = &config_directives[number];
    const struct place place = {directive, config, (char *)config + directive->offset, ret_error};
    if ((directive->flags & DIRECTIVE_IGNORED) != 0)
        return store_ignored(&place, &config->texts[number], words, count);
    switch (place.directive->type) {
    case DIRECTIVE_ADDRESSES: return store_joined((char **)place.field, words, count);
    case DIRECTIVE_OUTPUT_LIMITS: return store_output_limits(&place, words, count);
    case DIRECTIVE_PERIODS: return store_periods(&place, words, count);
    case DIRECTIVE_REFUSED: return store_refused(&place, words, count);
    default: break;
    }
    if (count != 1) return refuse(&place, "wrong number of arguments");
    return store_single(&place, words[0]);
}

bool config_value_is_list(int number)
{
    const enum directive_type type = config_directives[number].type;
    return type == DIRECTIVE_ADDRESSES || type == DIRECTIVE_OUTPUT_LIMITS || type == DIRECTIVE_PERIODS ||
           type == DIRECTIVE_ENUMS || type == DIRECTIVE_TEXT;
}

enum stave_status config_value_store_text(struct config *config, int number, struct stave_bytes text,
                                          char ret_error[CONFIG_ERROR_SIZE])
{
    if (!config_value_is_list(number) || config_directives[number].type == DIRECTIVE_TEXT)
        return config_value_store(config, number, &text, 1, ret_error);

    struct stave_bytes words[CONFIG_WORD_COUNT_MAX];
    struct buffer bytes = {0};
    size_t sizes[CONFIG_WORD_COUNT_MAX];
    size_t count = 0;
    size_t position = 0;
    enum words_result result = WORDS_ONE;
    while (count < CONFIG_WORD_COUNT_MAX) {
        const size_t before = bytes.size;
        result = words_next(text, &position, &bytes);
        if (result != WORDS_ONE) break;
        sizes[count++] = bytes.size - before;
    }
    enum stave_status status = result == WORDS_NO_MEMORY ? STAVE_NO_MEMORY : STAVE_OK;
    if (result == WORDS_ONE || result == WORDS_UNBALANCED) {
        snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", "unbalanced quotes or too many arguments");
        status = STAVE_INVALID;
    }
    for (size_t i = 0, at = 0; i < count; at += sizes[i++]) words[i] = stave_bytes(bytes.data + at, sizes[i]);
    if (status == STAVE_OK) status = config_value_store(config, number, words, count, ret_error);
    buffer_free(&bytes);
    return status;
}

/* ------------------------------------------------------------------ as text */

static enum stave_status append_text(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

static enum stave_status append_size(struct buffer *out, int64_t size, bool has_unit)
{
    static const struct {
        int64_t size;
        const char *name;
    } units[] = {{INT64_C(1) << 30, "gb"}, {INT64_C(1) << 20, "mb"}, {INT64_C(1) << 10, "kb"}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && has_unit && size > 0; i++)
        if (size % units[i].size == 0)
            return buffer_append_format(out, "%" PRId64 "%s", size / units[i].size, units[i].name);
    return buffer_append_format(out, "%" PRId64, size);
}

static enum stave_status format_output_limits(const struct config *config, bool has_units, struct buffer *out)
{
    enum stave_status status = STAVE_OK;
    for (int i = 0; i < CLIENT_CLASS_COUNT && status == STAVE_OK; i++) {
        const struct config_output_limit *limit = &config->output_limits[i];
        status = buffer_append_format(out, "%s%s ", i > 0 ? " " : "", class_names[i]);
        if (status == STAVE_OK) status = append_size(out, limit->hard_size, has_units);
        if (status == STAVE_OK) status = append_text(out, " ");
        if (status == STAVE_OK) status = append_size(out, limit->soft_size, has_units);
        if (status == STAVE_OK) status = buffer_append_format(out, " %" PRId64, limit->soft_seconds);
    }
    return status;
}

static enum stave_status format_periods(const struct config *config, struct buffer *out)
{
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < config->period_count && status == STAVE_OK; i++)
        status = buffer_append_format(out, "%s%" PRId64 " %" PRId64, i > 0 ? " " : "",
                                      config->periods[i].seconds, config->periods[i].change_count);
    return status;
}

static const char *word_of(const struct directive_word *words, int value)
{
    for (; words->word != NULL; words++)
        if (words->value == value) return words->word;
    return "";
}

static enum stave_status format_value(const struct config *config, const struct directive *directive,
                                      const void *at, bool has_units, struct buffer *out)
{
    switch (directive->type) {
    case DIRECTIVE_BOOLEAN: return append_text(out, *(const bool *)at ? "yes" : "no");
    case DIRECTIVE_INTEGER: return buffer_append_format(out, "%" PRId64, *(const int64_t *)at);
    case DIRECTIVE_MEMORY: return append_size(out, *(const int64_t *)at, has_units);
    case DIRECTIVE_OCTAL: return buffer_append_format(out, "%" PRIo64, *(const int64_t *)at);
    case DIRECTIVE_MEMORY_OR_PERCENT:
        if (*(const int64_t *)at < 0)
            return buffer_append_format(out, "%" PRId64 "%%", -*(const int64_t *)at);
        return append_size(out, *(const int64_t *)at, has_units);
    case DIRECTIVE_ENUM: return append_text(out, word_of(directive->words, *(const int *)at));
    case DIRECTIVE_STRING:
    case DIRECTIVE_ADDRESSES: return append_text(out, *(char *const *)at);
    case DIRECTIVE_OUTPUT_LIMITS: return format_output_limits(config, has_units, out);
    case DIRECTIVE_PERIODS: return format_periods(config, out);
    default: return append_text(out, directive->default_text);
    }
}

static bool is_kept_as_written(const struct directive *directive)
{
    return directive->type == DIRECTIVE_STRING || directive->type == DIRECTIVE_TEXT ||
           directive->type == DIRECTIVE_ENUMS;
}

static enum stave_status format(const struct config *config, int number, bool has_units, struct buffer *out)
{
    const struct directive *directive = &config_directives[number];
    if ((directive->flags & DIRECTIVE_IGNORED) == 0)
        return format_value(config, directive, (const char *)config + directive->offset, has_units, out);
    const char *text = config->texts[number] != NULL ? config->texts[number] : directive->default_text;
    if (is_kept_as_written(directive)) return append_text(out, text);
    char unused[CONFIG_ERROR_SIZE];
    union value value;
    const struct place look = {directive, NULL, &value, unused};
    const enum stave_status status = store_single(&look, stave_text(text));
    return status == STAVE_OK ? format_value(config, directive, &value, has_units, out) : status;
}

enum stave_status config_value_format(const struct config *config, int number, struct buffer *out)
{
    return format(config, number, false, out);
}

enum stave_status config_value_write(const struct config *config, int number, struct buffer *out)
{
    return format(config, number, true, out);
}
