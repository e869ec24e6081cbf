/* SPDX-License-Identifier: MIT */
/* stave-server [FILE | -] [--name value ...]...: the store behind the Redis protocol. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"
#include "server/metrics.h"
#include "server/run.h"
#include "stave.h"

static const char usage[] =
    "Usage: stave-server [FILE | -] [--name value ...]...\n"
    "       stave-server --version | --help\n"
    "\n"
    "Serves a Stave store behind the Redis protocol. FILE has the syntax of redis.conf; - is standard "
    "input.\n"
    "An option of the command line is a directive of the file, and wins over it:\n"
    "\n"
    "    stave-server --port 7777 --dir /var/lib/stave --appendfsync always\n"
    "\n"
    "The example stave.conf explains every directive. Exit codes: 0 a clean end; 1 the configuration, the\n"
    "store or an address could not be had, or the store not be closed cleanly.\n";

static bool show_help(int argument_count, char **arguments)
{
    if (argument_count != 2) return false;
    const char *option = arguments[1];
    if (strcmp(option, "-v") == 0 || strcmp(option, "--version") == 0) {
        printf("Stave server v=%s bits=64\n", STAVE_VERSION_TEXT);
        return true;
    }
    if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0) {
        fputs(usage, stdout);
        return true;
    }
    return false;
}

/* The lines that tools which start a Redis look for. */
static void greet(const struct server *server)
{
    char line[256];
    (void)snprintf(line, sizeof line, "\nStave %s (64 bit)\n Port: %lld\n PID: %d\n\n", STAVE_VERSION_TEXT,
                   (long long)server->config.port, (int)getpid());
    log_raw(LOG_NOTICE, line);
}

static void log_warnings(const struct buffer *warnings)
{
    size_t at = 0;
    while (at < warnings->size) {
        const char *line = (const char *)warnings->data + at;
        const size_t size = strcspn(line, "\n");
        log_write(LOG_WARNING, "%.*s", (int)size, line);
        at += size + 1;
    }
}

static bool load(struct server *server, int argument_count, char **arguments)
{
    char error[CONFIG_ERROR_SIZE] = "no memory";
    struct buffer warnings = BUFFER_NONE;
    enum stave_status status = config_init(&server->config);
    if (status == STAVE_OK)
        status = config_load(&server->config, argument_count, arguments, &warnings, error);
    if (status == STAVE_OK) status = buffer_append_zero(&warnings, 1);
    if (status != STAVE_OK) {
        fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR ***\n%s\n", error);
        buffer_free(&warnings);
        return false;
    }
    /* The log and the pid file are named from there. */
    const struct config *config = &server->config;
    if (config->dir[0] != 0 && chdir(config->dir) != 0) {
        fprintf(stderr, "Can't chdir to '%s': %s\n", config->dir, strerror(errno));
        buffer_free(&warnings);
        return false;
    }
    if (!log_open(config->logfile, (enum log_level)config->loglevel)) {
        fprintf(stderr, "Can't open the log file: %s\n", strerror(errno));
        buffer_free(&warnings);
        return false;
    }
    warnings.size--;
    log_warnings(&warnings);
    buffer_free(&warnings);
    return true;
}

int main(int argument_count, char **arguments)
{
    static struct server server;
    if (show_help(argument_count, arguments)) return 0;
    if (!load(&server, argument_count, arguments)) return 1;
    if (server.config.daemonize && daemon(1, 0) != 0) {
        fprintf(stderr, "Can't go into the background: %s\n", strerror(errno));
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    if (!run_init(&server)) return 1;
    if (readlink("/proc/self/exe", server.executable, sizeof server.executable - 1) < 0)
        server.executable[0] = 0;
    metrics_install(&server);
    greet(&server);
    const int exit_code = run_server(&server);
    config_free(&server.config);
    return exit_code;
}
