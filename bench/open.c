/* SPDX-License-Identifier: MIT */
/*
 * stave-bench-open: how long an open takes (P10) after a clean close, after kill -9 at random moments of
 * overwriting at full speed, the same with nothing of the store in memory, as after a loss of power, and
 * without a checkpoint, when the index is rebuilt from the log.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stave.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

enum {
    KEY_SIZE = 16,
    VALUE_SIZE = 100,
    KILL_MS_MIN = 2000, /* of overwriting before a kill, */
    KILL_MS_SPREAD = 4000,
    CLEAN_COUNT = 3,
    COLD_COUNT = 3,
};

static const char usage[] = "usage: stave-bench-open [KEYS [KILLS [DIRECTORY]]]   (10000000 5 /tmp)\n";

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "stave-bench-open: %s\n", what);
    _exit(1);
}

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Of all threads: what the open would take on a processor of its own, on a machine that is not quiet. */
static double processor_ms(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static struct stave *open_store(const char *path)
{
    const struct stave_options options = {.size = sizeof(options), .sync = STAVE_SYNC_NONE};
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(path, &options, &store, &error) < 0) fail(error.message);
    return store;
}

static void put(struct stave *store, uint64_t number, uint64_t version)
{
    uint8_t key[KEY_SIZE] = "key ";
    uint8_t value[VALUE_SIZE] = {0};
    memcpy(key + KEY_SIZE - sizeof(number), &number, sizeof(number));
    memcpy(value, &version, sizeof(version));
    if (stave_put(store, stave_bytes(key, KEY_SIZE), stave_bytes(value, VALUE_SIZE)) < 0) fail("put");
}

static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = (*state ^ *state >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

static void load(const char *path, uint64_t key_count)
{
    struct stave *store = open_store(path);
    for (uint64_t i = 0; i < key_count; i++) put(store, i, 0);
    if (stave_close(store) != STAVE_OK) fail("close");
}

/* Opens, asks for one key, and says what it took. */
static void measure_open(const char *path, const char *what, uint64_t key_count)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    uint8_t key[KEY_SIZE] = "key ";
    const double processor_began = processor_ms();
    const double began = now_ms();
    struct stave *store = open_store(path);
    if (stave_exists(store, stave_bytes(key, KEY_SIZE)) != STAVE_OK) fail("the first key is gone");
    const double took = now_ms() - began;
    const double processor = processor_ms() - processor_began;
    if (stave_stats(store, &stats) != STAVE_OK || stats.key_count != key_count) fail("keys are missing");
    printf("%-24s %8.1f ms, %8.1f ms of processors, %10llu records read%s\n", what, took, processor,
           (unsigned long long)stats.open_replayed, stats.open_from_checkpoint ? "" : ", no checkpoint");
    (void)fflush(stdout);
    if (stave_close(store) != STAVE_OK) fail("close");
}

/* Writes in a process of its own until it is killed. */
static void overwrite_and_kill(const char *path, uint64_t key_count, uint64_t *random)
{
    const pid_t child = fork();
    if (child < 0) fail(strerror(errno));
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct stave *store = open_store(path);
        for (uint64_t version = 1;; version++) put(store, next_random(random) % key_count, version);
    }
    (void)usleep((useconds_t)(KILL_MS_MIN + next_random(random) % KILL_MS_SPREAD) * 1000);
    (void)kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!WIFSIGNALED(status)) fail("the writer ended by itself");
}

/* Takes the store's files out of the page cache. */
static void forget_pages(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) fail(strerror(errno));
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') continue;
        const int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
        if (fd < 0) fail(strerror(errno));
        if (fdatasync(fd) != 0) fail(strerror(errno));
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)close(fd);
    }
    (void)closedir(dir);
}

static void remove_checkpoint(const char *path)
{
    char file[4096];
    (void)snprintf(file, sizeof(file), "%s/CHECKPOINT", path);
    if (unlink(file) != 0) fail("there is no checkpoint to remove");
}

int main(int argc, char **argv)
{
    const uint64_t key_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    const uint64_t kill_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
    uint64_t random = (uint64_t)now_ms();
    char path[4000];
    if (argc > 4 || key_count == 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/stave-bench-XXXXXX", argc > 3 ? argv[3] : "/tmp");
    if (mkdtemp(path) == NULL) fail(strerror(errno));
    load(path, key_count);
    for (int i = 0; i < CLEAN_COUNT; i++) measure_open(path, "after a clean close", key_count);
    for (uint64_t i = 0; i < kill_count; i++) {
        overwrite_and_kill(path, key_count, &random);
        measure_open(path, "after kill -9", key_count);
    }
    for (int i = 0; i < COLD_COUNT; i++) {
        overwrite_and_kill(path, key_count, &random);
        forget_pages(path);
        measure_open(path, "after kill -9, cold", key_count);
    }
    remove_checkpoint(path);
    measure_open(path, "without a checkpoint", key_count);
    measure_remove(path);
    return 0;
}
