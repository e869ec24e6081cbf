/* SPDX-License-Identifier: MIT */
/* The acts of a scenario, each in a child process that reports through memory shared with it. */
#include "scenario.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "phase.h"
#include "workload.h"

enum {
    SAMPLE_COUNT = 20000,     /* values compared where that is not the thing timed */
    KILL_COUNT_MAX = 1000000, /* writes before the kill */
    KILL_POLL_US = 200,
    ALWAYS_BATCH_FACTOR = 10, /* so many times the keys are written in batches, in mode `always` */
};

enum { VERSION_PUT = 1, VERSION_OVERWRITE = 2, VERSION_BATCH = 3, VERSION_KILLED = 4 };
enum { SEED_PUT = 11, SEED_GET, SEED_OVERWRITE, SEED_BATCH, SEED_KILLED, SEED_DELETE, SEED_MISSING };

volatile sig_atomic_t scenario_stop;

/* Shared by the processes. */
struct shared {
    struct scenario_result result;
    _Atomic uint64_t acknowledged; /* writes that returned, of the process that is killed */
};

struct act {
    const struct engine *engine;
    const struct scenario_options *options;
    struct engine_options engine_options;
    struct workload workload;
    struct shared *shared;
    void *store;
};

typedef bool (*act_call)(struct act *act);

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Gets, batches and deletes. */
static uint64_t operation_count(const struct act *act)
{
    return least(act->options->key_count, act->options->operation_count_max);
}

static bool run(const struct act *act, enum phase_kind kind, uint64_t seed, uint64_t first, uint64_t count,
                uint32_t version, double *ret_seconds)
{
    const struct phase phase = {
        .engine = act->engine,
        .workload = &act->workload,
        .store = act->store,
        .kind = kind,
        .seed = seed,
        .first = first,
        .count = count,
        .version = version,
        .thread_count = act->options->thread_count,
    };
    return phase_run(&phase, ret_seconds);
}

static bool run_row(const struct act *act, enum row row, enum phase_kind kind, uint64_t seed, uint64_t count,
                    uint32_t version)
{
    double seconds = 0;
    if (!run(act, kind, seed, 0, count, version, &seconds)) return false;
    act->shared->result.rows[row] = (double)count / seconds;
    return true;
}

static bool check(const struct act *act, enum phase_kind kind, uint64_t seed, uint64_t count,
                  uint32_t version)
{
    double seconds = 0;
    return run(act, kind, seed, 0, least(count, SAMPLE_COUNT), version, &seconds);
}

static bool open_store(struct act *act)
{
    return act->engine->open(&act->engine_options, &act->store) == ENGINE_FOUND;
}

static double disk_ratio(const struct act *act)
{
    const double live =
        (double)act->options->key_count * (double)(act->options->key_size + act->options->value_size);
    return (double)measure_disk(act->engine_options.directory) / live;
}

static bool close_store(const struct act *act)
{
    return act->engine->close(act->store) == ENGINE_FOUND;
}

/* Growth since `before`, a key. */
static void memory_rows(const struct act *act, const struct measure_memory *before)
{
    struct measure_memory now;
    measure_memory(&now);
    double *rows = act->shared->result.rows;
    rows[ROW_PRIVATE_MEMORY] =
        ((double)now.private_size - (double)before->private_size) / (double)act->options->key_count;
    rows[ROW_MAPPED_MEMORY] =
        ((double)now.mapped_size - (double)before->mapped_size) / (double)act->options->key_count;
}

static bool act_load(struct act *act)
{
    const uint64_t keys = act->options->key_count;
    const uint64_t operations = operation_count(act);
    double *rows = act->shared->result.rows;
    struct measure_memory before;
    measure_memory(&before);
    if (!open_store(act)) return false;
    if (!run_row(act, ROW_PUT, PHASE_PUT, SEED_PUT, keys, VERSION_PUT)) return false;
    if (!run_row(act, ROW_GET, PHASE_GET, SEED_GET, operations, VERSION_PUT)) return false;
    if (!run_row(act, ROW_GET_MISSING, PHASE_GET_MISSING, SEED_MISSING, operations, 0)) return false;
    memory_rows(act, &before);
    if (!run_row(act, ROW_OVERWRITE, PHASE_PUT, SEED_OVERWRITE, keys, VERSION_OVERWRITE)) return false;
    rows[ROW_DISK] = disk_ratio(act);
    if (!check(act, PHASE_GET, SEED_GET, operations, VERSION_OVERWRITE)) return false;
    if (!run_row(act, ROW_BATCH, PHASE_BATCH, SEED_BATCH, operations, VERSION_BATCH)) return false;
    if (!check(act, PHASE_GET, SEED_BATCH, operations, VERSION_BATCH)) return false;

    const double started_at = measure_seconds();
    if (!close_store(act)) return false;
    rows[ROW_CLOSE] = (measure_seconds() - started_at) * 1e3;
    rows[ROW_DISK_CLOSED] = disk_ratio(act);
    return true;
}

static bool act_always(struct act *act)
{
    const uint64_t keys = act->options->key_count;
    if (!open_store(act)) return false;
    if (!run_row(act, ROW_PUT, PHASE_PUT, SEED_PUT, keys, VERSION_PUT)) return false;
    if (!run_row(act, ROW_OVERWRITE, PHASE_PUT, SEED_OVERWRITE, keys, VERSION_OVERWRITE)) return false;
    if (!check(act, PHASE_GET, SEED_GET, keys, VERSION_OVERWRITE)) return false;
    if (!run_row(act, ROW_BATCH, PHASE_BATCH, SEED_BATCH, keys * ALWAYS_BATCH_FACTOR, VERSION_BATCH))
        return false;
    return check(act, PHASE_GET, SEED_BATCH, keys, VERSION_BATCH) && close_store(act);
}

/* The key at `position` of the killed writer's order: true if it has `version` now. */
static bool has_version(const struct act *act, void *session, uint8_t *buffer, uint64_t position,
                        uint32_t version)
{
    uint8_t key[WORKLOAD_KEY_SIZE_MAX];
    const uint64_t number = workload_order(&act->workload, SEED_KILLED, position);
    workload_key(&act->workload, number, key);
    size_t size = 0;
    if (act->engine->get(session, key, buffer, act->workload.value_size, &size) != ENGINE_FOUND) return false;
    return workload_value_is(&act->workload, number, version, buffer, size);
}

/* Opens the store and finds a key that no later write than the batches has touched. */
static bool open_and_get(struct act *act, enum row row)
{
    uint8_t *buffer = malloc(act->workload.value_size);
    if (buffer == NULL) return false;
    const uint64_t last = act->options->key_count - 1;
    void *session = NULL;
    const double started_at = measure_seconds();
    bool found = open_store(act) && act->engine->begin(act->store, &session) == ENGINE_FOUND;
    found = found && (has_version(act, session, buffer, last, VERSION_BATCH) ||
                      has_version(act, session, buffer, last, VERSION_OVERWRITE));
    act->shared->result.rows[row] = (measure_seconds() - started_at) * 1e3;
    if (session != NULL) act->engine->end(session);
    free(buffer);
    return found;
}

static bool act_open_clean(struct act *act)
{
    return open_and_get(act, ROW_OPEN_CLEAN) && close_store(act);
}

/* Writes until it is killed; the last key is left as it is, for open_and_get. */
static bool act_killed(struct act *act)
{
    uint8_t key[WORKLOAD_KEY_SIZE_MAX];
    uint8_t *value = malloc(act->workload.value_size);
    void *session = NULL;
    if (value == NULL || !open_store(act) || act->engine->begin(act->store, &session) != ENGINE_FOUND)
        return false;
    for (uint64_t position = 0; position + 1 < act->options->key_count; position++) {
        const uint64_t number = workload_order(&act->workload, SEED_KILLED, position);
        workload_key(&act->workload, number, key);
        workload_value(&act->workload, number, VERSION_KILLED, value);
        if (act->engine->put(session, key, value) != ENGINE_FOUND) return false;
        atomic_store(&act->shared->acknowledged, position + 1);
    }
    for (;;) (void)pause();
}

/* Acknowledged writes whose value is not there any more. */
static bool count_lost(struct act *act)
{
    uint8_t *buffer = malloc(act->workload.value_size);
    void *session = NULL;
    if (buffer == NULL || act->engine->begin(act->store, &session) != ENGINE_FOUND) return false;
    uint64_t lost = 0;
    const uint64_t acknowledged = atomic_load(&act->shared->acknowledged);
    for (uint64_t position = 0; position < acknowledged; position++)
        if (!has_version(act, session, buffer, position, VERSION_KILLED)) lost++;
    act->shared->result.rows[ROW_LOST] = (double)lost;
    act->engine->end(session);
    free(buffer);
    return true;
}

static bool act_after_kill(struct act *act)
{
    const uint64_t operations = operation_count(act);
    if (!open_and_get(act, ROW_OPEN_KILLED)) return false;
    if (!count_lost(act)) return false;
    if (act->shared->result.rows[ROW_LOST] > 0) return close_store(act); /* deletes would miss keys */
    if (!run_row(act, ROW_DELETE, PHASE_DELETE, SEED_DELETE, operations, 0)) return false;
    return check(act, PHASE_GET_DELETED, SEED_DELETE, operations, 0) && close_store(act);
}

/* A child ends with _exit: what an engine registered with atexit is not part of the scenario. */
static pid_t start(struct act *act, act_call call)
{
    const pid_t parent = getpid();
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child != 0) return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    const bool done = call(act);
    (void)fflush(NULL);
    _exit(done ? 0 : 1);
}

/* True if the child ended well. */
static bool finish(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        if (scenario_stop) (void)kill(child, SIGKILL);
    return !scenario_stop && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool perform(struct act *act, const char *name, act_call call)
{
    if (scenario_stop) return false;
    const pid_t child = start(act, call);
    if (child > 0 && finish(child)) return true;
    fprintf(stderr, "%s: %s did not succeed\n", act->engine->name, name);
    return false;
}

/* Lets the writer run until it has done enough, and kills it. False if it ended by itself. */
static bool perform_kill(struct act *act)
{
    const uint64_t enough = least((act->options->key_count - 1) / 2, KILL_COUNT_MAX);
    const pid_t child = scenario_stop ? -1 : start(act, act_killed);
    if (child < 0) return false;
    int status = 0;
    bool ended = false;
    while (!ended && !scenario_stop && atomic_load(&act->shared->acknowledged) < enough) {
        ended = waitpid(child, &status, WNOHANG) == child;
        (void)usleep(KILL_POLL_US);
    }
    if (!ended) {
        (void)kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    }
    return !ended && !scenario_stop;
}

static bool perform_all(struct act *act)
{
    if (act->options->always) return perform(act, "writing durably", act_always);
    return perform(act, "loading", act_load) && perform(act, "opening after a clean close", act_open_clean) &&
           perform_kill(act) && perform(act, "opening after kill -9", act_after_kill);
}

void scenario_run(const struct engine *engine, const struct scenario_options *options,
                  struct scenario_result *ret_result)
{
    ret_result->failed = true;
    for (int row = 0; row < ROW_COUNT; row++) ret_result->rows[row] = NAN;

    char directory[4096];
    (void)snprintf(directory, sizeof directory, "%s/stave-bench-XXXXXX", options->directory);
    struct act act = {.engine = engine, .options = options};
    act.engine_options = (struct engine_options){directory, options->key_count, options->key_size,
                                                 options->value_size, options->always};
    act.shared = mmap(NULL, sizeof *act.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (act.shared == MAP_FAILED) return;
    if (mkdtemp(directory) == NULL) {
        fprintf(stderr, "%s: %s\n", directory, strerror(errno));
    } else if (workload_init(&act.workload, options->key_count, options->key_size, options->value_size) ==
               0) {
        act.shared->result = *ret_result;
        act.shared->result.failed = !perform_all(&act);
        *ret_result = act.shared->result;
        workload_free(&act.workload);
    }
    measure_remove(directory);
    (void)munmap(act.shared, sizeof *act.shared);
}
