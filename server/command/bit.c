/* SPDX-License-Identifier: MIT */
/* Single bits, their number and their first place. */
#include <string.h>

#include "net/resp_number.h"
#include "server/command/bitmap.h"
#include "server/command/string.h"

#define BYTES_LOW UINT64_C(0x0101010101010101)

bool bitmap_offset(struct call *call, size_t index, bool is_field, unsigned width, uint64_t *ret_offset)
{
    struct stave_bytes text = call->arguments[index];
    const bool is_multiple = is_field && text.size > 0 && *(const char *)text.data == '#';
    if (is_multiple) text = stave_bytes((const char *)text.data + 1, text.size - 1);

    int64_t offset = -1;
    if (!resp_integer(text, &offset) || offset < 0 ||
        (is_multiple && __builtin_mul_overflow(offset, (int64_t)width, &offset)) ||
        (uint64_t)offset >> 3 >= call_string_size_max(call)) {
        call_error(call, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *ret_offset = (uint64_t)offset;
    return true;
}

static unsigned bit_of(uint8_t byte, uint64_t offset)
{
    return byte >> (7 - (offset & 7)) & 1;
}

/* ------------------------------------------------------------------ SETBIT, GETBIT */

static enum stave_status set_bit(struct call *call, const struct item *old, uint64_t offset, unsigned bit)
{
    const uint64_t at = offset >> 3;
    const uint64_t size = old->found && at < old->value_size ? old->value_size : at + 1;
    uint8_t *bytes;
    const enum stave_status status = string_copy(call, old, size, &bytes);
    if (status != STAVE_OK) return status;

    const uint8_t mask = (uint8_t)(0x80 >> (offset & 7));
    bytes[at] = (uint8_t)(bit ? bytes[at] | mask : bytes[at] & ~mask);
    return transaction_put(call->transaction, call->database, call->arguments[1],
                           stave_bytes(bytes, (size_t)size), old->found ? old->expires_at_ms : 0);
}

enum stave_status bitmap_setbit(struct call *call)
{
    uint64_t offset;
    if (!bitmap_offset(call, 2, false, 0, &offset)) return STAVE_OK;
    int64_t bit;
    if (!resp_integer(call->arguments[3], &bit) || (bit != 0 && bit != 1))
        return call_error(call, "ERR bit is not an integer or out of range");

    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;
    const bool is_within = old.found && offset >> 3 < old.value_size;
    const unsigned was = is_within ? bit_of(((const uint8_t *)old.value.data)[offset >> 3], offset) : 0;
    if (!is_within || was != bit) status = set_bit(call, &old, offset, (unsigned)bit);
    if (status == STAVE_OK) reply_integer(call->reply, was);
    return status;
}

enum stave_status bitmap_getbit(struct call *call)
{
    uint64_t offset;
    if (!bitmap_offset(call, 2, false, 0, &offset)) return STAVE_OK;
    struct item item;
    const enum stave_status status = string_read_range(call, NULL, offset >> 3, offset >> 3, &item);
    if (status != STAVE_OK) return status;
    const bool is_within = item.found && item.value.size > 0;
    reply_integer(call->reply, is_within ? bit_of(*(const uint8_t *)item.value.data, offset) : 0);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ ranges of bits */

/* Bits first..last of the value, in `bytes`, which begins with the byte that holds the first one. */
struct bit_range {
    const uint8_t *bytes;
    uint64_t first;
    uint64_t last;
};

/* Bytes that hold bits of the range. */
static size_t range_byte_count(const struct bit_range *range)
{
    return (size_t)((range->last >> 3) - (range->first >> 3) + 1);
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The number of bits in each byte of a word, in that byte. */
static uint64_t count_in_bytes(uint64_t word)
{
    word -= word >> 1 & BYTES_LOW * 0x55;
    word = (word & BYTES_LOW * 0x33) + (word >> 2 & BYTES_LOW * 0x33);
    return (word + (word >> 4)) & BYTES_LOW * 0x0f;
}

static uint64_t sum_of_bytes(uint64_t word)
{
    word = (word & UINT64_C(0x00ff00ff00ff00ff)) + (word >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    return word * UINT64_C(0x0001000100010001) >> 48;
}

/* 16 words at a time, whose bytes sum up to 128 at most. */
static uint64_t count_bits(const uint8_t *bytes, size_t size)
{
    uint64_t count = 0;
    for (; size >= 128; bytes += 128, size -= 128) {
        uint64_t sum = 0;
        for (size_t i = 0; i < 128; i += sizeof sum) sum += count_in_bytes(load_word(bytes + i));
        count += sum_of_bytes(sum);
    }
    for (; size > 0; bytes++, size--) count += sum_of_bytes(count_in_bytes(*bytes));
    return count;
}

/* What bits of its first and last byte a range leaves out. */
static uint8_t mask_before(uint64_t first)
{
    return (uint8_t) ~(0xff >> (first & 7));
}

static uint8_t mask_after(uint64_t last)
{
    return (uint8_t)(0x7f >> (last & 7));
}

static uint64_t range_count(const struct bit_range *range)
{
    const size_t size = range_byte_count(range);
    const uint8_t outside[2] = {range->bytes[0] & mask_before(range->first),
                                range->bytes[size - 1] & mask_after(range->last)};
    return count_bits(range->bytes, size) - count_bits(outside, sizeof outside);
}

/* The first place of a bit in the range; last + 1: nowhere. */
static uint64_t range_find(const struct bit_range *range, bool bit)
{
    const size_t size = range_byte_count(range);
    const uint8_t skipped = bit ? 0x00 : 0xff;
    size_t at = 0;
    uint8_t byte = (uint8_t)((range->bytes[0] ^ skipped) & ~mask_before(range->first));
    if (byte == 0) {
        const uint64_t skipped_word = skipped * BYTES_LOW;
        for (at = 1; size - at >= 8 && load_word(range->bytes + at) == skipped_word;) at += 8;
        while (at < size && range->bytes[at] == skipped) at++;
        if (at == size) return range->last + 1;
        byte = range->bytes[at] ^ skipped;
    }
    uint64_t found = (range->first >> 3 << 3) + at * 8;
    while ((byte & 0x80) == 0) {
        byte = (uint8_t)(byte << 1);
        found++;
    }
    return found <= range->last ? found : range->last + 1;
}

/* What BITCOUNT and BITPOS ask for. */
struct range_arguments {
    int64_t start;
    int64_t end;
    bool is_bits;
};

/* Which bits of a value of `size` bytes; false: none. */
static bool resolve(const struct range_arguments *asked, uint64_t size, uint64_t *ret_first,
                    uint64_t *ret_last)
{
    if (asked->is_bits) return string_range(asked->start, asked->end, size * 8, ret_first, ret_last);
    if (!string_range(asked->start, asked->end, size, ret_first, ret_last)) return false;
    *ret_first *= 8;
    *ret_last = *ret_last * 8 + 7;
    return true;
}

/* Reads the bytes of the range alone; `*ret_is_empty` if no bit is in it. */
static enum stave_status read_range(struct call *call, const struct range_arguments *asked,
                                    const struct item *whole, struct bit_range *ret_range, bool *ret_is_empty)
{
    struct bit_range range = {0};
    *ret_is_empty = !resolve(asked, whole->value_size, &range.first, &range.last);
    if (*ret_is_empty) return STAVE_OK;

    struct item part;
    const enum stave_status status = string_read_range(call, whole, range.first >> 3, range.last >> 3, &part);
    if (status != STAVE_OK) return status;
    range.bytes = part.value.data;
    *ret_range = range;
    return STAVE_OK;
}

/* The unit at argument `index`, if there is one. False: something else, and the answer has been given. */
static bool parse_unit(struct call *call, size_t index, struct range_arguments *asked)
{
    if (index >= call->argument_count) return true;
    asked->is_bits = call_is(call, index, "bit");
    if (asked->is_bits || call_is(call, index, "byte")) return true;
    call_syntax_error(call);
    return false;
}

/* ------------------------------------------------------------------ BITCOUNT */

/* False: the answer has been given. */
static bool parse_bitcount(struct call *call, struct range_arguments *ret_asked)
{
    *ret_asked = (struct range_arguments){0, -1, false};
    if (call->argument_count == 2) return true;
    if (call->argument_count != 4 && call->argument_count != 5) {
        call_syntax_error(call);
        return false;
    }
    if (!call_integer(call, 2, &ret_asked->start) || !call_integer(call, 3, &ret_asked->end)) return false;
    if (string_range_is_reversed(ret_asked->start, ret_asked->end)) {
        reply_integer(call->reply, 0); /* before the unit is looked at */
        return false;
    }
    return parse_unit(call, 4, ret_asked);
}

/* As Redis has it, an absent key is answered for before the range is looked at. */
enum stave_status bitmap_bitcount(struct call *call)
{
    struct item whole;
    enum stave_status status = string_info(call, 1, &whole);
    if (status != STAVE_OK) return status;
    struct range_arguments asked;
    if (whole.found && !parse_bitcount(call, &asked)) return STAVE_OK;

    struct bit_range range;
    bool is_empty = true;
    if (whole.found) status = read_range(call, &asked, &whole, &range, &is_empty);
    if (status == STAVE_OK) reply_integer(call->reply, is_empty ? 0 : (int64_t)range_count(&range));
    return status;
}

/* ------------------------------------------------------------------ BITPOS */

/* False: the answer has been given. */
static bool parse_bitpos(struct call *call, struct range_arguments *ret_asked)
{
    *ret_asked = (struct range_arguments){0, -1, false};
    if (call->argument_count > 6) {
        call_syntax_error(call);
        return false;
    }
    if (call->argument_count > 3 && !call_integer(call, 3, &ret_asked->start)) return false;
    if (!parse_unit(call, 5, ret_asked)) return false;
    return call->argument_count <= 4 || call_integer(call, 4, &ret_asked->end);
}

enum stave_status bitmap_bitpos(struct call *call)
{
    int64_t bit;
    if (!call_integer(call, 2, &bit)) return STAVE_OK;
    if (bit != 0 && bit != 1) return call_error(call, "ERR The bit argument must be 1 or 0.");
    struct item whole;
    enum stave_status status = string_info(call, 1, &whole);
    if (status != STAVE_OK) return status;
    if (!whole.found) {
        reply_integer(call->reply, bit ? -1 : 0);
        return STAVE_OK;
    }

    struct range_arguments asked;
    if (!parse_bitpos(call, &asked)) return STAVE_OK;
    struct bit_range range;
    bool is_empty;
    status = read_range(call, &asked, &whole, &range, &is_empty);
    if (status != STAVE_OK) return status;

    int64_t found = is_empty ? -1 : (int64_t)range_find(&range, bit);
    /* Without an end, zeroes follow the value without an end. */
    const bool has_end = call->argument_count > 4;
    if (!is_empty && found > (int64_t)range.last && (bit || has_end)) found = -1;
    reply_integer(call->reply, found);
    return STAVE_OK;
}
