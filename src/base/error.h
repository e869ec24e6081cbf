/* SPDX-License-Identifier: MIT */
/*
 * What went wrong, for people: a status, the system's error number, and a sentence naming file and offset.
 *
 * A function that can fail takes a `struct error *`, which may be NULL, and fills it when it returns a status
 * other than STAVE_OK. The first error of an operation is the one worth keeping (style 7.5), so cleanup
 * passes NULL.
 */
#ifndef STAVE_BASE_ERROR_H
#define STAVE_BASE_ERROR_H

#include "stave.h"

enum { ERROR_MESSAGE_SIZE = 512 };

struct error {
    enum stave_status status;
    int system_error; /* errno of the call that failed, or 0 */
    char message[ERROR_MESSAGE_SIZE];
};

#define ERROR_NONE ((struct error){.status = STAVE_OK})

/*
 * Fills *error, if there is one, and returns `status`. When `system_error` is not 0 its text is added to the
 * message, after a colon. A message that is too long is cut.
 */
enum stave_status error_set(struct error *error, enum stave_status status, int system_error,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Copies, if both are there. */
void error_copy(struct error *error, const struct error *from);

/* What a public call hands out of it, if it is asked to; `status` is the call's own. */
void error_hand_out(const struct error *error, enum stave_status status, struct stave_error *ret_error);

/* The status that stands for a system error: FULL, PERMISSION, NO_MEMORY, else IO. */
enum stave_status error_status(int system_error);

#endif
