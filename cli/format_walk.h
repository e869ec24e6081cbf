/* SPDX-License-Identifier: MIT */
/*
 * A walk over a reply: its values in their order, without attributes, and the aggregates around each.
 *
 *   FW1  Before the next value, the aggregates that end there are left.
 *   FW2  A value is given out once; what is in it follows, unless it is passed over.
 */
#ifndef STAVE_CLI_FORMAT_WALK_H
#define STAVE_CLI_FORMAT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/resp_value.h"

/* An aggregate that the walk is in. */
struct format_level {
    uint32_t end; /* index behind the aggregate */
    enum resp_type type;
    uint64_t position; /* elements begun; of maps keys and values: its user counts them */
    int indent;        /* quoted: columns before its lines */
    int label_width;   /* quoted: digits of its element count */
};

struct format_walk {
    const struct resp_reader *reader;
    uint32_t index; /* of the next value */
    uint32_t end;
    size_t depth;
    struct format_level levels[RESP_DEPTH_MAX];
};

void format_walk_begin(struct format_walk *walk, const struct resp_reader *reader,
                       const struct resp_value *reply);

/* Leaves the innermost aggregate, if it ends before the next value; NULL: none does. */
const struct format_level *format_walk_leave(struct format_walk *walk);

/* The next value, after all aggregates that end before it have been left; NULL: that was all. */
const struct resp_value *format_walk_next(struct format_walk *walk);

/* The aggregate around the value just given; NULL: none. */
struct format_level *format_walk_around(struct format_walk *walk);

/* Goes into the aggregate just given, which is not empty; or passes over what is in it. */
struct format_level *format_walk_enter(struct format_walk *walk, const struct resp_value *value);
void format_walk_pass(struct format_walk *walk, const struct resp_value *value);

static inline bool format_has_pairs(const struct format_level *level)
{
    return level->type == RESP_MAP;
}

/* Has the value anything to enter? */
static inline bool format_is_nested(const struct resp_value *value)
{
    return resp_is_aggregate(value->type) && value->elements.count > 0;
}

#endif
