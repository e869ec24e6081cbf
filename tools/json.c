/* SPDX-License-Identifier: MIT */
/* Writes JSON strings. */
#include "tools/json.h"

#include "tools/text.h"

/* The letter of a control character's short escape, or 0. */
static char short_escape(uint8_t byte)
{
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    default: return 0;
    }
}

static void write_string(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *data = bytes.data;
    putc_unlocked('"', out);
    for (size_t i = 0; i < bytes.size;) {
        const size_t size = text_utf8_size(stave_bytes(data + i, bytes.size - i));
        const char escape = short_escape(data[i]);
        if (size == 0) {
            fputs("\\ufffd", out);
        } else if (escape != 0) {
            putc_unlocked('\\', out);
            putc_unlocked(escape, out);
        } else if (data[i] < ' ') {
            fprintf(out, "\\u%04x", data[i]);
        } else {
            for (size_t j = 0; j < size; j++) putc_unlocked(data[i + j], out);
        }
        i += size == 0 ? 1 : size;
    }
    putc_unlocked('"', out);
}

void json_write_text(FILE *out, const char *text)
{
    write_string(out, stave_text(text));
}

static bool is_plain(struct stave_bytes bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        if (data[i] < ' ' && short_escape(data[i]) == 0) return false;
    }
    return text_is_utf8(bytes);
}

void json_write_bytes(FILE *out, const char *name, struct stave_bytes bytes)
{
    if (is_plain(bytes)) {
        fprintf(out, "\"%s\": ", name);
        write_string(out, bytes);
        return;
    }
    fprintf(out, "\"%s_base64\": \"", name);
    text_base64_write(out, bytes);
    putc_unlocked('"', out);
}
