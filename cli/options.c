/* SPDX-License-Identifier: MIT */
/* Options are read from one table, which also feeds --help. */
#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/message.h"
#include "cli/uri.h"
#include "stave.h"

enum option {
    OPTION_HOST,
    OPTION_PORT,
    OPTION_SOCKET,
    OPTION_URI,
    OPTION_PASSWORD,
    OPTION_USER,
    OPTION_PASS,
    OPTION_ASK_PASS,
    OPTION_NO_AUTH_WARNING,
    OPTION_DATABASE,
    OPTION_PROTOCOL_2,
    OPTION_PROTOCOL_3,
    OPTION_REPEAT,
    OPTION_INTERVAL,
    OPTION_LAST_FROM_INPUT,
    OPTION_DELIMITER,
    OPTION_COMMAND_DELIMITER,
    OPTION_RAW,
    OPTION_NO_RAW,
    OPTION_JSON,
    OPTION_QUOTED_JSON,
    OPTION_QUOTED_INPUT,
    OPTION_ERROR_EXIT,
    OPTION_PIPE,
    OPTION_PIPE_TIMEOUT,
    OPTION_SCAN,
    OPTION_PATTERN,
    OPTION_QUOTED_PATTERN,
    OPTION_COUNT_OPTION,
    OPTION_TYPE,
    OPTION_LATENCY,
    OPTION_LATENCY_HISTORY,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_VERSION_SHORT,
    OPTION_COUNT,
};

static const struct {
    const char *name;
    const char *value; /* NULL: none */
    const char *help;
} texts[OPTION_COUNT] = {
    [OPTION_HOST] = {"-h", "HOST", "server's name or address (127.0.0.1)"},
    [OPTION_PORT] = {"-p", "PORT", "server's port (6379)"},
    [OPTION_SOCKET] = {"-s", "PATH", "server's Unix socket, instead of host and port"},
    [OPTION_URI] = {"-u", "URI", "all of it: redis://USER:PASSWORD@HOST:PORT/DATABASE"},
    [OPTION_PASSWORD] = {"-a", "PASSWORD", "password; better in the environment, as REDISCLI_AUTH"},
    [OPTION_USER] = {"--user", "NAME", "user whom the password belongs to"},
    [OPTION_PASS] = {"--pass", "PASSWORD", "as -a"},
    [OPTION_ASK_PASS] = {"--askpass", NULL, "ask for the password on the terminal"},
    [OPTION_NO_AUTH_WARNING] = {"--no-auth-warning", NULL, "say nothing about passwords on the command line"},
    [OPTION_DATABASE] = {"-n", "NUMBER", "database (0)"},
    [OPTION_PROTOCOL_2] = {"-2", NULL, "begin with version 2 of the protocol"},
    [OPTION_PROTOCOL_3] = {"-3", NULL, "begin with version 3 of the protocol"},
    [OPTION_REPEAT] = {"-r", "COUNT", "run the command so many times; -1: for ever"},
    [OPTION_INTERVAL] = {"-i", "SECONDS",
                         "wait between repetitions, steps of --scan, lines of --latency-history"},
    [OPTION_LAST_FROM_INPUT] = {"-x", NULL, "the last argument is read from standard input"},
    [OPTION_DELIMITER] = {"-d", "TEXT", "stands between elements of raw replies (\\n)"},
    [OPTION_COMMAND_DELIMITER] = {"-D", "TEXT", "stands behind raw replies (\\n)"},
    [OPTION_RAW] = {"--raw", NULL, "bytes as they are; the default when the output is no terminal"},
    [OPTION_NO_RAW] = {"--no-raw", NULL, "quoted and with types; the default on a terminal"},
    [OPTION_JSON] = {"--json", NULL, "replies as JSON, by version 3 of the protocol unless -2"},
    [OPTION_QUOTED_JSON] = {"--quoted-json", NULL, "the same, strings quoted so that no byte is lost"},
    [OPTION_QUOTED_INPUT] = {"--quoted-input", NULL, "arguments in quotes are unquoted: '\"\\x00\"'"},
    [OPTION_ERROR_EXIT] = {"-e", NULL, "exit with 1 when the server answers with an error"},
    [OPTION_PIPE] = {"--pipe", NULL, "send standard input as it is, count replies and errors"},
    [OPTION_PIPE_TIMEOUT] = {"--pipe-timeout", "SECONDS",
                             "give up when no reply comes after all was sent (30)"},
    [OPTION_SCAN] = {"--scan", NULL, "list the keys, one a line"},
    [OPTION_PATTERN] = {"--pattern", "GLOB", "of --scan: keys that match"},
    [OPTION_QUOTED_PATTERN] = {"--quoted-pattern", "GLOB", "the same, in quotes"},
    [OPTION_COUNT_OPTION] = {"--count", "NUMBER", "of --scan: keys looked at in a step"},
    [OPTION_TYPE] = {"--type", "TYPE", "of --scan: keys of this type"},
    [OPTION_LATENCY] = {"--latency", NULL, "measure PING's answers: least, most, mean in milliseconds"},
    [OPTION_LATENCY_HISTORY] = {"--latency-history", NULL, "the same, a line every 15 seconds or as -i says"},
    [OPTION_HELP] = {"--help", NULL, "this text"},
    [OPTION_VERSION] = {"--version", NULL, "the version"},
    [OPTION_VERSION_SHORT] = {"-v", NULL, "the same"},
};

void options_write_help(void)
{
    puts("stave-cli " STAVE_VERSION_TEXT ": a client for any server of the Redis protocol\n\n"
         "Usage: stave-cli [OPTION]... [COMMAND [ARGUMENT]...]\n\n"
         "Without a command it reads commands: from a terminal with a prompt (type help there), else a line "
         "each.\n\nOptions:");
    for (int i = 0; i < OPTION_COUNT; i++) {
        char name[40];
        const char *const value = texts[i].value == NULL ? "" : texts[i].value;
        (void)snprintf(name, sizeof(name), "%s %s", texts[i].name, value);
        printf("  %-24s  %s\n", name, texts[i].help);
    }
    puts("\nExit codes: 0 done; 1 the server answered with an error (with -e, --pipe, --scan); 2 a mistake "
         "in the "
         "command\nline or the input; 4 no connection, or it was lost.");
}

static enum option find_option(const char *word)
{
    int i = 0;
    while (i < OPTION_COUNT && strcmp(texts[i].name, word) != 0) i++;
    return (enum option)i;
}

/* ------------------------------------------------------------------ values */

static bool report_value(enum option option, const char *value, const char *wanted)
{
    message("%s: %s is needed, not \"%s\"", texts[option].name, wanted, value);
    return false;
}

static bool parse_count(enum option option, const char *value, long long min, long long max,
                        int64_t *ret_count)
{
    char *end = NULL;
    errno = 0;
    const long long count = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || count < min || count > max) {
        char wanted[80];
        (void)snprintf(wanted, sizeof(wanted), "a number from %lld to %lld", min, max);
        return report_value(option, value, wanted);
    }
    *ret_count = count;
    return true;
}

static bool parse_seconds(enum option option, const char *value, double *ret_seconds)
{
    char *end = NULL;
    const double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(seconds) || seconds < 0 || seconds > 1e6)
        return report_value(option, value, "a number of seconds");
    *ret_seconds = seconds;
    return true;
}

/* A copy of a secret, which is blanked where other users could see it. */
static const char *take_secret(char *word)
{
    const char *const copy = message_need(memory_copy_string(word));
    memset(word, '*', strlen(word));
    return copy;
}

static void warn_of_password(const struct options *options, bool is_silent)
{
    if (options->password == NULL || is_silent) return;
    message("a password on the command line can be seen by other users of this machine; the environment's "
            "REDISCLI_AUTH or --askpass is safer");
}

static bool set_number(enum option option, const char *value, struct options *options)
{
    int64_t number = 0;
    switch (option) {
    case OPTION_PORT:
        if (!parse_count(option, value, 1, 65535, &number)) return false;
        options->port = value;
        return true;
    case OPTION_DATABASE:
        if (!parse_count(option, value, 0, INT32_MAX, &number)) return false;
        options->database = (uint32_t)number;
        return true;
    case OPTION_REPEAT: return parse_count(option, value, -1, INT64_MAX, &options->repeat_count);
    case OPTION_COUNT_OPTION:
        if (!parse_count(option, value, 1, INT64_MAX, &number)) return false;
        options->scan_count = (uint64_t)number;
        return true;
    case OPTION_INTERVAL: return parse_seconds(option, value, &options->interval);
    case OPTION_PIPE_TIMEOUT: return parse_seconds(option, value, &options->pipe_timeout);
    default: return true;
    }
}

/* What was read before it could be read no further is the options' too: it lives as long as the program. */
static bool set_uri(char *value, struct options *options)
{
    struct uri uri = {options->host, options->port, options->user, options->password, options->database};
    const bool is_whole = uri_parse(value, &uri);
    options->host = uri.host;
    options->port = uri.port;
    options->user = uri.user;
    options->password = uri.password;
    options->database = uri.database;
    return is_whole;
}

/* Options whose value is a text. */
static bool set_text(enum option option, char *value, struct options *options)
{
    switch (option) {
    case OPTION_HOST: options->host = value; return true;
    case OPTION_SOCKET: options->socket = value; return true;
    case OPTION_PASSWORD:
    case OPTION_PASS: options->password = take_secret(value); return true;
    case OPTION_USER: options->user = value; return true;
    case OPTION_DELIMITER: options->delimiter = value; return true;
    case OPTION_COMMAND_DELIMITER: options->command_delimiter = value; return true;
    case OPTION_QUOTED_PATTERN:
    case OPTION_PATTERN:
        options->pattern = value;
        options->pattern_is_quoted = option == OPTION_QUOTED_PATTERN;
        return true;
    case OPTION_TYPE: options->type = value; return true;
    case OPTION_URI: return set_uri(value, options);
    default: return set_number(option, value, options);
    }
}

static void set_flag(enum option option, struct options *options)
{
    switch (option) {
    case OPTION_PROTOCOL_2: options->protocol = 2; break;
    case OPTION_PROTOCOL_3: options->protocol = 3; break;
    case OPTION_LAST_FROM_INPUT: options->last_from_input = true; break;
    case OPTION_RAW: options->output = OUTPUT_RAW; break;
    case OPTION_NO_RAW: options->output = OUTPUT_QUOTED; break;
    case OPTION_JSON: options->output = OUTPUT_JSON; break;
    case OPTION_QUOTED_JSON: options->output = OUTPUT_QUOTED_JSON; break;
    case OPTION_QUOTED_INPUT: options->quoted_input = true; break;
    case OPTION_ERROR_EXIT: options->error_exit = true; break;
    case OPTION_PIPE: options->mode = MODE_PIPE; break;
    case OPTION_SCAN: options->mode = MODE_SCAN; break;
    case OPTION_LATENCY_HISTORY: options->with_history = true; /* fallthrough */
    case OPTION_LATENCY: options->mode = MODE_LATENCY; break;
    case OPTION_HELP: options->mode = MODE_HELP; break;
    case OPTION_VERSION:
    case OPTION_VERSION_SHORT: options->mode = MODE_VERSION; break;
    default: break;
    }
}

/* ------------------------------------------------------------------ the command line */

static struct options default_options(void)
{
    return (struct options){
        .host = "127.0.0.1",
        .port = "6379",
        .delimiter = "\n",
        .command_delimiter = "\n",
        .repeat_count = 1,
        .interval = -1,
        .pipe_timeout = 30,
    };
}

/* A password that was not given: from the terminal or the environment. */
static bool find_password(struct options *options, bool asks)
{
    if (asks) {
        const char *const password = getpass("Password: ");
        if (password == NULL) {
            message("no terminal to ask for the password on");
            return false;
        }
        options->password = message_need(memory_copy_string(password));
        return true;
    }
    if (options->password == NULL) options->password = getenv("REDISCLI_AUTH");
    return true;
}

static bool check_together(const struct options *options)
{
    if (options->mode != MODE_COMMANDS && options->mode != MODE_HELP && options->mode != MODE_VERSION &&
        options->argument_count > 0) {
        message("no command is sent with --pipe, --scan or --latency: \"%s\"", options->arguments[0]);
        return false;
    }
    const bool is_of_scan = options->pattern != NULL || options->type != NULL || options->scan_count > 0;
    if (is_of_scan &&
        (options->mode == MODE_COMMANDS || options->mode == MODE_PIPE || options->mode == MODE_LATENCY)) {
        message("--pattern, --quoted-pattern, --count and --type are options of --scan");
        return false;
    }
    if (options->last_from_input && options->argument_count == 0) {
        message("-x needs a command to which the input is added");
        return false;
    }
    return true;
}

bool options_parse(char **words, size_t word_count, struct options *options)
{
    *options = default_options();
    bool is_silent = false;
    bool asks = false;
    size_t at = 0;
    for (; at < word_count && words[at][0] == '-'; at++) {
        const enum option option = find_option(words[at]);
        if (option == OPTION_COUNT) {
            message("there is no option %s; see stave-cli --help", words[at]);
            return false;
        }
        is_silent = is_silent || option == OPTION_NO_AUTH_WARNING;
        asks = asks || option == OPTION_ASK_PASS;
        if (texts[option].value == NULL) {
            set_flag(option, options);
            continue;
        }
        if (++at == word_count) {
            message("%s needs a value; see stave-cli --help", texts[option].name);
            return false;
        }
        if (!set_text(option, words[at], options)) return false;
    }
    options->arguments = words + at;
    options->argument_count = word_count - at;
    if (options->protocol == 0 && (options->output == OUTPUT_JSON || options->output == OUTPUT_QUOTED_JSON))
        options->protocol = 3;
    warn_of_password(options, is_silent);
    if (!check_together(options) || !find_password(options, asks)) return false;
    return true;
}
