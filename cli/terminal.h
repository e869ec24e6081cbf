/* SPDX-License-Identifier: MIT */
/* How wide a terminal is. */
#ifndef STAVE_CLI_TERMINAL_H
#define STAVE_CLI_TERMINAL_H

#include <stddef.h>
#include <sys/ioctl.h>

/* Columns; 80 where none are known. */
static inline size_t terminal_columns(int descriptor)
{
    enum { COLUMNS_DEFAULT = 80 };
    struct winsize size = {.ws_col = 0};
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

#endif
