/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that becomes readable when something has happened: for event loops of the caller.
 *
 * Signals add up until the caller reads the counter, 8 bytes; it may be signalled from any thread.
 */
#ifndef STAVE_OS_EVENT_H
#define STAVE_OS_EVENT_H

#include "base/error.h"
#include "stave.h"

struct event {
    int fd;
};

#define EVENT_NONE ((struct event){-1})

enum stave_status event_init(struct event *ret_event, struct error *error);

/* Accepts an empty event, and leaves one. */
void event_free(struct event *event);

void event_signal(const struct event *event);

static inline int event_fd(const struct event *event)
{
    return event->fd;
}

#endif
