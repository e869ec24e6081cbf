/* SPDX-License-Identifier: MIT */
/* Lines are cut by the codec's own function for inline requests. */
#include "cli/line.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "net/words.h"

bool words_split(struct stave_bytes line, struct words *ret_words)
{
    struct words words = {.bytes = message_need(memory_alloc(line.size + 1))};
    struct words_reader reader = {.text = line, .out = words.bytes};
    struct resp_slice slice = {0, 0};
    size_t capacity = 0;
    enum words_result found;
    while ((found = words_read(&reader, &slice)) == WORDS_ONE) {
        if (words.count == capacity) {
            capacity = capacity == 0 ? 16 : 2 * capacity;
            words.list = message_need(memory_realloc(words.list, capacity * sizeof(*words.list)));
        }
        words.list[words.count++] = (struct stave_bytes){words.bytes + slice.offset, slice.size};
    }
    *ret_words = words;
    return found == WORDS_END;
}

void words_free(struct words *words)
{
    memory_free(words->list);
    memory_free(words->bytes);
    *words = (struct words){.list = NULL};
}

enum connection_status line_run_words(struct session *session, const struct words *words)
{
    int64_t times = 1;
    const bool repeats = words->count > 1 && resp_integer(words->list[0], &times) && times > 0;
    enum connection_status status = CONNECTION_OK;
    if (!repeats) times = 1;
    for (int64_t i = 0; i < times && status == CONNECTION_OK && !session->has_ended; i++)
        status = session_run(session, words->list + repeats, words->count - repeats);
    return status;
}

/* One line. True: go on with the next. */
static bool run_line(struct session *session, struct stave_bytes line, enum cli_exit *ret_exit)
{
    struct words words = {.list = NULL};
    bool goes_on = false;
    if (!words_split(line, &words)) {
        message("the quotes of this line do not match: %.*s", (int)line.size, (const char *)line.data);
        *ret_exit = CLI_USAGE;
    } else if (words.count == 0) {
        goes_on = true;
    } else if (!words_is(words.list[0], "exit")) {
        *ret_exit = session_exit_of(session, line_run_words(session, &words));
        goes_on = *ret_exit == CLI_DONE && !session->has_ended;
    }
    words_free(&words);
    return goes_on;
}

enum cli_exit line_run_input(struct session *session)
{
    enum cli_exit result = CLI_DONE;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) >= 0) {
        if (!run_line(session, (struct stave_bytes){line, (size_t)size}, &result)) break;
    }
    free(line);
    return result;
}
