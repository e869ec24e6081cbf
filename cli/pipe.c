/* SPDX-License-Identifier: MIT */
/*
 * Sends and receives at once, so that neither side waits for the other. Behind the input an ECHO of a
 * random word is sent: when it comes back, all replies have come.
 */
#include "cli/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

enum { PART_SIZE = 65536, MARKER_SIZE = 20, BAR_SIZE_MIN = 10, BAR_SIZE_MAX = 30, LINE_SIZE_MAX = 160 };

#define REPLY_MEMORY_MAX ((size_t)1 << 30)
#define PROGRESS_INTERVAL_MS 100.0

struct pipe_load {
    struct session *session;
    uint8_t part[PART_SIZE]; /* of the input, or the marker; from `start` to `end` it is still to be sent */
    size_t start;
    size_t end;
    bool is_input_over;
    bool is_marked;   /* the ECHO has been put behind the input */
    bool is_sent;     /* and has been sent */
    bool is_finished; /* and has come back */
    char marker[MARKER_SIZE + 1];
    uint64_t reply_count;
    uint64_t error_count;
    uint64_t input_total; /* bytes; 0: not known */
    uint64_t input_done;
    bool has_progress;
    double shown_at;
    double replied_at;
};

/* ------------------------------------------------------------------ progress */

/* Writes over the line. */
static void erase(void)
{
    fputs("\r\033[K", stderr);
}

/* "[###---]  42 %  ", as wide as `room` allows; a narrow terminal sees the part alone. */
static void write_bar(double part, size_t room)
{
    char number[16];
    const int size = snprintf(number, sizeof(number), "%3.0f %%  ", 100 * part);
    const int most = (int)(room < LINE_SIZE_MAX ? room : LINE_SIZE_MAX) - size - (int)strlen("[] ");
    const int bar_size = most < BAR_SIZE_MAX ? most : BAR_SIZE_MAX;
    if (bar_size >= BAR_SIZE_MIN) {
        fputc('[', stderr);
        for (int i = 0; i < bar_size; i++) fputc(i < part * bar_size ? '#' : '-', stderr);
        fputs("] ", stderr);
    }
    if (most + (int)strlen("[] ") >= 0) fputs(number, stderr);
}

static void show_progress(struct pipe_load *load, bool is_last)
{
    const double now = clock_now_ms();
    if (!load->has_progress || (!is_last && now - load->shown_at < PROGRESS_INTERVAL_MS)) return;
    load->shown_at = now;
    char counts[LINE_SIZE_MAX];
    const size_t size = (size_t)snprintf(
        counts, sizeof(counts), "%.1f MiB, %llu replies, %llu errors", (double)load->input_done / (1 << 20),
        (unsigned long long)load->reply_count, (unsigned long long)load->error_count);
    const size_t width = terminal_columns(STDERR_FILENO) - 1; /* a full line would begin another */
    erase();
    if (load->input_total > 0) {
        const double part = (double)load->input_done / (double)load->input_total;
        write_bar(part < 1 ? part : 1, width > size ? width - size : 0);
    }
    fprintf(stderr, "%.*s%s", (int)(width < size ? width : size), counts, is_last ? "\n" : "");
    fflush(stderr);
}

static void start_progress(struct pipe_load *load)
{
    struct stat status;
    load->has_progress = isatty(STDERR_FILENO) != 0;
    if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
        load->input_total = (uint64_t)status.st_size;
}

/* ------------------------------------------------------------------ out */

static bool make_marker(struct pipe_load *load)
{
    uint8_t random[MARKER_SIZE];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) return false;
    for (size_t i = 0; i < MARKER_SIZE; i++) load->marker[i] = (char)('a' + random[i] % 26);
    load->marker[MARKER_SIZE] = '\0';
    return true;
}

static void put_marker(struct pipe_load *load)
{
    const int size = snprintf((char *)load->part, sizeof(load->part), "\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n",
                              MARKER_SIZE, load->marker);
    load->start = 0;
    load->end = (size_t)size;
    load->is_marked = true;
}

static bool read_part(struct pipe_load *load)
{
    const ssize_t got = read(STDIN_FILENO, load->part, sizeof(load->part));
    if (got < 0 && errno != EINTR && errno != EAGAIN) {
        message("standard input cannot be read: %s", strerror(errno));
        return false;
    }
    load->is_input_over = got == 0;
    load->start = 0;
    load->end = got > 0 ? (size_t)got : 0;
    load->input_done += load->end;
    return true;
}

static bool send_part(struct pipe_load *load)
{
    size_t sent = 0;
    struct connection *const connection = &load->session->connection;
    if (connection_write(connection, load->part + load->start, load->end - load->start, &sent) !=
        CONNECTION_OK)
        return false;
    load->start += sent;
    load->is_sent = load->is_marked && load->start == load->end;
    if (load->is_sent) load->replied_at = clock_now_ms();
    return true;
}

/* ------------------------------------------------------------------ in */

static void count_reply(struct pipe_load *load)
{
    const struct resp_reader *const reader = &load->session->connection.reader;
    const struct resp_value *const reply = resp_reply(reader);
    if (reply->type == RESP_PUSH) return;
    if (reply->type == RESP_BULK && load->is_marked) {
        const struct stave_bytes text = resp_text(reader, reply);
        load->is_finished = text.size == MARKER_SIZE && memcmp(text.data, load->marker, MARKER_SIZE) == 0;
        if (load->is_finished) return;
    }
    load->reply_count++;
    if (reply->type != RESP_ERROR) return;
    const struct stave_bytes text = resp_text(reader, reply);
    load->error_count++;
    if (load->has_progress) erase();
    fprintf(stderr, "%.*s\n", (int)text.size, (const char *)text.data);
}

/* All replies that are there. */
static bool receive_replies(struct pipe_load *load)
{
    while (!load->is_finished) {
        const enum connection_status status = connection_receive(&load->session->connection, 0);
        if (status == CONNECTION_TIMEOUT) return true;
        if (status != CONNECTION_OK) return false;
        load->replied_at = clock_now_ms();
        count_reply(load);
    }
    return true;
}

/* ------------------------------------------------------------------ both */

static bool has_timed_out(const struct pipe_load *load)
{
    const double timeout = load->session->options->pipe_timeout;
    return load->is_sent && timeout > 0 && clock_now_ms() - load->replied_at > 1000 * timeout;
}

/* Waits until something can be done, and does it. */
static bool step(struct pipe_load *load)
{
    const bool is_empty = load->start == load->end;
    if (is_empty && load->is_input_over && !load->is_marked) put_marker(load);
    const bool reads = is_empty && !load->is_input_over;
    struct pollfd descriptors[] = {
        {.fd = load->session->connection.descriptor, .events = POLLIN},
        {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (load->start < load->end) descriptors[0].events |= POLLOUT;
    (void)interrupt_wait(descriptors, 2, PROGRESS_INTERVAL_MS);
    if (reads && descriptors[1].revents != 0 && !read_part(load)) return false;
    if ((descriptors[0].revents & POLLOUT) != 0 && !send_part(load)) return false;
    if ((descriptors[0].revents & ~POLLOUT) != 0 && !receive_replies(load)) return false;
    show_progress(load, load->is_finished);
    return true;
}

static enum cli_exit run_load(struct pipe_load *load)
{
    bool is_told = false;
    while (!load->is_finished) {
        if (!step(load)) {
            const char *const reason = load->session->connection.error;
            if (*reason != '\0') message("the connection was lost: %s", reason);
            break;
        }
        if (load->is_sent && !is_told && !load->is_finished) {
            if (load->has_progress) erase();
            puts("All data transferred. Waiting for the last reply...");
            is_told = true;
        }
        if (!has_timed_out(load)) continue;
        message("no reply for %g seconds: does the input end in the middle of a command?",
                load->session->options->pipe_timeout);
        break;
    }
    if (load->is_finished) puts("Last reply received from server.");
    printf("errors: %llu, replies: %llu\n", (unsigned long long)load->error_count,
           (unsigned long long)load->reply_count);
    if (!load->is_finished) return CLI_FAILURE;
    return load->error_count > 0 ? CLI_ERROR_REPLY : CLI_DONE;
}

enum cli_exit pipe_run(struct session *session)
{
    if (session_connect(session) != CONNECTION_OK) return CLI_FAILURE;
    session->connection.error[0] = '\0';
    session->connection.reader.memory_max = REPLY_MEMORY_MAX;
    struct pipe_load *const load = message_need(memory_alloc_zero(1, sizeof(*load)));
    load->session = session;
    start_progress(load);
    const enum cli_exit result = make_marker(load) ? run_load(load) : CLI_FAILURE;
    memory_free(load);
    return result;
}
