/* SPDX-License-Identifier: MIT */
/* Draws the progress bar. */
#include "tools/progress.h"

#include "tools/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DRAW_INTERVAL_MS = 100, BAR_WIDTH = 28 };

static uint64_t now_ms(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *title, enum progress_unit unit)
{
    const char *name = getenv("TERM");
    *progress = (struct progress){.title = title, .unit = unit, .begin_ms = now_ms()};
    progress->shown = isatty(STDERR_FILENO) == 1 && (name == NULL || strcmp(name, "dumb") != 0);
}

static void format_amount(const struct progress *progress, uint64_t amount, char ret_text[FORMAT_SIZE])
{
    if (progress->unit == PROGRESS_BYTES) {
        format_size(amount, ret_text);
    } else {
        format_count(amount, ret_text);
    }
}

static void draw_bar(uint64_t done, uint64_t total)
{
    const double share = done >= total ? 1 : (double)done / (double)total;
    const int width = (int)(share * BAR_WIDTH);
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < width ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, " [%s] %3d%%", bar, (int)(share * 100));
}

void progress_step(struct progress *progress, uint64_t done, uint64_t total)
{
    if (!progress->shown) return;
    const uint64_t now = now_ms();
    if (now - progress->drawn_ms < DRAW_INTERVAL_MS) return;
    progress->drawn_ms = now;
    progress->drawn = true;

    char amount[FORMAT_SIZE];
    char speed[FORMAT_SIZE];
    const uint64_t spent_ms = now - progress->begin_ms;
    const double per_s = spent_ms == 0 ? 0 : (double)done * 1000 / (double)spent_ms;
    format_amount(progress, done, amount);
    format_amount(progress, (uint64_t)per_s, speed);

    fprintf(stderr, "\r\033[K%s", progress->title);
    if (total > 0) draw_bar(done, total);
    fprintf(stderr, "  %s, %s/s", amount, speed);
    const double left_s = total > done && per_s > 0 ? (double)(total - done) / per_s : 0;
    if (left_s >= 1 && spent_ms > 1000) {
        char left[FORMAT_SIZE];
        format_duration((uint64_t)left_s * 1000000, left);
        fprintf(stderr, ", %s left", left);
    }
    (void)fflush(stderr);
}

void progress_wipe(struct progress *progress)
{
    if (!progress->drawn) return;
    fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    progress->drawn = false;
    progress->drawn_ms = 0;
}
