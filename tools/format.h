/* SPDX-License-Identifier: MIT */
/* Numbers for people. */
#ifndef STAVE_TOOLS_FORMAT_H
#define STAVE_TOOLS_FORMAT_H

#include <stdint.h>

enum { FORMAT_SIZE = 32 }; /* room for any of these texts */

/* "1.4 GiB" */
void format_size(uint64_t size, char ret_text[FORMAT_SIZE]);
/* "1,234,567" */
void format_count(uint64_t count, char ret_text[FORMAT_SIZE]);
/* "830 us", "12.5 ms", "3.2 s", "2 h 05 min" */
void format_duration(uint64_t duration_us, char ret_text[FORMAT_SIZE]);

#endif
