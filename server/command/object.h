/* SPDX-License-Identifier: MIT */
/*
 * What Redis would say of the inner form of a value.
 */
#ifndef STAVE_SERVER_COMMAND_OBJECT_H
#define STAVE_SERVER_COMMAND_OBJECT_H

#include "server/call.h"

struct object {
    struct item item; /* without the value */
    const char *encoding;
    int64_t reference_count;
};

enum stave_status object_read(struct call *call, struct stave_bytes key, struct object *ret_object);

/* As far as it is remembered: idle.h. */
uint64_t object_idle_seconds(const struct call *call, struct stave_bytes key);

#endif
