/* SPDX-License-Identifier: MIT */
/*
 * Bytes as text: UTF-8, base64, hexadecimal digits, and the backslash escapes of TSV and of words.
 */
#ifndef STAVE_TOOLS_TEXT_H
#define STAVE_TOOLS_TEXT_H

#include <stave.h>
#include <stdio.h>

/* The size of the valid UTF-8 character that `bytes` begins with; 0 if there is none. */
size_t text_utf8_size(struct stave_bytes bytes);
bool text_is_utf8(struct stave_bytes bytes);
/* Writes a character (not a surrogate) as UTF-8 and gives its size, at most 4. */
size_t text_utf8_encode(uint32_t character, uint8_t *ret_bytes);

/* The value of a hexadecimal digit, or -1. */
int text_hex_value(uint8_t digit);

void text_base64_write(FILE *out, struct stave_bytes bytes);
/* Strict: whole groups, padding, no bits left over. `ret_bytes` may be where `text` is. */
bool text_base64_decode(struct stave_bytes text, uint8_t *ret_bytes, size_t *ret_size);

/*
 * Escapes: \t \n \r \\ \0, and \xNN for other control characters and what is not UTF-8. The escaped text is
 * UTF-8 without tabs and line ends.
 */
void text_escaped_write(FILE *out, struct stave_bytes bytes);
/* Resolves escapes; other bytes stand for themselves. `ret_bytes` may be where `text` is. On failure
   `*ret_size` is the offset of the wrong escape. */
bool text_escaped_decode(struct stave_bytes text, uint8_t *ret_bytes, size_t *ret_size);

#endif
