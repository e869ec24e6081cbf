/* SPDX-License-Identifier: MIT */
/* A table whose columns are as wide as their widest cell, and bars of two parts. */
#ifndef STAVE_TOOLS_TABLE_H
#define STAVE_TOOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMN_COUNT_MAX = 8, TABLE_CELL_SIZE_MAX = 64, TABLE_ROW_COUNT_MAX = 32800 };

struct table_row {
    char cells[TABLE_COLUMN_COUNT_MAX][TABLE_CELL_SIZE_MAX]; /* what is longer is cut */
    uint64_t bar_first;
    uint64_t bar_second;
};

/* Zeroes are an empty table. */
struct table {
    size_t column_count;
    unsigned right_mask; /* bit i: column i is set to the right */
    struct table_row *rows;
    size_t row_count;
    size_t capacity;
};

/* A new row of empty cells; NULL without memory, or above TABLE_ROW_COUNT_MAX. */
struct table_row *table_add(struct table *table);
void table_free(struct table *table);

/* How bars are drawn: with colours and block characters where the terminal has them. */
struct table_style {
    size_t bar_width; /* of the longest bar; 0: no bars */
    bool colour;
    bool blocks;
};

/* The style for a file: plain unless it is a terminal. */
struct table_style table_style_of(FILE *out);
void table_write(FILE *out, const struct table *table, const struct table_style *style);

#endif
