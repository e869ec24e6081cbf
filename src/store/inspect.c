/* SPDX-License-Identifier: MIT */
/* Listing what a directory holds, and reading its segments in the parts that marks divide them into. */
#include "store/inspect.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "os/file.h"

#define PROGRESS_STEP (UINT64_C(4) << 20)

/* ---------------------------------------------------------------------------------------------- reporting */

static bool is_harmless(enum stave_damage_kind kind)
{
    return kind == STAVE_DAMAGE_CHECKPOINT || kind == STAVE_DAMAGE_TORN;
}

enum stave_status inspection_damage(struct inspection *inspection, const struct stave_damage *damage)
{
    inspection->damage_count++;
    if (!is_harmless(damage->kind)) {
        inspection->harmful_count++;
        inspection->lost_size += damage->size;
    }
    if (inspection->damage == NULL) return STAVE_OK;
    return inspection->damage(inspection->context, damage) ? STAVE_CANCELLED : STAVE_OK;
}

static enum stave_status advance(struct inspection *inspection, uint64_t size)
{
    inspection->done += size;
    if (inspection->done > inspection->total) inspection->total = inspection->done;
    if (inspection->progress == NULL || inspection->done - inspection->reported < PROGRESS_STEP)
        return STAVE_OK;
    inspection->reported = inspection->done;
    return inspection->progress(inspection->context, inspection->done, inspection->total) ? STAVE_CANCELLED
                                                                                          : STAVE_OK;
}

void inspection_hand_out(const struct error *error, enum stave_status status, struct stave_error *ret_error)
{
    if (ret_error == NULL || status == STAVE_OK) return;
    struct error other = ERROR_NONE;
    if (error->status != status) error_set(&other, status, 0, "%s", stave_status_text(status));
    error_hand_out(error->status == status ? error : &other, status, ret_error);
}

/* ------------------------------------------------------------------------------------------------ listing */

static enum stave_status add_segment(struct inspection *inspection, const struct inspected *segment,
                                     struct error *error)
{
    if (inspection->segment_count == INSPECTION_SEGMENT_MAX)
        return error_set(error, STAVE_LIMIT, 0, "%s: holds more segments than a store can",
                         inspection->dir.path);
    if (inspection->segment_count == inspection->segment_capacity) {
        const size_t capacity = inspection->segment_capacity == 0 ? 64 : 2 * inspection->segment_capacity;
        struct inspected *segments = memory_realloc(inspection->segments, capacity * sizeof(*segments));
        if (segments == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a list of segments");
        inspection->segments = segments;
        inspection->segment_capacity = capacity;
    }
    inspection->segments[inspection->segment_count++] = *segment;
    return STAVE_OK;
}

static enum stave_status list_manifest(struct inspection *inspection, struct error *error)
{
    for (size_t index = 0; index < inspection->manifest.segment_count; index++) {
        const struct manifest_segment *listed = &inspection->manifest.segments[index];
        const bool sealed = listed->state == MANIFEST_SEGMENT_SEALED;
        const struct inspected segment = {
            .identity = listed->identity,
            .hash_seed = inspection->manifest.hash_seed,
            .length = sealed ? listed->length : SCAN_TO_THE_END,
            .id = listed->id,
            .kind = listed->kind,
            .incarnation = listed->incarnation,
            .sealed = sealed,
        };
        const enum stave_status status = add_segment(inspection, &segment, error);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

struct listing {
    struct inspection *inspection;
    struct error *error;
};

/* The segment file `name`, described by its own header. */
static enum stave_status read_header(struct inspection *inspection, const char *name,
                                     struct segment_header *ret_header, struct error *error)
{
    struct file file = FILE_NONE;
    uint8_t bytes[SEGMENT_HEADER_SIZE] = {0};
    size_t size = 0;

    enum stave_status status = file_open(&inspection->dir, name, false, &file, error);
    if (status != STAVE_OK) goto done;
    status = file_read_some(&file, bytes, sizeof(bytes), 0, &size, error);
    if (status != STAVE_OK) goto done;
    status = segment_decode_header(bytes, sizeof(bytes), ret_header);
    if (status != STAVE_OK) (void)file_error(&file, error, status, 0, "the segment's header is damaged");

done:
    (void)file_close(&file, NULL); /* only read */
    return status;
}

static uint64_t size_of_file(const struct inspection *inspection, const char *name)
{
    struct file file = FILE_NONE;
    uint64_t size = 0;
    if (file_open(&inspection->dir, name, false, &file, NULL) == STAVE_OK)
        (void)file_size(&file, &size, NULL);
    (void)file_close(&file, NULL); /* only read */
    return size;
}

static enum stave_status visit_file(void *context, const char *name)
{
    const struct listing *listing = context;
    struct inspection *inspection = listing->inspection;
    struct segment_header header;
    uint32_t id = 0;

    if (!segment_file_name_parse(name, &id)) return STAVE_OK;
    const enum stave_status status = read_header(inspection, name, &header, listing->error);
    if (status == STAVE_NO_MEMORY || status == STAVE_VERSION) return status;
    if (status == STAVE_NOT_FOUND) return STAVE_OK; /* made, never written */
    if (status != STAVE_OK || header.id != id)
        return inspection_damage(inspection, &(struct stave_damage){
                                                 .kind = STAVE_DAMAGE_FILE,
                                                 .file = name,
                                                 .size = size_of_file(inspection, name),
                                                 .message = "the segment's header cannot be read",
                                             });
    const struct inspected segment = {
        .identity = header.identity,
        .hash_seed = header.hash_seed,
        .length = SCAN_TO_THE_END,
        .id = id,
        .kind = header.kind,
        .incarnation = header.incarnation,
    };
    return add_segment(inspection, &segment, listing->error);
}

static int compare_ids(const void *a, const void *b)
{
    const struct inspected *left = a;
    const struct inspected *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Boyer and Moore: the seed that more than half of them have, if there is one. */
static uint64_t majority_seed(const struct inspection *inspection)
{
    uint64_t seed = 0;
    size_t votes = 0;
    for (size_t index = 0; index < inspection->segment_count; index++) {
        const uint64_t other = inspection->segments[index].hash_seed;
        if (votes == 0) seed = other;
        votes = seed == other ? votes + 1 : votes - 1;
    }
    return seed;
}

/* X3 */
static enum stave_status drop_foreign(struct inspection *inspection)
{
    const uint64_t seed = majority_seed(inspection);
    size_t kept = 0;
    for (size_t index = 0; index < inspection->segment_count; index++) {
        const struct inspected segment = inspection->segments[index];
        if (segment.hash_seed == seed) {
            inspection->segments[kept++] = segment;
            continue;
        }
        char name[SEGMENT_FILE_NAME_SIZE];
        segment_file_name(segment.id, name);
        const enum stave_status status =
            inspection_damage(inspection, &(struct stave_damage){
                                              .kind = STAVE_DAMAGE_FILE,
                                              .file = name,
                                              .message = "the segment belongs to another store",
                                          });
        if (status != STAVE_OK) return status;
    }
    inspection->segment_count = kept;
    return STAVE_OK;
}

static enum stave_status list_files(struct inspection *inspection, struct error *error)
{
    struct listing listing = {inspection, error};
    const enum stave_status status = dir_list(&inspection->dir, visit_file, &listing, error);
    if (status != STAVE_OK) return status;
    if (inspection->segment_count == 0) return STAVE_OK;
    qsort(inspection->segments, inspection->segment_count, sizeof(*inspection->segments), compare_ids);
    return drop_foreign(inspection);
}

const struct inspected *inspection_find(const struct inspection *inspection, uint32_t id)
{
    if (inspection->segment_count == 0) return NULL;
    const struct inspected key = {.id = id};
    return bsearch(&key, inspection->segments, inspection->segment_count, sizeof(key), compare_ids);
}

/* --------------------------------------------------------------------------------------------- begin, end */

/* Where nothing can be locked (a read-only disk) nobody writes either. */
static enum stave_status take_lock(struct inspection *inspection, struct error *error)
{
    struct error problem = ERROR_NONE;
    enum stave_status status = dir_exists(&inspection->dir, LOCK_FILE_NAME, &problem);
    if (status == STAVE_NOT_FOUND) return STAVE_OK;
    if (status == STAVE_OK) status = dir_lock(&inspection->dir, LOCK_FILE_NAME, &inspection->lock, &problem);
    if (status == STAVE_PERMISSION || problem.system_error == EROFS) return STAVE_OK;
    if (status != STAVE_OK) error_copy(error, &problem);
    return status;
}

static enum stave_status manifest_problem(struct inspection *inspection, enum stave_status status,
                                          const struct error *problem)
{
    const char *message =
        status == STAVE_NOT_FOUND ? "is missing; the segments were listed by their names" : problem->message;
    return inspection_damage(inspection, &(struct stave_damage){
                                             .kind = STAVE_DAMAGE_MANIFEST,
                                             .file = MANIFEST_FILE_NAME,
                                             .message = message,
                                         });
}

static enum stave_status list_segments(struct inspection *inspection, struct error *error)
{
    struct error problem = ERROR_NONE;
    const enum stave_status found = manifest_read(&inspection->dir, &inspection->manifest, &problem);
    inspection->has_manifest = found == STAVE_OK;
    if (found == STAVE_OK) return list_manifest(inspection, error);
    if (found == STAVE_NO_MEMORY || found == STAVE_VERSION) {
        error_copy(error, &problem);
        return found;
    }
    const enum stave_status status = list_files(inspection, error);
    if (status != STAVE_OK) return status;
    if (inspection->segment_count == 0 && found != STAVE_CORRUPT)
        return error_set(error, STAVE_NOT_A_STORE, 0, "%s: is not a store", inspection->dir.path);
    return manifest_problem(inspection, found, &problem);
}

static void find_vouched(struct inspection *inspection);

enum stave_status inspection_begin(struct inspection *inspection, const char *path,
                                   const struct inspection_calls *calls, struct error *error)
{
    *inspection = INSPECTION_NONE;
    inspection->damage = calls->damage;
    inspection->progress = calls->progress;
    inspection->context = calls->context;

    enum stave_status status = dir_open(path, &inspection->dir, error);
    if (status == STAVE_OK) status = take_lock(inspection, error);
    if (status == STAVE_OK) status = list_segments(inspection, error);
    if (status != STAVE_OK) {
        inspection_end(inspection);
        return status;
    }
    find_vouched(inspection);
    for (size_t index = 0; index < inspection->segment_count; index++) {
        char name[SEGMENT_FILE_NAME_SIZE];
        segment_file_name(inspection->segments[index].id, name);
        inspection->total += size_of_file(inspection, name);
    }
    return STAVE_OK;
}

void inspection_end(struct inspection *inspection)
{
    memory_free(inspection->segments);
    manifest_free(&inspection->manifest);
    dir_unlock(&inspection->lock);
    dir_close(&inspection->dir);
    *inspection = INSPECTION_NONE;
}

/* -------------------------------------------------------------------------------------------------- marks */

static enum stave_status open_scan(struct inspection *inspection, const struct inspected *segment,
                                   uint64_t start, uint64_t end, unsigned flags, struct scan *ret_scan,
                                   struct error *error)
{
    const struct scan_expect expect = {
        .identity = segment->identity,
        .start = start,
        .end = end,
        .id = segment->id,
        .flags = flags,
    };
    return scan_open(&inspection->dir, &expect, ret_scan, error);
}

/* Up to where marks in the segment vouch for it; 0 if there is none, or the file cannot be read. */
static uint64_t marked_end(struct inspection *inspection, const struct inspected *segment)
{
    struct scan scan = SCAN_NONE;
    struct record_mark mark = {0};
    if (open_scan(inspection, segment, 0, SCAN_TO_THE_END, 0, &scan, NULL) != STAVE_OK) return 0;
    const enum stave_status status = scan_search_mark(&scan, SEGMENT_HEADER_SIZE, &mark, NULL);
    scan_close(&scan);
    return status == STAVE_OK ? mark.durable_end : 0;
}

/* A mark in an open segment vouches for every earlier one too. */
static void find_vouched(struct inspection *inspection)
{
    uint32_t incarnation = 0;
    for (size_t index = 0; inspection->has_manifest && index < inspection->segment_count; index++) {
        const struct inspected *segment = &inspection->segments[index];
        if (segment->kind != SEGMENT_LOG || segment->sealed || segment->incarnation < incarnation) continue;
        if (marked_end(inspection, segment) != 0) incarnation = segment->incarnation;
    }
    for (size_t index = 0; index < inspection->segment_count; index++) {
        struct inspected *segment = &inspection->segments[index];
        segment->vouched =
            segment->kind == SEGMENT_LOG && !segment->sealed && segment->incarnation < incarnation;
    }
}

/* ------------------------------------------------------------------------------------------------ reading */

struct part {
    struct inspection *inspection;
    const struct inspected *segment;
    const struct inspection_walk *walk;
    struct scan *scan;
    bool may_be_torn; /* X4: the first damage ends the log */
    char name[SEGMENT_FILE_NAME_SIZE];
};

static bool key_is_right(const struct scan *scan)
{
    const struct record *record = &scan->current.record;
    if (!record_has_key(record->kind) || scan->current.key == NULL) return false;
    return record_key_hash(scan->header.hash_seed, record->generation, scan->current.key, record->key_size) ==
           record->key_hash;
}

static enum stave_status report(const struct part *part, enum stave_damage_kind kind, uint64_t offset,
                                uint64_t size, struct stave_bytes key, const char *message)
{
    if (part->walk->quiet) return STAVE_OK;
    return inspection_damage(part->inspection, &(struct stave_damage){
                                                   .kind = kind,
                                                   .file = part->name,
                                                   .offset = offset,
                                                   .size = size,
                                                   .key = key,
                                                   .message = message,
                                               });
}

static enum stave_status report_payload(const struct part *part)
{
    const struct scan *scan = part->scan;
    const struct record record = scan->current.record;
    const struct stave_bytes key =
        key_is_right(scan) ? stave_bytes(scan->current.key, record.key_size) : stave_bytes(NULL, 0);
    if (part->walk->claim != NULL && record_has_key(record.kind))
        part->walk->claim(part->walk->context, &record);
    return report(part, STAVE_DAMAGE_PAYLOAD, scan->offset, record_size(&record), key, scan->problem);
}

/* The damage that scan_next met; *ret_end: nothing follows it. */
static enum stave_status meet_damage(const struct part *part, bool *ret_end)
{
    struct scan *scan = part->scan;
    const uint64_t offset = scan->offset;
    const char *problem = scan->problem != NULL ? scan->problem : "cannot be read";
    enum stave_status status = STAVE_OK;
    uint64_t skipped = 0;

    *ret_end = part->may_be_torn;
    if (part->may_be_torn) return report(part, STAVE_DAMAGE_TORN, offset, 0, stave_bytes(NULL, 0), problem);

    const bool is_payload = scan->damage == SCAN_PAYLOAD_DAMAGED;
    if (is_payload) status = report_payload(part);
    if (status != STAVE_OK) return status;
    *ret_end = scan_resume(scan, &skipped) != STAVE_OK;
    if (is_payload) return STAVE_OK;
    if (*ret_end) skipped = scan->end - offset;

    /* Without a manifest nobody knows the length: damage that nothing follows is taken for the end. */
    const bool torn =
        *ret_end && !part->segment->sealed && !part->segment->vouched && !part->inspection->has_manifest;
    return report(part, torn ? STAVE_DAMAGE_TORN : STAVE_DAMAGE_HEADER, offset, torn ? 0 : skipped,
                  stave_bytes(NULL, 0), problem);
}

/* Reads the records from `start` to `end`. */
static enum stave_status read_part(struct part *part, uint64_t start, uint64_t end, struct error *error)
{
    struct inspection *inspection = part->inspection;
    const struct inspection_walk *walk = part->walk;
    struct scan scan = SCAN_NONE;
    const unsigned flags = (walk->quiet ? 0 : (unsigned)SCAN_VERIFY) | (part->may_be_torn ? SCAN_BATCHES : 0);

    enum stave_status status = open_scan(inspection, part->segment, start, end, flags, &scan, error);
    if (status != STAVE_OK) return status;
    part->scan = &scan;

    bool end_reached = false;
    while (status == STAVE_OK && !end_reached) {
        struct scan_record record;
        const uint64_t before = scan.next;
        status = scan_next(&scan, &record, error);
        end_reached = status == STAVE_END;
        if (end_reached)
            status = STAVE_OK;
        else if (status == STAVE_OK && walk->visit != NULL)
            status = walk->visit(walk->context, part->segment, &scan, &record, error);
        else if (status == STAVE_CORRUPT || status == STAVE_IO)
            status = meet_damage(part, &end_reached);
        if (status == STAVE_OK && scan.next > before) status = advance(inspection, scan.next - before);
    }
    scan_close(&scan);
    return status;
}

/* Reads a segment whose length the file does not have, or that cannot be opened as what it is to be. */
static enum stave_status read_short(struct part *part, enum stave_status problem, const struct error *why,
                                    struct error *error)
{
    if (problem == STAVE_NO_MEMORY) {
        error_copy(error, why);
        return problem;
    }
    if (problem == STAVE_NOT_FOUND && !part->segment->sealed) return STAVE_OK; /* listed, never begun */

    const uint64_t size = size_of_file(part->inspection, part->name);
    const uint64_t lost =
        part->segment->sealed && part->segment->length > size ? part->segment->length - size : size;
    const enum stave_status status =
        report(part, STAVE_DAMAGE_FILE, size < lost ? size : 0, lost, stave_bytes(NULL, 0), why->message);
    if (status != STAVE_OK || !part->segment->sealed) return status;

    const enum stave_status rest = read_part(part, 0, SCAN_TO_THE_END, error);
    const bool is_unreadable = rest == STAVE_CORRUPT || rest == STAVE_IO || rest == STAVE_NOT_FOUND ||
                               rest == STAVE_NOT_A_STORE || rest == STAVE_VERSION || rest == STAVE_PERMISSION;
    return is_unreadable ? STAVE_OK : rest; /* reported above */
}

/* An open segment, in the two parts of X4. */
static enum stave_status read_open(struct part *part, struct error *error)
{
    const bool whole = part->segment->vouched || !part->inspection->has_manifest;
    const uint64_t marked = whole ? 0 : marked_end(part->inspection, part->segment);
    enum stave_status status = STAVE_OK;

    if (marked > SEGMENT_HEADER_SIZE) status = read_part(part, 0, marked, error);
    if (status != STAVE_OK) return status;
    part->may_be_torn = !whole;
    return read_part(part, marked, SCAN_TO_THE_END, error);
}

enum stave_status inspection_read(struct inspection *inspection, const struct inspected *segment,
                                  const struct inspection_walk *walk, struct error *error)
{
    struct part part = {.inspection = inspection, .segment = segment, .walk = walk};
    segment_file_name(segment->id, part.name);

    struct scan scan = SCAN_NONE;
    struct error why = ERROR_NONE;
    const enum stave_status status = open_scan(inspection, segment, 0, segment->length, 0, &scan, &why);
    scan_close(&scan);
    if (status != STAVE_OK) return read_short(&part, status, &why, error);
    return segment->sealed ? read_part(&part, 0, segment->length, error) : read_open(&part, error);
}
