/* SPDX-License-Identifier: MIT */
/* An index that goes forward, and a stack of where the aggregates end. */
#include "cli/format_walk.h"

#include <assert.h>

static void skip_attributes(struct format_walk *walk)
{
    const struct resp_value *const values = walk->reader->values;
    while (walk->index < walk->end && values[walk->index].type == RESP_ATTRIBUTE)
        walk->index = values[walk->index].next;
}

void format_walk_begin(struct format_walk *walk, const struct resp_reader *reader,
                       const struct resp_value *reply)
{
    walk->reader = reader;
    walk->index = (uint32_t)(reply - reader->values);
    walk->end = reply->next;
    walk->depth = 0;
    skip_attributes(walk);
}

const struct format_level *format_walk_leave(struct format_walk *walk)
{
    if (walk->depth == 0 || walk->levels[walk->depth - 1].end > walk->index) return NULL;
    return &walk->levels[--walk->depth];
}

const struct resp_value *format_walk_next(struct format_walk *walk)
{
    while (format_walk_leave(walk) != NULL) {
    }
    if (walk->index >= walk->end) return NULL;
    const struct resp_value *const value = &walk->reader->values[walk->index++];
    skip_attributes(walk);
    return value;
}

struct format_level *format_walk_around(struct format_walk *walk)
{
    return walk->depth > 0 ? &walk->levels[walk->depth - 1] : NULL;
}

struct format_level *format_walk_enter(struct format_walk *walk, const struct resp_value *value)
{
    assert(walk->depth < RESP_DEPTH_MAX);
    struct format_level *const level = &walk->levels[walk->depth++];
    *level = (struct format_level){.end = value->next, .type = value->type};
    return level;
}

void format_walk_pass(struct format_walk *walk, const struct resp_value *value)
{
    walk->index = value->next;
    skip_attributes(walk);
}
