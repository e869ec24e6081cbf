/* SPDX-License-Identifier: MIT */
/*
 * The groups of commands joined into one table: a list sorted by name, a hash of the names, numbers for
 * statistics. And what key specs say.
 */
#include "server/command.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "net/words.h"

#define NAME_SIZE_MAX ((size_t)64)
#define SLOT_COUNT ((size_t)1024)
#define COMMAND_COUNT_MAX ((size_t)512)
#define NUMBER_COUNT_MAX ((size_t)1024)

/* A command or subcommand and its container, by number. */
struct numbered {
    const struct command *command;
    const struct command *container;
};

struct slot {
    const struct command *command;
    size_t number;
};

static struct {
    const struct command *sorted[COMMAND_COUNT_MAX];
    size_t count;
    struct slot slots[SLOT_COUNT];              /* by name_hash(), probed linearly */
    struct numbered numbered[NUMBER_COUNT_MAX]; /* sorted by the address of the command */
    size_t number_count;
} table;

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static size_t name_hash(const uint8_t *name, size_t size)
{
    size_t hash = 5381;
    for (size_t i = 0; i < size; i++) hash = hash * 33 + lower(name[i]);
    return hash;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct command *const *)a)->name, (*(const struct command *const *)b)->name);
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t)((const struct numbered *)a)->command;
    const uintptr_t right = (uintptr_t)((const struct numbered *)b)->command;
    return (left > right) - (left < right);
}

static void add_number(const struct command *command, const struct command *container)
{
    assert(table.number_count < NUMBER_COUNT_MAX);
    table.numbered[table.number_count++] = (struct numbered){command, container};
}

static void add_command(const struct command *command)
{
    assert(table.count < COMMAND_COUNT_MAX);
    table.sorted[table.count++] = command;
    add_number(command, NULL);
    const struct command *sub = command->subcommands;
    for (; sub != NULL && sub->name != NULL; sub++) add_number(sub, command);

    size_t slot = name_hash((const uint8_t *)command->name, strlen(command->name)) % SLOT_COUNT;
    while (table.slots[slot].command != NULL) slot = (slot + 1) % SLOT_COUNT;
    table.slots[slot].command = command;
}

void command_table_build(const struct command *const *groups)
{
    if (table.count > 0) return;
    for (; *groups != NULL; groups++) {
        for (const struct command *command = *groups; command->name != NULL; command++) {
            if (command_find(stave_text(command->name)) == NULL) add_command(command);
        }
    }
    qsort(table.sorted, table.count, sizeof table.sorted[0], by_name);
    qsort(table.numbered, table.number_count, sizeof table.numbered[0], by_address);
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        if (table.slots[i].command != NULL) table.slots[i].number = command_number(table.slots[i].command);
    }
}

const struct command *command_find_numbered(struct stave_bytes name, size_t *ret_number)
{
    if (name.size == 0 || name.size > NAME_SIZE_MAX) return NULL;
    size_t slot = name_hash(name.data, name.size) % SLOT_COUNT;
    for (; table.slots[slot].command != NULL; slot = (slot + 1) % SLOT_COUNT) {
        if (!words_is(name, table.slots[slot].command->name)) continue;
        *ret_number = table.slots[slot].number;
        return table.slots[slot].command;
    }
    return NULL;
}

const struct command *command_find(struct stave_bytes name)
{
    size_t number;
    return command_find_numbered(name, &number);
}

const struct command *command_find_subcommand(const struct command *command, struct stave_bytes name)
{
    if (name.size == 0) return NULL;
    const struct command *sub = command->subcommands;
    for (; sub != NULL && sub->name != NULL; sub++) {
        if (words_is(name, sub->name)) return sub;
    }
    return NULL;
}

const struct command *const *command_list(size_t *ret_count)
{
    *ret_count = table.count;
    return table.sorted;
}

static const struct numbered *numbered_of(const struct command *command)
{
    const struct numbered wanted = {command, NULL};
    return bsearch(&wanted, table.numbered, table.number_count, sizeof wanted, by_address);
}

size_t command_number(const struct command *command)
{
    const struct numbered *found = numbered_of(command);
    assert(found != NULL);
    return (size_t)(found - table.numbered);
}

size_t command_number_count(void)
{
    return table.number_count;
}

void command_full_name(const struct command *command, char *ret_name, size_t size)
{
    const struct numbered *found = numbered_of(command);
    const struct command *container = found != NULL ? found->container : NULL;
    (void)snprintf(ret_name, size, "%s%s%s", container != NULL ? container->name : "",
                   container != NULL ? "|" : "", command->name);
}

/* ------------------------------------------------------------------ keys */

/* Where the keys of a spec begin; 0: nowhere. */
static size_t begin_of(const struct key_spec *spec, const struct stave_bytes *arguments, size_t count)
{
    if (spec->begin == KEY_BEGIN_INDEX) return (size_t)spec->begin_position;
    if (spec->begin != KEY_BEGIN_KEYWORD) return 0;

    const bool backwards = spec->begin_position < 0;
    size_t at = backwards ? count - (size_t)-spec->begin_position : (size_t)spec->begin_position;
    if (backwards && (size_t)-spec->begin_position > count) return 0;
    for (; at > 0 && at < count; at = backwards ? at - 1 : at + 1) {
        if (words_is(arguments[at], spec->begin_keyword)) return at + 1;
    }
    return 0;
}

/* A count among the arguments; -1: none. */
static int64_t count_at(struct stave_bytes text)
{
    const uint8_t *digits = text.data;
    int64_t value = 0;
    if (text.size == 0 || text.size > 9) return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9') return -1;
        value = value * 10 + (digits[i] - '0');
    }
    return value;
}

/* The keys of one spec: first, last and step. False: the arguments do not fit. */
static bool range_of(const struct key_spec *spec, const struct stave_bytes *arguments, size_t count,
                     int64_t *ret_first, int64_t *ret_last, int64_t *ret_step)
{
    int64_t first = (int64_t)begin_of(spec, arguments, count);
    if (first <= 0 || first >= (int64_t)count) return false;

    int64_t last;
    if (spec->find == KEY_FIND_RANGE) {
        last = spec->find_last >= 0 ? first + spec->find_last : (int64_t)count + spec->find_last;
        if (spec->find_last == -1 && spec->find_limit > 1) {
            last = first + ((int64_t)count - first) / spec->find_limit + spec->find_last;
        }
    } else {
        const int64_t at = first + spec->find_last;
        if (spec->find != KEY_FIND_KEYNUM || at >= (int64_t)count) return false;
        const int64_t keys = count_at(arguments[at]);
        if (keys < 0) return false;
        first += spec->find_limit;
        last = first + (keys - 1) * spec->find_step;
    }
    if (last >= (int64_t)count) return false;
    *ret_first = first;
    *ret_last = last;
    *ret_step = spec->find_step > 0 ? spec->find_step : 1;
    return true;
}

int command_keys(const struct command *command, const struct stave_bytes *arguments, size_t count,
                 struct command_key *ret_keys, size_t capacity)
{
    size_t found = 0;
    for (size_t i = 0; i < COMMAND_KEY_SPECS_MAX && command->keys[i].begin != KEY_BEGIN_NONE; i++) {
        const struct key_spec *spec = &command->keys[i];
        int64_t first;
        int64_t last;
        int64_t step;
        if (!range_of(spec, arguments, count, &first, &last, &step)) {
            if (spec->begin == KEY_BEGIN_KEYWORD || spec->begin == KEY_BEGIN_UNKNOWN) continue;
            return -1;
        }
        for (int64_t at = first; at <= last; at += step, found++) {
            if (found < capacity) ret_keys[found] = (struct command_key){(size_t)at, spec->flags};
        }
    }
    return (int)found;
}
