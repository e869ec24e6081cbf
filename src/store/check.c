/* SPDX-License-Identifier: MIT */
/*
 * Check: every byte of a store that nobody writes, read and compared with what the format says of it.
 *
 *   H1  Nothing is changed (X1).
 *   H2  What a crash leaves behind, and what is rebuilt by itself, is reported as harmless: TORN, CHECKPOINT.
 *   H3  Memory: a scan's buffer, the checkpoint's directory, and its largest block.                     (P11)
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/checkpoint.h"
#include "os/file.h"
#include "stave.h"
#include "store/inspect.h"

/* ----------------------------------------------------------------------------------------------- segments */

/* A LARGE segment that the log adopts and the manifest does not list yet is read through its LINK. */
static enum stave_status read_adopted(struct inspection *inspection, const struct record_link *link,
                                      struct error *error)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(link->segment_id, name);
    const enum stave_status found = dir_exists(&inspection->dir, name, error);
    if (found == STAVE_NOT_FOUND) return STAVE_OK; /* superseded since, and removed */
    if (found != STAVE_OK) return found;

    const struct inspected large = {
        .identity = link->identity,
        .length = SCAN_TO_THE_END,
        .id = link->segment_id,
        .kind = SEGMENT_LARGE,
        .vouched = true,
    };
    const struct inspection_walk walk = {.visit = NULL};
    return inspection_read(inspection, &large, &walk, error);
}

static enum stave_status visit_record(void *context, const struct inspected *segment, struct scan *scan,
                                      const struct scan_record *record, struct error *error)
{
    struct inspection *inspection = context;
    struct record_link link;
    uint8_t bytes[RECORD_LINK_SIZE];

    if (record->record.kind != RECORD_LINK || segment->sealed) return STAVE_OK;
    if (scan_read_value(scan, 0, sizeof(bytes), bytes, error) != STAVE_OK) return STAVE_OK;
    if (record_decode_link(bytes, sizeof(bytes), &link) != STAVE_OK) return STAVE_OK;
    if (inspection_find(inspection, link.segment_id) != NULL) return STAVE_OK; /* read by itself */
    return read_adopted(inspection, &link, error);
}

static enum stave_status check_segments(struct inspection *inspection, struct error *error)
{
    const struct inspection_walk walk = {.visit = visit_record, .context = inspection};
    enum stave_status status = STAVE_OK;
    for (size_t index = 0; index < inspection->segment_count && status == STAVE_OK; index++)
        status = inspection_read(inspection, &inspection->segments[index], &walk, error);
    return status;
}

/* --------------------------------------------------------------------------------------------- checkpoint */

struct image {
    struct file file;
    struct checkpoint_footer footer;
    uint8_t *directory;
    uint8_t *bytes; /* of a block, or of the contents */
    size_t capacity;
};

static enum stave_status reserve(struct image *image, size_t size, struct error *error)
{
    if (size <= image->capacity) return STAVE_OK;
    uint8_t *bytes = memory_realloc(image->bytes, size);
    if (bytes == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to check the checkpoint");
    image->bytes = bytes;
    image->capacity = size;
    return STAVE_OK;
}

/* Reads `size` bytes into image->bytes. */
static enum stave_status load(struct image *image, uint64_t offset, size_t size, struct error *error)
{
    const enum stave_status status = reserve(image, size, error);
    return status == STAVE_OK ? file_read_at(&image->file, image->bytes, size, offset, error) : status;
}

static enum stave_status damaged(const struct image *image, enum stave_status status, const char *what,
                                 struct error *error)
{
    if (status == STAVE_OK || status == STAVE_NO_MEMORY || status == STAVE_IO) return status;
    return file_error(&image->file, error, status, 0, "%s", what);
}

static enum stave_status load_footer(struct image *image, struct error *error)
{
    uint64_t size = 0;
    enum stave_status status = file_size(&image->file, &size, error);
    if (status != STAVE_OK) return status;
    if (size < CHECKPOINT_PRELUDE_SIZE + CHECKPOINT_FOOTER_SIZE)
        return file_error(&image->file, error, STAVE_CORRUPT, 0, "is too short");
    status = load(image, 0, CHECKPOINT_PRELUDE_SIZE, error);
    if (status == STAVE_OK)
        status = damaged(image, checkpoint_decode_prelude(image->bytes), "its beginning is damaged", error);
    if (status == STAVE_OK)
        status = load(image, size - CHECKPOINT_FOOTER_SIZE, CHECKPOINT_FOOTER_SIZE, error);
    if (status != STAVE_OK) return status;
    return damaged(image, checkpoint_decode_footer(image->bytes, size, &image->footer),
                   "its footer is damaged", error);
}

static enum stave_status load_directory(struct image *image, struct error *error)
{
    const size_t size = checkpoint_directory_size(image->footer.block_count);
    image->directory = memory_alloc(size);
    if (image->directory == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory to check the checkpoint");
    const enum stave_status status =
        file_read_at(&image->file, image->directory, size, image->footer.directory_offset, error);
    if (status != STAVE_OK) return status;
    return damaged(image, checkpoint_check_directory(image->directory, &image->footer),
                   "its directory is damaged", error);
}

static enum stave_status check_block(struct image *image, uint32_t block, struct error *error)
{
    struct checkpoint_block place;
    enum stave_status status = checkpoint_decode_block(image->directory, block, &image->footer, &place);
    if (status != STAVE_OK) return damaged(image, status, "its directory names a place outside of it", error);
    status = load(image, place.offset, place.size, error);
    if (status != STAVE_OK) return status;
    if (checkpoint_block_checksum(image->footer.store_id, block, image->bytes, place.size) == place.checksum)
        return STAVE_OK;
    return file_error(&image->file, error, STAVE_CORRUPT, 0,
                      "offset %" PRIu64 ": block %" PRIu32 " is damaged", place.offset, block);
}

static enum stave_status check_image(struct image *image, uint64_t store_id, struct error *error)
{
    struct checkpoint_contents contents;
    enum stave_status status = load_footer(image, error);
    if (status != STAVE_OK) return status;
    if (store_id != 0 && image->footer.store_id != store_id)
        return file_error(&image->file, error, STAVE_CORRUPT, 0, "belongs to another store");
    status = load_directory(image, error);
    if (status != STAVE_OK) return status;
    status = load(image, image->footer.contents_offset, image->footer.contents_size, error);
    if (status != STAVE_OK) return status;
    status = damaged(image, checkpoint_decode_contents(image->bytes, &image->footer, &contents),
                     "its contents are damaged", error);
    for (uint32_t block = 0; block < image->footer.block_count && status == STAVE_OK; block++)
        status = check_block(image, block, error);
    return status;
}

static enum stave_status check_checkpoint(struct inspection *inspection, struct error *error)
{
    struct image image = {.file = FILE_NONE};
    struct error why = ERROR_NONE;
    enum stave_status status = file_open(&inspection->dir, CHECKPOINT_FILE_NAME, false, &image.file, &why);
    if (status == STAVE_NOT_FOUND) return STAVE_OK;
    if (status == STAVE_OK) status = check_image(&image, inspection->manifest.store_id, &why);
    memory_free(image.directory);
    memory_free(image.bytes);
    (void)file_close(&image.file, NULL); /* only read */
    if (status == STAVE_OK) return STAVE_OK;
    if (status == STAVE_NO_MEMORY) {
        error_copy(error, &why);
        return status;
    }
    return inspection_damage(inspection, &(struct stave_damage){
                                             .kind = STAVE_DAMAGE_CHECKPOINT,
                                             .file = CHECKPOINT_FILE_NAME,
                                             .message = why.message,
                                         });
}

/* ---------------------------------------------------------------------------------------------- leftovers */

static enum stave_status report_leftover(struct inspection *inspection, const char *name)
{
    return inspection_damage(inspection,
                             &(struct stave_damage){
                                 .kind = STAVE_DAMAGE_TORN,
                                 .file = name,
                                 .message = "left by a crash; the next open for writing removes it",
                             });
}

/* A segment that the manifest does not list; one of another store does not belong here. */
static enum stave_status check_unlisted(struct inspection *inspection, const char *name, uint32_t id)
{
    const struct scan_expect expect = {
        .store_id = inspection->manifest.store_id, .end = SCAN_TO_THE_END, .id = id};
    struct scan scan = SCAN_NONE;
    struct error why = ERROR_NONE;
    const enum stave_status status = scan_open(&inspection->dir, &expect, &scan, &why);
    scan_close(&scan);
    if (status != STAVE_NOT_A_STORE) return report_leftover(inspection, name);
    return inspection_damage(inspection, &(struct stave_damage){
                                             .kind = STAVE_DAMAGE_FILE,
                                             .file = name,
                                             .message = why.message,
                                         });
}

static enum stave_status visit_name(void *context, const char *name)
{
    struct inspection *inspection = context;
    uint32_t id = 0;
    if (strcmp(name, MANIFEST_TEMP_FILE_NAME) == 0 || strcmp(name, CHECKPOINT_TEMP_FILE_NAME) == 0)
        return report_leftover(inspection, name);
    if (!inspection->has_manifest || !segment_file_name_parse(name, &id)) return STAVE_OK;
    if (inspection_find(inspection, id) != NULL) return STAVE_OK;
    return check_unlisted(inspection, name, id);
}

/* ----------------------------------------------------------------------------------------------- the call */

static enum stave_status check_all(struct inspection *inspection, struct error *error)
{
    enum stave_status status = check_segments(inspection, error);
    if (status == STAVE_OK) status = check_checkpoint(inspection, error);
    if (status == STAVE_OK) status = dir_list(&inspection->dir, visit_name, inspection, error);
    if (status != STAVE_OK || inspection->harmful_count == 0) return status;
    return error_set(error, STAVE_CORRUPT, 0, "%s: %" PRIu64 " damages, %" PRIu64 " bytes cannot be read",
                     inspection->dir.path, inspection->harmful_count, inspection->lost_size);
}

enum stave_status stave_check(const char *path, stave_damage_call damage, stave_progress_call progress,
                              void *context, struct stave_error *ret_error)
{
    struct inspection inspection = INSPECTION_NONE;
    struct error error = ERROR_NONE;
    const struct inspection_calls calls = {damage, progress, context};

    enum stave_status status = path == NULL
                                   ? error_set(&error, STAVE_INVALID, 0, "stave_check: a path is missing")
                                   : inspection_begin(&inspection, path, &calls, &error);
    if (status == STAVE_OK) status = check_all(&inspection, &error);
    inspection_end(&inspection);
    inspection_hand_out(&error, status, ret_error);
    return status;
}
