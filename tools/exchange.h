/* SPDX-License-Identifier: MIT */
/* The formats of dump and load, found by name. */
#ifndef STAVE_TOOLS_EXCHANGE_H
#define STAVE_TOOLS_EXCHANGE_H

#include "tools/record.h"
#include "tools/tool.h"

#include <stdio.h>

typedef void (*exchange_write)(FILE *out, const struct record *record);
/* A parser of whole lines; NULL for a format that is not made of lines. */
typedef enum parse_result (*exchange_parse_line)(struct stave_bytes line, uint8_t *scratch,
                                                 struct record *ret_record, struct refusal *ret_refusal);

struct exchange {
    const char *name;
    exchange_write write;
    exchange_parse_line parse_line;
};

/* The format that --format names, else JSON Lines. Reports an unknown name. */
enum tool_exit exchange_find(const struct tool *tool, const struct exchange **ret_exchange);

#endif
