/* SPDX-License-Identifier: MIT */
/* Replies for terminals and for programs, in the shapes that redis-cli gives them. */
#include "cli/format.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/format_json.h"
#include "cli/format_walk.h"
#include "cli/quoted.h"

enum { LABEL_MARK_SIZE = 2 }; /* ") " */

static const char colour_error[] = "\033[31m";
static const char colour_text[] = "\033[32m";
static const char colour_number[] = "\033[36m";
static const char colour_faint[] = "\033[2m";
static const char colour_off[] = "\033[0m";

struct format format_choose(const struct options *options, FILE *out)
{
    const bool is_terminal = isatty(fileno(out)) != 0;
    const char *const no_colour = getenv("NO_COLOR");
    struct format format = {
        .output = options->output,
        .delimiter = options->delimiter,
        .command_delimiter = options->command_delimiter,
    };
    if (format.output == OUTPUT_AUTOMATIC) format.output = is_terminal ? OUTPUT_QUOTED : OUTPUT_RAW;
    const char *const terminal = getenv("TERM");
    const bool is_dumb = terminal == NULL || strcmp(terminal, "dumb") == 0;
    format.has_colour = is_terminal && !is_dumb && (no_colour == NULL || *no_colour == '\0');
    return format;
}

static void write_bytes(FILE *out, struct stave_bytes bytes)
{
    (void)fwrite(bytes.data, 1, bytes.size, out);
}

static void start_colour(const struct format *format, FILE *out, const char *colour)
{
    if (format->has_colour) fputs(colour, out);
}

static void end_colour(const struct format *format, FILE *out)
{
    if (format->has_colour) fputs(colour_off, out);
}

/* ------------------------------------------------------------------ quoted */

static const char *colour_of(enum resp_type type)
{
    switch (type) {
    case RESP_ERROR: return colour_error;
    case RESP_SIMPLE:
    case RESP_BULK:
    case RESP_VERBATIM: return colour_text;
    case RESP_INTEGER:
    case RESP_DOUBLE:
    case RESP_BOOLEAN:
    case RESP_BIG_NUMBER: return colour_number;
    case RESP_NULL:
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_ATTRIBUTE: return colour_faint;
    }
    return colour_faint;
}

/* A value in which no other is: also an empty aggregate. */
static void write_quoted_leaf(const struct format *format, FILE *out, const struct resp_reader *reader,
                              const struct resp_value *value)
{
    start_colour(format, out, colour_of(value->type));
    switch (value->type) {
    case RESP_ERROR:
        fputs("(error) ", out);
        write_bytes(out, resp_text(reader, value));
        break;
    case RESP_SIMPLE:
    case RESP_VERBATIM: write_bytes(out, resp_text(reader, value)); break;
    case RESP_BULK: quoted_write(out, resp_text(reader, value)); break;
    case RESP_INTEGER: fprintf(out, "(integer) %lld", (long long)value->integer); break;
    case RESP_DOUBLE:
        fputs("(double) ", out);
        write_bytes(out, resp_text(reader, value));
        break;
    case RESP_BIG_NUMBER:
        fputs("(big number) ", out);
        write_bytes(out, resp_text(reader, value));
        break;
    case RESP_BOOLEAN: fputs(value->integer != 0 ? "(true)" : "(false)", out); break;
    case RESP_NULL: fputs("(nil)", out); break;
    case RESP_ARRAY: fputs("(empty array)", out); break;
    case RESP_MAP: fputs("(empty hash)", out); break;
    case RESP_SET: fputs("(empty set)", out); break;
    case RESP_PUSH: fputs("(empty push)", out); break;
    case RESP_ATTRIBUTE: break;
    }
    end_colour(format, out);
}

static int digits_of(uint64_t number)
{
    int digits = 1;
    for (; number >= 10; number /= 10) digits++;
    return digits;
}

static char label_mark(enum resp_type type)
{
    return type == RESP_SET ? '~' : type == RESP_MAP ? '#' : ')';
}

/* What stands before an element: its number, on a line of its own or behind those of the levels around it. */
static void write_label(const struct format *format, FILE *out, struct format_level *level)
{
    const bool has_pairs = format_has_pairs(level);
    const uint64_t position = level->position++;
    if (has_pairs && position % 2 == 1) {
        start_colour(format, out, colour_faint);
        fputs(" => ", out);
        end_colour(format, out);
        return;
    }
    const uint64_t number = (has_pairs ? position / 2 : position) + 1;
    if (position > 0) fprintf(out, "%*s", level->indent, "");
    start_colour(format, out, colour_faint);
    fprintf(out, "%*llu%c ", level->label_width, (unsigned long long)number, label_mark(level->type));
    end_colour(format, out);
}

static struct format_level *enter(struct format_walk *walk, const struct resp_value *value)
{
    const struct format_level *const around = format_walk_around(walk);
    const uint64_t count = value->type == RESP_MAP ? value->elements.count / 2 : value->elements.count;
    struct format_level *const level = format_walk_enter(walk, value);
    level->indent = around == NULL ? 0 : around->indent + around->label_width + LABEL_MARK_SIZE;
    level->label_width = digits_of(count);
    return level;
}

/* Does it take more than a line? */
static bool is_tall(const struct resp_reader *reader, const struct resp_value *value)
{
    const struct resp_value *const values = reader->values;
    while (resp_is_aggregate(value->type) && value->elements.count > 0) {
        uint32_t last = (uint32_t)(value - values) + 1;
        if (value->type == RESP_MAP) last = values[last].next;
        while (values[last].type == RESP_ATTRIBUTE) last = values[last].next;
        if (values[last].next < value->next) return true;
        value = &values[last];
    }
    return false;
}

static void write_quoted(const struct format *format, FILE *out, const struct resp_reader *reader,
                         const struct resp_value *reply)
{
    struct format_walk walk;
    format_walk_begin(&walk, reader, reply);
    const struct resp_value *value;
    while ((value = format_walk_next(&walk)) != NULL) {
        struct format_level *const level = format_walk_around(&walk);
        if (level != NULL) write_label(format, out, level);
        const bool is_map_key = level != NULL && format_has_pairs(level) && level->position % 2 == 1;
        if (format_is_nested(value)) {
            const bool is_map_value = level != NULL && format_has_pairs(level) && !is_map_key;
            const struct format_level *const entered = enter(&walk, value);
            if (is_map_value && is_tall(reader, value)) fprintf(out, "\n%*s", entered->indent, "");
            continue;
        }
        write_quoted_leaf(format, out, reader, value);
        if (!is_map_key) putc_unlocked('\n', out);
    }
}

/* ------------------------------------------------------------------ raw */

static void write_raw_leaf(FILE *out, const struct resp_reader *reader, const struct resp_value *value)
{
    switch (value->type) {
    case RESP_ERROR:
        write_bytes(out, resp_text(reader, value));
        putc_unlocked('\n', out);
        break;
    case RESP_SIMPLE:
    case RESP_VERBATIM:
    case RESP_BULK:
    case RESP_DOUBLE:
    case RESP_BIG_NUMBER: write_bytes(out, resp_text(reader, value)); break;
    case RESP_INTEGER: fprintf(out, "%lld", (long long)value->integer); break;
    case RESP_BOOLEAN: fputs(value->integer != 0 ? "(true)" : "(false)", out); break;
    case RESP_NULL:
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_ATTRIBUTE: break;
    }
}

static void write_raw(const struct format *format, FILE *out, const struct resp_reader *reader,
                      const struct resp_value *reply)
{
    struct format_walk walk;
    format_walk_begin(&walk, reader, reply);
    const struct resp_value *value;
    while ((value = format_walk_next(&walk)) != NULL) {
        struct format_level *const level = format_walk_around(&walk);
        if (level != NULL) {
            const bool is_map_value = format_has_pairs(level) && level->position % 2 == 1;
            if (level->position++ > 0) fputs(is_map_value ? " " : format->delimiter, out);
        }
        if (format_is_nested(value))
            (void)format_walk_enter(&walk, value);
        else
            write_raw_leaf(out, reader, value);
    }
    fputs(format->command_delimiter, out);
}

/* ------------------------------------------------------------------ all */

void format_reply(const struct format *format, FILE *out, const struct resp_reader *reader,
                  const struct resp_value *reply)
{
    switch (format->output) {
    case OUTPUT_AUTOMATIC:
    case OUTPUT_RAW: write_raw(format, out, reader, reply); break;
    case OUTPUT_QUOTED: write_quoted(format, out, reader, reply); break;
    case OUTPUT_JSON:
    case OUTPUT_QUOTED_JSON:
        format_json_reply(out, format->output == OUTPUT_QUOTED_JSON, reader, reply);
        break;
    }
}

void format_text_reply(const struct format *format, FILE *out, const struct resp_reader *reader,
                       const struct resp_value *reply)
{
    if (format->output != OUTPUT_QUOTED || reply->type != RESP_BULK) {
        format_reply(format, out, reader, reply);
        return;
    }
    const struct stave_bytes text = resp_text(reader, reply);
    write_bytes(out, text);
    if (text.size > 0 && ((const char *)text.data)[text.size - 1] != '\n') putc_unlocked('\n', out);
}

void format_string(const struct format *format, FILE *out, struct stave_bytes bytes)
{
    switch (format->output) {
    case OUTPUT_AUTOMATIC:
    case OUTPUT_RAW: write_bytes(out, bytes); break;
    case OUTPUT_QUOTED: quoted_write(out, bytes); break;
    case OUTPUT_JSON:
    case OUTPUT_QUOTED_JSON: format_json_string(out, format->output == OUTPUT_QUOTED_JSON, bytes); break;
    }
    putc_unlocked('\n', out);
}
