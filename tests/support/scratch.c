/* SPDX-License-Identifier: MIT */
/* Directories are walked with readdir, files are read as a whole: they are small. */
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/power_loss.h"

#define PATIENCE_NS (UINT64_C(300) * 1000000000)

enum { NAP_US = 1000 };

static void must(bool done, const char *what, const char *path)
{
    if (!done) fail_msg("%s %s: %s", what, path, strerror(errno));
}

static void join(char ret_path[SCRATCH_PATH_SIZE], const char *dir, const char *name)
{
    const int size = snprintf(ret_path, SCRATCH_PATH_SIZE, "%s/%s", dir, name);
    must(size > 0 && size < SCRATCH_PATH_SIZE, "path too long", name);
}

void scratch_make(struct scratch *ret_scratch)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == 0) parent = "/tmp";
    (void)snprintf(ret_scratch->root, sizeof(ret_scratch->root), "%s/stave-test-XXXXXX", parent);
    must(mkdtemp(ret_scratch->root) != NULL, "mkdtemp", ret_scratch->root);
    join(ret_scratch->store, ret_scratch->root, "store");
}

void scratch_remove(struct scratch *scratch)
{
    scratch_remove_tree(scratch->root);
}

void scratch_path(const struct scratch *scratch, const char *name, char ret_path[SCRATCH_PATH_SIZE])
{
    join(ret_path, scratch->root, name);
}

void scratch_remove_tree(const char *path)
{
    power_loss_remove_tree(path);
}

static uint8_t *read_whole(const char *path, size_t *ret_size)
{
    struct stat stat;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &stat) == 0, "open", path);
    uint8_t *bytes = malloc((size_t)stat.st_size + 1);
    must(bytes != NULL && read(fd, bytes, (size_t)stat.st_size) == stat.st_size, "read", path);
    (void)close(fd);
    *ret_size = (size_t)stat.st_size;
    return bytes;
}

static void copy_file(const char *from, const char *to)
{
    size_t size = 0;
    uint8_t *bytes = read_whole(from, &size);
    const int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "write", to);
    (void)close(fd);
    free(bytes);
}

void scratch_copy(const char *from, const char *to)
{
    must(mkdir(to, 0700) == 0, "mkdir", to);
    DIR *dir = opendir(from);
    must(dir != NULL, "opendir", from);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char source[SCRATCH_PATH_SIZE];
        char target[SCRATCH_PATH_SIZE];
        if (entry->d_name[0] == '.') continue;
        join(source, from, entry->d_name);
        join(target, to, entry->d_name);
        copy_file(source, target);
    }
    (void)closedir(dir);
}

bool scratch_has(const char *dir, const char *name)
{
    char path[SCRATCH_PATH_SIZE];
    join(path, dir, name);
    return access(path, F_OK) == 0;
}

uint64_t scratch_size(const char *dir, const char *name)
{
    char path[SCRATCH_PATH_SIZE];
    struct stat stat;
    join(path, dir, name);
    must(lstat(path, &stat) == 0, "stat", path);
    return (uint64_t)stat.st_size;
}

void scratch_unlink(const char *dir, const char *name)
{
    char path[SCRATCH_PATH_SIZE];
    join(path, dir, name);
    must(unlink(path) == 0 || errno == ENOENT, "unlink", path);
}

void scratch_truncate(const char *dir, const char *name, uint64_t size)
{
    char path[SCRATCH_PATH_SIZE];
    join(path, dir, name);
    must(truncate(path, (off_t)size) == 0, "truncate", path);
}

void scratch_flip(const char *dir, const char *name, uint64_t offset)
{
    char path[SCRATCH_PATH_SIZE];
    uint8_t byte = 0;
    join(path, dir, name);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && pread(fd, &byte, 1, (off_t)offset) == 1, "read", path);
    byte = (uint8_t)~byte;
    must(pwrite(fd, &byte, 1, (off_t)offset) == 1, "write", path);
    (void)close(fd);
}

uint64_t scratch_find(const char *dir, const char *name, struct stave_bytes bytes, bool last)
{
    char path[SCRATCH_PATH_SIZE];
    size_t size = 0;
    uint64_t found = UINT64_MAX;
    join(path, dir, name);
    uint8_t *content = read_whole(path, &size);
    for (size_t at = 0; at + bytes.size <= size;) {
        const uint8_t *next = memmem(content + at, size - at, bytes.data, bytes.size);
        if (next == NULL) break;
        found = (uint64_t)(next - content);
        if (!last) break;
        at = (size_t)found + 1;
    }
    free(content);
    return found;
}

static bool is_segment(const char *name)
{
    const size_t size = strlen(name);
    return size == 14 && strcmp(name + 10, ".seg") == 0;
}

bool scratch_find_segment(const char *path, struct stave_bytes bytes, char ret_name[64], uint64_t *ret_offset)
{
    bool found = false;
    DIR *dir = opendir(path);
    must(dir != NULL, "opendir", path);
    for (const struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        if (!is_segment(entry->d_name)) continue;
        *ret_offset = scratch_find(path, entry->d_name, bytes, false);
        found = *ret_offset != UINT64_MAX;
        if (found) (void)snprintf(ret_name, 64, "%.60s", entry->d_name);
    }
    (void)closedir(dir);
    return found;
}

static size_t count_entries(const char *path, bool segments_only)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    must(dir != NULL, "opendir", path);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (!segments_only || is_segment(entry->d_name)) count++;
    (void)closedir(dir);
    return count;
}

size_t scratch_count_segments(const char *dir)
{
    return count_entries(dir, true);
}

void scratch_drop_pages(const char *dir)
{
    char path[SCRATCH_PATH_SIZE];
    DIR *listing = opendir(dir);
    must(listing != NULL, "opendir", dir);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        join(path, dir, entry->d_name);
        const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) continue;
        (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
        close(descriptor);
    }
    closedir(listing);
}

/* Source: mincore(2), which reads nothing. */
static uint64_t resident_size(const char *path, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t count = (size + page - 1) / page;
    uint64_t resident = 0;
    unsigned char *states = malloc(count + 1);
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    must(states != NULL && descriptor >= 0, "open", path);
    void *pages = mmap(NULL, size, PROT_READ, MAP_SHARED, descriptor, 0);
    must(pages != MAP_FAILED && mincore(pages, size, states) == 0, "mincore", path);
    for (size_t i = 0; i < count; i++) resident += (states[i] & 1) * page;
    (void)munmap(pages, size);
    (void)close(descriptor);
    free(states);
    return resident;
}

uint64_t scratch_resident_size(const char *dir)
{
    char path[SCRATCH_PATH_SIZE];
    struct stat status;
    uint64_t size = 0;
    DIR *listing = opendir(dir);
    must(listing != NULL, "opendir", dir);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        join(path, dir, entry->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
            size += resident_size(path, (size_t)status.st_size);
    }
    (void)closedir(listing);
    return size;
}

size_t scratch_count_descriptors(void)
{
    return count_entries("/proc/self/fd", false);
}

struct stave_options small_options(void)
{
    return (struct stave_options){
        .size = sizeof(struct stave_options),
        .segment_size = STAVE_SEGMENT_SIZE_MIN,
        .sync_interval_ms = 20,
        .checkpoint_size = UINT64_C(1) << 20,
    };
}

struct stave *store_open(const char *path, const struct stave_options *options)
{
    struct stave *store = NULL;
    struct stave_error error = {.status = STAVE_OK};
    const enum stave_status status = stave_open(path, options, &store, &error);
    if (status != STAVE_OK) fail_msg("open of %s: %d %s", path, (int)status, error.message);
    return store;
}

void store_close(struct stave *store)
{
    const enum stave_status status = stave_close(store);
    if (status != STAVE_OK) fail_msg("close: %d", (int)status);
}

void store_put(struct stave *store, const char *key, const char *value)
{
    const enum stave_status status = stave_put(store, stave_text(key), stave_text(value));
    if (status == STAVE_OK) return;
    struct stave_error error;
    stave_last_error(store, &error);
    fail_msg("put of %s: %d %s", key, (int)status, error.message);
}

void store_expect(struct stave *store, const char *key, const char *value)
{
    struct stave_value found = {0};
    const enum stave_status status = stave_get(store, stave_text(key), &found);
    if (value == NULL && status != STAVE_NOT_FOUND) fail_msg("%s is to be absent: %d", key, (int)status);
    if (value == NULL) return;
    if (status != STAVE_OK) fail_msg("%s is to be %s: %d", key, value, (int)status);
    if (found.size != strlen(value) || memcmp(found.data, value, found.size) != 0)
        fail_msg("%s is %.*s, not %s", key, (int)found.size, (const char *)found.data, value);
    stave_free(found.data);
}

uint64_t random_next(struct random_source *random)
{
    uint64_t value = random->state += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

uint64_t random_below(struct random_source *random, uint64_t limit)
{
    return random_next(random) % limit;
}

bool random_chance(struct random_source *random, unsigned one_in)
{
    return random_below(random, one_in) == 0;
}

void fill_bytes(void *ret_bytes, size_t size, uint64_t number)
{
    struct random_source random = {number};
    uint8_t *at = ret_bytes;
    for (; size >= 8; size -= 8, at += 8) {
        const uint64_t next = random_next(&random);
        memcpy(at, &next, 8);
    }
    const uint64_t next = random_next(&random);
    if (size > 0) memcpy(at, &next, size);
}

bool bytes_are(const void *bytes, size_t size, uint64_t number)
{
    struct random_source random = {number};
    const uint8_t *at = bytes;
    for (; size >= 8; size -= 8, at += 8) {
        const uint64_t next = random_next(&random);
        if (memcmp(at, &next, 8) != 0) return false;
    }
    const uint64_t next = random_next(&random);
    return size == 0 || memcmp(at, &next, size) == 0;
}

uint64_t environment_number(const char *name, uint64_t standard)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == 0 ? standard : strtoull(text, NULL, 10);
}

uint64_t test_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool test_nap(uint64_t began_ns)
{
    (void)usleep(NAP_US);
    return test_clock_ns() - began_ns < PATIENCE_NS;
}

_Noreturn void test_skip(const char *reason)
{
    (void)printf("skipped: %s\n", reason);
    (void)fflush(stdout);
    skip();
    abort(); /* skip() does not come back */
}

uint64_t test_seed(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed =
        environment_number("STAVE_TEST_SEED", (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec);
    (void)fprintf(stderr, "STAVE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}
