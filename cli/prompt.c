/* SPDX-License-Identifier: MIT */
/*
 * The prompt waits for keys and for the server at once: pushes and a lost connection are shown as they come.
 * Hints on arguments stand at the right margin, and are brought up to date at each space.
 */
#include "cli/prompt.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/memory.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/line.h"
#include "cli/terminal.h"
#include "net/words.h"

enum { HISTORY_COUNT_MAX = 2000, PROMPT_SIZE_MAX = 320, HINT_GAP = 4 };

/* What libedit sends as it is, without counting columns, stands between two of these. */
#define LITERAL '\001'

struct prompt {
    struct session *session;
    EditLine *edit;
    History *history;
    char history_path[4096]; /* "": none */
    struct docs docs;
    bool has_docs;
    bool has_hint;
    struct buffer hint;
    char text[PROMPT_SIZE_MAX];
    char right[1024];
    mbstate_t decoding;
};

static struct prompt *prompt_of(EditLine *edit)
{
    void *data = NULL;
    (void)el_get(edit, EL_CLIENTDATA, &data);
    return data;
}

/* ------------------------------------------------------------------ the prompt itself */

static char *write_prompt(EditLine *edit)
{
    struct prompt *const prompt = prompt_of(edit);
    const struct session *const session = prompt->session;
    const struct options *const options = session->options;
    char database[16] = "";
    if (!connection_is_open(&session->connection)) {
        (void)snprintf(prompt->text, sizeof(prompt->text), "not connected> ");
        return prompt->text;
    }
    if (session->database > 0) (void)snprintf(database, sizeof(database), "[%u]", session->database);
    const char *const transaction = session->in_transaction ? "(TX)" : "";
    if (options->socket != NULL)
        (void)snprintf(prompt->text, sizeof(prompt->text), "%.200s%s%s> ", options->socket, database,
                       transaction);
    else
        (void)snprintf(prompt->text, sizeof(prompt->text),
                       strchr(options->host, ':') != NULL ? "[%.200s]:%s%s%s> " : "%.200s:%s%s%s> ",
                       options->host, options->port, database, transaction);
    return prompt->text;
}

static size_t columns(void)
{
    return terminal_columns(STDOUT_FILENO);
}

/* What fits beside the line; nothing if the rest of the hint would say too little. */
static char *write_hint(EditLine *edit)
{
    struct prompt *const prompt = prompt_of(edit);
    const LineInfo *const line = el_line(edit);
    const size_t used = strlen(prompt->text) + (size_t)(line->lastchar - line->buffer) + HINT_GAP;
    prompt->right[0] = '\0';
    if (!prompt->has_hint || prompt->docs.count == 0 || columns() <= used) return prompt->right;
    complete_hint(&prompt->docs, line->buffer, (size_t)(line->lastchar - line->buffer), &prompt->hint);

    const size_t room = columns() - used;
    const size_t size = strlen((const char *)prompt->hint.data);
    if (size == 0 || room < 8 || room > sizeof(prompt->right) - 32) return prompt->right;
    const bool has_colour = prompt->session->format.has_colour;
    const char *const start = has_colour ? "\001\033[2m\001" : "";
    const char *const stop = has_colour ? "\001\033[0m\001 " : ""; /* libedit sends it with a character */
    const bool fits = size <= room;
    (void)snprintf(prompt->right, sizeof(prompt->right), "%s%.*s%s%s", start, (int)(fits ? size : room - 3),
                   (const char *)prompt->hint.data, fits ? "" : "...", stop);
    return prompt->right;
}

/* ------------------------------------------------------------------ keys */

static volatile sig_atomic_t has_new_size;

static void note_size(int signal_number)
{
    (void)signal_number;
    has_new_size = 1;
}

static void install_size_handler(void)
{
    const struct sigaction action = {.sa_handler = note_size};
    (void)sigaction(SIGWINCH, &action, NULL);
}

/* 1 and the next byte of the terminal, 0 if the user wants out of the line, -1 at the end. */
static int wait_for_byte(struct prompt *prompt, char *ret_byte)
{
    for (;;) {
        struct pollfd descriptors[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = prompt->session->connection.descriptor, .events = POLLIN},
        };
        const int ready = interrupt_wait(descriptors, 2, CONNECTION_FOR_EVER);
        if (ready < 0 && interrupt_taken()) return 0;
        if (ready < 0 && has_new_size != 0) {
            has_new_size = 0;
            el_resize(prompt->edit);
            continue;
        }
        if (ready > 0 && descriptors[1].revents != 0 && session_show_pushes(prompt->session, "\r\033[K"))
            (void)el_set(prompt->edit, EL_REFRESH);
        if (ready > 0 && descriptors[0].revents != 0) return read(STDIN_FILENO, ret_byte, 1) == 1 ? 1 : -1;
    }
}

/* libedit's source of characters. */
static int read_character(EditLine *edit, wchar_t *ret_character)
{
    struct prompt *const prompt = prompt_of(edit);
    for (;;) {
        char byte = 0;
        const int got = wait_for_byte(prompt, &byte);
        if (got <= 0) {
            errno = got == 0 ? EINTR : 0;
            return got == 0 ? -1 : 0;
        }
        const size_t used = mbrtowc(ret_character, &byte, 1, &prompt->decoding);
        if (used == (size_t)-2) continue;
        if (used != (size_t)-1) return 1;
        memset(&prompt->decoding, 0, sizeof(prompt->decoding)); /* no character of this locale */
    }
}

/* ------------------------------------------------------------------ completion */

/* Over a connection of its own: this one may be in a transaction or waiting for messages. */
static void need_docs(struct prompt *prompt)
{
    if (prompt->has_docs || !connection_is_open(&prompt->session->connection)) return;
    struct session *const session = message_need(memory_alloc(sizeof(*session)));
    struct options options = *prompt->session->options;
    options.user = prompt->session->user;
    options.password = prompt->session->password;
    options.database = 0;
    session_init(session, &options, stdout);
    session->protocol = 0;
    if (session_connect(session) == CONNECTION_OK) (void)docs_load(&prompt->docs, &session->connection);
    prompt->has_docs = prompt->docs.count > 0 || prompt->session->password != NULL;
    session_free(session);
    memory_free(session);
}

static unsigned char insert_space(EditLine *edit, int key)
{
    struct prompt *const prompt = prompt_of(edit);
    (void)key;
    need_docs(prompt);
    return el_insertstr(edit, " ") == 0 ? CC_REFRESH : CC_ERROR;
}

/* The hint goes before the line does. */
static unsigned char accept_line(EditLine *edit, int key)
{
    struct prompt *const prompt = prompt_of(edit);
    const LineInfo *const line = el_line(edit);
    (void)key;
    (void)el_cursor(edit, (int)(line->lastchar - line->cursor));
    prompt->has_hint = false;
    if (prompt->right[0] != '\0') {
        fputs("\r\033[K", stdout); /* a line with a hint is not wrapped */
        (void)el_set(edit, EL_REFRESH);
    }
    (void)el_insertstr(edit, "\n");
    putchar('\n');
    return CC_NEWLINE;
}

/* Inserts what all names share, in the case that the user types in. */
static bool insert_common(EditLine *edit, const struct completion *completion, const char *typed)
{
    char text[128];
    size_t size = 0;
    const bool is_lower = completion->typed_size == 0 || (typed[0] >= 'a' && typed[0] <= 'z');
    for (size_t i = completion->typed_size; i < completion->common_size && size < sizeof(text) - 2; i++) {
        const char letter = completion->names[0][i];
        text[size++] = is_lower && letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
    }
    if (completion->count == 1) text[size++] = ' ';
    text[size] = '\0';
    return size > 0 && el_insertstr(edit, text) == 0;
}

static void list_names(const struct completion *completion)
{
    size_t width = 0;
    for (size_t i = 0; i < completion->count; i++) {
        if (completion->name_sizes[i] > width) width = completion->name_sizes[i];
    }
    const size_t per_line = columns() / (width + 2) > 0 ? columns() / (width + 2) : 1;
    for (size_t i = 0; i < completion->count; i++) {
        const bool ends = i + 1 == completion->count || (i + 1) % per_line == 0;
        printf("%s%.*s", i % per_line == 0 ? "\r\n" : "", (int)completion->name_sizes[i],
               completion->names[i]);
        if (!ends) printf("%*s", (int)(width + 2 - completion->name_sizes[i]), "");
    }
    fputs("\r\n", stdout);
}

static bool show_syntax(struct prompt *prompt, const LineInfo *line)
{
    struct words words = {.list = NULL};
    const struct docs_command *command = NULL;
    size_t used = 0;
    if (words_split((struct stave_bytes){line->buffer, (size_t)(line->cursor - line->buffer)}, &words) &&
        words.count > 0)
        command = docs_find(&prompt->docs, words.list, words.count, &used);
    words_free(&words);
    if (command == NULL) return false;
    complete_syntax(command, &prompt->hint);
    printf("\r\n%s\r\n", (const char *)prompt->hint.data);
    return true;
}

/* Tab: completes a name, or lists those that fit; behind a command it shows the arguments. */
static unsigned char complete(EditLine *edit, int key)
{
    struct prompt *const prompt = prompt_of(edit);
    const LineInfo *const line = el_line(edit);
    struct completion completion;
    (void)key;
    need_docs(prompt);
    complete_line(&prompt->docs, line->buffer, (size_t)(line->cursor - line->buffer), &completion);
    if (completion.count > 0 && insert_common(edit, &completion, line->cursor - completion.typed_size))
        return CC_REFRESH;
    if (completion.count > 1)
        list_names(&completion);
    else if (!show_syntax(prompt, line))
        return CC_ERROR;
    fflush(stdout);
    return CC_REDISPLAY;
}

/* ------------------------------------------------------------------ history */

/*
 * libedit takes the rights of others from what it writes to: from /dev/null, for all programs of the machine.
 */
static bool may_be_history(const char *path)
{
    struct stat status;
    return stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

static void choose_history_path(struct prompt *prompt)
{
    const char *const path = getenv("STAVE_CLI_HISTORY");
    const char *const home = getenv("HOME");
    if (path != NULL)
        (void)snprintf(prompt->history_path, sizeof(prompt->history_path), "%s", path);
    else if (home != NULL)
        (void)snprintf(prompt->history_path, sizeof(prompt->history_path), "%s/.stave_cli_history", home);
    if (!may_be_history(prompt->history_path)) prompt->history_path[0] = '\0';
}

/* Passwords are not kept. */
static bool has_secret(const struct words *words)
{
    const struct stave_bytes *const list = words->list;
    const bool is_config_set = words->count > 2 && words_is(list[0], "config") && words_is(list[1], "set");
    if (words_is(list[0], "auth")) return true;
    if (words_is(list[0], "acl") && words->count > 1 && words_is(list[1], "setuser")) return true;
    for (size_t i = 1; i < words->count; i++) {
        if (is_config_set && (words_is(list[i], "requirepass") || words_is(list[i], "masterauth") ||
                              words_is(list[i], "tls-key-file-pass")))
            return true;
        const bool takes_auth = words_is(list[0], "hello") || words_is(list[0], "migrate");
        if (takes_auth && (words_is(list[i], "auth") || words_is(list[i], "auth2"))) return true;
    }
    return false;
}

static void keep_line(struct prompt *prompt, const char *line, const struct words *words)
{
    HistEvent event;
    const bool is_hidden = line[0] == ' ' || (words->count > 0 && has_secret(words));
    if (words->count == 0 || is_hidden) return;
    (void)history(prompt->history, &event, H_ENTER, line);
    if (prompt->history_path[0] == '\0') return;
    const mode_t mask = umask(077);
    (void)history(prompt->history, &event, H_SAVE, prompt->history_path);
    (void)umask(mask);
}

/* ------------------------------------------------------------------ lines */

/* The prompt's own commands. False: it is the server's. */
static bool run_own(struct prompt *prompt, const struct words *words, bool *ret_ends)
{
    const struct stave_bytes name = words->list[0];
    *ret_ends = words->count == 1 && (words_is(name, "quit") || words_is(name, "exit"));
    if (*ret_ends) return true;
    if (words_is(name, "help") || words_is(name, "?")) {
        need_docs(prompt);
        help_show(&prompt->docs, words);
        return true;
    }
    if (words->count == 1 && words_is(name, "clear")) {
        fputs("\033[H\033[2J", stdout);
        return true;
    }
    return false;
}

/* False: the user is done. */
static bool run_line(struct prompt *prompt, char *line)
{
    struct words words = {.list = NULL};
    bool ends = false;
    line[strcspn(line, "\n")] = '\0';
    if (!words_split(stave_text(line), &words)) {
        puts("The quotes do not match.");
    } else if (words.count > 0) {
        keep_line(prompt, line, &words);
        if (!run_own(prompt, &words, &ends)) {
            const enum connection_status status = line_run_words(prompt->session, &words);
            if (status == CONNECTION_INTERRUPTED) putchar('\n');
        }
        if (prompt->session->has_ended) connection_close(&prompt->session->connection);
        if (words_is(words.list[0], "auth") && prompt->docs.count == 0) prompt->has_docs = false;
        prompt->session->has_ended = false;
    }
    words_free(&words);
    return !ends;
}

static void run_lines(struct prompt *prompt)
{
    bool goes_on = true;
    while (goes_on) {
        int size = 0;
        prompt->has_hint = true;
        prompt->right[0] = '\0';
        (void)session_show_pushes(prompt->session, "");
        errno = 0;
        const char *const line = el_gets(prompt->edit, &size);
        if (line != NULL && size > 0) {
            char *const copy = message_need(memory_copy_string(line));
            goes_on = run_line(prompt, copy);
            memory_free(copy);
        } else if (errno == EINTR || size < 0) {
            puts(prompt->right[0] != '\0' ? "^C\033[K" : "^C"); /* without the hint */
            el_reset(prompt->edit);
        } else {
            putchar('\n');
            goes_on = false;
        }
        fflush(stdout);
    }
}

/* ------------------------------------------------------------------ opening */

static bool open_editor(struct prompt *prompt)
{
    HistEvent event;
    prompt->edit = el_init("stave-cli", stdin, stdout, stderr);
    prompt->history = history_init();
    if (prompt->edit == NULL || prompt->history == NULL) return false;
    EditLine *const edit = prompt->edit;
    (void)el_set(edit, EL_CLIENTDATA, prompt);
    (void)el_set(edit, EL_EDITOR, "emacs");
    (void)el_set(edit, EL_SIGNAL, 0);
    (void)el_set(edit, EL_PROMPT, write_prompt);
    (void)el_set(edit, EL_RPROMPT_ESC, write_hint, LITERAL);
    (void)el_set(edit, EL_GETCFN, read_character);
    (void)el_set(edit, EL_HIST, history, prompt->history);
    (void)el_wset(edit, EL_ADDFN, L"cli-complete", L"Completes a command", complete);
    (void)el_wset(edit, EL_ADDFN, L"cli-space", L"Inserts a space and shows the hint", insert_space);
    (void)el_wset(edit, EL_ADDFN, L"cli-accept", L"Ends the line", accept_line);
    (void)el_set(edit, EL_BIND, "^I", "cli-complete", NULL);
    (void)el_set(edit, EL_BIND, " ", "cli-space", NULL);
    (void)el_set(edit, EL_BIND, "^M", "cli-accept", NULL);
    (void)el_set(edit, EL_BIND, "^J", "cli-accept", NULL);
    (void)el_set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(edit, NULL);
    (void)history(prompt->history, &event, H_SETSIZE, HISTORY_COUNT_MAX);
    (void)history(prompt->history, &event, H_SETUNIQUE, 1);
    choose_history_path(prompt);
    if (prompt->history_path[0] != '\0') (void)history(prompt->history, &event, H_LOAD, prompt->history_path);
    return true;
}

static void close_editor(struct prompt *prompt)
{
    if (prompt->edit != NULL) el_end(prompt->edit);
    if (prompt->history != NULL) history_end(prompt->history);
    docs_free(&prompt->docs);
    buffer_free(&prompt->hint);
}

enum cli_exit prompt_run(struct session *session)
{
    struct prompt *const prompt = message_need(memory_alloc_zero(1, sizeof(*prompt)));
    enum cli_exit result = CLI_FAILURE;
    prompt->session = session;
    session->is_interactive = true;
    interrupt_install();
    install_size_handler();
    (void)session_connect(session);
    if (open_editor(prompt)) {
        run_lines(prompt);
        result = CLI_DONE;
    } else {
        message("the terminal cannot be used");
    }
    close_editor(prompt);
    memory_free(prompt);
    return result;
}
