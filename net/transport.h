/* SPDX-License-Identifier: MIT */
/*
 * Bytes through a connection, without waiting: the seam where encryption comes between. Today it is the
 * socket itself.
 */
#ifndef STAVE_NET_TRANSPORT_H
#define STAVE_NET_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum transport_status {
    TRANSPORT_OK,
    TRANSPORT_AGAIN, /* nothing can be moved now */
    TRANSPORT_END,   /* the other side has closed, or the connection is broken */
};

struct transport {
    int descriptor; /* non-blocking */
};

enum transport_status transport_read(struct transport *transport, void *ret_bytes, size_t capacity,
                                     size_t *ret_size);
/* `*ret_size` may be less than all. */
enum transport_status transport_write(struct transport *transport, const struct iovec *pieces, int count,
                                      size_t *ret_size);

#endif
