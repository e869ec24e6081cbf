/* SPDX-License-Identifier: MIT */
/* By way of the C library, with what Redis refuses of it and cuts off. */
#include "server/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool number_parse_float(struct stave_bytes text, long double *ret_value)
{
    char copy[NUMBER_FLOAT_SIZE];
    if (text.size == 0 || text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (isspace((unsigned char)copy[0])) return false;

    char *end;
    errno = 0;
    const long double value = strtold(copy, &end);
    if (end != copy + text.size) return false;
    if (isnan(value) || (errno == ERANGE && (isinf(value) || value == 0))) return false;
    *ret_value = value;
    return true;
}

size_t number_format_float(long double value, char ret_text[NUMBER_FLOAT_SIZE])
{
    const int written = snprintf(ret_text, NUMBER_FLOAT_SIZE, "%.17Lf", value);
    assert(written > 0 && written < NUMBER_FLOAT_SIZE);
    size_t size = (size_t)written;
    while (ret_text[size - 1] == '0') size--; /* a point stands before the digits */
    if (ret_text[size - 1] == '.') size--;
    if (size == 2 && memcmp(ret_text, "-0", 2) == 0) {
        ret_text[0] = '0';
        size = 1;
    }
    ret_text[size] = '\0';
    return size;
}
