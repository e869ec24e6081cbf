/* SPDX-License-Identifier: MIT */
/* SLOWLOG. */
#include "server/slowlog.h"

#include "server/command/help.h"
#include "server/command/server.h"

#define COUNT_DEFAULT 10

static void reply_entry(void *context, const struct slowlog_entry *entry)
{
    struct reply *reply = context;
    reply_array(reply, 6);
    reply_integer(reply, (int64_t)entry->id);
    reply_integer(reply, (int64_t)entry->time_s);
    reply_integer(reply, (int64_t)entry->duration_us);
    reply_array(reply, entry->argument_count);
    for (size_t i = 0; i < entry->argument_count; i++) reply_bulk(reply, entry->arguments[i]);
    reply_text(reply, entry->address);
    reply_text(reply, entry->name);
}

static void count_entry(void *context, const struct slowlog_entry *entry)
{
    (void)entry;
    ++*(uint64_t *)context;
}

enum stave_status slowlog_get(struct call *call)
{
    int64_t wanted = COUNT_DEFAULT;
    if (call->argument_count > 3) return call_wrong_subcommand(call);
    if (call->argument_count == 3 &&
        !call_integer_between(call, 2, -1, INT64_MAX, "ERR count should be greater than or equal to -1",
                              &wanted))
        return STAVE_OK;
    uint64_t count = 0;
    slowlog_walk(wanted < 0 ? SIZE_MAX : (size_t)wanted, count_entry, &count);
    reply_array(call->reply, count);
    slowlog_walk((size_t)count, reply_entry, call->reply);
    return STAVE_OK;
}

enum stave_status slowlog_len(struct call *call)
{
    reply_integer(call->reply, (int64_t)slowlog_count());
    return STAVE_OK;
}

enum stave_status slowlog_reset_command(struct call *call)
{
    slowlog_reset();
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status slowlog_help(struct call *call)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    The newest entries (default: 10, -1: all): number, time, microseconds,",
        "    arguments, address and name of the client.",
        "LEN",
        "    How many entries there are.",
        "RESET",
        "    Forget all entries.",
        NULL,
    };
    return help_reply(call, lines);
}
