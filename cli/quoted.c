/* SPDX-License-Identifier: MIT */
/* The escapes of redis-cli: letters for the common ones, hexadecimal for the rest. */
#include "cli/quoted.h"

#include <stdint.h>

static char escape_of(uint8_t byte)
{
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\a': return 'a';
    case '\b': return 'b';
    default: return 0;
    }
}

void quoted_write(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *const data = bytes.data;
    putc_unlocked('"', out);
    for (size_t i = 0; i < bytes.size; i++) {
        const char escape = escape_of(data[i]);
        if (escape != 0) {
            putc_unlocked('\\', out);
            putc_unlocked(escape, out);
        } else if (data[i] >= ' ' && data[i] <= '~') {
            putc_unlocked(data[i], out);
        } else {
            fprintf(out, "\\x%02x", data[i]);
        }
    }
    putc_unlocked('"', out);
}
