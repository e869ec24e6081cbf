/* SPDX-License-Identifier: MIT */
/* Reads the command line by one table of options. */
#include "tools/arguments.h"

#include <string.h>

static const struct option_text texts[OPTION_COUNT] = {
    [OPTION_HELP] = {"--help", NULL, "show this text"},
    [OPTION_JSON] = {"--json", NULL, "write results and errors as JSON"},
    [OPTION_SPACE] = {"--space", "N", "work in space N (default 0)"},
    [OPTION_ESCAPED] = {"--escaped", NULL,
                        "keys and values given as words use the escapes \\t \\n \\r \\0 \\\\ \\xNN"},
    [OPTION_ACCEPT_DAMAGE] = {"--accept-damage", NULL, "open although durable records cannot be read"},
    [OPTION_IF_ABSENT] = {"--if-absent", NULL, "only if the key is not there"},
    [OPTION_IF_PRESENT] = {"--if-present", NULL, "only if the key is there"},
    [OPTION_IF_SEQUENCE] = {"--if-sequence", "N", "only if the key's sequence is N (0: it is not there)"},
    [OPTION_EXPIRE_IN] = {"--expire-in", "TIME", "the value expires after TIME: 250ms, 30s, 5m, 2h, 7d"},
    [OPTION_DURABLE] = {"--durable", NULL, "wait until the write survives a loss of power"},
    [OPTION_PREFIX] = {"--prefix", "P", "only keys that begin with P"},
    [OPTION_LIMIT] = {"--limit", "N", "stop after N"},
    [OPTION_VALUES] = {"--values", NULL, "show the values too"},
    [OPTION_SEGMENTS] = {"--segments", NULL, "show every segment, however many"},
    [OPTION_ALL] = {"--all", NULL, "rewrite every segment, not only those with much dead"},
    [OPTION_FORMAT] = {"--format", "F", "jsonl (default), tsv or resp"},
    [OPTION_BATCH] = {"--batch", "N", "records written as one batch, at most (default 1000)"},
    [OPTION_ACKNOWLEDGE] = {"--acknowledge", NULL, "write the count of records stored after each batch"},
    [OPTION_FROM] = {"--from", "SEQUENCE",
                     "begin with this change, or with the `oldest` still held (default: new ones)"},
    [OPTION_NOT_DURABLE] = {"--not-durable", NULL, "also changes that a loss of power could still take"},
    [OPTION_ONCE] = {"--once", NULL, "stop at the end of what is there"},
};

const struct option_text *arguments_text(enum option option)
{
    return &texts[option];
}

/* The option that `word` names, up to its end or "="; OPTION_COUNT if none does. */
static enum option find_option(const char *word)
{
    if (strcmp(word, "-h") == 0) return OPTION_HELP;
    const size_t size = strcspn(word, "=");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(texts[i].name) == size && memcmp(texts[i].name, word, size) == 0) return (enum option)i;
    }
    return OPTION_COUNT;
}

/* The value of the option at words[*index], which moves on when it is the next word. NULL: a problem. */
static const char *option_value(const struct option_text *text, char **words, size_t word_count,
                                size_t *index, const char **ret_problem)
{
    const char *equals = strchr(words[*index], '=');
    if (text->value == NULL) {
        if (equals == NULL) return "";
        *ret_problem = "this option takes no value";
        return NULL;
    }
    if (equals != NULL) return equals + 1;
    if (*index + 1 < word_count) return words[++*index];
    *ret_problem = "this option needs a value";
    return NULL;
}

bool arguments_parse(char **words, size_t word_count, struct arguments *ret_arguments,
                     const char **ret_problem, const char **ret_word)
{
    struct arguments arguments = {.words = words};
    bool options_ended = false;
    for (size_t i = 0; i < word_count; i++) {
        *ret_word = words[i];
        if (!options_ended && strcmp(words[i], "--") == 0) {
            options_ended = true;
            continue;
        }
        if (options_ended || words[i][0] != '-' || words[i][1] == '\0') {
            words[arguments.word_count++] = words[i];
            continue;
        }
        const enum option option = find_option(words[i]);
        *ret_problem = "there is no such option";
        if (option == OPTION_COUNT) return false;
        arguments.values[option] = option_value(&texts[option], words, word_count, &i, ret_problem);
        if (arguments.values[option] == NULL) return false;
    }
    *ret_arguments = arguments;
    return true;
}

uint64_t arguments_given(const struct arguments *arguments)
{
    uint64_t given = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (arguments->values[i] != NULL) given |= OPTION_BIT(i);
    }
    return given;
}

/* The number that `text` begins with, and what follows it; NULL if there is none or it is above `max`. */
static const char *leading_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (digit > max || number > (max - digit) / 10) return NULL;
        number = number * 10 + digit;
    }
    if (at == text) return NULL;
    *ret_number = number;
    return at;
}

bool arguments_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *end = leading_number(text, max, &number);
    if (end == NULL || *end != '\0') return false;
    *ret_number = number;
    return true;
}

bool arguments_duration(const char *text, uint64_t *ret_duration_ms)
{
    static const struct {
        const char *unit;
        uint64_t size_ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    uint64_t number = 0;
    const char *unit = leading_number(text, UINT64_MAX / 86400000, &number);
    if (unit == NULL || number == 0) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].unit) != 0) continue;
        *ret_duration_ms = number * units[i].size_ms;
        return true;
    }
    return false;
}
