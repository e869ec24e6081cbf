/* SPDX-License-Identifier: MIT */
/*
 * Salvage: the newest record of every key that can be read, copied into a new store.
 *
 *   V1  The old directory is not changed (X1); the new one gets its name only when it is complete.
 *   V2  Of the records of a key the one with the highest sequence counts, wherever it stands; a deletion, an
 *       expiry and a record that is damaged count like any other, so that nothing older comes back.     (P4)
 *   V3  Memory does not depend on the number of keys: the new store itself is the index. The first pass
 *       leaves in it, for each key, sequence and place of its newest record; the second replaces that by the
 *       value. What was written after `index_sequence` is a value, what before it is an entry of the index.
 *
 * Generations are mapped to spaces by the manifest and by what the log says after it. Without a manifest the
 * mapping begins as that of a new store, where generation and number are the same, and every SPACES record
 * found is applied.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "os/clock.h"
#include "stave.h"
#include "store/inspect.h"

#define PART_SUFFIX ".part"
#define CLAIM_COUNT_MAX ((size_t)1 << 20)      /* beyond, an older value may stand in for a damaged one */
#define GENERATION_COUNT_MAX ((size_t)1 << 20) /* changes of spaces remembered */
#define LOST_COUNT_MAX ((size_t)1024)          /* lost generations reported one by one */
#define NO_SPACE UINT32_MAX

enum { ENTRY_SIZE = 20, SPACE_COUNT = 1024 };

/* The value that the first pass leaves for a key. */
struct entry {
    uint64_t sequence;
    uint64_t offset;
    uint32_t segment_id;
};

/* A damaged record and the key that it claims (R5). */
struct claim {
    uint64_t key_hash;
    uint64_t sequence;
    uint32_t generation;
};

struct mapped {
    uint32_t generation;
    uint32_t number;
};

struct numbers {
    uint32_t *items;
    size_t count;
    size_t capacity;
};

struct salvage {
    struct inspection inspection;
    struct stave *store;
    uint32_t generation_of[SPACE_COUNT];
    struct mapped mapping[SPACE_COUNT]; /* the same, by generation */
    struct numbers known;               /* generations that a SPACES record names */
    struct numbers lost;                /* generations whose space is not known */
    struct claim *claims;
    size_t claim_count;
    size_t claim_capacity;
    uint64_t index_sequence;
    uint64_t pending; /* entries that the second pass has not settled yet */
    uint64_t now_ms;
    uint64_t record_count;
};

static bool numbers_have(const struct numbers *numbers, uint32_t item)
{
    for (size_t index = 0; index < numbers->count; index++)
        if (numbers->items[index] == item) return true;
    return false;
}

static enum stave_status numbers_add(struct numbers *numbers, uint32_t item, size_t limit,
                                     struct error *error)
{
    if (numbers->count == limit) return error_set(error, STAVE_LIMIT, 0, "too many changes of spaces");
    if (numbers->count == numbers->capacity) {
        const size_t capacity = numbers->capacity == 0 ? 64 : 2 * numbers->capacity;
        uint32_t *items = memory_realloc(numbers->items, capacity * sizeof(*items));
        if (items == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for generations");
        numbers->items = items;
        numbers->capacity = capacity;
    }
    numbers->items[numbers->count++] = item;
    return STAVE_OK;
}

/* Failure of a call on the new store, as an error. */
static enum stave_status new_store_failed(const struct salvage *salvage, enum stave_status status,
                                          struct error *error)
{
    struct stave_error last;
    stave_last_error(salvage->store, &last);
    return error_set(error, status, 0, "the new store: %s",
                     last.status == STAVE_OK ? stave_status_text(status) : last.message);
}

/* ------------------------------------------------------------------------------------------------- spaces */

static enum stave_status visit_spaces(void *context, const struct inspected *segment, struct scan *scan,
                                      const struct scan_record *record, struct error *error)
{
    struct salvage *salvage = context;
    struct record_spaces spaces;
    uint8_t bytes[RECORD_SPACES_SIZE];

    (void)segment;
    if (record->record.kind != RECORD_SPACES) return STAVE_OK;
    if (scan_verify(scan, NULL) != STAVE_OK) return STAVE_OK; /* reported by the first pass */
    if (scan_read_value(scan, 0, sizeof(bytes), bytes, NULL) != STAVE_OK) return STAVE_OK;
    if (record_decode_spaces(bytes, sizeof(bytes), &spaces) != STAVE_OK) return STAVE_OK;
    if (spaces.a >= SPACE_COUNT || spaces.b >= SPACE_COUNT) return STAVE_OK;

    uint32_t *a = &salvage->generation_of[spaces.a];
    uint32_t *b = &salvage->generation_of[spaces.b];
    if (spaces.op == RECORD_SPACES_DROP) {
        *a = spaces.generation;
        const enum stave_status status =
            numbers_add(&salvage->known, spaces.old_generation, GENERATION_COUNT_MAX, error);
        if (status != STAVE_OK) return status;
        return numbers_add(&salvage->known, spaces.generation, GENERATION_COUNT_MAX, error);
    }
    const uint32_t generation = *a;
    *a = *b;
    *b = generation;
    return STAVE_OK;
}

static int compare_incarnations(const void *a, const void *b)
{
    const struct inspected *left = *(const struct inspected *const *)a;
    const struct inspected *right = *(const struct inspected *const *)b;
    return left->incarnation < right->incarnation ? -1 : left->incarnation > right->incarnation;
}

static int compare_generations(const void *a, const void *b)
{
    const struct mapped *left = a;
    const struct mapped *right = b;
    return left->generation < right->generation ? -1 : left->generation > right->generation;
}

/* Applies what the log says of spaces, in the order of the log. */
static enum stave_status replay_spaces(struct salvage *salvage, struct error *error)
{
    struct inspection *inspection = &salvage->inspection;
    const struct inspection_walk walk = {.visit = visit_spaces, .context = salvage, .quiet = true};
    const struct inspected **logs =
        memory_alloc_zero(inspection->segment_count + 1, sizeof(const struct inspected *));
    if (logs == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a list of segments");

    size_t count = 0;
    for (size_t index = 0; index < inspection->segment_count; index++)
        if (inspection->segments[index].kind == SEGMENT_LOG && !inspection->segments[index].sealed)
            logs[count++] = &inspection->segments[index];
    qsort(logs, count, sizeof(const struct inspected *), compare_incarnations);

    enum stave_status status = STAVE_OK;
    for (size_t index = 0; index < count && status == STAVE_OK; index++)
        status = inspection_read(inspection, logs[index], &walk, error);
    memory_free(logs);
    return status;
}

static enum stave_status map_spaces(struct salvage *salvage, struct error *error)
{
    const struct manifest *manifest = &salvage->inspection.manifest;
    for (uint32_t number = 0; number < SPACE_COUNT; number++) salvage->generation_of[number] = number;
    for (size_t index = 0; index < manifest->space_count; index++)
        salvage->generation_of[manifest->spaces[index].number] = manifest->spaces[index].generation;

    const enum stave_status status = replay_spaces(salvage, error);
    if (status != STAVE_OK) return status;
    for (uint32_t number = 0; number < SPACE_COUNT; number++)
        salvage->mapping[number] = (struct mapped){salvage->generation_of[number], number};
    qsort(salvage->mapping, SPACE_COUNT, sizeof(*salvage->mapping), compare_generations);
    return STAVE_OK;
}

static uint32_t space_of(const struct salvage *salvage, uint32_t generation)
{
    const struct mapped key = {.generation = generation};
    const struct mapped *found =
        bsearch(&key, salvage->mapping, SPACE_COUNT, sizeof(key), compare_generations);
    return found == NULL ? NO_SPACE : found->number;
}

/* A record of no space: its space was dropped, or, without a manifest, is not known. */
static enum stave_status note_homeless(struct salvage *salvage, const struct inspected *segment,
                                       const struct scan_record *record, struct error *error)
{
    const uint32_t generation = record->record.generation;
    if (salvage->inspection.has_manifest || generation < SPACE_COUNT ||
        record->record.kind == RECORD_TOMBSTONE)
        return STAVE_OK;
    if (numbers_have(&salvage->known, generation)) return STAVE_OK;
    salvage->inspection.lost_size += record_size(&record->record);
    if (salvage->lost.count == LOST_COUNT_MAX || numbers_have(&salvage->lost, generation)) return STAVE_OK;

    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment->id, name);
    const enum stave_status status =
        inspection_damage(&salvage->inspection,
                          &(struct stave_damage){
                              .kind = STAVE_DAMAGE_MANIFEST,
                              .file = name,
                              .offset = record->offset,
                              .message = "a space's records cannot be given to a space without the manifest",
                          });
    return status == STAVE_OK ? numbers_add(&salvage->lost, generation, LOST_COUNT_MAX, error) : status;
}

/* --------------------------------------------------------------------------------------------- first pass */

static void claim_key(void *context, const struct record *record)
{
    struct salvage *salvage = context;
    if (salvage->claim_count == CLAIM_COUNT_MAX) return;
    if (salvage->claim_count == salvage->claim_capacity) {
        const size_t capacity = salvage->claim_capacity == 0 ? 64 : 2 * salvage->claim_capacity;
        struct claim *claims = memory_realloc(salvage->claims, capacity * sizeof(*claims));
        if (claims == NULL) return;
        salvage->claims = claims;
        salvage->claim_capacity = capacity;
    }
    salvage->claims[salvage->claim_count++] =
        (struct claim){record->key_hash, record->sequence, record->generation};
}

static int compare_claims(const void *a, const void *b)
{
    const struct claim *left = a;
    const struct claim *right = b;
    if (left->key_hash != right->key_hash) return left->key_hash < right->key_hash ? -1 : 1;
    return left->generation < right->generation ? -1 : left->generation > right->generation;
}

/* One claim a key: the newest. */
static void sort_claims(struct salvage *salvage)
{
    size_t kept = 0;
    if (salvage->claim_count == 0) return;
    qsort(salvage->claims, salvage->claim_count, sizeof(*salvage->claims), compare_claims);
    for (size_t index = 1; index < salvage->claim_count; index++) {
        struct claim *last = &salvage->claims[kept];
        const struct claim next = salvage->claims[index];
        if (compare_claims(last, &next) != 0)
            salvage->claims[++kept] = next;
        else if (next.sequence > last->sequence)
            *last = next;
    }
    salvage->claim_count = kept + 1;
}

static bool is_claimed(const struct salvage *salvage, const struct record *record)
{
    if (salvage->claim_count == 0) return false;
    const struct claim key = {.key_hash = record->key_hash, .generation = record->generation};
    const struct claim *found =
        bsearch(&key, salvage->claims, salvage->claim_count, sizeof(key), compare_claims);
    return found != NULL && found->sequence > record->sequence;
}

static void encode_entry(const struct entry *entry, uint8_t at[ENTRY_SIZE])
{
    store_le64(at, entry->sequence);
    store_le64(at + 8, entry->offset);
    store_le32(at + 16, entry->segment_id);
}

static struct entry decode_entry(const uint8_t *at)
{
    return (struct entry){load_le64(at), load_le64(at + 8), load_le32(at + 16)};
}

/* The entry of a key. STAVE_OK; STAVE_NOT_FOUND, also if the key has its value already. */
static enum stave_status find_entry(const struct salvage *salvage, struct stave *space,
                                    struct stave_bytes key, struct entry *ret_entry, struct error *error)
{
    struct stave_value value = {0};
    const struct stave_read read = {.size = ENTRY_SIZE};
    const enum stave_status status = stave_get_with(space, key, &read, &value);
    if (status == STAVE_NOT_FOUND) return status;
    if (status != STAVE_OK) return new_store_failed(salvage, status, error);

    const bool is_entry = value.size == ENTRY_SIZE &&
                          (salvage->index_sequence == 0 || value.sequence <= salvage->index_sequence);
    if (is_entry) *ret_entry = decode_entry(value.data);
    stave_free(value.data);
    return is_entry ? STAVE_OK : STAVE_NOT_FOUND;
}

static enum stave_status visit_first(void *context, const struct inspected *segment, struct scan *scan,
                                     const struct scan_record *record, struct error *error)
{
    struct salvage *salvage = context;
    (void)scan;
    if (!record_has_key(record->record.kind) || record->record.sequence == 0) return STAVE_OK;
    const uint32_t number = space_of(salvage, record->record.generation);
    if (number == NO_SPACE) return note_homeless(salvage, segment, record, error);

    struct stave *space = stave_space(salvage->store, number);
    const struct stave_bytes key = stave_bytes(record->key, record->record.key_size);
    struct entry old;
    enum stave_status status = find_entry(salvage, space, key, &old, error);
    if (status < 0) return status;
    if (status == STAVE_OK && old.sequence >= record->record.sequence) return STAVE_OK; /* V2 */
    if (status == STAVE_NOT_FOUND) salvage->pending++;

    const struct entry entry = {record->record.sequence, record->offset, segment->id};
    uint8_t bytes[ENTRY_SIZE];
    encode_entry(&entry, bytes);
    status = stave_put(space, key, stave_bytes(bytes, sizeof(bytes)));
    return status == STAVE_OK ? STAVE_OK : new_store_failed(salvage, status, error);
}

/* -------------------------------------------------------------------------------------------- second pass */

/* A value in memory, whole and verified: STAVE_OK, or STAVE_CORRUPT; the scan's key is void after it. */
static enum stave_status read_value(struct scan *scan, uint8_t **ret_value, struct error *error)
{
    const struct record record = scan->current.record;
    uint8_t *value = memory_alloc(record.value_size);
    if (value == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a value of %u bytes", record.value_size);
    enum stave_status status = scan_read_value(scan, 0, record.value_size, value, error);
    if (status == STAVE_OK &&
        record_payload_checksum(record.key_hash, value, record.value_size) != record.payload_checksum)
        status = error_set(error, STAVE_CORRUPT, 0, "the value does not check out");
    if (status != STAVE_OK) {
        memory_free(value);
        return status;
    }
    *ret_value = value;
    return STAVE_OK;
}

static enum stave_status decode_link(struct scan *scan, struct record_link *ret_link, struct error *error)
{
    uint8_t *bytes = NULL;
    enum stave_status status = read_value(scan, &bytes, error);
    if (status == STAVE_OK) status = record_decode_link(bytes, scan->current.record.value_size, ret_link);
    memory_free(bytes);
    return status;
}

/* The value that a LINK publishes. */
static enum stave_status read_linked(struct salvage *salvage, struct scan *scan, uint8_t **ret_value,
                                     uint32_t *ret_size, struct error *error)
{
    struct scan large = SCAN_NONE;
    struct scan_record record;
    struct record_link link;
    enum stave_status status = decode_link(scan, &link, error);
    if (status != STAVE_OK) return status;

    const struct scan_expect expect = {
        .identity = link.identity, .end = SCAN_TO_THE_END, .id = link.segment_id};
    status = scan_open(&salvage->inspection.dir, &expect, &large, error);
    if (status == STAVE_OK) status = scan_next(&large, &record, error);
    if (status == STAVE_OK && (record.record.key_hash != scan->current.record.key_hash ||
                               record.record.payload_checksum != link.payload_checksum))
        status = error_set(error, STAVE_CORRUPT, 0, "the large value is not the one that the log names");
    if (status == STAVE_OK) status = read_value(&large, ret_value, error);
    if (status == STAVE_OK) *ret_size = record.record.value_size;
    scan_close(&large);
    return status;
}

static enum stave_status report_lost(struct salvage *salvage, const struct inspected *segment,
                                     const struct scan_record *record, struct stave_bytes key,
                                     const char *message)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment->id, name);
    return inspection_damage(&salvage->inspection, &(struct stave_damage){
                                                       .kind = STAVE_DAMAGE_PAYLOAD,
                                                       .file = name,
                                                       .offset = record->offset,
                                                       .size = record_size(&record->record),
                                                       .key = key,
                                                       .message = message,
                                                   });
}

/* Gives the key its value; STAVE_NOT_FOUND if it could not be read, which is reported. */
static enum stave_status put_value(struct salvage *salvage, const struct inspected *segment,
                                   struct scan *scan, const struct scan_record *record, struct stave *space,
                                   struct stave_bytes key, struct error *error)
{
    const struct stave_write write = {.expires_at_ms = record->record.expires_at_ms};
    struct error why = ERROR_NONE;
    uint8_t *value = NULL;
    uint32_t size = record->record.value_size;

    enum stave_status status = record->record.kind == RECORD_LINK
                                   ? read_linked(salvage, scan, &value, &size, &why)
                                   : read_value(scan, &value, &why);
    if (status == STAVE_NO_MEMORY) {
        error_copy(error, &why);
        return status;
    }
    if (status != STAVE_OK) {
        status = report_lost(salvage, segment, record, key, why.message);
        return status == STAVE_OK ? STAVE_NOT_FOUND : status;
    }
    status = stave_put_with(space, key, stave_bytes(value, size), &write, NULL);
    memory_free(value);
    if (status != STAVE_OK) return new_store_failed(salvage, status, error);
    salvage->record_count++;
    return STAVE_OK;
}

static bool is_gone(const struct salvage *salvage, const struct record *record)
{
    if (record->kind == RECORD_TOMBSTONE || is_claimed(salvage, record)) return true;
    return record->expires_at_ms != 0 && record->expires_at_ms <= salvage->now_ms;
}

/* The newest record of its key. */
static enum stave_status settle(struct salvage *salvage, const struct inspected *segment, struct scan *scan,
                                const struct scan_record *record, struct stave *space, struct error *error)
{
    const struct scan_record settled = *record;
    void *copy = memory_copy(record->key, record->record.key_size);
    if (copy == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a key");

    const struct stave_bytes key = stave_bytes(copy, settled.record.key_size);
    enum stave_status status = STAVE_NOT_FOUND;
    if (!is_gone(salvage, &settled.record))
        status = put_value(salvage, segment, scan, &settled, space, key, error);
    if (status == STAVE_NOT_FOUND) {
        status = stave_delete(space, key);
        if (status != STAVE_OK) status = new_store_failed(salvage, status, error);
    }
    memory_free(copy);
    if (status == STAVE_OK) salvage->pending--;
    return status;
}

static enum stave_status visit_second(void *context, const struct inspected *segment, struct scan *scan,
                                      const struct scan_record *record, struct error *error)
{
    struct salvage *salvage = context;
    if (!record_has_key(record->record.kind)) return STAVE_OK;
    const uint32_t number = space_of(salvage, record->record.generation);
    if (number == NO_SPACE) return STAVE_OK;

    struct stave *space = stave_space(salvage->store, number);
    struct entry entry;
    const enum stave_status status =
        find_entry(salvage, space, stave_bytes(record->key, record->record.key_size), &entry, error);
    if (status < 0) return status;
    if (status == STAVE_NOT_FOUND || entry.segment_id != segment->id || entry.offset != record->offset)
        return STAVE_OK;
    return settle(salvage, segment, scan, record, space, error);
}

/* -------------------------------------------------------------------------------------------- both passes */

static enum stave_status pass(struct salvage *salvage, const struct inspection_walk *walk,
                              struct error *error)
{
    enum stave_status status = STAVE_OK;
    for (size_t index = 0; index < salvage->inspection.segment_count && status == STAVE_OK; index++) {
        const struct inspected *segment = &salvage->inspection.segments[index];
        /* Without a manifest only its LINK tells whether a large value counts. */
        if (segment->kind == SEGMENT_LARGE && !salvage->inspection.has_manifest) continue;
        status = inspection_read(&salvage->inspection, segment, walk, error);
    }
    return status;
}

/* Removes entries whose record could be read in the first pass and not in the second. */
static enum stave_status drop_entries(struct salvage *salvage, struct stave *space, struct error *error)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status = stave_cursor_open(space, 0, stave_bytes(NULL, 0), STAVE_CURSOR_KEYS, &cursor);
    if (status != STAVE_OK) return new_store_failed(salvage, status, error);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
        if (entry.sequence > salvage->index_sequence) continue;
        status =
            inspection_damage(&salvage->inspection,
                              &(struct stave_damage){.kind = STAVE_DAMAGE_FILE,
                                                     .file = "",
                                                     .key = entry.key,
                                                     .message = "the value could not be read a second time"});
        if (status == STAVE_OK) status = stave_delete(space, entry.key);
        if (status < 0) break;
    }
    stave_cursor_close(cursor);
    return status == STAVE_END ? STAVE_OK : status;
}

static enum stave_status drop_all_entries(struct salvage *salvage, struct error *error)
{
    enum stave_status status = STAVE_OK;
    for (uint32_t number = 0; number < SPACE_COUNT && salvage->pending > 0 && status == STAVE_OK; number++) {
        struct stave *space = stave_space(salvage->store, number);
        if (stave_count(space) > 0) status = drop_entries(salvage, space, error);
    }
    return status;
}

static enum stave_status copy_all(struct salvage *salvage, struct error *error)
{
    const struct inspection_walk first = {.visit = visit_first, .claim = claim_key, .context = salvage};
    const struct inspection_walk second = {.visit = visit_second, .context = salvage, .quiet = true};

    salvage->inspection.total *= 2;
    enum stave_status status = map_spaces(salvage, error);
    if (status != STAVE_OK) return status;
    status = pass(salvage, &first, error);
    if (status != STAVE_OK) return status;
    sort_claims(salvage);
    salvage->index_sequence = stave_sequence(salvage->store);
    if (salvage->pending == 0) return STAVE_OK;
    status = pass(salvage, &second, error);
    return status == STAVE_OK ? drop_all_entries(salvage, error) : status;
}

/* -------------------------------------------------------------------------------------------- directories */

struct sweep {
    const struct dir *dir;
    struct error *error;
};

static enum stave_status remove_file(void *context, const char *name)
{
    const struct sweep *sweep = context;
    const enum stave_status status = dir_unlink(sweep->dir, name, sweep->error);
    return status == STAVE_NOT_FOUND ? STAVE_OK : status;
}

/* Removes what a salvage that failed has made. */
static void remove_part(const char *path)
{
    struct dir dir = DIR_NONE;
    if (dir_open(path, &dir, NULL) != STAVE_OK) return;
    struct sweep sweep = {&dir, NULL};
    const enum stave_status status = dir_list(&dir, remove_file, &sweep, NULL);
    dir_close(&dir);
    if (status == STAVE_OK) (void)dir_remove(path, NULL); /* the first error is the one to report */
}

/* "a/b" is "b" in "a"; without a slash it is in ".". `parent` has room for the path and 2 bytes more. */
static const char *split_path(char *parent, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        memcpy(parent, ".", 2);
        return path;
    }
    const size_t size = slash == path ? 1 : (size_t)(slash - path);
    memcpy(parent, path, size);
    parent[size] = 0;
    return slash + 1;
}

/* V1 */
static enum stave_status give_name(const char *part, const char *new_path, struct error *error)
{
    struct dir dir = DIR_NONE;
    char *parent = memory_alloc(strlen(part) + 2);
    if (parent == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a path");
    const char *from = split_path(parent, part);
    const char *to = split_path(parent, new_path);

    enum stave_status status = dir_open(parent, &dir, error);
    if (status == STAVE_OK) status = dir_rename(&dir, from, to, error);
    if (status == STAVE_OK) status = dir_sync(&dir, error);
    dir_close(&dir);
    memory_free(parent);
    return status;
}

/* `new_path` without slashes at its end, and the name that it has until it is complete. */
static enum stave_status name_part(const char *new_path, char **ret_path, char **ret_part,
                                   struct error *error)
{
    size_t size = strlen(new_path);
    while (size > 1 && new_path[size - 1] == '/') size--;
    char *path = memory_alloc(size + 1);
    char *part = memory_alloc(size + sizeof(PART_SUFFIX));
    if (path == NULL || part == NULL) {
        memory_free(path);
        memory_free(part);
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a path");
    }
    memcpy(path, new_path, size);
    path[size] = 0;
    memcpy(part, new_path, size);
    memcpy(part + size, PART_SUFFIX, sizeof(PART_SUFFIX));
    *ret_path = path;
    *ret_part = part;
    return STAVE_OK;
}

static enum stave_status must_be_absent(const char *path, struct error *error)
{
    struct dir dir = DIR_NONE;
    const enum stave_status status = dir_open(path, &dir, NULL);
    dir_close(&dir);
    if (status == STAVE_NOT_FOUND) return STAVE_OK;
    return error_set(error, STAVE_EXISTS, 0, "%s: is already there", path);
}

/* ----------------------------------------------------------------------------------------------- the call */

static enum stave_status fill_part(struct salvage *salvage, const char *part, struct error *error)
{
    struct stave_options options = {.size = sizeof(options), .must_not_exist = true, .sync = STAVE_SYNC_NONE};
    struct stave_error opening;
    enum stave_status status = stave_open(part, &options, &salvage->store, &opening);
    if (status != STAVE_OK) return error_set(error, status, 0, "%s", opening.message);

    status = copy_all(salvage, error);
    const enum stave_status closing = stave_close(salvage->store);
    salvage->store = NULL;
    if (status == STAVE_OK && closing != STAVE_OK)
        status = error_set(error, closing, 0, "%s: closing the new store failed", part);
    return status;
}

static enum stave_status salvage_into(struct salvage *salvage, const char *new_path, struct error *error)
{
    char *path = NULL;
    char *part = NULL;
    enum stave_status status = name_part(new_path, &path, &part, error);
    if (status != STAVE_OK) return status;

    status = must_be_absent(path, error);
    if (status == STAVE_OK) status = must_be_absent(part, error);
    if (status == STAVE_OK) {
        status = fill_part(salvage, part, error);
        if (status == STAVE_OK) status = give_name(part, path, error);
        if (status != STAVE_OK) remove_part(part);
    }
    memory_free(path);
    memory_free(part);
    return status;
}

enum stave_status stave_salvage(const char *path, const char *new_path, stave_damage_call damage,
                                stave_progress_call progress, void *context,
                                struct stave_salvage_result *ret_result, struct stave_error *ret_error)
{
    struct error error = ERROR_NONE;
    enum stave_status status = STAVE_OK;
    if (path == NULL || new_path == NULL || new_path[0] == 0) {
        status = error_set(&error, STAVE_INVALID, 0, "stave_salvage: a path is missing");
        inspection_hand_out(&error, status, ret_error);
        return status;
    }
    struct salvage *salvage = memory_alloc_zero(1, sizeof(*salvage));
    if (salvage == NULL) {
        status = error_set(&error, STAVE_NO_MEMORY, 0, "no memory to salvage");
        inspection_hand_out(&error, status, ret_error);
        return status;
    }
    const struct inspection_calls calls = {damage, progress, context};
    salvage->now_ms = clock_wall_ms();
    status = inspection_begin(&salvage->inspection, path, &calls, &error);
    if (status == STAVE_OK) status = salvage_into(salvage, new_path, &error);
    if (status == STAVE_OK && ret_result != NULL)
        *ret_result = (struct stave_salvage_result){salvage->record_count, salvage->inspection.damage_count,
                                                    salvage->inspection.lost_size};
    inspection_end(&salvage->inspection);
    memory_free(salvage->known.items);
    memory_free(salvage->lost.items);
    memory_free(salvage->claims);
    memory_free(salvage);
    inspection_hand_out(&error, status, ret_error);
    return status;
}
