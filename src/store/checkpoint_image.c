/* SPDX-License-Identifier: MIT */
/* The file opened, checked, and read block by block. */
#include "store/checkpoint_image.h"

#include "base/memory.h"

/* ------------------------------------------------------------------ opening the file */

static void source_free(struct checkpoint_source *source)
{
    if (source == NULL) return;
    (void)file_close(&source->file, NULL); /* only read */
    memory_free(source->directory);
    memory_free(source);
}

void checkpoint_image_drop(struct store *store)
{
    source_free(store->checkpoint_source);
    store->checkpoint_source = NULL;
}

void checkpoint_image_free(struct checkpoint_image *image)
{
    memory_free(image->segments);
    source_free(image->source);
    *image = CHECKPOINT_IMAGE_NONE;
}

static enum stave_status not_usable(const struct checkpoint_source *source, struct error *error,
                                    const char *why)
{
    return file_error(&source->file, error, STAVE_CORRUPT, 0, "%s; the index is rebuilt from the log", why);
}

enum stave_status checkpoint_image_refuse(const struct checkpoint_image *image, struct error *error,
                                          const char *why)
{
    return not_usable(image->source, error, why);
}

static enum stave_status read_footer(struct checkpoint_source *source, uint64_t store_id, struct error *error)
{
    uint8_t prelude[CHECKPOINT_PRELUDE_SIZE];
    uint8_t footer[CHECKPOINT_FOOTER_SIZE];
    uint64_t size = 0;
    enum stave_status status = file_size(&source->file, &size, error);
    if (status != STAVE_OK) return status;
    if (size < sizeof(prelude) + sizeof(footer)) return not_usable(source, error, "is too short");
    status = file_read_at(&source->file, prelude, sizeof(prelude), 0, error);
    if (status == STAVE_OK)
        status = file_read_at(&source->file, footer, sizeof(footer), size - sizeof(footer), error);
    if (status != STAVE_OK) return status;
    status = checkpoint_decode_prelude(prelude);
    if (status == STAVE_OK) status = checkpoint_decode_footer(footer, size, &source->footer);
    if (status != STAVE_OK) return not_usable(source, error, "its ends do not check out");
    if (source->footer.store_id != store_id) return not_usable(source, error, "belongs to another store");
    return STAVE_OK;
}

static enum stave_status read_directory(struct checkpoint_source *source, struct error *error)
{
    const size_t size = checkpoint_directory_size(source->footer.block_count);
    source->directory = memory_alloc(size);
    if (source->directory == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a checkpoint");
    const enum stave_status status =
        file_read_at(&source->file, source->directory, size, source->footer.directory_offset, error);
    if (status != STAVE_OK) return status;
    if (checkpoint_check_directory(source->directory, &source->footer) != STAVE_OK)
        return not_usable(source, error, "its directory does not check out");
    return STAVE_OK;
}

static enum stave_status read_contents(struct checkpoint_image *image, struct error *error)
{
    const struct checkpoint_source *source = image->source;
    const size_t size = source->footer.contents_size;
    uint8_t *bytes = memory_alloc(size);
    enum stave_status status = STAVE_NO_MEMORY;
    if (bytes != NULL)
        status = file_read_at(&source->file, bytes, size, source->footer.contents_offset, error);
    if (bytes == NULL) error_set(error, status, 0, "no memory for a checkpoint");
    if (status != STAVE_OK) goto done;
    if (checkpoint_decode_contents(bytes, &source->footer, &image->contents) != STAVE_OK) {
        status = not_usable(source, error, "its contents do not check out");
        goto done;
    }
    image->segments = memory_alloc_zero(image->contents.segment_count, sizeof(*image->segments));
    if (image->segments == NULL) status = error_set(error, STAVE_NO_MEMORY, 0, "no memory for a checkpoint");
    for (uint32_t i = 0; i < image->contents.segment_count && status == STAVE_OK; i++)
        checkpoint_take_segment(bytes, i, &image->segments[i]);
done:
    memory_free(bytes);
    return status;
}

enum stave_status checkpoint_image_open(struct store *store, uint64_t store_id,
                                        struct checkpoint_image *ret_image, struct error *error)
{
    struct checkpoint_image image = CHECKPOINT_IMAGE_NONE;
    image.source = memory_alloc_zero(1, sizeof(*image.source));
    if (image.source == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a checkpoint");
    image.source->file = FILE_NONE;
    enum stave_status status =
        file_open(&store->dir, CHECKPOINT_FILE_NAME, false, &image.source->file, error);
    if (status == STAVE_OK) status = read_footer(image.source, store_id, error);
    if (status == STAVE_OK) status = read_directory(image.source, error);
    if (status == STAVE_OK) status = read_contents(&image, error);
    if (status == STAVE_OK)
        *ret_image = image;
    else
        checkpoint_image_free(&image);
    return status;
}

const struct checkpoint_segment *checkpoint_image_find(const struct checkpoint_image *image, uint32_t id,
                                                       uint64_t identity)
{
    size_t low = 0;
    size_t high = image->segments != NULL ? image->contents.segment_count : 0;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (image->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (image->segments == NULL || low == image->contents.segment_count) return NULL;
    const struct checkpoint_segment *row = &image->segments[low];
    return row->id == id && row->identity == identity ? row : NULL;
}

/* ------------------------------------------------------------------ loading blocks; load_lock */

enum stave_status checkpoint_image_load(struct store *store, uint32_t block)
{
    const struct checkpoint_source *source = store->checkpoint_source;
    struct checkpoint_block place;
    if (source == NULL || block >= source->footer.block_count) return STAVE_CORRUPT;
    if (checkpoint_decode_block(source->directory, block, &source->footer, &place) != STAVE_OK)
        return STAVE_CORRUPT;
    uint8_t *bytes = pages_alloc_small(place.size); /* any thread loads: none keeps memory for it */
    if (bytes == NULL) return STAVE_NO_MEMORY;
    enum stave_status status = file_read_at(&source->file, bytes, place.size, place.offset, NULL);
    if (status == STAVE_OK &&
        checkpoint_block_checksum(source->footer.store_id, block, bytes, place.size) != place.checksum)
        status = STAVE_CORRUPT;
    if (status == STAVE_OK) status = keydir_import_block(&store->keydir, block, bytes, place.size);
    pages_free(bytes, place.size);
    return status == STAVE_IO ? STAVE_CORRUPT : status;
}

void checkpoint_image_will_need(struct store *store)
{
    mutex_lock(&store->load_lock);
    struct checkpoint_source *source = store->checkpoint_source;
    const bool is_first = source != NULL && !source->is_asked_for;
    if (is_first) source->is_asked_for = true;
    mutex_unlock(&store->load_lock);
    if (is_first) file_will_need(&source->file, 0, source->footer.directory_offset);
}
