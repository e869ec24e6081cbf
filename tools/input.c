/* SPDX-License-Identifier: MIT */
/* Reads a file or pipe. */
#include "tools/input.h"

#include "tools/cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE_MIN = 65536, CAPACITY_MIN = 262144 };

void input_free(struct input *input)
{
    free(input->data);
    if (input->fd > STDIN_FILENO) (void)close(input->fd);
    *input = INPUT_NONE;
}

struct stave_bytes input_bytes(const struct input *input)
{
    return stave_bytes(input->data + input->begin, input->end - input->begin);
}

void input_consume(struct input *input, size_t size)
{
    input->begin += size;
    input->offset += size;
    input->searched = 0;
}

/* Room for READ_SIZE_MIN bytes: by moving to the front where little is held, else by doubling. */
static enum input_status make_room(struct input *input)
{
    const size_t held = input->end - input->begin;
    if (input->capacity - input->end >= READ_SIZE_MIN) return INPUT_OK;
    if (input->begin > 0 && held <= input->capacity / 2) {
        memmove(input->data, input->data + input->begin, held);
        input->begin = 0;
        input->end = held;
        if (input->capacity - held >= READ_SIZE_MIN) return INPUT_OK;
    }
    if (input->capacity >= INPUT_SIZE_MAX) return INPUT_TOO_LONG;
    size_t capacity = input->capacity == 0 ? CAPACITY_MIN : input->capacity * 2;
    if (capacity > INPUT_SIZE_MAX) capacity = INPUT_SIZE_MAX;
    uint8_t *data = realloc(input->data, capacity);
    if (data == NULL) return INPUT_NO_MEMORY;
    input->data = data;
    input->capacity = capacity;
    return INPUT_OK;
}

enum input_status input_fill(struct input *input)
{
    if (input->ended) return INPUT_END;
    const enum input_status status = make_room(input);
    if (status < 0) return status;
    for (;;) {
        if (cancel_requested()) return INPUT_INTERRUPTED;
        const ssize_t size = read(input->fd, input->data + input->end, input->capacity - input->end);
        if (size > 0) {
            input->end += (size_t)size;
            return INPUT_OK;
        }
        if (size == 0) {
            input->ended = true;
            return INPUT_END;
        }
        if (errno != EINTR) return INPUT_FAILED;
    }
}

enum input_status input_line(struct input *input, struct stave_bytes *ret_line, size_t *ret_used)
{
    for (;;) {
        const struct stave_bytes held = input_bytes(input);
        const uint8_t *start = held.data;
        const uint8_t *newline = NULL;
        if (held.size > input->searched)
            newline = memchr(start + input->searched, '\n', held.size - input->searched);
        if (newline != NULL) {
            *ret_line = stave_bytes(start, (size_t)(newline - start));
            *ret_used = ret_line->size + 1;
            return INPUT_OK;
        }
        input->searched = held.size;
        const enum input_status status = input_fill(input);
        if (status < 0) return status;
        if (status == INPUT_END) {
            *ret_line = held;
            *ret_used = held.size;
            return held.size == 0 ? INPUT_END : INPUT_OK;
        }
    }
}

enum input_status input_all(struct input *input, uint64_t size_max, struct stave_bytes *ret_bytes)
{
    enum input_status status = INPUT_OK;
    while (status == INPUT_OK) {
        if (input->end - input->begin > size_max) return INPUT_TOO_LONG;
        status = input_fill(input);
    }
    if (status == INPUT_END) *ret_bytes = input_bytes(input);
    return status;
}

enum tool_exit input_failure(const struct tool *tool, const char *name, enum input_status status)
{
    const int number = errno;
    switch (status) {
    case INPUT_OK:
    case INPUT_END: return TOOL_DONE;
    case INPUT_FAILED: return tool_report(tool, STAVE_IO, "%s: %s", name, strerror(number));
    case INPUT_TOO_LONG: return tool_report(tool, STAVE_LIMIT, "%s: longer than a value may be", name);
    case INPUT_INTERRUPTED: return tool_report(tool, STAVE_CANCELLED, "%s: interrupted", name);
    case INPUT_NO_MEMORY: return tool_report(tool, STAVE_NO_MEMORY, "%s: out of memory", name);
    }
    return TOOL_FAILURE;
}
