/* SPDX-License-Identifier: MIT */
/* Looks up what a server says of something under a name. */
#include "cli/member.h"

#include <string.h>

#include "base/memory.h"
#include "cli/message.h"

static bool is_text(enum resp_type type)
{
    return type == RESP_BULK || type == RESP_SIMPLE || type == RESP_VERBATIM;
}

static bool is_text_of(const struct resp_reader *reader, uint32_t index, const char *text)
{
    const struct resp_value *const value = &reader->values[index];
    if (!is_text(value->type) || value->text.size != strlen(text)) return false;
    return memcmp(resp_text(reader, value).data, text, value->text.size) == 0;
}

bool member_holds_pairs(const struct resp_value *value)
{
    return value->type == RESP_MAP || (value->type == RESP_ARRAY && value->elements.count % 2 == 0);
}

uint32_t member_of(const struct resp_reader *reader, uint32_t map, const char *name)
{
    const struct resp_value *const value = &reader->values[map];
    if (!member_holds_pairs(value)) return 0;
    for (uint32_t i = map + 1; i < value->next; i = reader->values[reader->values[i].next].next) {
        if (is_text_of(reader, i, name)) return reader->values[i].next;
    }
    return 0;
}

bool member_is(const struct resp_reader *reader, uint32_t map, const char *name, const char *text)
{
    const uint32_t value = member_of(reader, map, name);
    return value != 0 && is_text_of(reader, value, text);
}

char *member_text(const struct resp_reader *reader, uint32_t index)
{
    const struct resp_value *const value = &reader->values[index];
    const struct stave_bytes text =
        index > 0 && is_text(value->type) ? resp_text(reader, value) : stave_text("");
    char *const copy = message_need(memory_alloc(text.size + 1));
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

bool member_has_flag(const struct resp_reader *reader, uint32_t map, const char *flag)
{
    const uint32_t flags = member_of(reader, map, "flags");
    if (flags == 0 || !resp_is_aggregate(reader->values[flags].type)) return false;
    for (uint32_t i = flags + 1; i < reader->values[flags].next; i = reader->values[i].next) {
        if (is_text_of(reader, i, flag)) return true;
    }
    return false;
}
