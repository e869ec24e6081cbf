/* SPDX-License-Identifier: MIT */
/* The plain socket. */
#include "net/transport.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum transport_status status_of(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS ? TRANSPORT_AGAIN : TRANSPORT_END;
}

enum transport_status transport_read(struct transport *transport, void *ret_bytes, size_t capacity,
                                     size_t *ret_size)
{
    for (;;) {
        const ssize_t count = read(transport->descriptor, ret_bytes, capacity);
        if (count == 0) return TRANSPORT_END;
        if (count > 0) {
            *ret_size = (size_t)count;
            return TRANSPORT_OK;
        }
        if (errno != EINTR) return status_of(errno);
    }
}

enum transport_status transport_write(struct transport *transport, const struct iovec *pieces, int count,
                                      size_t *ret_size)
{
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)pieces;
    message.msg_iovlen = (size_t)count;
    for (;;) {
        const ssize_t written =
            count == 1 ? send(transport->descriptor, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                       : sendmsg(transport->descriptor, &message, MSG_NOSIGNAL);
        if (written >= 0) {
            *ret_size = (size_t)written;
            return TRANSPORT_OK;
        }
        if (errno != EINTR) return status_of(errno);
    }
}
