/* SPDX-License-Identifier: MIT */
/* Rows, their units, and how medians and ratios are written. */
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LABEL_WIDTH = 30, CELL_WIDTH = 20 };

struct row_text {
    const char *name; /* in JSON */
    const char *label;
    int decimals;
    bool has_ratio;
};

static const struct row_text row_texts[ROW_COUNT] = {
    [ROW_PUT] = {"put_per_s", "put, fresh            ops/s", 0, true},
    [ROW_GET] = {"get_per_s", "get, found            ops/s", 0, true},
    [ROW_GET_MISSING] = {"get_missing_per_s", "get, missing          ops/s", 0, true},
    [ROW_PRIVATE_MEMORY] = {"private_bytes_per_key", "private memory    bytes/key", 1, true},
    [ROW_MAPPED_MEMORY] = {"mapped_bytes_per_key", "mapped file pages bytes/key", 1, false},
    [ROW_OVERWRITE] = {"overwrite_per_s", "overwrite             ops/s", 0, true},
    [ROW_DISK] = {"disk_ratio", "disk / live bytes", 2, true},
    [ROW_BATCH] = {"batch_overwrite_per_s", "overwrite, by 100     ops/s", 0, true},
    [ROW_CLOSE] = {"close_ms", "close                    ms", 1, false},
    [ROW_DISK_CLOSED] = {"disk_ratio_closed", "disk / live, closed", 2, true},
    [ROW_OPEN_CLEAN] = {"open_clean_ms", "open, clean              ms", 2, true},
    [ROW_OPEN_KILLED] = {"open_killed_ms", "open after kill -9       ms", 2, true},
    [ROW_LOST] = {"lost_by_kill", "writes lost by kill -9", 0, false},
    [ROW_DELETE] = {"delete_per_s", "delete                ops/s", 0, true},
};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of what was measured; NAN if nothing was. */
static double median(const struct report *report, size_t engine, int row)
{
    double values[REPORT_REPEAT_COUNT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < report->repeat_count; i++) {
        const double value = report->results[engine][i].rows[row];
        if (!isnan(value)) values[count++] = value;
    }
    if (count == 0) return NAN;
    qsort(values, count, sizeof values[0], compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool any_measured(const struct report *report, int row)
{
    for (size_t i = 0; i < report->engine_count; i++)
        if (!isnan(median(report, i, row))) return true;
    return false;
}

/* 1234567 as 1,234,567. */
static void format_grouped(double value, int decimals, char *ret_text, size_t capacity)
{
    char plain[64];
    (void)snprintf(plain, sizeof plain, "%.*f", decimals, value);
    const size_t whole = strcspn(plain, ".");
    size_t at = 0;
    for (size_t i = 0; plain[i] != 0 && at + 2 < capacity; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0 && plain[i - 1] != '-') ret_text[at++] = ',';
        ret_text[at++] = plain[i];
    }
    ret_text[at] = 0;
}

static void print_cell(FILE *out, const struct report *report, size_t engine, int row)
{
    const double value = median(report, engine, row);
    if (isnan(value)) {
        fprintf(out, "%*s", CELL_WIDTH, "-");
        return;
    }
    char number[64];
    char ratio[32] = "";
    format_grouped(value, row_texts[row].decimals, number, sizeof number);
    const double base = median(report, 0, row);
    if (engine > 0 && row_texts[row].has_ratio && base > 0)
        (void)snprintf(ratio, sizeof ratio, "x%6.2f", value / base);
    fprintf(out, "%*s %-7s", CELL_WIDTH - 8, number, ratio);
}

static void print_heading(FILE *out, const struct report *report)
{
    const struct scenario_options *options = &report->options;
    char keys[64];
    format_grouped((double)options->key_count, 0, keys, sizeof keys);
    fprintf(out, "\nmode %s, %s keys of %zu bytes, values of %zu bytes, %u thread%s, median of %zu\n\n",
            options->always ? "always" : "none", keys, options->key_size, options->value_size,
            options->thread_count, options->thread_count == 1 ? "" : "s", report->repeat_count);
    fprintf(out, "%-*s", LABEL_WIDTH, "");
    for (size_t i = 0; i < report->engine_count; i++)
        fprintf(out, "%*s        ", CELL_WIDTH - 8, report->engines[i]->name);
    fprintf(out, "\n");
}

void report_table(FILE *out, const struct report *report)
{
    print_heading(out, report);
    for (int row = 0; row < ROW_COUNT; row++) {
        if (!any_measured(report, row)) continue;
        fprintf(out, "%-*s", LABEL_WIDTH, row_texts[row].label);
        for (size_t i = 0; i < report->engine_count; i++) print_cell(out, report, i, row);
        fprintf(out, "\n");
    }
    for (size_t i = 0; i < report->engine_count; i++)
        for (size_t j = 0; j < report->repeat_count; j++)
            if (report->results[i][j].failed)
                fprintf(out, "%s: repetition %zu did not succeed, see standard error\n",
                        report->engines[i]->name, j + 1);
    (void)fflush(out);
}

static void json_values(FILE *out, const struct report *report, size_t engine, int row)
{
    fprintf(out, "\"%s\": [", row_texts[row].name);
    for (size_t i = 0; i < report->repeat_count; i++) {
        const double value = report->results[engine][i].rows[row];
        fprintf(out, "%s", i == 0 ? "" : ", ");
        if (isnan(value))
            fprintf(out, "null");
        else
            fprintf(out, "%.6g", value);
    }
    fprintf(out, "]");
}

/* One line, an object: every value of every repetition, in order. */
void report_json(FILE *out, const struct report *report)
{
    const struct scenario_options *options = &report->options;
    fprintf(out,
            "{\"mode\": \"%s\", \"keys\": %" PRIu64
            ", \"key_size\": %zu, \"value_size\": %zu, \"threads\": %u, "
            "\"engines\": {",
            options->always ? "always" : "none", options->key_count, options->key_size, options->value_size,
            options->thread_count);
    for (size_t i = 0; i < report->engine_count; i++) {
        bool failed = false;
        for (size_t j = 0; j < report->repeat_count; j++) failed = failed || report->results[i][j].failed;
        fprintf(out, "%s\"%s\": {\"failed\": %s", i == 0 ? "" : ", ", report->engines[i]->name,
                failed ? "true" : "false");
        for (int row = 0; row < ROW_COUNT; row++) {
            fprintf(out, ", ");
            json_values(out, report, i, row);
        }
        fprintf(out, "}");
    }
    fprintf(out, "}}\n");
    (void)fflush(out);
}

/* No names: a machine of this class is meant, not this one. */
void report_machine(FILE *out)
{
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    fprintf(out, "%ld processors, %.0f GiB of memory\n", sysconf(_SC_NPROCESSORS_ONLN),
            (double)memory / (1 << 30));
}

void report_engines(FILE *out, const struct engine *const *engines, size_t engine_count, bool always)
{
    fprintf(out, "\nmode %s\n",
            always ? "always: a write is durable when it returns" : "none: no write is synced");
    for (size_t i = 0; i < engine_count; i++)
        fprintf(out, "  %-8s %s\n", engines[i]->name,
                always ? engines[i]->survives_always : engines[i]->survives_none);
}
