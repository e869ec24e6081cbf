/* SPDX-License-Identifier: MIT */
/*
 * Integers read and written without the C library's locale and its leniency.
 */
#include "net/resp_number.h"

static bool read_magnitude(const uint8_t *at, size_t size, uint64_t *ret_magnitude)
{
    if (size == 0 || (at[0] == '0' && size > 1)) return false;
    uint64_t magnitude = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned digit = at[i] - (unsigned)'0';
        if (digit > 9 || magnitude > (UINT64_MAX - digit) / 10) return false;
        magnitude = 10 * magnitude + digit;
    }
    *ret_magnitude = magnitude;
    return true;
}

bool resp_integer(struct stave_bytes digits, int64_t *ret_value)
{
    const uint8_t *const at = digits.data;
    const bool negative = digits.size > 0 && at[0] == '-';
    uint64_t magnitude = 0;
    if (digits.size > RESP_INTEGER_SIZE_MAX) return false;
    if (!read_magnitude(at + negative, digits.size - negative, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative || (negative && magnitude == 0)) return false;
    *ret_value = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

size_t resp_unsigned_write(uint64_t value, char *ret_digits)
{
    char backwards[RESP_INTEGER_SIZE_MAX];
    size_t count = 0;
    do {
        backwards[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++) ret_digits[i] = backwards[count - 1 - i];
    return count;
}

size_t resp_integer_write(int64_t value, char *ret_digits)
{
    if (value >= 0) return resp_unsigned_write((uint64_t)value, ret_digits);
    ret_digits[0] = '-';
    return 1 + resp_unsigned_write(0 - (uint64_t)value, ret_digits + 1);
}
