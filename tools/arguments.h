/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of all options, words in any order with them, and the numbers that they hold.
 */
#ifndef STAVE_TOOLS_ARGUMENTS_H
#define STAVE_TOOLS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
    OPTION_HELP,
    OPTION_JSON,
    OPTION_SPACE,
    OPTION_ESCAPED,
    OPTION_ACCEPT_DAMAGE,
    OPTION_IF_ABSENT,
    OPTION_IF_PRESENT,
    OPTION_IF_SEQUENCE,
    OPTION_EXPIRE_IN,
    OPTION_DURABLE,
    OPTION_PREFIX,
    OPTION_LIMIT,
    OPTION_VALUES,
    OPTION_SEGMENTS,
    OPTION_ALL,
    OPTION_FORMAT,
    OPTION_BATCH,
    OPTION_ACKNOWLEDGE,
    OPTION_FROM,
    OPTION_NOT_DURABLE,
    OPTION_ONCE,
    OPTION_COUNT,
};

/* Sets of options are masks of these bits. */
#define OPTION_BIT(option) (UINT64_C(1) << (option))

struct option_text {
    const char *name;
    const char *value; /* what follows the name; NULL for a flag */
    const char *help;
};

struct arguments {
    const char *values[OPTION_COUNT]; /* NULL: not given; "" for a flag */
    char **words;                     /* what is no option, in order */
    size_t word_count;
};

/* The text of an option. */
const struct option_text *arguments_text(enum option option);

/*
 * Reads `words` (as of main, without the program's name), which it reorders. False if they are wrong: then
 * `ret_problem` says how and `*ret_word` is the word in question.
 */
bool arguments_parse(char **words, size_t word_count, struct arguments *ret_arguments,
                     const char **ret_problem, const char **ret_word);

/* The options that were given. */
uint64_t arguments_given(const struct arguments *arguments);

/* A number in decimal from 0 to `max`, without sign, spaces or anything behind it. */
bool arguments_number(const char *text, uint64_t max, uint64_t *ret_number);

/* A time span in milliseconds: a number and ms, s, m, h or d; without a unit seconds. Not 0. */
bool arguments_duration(const char *text, uint64_t *ret_duration_ms);

#endif
