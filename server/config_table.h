/* SPDX-License-Identifier: MIT */
/* The directives: one entry for each name that a configuration may hold. */
#ifndef STAVE_SERVER_CONFIG_TABLE_H
#define STAVE_SERVER_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "server/config.h"

enum directive_type {
    DIRECTIVE_BOOLEAN,
    DIRECTIVE_INTEGER,
    DIRECTIVE_OCTAL,
    DIRECTIVE_MEMORY,            /* bytes, with a unit: 1k 1kb 1m 1mb 1g 1gb */
    DIRECTIVE_MEMORY_OR_PERCENT, /* a percentage is stored negative */
    DIRECTIVE_ENUM,
    DIRECTIVE_ENUMS, /* one word or more */
    DIRECTIVE_STRING,
    DIRECTIVE_TEXT, /* any words */
    DIRECTIVE_ADDRESSES,
    DIRECTIVE_OUTPUT_LIMITS,
    DIRECTIVE_PERIODS,
    DIRECTIVE_POLICY,  /* takes its default alone */
    DIRECTIVE_REFUSED, /* an error unless it is empty or the default (F3) */
};

enum directive_flags {
    DIRECTIVE_AT_START = 1 << 0,  /* not by CONFIG SET */
    DIRECTIVE_PROTECTED = 1 << 1, /* by CONFIG SET only with enable-protected-configs */
    DIRECTIVE_SECRET = 1 << 2,    /* not in logs */
    DIRECTIVE_QUIET = 1 << 3,     /* ignored, and what it asks for is so already: no warning */
    DIRECTIVE_NAME = 1 << 4,      /* of a file: no path */
    DIRECTIVE_IGNORED = 1 << 5,   /* without effect: checked, kept as text and reported (F3) */
};

struct directive_word {
    const char *word;
    int value;
};

struct directive {
    const char *name;
    const char *alias; /* Redis' older name, or NULL */
    enum directive_type type;
    uint32_t flags;
    size_t offset; /* of the field in struct config */
    int64_t min, max;
    const char *default_text;
    const struct directive_word *words; /* of an enum, ended by NULL */
    uint32_t effects;
};

/* Ends with a NULL name. */
extern const struct directive config_directives[];

/* Number of the directive of this name or alias in any case, or -1. */
int config_directive_find(struct stave_bytes name);

#endif
