/* SPDX-License-Identifier: MIT */
/*
 * A file or pipe read through a buffer that grows with what has arrived, never with what was announced.
 *
 *   I1  What is not consumed yet stays in one piece.
 *   I2  The buffer holds at most INPUT_SIZE_MAX bytes.
 */
#ifndef STAVE_TOOLS_INPUT_H
#define STAVE_TOOLS_INPUT_H

#include "tools/tool.h"

/* Enough for a line of the longest key and value with every byte as \xNN. */
#define INPUT_SIZE_MAX (UINT64_C(8589934592) + 65536)

enum input_status {
    INPUT_OK = 0,
    INPUT_END = 1,
    INPUT_FAILED = -1, /* see errno */
    INPUT_TOO_LONG = -2,
    INPUT_INTERRUPTED = -3,
    INPUT_NO_MEMORY = -4,
};

struct input {
    int fd;
    uint8_t *data;
    size_t capacity;
    size_t begin; /* of what is not consumed */
    size_t end;
    size_t searched; /* bytes from begin that hold no line feed */
    uint64_t offset; /* of `begin` in the input */
    bool ended;
};

#define INPUT_NONE ((struct input){.fd = -1, .data = NULL})

/* Closes the file, unless it is standard input. */
void input_free(struct input *input);

/* What is not consumed yet, until the next call. */
struct stave_bytes input_bytes(const struct input *input);
/* Reads more behind it: INPUT_OK, INPUT_END (nothing came), or a failure. */
enum input_status input_fill(struct input *input);
void input_consume(struct input *input, size_t size);

/* The next line without its line feed; INPUT_END if there is none. `*ret_used` is what to consume for it. */
enum input_status input_line(struct input *input, struct stave_bytes *ret_line, size_t *ret_used);
/* Everything up to the end, at most `size_max` bytes. */
enum input_status input_all(struct input *input, uint64_t size_max, struct stave_bytes *ret_bytes);

/* Reports a failure; TOOL_DONE for INPUT_OK and INPUT_END. */
enum tool_exit input_failure(const struct tool *tool, const char *name, enum input_status status);

#endif
