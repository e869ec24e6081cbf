/* SPDX-License-Identifier: MIT */
/* Numbers as Redis reads them from strings and writes them into strings. */
#include "server/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits alone, the first not a zero; at most 19 of them, so that the sum cannot wrap (2^64 has 20). */
static bool parse_digits(const char *text, size_t size, uint64_t *ret_value)
{
    if (size == 0 || size > 19 || text[0] == '0') return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool number_parse_integer(struct stave_bytes text, int64_t *ret_value)
{
    const char *at = text.data;
    if (text.size == 1 && at[0] == '0') {
        *ret_value = 0;
        return true;
    }
    const bool is_negative = text.size > 0 && at[0] == '-';
    uint64_t value;
    if (!parse_digits(at + is_negative, text.size - is_negative, &value)) return false;
    if (value > (uint64_t)INT64_MAX + is_negative) return false;

    *ret_value = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

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

size_t number_format_integer(int64_t value, char ret_text[NUMBER_INTEGER_SIZE])
{
    char digits[NUMBER_INTEGER_SIZE];
    char *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) *--at = '-';

    const size_t size = (size_t)(digits + sizeof digits - at);
    memcpy(ret_text, at, size);
    ret_text[size] = '\0';
    return size;
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
