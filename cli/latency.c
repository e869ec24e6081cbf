/* SPDX-License-Identifier: MIT */
/*
 * A PING every 10 ms. On a terminal one line is kept up to date until Ctrl-C; else one line is written when
 * the interval is over, or one after each interval.
 */
#include "cli/latency.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

#define PING_INTERVAL_MS 10.0
#define INTERVAL_SECONDS 1.0
#define HISTORY_INTERVAL_SECONDS 15.0

enum { LINE_SIZE_MAX = 160 };

struct samples {
    double least; /* milliseconds */
    double most;
    double sum;
    uint64_t count;
    double started_at;
};

static enum connection_status sample(struct session *session, struct samples *samples)
{
    static const char *const words[] = {"PING", NULL};
    const double start = clock_now_ms();
    const enum connection_status status = connection_ask(&session->connection, words);
    if (status != CONNECTION_OK) return status;
    const double took = clock_now_ms() - start;
    if (samples->count == 0 || took < samples->least) samples->least = took;
    if (took > samples->most) samples->most = took;
    samples->sum += took;
    samples->count++;
    return CONNECTION_OK;
}

static void describe(const struct session *session, const struct samples *samples, char line[LINE_SIZE_MAX])
{
    const double mean = samples->count > 0 ? samples->sum / (double)samples->count : 0;
    const unsigned long long count = samples->count;
    switch (session->format.output) {
    case OUTPUT_AUTOMATIC:
    case OUTPUT_RAW:
        (void)snprintf(line, LINE_SIZE_MAX, "%.3f %.3f %.3f %llu", samples->least, samples->most, mean,
                       count);
        break;
    case OUTPUT_QUOTED:
        (void)snprintf(line, LINE_SIZE_MAX, "min: %.3f, max: %.3f, avg: %.3f (%llu samples)", samples->least,
                       samples->most, mean, count);
        break;
    case OUTPUT_JSON:
    case OUTPUT_QUOTED_JSON:
        (void)snprintf(line, LINE_SIZE_MAX, "{\"min\":%.3f,\"max\":%.3f,\"avg\":%.3f,\"count\":%llu}",
                       samples->least, samples->most, mean, count);
        break;
    }
}

/* Over the line before, which must not have filled more than one. */
static void show_again(const struct session *session, const struct samples *samples)
{
    char line[LINE_SIZE_MAX];
    describe(session, samples, line);
    printf("\r\033[K%.*s", (int)terminal_columns(STDOUT_FILENO) - 1, line);
    fflush(stdout);
}

static void show_history(const struct session *session, const struct samples *samples, double seconds)
{
    char line[LINE_SIZE_MAX];
    describe(session, samples, line);
    if (session->is_interactive) fputs("\r\033[K", stdout);
    fputs(line, stdout);
    if (session->format.output == OUTPUT_QUOTED) printf(" -- %.2f seconds range", seconds);
    putchar('\n');
    fflush(stdout);
}

/* What is due after a sample. True: that was all. */
static bool report(struct session *session, struct samples *samples, double interval)
{
    const double seconds = (clock_now_ms() - samples->started_at) / 1000;
    const bool is_over = seconds >= interval;
    const bool has_history = session->options->with_history;
    if (session->is_interactive && !(has_history && is_over)) show_again(session, samples);
    if (!is_over || (session->is_interactive && !has_history)) return false;
    show_history(session, samples, seconds);
    *samples = (struct samples){.started_at = clock_now_ms()};
    return !has_history;
}

enum cli_exit latency_run(struct session *session)
{
    const struct options *const options = session->options;
    const double usual = options->with_history ? HISTORY_INTERVAL_SECONDS : INTERVAL_SECONDS;
    const double interval = options->interval > 0 ? options->interval : usual;
    session->is_interactive = isatty(STDOUT_FILENO) != 0 && session->format.output == OUTPUT_QUOTED;
    interrupt_install();
    if (session_connect(session) != CONNECTION_OK) return CLI_FAILURE;

    struct samples samples = {.started_at = clock_now_ms()};
    enum connection_status status;
    while ((status = sample(session, &samples)) == CONNECTION_OK) {
        if (report(session, &samples, interval)) return CLI_DONE;
        if (interrupt_wait(NULL, 0, PING_INTERVAL_MS) < 0 && interrupt_taken()) break;
    }
    if (session->is_interactive) putchar('\n');
    if (status == CONNECTION_LOST) message("the connection was lost: %s", session->connection.error);
    return status == CONNECTION_LOST ? CLI_FAILURE : CLI_DONE;
}
