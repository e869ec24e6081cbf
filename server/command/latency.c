/* SPDX-License-Identifier: MIT */
/* LATENCY. */
#include "server/latency.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "server/command/help.h"
#include "server/command/server.h"
#include "server/server.h"

static const struct latency_sample *last_sample(const struct latency_event *event)
{
    return &event->samples[(event->next + LATENCY_SAMPLE_COUNT - 1) % LATENCY_SAMPLE_COUNT];
}

static struct latency_event *copy_events(size_t *ret_count)
{
    struct latency_event *events = memory_alloc_zero(LATENCY_EVENT_COUNT_MAX, sizeof(*events));
    if (events != NULL) *ret_count = latency_events(events, LATENCY_EVENT_COUNT_MAX);
    return events;
}

enum stave_status latency_latest(struct call *call)
{
    size_t count = 0;
    struct latency_event *events = copy_events(&count);
    if (events == NULL) return STAVE_NO_MEMORY;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(call->reply, 4);
        reply_text(call->reply, events[i].name);
        reply_integer(call->reply, (int64_t)last_sample(&events[i])->time_s);
        reply_integer(call->reply, (int64_t)last_sample(&events[i])->latency_ms);
        reply_integer(call->reply, (int64_t)events[i].latency_max_ms);
    }
    memory_free(events);
    return STAVE_OK;
}

static void reply_history(struct reply *reply, const struct latency_event *event)
{
    reply_array(reply, event->sample_count);
    for (size_t i = 0; i < event->sample_count; i++) {
        const size_t at =
            (event->next + LATENCY_SAMPLE_COUNT - event->sample_count + i) % LATENCY_SAMPLE_COUNT;
        reply_array(reply, 2);
        reply_integer(reply, (int64_t)event->samples[at].time_s);
        reply_integer(reply, (int64_t)event->samples[at].latency_ms);
    }
}

enum stave_status latency_history(struct call *call)
{
    static const struct latency_event none;
    const struct stave_bytes name = call->arguments[2];
    size_t count = 0;
    struct latency_event *events = copy_events(&count);
    if (events == NULL) return STAVE_NO_MEMORY;
    const struct latency_event *found = &none;
    for (size_t i = 0; i < count; i++)
        if (strlen(events[i].name) == name.size && memcmp(events[i].name, name.data, name.size) == 0)
            found = &events[i];
    reply_history(call->reply, found);
    memory_free(events);
    return STAVE_OK;
}

enum stave_status latency_reset_command(struct call *call)
{
    size_t removed = 0;
    if (call->argument_count == 2) removed = latency_reset(stave_bytes(NULL, 0));
    for (size_t i = 2; i < call->argument_count; i++)
        if (call->arguments[i].size > 0) removed += latency_reset(call->arguments[i]);
    reply_integer(call->reply, (int64_t)removed);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ HISTOGRAM */

/* Of each range with calls its most microseconds, and how many calls took no longer. */
static void reply_ranges(struct reply *reply, const struct command_stats *stats)
{
    uint64_t range_count = 0;
    uint64_t call_count = 0;
    for (size_t i = 0; i < COMMAND_STATS_RANGE_COUNT; i++) range_count += stats->histogram[i] > 0;
    reply_map(reply, range_count);
    for (size_t i = 0; i < COMMAND_STATS_RANGE_COUNT; i++) {
        if (stats->histogram[i] == 0) continue;
        call_count += stats->histogram[i];
        reply_integer(reply, (int64_t)command_stats_limit_us(i));
        reply_integer(reply, (int64_t)call_count);
    }
}

/* Result: 1 for a command that has been called, else 0. Without `reply` they are only counted. */
static uint64_t histogram(const struct command *command, const struct command_stats *all, struct reply *reply)
{
    const struct command_stats *stats = &all[command_number(command)];
    if (stats->call_count == 0) return 0;
    if (reply == NULL) return 1;
    char name[64];
    command_full_name(command, name, sizeof name);
    reply_text(reply, name);
    reply_map(reply, 2);
    reply_text(reply, "calls");
    reply_integer(reply, (int64_t)stats->call_count);
    reply_text(reply, "histogram_usec");
    reply_ranges(reply, stats);
    return 1;
}

static uint64_t histograms_of(const struct command *command, const struct command_stats *all,
                              struct reply *reply)
{
    uint64_t count = histogram(command, all, reply);
    const struct command *sub = command->subcommands;
    for (; sub != NULL && sub->name != NULL; sub++) count += histogram(sub, all, reply);
    return count;
}

/* Of the commands that are asked for, or of all. */
static uint64_t histograms(const struct call *call, const struct command_stats *all, struct reply *reply)
{
    size_t command_count = 0;
    const struct command *const *commands = command_list(&command_count);
    uint64_t count = 0;
    for (size_t i = 0; i < command_count && call->argument_count == 2; i++)
        count += histograms_of(commands[i], all, reply);
    for (size_t i = 2; i < call->argument_count; i++) {
        const struct command *command = command_find_full(call->arguments[i]);
        if (command != NULL) count += histograms_of(command, all, reply);
    }
    return count;
}

enum stave_status latency_histogram(struct call *call)
{
    struct command_stats *all = info_sum_commands(call->server);
    if (all == NULL) return STAVE_NO_MEMORY;
    reply_map(call->reply, histograms(call, all, NULL));
    histograms(call, all, call->reply);
    memory_free(all);
    return STAVE_OK;
}

enum stave_status latency_help(struct call *call)
{
    static const char *const lines[] = {
        "HISTOGRAM [<command> ...]",
        "    Of these commands, or of all: the calls, and how many took at most so many microseconds.",
        "HISTORY <event>",
        "    The samples of this event: time and milliseconds.",
        "LATEST",
        "    Of each event: name, time and milliseconds of the latest sample, the most ever.",
        "RESET [<event> ...]",
        "    Forget these events, or all.",
        NULL,
    };
    return help_reply(call, lines);
}
