/* SPDX-License-Identifier: MIT */
/* Lays out tables. Cells are ASCII, so that bytes are columns. */
#include "tools/table.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct table_row *table_add(struct table *table)
{
    if (table->row_count == TABLE_ROW_COUNT_MAX) return NULL;
    if (table->row_count == table->capacity) {
        const size_t capacity = table->capacity == 0 ? 32 : table->capacity * 2;
        struct table_row *rows = realloc(table->rows, capacity * sizeof *rows);
        if (rows == NULL) return NULL;
        table->rows = rows;
        table->capacity = capacity;
    }
    struct table_row *row = &table->rows[table->row_count++];
    memset(row, 0, sizeof *row);
    return row;
}

void table_free(struct table *table)
{
    free(table->rows);
    *table = (struct table){0};
}

struct table_style table_style_of(FILE *out)
{
    const bool terminal = isatty(fileno(out)) == 1;
    const char *name = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    const bool capable = terminal && name != NULL && strcmp(name, "dumb") != 0;
    struct winsize window = {.ws_col = 0};
    size_t columns = 100;
    if (terminal && ioctl(fileno(out), TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        columns = window.ws_col;
    struct table_style style = {.bar_width = columns > 100 ? 50 : columns > 80 ? 36 : 20};
    style.colour = capable && (no_colour == NULL || no_colour[0] == '\0');
    style.blocks = capable && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    return style;
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t width = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        const size_t size = strlen(table->rows[i].cells[column]);
        if (size > width) width = size;
    }
    return width;
}

static uint64_t longest_bar(const struct table *table)
{
    uint64_t longest = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        const uint64_t length = table->rows[i].bar_first + table->rows[i].bar_second;
        if (length > longest) longest = length;
    }
    return longest;
}

static void write_part(FILE *out, size_t width, const char *character, const char *colour)
{
    if (width == 0) return;
    if (colour != NULL) fputs(colour, out);
    for (size_t i = 0; i < width; i++) fputs(character, out);
    if (colour != NULL) fputs("\033[0m", out);
}

/* The width of `part` of a bar of `longest`, rounded; what is not nothing is seen. */
static size_t part_width(uint64_t part, uint64_t longest, size_t bar_width)
{
    if (part == 0 || longest == 0) return 0;
    const size_t width = (size_t)((double)part / (double)longest * (double)bar_width + 0.5);
    return width == 0 ? 1 : width;
}

static void write_bar(FILE *out, const struct table_row *row, uint64_t longest,
                      const struct table_style *style)
{
    const size_t first = part_width(row->bar_first, longest, style->bar_width);
    const size_t second = part_width(row->bar_second, longest, style->bar_width);
    if (first + second == 0) return;
    fputs("  ", out);
    write_part(out, first, style->blocks ? "\u2588" : "#", style->colour ? "\033[32m" : NULL);
    write_part(out, second, style->blocks ? "\u2591" : "-", style->colour ? "\033[33m" : NULL);
}

void table_write(FILE *out, const struct table *table, const struct table_style *style)
{
    size_t widths[TABLE_COLUMN_COUNT_MAX] = {0};
    const uint64_t longest = longest_bar(table);
    for (size_t i = 0; i < table->column_count; i++) widths[i] = column_width(table, i);
    for (size_t i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        const bool bar = style->bar_width > 0 && row->bar_first + row->bar_second > 0;
        for (size_t j = 0; j < table->column_count; j++) {
            const bool last = j + 1 == table->column_count && !bar;
            const int width = (table->right_mask >> j & 1) != 0 ? (int)widths[j] : last ? 0 : -(int)widths[j];
            fprintf(out, "%s%*s", j == 0 ? "" : "  ", width, row->cells[j]);
        }
        if (bar) write_bar(out, row, longest, style);
        fputc('\n', out);
    }
}
