/* SPDX-License-Identifier: MIT */
/* COMMAND, without DOCS. */
#include "server/command.h"

#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "net/words.h"
#include "server/command/help.h"
#include "server/command/server.h"
#include "server/glob.h"

struct word {
    uint32_t bit;
    const char *name;
};

static const struct word flag_words[] = {
    {COMMAND_WRITE, "write"},
    {COMMAND_READONLY, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},
    {COMMAND_ADMIN, "admin"},
    {COMMAND_PUBSUB, "pubsub"},
    {COMMAND_NOSCRIPT, "noscript"},
    {COMMAND_BLOCKING, "blocking"},
    {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},
    {COMMAND_SKIP_MONITOR, "skip_monitor"},
    {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_ASKING, "asking"},
    {COMMAND_FAST, "fast"},
    {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_MAY_REPLICATE, "may_replicate"},
    {COMMAND_NO_ASYNC_LOADING, "no_async_loading"},
    {COMMAND_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {COMMAND_NO_MULTI, "no_multi"},
    {COMMAND_MOVABLEKEYS, "movablekeys"},
    {COMMAND_ALLOW_BUSY, "allow_busy"},
};

static const struct word key_words[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE_FLAGS, "variable_flags"},
};

/* In Redis' order; those without a bit of their own follow from the flags. */
#define DERIVED_ADMIN (1u << 24)
#define DERIVED_FAST (1u << 25)
#define DERIVED_SLOW (1u << 26)
#define DERIVED_BLOCKING (1u << 27)

static const struct word category_words[] = {
    {CATEGORY_KEYSPACE, "@keyspace"},
    {CATEGORY_READ, "@read"},
    {CATEGORY_WRITE, "@write"},
    {CATEGORY_SET, "@set"},
    {CATEGORY_SORTEDSET, "@sortedset"},
    {CATEGORY_LIST, "@list"},
    {CATEGORY_HASH, "@hash"},
    {CATEGORY_STRING, "@string"},
    {CATEGORY_BITMAP, "@bitmap"},
    {CATEGORY_HYPERLOGLOG, "@hyperloglog"},
    {CATEGORY_GEO, "@geo"},
    {CATEGORY_STREAM, "@stream"},
    {CATEGORY_PUBSUB, "@pubsub"},
    {CATEGORY_ADMIN | DERIVED_ADMIN, "@admin"},
    {DERIVED_FAST, "@fast"},
    {DERIVED_SLOW, "@slow"},
    {DERIVED_BLOCKING, "@blocking"},
    {CATEGORY_DANGEROUS | DERIVED_ADMIN, "@dangerous"},
    {CATEGORY_CONNECTION, "@connection"},
    {CATEGORY_TRANSACTION, "@transaction"},
    {CATEGORY_SCRIPTING, "@scripting"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t categories_of(const struct command *command)
{
    uint32_t categories = command->categories;
    if (command->flags & COMMAND_WRITE) categories |= CATEGORY_WRITE;
    if (command->flags & COMMAND_READONLY && !(categories & CATEGORY_SCRIPTING)) categories |= CATEGORY_READ;
    if (command->flags & COMMAND_ADMIN) categories |= DERIVED_ADMIN;
    if (command->flags & COMMAND_PUBSUB) categories |= CATEGORY_PUBSUB;
    if (command->flags & COMMAND_BLOCKING) categories |= DERIVED_BLOCKING;
    return categories | (command->flags & COMMAND_FAST ? DERIVED_FAST : DERIVED_SLOW);
}

static void reply_words(struct reply *reply, uint32_t bits, const struct word *words, size_t word_count)
{
    uint64_t count = 0;
    for (size_t i = 0; i < word_count; i++) count += (bits & words[i].bit) != 0;
    reply_set(reply, count);
    for (size_t i = 0; i < word_count; i++)
        if (bits & words[i].bit) reply_simple(reply, words[i].name);
}

const struct command *command_find_full(struct stave_bytes name)
{
    const char *bar = name.size > 0 ? memchr(name.data, '|', name.size) : NULL;
    if (bar == NULL) return command_find(name);
    const size_t size = (size_t)(bar - (const char *)name.data);
    const struct command *container = command_find(stave_bytes(name.data, size));
    if (container == NULL) return NULL;
    return command_find_subcommand(container, stave_bytes(bar + 1, name.size - size - 1));
}

/* ------------------------------------------------------------------ COMMAND INFO */

struct key_range {
    int first, last, step;
};

/* The three numbers that clients older than key specs read; zeroes if no range covers the keys. */
static struct key_range key_range(const struct command *command)
{
    struct key_range range = {INT_MAX, 0, 1};
    int previous_last = 0;
    for (size_t i = 0; i < COMMAND_KEY_SPECS_MAX; i++) {
        const struct key_spec *spec = &command->keys[i];
        if (spec->begin != KEY_BEGIN_INDEX || spec->find != KEY_FIND_RANGE) continue;
        if (previous_last != 0 && previous_last != spec->begin_position - 1) continue;
        const int last = spec->find_last >= 0 ? spec->begin_position + spec->find_last : spec->find_last;
        if (spec->begin_position < range.first) range.first = spec->begin_position;
        if ((unsigned)last > (unsigned)range.last) range.last = last;
        previous_last = range.last;
        range.step = spec->find_step;
    }
    return range.first == INT_MAX ? (struct key_range){0, 0, 0} : range;
}

static void reply_number(struct reply *reply, const char *name, int number)
{
    reply_text(reply, name);
    reply_integer(reply, number);
}

static void reply_begin_search(struct reply *reply, const struct key_spec *spec)
{
    reply_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_text(reply, "type");
    switch (spec->begin) {
    case KEY_BEGIN_INDEX:
        reply_text(reply, "index");
        reply_text(reply, "spec");
        reply_map(reply, 1);
        reply_number(reply, "index", spec->begin_position);
        break;
    case KEY_BEGIN_KEYWORD:
        reply_text(reply, "keyword");
        reply_text(reply, "spec");
        reply_map(reply, 2);
        reply_text(reply, "keyword");
        reply_text(reply, spec->begin_keyword);
        reply_number(reply, "startfrom", spec->begin_position);
        break;
    default:
        reply_text(reply, "unknown");
        reply_text(reply, "spec");
        reply_map(reply, 0);
        break;
    }
}

static void reply_find_keys(struct reply *reply, const struct key_spec *spec)
{
    reply_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_text(reply, "type");
    switch (spec->find) {
    case KEY_FIND_RANGE:
        reply_text(reply, "range");
        reply_text(reply, "spec");
        reply_map(reply, 3);
        reply_number(reply, "lastkey", spec->find_last);
        reply_number(reply, "keystep", spec->find_step);
        reply_number(reply, "limit", spec->find_limit);
        break;
    case KEY_FIND_KEYNUM:
        reply_text(reply, "keynum");
        reply_text(reply, "spec");
        reply_map(reply, 3);
        reply_number(reply, "keynumidx", spec->find_last);
        reply_number(reply, "firstkey", spec->find_limit);
        reply_number(reply, "keystep", spec->find_step);
        break;
    default:
        reply_text(reply, "unknown");
        reply_text(reply, "spec");
        reply_map(reply, 0);
        break;
    }
}

static void reply_key_specs(struct reply *reply, const struct command *command)
{
    uint64_t count = 0;
    while (count < COMMAND_KEY_SPECS_MAX && command->keys[count].begin != KEY_BEGIN_NONE) count++;
    reply_set(reply, count);
    for (uint64_t i = 0; i < count; i++) {
        const struct key_spec *spec = &command->keys[i];
        reply_map(reply, spec->notes != NULL ? 4 : 3);
        if (spec->notes != NULL) {
            reply_text(reply, "notes");
            reply_text(reply, spec->notes);
        }
        reply_text(reply, "flags");
        reply_words(reply, spec->flags, key_words, COUNT_OF(key_words));
        reply_begin_search(reply, spec);
        reply_find_keys(reply, spec);
    }
}

static void reply_tips(struct reply *reply, const char *tips)
{
    uint64_t count = 0;
    for (const char *at = tips; at != NULL && *at != 0; at += strcspn(at, " "), at += *at == ' ') count++;
    reply_set(reply, count);
    for (const char *at = tips; at != NULL && *at != 0; at += strcspn(at, " "), at += *at == ' ')
        reply_bulk(reply, stave_bytes(at, strcspn(at, " ")));
}

/* All but the last field, the subcommands. */
static void reply_head(struct reply *reply, const struct command *command)
{
    char name[64];
    const struct key_range range = key_range(command);
    command_full_name(command, name, sizeof(name));
    reply_array(reply, 10);
    reply_text(reply, name);
    reply_integer(reply, command->arity);
    reply_words(reply, command->flags, flag_words, COUNT_OF(flag_words));
    reply_integer(reply, range.first);
    reply_integer(reply, range.last);
    reply_integer(reply, range.step);
    reply_words(reply, categories_of(command), category_words, COUNT_OF(category_words));
    reply_tips(reply, command->tips);
    reply_key_specs(reply, command);
}

static void reply_command(struct reply *reply, const struct command *command)
{
    uint64_t count = 0;
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) count++;
    reply_head(reply, command);
    reply_set(reply, count);
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
        reply_head(reply, sub);
        reply_set(reply, 0);
    }
}

enum stave_status command_all(struct call *call)
{
    size_t count = 0;
    const struct command *const *commands = command_list(&count);
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_command(call->reply, commands[i]);
    return STAVE_OK;
}

enum stave_status command_info(struct call *call)
{
    if (call->argument_count == 2) return command_all(call);
    reply_array(call->reply, call->argument_count - 2);
    for (size_t i = 2; i < call->argument_count; i++) {
        const struct command *command = command_find_full(call->arguments[i]);
        if (command != NULL)
            reply_command(call->reply, command);
        else
            reply_null(call->reply);
    }
    return STAVE_OK;
}

enum stave_status command_count(struct call *call)
{
    size_t count = 0;
    command_list(&count);
    reply_integer(call->reply, (int64_t)count);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ COMMAND LIST */

enum filter_kind { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

static bool has_category(const struct command *command, struct stave_bytes name)
{
    const uint32_t categories = categories_of(command);
    for (size_t i = 0; i < COUNT_OF(category_words); i++) {
        const char *word = category_words[i].name + 1;
        if (words_is(name, word)) return (categories & category_words[i].bit) != 0;
    }
    return false;
}

static bool fits(const struct command *command, enum filter_kind filter, struct stave_bytes value)
{
    char name[64];
    command_full_name(command, name, sizeof(name));
    switch (filter) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false;
    case FILTER_CATEGORY: return has_category(command, value);
    default: return glob_matches(value, stave_text(name), true);
    }
}

/* Writes the names that fit, or counts them alone. */
static uint64_t list_names(struct reply *reply, enum filter_kind filter, struct stave_bytes value)
{
    size_t count = 0;
    uint64_t found = 0;
    const struct command *const *commands = command_list(&count);
    for (size_t i = 0; i < count; i++) {
        const struct command *sub = commands[i]->subcommands;
        for (const struct command *at = commands[i]; at != NULL && at->name != NULL;
             at = at == commands[i] ? sub : at + 1) {
            if (!fits(at, filter, value)) continue;
            char name[64];
            command_full_name(at, name, sizeof(name));
            if (reply != NULL) reply_text(reply, name);
            found++;
        }
    }
    return found;
}

enum stave_status command_list_names(struct call *call)
{
    enum filter_kind filter = FILTER_NONE;
    struct stave_bytes value = {NULL, 0};
    if (call->argument_count == 5 && call_is(call, 2, "filterby")) {
        value = call->arguments[4];
        if (call_is(call, 3, "module"))
            filter = FILTER_MODULE;
        else if (call_is(call, 3, "aclcat"))
            filter = FILTER_CATEGORY;
        else if (call_is(call, 3, "pattern"))
            filter = FILTER_PATTERN;
        else
            return call_syntax_error(call);
    } else if (call->argument_count != 2) {
        return call_syntax_error(call);
    }
    reply_array(call->reply, list_names(NULL, filter, value));
    list_names(call->reply, filter, value);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ COMMAND GETKEYS */

static bool has_word(const struct stave_bytes *arguments, size_t first, size_t count, const char *word)
{
    for (size_t i = first; i < count; i++)
        if (words_is(arguments[i], word)) return true;
    return false;
}

/*
 * What is done to a key where it depends on the options: SET reads with GET, BITFIELD writes unless all are
 * GET.
 */
static uint32_t key_flags(const struct command *command, const struct stave_bytes *arguments, size_t count,
                          uint32_t flags)
{
    if (!(flags & KEY_VARIABLE_FLAGS)) return flags;
    if (strcmp(command->name, "set") == 0)
        return has_word(arguments, 3, count, "get") ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_OW | KEY_UPDATE;
    const bool writes = has_word(arguments, 2, count, "set") || has_word(arguments, 2, count, "incrby");
    return writes ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_RO | KEY_ACCESS;
}

static enum stave_status reply_keys(struct call *call, bool with_flags)
{
    const struct stave_bytes *arguments = call->arguments + 2;
    const size_t count = call->argument_count - 2;
    const struct command *command = command_find(arguments[0]);
    if (command != NULL && command->subcommands != NULL && count > 1)
        command = command_find_subcommand(command, arguments[1]);
    if (command == NULL) return call_error(call, "ERR Invalid command specified");
    if (command->keys[0].begin == KEY_BEGIN_NONE)
        return call_error(call, "ERR The command has no key arguments");
    if (!command_takes(command, count))
        return call_error(call, "ERR Invalid number of arguments specified for command");
    struct command_key *keys = memory_alloc(count * sizeof(*keys));
    if (keys == NULL) return STAVE_NO_MEMORY;
    const int found = command_keys(command, arguments, count, keys, count);
    if (found < 0) {
        memory_free(keys);
        return call_error(call, "ERR Invalid arguments specified for command");
    }
    reply_array(call->reply, (uint64_t)found);
    for (int i = 0; i < found; i++) {
        if (with_flags) reply_array(call->reply, 2);
        reply_bulk(call->reply, arguments[keys[i].index]);
        if (with_flags)
            reply_words(call->reply, key_flags(command, arguments, count, keys[i].flags), key_words,
                        COUNT_OF(key_words));
    }
    memory_free(keys);
    return STAVE_OK;
}

enum stave_status command_getkeys(struct call *call)
{
    return reply_keys(call, false);
}

enum stave_status command_getkeysandflags(struct call *call)
{
    return reply_keys(call, true);
}

enum stave_status command_help(struct call *call)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    What INFO says of every command.",
        "COUNT",
        "    How many commands there are.",
        "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    The names of the commands.",
        "INFO [<command-name> ...]",
        "    Arity, flags, keys and categories of these commands, or of all.",
        "DOCS [<command-name> ...]",
        "    Summary and arguments of these commands, or of all.",
        "GETKEYS <full-command>",
        "    Which arguments are keys.",
        "GETKEYSANDFLAGS <full-command>",
        "    The same, with what is done to them.",
        NULL,
    };
    return help_reply(call, lines);
}
