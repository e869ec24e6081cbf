/* SPDX-License-Identifier: MIT */
/* stave-cli: a client for any server of the Redis protocol. Reads the options and chooses what is done. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/latency.h"
#include "cli/line.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipe.h"
#include "cli/prompt.h"
#include "cli/scan.h"
#include "cli/session.h"
#include "net/words.h"

/* All of standard input. */
static bool read_input(struct buffer *ret_bytes)
{
    enum { PART = 65536 };
    for (;;) {
        if (buffer_reserve(ret_bytes, PART) != STAVE_OK) return false;
        const ssize_t got = read(STDIN_FILENO, ret_bytes->data + ret_bytes->size, PART);
        if (got <= 0) return got == 0;
        ret_bytes->size += (size_t)got;
    }
}

/* Unquotes an argument in its place: it only gets shorter. False: it is not one word in quotes. */
static bool unquote(char *argument, struct stave_bytes *ret_bytes)
{
    struct words_reader words = {.text = stave_text(argument), .out = (uint8_t *)argument};
    struct resp_slice word = {0, 0};
    struct resp_slice rest = {0, 0};
    if (argument[0] != '"' && argument[0] != '\'') return true;
    if (words_read(&words, &word) != WORDS_ONE || words_read(&words, &rest) != WORDS_END) {
        message("--quoted-input: an argument's quotes do not match");
        return false;
    }
    *ret_bytes = (struct stave_bytes){argument + word.offset, word.size};
    return true;
}

static enum cli_exit repeat(struct session *session, const struct stave_bytes *arguments, size_t count)
{
    const struct options *const options = session->options;
    enum cli_exit result = CLI_DONE;
    for (int64_t i = 0; options->repeat_count < 0 || i < options->repeat_count; i++) {
        if (i > 0 && options->interval > 0) (void)interrupt_wait(NULL, 0, 1000 * options->interval);
        result = session_exit_of(session, session_run(session, arguments, count));
        if (result != CLI_DONE || session->has_ended) return result;
    }
    return result;
}

/* The command of the command line. */
static enum cli_exit run_arguments(struct session *session)
{
    const struct options *const options = session->options;
    struct buffer input = BUFFER_NONE;
    size_t count = options->argument_count;
    struct stave_bytes *const arguments = message_need(memory_alloc((count + 1) * sizeof(*arguments)));
    enum cli_exit result = CLI_USAGE;
    for (size_t i = 0; i < count; i++) {
        arguments[i] = stave_text(options->arguments[i]);
        if (options->quoted_input && !unquote(options->arguments[i], &arguments[i])) goto done;
    }
    if (options->last_from_input) {
        if (!read_input(&input)) {
            message("standard input cannot be read");
            goto done;
        }
        arguments[count++] = buffer_bytes(&input);
    }
    result = repeat(session, arguments, count);

done:
    buffer_free(&input);
    memory_free(arguments);
    return result;
}

static enum cli_exit run_commands(struct session *session)
{
    if (session->options->argument_count > 0) return run_arguments(session);
    return isatty(STDIN_FILENO) != 0 ? prompt_run(session) : line_run_input(session);
}

static enum cli_exit run(const struct options *options)
{
    struct session *const session = message_need(memory_alloc(sizeof(*session)));
    enum cli_exit result = CLI_FAILURE;
    session_init(session, options, stdout);
    switch (options->mode) {
    case MODE_COMMANDS: result = run_commands(session); break;
    case MODE_PIPE: result = pipe_run(session); break;
    case MODE_SCAN: result = scan_run(session); break;
    case MODE_LATENCY: result = latency_run(session); break;
    case MODE_HELP:
        options_write_help();
        result = CLI_DONE;
        break;
    case MODE_VERSION:
        puts("stave-cli " STAVE_VERSION_TEXT);
        result = CLI_DONE;
        break;
    }
    session_free(session);
    memory_free(session);
    return result;
}

int main(int argc, char **argv)
{
    static struct options options; /* what its words point to lives as long as the program */
    (void)setlocale(LC_CTYPE, "");
    if (!options_parse(argv + 1, argc > 0 ? (size_t)argc - 1 : 0, &options)) return CLI_USAGE;
    const enum cli_exit result = run(&options);
    if (fflush(stdout) == 0 && ferror(stdout) == 0) return (int)result;
    message("the output cannot be written");
    return CLI_FAILURE;
}
