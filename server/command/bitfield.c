/* SPDX-License-Identifier: MIT */
/*
 * BITFIELD: integers of 1 to 64 bits anywhere in a string.
 *
 *   F1  All operations have been parsed before the first is carried out.
 *   F2  If one of them writes, the value has room for the last bit that any of them may write, whether an
 *       overflow then forbids it or not.
 */
#include <string.h>

#include "net/resp_number.h"
#include "server/command/bitmap.h"
#include "server/command/string.h"

enum field_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { FIELD_WRAP, FIELD_SATURATE, FIELD_FAIL };

struct field {
    enum field_kind kind;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width;
    uint64_t offset;
    int64_t argument; /* value or increment */
};

/* The bytes of the value from `first` on, as far as the fields need them. */
struct field_bytes {
    const uint8_t *data;
    uint64_t first;
    uint64_t size;
};

/* ------------------------------------------------------------------ parsing */

static bool parse_width(struct call *call, size_t index, struct field *field)
{
    const struct stave_bytes text = call->arguments[index];
    const char *letter = text.data;
    int64_t width = 0;
    if (text.size > 0 && (*letter == 'i' || *letter == 'u') &&
        resp_integer(stave_bytes(letter + 1, text.size - 1), &width)) {
        field->is_signed = *letter == 'i';
        field->width = (unsigned)width;
        if (width >= 1 && width <= (field->is_signed ? 64 : 63)) return true;
    }
    call_error(call, "ERR Invalid bitfield type. Use something like i16 u8. "
                     "Note that u64 is not supported but i64 is.");
    return false;
}

static bool parse_overflow(struct call *call, size_t index, enum field_overflow *ret_overflow)
{
    if (call_is(call, index, "wrap"))
        *ret_overflow = FIELD_WRAP;
    else if (call_is(call, index, "sat"))
        *ret_overflow = FIELD_SATURATE;
    else if (call_is(call, index, "fail"))
        *ret_overflow = FIELD_FAIL;
    else {
        call_error(call, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* The name of the operation at `index`, if all that belongs to it is there. */
static bool parse_kind(const struct call *call, size_t index, enum field_kind *ret_kind)
{
    const size_t behind = call->argument_count - 1 - index;
    if (behind >= 2 && call_is(call, index, "get"))
        *ret_kind = FIELD_GET;
    else if (behind >= 3 && call_is(call, index, "set"))
        *ret_kind = FIELD_SET;
    else if (behind >= 3 && call_is(call, index, "incrby"))
        *ret_kind = FIELD_INCRBY;
    else
        return false;
    return true;
}

static bool parse_field(struct call *call, size_t index, struct field *field)
{
    if (!parse_kind(call, index, &field->kind)) {
        call_syntax_error(call);
        return false;
    }
    return parse_width(call, index + 1, field) &&
           bitmap_offset(call, index + 2, true, field->width, &field->offset) &&
           (field->kind == FIELD_GET || call_integer(call, index + 3, &field->argument));
}

/* False: the answer has been given. `fields` has room for more than there can be. */
static bool parse_fields(struct call *call, struct field *fields, size_t *ret_count)
{
    size_t count = 0;
    enum field_overflow overflow = FIELD_WRAP;
    for (size_t i = 2; i < call->argument_count;) {
        if (i + 1 < call->argument_count && call_is(call, i, "overflow")) {
            if (!parse_overflow(call, i + 1, &overflow)) return false;
            i += 2;
            continue;
        }
        struct field *field = &fields[count++];
        *field = (struct field){.overflow = overflow};
        if (!parse_field(call, i, field)) return false;
        i += field->kind == FIELD_GET ? 3 : 4;
    }
    *ret_count = count;
    return true;
}

/* ------------------------------------------------------------------ bits */

static uint64_t load_field(const struct field_bytes *bytes, const struct field *field)
{
    uint64_t value = 0;
    for (uint64_t at = field->offset; at < field->offset + field->width; at++) {
        const uint64_t index = (at >> 3) - bytes->first;
        const unsigned byte = index < bytes->size ? bytes->data[index] : 0;
        value = value << 1 | (byte >> (7 - (at & 7)) & 1);
    }
    return value;
}

static void store_field(uint8_t *bytes, const struct field *field, uint64_t value)
{
    for (unsigned i = 0; i < field->width; i++) {
        const uint64_t at = field->offset + field->width - 1 - i;
        const uint8_t mask = (uint8_t)(0x80 >> (at & 7));
        bytes[at >> 3] = (uint8_t)(value >> i & 1 ? bytes[at >> 3] | mask : bytes[at >> 3] & ~mask);
    }
}

static int64_t sign_extend(uint64_t value, unsigned width)
{
    const uint64_t sign = UINT64_C(1) << (width - 1);
    const uint64_t mask = sign | (sign - 1);
    return (int64_t)(((value & mask) ^ sign) - sign);
}

/* The result of an overflow upwards or downwards; false: nothing is to be written. */
static bool overflow_result(const struct field *field, bool is_up, uint64_t sum, uint64_t *ret_value)
{
    const uint64_t sign = UINT64_C(1) << (field->width - 1);
    const uint64_t highest = field->is_signed ? sign - 1 : sign | (sign - 1);
    const uint64_t lowest = field->is_signed ? sign : 0;
    if (field->overflow == FIELD_FAIL) return false;
    *ret_value = field->overflow == FIELD_WRAP ? sum : is_up ? highest : lowest;
    return true;
}

/* Redis takes a value that is set for too large as well if it lies more than 2^63 - 1 below the highest. */
static bool add_signed(const struct field *field, int64_t value, int64_t increment, uint64_t *ret_value)
{
    const int64_t highest = (int64_t)((UINT64_C(1) << (field->width - 1)) - 1);
    int64_t sum;
    const bool has_wrapped = __builtin_add_overflow(value, increment, &sum);
    const bool is_far_below = field->width < 64 && (uint64_t)highest - (uint64_t)value > INT64_MAX;
    const bool is_up = has_wrapped ? increment > 0 : sum > highest || is_far_below;
    if (has_wrapped || sum > highest || sum < -highest - 1)
        return overflow_result(field, is_up, (uint64_t)sum, ret_value);
    *ret_value = (uint64_t)sum;
    return true;
}

/* As Redis has it, a value that is set is unsigned: a negative one is too large. */
static bool add_unsigned(const struct field *field, uint64_t value, int64_t increment, uint64_t *ret_value)
{
    const uint64_t highest = (UINT64_C(1) << field->width) - 1;
    const uint64_t sum = value + (uint64_t)increment;
    const bool is_up = value > highest || (increment > 0 && (uint64_t)increment > highest - value);
    const bool is_down = !is_up && increment < 0 && 0 - (uint64_t)increment > value;
    if (is_up || is_down) return overflow_result(field, is_up, sum, ret_value);
    *ret_value = sum;
    return true;
}

static bool field_result(const struct field *field, uint64_t old, uint64_t *ret_value)
{
    if (field->kind == FIELD_SET)
        return field->is_signed ? add_signed(field, field->argument, 0, ret_value)
                                : add_unsigned(field, (uint64_t)field->argument, 0, ret_value);
    return field->is_signed ? add_signed(field, sign_extend(old, field->width), field->argument, ret_value)
                            : add_unsigned(field, old, field->argument, ret_value);
}

static void reply_field(struct call *call, const struct field *field, uint64_t value)
{
    const uint64_t mask = ~UINT64_C(0) >> (64 - field->width);
    reply_integer(call->reply, field->is_signed ? sign_extend(value, field->width) : (int64_t)(value & mask));
}

/* ------------------------------------------------------------------ the command */

/* The bytes from the first to the last that a field needs; what writes goes behind the value's end. */
static void fields_extent(const struct field *fields, size_t count, uint64_t *ret_first, uint64_t *ret_last,
                          uint64_t *ret_written_size)
{
    uint64_t first = UINT64_MAX, last = 0, written_size = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = fields[i].offset >> 3;
        const uint64_t end = (fields[i].offset + fields[i].width - 1) >> 3;
        if (begin < first) first = begin;
        if (end > last) last = end;
        if (fields[i].kind != FIELD_GET && end + 1 > written_size) written_size = end + 1;
    }
    *ret_first = first;
    *ret_last = last;
    *ret_written_size = written_size;
}

static enum stave_status read_fields(struct call *call, const struct field *fields, size_t count,
                                     uint64_t first, uint64_t last)
{
    struct item item;
    transaction_count_reads(call->transaction, true);
    const enum stave_status status = string_read_range(call, NULL, first, last, &item);
    if (status != STAVE_OK) return status;
    const struct field_bytes bytes = {item.value.data, first, item.found ? item.value.size : 0};
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_field(call, &fields[i], load_field(&bytes, &fields[i]));
    return STAVE_OK;
}

/* Carries out the operations on `bytes` and answers them. Result: has a bit changed? */
static bool change_fields(struct call *call, const struct field *fields, size_t count, uint8_t *bytes,
                          uint64_t size)
{
    const struct field_bytes view = {bytes, 0, size};
    bool has_changed = false;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct field *field = &fields[i];
        const uint64_t old = load_field(&view, field);
        uint64_t value = old;
        if (field->kind != FIELD_GET && !field_result(field, old, &value)) {
            reply_null(call->reply);
            continue;
        }
        reply_field(call, field, field->kind == FIELD_SET ? old : value);
        if (field->kind == FIELD_GET) continue;
        store_field(bytes, field, value);
        has_changed |= load_field(&view, field) != old;
    }
    return has_changed;
}

static enum stave_status write_fields(struct call *call, const struct field *fields, size_t count,
                                      uint64_t written_size)
{
    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;
    const uint64_t old_size = old.found ? old.value_size : 0;
    const uint64_t size = written_size > old_size ? written_size : old_size;
    uint8_t *bytes;
    status = string_copy(call, &old, size, &bytes);
    if (status != STAVE_OK) return status;

    const bool has_changed = change_fields(call, fields, count, bytes, size);
    if (!has_changed && size == old_size) return STAVE_OK;
    return transaction_put(call->transaction, call->database, call->arguments[1],
                           stave_bytes(bytes, (size_t)size), old.found ? old.expires_at_ms : 0);
}

static enum stave_status run(struct call *call, bool is_read_only)
{
    struct field *fields = transaction_alloc(call->transaction, call->argument_count * sizeof *fields);
    if (fields == NULL) return STAVE_NO_MEMORY;
    size_t count;
    if (!parse_fields(call, fields, &count)) return STAVE_OK;

    uint64_t first, last, written_size;
    fields_extent(fields, count, &first, &last, &written_size);
    if (is_read_only && written_size > 0)
        return call_error(call, "ERR BITFIELD_RO only supports the GET subcommand");
    if (count == 0) {
        reply_array(call->reply, 0);
        return STAVE_OK;
    }
    return written_size == 0 ? read_fields(call, fields, count, first, last)
                             : write_fields(call, fields, count, written_size);
}

enum stave_status bitmap_bitfield(struct call *call)
{
    return run(call, false);
}

enum stave_status bitmap_bitfield_ro(struct call *call)
{
    return run(call, true);
}
