/* SPDX-License-Identifier: MIT */
/*
 * Commands that took long: the newest `slowlog-max-len` of them.
 *
 *   S1  An entry holds at most SLOWLOG_ARGUMENT_COUNT arguments of SLOWLOG_ARGUMENT_SIZE bytes; what is left
 *       out is named in the last one, or at its end. A password is never kept.
 */
#ifndef STAVE_SERVER_SLOWLOG_H
#define STAVE_SERVER_SLOWLOG_H

#include <stddef.h>
#include <stdint.h>

#include "server/client.h"
#include "stave.h"

#define SLOWLOG_ARGUMENT_COUNT ((size_t)32)
#define SLOWLOG_ARGUMENT_SIZE ((size_t)128)

struct call;

struct slowlog_entry {
    uint64_t id;
    uint64_t time_s; /* since 1970 */
    uint64_t duration_us;
    struct stave_bytes *arguments; /* one block with their bytes */
    size_t argument_count;
    char address[CLIENT_ADDRESS_SIZE];
    char *name; /* of the client; never NULL */
};

/* Any thread. Forgets the oldest beyond `count_max`. Without memory, the entry is left out. */
void slowlog_add(const struct call *call, uint64_t duration_us, size_t count_max);
size_t slowlog_count(void);
void slowlog_reset(void);

/* Calls back for the newest `count` entries, newest first, the log being locked. */
typedef void (*slowlog_call)(void *context, const struct slowlog_entry *entry);
void slowlog_walk(size_t count, slowlog_call call, void *context);

#endif
