/* SPDX-License-Identifier: MIT */
/* COMMAND DOCS. */
#include <ctype.h>
#include <string.h>

#include "server/command/server.h"
#include "server/command/syntax.h"

/* ------------------------------------------------------------------ arguments */

static bool is_word(const struct syntax_node *node, const char *word)
{
    return node->name_size == strlen(word) && memcmp(node->name, word, node->name_size) == 0;
}

static bool is_key(const struct syntax_node *node)
{
    return node->kind == SYNTAX_WORD && node->name_size >= 3 &&
           (memcmp(node->name, "key", 3) == 0 || memcmp(node->name + node->name_size - 3, "key", 3) == 0 ||
            is_word(node, "source") || is_word(node, "destination"));
}

static bool is_integer(const struct command *command, const struct syntax_node *node)
{
    static const char *const words[] = {"seconds", "milliseconds",   "index",     "offset",    "start",
                                        "end",     "count",          "decrement", "cursor",    "bit",
                                        "db",      "destination-db", "timeout",   "client-id", "protover",
                                        "index1",  "index2",         "len",       "increment"};
    if ((command->categories & CATEGORY_BITMAP) != 0 && is_word(node, "value")) return true;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (is_word(node, words[i])) return true;
    return false;
}

static const char *type_of(const struct command *command, const struct syntax_node *node)
{
    switch (node->kind) {
    case SYNTAX_TOKEN: return "pure-token";
    case SYNTAX_BLOCK: return "block";
    case SYNTAX_ONE_OF: return "oneof";
    default: break;
    }
    if (is_key(node)) return "key";
    if (is_word(node, "pattern")) return "pattern";
    if (node->name_size > 9 && memcmp(node->name, "unix-time", 9) == 0) return "unix-time";
    if (is_word(node, "increment") && strcmp(command->name, "incrbyfloat") == 0) return "double";
    return is_integer(command, node) ? "integer" : "string";
}

/* Names are in lower case, also those of tokens. */
static void reply_lower(struct reply *reply, const char *name, size_t size)
{
    char text[64];
    if (size >= sizeof(text)) size = sizeof(text) - 1;
    for (size_t i = 0; i < size; i++) text[i] = (char)tolower((unsigned char)name[i]);
    reply_bulk(reply, stave_bytes(text, size));
}

static int64_t key_spec_count(const struct command *command)
{
    int64_t count = 0;
    while (count < COMMAND_KEY_SPECS_MAX && command->keys[count].begin != KEY_BEGIN_NONE) count++;
    return count;
}

/*
 * All of a node but its children, which are to follow if there are any. `*next_key` counts the keys: the
 * first belongs to the first specification, and so on; what comes behind the last of them to that.
 */
static void reply_node(struct reply *reply, const struct command *command, const struct syntax *syntax,
                       size_t index, int64_t *next_key)
{
    const struct syntax_node *node = &syntax->nodes[index];
    const bool is_token = node->kind == SYNTAX_TOKEN;
    const char *token = is_token ? node->name : node->token;
    const uint64_t flag_count = (uint64_t)node->is_optional + (uint64_t)node->is_multiple;
    const char *type = type_of(command, node);
    const int64_t spec_count = key_spec_count(command);
    const bool has_spec = spec_count > 0 && strcmp(type, "key") == 0;
    reply_map(reply, 2 + (uint64_t)has_spec + (token != NULL) + (flag_count > 0) + (node->first_child != 0));
    reply_text(reply, "name");
    reply_lower(reply, node->name, node->name_size);
    reply_text(reply, "type");
    reply_text(reply, type);
    if (has_spec) {
        reply_text(reply, "key_spec_index");
        reply_integer(reply, *next_key < spec_count ? *next_key : spec_count - 1);
        ++*next_key;
    }
    if (token != NULL) {
        reply_text(reply, "token");
        reply_bulk(reply, stave_bytes(token, is_token ? node->name_size : node->token_size));
    }
    if (flag_count > 0) {
        reply_text(reply, "flags");
        reply_set(reply, flag_count);
        if (node->is_optional) reply_simple(reply, "optional");
        if (node->is_multiple) reply_simple(reply, "multiple");
    }
    if (node->first_child != 0) {
        reply_text(reply, "arguments");
        reply_array(reply, syntax_child_count(syntax, index));
    }
}

static void reply_arguments(struct reply *reply, const struct command *command, const struct syntax *syntax)
{
    int64_t next_key = 0;
    size_t open[SYNTAX_DEPTH_MAX * 2]; /* nodes whose siblings are still to come */
    size_t depth = 0;
    size_t at = syntax->nodes[0].first_child;
    reply_array(reply, syntax_child_count(syntax, 0));
    while (at != 0) {
        const struct syntax_node *node = &syntax->nodes[at];
        reply_node(reply, command, syntax, at, &next_key);
        if (node->first_child != 0 && depth < sizeof(open) / sizeof(open[0])) {
            open[depth++] = node->next;
            at = node->first_child;
            continue;
        }
        at = node->next;
        while (at == 0 && depth > 0) at = open[--depth];
    }
}

/* ------------------------------------------------------------------ one command */

static void reply_pair(struct reply *reply, const char *name, const char *text)
{
    if (text == NULL) return;
    reply_text(reply, name);
    reply_text(reply, text);
}

static uint64_t subcommand_count(const struct command *command)
{
    uint64_t count = 0;
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) count++;
    return count;
}

static void reply_one(struct reply *reply, const struct command *command)
{
    struct syntax syntax;
    const bool has_arguments = command->arguments != NULL && syntax_parse(command->arguments, &syntax);
    const bool is_deprecated = command->deprecated_since != NULL;
    const uint64_t subcommands = subcommand_count(command);
    const char *const texts[] = {command->summary, command->since, command->group, command->complexity};
    uint64_t count = (uint64_t)has_arguments + (subcommands > 0) + (is_deprecated ? 2 : 0) +
                     (is_deprecated && command->replaced_by != NULL);
    for (size_t i = 0; i < 4; i++) count += texts[i] != NULL;
    reply_map(reply, count);
    reply_pair(reply, "summary", command->summary);
    reply_pair(reply, "since", command->since);
    reply_pair(reply, "group", command->group);
    reply_pair(reply, "complexity", command->complexity);
    if (is_deprecated) {
        reply_text(reply, "doc_flags");
        reply_set(reply, 1);
        reply_simple(reply, "deprecated");
        reply_pair(reply, "deprecated_since", command->deprecated_since);
        reply_pair(reply, "replaced_by", command->replaced_by);
    }
    if (has_arguments) {
        reply_text(reply, "arguments");
        reply_arguments(reply, command, &syntax);
    }
    if (subcommands > 0) {
        reply_text(reply, "subcommands");
        reply_map(reply, subcommands);
    }
}

/* A command with its subcommands, of which none has any. */
static void reply_docs(struct reply *reply, const struct command *command)
{
    char name[64];
    command_full_name(command, name, sizeof(name));
    reply_text(reply, name);
    reply_one(reply, command);
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
        command_full_name(sub, name, sizeof(name));
        reply_text(reply, name);
        reply_one(reply, sub);
    }
}

enum stave_status command_docs(struct call *call)
{
    size_t count = 0;
    if (call->argument_count == 2) {
        const struct command *const *commands = command_list(&count);
        reply_map(call->reply, count);
        for (size_t i = 0; i < count; i++) reply_docs(call->reply, commands[i]);
        return STAVE_OK;
    }
    for (size_t i = 2; i < call->argument_count; i++) count += command_find_full(call->arguments[i]) != NULL;
    reply_map(call->reply, count);
    for (size_t i = 2; i < call->argument_count; i++) {
        const struct command *command = command_find_full(call->arguments[i]);
        if (command != NULL) reply_docs(call->reply, command);
    }
    return STAVE_OK;
}
