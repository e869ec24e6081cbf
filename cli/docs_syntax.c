/* SPDX-License-Identifier: MIT */
/* Arguments hold arguments: those that have begun are kept on a stack of a stated depth. */
#include "cli/docs_syntax.h"

#include <string.h>

#include "base/memory.h"
#include "cli/member.h"
#include "cli/message.h"

enum { SYNTAX_DEPTH_MAX = 16 };

struct argument {
    char *token; /* NULL: none */
    bool is_optional;
    bool is_multiple;
    bool repeats_token;
    size_t token_start; /* in the text: what is repeated with its token, or without */
    size_t name_start;
    uint32_t next; /* inner argument to be written next, up to `end` */
    uint32_t end;
    const char *separator;
    bool has_begun;
};

static void append(struct buffer *out, const char *text)
{
    (void)message_need(buffer_append(out, text, strlen(text)) == STAVE_OK ? out : NULL);
}

static void append_name(const struct resp_reader *reader, uint32_t argument, struct buffer *out)
{
    uint32_t name = member_of(reader, argument, "display_text");
    if (name == 0) name = member_of(reader, argument, "name");
    char *const text = member_text(reader, name);
    append(out, text);
    memory_free(text);
}

/* Writes what stands before its inner arguments, or all of it but its end if there are none. */
static struct argument begin(const struct resp_reader *reader, uint32_t index, struct buffer *out)
{
    struct argument argument = {
        .is_optional = member_has_flag(reader, index, "optional"),
        .is_multiple = member_has_flag(reader, index, "multiple"),
        .repeats_token = member_has_flag(reader, index, "multiple_token"),
        .separator = member_is(reader, index, "type", "oneof") ? " | " : " ",
    };
    const uint32_t token = member_of(reader, index, "token");
    const uint32_t inner = member_of(reader, index, "arguments");
    const bool is_token_alone = member_is(reader, index, "type", "pure-token");
    if (argument.is_optional) append(out, "[");
    argument.token_start = out->size;
    if (token > 0) {
        argument.token = member_text(reader, token);
        append(out, *argument.token == '\0' ? "\"\"" : argument.token);
        if (!is_token_alone) append(out, " ");
    }
    argument.name_start = out->size;
    if (inner > 0 && resp_is_aggregate(reader->values[inner].type)) {
        argument.next = inner + 1;
        argument.end = reader->values[inner].next;
    } else if (!is_token_alone) {
        append_name(reader, index, out);
    }
    return argument;
}

/* " [name ...]" behind the name, then what closes it. */
static void end(struct argument *argument, struct buffer *out)
{
    if (argument->is_multiple) {
        const size_t start = argument->repeats_token ? argument->token_start : argument->name_start;
        const size_t size = out->size - start;
        char *const again = message_need(memory_alloc(size + 1));
        memcpy(again, out->data + start, size);
        again[size] = '\0';
        append(out, " [");
        append(out, again);
        append(out, " ...]");
        memory_free(again);
    }
    if (argument->is_optional) append(out, "]");
    memory_free(argument->token);
}

char *docs_syntax(const struct resp_reader *reader, uint32_t index)
{
    struct argument stack[SYNTAX_DEPTH_MAX];
    struct buffer out = BUFFER_NONE;
    size_t depth = 0;
    stack[depth++] = begin(reader, index, &out);
    while (depth > 0) {
        struct argument *const top = &stack[depth - 1];
        if (top->next == top->end || depth == SYNTAX_DEPTH_MAX) {
            end(top, &out);
            depth--;
            continue;
        }
        if (top->has_begun) append(&out, top->separator);
        top->has_begun = true;
        const uint32_t inner = top->next;
        top->next = reader->values[inner].next;
        stack[depth++] = begin(reader, inner, &out);
    }
    (void)message_need(buffer_append(&out, "", 1) == STAVE_OK ? &out : NULL);
    return (char *)out.data;
}
