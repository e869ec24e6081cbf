/* SPDX-License-Identifier: MIT */
/* Takes the answer to COMMAND DOCS apart, be its maps those of version 3 or the arrays of version 2. */
#include "cli/docs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "cli/docs_syntax.h"
#include "cli/member.h"
#include "cli/message.h"

enum { NAME_SIZE_MAX = 128 };

#define ANSWER_TIMEOUT_MS 3000.0
#define ANSWER_MEMORY_MAX ((size_t)64 << 20)

/* ------------------------------------------------------------------ commands */

static struct docs_command *add_command(struct docs *docs)
{
    if (docs->count == docs->capacity) {
        docs->capacity = docs->capacity == 0 ? 256 : 2 * docs->capacity;
        docs->commands =
            message_need(memory_realloc(docs->commands, docs->capacity * sizeof(*docs->commands)));
    }
    docs->commands[docs->count] = (struct docs_command){.name = NULL};
    return &docs->commands[docs->count++];
}

/* "config|set" becomes "CONFIG SET". */
static char *shown_name(const struct resp_reader *reader, uint32_t index)
{
    char *const name = member_text(reader, index);
    for (char *at = name; *at != '\0'; at++) *at = *at == '|' ? ' ' : (char)toupper((unsigned char)*at);
    return name;
}

static void take_arguments(struct docs_command *command, const struct resp_reader *reader, uint32_t list)
{
    const struct resp_value *const value = &reader->values[list];
    if (list == 0 || value->type != RESP_ARRAY || value->elements.count == 0) return;
    command->arguments = message_need(memory_alloc_zero(value->elements.count, sizeof(*command->arguments)));
    for (uint32_t i = list + 1; i < value->next; i = reader->values[i].next) {
        command->arguments[command->argument_count++] = (struct docs_argument){
            .text = docs_syntax(reader, i), .is_optional = member_has_flag(reader, i, "optional")};
    }
}

static void take_command(struct docs *docs, const struct resp_reader *reader, uint32_t name, uint32_t map)
{
    struct docs_command *const command = add_command(docs);
    command->name = shown_name(reader, name);
    command->summary = member_text(reader, member_of(reader, map, "summary"));
    command->since = member_text(reader, member_of(reader, map, "since"));
    command->group = member_text(reader, member_of(reader, map, "group"));
    take_arguments(command, reader, member_of(reader, map, "arguments"));
}

/* Names and maps in turn. */
static void take_commands(struct docs *docs, const struct resp_reader *reader, uint32_t list)
{
    const struct resp_value *const value = &reader->values[list];
    if (!member_holds_pairs(value)) return;
    for (uint32_t name = list + 1; name < value->next;) {
        const uint32_t map = reader->values[name].next;
        take_command(docs, reader, name, map);
        name = reader->values[map].next;
    }
}

static void take_subcommands(struct docs *docs, const struct resp_reader *reader, uint32_t list)
{
    const struct resp_value *const value = &reader->values[list];
    for (uint32_t name = list + 1; name < value->next;) {
        const uint32_t map = reader->values[name].next;
        const uint32_t subcommands = member_of(reader, map, "subcommands");
        if (subcommands > 0) take_commands(docs, reader, subcommands);
        name = reader->values[map].next;
    }
}

static int compare_commands(const void *a, const void *b)
{
    return strcmp(((const struct docs_command *)a)->name, ((const struct docs_command *)b)->name);
}

bool docs_load(struct docs *docs, struct connection *connection)
{
    const struct stave_bytes words[] = {stave_text("COMMAND"), stave_text("DOCS")};
    const struct resp_reader *const reader = &connection->reader;
    connection->reader.memory_max = ANSWER_MEMORY_MAX;
    if (connection_send(connection, words, 2) != CONNECTION_OK) return false;
    if (connection_receive(connection, ANSWER_TIMEOUT_MS) != CONNECTION_OK) return false;
    const struct resp_value *const reply = resp_reply(reader);
    const uint32_t index = (uint32_t)(reply - reader->values);
    if (!member_holds_pairs(reply)) return false;
    take_commands(docs, reader, index);
    take_subcommands(docs, reader, index);
    if (docs->count > 0) qsort(docs->commands, docs->count, sizeof(*docs->commands), compare_commands);
    return true;
}

void docs_free(struct docs *docs)
{
    for (size_t i = 0; i < docs->count; i++) {
        struct docs_command *const command = &docs->commands[i];
        for (size_t j = 0; j < command->argument_count; j++) memory_free(command->arguments[j].text);
        memory_free(command->arguments);
        memory_free(command->name);
        memory_free(command->summary);
        memory_free(command->since);
        memory_free(command->group);
    }
    memory_free(docs->commands);
    *docs = (struct docs){.commands = NULL};
}

/* ------------------------------------------------------------------ finding */

static const struct docs_command *find_name(const struct docs *docs, const char *name)
{
    for (size_t i = 0; i < docs->count; i++) {
        if (strcasecmp(docs->commands[i].name, name) == 0) return &docs->commands[i];
    }
    return NULL;
}

const struct docs_command *docs_find(const struct docs *docs, const struct stave_bytes *words, size_t count,
                                     size_t *ret_words_used)
{
    char name[NAME_SIZE_MAX];
    for (size_t used = count < 2 ? count : 2; used > 0; used--) {
        const size_t size = words[0].size + (used == 2 ? words[1].size + 1 : 0);
        if (size >= sizeof(name)) continue;
        memcpy(name, words[0].data, words[0].size);
        if (used == 2) {
            name[words[0].size] = ' ';
            memcpy(name + words[0].size + 1, words[1].data, words[1].size);
        }
        name[size] = '\0';
        const struct docs_command *const found = find_name(docs, name);
        if (found == NULL) continue;
        *ret_words_used = used;
        return found;
    }
    return NULL;
}
