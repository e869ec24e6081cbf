/* SPDX-License-Identifier: MIT */
/* Writes numbers with units and separators. */
#include "tools/format.h"

#include <inttypes.h>
#include <stdio.h>

void format_size(uint64_t size, char ret_text[FORMAT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)size;
    size_t unit = 0;
    while (amount >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1024;
        unit++;
    }
    (void)snprintf(ret_text, FORMAT_SIZE, "%.*f %s", unit == 0 ? 0 : 1, amount, units[unit]);
}

void format_count(uint64_t count, char ret_text[FORMAT_SIZE])
{
    char digits[24];
    const int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0) ret_text[at++] = ',';
        ret_text[at++] = digits[i];
    }
    ret_text[at] = '\0';
}

void format_duration(uint64_t duration_us, char ret_text[FORMAT_SIZE])
{
    const double seconds = (double)duration_us / 1e6;
    const uint64_t minutes = duration_us / 60000000;
    if (duration_us < 1000) {
        (void)snprintf(ret_text, FORMAT_SIZE, "%" PRIu64 " us", duration_us);
    } else if (duration_us < 1000000) {
        (void)snprintf(ret_text, FORMAT_SIZE, "%.1f ms", seconds * 1000);
    } else if (minutes == 0) {
        (void)snprintf(ret_text, FORMAT_SIZE, "%.1f s", seconds);
    } else if (minutes < 60) {
        (void)snprintf(ret_text, FORMAT_SIZE, "%" PRIu64 " min %02" PRIu64 " s", minutes,
                       duration_us / 1000000 % 60);
    } else {
        (void)snprintf(ret_text, FORMAT_SIZE, "%" PRIu64 " h %02" PRIu64 " min", minutes / 60, minutes % 60);
    }
}
