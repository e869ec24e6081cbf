/* SPDX-License-Identifier: MIT */
/* UTF-8 after RFC 3629, base64 after RFC 4648. */
#include "tools/text.h"

static const char base64_digits[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/',
};

/* RFC 3629, 4: the bounds of the second byte keep out overlong forms, surrogates and what is too big. */
static size_t lead_size(uint8_t lead, uint8_t *ret_least, uint8_t *ret_greatest)
{
    *ret_least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *ret_greatest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

size_t text_utf8_size(struct stave_bytes bytes)
{
    if (bytes.size == 0) return 0;
    const uint8_t *at = bytes.data;
    uint8_t least = 0;
    uint8_t greatest = 0;
    const size_t size = lead_size(at[0], &least, &greatest);
    if (size > bytes.size) return 0;
    if (size > 1 && (at[1] < least || at[1] > greatest)) return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
    }
    return size;
}

bool text_is_utf8(struct stave_bytes bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        const size_t size = text_utf8_size(stave_bytes(data + i, bytes.size - i));
        if (size == 0) return false;
        i += size;
    }
    return true;
}

size_t text_utf8_encode(uint32_t character, uint8_t *ret_bytes)
{
    if (character < 0x80) {
        ret_bytes[0] = (uint8_t)character;
        return 1;
    }
    const size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t leads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--) {
        ret_bytes[i] = (uint8_t)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    ret_bytes[0] = (uint8_t)(leads[size] | character);
    return size;
}

int text_hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

void text_base64_write(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        const uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)data[i + 2] : 0);
        putc_unlocked(base64_digits[group >> 18], out);
        putc_unlocked(base64_digits[group >> 12 & 63], out);
        putc_unlocked(left > 1 ? base64_digits[group >> 6 & 63] : '=', out);
        putc_unlocked(left > 2 ? base64_digits[group & 63] : '=', out);
    }
}

static int base64_value(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    if (digit == '+') return 62;
    if (digit == '/') return 63;
    return -1;
}

/* One group of four digits, the last `padding` of them "=". */
static bool base64_group(const uint8_t *digits, size_t padding, uint8_t *ret_bytes)
{
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        const int value = i >= 4 - padding ? 0 : base64_value(digits[i]);
        if (value < 0) return false;
        group = group << 6 | (uint32_t)value;
    }
    if ((group & ((1U << 8 * padding) - 1)) != 0) return false;
    for (size_t i = 0; i < 3 - padding; i++) ret_bytes[i] = (uint8_t)(group >> (16 - 8 * i));
    return true;
}

bool text_base64_decode(struct stave_bytes text, uint8_t *ret_bytes, size_t *ret_size)
{
    const uint8_t *digits = text.data;
    if (text.size % 4 != 0) return false;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i += 4) {
        const bool last = i + 4 == text.size;
        const size_t padding = !last || digits[i + 3] != '=' ? 0 : digits[i + 2] != '=' ? 1 : 2;
        if (!base64_group(digits + i, padding, ret_bytes + size)) return false;
        size += 3 - padding;
    }
    *ret_size = size;
    return true;
}

static void write_escape(FILE *out, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    switch (byte) {
    case '\t': fputs("\\t", out); return;
    case '\n': fputs("\\n", out); return;
    case '\r': fputs("\\r", out); return;
    case '\\': fputs("\\\\", out); return;
    case '\0': fputs("\\0", out); return;
    default: break;
    }
    putc_unlocked('\\', out);
    putc_unlocked('x', out);
    putc_unlocked(digits[byte >> 4], out);
    putc_unlocked(digits[byte & 15], out);
}

void text_escaped_write(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        const uint8_t byte = data[i];
        const size_t size = text_utf8_size(stave_bytes(data + i, bytes.size - i));
        if (size == 0 || byte < ' ' || byte == 0x7F || byte == '\\') {
            write_escape(out, byte);
            i++;
            continue;
        }
        for (size_t end = i + size; i < end; i++) putc_unlocked(data[i], out);
    }
}

/* The byte that the escape at `at` stands for; its size, or 0 if it is none. */
static size_t read_escape(const uint8_t *at, size_t size, uint8_t *ret_byte)
{
    static const char names[] = "tnr\\0";
    static const uint8_t bytes[] = {'\t', '\n', '\r', '\\', '\0'};
    if (size < 2) return 0;
    if (at[1] == 'x') {
        if (size < 4 || text_hex_value(at[2]) < 0 || text_hex_value(at[3]) < 0) return 0;
        *ret_byte = (uint8_t)(text_hex_value(at[2]) * 16 + text_hex_value(at[3]));
        return 4;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (at[1] != (uint8_t)names[i]) continue;
        *ret_byte = bytes[i];
        return 2;
    }
    return 0;
}

bool text_escaped_decode(struct stave_bytes text, uint8_t *ret_bytes, size_t *ret_size)
{
    const uint8_t *data = text.data;
    size_t size = 0;
    for (size_t i = 0; i < text.size;) {
        uint8_t byte = data[i];
        const size_t used = byte == '\\' ? read_escape(data + i, text.size - i, &byte) : 1;
        if (used == 0) {
            *ret_size = i;
            return false;
        }
        ret_bytes[size++] = byte;
        i += used;
    }
    *ret_size = size;
    return true;
}
