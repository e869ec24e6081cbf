/* SPDX-License-Identifier: MIT */
/*
 * Tells the service manager that started us how we are, over the socket it names in NOTIFY_SOCKET.
 * Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 */
#ifndef STAVE_SERVER_NOTIFY_H
#define STAVE_SERVER_NOTIFY_H

/* "READY=1", "STOPPING=1", ...: does nothing when nobody asked to be told. */
void notify_manager(const char *state);

#endif
