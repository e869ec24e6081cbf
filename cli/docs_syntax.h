/* SPDX-License-Identifier: MIT */
/*
 * An argument of COMMAND DOCS as Redis' pages write it: tokens in capitals, [] optional, | one of, ... once
 * more.
 */
#ifndef STAVE_CLI_DOCS_SYNTAX_H
#define STAVE_CLI_DOCS_SYNTAX_H

#include "net/resp_value.h"

/* The argument at this index of the reader; the caller frees the text with memory_free(). */
char *docs_syntax(const struct resp_reader *reader, uint32_t argument);

#endif
