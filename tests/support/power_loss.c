/* SPDX-License-Identifier: MIT */
/*
 * Composes the image that a power cut leaves (power_loss.h, L1 to L4).
 */
#include "support/power_loss.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

enum { PAGE = 4096, SECTOR = 512, DIRS_MAX = 64, FILES_MAX = 40000, REMOVE_DEPTH = 16 };

/* A file that is there now, or one already composed, by identity. */
struct place {
    char identity[POWER_IDENTITY_SIZE];
    char path[POWER_PATH_SIZE];
};

struct composer {
    const char *shadow;
    uint64_t seed;
    uint32_t kept_of_256; /* the share of changed pages and names that reach the disk (L4) */
    struct place *live;
    int live_count;
    struct place *made;
    int made_count;
};

/* One directory on the way from live and durable to image. */
struct level {
    char live[POWER_PATH_SIZE]; /* "" when it is not there any more */
    char identity[POWER_IDENTITY_SIZE];
    char image[POWER_PATH_SIZE];
};

void power_check(int ok, const char *what, const char *path)
{
    if (ok) return;
    fprintf(stderr, "power loss model: %s %s: %s\n", what, path, strerror(errno));
    abort();
}

void power_join(char ret_path[POWER_PATH_SIZE], const char *left, const char *separator, const char *right)
{
    const int length = snprintf(ret_path, POWER_PATH_SIZE, "%s%s%s", left, separator, right);
    power_check(length > 0 && length < POWER_PATH_SIZE, "path too long:", left);
}

void power_identity(int fd, char ret_identity[POWER_IDENTITY_SIZE])
{
    struct stat stat;
    int generation = 0;
    power_check(fstat(fd, &stat) == 0, "cannot look up", "a file");
    (void)ioctl(fd, FS_IOC_GETVERSION,
                &generation); /* unknown to tmpfs, which does not use inode numbers again */
    snprintf(ret_identity, POWER_IDENTITY_SIZE, "%ju-%u", (uintmax_t)stat.st_ino, (unsigned)generation);
}

static struct power_entry *list_grow(struct power_list *list)
{
    power_check(list->count < FILES_MAX, "too many files", "");
    list->entries = realloc(list->entries, (size_t)(list->count + 1) * sizeof(*list->entries));
    power_check(list->entries != NULL, "no memory", "");
    struct power_entry *const entry = &list->entries[list->count++];
    memset(entry, 0, sizeof(*entry));
    return entry;
}

static void list_add_live(struct power_list *list, int dir_fd, const char *name)
{
    struct stat stat;
    const int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return; /* removed meanwhile */
    power_check(fd >= 0 && fstat(fd, &stat) == 0, "cannot open", name);
    struct power_entry *const entry = list_grow(list);
    power_identity(fd, entry->identity);
    entry->kind = S_ISDIR(stat.st_mode) ? 'd' : 'f';
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    close(fd);
}

struct power_list power_list_live(const char *path)
{
    struct power_list list = {NULL, 0};
    DIR *const dir = opendir(path);
    power_check(dir != NULL, "cannot list", path);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        list_add_live(&list, dirfd(dir), entry->d_name);
    }
    closedir(dir);
    return list;
}

void power_list_free(struct power_list *list)
{
    free(list->entries);
    *list = (struct power_list){NULL, 0};
}

/* The names that were durable; none if the directory was never synced. */
static struct power_list list_durable(const struct composer *composer, const char *identity)
{
    struct power_list list = {NULL, 0};
    char name[POWER_PATH_SIZE];
    char path[POWER_PATH_SIZE];
    power_join(name, "d", "-", identity);
    power_join(path, composer->shadow, "/", name);
    FILE *const file = fopen(path, "r");
    if (file == NULL) return list;
    struct power_entry entry = {.kind = 'f'};
    while (fscanf(file, "%47s %c %255[^\n]\n", entry.identity, &entry.kind, entry.name) == 3)
        *list_grow(&list) = entry;
    fclose(file);
    return list;
}

static const struct power_entry *list_find(const struct power_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].name, name) == 0) return &list->entries[i];
    }
    return NULL;
}

static const char *place_find(const struct place *places, int count, const char *identity)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(places[i].identity, identity) == 0) return places[i].path;
    }
    return NULL;
}

static void place_add(struct place **places, int *count, const char *identity, const char *path)
{
    power_check(*count < FILES_MAX, "too many files at", path);
    *places = realloc(*places, (size_t)(*count + 1) * sizeof(**places));
    power_check(*places != NULL, "no memory for", path);
    struct place *const place = &(*places)[(*count)++];
    snprintf(place->identity, sizeof(place->identity), "%s", identity);
    snprintf(place->path, sizeof(place->path), "%s", path);
}

/* A draw that depends on the seed, the file, and the place in it: order does not matter (L4). */
static uint64_t draw(const struct composer *composer, const char *identity, uint64_t at, char purpose)
{
    const uint64_t numbers[2] = {at, (uint64_t)purpose};
    const uint64_t seed = hash_bytes(identity, strlen(identity), composer->seed);
    return hash_bytes(numbers, sizeof(numbers), seed);
}

static bool is_kept(const struct composer *composer, const char *identity, uint64_t at, char purpose)
{
    return (draw(composer, identity, at, purpose) & 255) < composer->kept_of_256;
}

static size_t read_page(int fd, uint8_t page[PAGE], uint64_t at)
{
    memset(page, 0, PAGE);
    if (fd < 0) return 0;
    const ssize_t got = pread(fd, page, PAGE, (off_t)at);
    power_check(got >= 0, "cannot read", "a page");
    return (size_t)got;
}

/* L1: what of the new page replaces the old one. */
static void mix_page(const struct composer *composer, const char *identity, uint64_t at, uint8_t *page,
                     const uint8_t *live)
{
    const bool is_torn = draw(composer, identity, at, 't') % 4 == 0;
    for (int sector = 0; sector < PAGE; sector += SECTOR) {
        const uint64_t place = is_torn ? at + (uint64_t)sector : at;
        if (is_kept(composer, identity, place, 'p')) memcpy(page + sector, live + sector, SECTOR);
    }
}

static uint64_t fd_size(int fd)
{
    struct stat stat;
    if (fd < 0) return 0;
    power_check(fstat(fd, &stat) == 0, "cannot look up", "a file");
    return (uint64_t)stat.st_size;
}

static void compose_content(const struct composer *composer, const char *identity, int durable, int live,
                            int image)
{
    static const uint8_t zeroes[PAGE];
    uint64_t size = fd_size(durable);
    if (live >= 0 && is_kept(composer, identity, 0, 's')) size = fd_size(live); /* L2 */
    for (uint64_t at = 0; at < size; at += PAGE) {
        uint8_t page[PAGE];
        uint8_t live_page[PAGE];
        read_page(durable, page, at);
        const size_t live_size = read_page(live, live_page, at);
        if (live_size > 0 && memcmp(page, live_page, PAGE) != 0)
            mix_page(composer, identity, at, page, live_page);
        if (memcmp(page, zeroes, PAGE) == 0) continue;
        const size_t count = size - at < PAGE ? (size_t)(size - at) : PAGE;
        power_check(pwrite(image, page, count, (off_t)at) == (ssize_t)count, "cannot write", "the image");
    }
    power_check(ftruncate(image, (off_t)size) == 0, "cannot size", "the image");
}

static void compose_file(struct composer *composer, const char *identity, const char *image_path)
{
    const char *const made = place_find(composer->made, composer->made_count, identity);
    if (made != NULL) { /* a second name of the same file */
        power_check(link(made, image_path) == 0, "cannot link", image_path);
        return;
    }
    char name[POWER_PATH_SIZE];
    char durable_path[POWER_PATH_SIZE];
    power_join(name, "f", "-", identity);
    power_join(durable_path, composer->shadow, "/", name);
    const char *const live_path = place_find(composer->live, composer->live_count, identity);

    const int durable = open(durable_path, O_RDONLY | O_CLOEXEC);
    const int live = live_path != NULL ? open(live_path, O_RDONLY | O_CLOEXEC) : -1;
    const int image = open(image_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    power_check(image >= 0, "cannot make", image_path);
    compose_content(composer, identity, durable, live, image);
    close(image);
    if (live >= 0) close(live);
    if (durable >= 0) close(durable);
    place_add(&composer->made, &composer->made_count, identity, image_path);
}

/*
 * L3: the draw is by file, so that both names of a rename go the same way. NULL: no such name in the image.
 */
static const struct power_entry *choose_entry(const struct composer *composer,
                                              const struct power_entry *durable,
                                              const struct power_entry *live)
{
    if (durable != NULL && live != NULL && strcmp(durable->identity, live->identity) == 0) return live;
    const char *const identity = live != NULL ? live->identity : durable->identity;
    return is_kept(composer, identity, 0, 'n') ? live : durable;
}

static void compose_entry(struct composer *composer, const struct level *level,
                          const struct power_entry *entry, struct level *levels, int *level_count)
{
    char image_path[POWER_PATH_SIZE];
    power_join(image_path, level->image, "/", entry->name);
    if (entry->kind == 'f') {
        compose_file(composer, entry->identity, image_path);
        return;
    }
    power_check(mkdir(image_path, 0700) == 0, "cannot make", image_path);
    power_check(*level_count < DIRS_MAX, "too many directories at", image_path);
    struct level *const next = &levels[(*level_count)++];
    const char *const live = place_find(composer->live, composer->live_count, entry->identity);
    snprintf(next->live, sizeof(next->live), "%s", live != NULL ? live : "");
    snprintf(next->identity, sizeof(next->identity), "%s", entry->identity);
    snprintf(next->image, sizeof(next->image), "%s", image_path);
}

static void compose_level(struct composer *composer, const struct level *level, struct level *levels,
                          int *level_count)
{
    struct power_list durable = list_durable(composer, level->identity);
    struct power_list live = {NULL, 0};
    if (level->live[0] != '\0') live = power_list_live(level->live);

    for (int i = 0; i < live.count; i++) {
        const struct power_entry *const entry =
            choose_entry(composer, list_find(&durable, live.entries[i].name), &live.entries[i]);
        if (entry != NULL) compose_entry(composer, level, entry, levels, level_count);
    }
    for (int i = 0; i < durable.count; i++) {
        if (list_find(&live, durable.entries[i].name) != NULL) continue;
        const struct power_entry *const entry = choose_entry(composer, &durable.entries[i], NULL);
        if (entry != NULL) compose_entry(composer, level, entry, levels, level_count);
    }
    power_list_free(&live);
    power_list_free(&durable);
}

/* Where every file and directory is now; the walk goes through the list it makes. */
static void find_live(struct composer *composer, const char *dir, const char *identity)
{
    place_add(&composer->live, &composer->live_count, identity, dir);
    for (int i = 0; i < composer->live_count; i++) {
        struct stat stat;
        const struct place place = composer->live[i];
        if (lstat(place.path, &stat) != 0 || !S_ISDIR(stat.st_mode)) continue;
        struct power_list list = power_list_live(place.path);
        for (int j = 0; j < list.count; j++) {
            char path[POWER_PATH_SIZE];
            power_join(path, place.path, "/", list.entries[j].name);
            place_add(&composer->live, &composer->live_count, list.entries[j].identity, path);
        }
        power_list_free(&list);
    }
}

/* From seed to seed all, most, half, little or nothing of what was not synced reaches the disk (L4). */
static uint32_t kept_share(uint64_t seed)
{
    static const uint32_t shares[] = {128, 256, 0, 230, 26, 192, 64, 250};
    return shares[seed % (sizeof(shares) / sizeof(shares[0]))];
}

void power_loss_compose(const char *dir, const char *shadow, const char *image, uint64_t seed)
{
    struct level *const levels = calloc(DIRS_MAX, sizeof(*levels));
    power_check(levels != NULL, "no memory for", dir);
    snprintf(levels[0].live, sizeof(levels[0].live), "%s", dir);
    snprintf(levels[0].image, sizeof(levels[0].image), "%s", image);
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    power_check(fd >= 0, "cannot open", dir);
    power_identity(fd, levels[0].identity);
    close(fd);
    power_check(mkdir(image, 0700) == 0, "cannot make", image);

    struct composer composer = {.shadow = shadow, .seed = seed, .kept_of_256 = kept_share(seed)};
    find_live(&composer, dir, levels[0].identity);
    int level_count = 1;
    for (int i = 0; i < level_count; i++) compose_level(&composer, &levels[i], levels, &level_count);
    free(composer.live);
    free(composer.made);
    free(levels);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void power_loss_remove_tree(const char *path)
{
    if (access(path, F_OK) != 0) return;
    power_check(nftw(path, remove_one, REMOVE_DEPTH, FTW_DEPTH | FTW_PHYS) == 0, "cannot remove", path);
}
