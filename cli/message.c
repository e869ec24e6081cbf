/* SPDX-License-Identifier: MIT */
/* Messages go to standard error; memory that is not there ends the program. */
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void message(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("stave-cli: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
}

void *message_need(void *memory)
{
    if (memory != NULL) return memory;
    message("out of memory");
    exit(CLI_FAILURE);
}
