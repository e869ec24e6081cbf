/* SPDX-License-Identifier: MIT */
/* The chain of a client's unsent replies. */
#include "server/output.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

#define PIECE_SIZE_FIRST ((size_t)1024) /* most replies that must wait are small */
#define PIECE_SIZE ((size_t)16384)
#define SEND_SIZE_MAX ((size_t)1 << 20) /* at once: others want their turn */

struct output_piece {
    struct output_piece *next;
    uint64_t begin; /* position of the first byte */
    size_t size;
    size_t capacity;         /* of bytes; 0: a view */
    struct reply_view *view; /* in `bytes` */
    _Alignas(16) uint8_t bytes[];
};

static const uint8_t *piece_data(const struct output_piece *piece)
{
    return piece->view != NULL ? piece->view->view.data : piece->bytes;
}

static void free_piece(struct output *output, struct output_piece *piece)
{
    if (piece->view != NULL) {
        stave_view_release(piece->view->store, &piece->view->view);
        output->view_count--;
    }
    output->memory -= sizeof *piece + piece->capacity;
    memory_free(piece);
}

static struct output_piece *add_piece(struct output *output, size_t capacity)
{
    struct output_piece *piece = memory_alloc(sizeof *piece + capacity);
    if (piece == NULL) return NULL;
    *piece = (struct output_piece){.begin = output->appended, .capacity = capacity};
    if (output->last == NULL)
        output->first = piece;
    else
        output->last->next = piece;
    output->last = piece;
    output->memory += sizeof *piece + capacity;
    return piece;
}

static enum stave_status append_bytes(struct output *output, const uint8_t *bytes, size_t size)
{
    struct output_piece *last = output->last;
    if (size == 0) return STAVE_OK;
    if (last != NULL && last->view == NULL && last->capacity > last->size) {
        const size_t room = last->capacity - last->size;
        const size_t part = size < room ? size : room;
        memcpy(last->bytes + last->size, bytes, part);
        last->size += part;
        output->appended += part;
        bytes += part;
        size -= part;
    }
    if (size == 0) return STAVE_OK;
    assert(last == NULL || last->begin + last->size == output->appended);
    const size_t least = last == NULL ? PIECE_SIZE_FIRST : PIECE_SIZE;
    struct output_piece *piece = add_piece(output, size > least ? size : least);
    if (piece == NULL) return STAVE_NO_MEMORY;
    memcpy(piece->bytes, bytes, size);
    piece->size = size;
    output->appended += size;
    return STAVE_OK;
}

static enum stave_status append_view(struct output *output, const struct reply_view *view)
{
    struct output_piece *piece = add_piece(output, sizeof *view);
    if (piece == NULL) return STAVE_NO_MEMORY;
    piece->view = (struct reply_view *)(void *)piece->bytes;
    *piece->view = *view;
    piece->size = view->view.size;
    output->view_count++;
    output->appended += view->view.size;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ sending a reply before it is kept */

/* The reply as pieces for one write; the result is how many. */
static int reply_pieces(const struct reply *reply, struct iovec *ret_pieces)
{
    int count = 0;
    size_t at = 0;
    for (size_t i = 0; i < reply->view_count && count < OUTPUT_PIECE_COUNT_MAX - 2; i++) {
        const struct reply_view *view = &reply->views[i];
        if (view->offset > at) {
            ret_pieces[count++] = (struct iovec){reply->bytes.data + at, view->offset - at};
        }
        ret_pieces[count++] = (struct iovec){(void *)(uintptr_t)view->view.data, view->view.size};
        at = view->offset;
        if (i + 1 < reply->view_count && count >= OUTPUT_PIECE_COUNT_MAX - 2) return count;
    }
    if (reply->bytes.size > at) {
        ret_pieces[count++] = (struct iovec){reply->bytes.data + at, reply->bytes.size - at};
    }
    return count;
}

/* Keeps what lies behind the first `skip` bytes of the reply. */
static enum stave_status keep_reply(struct output *output, struct reply *reply, size_t skip)
{
    enum stave_status status = STAVE_OK;
    size_t at = 0;
    output->appended += skip;
    for (size_t i = 0; i <= reply->view_count; i++) {
        const size_t end = i < reply->view_count ? reply->views[i].offset : reply->bytes.size;
        const size_t skipped = skip < end - at ? skip : end - at;
        if (status == STAVE_OK) {
            status = append_bytes(output, reply->bytes.data + at + skipped, end - at - skipped);
        }
        skip -= skipped;
        at = end;
        if (i == reply->view_count) break;

        struct reply_view view = reply->views[i];
        const size_t shown = skip < view.view.size ? skip : view.view.size;
        skip -= shown;
        if (status == STAVE_OK && shown < view.view.size) {
            view.view.data = (const uint8_t *)view.view.data + shown;
            view.view.size -= shown;
            status = append_view(output, &view);
            if (status == STAVE_OK) continue;
        }
        stave_view_release(view.store, &view.view);
    }
    reply_clear(reply);
    return status;
}

/*
 * What waits for no more than the newest mark does is taken in by it, and so is everything once there are too
 * many marks: then it waits for the later one of the two.
 */
static void add_mark(struct output *output, uint64_t sequence, uint64_t reply_count)
{
    struct output_mark *newest = output->mark_count > 0 ? &output->marks[output->mark_count - 1] : NULL;
    if (newest == NULL || (sequence > newest->sequence && output->mark_count < OUTPUT_MARK_COUNT_MAX)) {
        output->marks[output->mark_count++] = (struct output_mark){output->appended, sequence, reply_count};
        return;
    }
    newest->end = output->appended;
    newest->reply_count += reply_count;
    if (sequence > newest->sequence) newest->sequence = sequence;
}

/* What has just been appended. */
static void withhold_or_release(struct output *output, uint64_t sequence, uint64_t reply_count)
{
    if (sequence != 0 || output->mark_count > 0)
        add_mark(output, sequence, reply_count);
    else
        output->released = output->appended;
}

enum stave_status output_append(struct output *output, struct reply *reply, struct transport *transport,
                                uint64_t sequence, uint64_t reply_count, uint64_t *ret_sent)
{
    size_t sent = 0;
    *ret_sent = 0;
    if (transport != NULL && output->appended == output->sent && sequence == 0) {
        struct iovec pieces[OUTPUT_PIECE_COUNT_MAX];
        const int count = reply_pieces(reply, pieces);
        if (count > 0 && transport_write(transport, pieces, count, &sent) == TRANSPORT_END) {
            reply_take_back(reply, (struct reply_mark){0, 0});
            return STAVE_IO;
        }
        output->sent += sent;
        *ret_sent = sent;
    }
    const enum stave_status status = keep_reply(output, reply, sent);
    if (status == STAVE_OK) withhold_or_release(output, sequence, reply_count);
    return status;
}

enum stave_status output_append_bytes(struct output *output, struct stave_bytes bytes, uint64_t sequence)
{
    const enum stave_status status = append_bytes(output, bytes.data, bytes.size);
    if (status == STAVE_OK) withhold_or_release(output, sequence, 0);
    return status;
}

/* ------------------------------------------------------------------ sending what is kept */

int output_next(const struct output *output, struct iovec *ret_pieces)
{
    int count = 0;
    uint64_t position = output->sent;
    const struct output_piece *piece = output->first;
    const uint64_t end =
        output->released - position > SEND_SIZE_MAX ? position + SEND_SIZE_MAX : output->released;
    for (; piece != NULL && count < OUTPUT_PIECE_COUNT_MAX && position < end; piece = piece->next) {
        const size_t skip = (size_t)(position - piece->begin);
        const size_t rest = piece->size - skip;
        const size_t size = end - position < rest ? (size_t)(end - position) : rest;
        ret_pieces[count++] = (struct iovec){(void *)(uintptr_t)(piece_data(piece) + skip), size};
        position += size;
    }
    return count;
}

static void drop_sent(struct output *output)
{
    while (output->first != NULL && output->first->begin + output->first->size <= output->sent) {
        struct output_piece *piece = output->first;
        output->first = piece->next;
        if (output->first == NULL) output->last = NULL;
        free_piece(output, piece);
    }
}

enum stave_status output_send(struct output *output, struct transport *transport, uint64_t *ret_sent)
{
    *ret_sent = 0;
    struct iovec pieces[OUTPUT_PIECE_COUNT_MAX];
    const int count = output_next(output, pieces);
    if (count == 0) return STAVE_OK;
    size_t sent = 0;
    if (transport_write(transport, pieces, count, &sent) == TRANSPORT_END) return STAVE_IO;
    output->sent += sent;
    *ret_sent = sent;
    drop_sent(output);
    return STAVE_OK;
}

bool output_release(struct output *output, uint64_t durable)
{
    size_t count = 0;
    while (count < output->mark_count && output->marks[count].sequence <= durable) count++;
    if (count == 0) return false;
    output->released = output->marks[count - 1].end;
    output->mark_count -= count;
    memmove(output->marks, output->marks + count, output->mark_count * sizeof output->marks[0]);
    if (output->mark_count == 0) output->released = output->appended;
    return true;
}

uint64_t output_drop_withheld(struct output *output)
{
    uint64_t reply_count = 0;
    for (size_t i = 0; i < output->mark_count; i++) reply_count += output->marks[i].reply_count;
    output->mark_count = 0;

    struct output_piece *kept = NULL;
    struct output_piece *piece = output->first;
    while (piece != NULL && piece->begin < output->released) {
        if (piece->begin + piece->size > output->released) {
            piece->size = (size_t)(output->released - piece->begin);
        }
        kept = piece;
        piece = piece->next;
    }
    if (kept == NULL)
        output->first = NULL;
    else
        kept->next = NULL;
    output->last = kept;
    while (piece != NULL) {
        struct output_piece *next = piece->next;
        free_piece(output, piece);
        piece = next;
    }
    output->appended = output->released;
    return reply_count;
}

void output_close(struct output *output)
{
    while (output->first != NULL) {
        struct output_piece *piece = output->first;
        output->first = piece->next;
        free_piece(output, piece);
    }
    *output = (struct output){0};
}
