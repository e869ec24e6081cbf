/* SPDX-License-Identifier: MIT */
/* Writes and parses SET commands. Announced sizes are compared with limits and with what is there. */
#include "tools/resp_set.h"

#include "tools/text.h"

#include <inttypes.h>
#include <strings.h>

enum {
    WORD_COUNT_MAX = 8,   /* SET and its arguments: more than any valid command has */
    HEADER_SIZE_MAX = 32, /* "$1073741824\r\n" and then some */
};

void resp_set_write(FILE *out, const struct record *record)
{
    fprintf(out, "*%d\r\n$3\r\nSET\r\n$%zu\r\n", record->expires_at_ms != 0 ? 5 : 3, record->key.size);
    (void)fwrite(record->key.data, 1, record->key.size, out);
    fprintf(out, "\r\n$%zu\r\n", record->value.size);
    (void)fwrite(record->value.data, 1, record->value.size, out);
    fputs("\r\n", out);
    if (record->expires_at_ms == 0) return;
    char time[24];
    const int size = snprintf(time, sizeof time, "%" PRIu64, record->expires_at_ms);
    fprintf(out, "$4\r\nPXAT\r\n$%d\r\n%s\r\n", size, time);
}

struct command {
    struct stave_bytes words[WORD_COUNT_MAX];
    size_t count;
};

struct scan {
    const uint8_t *data;
    size_t size;
    size_t at;
    struct refusal *refusal;
};

static enum parse_result refuse(const struct scan *scan, const char *reason)
{
    *scan->refusal = (struct refusal){reason, scan->at};
    return PARSE_REFUSED;
}

static bool read_digits(struct stave_bytes text, uint64_t max, uint64_t *ret_number)
{
    const uint8_t *digits = text.data;
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9') return false;
        const uint64_t digit = (uint64_t)(digits[i] - '0');
        if (digit > max || number > (max - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return text.size > 0;
}

/* A line of `mark`, a number and CR LF. */
static enum parse_result read_header(struct scan *scan, char mark, uint64_t max, const char *reason,
                                     uint64_t *ret_number)
{
    if (scan->at == scan->size) return PARSE_MORE;
    const uint8_t *start = scan->data + scan->at;
    if (start[0] != (uint8_t)mark) return refuse(scan, reason);
    const size_t left = scan->size - scan->at;
    const uint8_t *end = memchr(start, '\n', left < HEADER_SIZE_MAX ? left : HEADER_SIZE_MAX);
    if (end == NULL) return left < HEADER_SIZE_MAX ? PARSE_MORE : refuse(scan, reason);
    if (end - start < 2 || end[-1] != '\r') return refuse(scan, reason);
    if (!read_digits(stave_bytes(start + 1, (size_t)(end - start) - 2), max, ret_number))
        return refuse(scan, reason);
    scan->at += (size_t)(end - start) + 1;
    return PARSE_DONE;
}

static enum parse_result read_bulk(struct scan *scan, struct stave_bytes *ret_word)
{
    const uint64_t max =
        STAVE_VALUE_SIZE_MAX > STAVE_KEY_SIZE_MAX ? STAVE_VALUE_SIZE_MAX : STAVE_KEY_SIZE_MAX;
    uint64_t size = 0;
    const enum parse_result result =
        read_header(scan, '$', max, "a string's size is missing ($ and 0 to 1073741824)", &size);
    if (result != PARSE_DONE) return result;
    const size_t left = scan->size - scan->at;
    if (left < 2 || left - 2 < size) return PARSE_MORE;
    const uint8_t *word = scan->data + scan->at;
    scan->at += (size_t)size;
    if (word[size] != '\r' || word[size + 1] != '\n')
        return refuse(scan, "the string is not of the announced size");
    scan->at += 2;
    *ret_word = stave_bytes(word, (size_t)size);
    return PARSE_DONE;
}

static enum parse_result read_array(struct scan *scan, struct command *command)
{
    uint64_t count = 0;
    enum parse_result result =
        read_header(scan, '*', WORD_COUNT_MAX, "an array of 3 to 5 strings is expected", &count);
    if (result == PARSE_DONE && count == 0) return PARSE_NOTHING;
    command->count = (size_t)count;
    for (size_t i = 0; result == PARSE_DONE && i < count; i++) result = read_bulk(scan, &command->words[i]);
    return result;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The escape at scan->at within double quotes; always something, as in Redis. */
static uint8_t read_quoted_escape(struct scan *scan, size_t end)
{
    static const char names[] = "nrtba";
    static const uint8_t bytes[] = {'\n', '\r', '\t', '\b', '\a'};
    const uint8_t *at = scan->data + scan->at;
    if (end - scan->at >= 4 && at[1] == 'x' && text_hex_value(at[2]) >= 0 && text_hex_value(at[3]) >= 0) {
        scan->at += 4;
        return (uint8_t)(text_hex_value(at[2]) * 16 + text_hex_value(at[3]));
    }
    scan->at += 2;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (at[1] == (uint8_t)names[i]) return bytes[i];
    }
    return at[1];
}

/* A quoted word up to its closing quote, which a blank or the end must follow. False: refused. */
static bool read_quoted(struct scan *scan, size_t end, uint8_t *word, size_t *size)
{
    const uint8_t quote = scan->data[scan->at++];
    while (scan->at < end && scan->data[scan->at] != quote) {
        const bool escape = scan->data[scan->at] == '\\' && scan->at + 1 < end;
        if (escape && quote == '"') {
            word[(*size)++] = read_quoted_escape(scan, end);
            continue;
        }
        if (escape && scan->data[scan->at + 1] == '\'') scan->at++;
        word[(*size)++] = scan->data[scan->at++];
    }
    if (scan->at == end) {
        (void)refuse(scan, "a quote is not closed");
        return false;
    }
    scan->at++;
    if (scan->at == end || is_blank(scan->data[scan->at])) return true;
    (void)refuse(scan, "a blank must follow the closing quote");
    return false;
}

/* One word of a line that ends at `end`, decoded to `word`. False: refused. */
static bool read_word(struct scan *scan, size_t end, uint8_t *word, size_t *ret_size)
{
    size_t size = 0;
    while (scan->at < end && !is_blank(scan->data[scan->at])) {
        const uint8_t byte = scan->data[scan->at];
        if (byte == '"' || byte == '\'') {
            if (!read_quoted(scan, end, word, &size)) return false;
            break;
        }
        word[size++] = byte;
        scan->at++;
    }
    *ret_size = size;
    return true;
}

static enum parse_result read_line(struct scan *scan, uint8_t *scratch, struct command *command)
{
    const size_t room = scan->size < RESP_SET_LINE_SIZE_MAX ? scan->size : RESP_SET_LINE_SIZE_MAX;
    const uint8_t *newline = memchr(scan->data, '\n', room);
    if (newline == NULL)
        return room < RESP_SET_LINE_SIZE_MAX ? PARSE_MORE
                                             : refuse(scan, "an inline command is longer than 65536 bytes");
    const size_t end = (size_t)(newline - scan->data);
    for (;;) {
        while (scan->at < end && is_blank(scan->data[scan->at])) scan->at++;
        if (scan->at == end) break;
        if (command->count == WORD_COUNT_MAX) return refuse(scan, "the command has too many words");
        size_t size = 0;
        if (!read_word(scan, end, scratch, &size)) return PARSE_REFUSED;
        command->words[command->count++] = stave_bytes(scratch, size);
        scratch += size;
    }
    scan->at = end + 1;
    return command->count == 0 ? PARSE_NOTHING : PARSE_DONE;
}

static bool word_is(struct stave_bytes word, const char *wanted)
{
    return word.size == strlen(wanted) && strncasecmp(word.data, wanted, word.size) == 0;
}

/* The option at words[3] with its number at words[4]. NULL, or why it is refused. */
static const char *read_expiry(const struct command *command, struct record *record)
{
    static const struct {
        const char *name;
        uint64_t unit_ms;
        bool from_now;
    } options[] = {{"EX", 1000, true}, {"PX", 1, true}, {"EXAT", 1000, false}, {"PXAT", 1, false}};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (!word_is(command->words[3], options[i].name)) continue;
        uint64_t number = 0;
        if (command->count != 5) return "the option's time is missing, or more than one option is given";
        if (!read_digits(command->words[4], UINT64_MAX / 2 / options[i].unit_ms, &number) || number == 0)
            return "the time is not a whole number above 0, or too large";
        uint64_t *time = options[i].from_now ? &record->expires_in_ms : &record->expires_at_ms;
        *time = number * options[i].unit_ms;
        return NULL;
    }
    return "only the options EX, PX, EXAT and PXAT can be loaded";
}

static const char *read_command(const struct command *command, struct record *record)
{
    if (!word_is(command->words[0], "SET")) return "only SET commands can be loaded";
    if (command->count < 3) return "SET needs a key and a value";
    record->key = command->words[1];
    record->value = command->words[2];
    return command->count == 3 ? NULL : read_expiry(command, record);
}

enum parse_result resp_set_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 size_t *ret_used, struct refusal *ret_refusal)
{
    struct scan scan = {input.data, input.size, 0, ret_refusal};
    struct command command = {.count = 0};
    struct record record = {0};
    if (input.size == 0) return PARSE_MORE;

    const bool is_array = scan.data[0] == '*';
    const enum parse_result result =
        is_array ? read_array(&scan, &command) : read_line(&scan, scratch, &command);
    if (result == PARSE_DONE) {
        const char *reason = read_command(&command, &record);
        if (reason != NULL) {
            *ret_refusal = (struct refusal){reason, 0};
            return PARSE_REFUSED;
        }
        *ret_record = record;
    }
    if (result == PARSE_DONE || result == PARSE_NOTHING) *ret_used = scan.at;
    return result;
}
