/* SPDX-License-Identifier: MIT */
/* The command line: options first, then the command for the server. */
#ifndef STAVE_CLI_OPTIONS_H
#define STAVE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output { OUTPUT_AUTOMATIC, OUTPUT_RAW, OUTPUT_QUOTED, OUTPUT_JSON, OUTPUT_QUOTED_JSON };

enum mode { MODE_COMMANDS, MODE_PIPE, MODE_SCAN, MODE_LATENCY, MODE_HELP, MODE_VERSION };

struct options {
    enum mode mode;
    const char *host;
    const char *port;
    const char *socket;   /* NULL: host and port */
    const char *user;     /* NULL: the default user */
    const char *password; /* NULL: none */
    uint32_t database;
    int protocol; /* 0: what the server begins with */
    enum output output;
    const char *delimiter;         /* between elements, raw */
    const char *command_delimiter; /* behind replies, raw */
    int64_t repeat_count;          /* below 0: for ever */
    double interval;               /* seconds; below 0: not given */
    bool last_from_input;          /* -x */
    bool quoted_input;
    bool error_exit; /* -e */
    const char *pattern;
    bool pattern_is_quoted;
    const char *type;
    uint64_t scan_count; /* 0: the server's */
    bool with_history;   /* of --latency */
    double pipe_timeout; /* seconds */
    char **arguments;
    size_t argument_count;
};

/*
 * False after a message to the user. The words are changed: passwords are blanked for other users' eyes; what
 * the options point to lives as long as the program.
 */
bool options_parse(char **words, size_t word_count, struct options *options);

void options_write_help(void);

#endif
