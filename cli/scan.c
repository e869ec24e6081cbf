/* SPDX-License-Identifier: MIT */
/* Asks SCAN until its cursor is 0 again. */
#include "cli/scan.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/line.h"
#include "net/resp_number.h"

enum { SCAN_WORDS_MAX = 8, CURSOR_SIZE_MAX = 64 };

struct scan {
    struct session *session;
    char cursor[CURSOR_SIZE_MAX];
    struct words pattern;
};

static enum connection_status ask(struct scan *scan)
{
    const struct options *const options = scan->session->options;
    struct stave_bytes words[SCAN_WORDS_MAX] = {stave_text("SCAN"), stave_text(scan->cursor)};
    char number[RESP_INTEGER_SIZE_MAX];
    size_t count = 2;
    if (options->pattern != NULL) {
        words[count++] = stave_text("MATCH");
        words[count++] = options->pattern_is_quoted ? scan->pattern.list[0] : stave_text(options->pattern);
    }
    if (options->scan_count > 0) {
        words[count++] = stave_text("COUNT");
        words[count++] = (struct stave_bytes){number, resp_unsigned_write(options->scan_count, number)};
    }
    if (options->type != NULL) {
        words[count++] = stave_text("TYPE");
        words[count++] = stave_text(options->type);
    }
    const enum connection_status status = connection_send(&scan->session->connection, words, count);
    return status == CONNECTION_OK ? connection_receive(&scan->session->connection, CONNECTION_FOR_EVER)
                                   : status;
}

/* Shows the keys of an answer and takes its cursor. False: it is no answer to SCAN. */
static bool take_answer(struct scan *scan)
{
    const struct resp_reader *const reader = &scan->session->connection.reader;
    const struct resp_value *const reply = resp_reply(reader);
    if (reply->type != RESP_ARRAY || reply->elements.count != 2) return false;
    const struct resp_value *const cursor = reply + 1;
    const struct resp_value *const keys = reader->values + cursor->next;
    if (cursor->type != RESP_BULK || keys->type != RESP_ARRAY || cursor->text.size >= CURSOR_SIZE_MAX)
        return false;

    for (uint32_t i = (uint32_t)(keys - reader->values) + 1; i < keys->next; i = reader->values[i].next) {
        if (reader->values[i].type != RESP_BULK) return false;
        format_string(&scan->session->format, stdout, resp_text(reader, &reader->values[i]));
    }
    const struct stave_bytes text = resp_text(reader, cursor);
    memcpy(scan->cursor, text.data, text.size);
    scan->cursor[text.size] = '\0';
    return true;
}

static enum cli_exit tell_answer(const struct session *session)
{
    const struct resp_reader *const reader = &session->connection.reader;
    const struct resp_value *const reply = resp_reply(reader);
    if (reply->type != RESP_ERROR) {
        message("this is no answer to SCAN");
        return CLI_FAILURE;
    }
    const struct stave_bytes text = resp_text(reader, reply);
    message("%.*s", (int)text.size, (const char *)text.data);
    return CLI_ERROR_REPLY;
}

static enum cli_exit run_scan(struct scan *scan)
{
    const double interval = scan->session->options->interval;
    do {
        if (ask(scan) != CONNECTION_OK) {
            message("the connection was lost: %s", scan->session->connection.error);
            return CLI_FAILURE;
        }
        if (!take_answer(scan)) return tell_answer(scan->session);
        fflush(stdout);
        if (interval > 0) (void)interrupt_wait(NULL, 0, 1000 * interval);
    } while (strcmp(scan->cursor, "0") != 0 && ferror(stdout) == 0);
    return CLI_DONE;
}

enum cli_exit scan_run(struct session *session)
{
    struct scan scan = {.session = session, .cursor = "0"};
    const struct options *const options = session->options;
    enum cli_exit result = CLI_USAGE;
    if (options->pattern_is_quoted &&
        (!words_split(stave_text(options->pattern), &scan.pattern) || scan.pattern.count != 1))
        message("--quoted-pattern: the quotes do not match: %s", options->pattern);
    else
        result = session_connect(session) == CONNECTION_OK ? run_scan(&scan) : CLI_FAILURE;
    words_free(&scan.pattern);
    return result;
}
