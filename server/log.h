/* SPDX-License-Identifier: MIT */
/* The server's log, in the format of Redis' own: "PID:M 01 Jan 2026 12:00:00.000 * message". */
#ifndef STAVE_SERVER_LOG_H
#define STAVE_SERVER_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

/* To this file, appending, or to standard output if it is empty. False: cannot be opened, see errno. */
bool log_open(const char *path, enum log_level level);
/* From time to time: a file that has been moved away or removed is begun anew under its name. */
void log_follow(void);
void log_set_level(enum log_level level);

/* From any thread; one line, cut at 1,024 bytes. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text without the prefix, for the banner at the start. */
void log_raw(enum log_level level, const char *text);

#endif
