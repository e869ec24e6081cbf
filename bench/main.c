/* SPDX-License-Identifier: MIT */
/* stave-bench: Stave beside other embedded stores, in the same run. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "phase.h"
#include "report.h"
#include "scenario.h"
#include "workload.h"

enum {
    THREADS_LIST_MAX = 8,
    DISK_FACTOR = 12, /* free space wanted, in live bytes: the widest engine in the middle of its work */
};

static const char usage[] = "usage: stave-bench [options]\n"
                            "  --keys N          keys of a store (1000000)\n"
                            "  --key-size N      bytes of a key (16)\n"
                            "  --value-size N    bytes of a value (100)\n"
                            "  --operations N    most gets, batched writes and deletes (2000000)\n"
                            "  --sync-keys N     keys in mode always (2000)\n"
                            "  --threads A,B     numbers of threads, one table each (1,2)\n"
                            "  --modes A,B       none, always (both)\n"
                            "  --repeat N        repetitions; the median is shown (3)\n"
                            "  --engines A,B     of those built in (all)\n"
                            "  --dir PATH        where stores are made, and removed (/tmp)\n"
                            "  --json            every value, one object a line, instead of tables\n";

struct settings {
    uint64_t key_count;
    uint64_t key_size;
    uint64_t value_size;
    uint64_t operation_count_max;
    uint64_t always_key_count;
    uint64_t repeat_count;
    uint64_t threads[THREADS_LIST_MAX];
    size_t thread_list_count;
    bool none;
    bool always;
    bool json;
    const char *directory;
    const struct engine *engines[REPORT_ENGINE_COUNT_MAX];
    size_t engine_count;
};

static void stop(int number)
{
    (void)number;
    scenario_stop = 1;
}

static void handle_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stop;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "stave-bench: %s: %s\n%s", what, value, usage);
    exit(2);
}

static uint64_t number_of(const char *text, const char *option, uint64_t low, uint64_t high)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value < low || value > high)
        refuse(option, text);
    return value;
}

static const struct engine *engine_named(const char *name)
{
    for (size_t i = 0; engine_list[i] != NULL; i++)
        if (strcmp(engine_list[i]->name, name) == 0) return engine_list[i];
    refuse("no such engine was built in", name);
}

/* Stave goes first whatever the order: ratios are to the first. */
static void add_engine(struct settings *settings, const struct engine *engine)
{
    if (settings->engine_count == REPORT_ENGINE_COUNT_MAX) refuse("too many engines", engine->name);
    settings->engines[settings->engine_count++] = engine;
    if (engine != engine_list[0]) return;
    settings->engines[settings->engine_count - 1] = settings->engines[0];
    settings->engines[0] = engine;
}

static void add_mode(struct settings *settings, const char *name)
{
    if (strcmp(name, "none") == 0)
        settings->none = true;
    else if (strcmp(name, "always") == 0)
        settings->always = true;
    else
        refuse("no such mode", name);
}

static void add_threads(struct settings *settings, const char *text)
{
    if (settings->thread_list_count == THREADS_LIST_MAX) refuse("too many numbers of threads", text);
    settings->threads[settings->thread_list_count++] =
        number_of(text, "--threads", 1, PHASE_THREAD_COUNT_MAX);
}

enum list { LIST_ENGINES, LIST_MODES, LIST_THREADS };

static void add_list(struct settings *settings, enum list list, char *text)
{
    char *rest = text;
    for (const char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        switch (list) {
        case LIST_ENGINES: add_engine(settings, engine_named(item)); break;
        case LIST_MODES: add_mode(settings, item); break;
        case LIST_THREADS: add_threads(settings, item); break;
        }
    }
}

static const struct option long_options[] = {
    {"keys", required_argument, NULL, 'k'},
    {"key-size", required_argument, NULL, 's'},
    {"value-size", required_argument, NULL, 'v'},
    {"operations", required_argument, NULL, 'o'},
    {"sync-keys", required_argument, NULL, 'y'},
    {"threads", required_argument, NULL, 't'},
    {"modes", required_argument, NULL, 'm'},
    {"repeat", required_argument, NULL, 'r'},
    {"engines", required_argument, NULL, 'e'},
    {"dir", required_argument, NULL, 'd'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void set_option(struct settings *settings, int option)
{
    switch (option) {
    case 'k': settings->key_count = number_of(optarg, "--keys", 2, UINT64_C(1) << 32); break;
    case 's':
        settings->key_size = number_of(optarg, "--key-size", WORKLOAD_KEY_SIZE_MIN, WORKLOAD_KEY_SIZE_MAX);
        break;
    case 'v':
        settings->value_size =
            number_of(optarg, "--value-size", WORKLOAD_VALUE_SIZE_MIN, WORKLOAD_VALUE_SIZE_MAX);
        break;
    case 'o': settings->operation_count_max = number_of(optarg, "--operations", 1, UINT64_C(1) << 32); break;
    case 'y': settings->always_key_count = number_of(optarg, "--sync-keys", 2, UINT64_C(1) << 32); break;
    case 'r': settings->repeat_count = number_of(optarg, "--repeat", 1, REPORT_REPEAT_COUNT_MAX); break;
    case 't': add_list(settings, LIST_THREADS, optarg); break;
    case 'm': add_list(settings, LIST_MODES, optarg); break;
    case 'e': add_list(settings, LIST_ENGINES, optarg); break;
    case 'd': settings->directory = optarg; break;
    case 'j': settings->json = true; break;
    case 'h': (void)fputs(usage, stdout); exit(0);
    default: (void)fputs(usage, stderr); exit(2);
    }
}

static void parse(struct settings *settings, int count, char **arguments)
{
    *settings = (struct settings){
        .key_count = 1000000,
        .key_size = 16,
        .value_size = 100,
        .operation_count_max = 2000000,
        .always_key_count = 2000,
        .repeat_count = 3,
        .directory = "/tmp",
    };
    for (int option; (option = getopt_long(count, arguments, "", long_options, NULL)) != -1;)
        set_option(settings, option);
    if (optind < count) refuse("not an option", arguments[optind]);
    if (!settings->none && !settings->always) settings->none = settings->always = true;
    if (settings->thread_list_count == 0) {
        settings->threads[settings->thread_list_count++] = 1;
        settings->threads[settings->thread_list_count++] = 2;
    }
    for (size_t i = 0; settings->engine_count == 0 || i > 0; i++) {
        if (engine_list[i] == NULL) break;
        add_engine(settings, engine_list[i]);
    }
}

static bool room_enough(const struct settings *settings)
{
    const uint64_t wanted = settings->key_count * (settings->key_size + settings->value_size) * DISK_FACTOR;
    const uint64_t room = measure_disk_free(settings->directory);
    if (room >= wanted) return true;
    fprintf(stderr, "stave-bench: %s has %" PRIu64 " MiB free, %" PRIu64 " MiB are wanted\n",
            settings->directory, room >> 20, wanted >> 20);
    return false;
}

/* Engines take turns within each repetition, so that what disturbs the machine disturbs them alike. */
static bool run_table(const struct settings *settings, bool always, unsigned thread_count)
{
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL) return false;
    report->options = (struct scenario_options){
        .directory = settings->directory,
        .key_count = always ? settings->always_key_count : settings->key_count,
        .key_size = settings->key_size,
        .value_size = settings->value_size,
        .operation_count_max = settings->operation_count_max,
        .thread_count = thread_count,
        .always = always,
    };
    report->engine_count = settings->engine_count;
    memcpy(report->engines, settings->engines, sizeof report->engines);

    bool passed = true;
    for (size_t turn = 0; turn < settings->repeat_count && !scenario_stop; turn++) {
        for (size_t i = 0; i < report->engine_count && !scenario_stop; i++) {
            scenario_run(report->engines[i], &report->options, &report->results[i][turn]);
            passed = passed && !report->results[i][turn].failed;
        }
        if (!scenario_stop) report->repeat_count = turn + 1;
    }
    if (report->repeat_count > 0) (settings->json ? report_json : report_table)(stdout, report);
    free(report);
    return passed;
}

static bool run_mode(const struct settings *settings, bool always)
{
    if (!settings->json) report_engines(stdout, settings->engines, settings->engine_count, always);
    bool passed = true;
    for (size_t i = 0; i < settings->thread_list_count && !scenario_stop; i++)
        passed = run_table(settings, always, (unsigned)settings->threads[i]) && passed;
    return passed;
}

static void print_settings(const struct settings *settings)
{
    report_machine(stdout);
    for (size_t i = 0; i < settings->engine_count; i++)
        printf("  %-8s %s: %s\n", settings->engines[i]->name, settings->engines[i]->version,
               settings->engines[i]->settings);
    printf("x: ratio to %s\n", settings->engines[0]->name);
}

/* 0: every engine did what it was asked to, however long it took. */
int main(int count, char **arguments)
{
    struct settings settings;
    parse(&settings, count, arguments);
    if (!room_enough(&settings)) return 1;
    handle_signals();
    if (!settings.json) print_settings(&settings);
    bool passed = true;
    if (settings.none) passed = run_mode(&settings, false);
    if (settings.always && !scenario_stop) passed = run_mode(&settings, true) && passed;
    return passed && !scenario_stop ? 0 : 1;
}
