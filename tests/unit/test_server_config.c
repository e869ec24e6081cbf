/* SPDX-License-Identifier: MIT */
/*
 * server/config.h (F1 to F3), server/command/syntax.h (SX1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/command.h"
#include "server/command/groups.h"
#include "server/command/syntax.h"
#include "server/config.h"
#include "server/config_table.h"
#include "support/scratch.h"

struct setup {
    struct scratch scratch;
    struct config config;
    struct buffer warnings;
    char error[CONFIG_ERROR_SIZE];
};

static int set_up(void **state)
{
    struct setup *setup = memory_alloc_zero(1, sizeof(*setup));
    scratch_make(&setup->scratch);
    assert_int_equal(config_init(&setup->config), STAVE_OK);
    *state = setup;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *setup = *state;
    config_free(&setup->config);
    buffer_free(&setup->warnings);
    scratch_remove(&setup->scratch);
    memory_free(setup);
    return 0;
}

static void write_file(struct setup *setup, const char *name, const char *text, char path[SCRATCH_PATH_SIZE])
{
    scratch_path(&setup->scratch, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static enum stave_status load(struct setup *setup, int count, const char **arguments)
{
    return config_load(&setup->config, count, (char **)arguments, &setup->warnings, setup->error);
}

static enum stave_status load_text(struct setup *setup, const char *text, char path[SCRATCH_PATH_SIZE])
{
    write_file(setup, "test.conf", text, path);
    const char *arguments[] = {"stave-server", path};
    return load(setup, 2, arguments);
}

struct found {
    char value[512];
    size_t count;
};

static void take(void *context, const char *name, const char *value)
{
    struct found *found = context;
    (void)name;
    found->count++;
    snprintf(found->value, sizeof(found->value), "%s", value);
}

static const char *value_of(struct setup *setup, const char *name, struct found *found)
{
    *found = (struct found){.count = 0};
    assert_int_equal(config_get(&setup->config, stave_text(name), take, found), STAVE_OK);
    assert_int_equal(found->count, 1);
    return found->value;
}

static enum stave_status set(struct setup *setup, const char *name, const char *value, uint32_t *ret_effects)
{
    const struct stave_bytes pair[] = {stave_text(name), stave_text(value)};
    return config_set(&setup->config, pair, 1, false, ret_effects, setup->error);
}

/* ------------------------------------------------------------------ loading */

static void defaults_are_safe(void **state)
{
    struct setup *setup = *state;
    struct found found;
    assert_string_equal(setup->config.bind, "127.0.0.1 -::1");
    assert_true(setup->config.protected_mode);
    assert_true(setup->config.maxmemory_clients > 0);
    assert_true(setup->config.output_limits[CLIENT_CLASS_NORMAL].hard_size > 0);
    assert_int_equal(setup->config.enable_debug_command, CONFIG_ACCESS_NO);
    assert_string_equal(value_of(setup, "hash-max-ziplist-value", &found), "64");
}

static void a_file_is_read_with_quotes_comments_and_includes(void **state)
{
    struct setup *setup = *state;
    char included[SCRATCH_PATH_SIZE];
    char path[SCRATCH_PATH_SIZE];
    char text[2048];
    write_file(setup, "other.conf", "timeout 77\nrequirepass \"a \\x41\\n\"\n", included);
    snprintf(text, sizeof(text),
             "# comment\n\n  port 7000  \ninclude %s\nsave 60 1\nsave 300 10\nMaxMemory 2gb\n", included);
    assert_int_equal(load_text(setup, text, path), STAVE_OK);
    assert_int_equal(setup->config.port, 7000);
    assert_int_equal(setup->config.timeout, 77);
    assert_string_equal(setup->config.requirepass, "a A\n");
    assert_int_equal(setup->config.maxmemory, INT64_C(2147483648));
    assert_int_equal(setup->config.period_count, 2);
    assert_int_equal(setup->config.periods[1].seconds, 300);
    assert_non_null(setup->config.file);
}

static void a_typing_error_names_file_and_line(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    assert_int_equal(load_text(setup, "port 7000\n\ntimeuot 10\n", path), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "test.conf:3"));
    assert_non_null(strstr(setup->error, "timeuot"));
    assert_int_equal(load_text(setup, "timeout ten\n", path), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "test.conf:1"));
    assert_int_equal(load_text(setup, "requirepass \"open\n", path), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "test.conf:1"));
    assert_int_equal(load_text(setup, "timeout\n", path), STAVE_INVALID);
}

static void a_file_that_includes_itself_is_an_error(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    char text[SCRATCH_PATH_SIZE + 20];
    scratch_path(&setup->scratch, "test.conf", path);
    snprintf(text, sizeof(text), "include %s\n", path);
    assert_int_equal(load_text(setup, text, path), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "too deeply"));
}

static void errors_name_the_line_and_no_secret(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    assert_int_equal(load_text(setup, "port 1\n  requirepass \"sec ret\n", path), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "test.conf:2: 'requirepass': unbalanced quotes"));
    assert_null(strstr(setup->error, "sec"));
    assert_int_equal(load_text(setup, "port 1\n\ninclude /no/such.conf\n", path), STAVE_INVALID);
    assert_non_null(
        strstr(setup->error, "test.conf:3: 'include': cannot open the configuration file /no/such.conf"));
    const char *wrong[] = {"stave-server", "-port", "7001"};
    assert_int_equal(load(setup, 3, wrong), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "'-port' is no option"));
}

static void options_of_the_command_line_come_last_and_win(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    write_file(setup, "test.conf", "port 7000\ntimeout 5\n", path);
    const char *arguments[] = {"stave-server", path,        "--port", "7001", "--bind",
                               "::1",          "127.0.0.1", "--save", ""};
    assert_int_equal(load(setup, 9, arguments), STAVE_OK);
    assert_int_equal(setup->config.port, 7001);
    assert_int_equal(setup->config.timeout, 5);
    assert_string_equal(setup->config.bind, "::1 127.0.0.1");
    assert_int_equal(setup->config.period_count, 0);
    const char *wrong[] = {"stave-server", "--prot", "7001"};
    assert_int_equal(load(setup, 3, wrong), STAVE_INVALID);
    assert_non_null(strstr(setup->error, "--prot"));
}

static void what_has_no_effect_is_accepted_with_a_warning(void **state)
{
    struct setup *setup = *state;
    struct found found;
    char path[SCRATCH_PATH_SIZE];
    assert_int_equal(load_text(setup, "appendonly yes\nrdbcompression no\n", path), STAVE_OK);
    assert_int_equal(buffer_append_zero(&setup->warnings, 1), STAVE_OK);
    assert_non_null(strstr((char *)setup->warnings.data, "test.conf:2: 'rdbcompression'"));
    assert_null(strstr((char *)setup->warnings.data, "appendonly"));
    assert_string_equal(value_of(setup, "rdbcompression", &found), "no");
}

static void a_typing_error_in_a_value_without_effect_is_an_error(void **state)
{
    struct setup *setup = *state;
    static const struct {
        const char *line;
        const char *error;
    } wrong[] = {
        {"rdbcompression yess", "argument must be 'yes' or 'no'"},
        {"maxmemory-samples five", "argument couldn't be parsed into an integer"},
        {"maxmemory-samples 0", "argument must be between 1 and 2147483647 inclusive"},
        {"repl-backlog-size 1megabyte", "argument must be a memory value"},
        {"oom-score-adj nope", "argument(s) must be one of the following: no, yes, relative, absolute"},
        {"shutdown-on-sigterm now nope", "argument(s) must be one of the following: default, save"},
        {"syslog-ident two words", "wrong number of arguments"},
    };
    char path[SCRATCH_PATH_SIZE];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(load_text(setup, wrong[i].line, path), STAVE_INVALID);
        assert_non_null(strstr(setup->error, "test.conf:1"));
        assert_non_null(strstr(setup->error, wrong[i].error));
    }
    const char *arguments[] = {"stave-server", "--maxmemory-samples", "many"};
    assert_int_equal(load(setup, 3, arguments), STAVE_INVALID);
}

static void a_value_without_effect_is_read_and_written_as_redis_does(void **state)
{
    struct setup *setup = *state;
    struct found found;
    char path[SCRATCH_PATH_SIZE];
    uint32_t effects = 1;
    assert_int_equal(
        load_text(setup, "rdbcompression NO\nrepl-backlog-size 2mb\nshutdown-on-sigint nosave now\n", path),
        STAVE_OK);
    assert_string_equal(value_of(setup, "rdbcompression", &found), "no");
    assert_string_equal(value_of(setup, "repl-backlog-size", &found), "2097152");
    assert_string_equal(value_of(setup, "shutdown-on-sigint", &found), "nosave now");
    assert_int_equal(set(setup, "repl-backlog-size", "3kb", &effects), STAVE_OK);
    assert_int_equal(effects, 0);
    assert_int_equal(set(setup, "repl-backlog-size", "0", &effects), STAVE_INVALID);
    assert_int_equal(set(setup, "rdbchecksum", "yes", &effects), STAVE_INVALID);
    assert_string_equal(value_of(setup, "repl-backlog-size", &found), "3072");
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_OK);
    char text[512];
    read_file(path, text, sizeof(text));
    assert_non_null(strstr(text, "repl-backlog-size 3kb\n"));
}

static void what_would_leave_the_user_less_safe_is_refused(void **state)
{
    struct setup *setup = *state;
    static const char *const lines[] = {"aclfile /etc/users.acl\n",      "tls-port 6380\n",
                                        "rename-command FLUSHALL x\n",   "replicaof 10.0.0.1 6379\n",
                                        "cluster-enabled yes\n",         "user joe on nopass\n",
                                        "maxmemory-policy allkeys-lru\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char path[SCRATCH_PATH_SIZE];
        assert_int_equal(load_text(setup, lines[i], path), STAVE_INVALID);
        assert_non_null(strstr(setup->error, "test.conf:1"));
    }
    char path[SCRATCH_PATH_SIZE];
    assert_int_equal(load_text(setup, "tls-port 0\ncluster-enabled no\nmaxmemory-policy noeviction\n", path),
                     STAVE_OK);
}

static void expect_default(void *context, const char *name, const char *value)
{
    struct setup *setup = context;
    struct config *defaults = &setup->config;
    struct found found = {.count = 0};
    assert_int_equal(config_get(defaults, stave_text(name), take, &found), STAVE_OK);
    if (strcmp(found.value, value) != 0) fail_msg("%s: '%s' instead of '%s'", name, value, found.value);
}

/* A directive stands on a line of its own below a comment; one without effect is named in a list of those. */
static void expect_explained(const char *text, const struct directive *directive)
{
    const bool has_effect =
        (directive->flags & DIRECTIVE_IGNORED) == 0 && directive->type != DIRECTIVE_REFUSED;
    const char mark = has_effect ? '\n' : ' ';
    const size_t size = strlen(directive->name);
    for (const char *at = strstr(text, directive->name); at != NULL; at = strstr(at + 1, directive->name)) {
        if (at[-1] != mark || (at[size] != ' ' && at[size] != '\n')) continue;
        if (!has_effect) return;
        /* Directives that belong together share a comment; an empty line ends them. */
        const char *line = at;
        while (line > text && line[0] != '#' && strncmp(line - 2, "\n\n", 2) != 0)
            for (line--; line > text && line[-1] != '\n'; line--) continue;
        if (line[0] != '#') fail_msg("%s is not explained", directive->name);
        return;
    }
    fail_msg("%s is not in it", directive->name);
}

static void the_example_file_gives_every_directive_its_default(void **state)
{
    struct setup *setup = *state;
    char error[CONFIG_ERROR_SIZE] = "";
    char text[32768];
    const char *arguments[] = {"stave-server", TEST_SOURCE_DIR "/examples/stave.conf"};
    struct config loaded;
    struct buffer warnings = BUFFER_NONE;
    assert_int_equal(config_init(&loaded), STAVE_OK);
    if (config_load(&loaded, 2, (char **)arguments, &warnings, error) != STAVE_OK) fail_msg("%s", error);
    assert_int_equal(warnings.size, 0);
    assert_int_equal(config_get(&loaded, stave_text("*"), expect_default, setup), STAVE_OK);
    config_free(&loaded);

    read_file(arguments[1], text, sizeof(text));
    for (int i = 0; config_directives[i].name != NULL; i++) expect_explained(text, &config_directives[i]);
}

/* ------------------------------------------------------------------ changing */

static void a_change_that_fails_in_part_changes_nothing(void **state)
{
    struct setup *setup = *state;
    uint32_t effects = 0;
    const struct stave_bytes pairs[] = {stave_text("timeout"), stave_text("9"), stave_text("hz"),
                                        stave_text("x")};
    assert_int_equal(config_set(&setup->config, pairs, 2, false, &effects, setup->error), STAVE_INVALID);
    assert_int_equal(setup->config.timeout, 0);
    assert_int_equal(config_set(&setup->config, pairs, 1, false, &effects, setup->error), STAVE_OK);
    assert_int_equal(setup->config.timeout, 9);
}

static void a_change_says_what_it_affects(void **state)
{
    struct setup *setup = *state;
    uint32_t effects = 0;
    assert_int_equal(set(setup, "appendfsync", "always", &effects), STAVE_OK);
    assert_int_equal(effects, CONFIG_EFFECT_SYNC);
    assert_int_equal(set(setup, "timeout", "3", &effects), STAVE_OK);
    assert_int_equal(effects, 0);
    assert_int_equal(set(setup, "databases", "3", &effects), STAVE_INVALID);
    assert_int_equal(set(setup, "dir", "/", &effects), STAVE_INVALID);
}

static void rewriting_keeps_comments_and_adds_what_is_new(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    char text[4096];
    uint32_t effects = 0;
    assert_int_equal(load_text(setup, "# mine\nport 7000\n\n# twice\ntimeout 1\ntimeout 2\n", path),
                     STAVE_OK);
    assert_int_equal(set(setup, "timeout", "33", &effects), STAVE_OK);
    assert_int_equal(set(setup, "requirepass", "a \"b\"", &effects), STAVE_OK);
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_OK);
    read_file(path, text, sizeof(text));
    assert_non_null(strstr(text, "# mine\nport 7000\n\n# twice\ntimeout 33\n"));
    assert_null(strstr(text, "timeout 2"));
    assert_null(strstr(strstr(text, "timeout 33") + 1, "timeout")); /* W2 */

    struct config before = setup->config;
    assert_int_equal(config_init(&setup->config), STAVE_OK);
    const char *arguments[] = {"stave-server", path};
    assert_int_equal(load(setup, 2, arguments), STAVE_OK);
    assert_string_equal(setup->config.requirepass, "a \"b\"");
    assert_int_equal(setup->config.timeout, 33);

    /* Once more: nothing is added twice. */
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_OK);
    char again[4096];
    read_file(path, again, sizeof(again));
    assert_string_equal(text, again);
    config_free(&before);
}

static void rewriting_the_example_changes_nothing(void **state)
{
    struct setup *setup = *state;
    char path[SCRATCH_PATH_SIZE];
    char example[32768];
    char text[32768];
    read_file(TEST_SOURCE_DIR "/examples/stave.conf", example, sizeof(example));
    assert_int_equal(load_text(setup, example, path), STAVE_OK);
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_OK);
    read_file(path, text, sizeof(text));
    assert_string_equal(text, example);

    static const char odd[] = "maxmemory 1537kb\nmaxmemory-clients 10%\nmax-disk 1025\n";
    assert_int_equal(load_text(setup, odd, path), STAVE_OK);
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_OK);
    read_file(path, text, sizeof(text));
    assert_memory_equal(text, odd, strlen(odd));
}

static void without_a_file_there_is_nothing_to_rewrite(void **state)
{
    struct setup *setup = *state;
    assert_int_equal(config_rewrite(&setup->config, setup->error), STAVE_INVALID);
    assert_string_equal(setup->error, "The server is running without a config file");
}

/* ------------------------------------------------------------------ syntax */

static void arguments_are_parsed_into_a_tree(void **state)
{
    (void)state;
    struct syntax syntax;
    assert_true(syntax_parse("key value [NX | XX] [EX seconds | KEEPTTL] [more ...]", &syntax));
    assert_int_equal(syntax_child_count(&syntax, 0), 5);
    const size_t key = syntax.nodes[0].first_child;
    const size_t condition = syntax.nodes[syntax.nodes[key].next].next;
    assert_int_equal(syntax.nodes[condition].kind, SYNTAX_ONE_OF);
    assert_true(syntax.nodes[condition].is_optional);
    assert_int_equal(syntax_child_count(&syntax, condition), 2);
    const size_t expiry = syntax.nodes[condition].next;
    const size_t seconds = syntax.nodes[expiry].first_child;
    assert_memory_equal(syntax.nodes[seconds].name, "seconds", 7);
    assert_memory_equal(syntax.nodes[seconds].token, "EX", 2);
    assert_false(syntax_parse("[key", &syntax));
    assert_false(syntax_parse("key]", &syntax));
    assert_false(syntax_parse("...", &syntax));
    assert_true(syntax_parse("ON | OFF", &syntax));
    assert_int_equal(syntax_child_count(&syntax, 0), 1);
}

static void the_arguments_of_every_command_can_be_parsed(void **state)
{
    (void)state;
    size_t count = 0;
    command_table_build(command_groups);
    const struct command *const *commands = command_list(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        const struct command *sub = commands[i]->subcommands;
        for (const struct command *at = commands[i]; at != NULL && at->name != NULL;
             at = at == commands[i] ? sub : at + 1) {
            struct syntax syntax;
            if (at->arguments != NULL && !syntax_parse(at->arguments, &syntax))
                fail_msg("%s: %s", at->name, at->arguments);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_safe),
        TEST(a_file_is_read_with_quotes_comments_and_includes),
        TEST(a_typing_error_names_file_and_line),
        TEST(a_file_that_includes_itself_is_an_error),
        TEST(errors_name_the_line_and_no_secret),
        TEST(options_of_the_command_line_come_last_and_win),
        TEST(what_has_no_effect_is_accepted_with_a_warning),
        TEST(a_typing_error_in_a_value_without_effect_is_an_error),
        TEST(a_value_without_effect_is_read_and_written_as_redis_does),
        TEST(what_would_leave_the_user_less_safe_is_refused),
        TEST(the_example_file_gives_every_directive_its_default),
        TEST(a_change_that_fails_in_part_changes_nothing),
        TEST(a_change_says_what_it_affects),
        TEST(rewriting_keeps_comments_and_adds_what_is_new),
        TEST(rewriting_the_example_changes_nothing),
        TEST(without_a_file_there_is_nothing_to_rewrite),
        cmocka_unit_test(arguments_are_parsed_into_a_tree),
        cmocka_unit_test(the_arguments_of_every_command_can_be_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
