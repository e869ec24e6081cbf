/* SPDX-License-Identifier: MIT */
/* A walk over the values of a reply, in their order: where in the aggregates around a value one is. */
#ifndef STAVE_CLI_FORMAT_LEVEL_H
#define STAVE_CLI_FORMAT_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/resp_value.h"

struct format_level {
    uint32_t end; /* index behind the aggregate */
    enum resp_type type;
    uint64_t position; /* elements begun; of maps keys and values */
    int indent;        /* quoted: columns before its lines */
    int label_width;   /* quoted: digits of its element count */
};

static inline bool format_has_pairs(const struct format_level *level)
{
    return level->type == RESP_MAP;
}

#endif
