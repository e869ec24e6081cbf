/* SPDX-License-Identifier: MIT */
/* LATENCY. */
#include "server/latency.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "server/command/help.h"
#include "server/command/server.h"

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

enum stave_status latency_help(struct call *call)
{
    static const char *const lines[] = {
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
