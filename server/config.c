/* SPDX-License-Identifier: MIT */
/* The configuration as a whole: defaults, copies, CONFIG GET and CONFIG SET. */
#include "server/config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "net/words.h"
#include "server/config_table.h"
#include "server/config_value.h"
#include "server/glob.h"

static bool is_text(const struct directive *directive)
{
    if ((directive->flags & DIRECTIVE_IGNORED) != 0) return false;
    return directive->type == DIRECTIVE_STRING || directive->type == DIRECTIVE_ADDRESSES;
}

static char **text_of(struct config *config, const struct directive *directive)
{
    return (char **)((char *)config + directive->offset);
}

enum stave_status config_init(struct config *config)
{
    char error[CONFIG_ERROR_SIZE];
    *config = (struct config){0};
    for (int i = 0; config_directives[i].name != NULL; i++) {
        const struct directive *directive = &config_directives[i];
        if ((directive->flags & DIRECTIVE_IGNORED) != 0) continue;
        const enum stave_status status =
            config_value_store_text(config, i, stave_text(directive->default_text), error);
        if (status == STAVE_OK) continue;
        config_free(config);
        return status;
    }
    return STAVE_OK;
}

void config_free(struct config *config)
{
    for (int i = 0; config_directives[i].name != NULL; i++) {
        if (is_text(&config_directives[i])) memory_free(*text_of(config, &config_directives[i]));
        memory_free(config->texts[i]);
    }
    memory_free(config->file);
    *config = (struct config){0};
}

/* Replaces a text that belongs to another configuration by a copy of it. */
static bool own_text(char **text, enum stave_status *status)
{
    if (*text == NULL) return true;
    *text = memory_copy_string(*text);
    if (*text == NULL) *status = STAVE_NO_MEMORY;
    return *text != NULL;
}

enum stave_status config_copy(const struct config *config, struct config *ret_copy)
{
    struct config copy = *config;
    enum stave_status status = STAVE_OK;
    own_text(&copy.file, &status);
    for (int i = 0; config_directives[i].name != NULL; i++) {
        if (is_text(&config_directives[i])) own_text(text_of(&copy, &config_directives[i]), &status);
        own_text(&copy.texts[i], &status);
    }
    if (status != STAVE_OK) {
        config_free(&copy);
        return status;
    }
    *ret_copy = copy;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ CONFIG GET */

/* Without a sign of patterns it is a name, whatever backslashes are in it. */
static bool matches(const char *pattern, bool is_pattern, const char *name)
{
    if (name == NULL) return false;
    return is_pattern ? glob_matches(stave_text(pattern), stave_text(name), true)
                      : strcasecmp(pattern, name) == 0;
}

enum stave_status config_get(const struct config *config, struct stave_bytes pattern, config_call call,
                             void *context)
{
    struct buffer text = {0};
    enum stave_status status = buffer_append(&text, pattern.data, pattern.size);
    if (status == STAVE_OK) status = buffer_append_zero(&text, 1);
    struct buffer value = {0};
    const char *asked = (const char *)text.data;
    const bool is_pattern = status == STAVE_OK && strpbrk(asked, "*?[") != NULL;
    for (int i = 0; config_directives[i].name != NULL && status == STAVE_OK; i++) {
        const struct directive *directive = &config_directives[i];
        const char *names[] = {directive->name, directive->alias};
        buffer_clear(&value);
        status = config_value_format(config, i, &value);
        if (status == STAVE_OK) status = buffer_append_zero(&value, 1);
        for (size_t n = 0; n < 2 && status == STAVE_OK; n++)
            if (matches(asked, is_pattern, names[n]))
                call(context, is_pattern ? names[n] : asked, (const char *)value.data);
    }
    buffer_free(&value);
    buffer_free(&text);
    return status;
}

/* ------------------------------------------------------------------ CONFIG SET */

struct setting {
    const struct stave_bytes *pairs;
    size_t count;
    bool may_set_protected;
    char *error;
};

static enum stave_status refuse(const struct setting *setting, size_t pair, const char *reason)
{
    const struct stave_bytes name = setting->pairs[2 * pair];
    snprintf(setting->error, CONFIG_ERROR_SIZE,
             "CONFIG SET failed (possibly related to argument '%.*s') - %.300s", words_shown(name),
             (const char *)name.data, reason);
    return STAVE_INVALID;
}

/* Finds the directive of each pair and checks that all of them may be set together. */
static enum stave_status find_directives(const struct setting *setting, int *numbers)
{
    for (size_t i = 0; i < setting->count; i++) {
        const struct stave_bytes name = setting->pairs[2 * i];
        numbers[i] = config_directive_find(name);
        if (numbers[i] < 0) {
            snprintf(setting->error, CONFIG_ERROR_SIZE,
                     "Unknown option or number of arguments for CONFIG SET - '%.*s'", words_shown(name),
                     (const char *)name.data);
            return STAVE_INVALID;
        }
        const uint32_t flags = config_directives[numbers[i]].flags;
        if (flags & DIRECTIVE_AT_START) return refuse(setting, i, "can't set immutable config");
        if (flags & DIRECTIVE_PROTECTED && !setting->may_set_protected)
            return refuse(setting, i, "can't set protected config");
        for (size_t other = 0; other < i; other++)
            if (numbers[other] == numbers[i]) return refuse(setting, i, "duplicate parameter");
    }
    return STAVE_OK;
}

static enum stave_status store_pairs(struct config *config, const struct setting *setting, const int *numbers,
                                     uint32_t *ret_effects)
{
    uint32_t effects = 0;
    for (size_t i = 0; i < setting->count; i++) {
        char reason[CONFIG_ERROR_SIZE];
        const enum stave_status status =
            config_value_store_text(config, numbers[i], setting->pairs[2 * i + 1], reason);
        if (status == STAVE_INVALID) return refuse(setting, i, reason);
        if (status != STAVE_OK) return status;
        effects |= config_directives[numbers[i]].effects;
    }
    *ret_effects = effects;
    return STAVE_OK;
}

enum stave_status config_set(struct config *config, const struct stave_bytes *pairs, size_t count,
                             bool may_set_protected, uint32_t *ret_effects, char ret_error[CONFIG_ERROR_SIZE])
{
    const struct setting setting = {pairs, count, may_set_protected, ret_error};
    int numbers[CONFIG_DIRECTIVE_COUNT_MAX];
    if (count > CONFIG_DIRECTIVE_COUNT_MAX) {
        snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", "CONFIG SET failed - too many arguments");
        return STAVE_INVALID;
    }
    enum stave_status status = find_directives(&setting, numbers);
    if (status != STAVE_OK) return status;
    struct config changed;
    status = config_copy(config, &changed);
    if (status != STAVE_OK) return status;
    status = store_pairs(&changed, &setting, numbers, ret_effects);
    if (status != STAVE_OK) {
        config_free(&changed);
        return status;
    }
    config_free(config);
    *config = changed;
    return STAVE_OK;
}
