/* SPDX-License-Identifier: MIT */
/*
 * JSON as the tool writes it (RFC 8259).
 *
 * Bytes are a member "name" where they are UTF-8 without control characters other than \b \t \n \f \r, else a
 * member "name_base64". So any bytes have one form, and none is much longer than the bytes.
 */
#ifndef STAVE_TOOLS_JSON_H
#define STAVE_TOOLS_JSON_H

#include <stave.h>
#include <stdio.h>

/* A string; what is not UTF-8 becomes U+FFFD. For messages and names of files. */
void json_write_text(FILE *out, const char *text);
/* "name": "..." or "name_base64": "...". */
void json_write_bytes(FILE *out, const char *name, struct stave_bytes bytes);

#endif
