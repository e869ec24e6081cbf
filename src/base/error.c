/* SPDX-License-Identifier: MIT */
/*
 * Fills in what went wrong.
 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SYSTEM_TEXT_SIZE = 128 };

/*
 * Not a function of <string.h> by its name alone: the GNU variant returns the text, the POSIX one fills the
 * array.
 */
static void append_system_text(char *message, int system_error)
{
    char space[SYSTEM_TEXT_SIZE];
    const char *const text = strerror_r(system_error, space, sizeof(space));
    const size_t used = strlen(message);
    (void)snprintf(message + used, ERROR_MESSAGE_SIZE - used, ": %s", text);
}

enum stave_status error_set(struct error *error, enum stave_status status, int system_error,
                            const char *format, ...)
{
    if (error == NULL) return status;

    error->status = status;
    error->system_error = system_error;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    if (length < 0) error->message[0] = '\0';
    if (system_error != 0) append_system_text(error->message, system_error);
    return status;
}

void error_copy(struct error *error, const struct error *from)
{
    if (error != NULL && from != NULL && error != from) *error = *from;
}

void error_hand_out(const struct error *error, enum stave_status status, struct stave_error *ret_error)
{
    static_assert(sizeof(ret_error->message) == ERROR_MESSAGE_SIZE, "the message is copied whole");
    if (ret_error == NULL) return;
    ret_error->status = status;
    ret_error->system_error = error->system_error;
    memcpy(ret_error->message, error->message, sizeof(ret_error->message));
}

enum stave_status error_status(int system_error)
{
    switch (system_error) {
    case ENOSPC:
    case EDQUOT: return STAVE_FULL;
    case EACCES:
    case EPERM:
    case EROFS: return STAVE_PERMISSION;
    case ENOMEM: return STAVE_NO_MEMORY;
    default: return STAVE_IO;
    }
}
