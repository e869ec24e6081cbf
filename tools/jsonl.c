/* SPDX-License-Identifier: MIT */
/* Writes and parses JSON Lines; a refusal is noted in the scan, and every step after it does nothing. */
#include "tools/jsonl.h"

#include "tools/json.h"
#include "tools/text.h"

#include <inttypes.h>

void jsonl_write(FILE *out, const struct record *record)
{
    putc_unlocked('{', out);
    json_write_bytes(out, "key", record->key);
    fputs(", ", out);
    json_write_bytes(out, "value", record->value);
    if (record->expires_at_ms != 0) fprintf(out, ", \"expires_at_ms\": %" PRIu64, record->expires_at_ms);
    fputs("}\n", out);
}

struct scan {
    const uint8_t *data;
    size_t size;
    size_t at;
    uint8_t *scratch; /* what is decoded so far lies before it */
    struct refusal *refusal;
};

enum member { MEMBER_KEY = 1, MEMBER_VALUE = 2, MEMBER_EXPIRY = 4 };

struct member_name {
    const char *name;
    enum member member;
    bool base64;
};

static const struct member_name member_names[] = {
    {"key", MEMBER_KEY, false},
    {"key_base64", MEMBER_KEY, true},
    {"value", MEMBER_VALUE, false},
    {"value_base64", MEMBER_VALUE, true},
    {"expires_at_ms", MEMBER_EXPIRY, false},
};

static bool refuse(struct scan *scan, const char *reason)
{
    *scan->refusal = (struct refusal){reason, scan->at};
    return false;
}

static void skip_space(struct scan *scan)
{
    for (; scan->at < scan->size; scan->at++) {
        const uint8_t byte = scan->data[scan->at];
        if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n') return;
    }
}

static bool next_is(const struct scan *scan, char wanted)
{
    return scan->at < scan->size && scan->data[scan->at] == (uint8_t)wanted;
}

static bool expect(struct scan *scan, char wanted, const char *reason)
{
    skip_space(scan);
    if (!next_is(scan, wanted)) return refuse(scan, reason);
    scan->at++;
    skip_space(scan);
    return true;
}

/* The four digits behind "\u". */
static bool read_unit(struct scan *scan, uint32_t *ret_unit)
{
    if (scan->size - scan->at < 4) return refuse(scan, "four hexadecimal digits are missing");
    uint32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        const int value = text_hex_value(scan->data[scan->at + i]);
        if (value < 0) return refuse(scan, "four hexadecimal digits are missing");
        unit = unit * 16 + (uint32_t)value;
    }
    scan->at += 4;
    *ret_unit = unit;
    return true;
}

static bool read_unicode(struct scan *scan, size_t *size)
{
    uint32_t character = 0;
    if (!read_unit(scan, &character)) return false;
    if (character >= 0xDC00 && character <= 0xDFFF) return refuse(scan, "half a surrogate pair");
    if (character >= 0xD800 && character <= 0xDBFF) {
        uint32_t low = 0;
        if (scan->size - scan->at < 2 || scan->data[scan->at] != '\\' || scan->data[scan->at + 1] != 'u')
            return refuse(scan, "half a surrogate pair");
        scan->at += 2;
        if (!read_unit(scan, &low)) return false;
        if (low < 0xDC00 || low > 0xDFFF) return refuse(scan, "half a surrogate pair");
        character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
    }
    *size += text_utf8_encode(character, scan->scratch + *size);
    return true;
}

/* What follows a backslash. */
static bool read_escape(struct scan *scan, size_t *size)
{
    static const char names[] = "\"\\/bfnrt";
    static const uint8_t bytes[] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};
    if (next_is(scan, 'u')) {
        scan->at++;
        return read_unicode(scan, size);
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (!next_is(scan, names[i])) continue;
        scan->at++;
        scan->scratch[(*size)++] = bytes[i];
        return true;
    }
    return refuse(scan, "there is no such escape");
}

static bool read_character(struct scan *scan, size_t *size)
{
    const size_t used = text_utf8_size(stave_bytes(scan->data + scan->at, scan->size - scan->at));
    if (used == 0) return refuse(scan, "this is not UTF-8");
    if (scan->data[scan->at] < ' ') return refuse(scan, "a control character must be escaped");
    for (size_t i = 0; i < used; i++) scan->scratch[(*size)++] = scan->data[scan->at++];
    return true;
}

/* Decodes a string to scratch, and moves scratch behind it. */
static bool read_string(struct scan *scan, struct stave_bytes *ret_string)
{
    size_t size = 0;
    if (!next_is(scan, '"')) return refuse(scan, "a string is missing");
    scan->at++;
    while (!next_is(scan, '"')) {
        if (scan->at >= scan->size) return refuse(scan, "the string has no end");
        if (!next_is(scan, '\\')) {
            if (!read_character(scan, &size)) return false;
            continue;
        }
        scan->at++;
        if (!read_escape(scan, &size)) return false;
    }
    scan->at++;
    *ret_string = stave_bytes(scan->scratch, size);
    scan->scratch += size;
    return true;
}

static bool read_bytes(struct scan *scan, bool base64, struct stave_bytes *ret_bytes)
{
    uint8_t *start = scan->scratch;
    struct stave_bytes text = {NULL, 0};
    if (!read_string(scan, &text)) return false;
    if (base64 && !text_base64_decode(text, start, &text.size)) return refuse(scan, "this is not base64");
    *ret_bytes = text;
    return true;
}

static bool read_number(struct scan *scan, uint64_t *ret_number)
{
    static const char reason[] = "a whole number from 0 to 18446744073709551615 is missing";
    uint64_t number = 0;
    const size_t start = scan->at;
    for (; scan->at < scan->size; scan->at++) {
        const uint8_t byte = scan->data[scan->at];
        if (byte < '0' || byte > '9') break;
        const uint64_t digit = (uint64_t)(byte - '0');
        if (number > (UINT64_MAX - digit) / 10) return refuse(scan, reason);
        number = number * 10 + digit;
    }
    const size_t count = scan->at - start;
    if (count == 0 || (count > 1 && scan->data[start] == '0')) return refuse(scan, reason);
    *ret_number = number;
    return true;
}

static const struct member_name *find_member(struct stave_bytes name)
{
    for (size_t i = 0; i < sizeof member_names / sizeof member_names[0]; i++) {
        const struct stave_bytes wanted = stave_text(member_names[i].name);
        if (wanted.size == name.size && memcmp(wanted.data, name.data, name.size) == 0)
            return &member_names[i];
    }
    return NULL;
}

/* One member; `*seen` gathers which there were. */
static bool read_member(struct scan *scan, unsigned *seen, struct record *record)
{
    uint8_t *start = scan->scratch;
    struct stave_bytes text = {NULL, 0};
    if (!read_string(scan, &text)) return false;
    const struct member_name *name = find_member(text);
    scan->scratch = start; /* the name is not needed any more */
    if (name == NULL) return refuse(scan, "there is no such member");
    if ((*seen & (unsigned)name->member) != 0) return refuse(scan, "the member is there twice");
    *seen |= (unsigned)name->member;
    if (!expect(scan, ':', "a colon is missing")) return false;
    if (name->member == MEMBER_KEY) return read_bytes(scan, name->base64, &record->key);
    if (name->member == MEMBER_VALUE) return read_bytes(scan, name->base64, &record->value);
    return read_number(scan, &record->expires_at_ms);
}

static bool read_object(struct scan *scan, struct record *record)
{
    unsigned seen = 0;
    if (!expect(scan, '{', "a line is an object: { is missing")) return false;
    while (!next_is(scan, '}')) {
        if (seen != 0 && !expect(scan, ',', "a comma or } is missing")) return false;
        if (!read_member(scan, &seen, record)) return false;
        skip_space(scan);
    }
    scan->at++;
    skip_space(scan);
    if (scan->at < scan->size) return refuse(scan, "something follows the object");
    if ((seen & MEMBER_KEY) == 0) return refuse(scan, "the key is missing");
    if ((seen & MEMBER_VALUE) == 0) return refuse(scan, "the value is missing");
    return true;
}

enum parse_result jsonl_parse(struct stave_bytes line, uint8_t *scratch, struct record *ret_record,
                              struct refusal *ret_refusal)
{
    struct scan scan = {line.data, line.size, 0, scratch, ret_refusal};
    struct record record = {0};
    skip_space(&scan);
    if (scan.at == scan.size) return PARSE_NOTHING;
    if (!read_object(&scan, &record)) return PARSE_REFUSED;
    *ret_record = record;
    return PARSE_DONE;
}
