/* SPDX-License-Identifier: MIT */
/* The log: one line, one write, so that lines of several threads do not mix. */
#include "server/log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE ((size_t)1024)

/* The process has one log. */
static atomic_int log_descriptor = STDOUT_FILENO;
static atomic_int log_least = LOG_NOTICE;
static char log_path[PATH_MAX]; /* absolute; empty: standard output */

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

bool log_open(const char *path, enum log_level level)
{
    log_set_level(level);
    if (path[0] == 0) return true;
    const int descriptor = open_file(path);
    if (descriptor < 0) return false;
    if (realpath(path, log_path) == NULL) log_path[0] = 0;
    const int before = atomic_exchange(&log_descriptor, descriptor);
    if (before != STDOUT_FILENO) close(before);
    return true;
}

void log_follow(void)
{
    struct stat named;
    struct stat own;
    const int descriptor = atomic_load(&log_descriptor);
    if (log_path[0] == 0 || fstat(descriptor, &own) != 0) return;
    if (stat(log_path, &named) == 0 && named.st_ino == own.st_ino && named.st_dev == own.st_dev) return;
    const int fresh = open_file(log_path);
    if (fresh < 0) return;
    /* Under the same number, for those who are writing just now. */
    (void)dup3(fresh, descriptor, O_CLOEXEC);
    close(fresh);
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_least, (int)level);
}

static void write_line(const char *line, size_t size)
{
    /* There is nobody to tell that the log itself cannot be written. */
    if (write(atomic_load(&log_descriptor), line, size) < 0) return;
}

static size_t format_prefix(char *line, enum log_level level)
{
    static const char marks[] = ".-*#";
    struct timeval now;
    struct tm parts;
    char date[32];
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &parts);
    return (size_t)snprintf(line, LINE_SIZE, "%d:M %s.%03d %c ", (int)getpid(), date,
                            (int)(now.tv_usec / 1000), marks[level]);
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level < atomic_load(&log_least) || level >= LOG_NOTHING) return;
    char line[LINE_SIZE];
    size_t size = format_prefix(line, level);
    va_list arguments;
    va_start(arguments, format);
    const int more = vsnprintf(line + size, LINE_SIZE - 1 - size, format, arguments);
    va_end(arguments);
    if (more > 0) size += (size_t)more < LINE_SIZE - 1 - size ? (size_t)more : LINE_SIZE - 2 - size;
    line[size++] = '\n';
    write_line(line, size);
}

void log_raw(enum log_level level, const char *text)
{
    if ((int)level < atomic_load(&log_least) || level >= LOG_NOTHING) return;
    write_line(text, strlen(text));
}
