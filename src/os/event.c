/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that becomes readable: an eventfd.
 */
#include "os/event.h"

#include <errno.h>
#include <stdint.h>

#include "os/system.h"

enum stave_status event_init(struct event *ret_event, struct error *error)
{
    const int fd = system_eventfd();
    if (fd < 0) return error_set(error, error_status(errno), errno, "event descriptor");
    ret_event->fd = fd;
    return STAVE_OK;
}

void event_free(struct event *event)
{
    if (event->fd >= 0) (void)system_close(event->fd);
    *event = EVENT_NONE;
}

/* EAGAIN means that the counter is at its maximum, and the descriptor readable: what was wanted. */
void event_signal(const struct event *event)
{
    const uint64_t one = 1;
    while (system_write(event->fd, &one, sizeof(one)) < 0 && errno == EINTR) continue;
}
