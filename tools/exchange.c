/* SPDX-License-Identifier: MIT */
/* The table of formats. */
#include "tools/exchange.h"

#include "tools/jsonl.h"
#include "tools/resp_set.h"
#include "tools/tsv.h"

static const struct exchange exchanges[] = {
    {"jsonl", jsonl_write, jsonl_parse},
    {"tsv", tsv_write, tsv_parse},
    {"resp", resp_set_write, NULL},
};

enum tool_exit exchange_find(const struct tool *tool, const struct exchange **ret_exchange)
{
    const char *name = tool->arguments.values[OPTION_FORMAT];
    if (name == NULL) name = exchanges[0].name;
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        if (strcmp(exchanges[i].name, name) != 0) continue;
        *ret_exchange = &exchanges[i];
        return TOOL_DONE;
    }
    return tool_usage(tool, "--format: jsonl, tsv or resp is needed, not \"%s\"", name);
}
