/* SPDX-License-Identifier: MIT */
/* Where the log ends. */
#include "store/logend.h"

#include "base/memory.h"
#include "log/scan.h"

enum { RETRIES_MAX = 3 }; /* read-only: a record may be met while it is written */

/* How a LINK's record fares. */
enum link_state { LINK_GOOD, LINK_PAYLOAD_DAMAGED, LINK_BROKEN };

struct walk {
    struct logend *logend;
    struct logend_segment *log;
    struct scan scan;
    uint64_t unit_start;    /* of the record, or of the batch that it belongs to */
    uint64_t unit_sequence; /* last sequence before it */
    uint64_t marked_end;    /* what the marks of this segment vouch for; 0: not looked for yet */
    uint64_t plain_until;   /* batches are not asked to be whole below it */
    enum link_state link_state;
    unsigned retries;
};

/* ------------------------------------------------------------------ scans */

static enum stave_status open_scan(struct walk *walk, uint64_t start, unsigned flags, struct error *error)
{
    const struct scan_expect expect = {
        .identity = walk->log->listed->identity,
        .start = start,
        .end = SCAN_TO_THE_END,
        .id = walk->log->listed->id,
        .flags = flags,
    };
    struct scan scan = SCAN_NONE;
    const enum stave_status status = scan_open(&walk->logend->store->dir, &expect, &scan, error);
    if (status != STAVE_OK) return status;
    scan_close(&walk->scan);
    walk->scan = scan;
    return STAVE_OK;
}

static struct walk walk_of(struct logend *logend, size_t index)
{
    return (struct walk){.logend = logend, .log = &logend->logs[index], .scan = SCAN_NONE};
}

/*
 * A MARK in a later segment vouches for all of this one. *ret_durable: the newest sequence that the first
 * such says was durable; 0: there is none.
 */
static enum stave_status find_later_mark(struct logend *logend, size_t index, bool *ret_found,
                                         uint64_t *ret_durable, struct error *error)
{
    *ret_found = false;
    *ret_durable = 0;
    for (size_t later = index + 1; later < logend->log_count && !*ret_found; later++) {
        struct walk walk = walk_of(logend, later);
        struct record_mark mark;
        enum stave_status status = open_scan(&walk, 0, 0, error);
        if (status == STAVE_OK) status = scan_search_mark(&walk.scan, SEGMENT_HEADER_SIZE, &mark, error);
        scan_close(&walk.scan);
        if (status < 0) return status;
        *ret_found = status == STAVE_OK;
        if (*ret_found) *ret_durable = mark.durable_sequence;
    }
    return STAVE_OK;
}

static enum stave_status later_vouches(struct logend *logend, size_t index, bool *ret_vouches,
                                       struct error *error)
{
    uint64_t unused;
    return find_later_mark(logend, index, ret_vouches, &unused, error);
}

/* The sequence of the first record; 0 if there is none that can be read. */
static enum stave_status first_sequence(struct logend *logend, size_t index, uint64_t *ret_sequence)
{
    struct walk walk = walk_of(logend, index);
    struct scan_record record;
    *ret_sequence = 0;
    enum stave_status status = open_scan(&walk, 0, 0, NULL);
    if (status == STAVE_OK) status = scan_next(&walk.scan, &record, NULL);
    scan_close(&walk.scan);
    if (status == STAVE_OK) *ret_sequence = record.record.sequence;
    return status == STAVE_NO_MEMORY ? status : STAVE_OK;
}

/* ------------------------------------------------------------------ LINKs (E3) */

static enum link_state check_large(struct walk *walk, const struct record *link_record,
                                   const struct record_link *link, bool verify, struct logend_link *ret_link)
{
    const struct scan_expect expect = {
        .identity = link->identity,
        .end = SCAN_TO_THE_END,
        .id = link->segment_id,
    };
    struct scan scan = SCAN_NONE;
    struct scan_record large;
    enum link_state state = LINK_BROKEN;
    if (scan_open(&walk->logend->store->dir, &expect, &scan, NULL) != STAVE_OK) goto done;
    if (scan.header.kind != SEGMENT_LARGE || scan_next(&scan, &large, NULL) != STAVE_OK) goto done;
    if (large.record.kind != RECORD_PUT || large.record.sequence != link_record->sequence) goto done;
    if (large.record.key_hash != link_record->key_hash || large.record.value_size != link->value_size)
        goto done;
    if (large.record.payload_checksum != link->payload_checksum) goto done;
    state = LINK_GOOD;
    *ret_link = (struct logend_link){
        .record = large.record,
        .segment_id = link->segment_id,
        .log = (uint32_t)(walk->log - walk->logend->logs),
        .identity = link->identity,
        .length = large.offset + record_size(&large.record),
    };
    if (verify && scan_verify(&scan, NULL) != STAVE_OK) state = LINK_PAYLOAD_DAMAGED;
done:
    scan_close(&scan);
    return state;
}

static enum stave_status keep_link(struct logend *logend, const struct logend_link *link)
{
    if (logend->link_count == logend->link_capacity) {
        const size_t capacity = logend->link_capacity == 0 ? 64 : logend->link_capacity * 2;
        void *larger = memory_realloc(logend->links, capacity * sizeof(*logend->links));
        if (larger == NULL) return STAVE_NO_MEMORY;
        logend->links = larger;
        logend->link_capacity = capacity;
    }
    logend->links[logend->link_count++] = *link;
    return STAVE_OK;
}

/* What was durable when a MARK was written needs no reading of its value. */
static enum stave_status find_marked_end(struct walk *walk, struct error *error)
{
    struct record_mark mark = {.durable_end = 0};
    if (walk->marked_end != 0) return STAVE_OK;
    const enum stave_status status = scan_search_mark(&walk->scan, SEGMENT_HEADER_SIZE, &mark, error);
    if (status < 0) return status;
    walk->marked_end = status == STAVE_OK ? mark.durable_end : SEGMENT_HEADER_SIZE;
    return STAVE_OK;
}

static enum stave_status take_link(struct walk *walk, const struct scan_record *record, struct error *error)
{
    uint8_t bytes[RECORD_LINK_SIZE];
    struct record_link link;
    struct logend_link found = {.segment_id = 0};
    const struct record link_record = record->record;
    const uint64_t offset = record->offset;
    enum stave_status status = find_marked_end(walk, error);
    if (status == STAVE_OK) status = scan_read_value(&walk->scan, 0, sizeof(bytes), bytes, error);
    if (status != STAVE_OK) return status;

    walk->link_state = LINK_BROKEN;
    if (record_decode_link(bytes, sizeof(bytes), &link) == STAVE_OK)
        walk->link_state = check_large(walk, &link_record, &link, offset >= walk->marked_end, &found);
    found.offset = offset;
    if (walk->link_state == LINK_GOOD) {
        status = keep_link(walk->logend, &found);
        return status == STAVE_OK ? STAVE_OK : error_set(error, status, 0, "no memory for the log's links");
    }
    if (walk->link_state == LINK_PAYLOAD_DAMAGED && offset < walk->plain_until)
        return keep_link(walk->logend, &found);
    walk->scan.problem = "the large record that it publishes is missing or does not check out";
    return STAVE_CORRUPT;
}

/* ------------------------------------------------------------------ one segment */

static void pass(struct walk *walk, const struct record *record)
{
    if (walk->log->first_sequence == 0) walk->log->first_sequence = record->sequence;
    walk->log->last_sequence = record->sequence;
}

static enum stave_status take(struct walk *walk, const struct scan_record *record, struct error *error)
{
    const struct record copy = record->record;
    if (!(copy.flags & RECORD_IN_BATCH)) {
        walk->unit_start = record->offset;
        walk->unit_sequence = walk->log->last_sequence;
    }
    walk->link_state = LINK_GOOD;
    if (copy.kind == RECORD_LINK) {
        const enum stave_status status = take_link(walk, record, error);
        if (status != STAVE_OK) return status;
    }
    pass(walk, &copy);
    return STAVE_OK;
}

static enum stave_status refuse(struct walk *walk, uint64_t offset, struct error *error)
{
    return file_error(&walk->scan.file, error, STAVE_CORRUPT, 0,
                      "offset %llu: what was durable here cannot be read: %s; stave_salvage copies what can",
                      (unsigned long long)offset,
                      walk->scan.problem != NULL ? walk->scan.problem : "zeroes before the end of the log");
}

/* A damaged value stays its key's; without what a SPACES record says the records behind it have no space. */
static bool may_keep_damaged(const struct walk *walk)
{
    return walk->scan.damage == SCAN_PAYLOAD_DAMAGED && walk->scan.current.record.kind != RECORD_SPACES;
}

/* What was vouched for and is damaged: kept if its header is whole, else passed over or refused. */
static enum stave_status go_on_behind(struct walk *walk, uint64_t offset, uint64_t vouched,
                                      struct error *error)
{
    if (walk->retries > 0 && walk->logend->store->options.read_only && walk->plain_until <= offset) {
        walk->retries--;
        return open_scan(walk, offset, SCAN_VERIFY | SCAN_BATCHES, error);
    }
    const bool is_link = walk->link_state != LINK_GOOD;
    if (is_link ? walk->link_state == LINK_PAYLOAD_DAMAGED : walk->scan.damage == SCAN_BATCH_BROKEN) {
        walk->plain_until = vouched;
        return open_scan(walk, is_link ? walk->scan.offset : offset, SCAN_VERIFY, error);
    }
    if (!is_link && may_keep_damaged(walk)) {
        pass(walk, &walk->scan.current.record);
        return STAVE_OK;
    }
    if (!walk->logend->store->options.accept_damage) return refuse(walk, offset, error);
    uint64_t skipped = 0;
    return is_link ? STAVE_OK : scan_resume(&walk->scan, &skipped);
}

/* E1. STAVE_OK: go on; STAVE_END: here the log ends. */
static enum stave_status judge(struct walk *walk, size_t index, enum stave_status met, struct error *error)
{
    const bool is_link = walk->link_state != LINK_GOOD;
    const uint64_t offset = is_link ? walk->unit_start : walk->scan.offset;
    struct record_mark mark = {.durable_end = 0};
    bool vouches = false;
    enum stave_status status = scan_search_mark(&walk->scan, offset, &mark, error);
    if (status >= 0 && met != STAVE_END) status = later_vouches(walk->logend, index, &vouches, error);
    if (status < 0) return status;
    const uint64_t vouched = vouches ? UINT64_MAX : mark.durable_end;
    walk->log->end = offset;
    walk->log->is_cut = met != STAVE_END;
    if (vouched > offset) return go_on_behind(walk, offset, vouched, error);
    if (is_link) walk->log->last_sequence = walk->unit_sequence;
    return STAVE_END;
}

static void drop_links_behind(struct logend *logend, size_t index)
{
    while (logend->link_count > 0 && logend->links[logend->link_count - 1].log == index &&
           logend->links[logend->link_count - 1].offset >= logend->logs[index].end)
        logend->link_count--;
}

static enum stave_status walk_through(struct walk *walk, size_t index, struct error *error)
{
    for (;;) {
        struct scan_record record;
        walk->link_state = LINK_GOOD;
        enum stave_status status = scan_next(&walk->scan, &record, error);
        if (status == STAVE_OK && walk->plain_until != 0 && record.offset >= walk->plain_until &&
            !(record.record.flags & RECORD_IN_BATCH)) {
            walk->plain_until = 0;
            status = open_scan(walk, record.offset, SCAN_VERIFY | SCAN_BATCHES, error);
            if (status == STAVE_OK) continue;
        }
        if (status == STAVE_OK) status = take(walk, &record, error);
        if (status == STAVE_CORRUPT || status == STAVE_END) status = judge(walk, index, status, error);
        if (status != STAVE_OK) return status == STAVE_END ? STAVE_OK : status;
    }
}

static enum stave_status find_end(struct logend *logend, size_t index, struct error *error)
{
    struct walk walk = walk_of(logend, index);
    walk.retries = RETRIES_MAX;
    walk.log->end = SEGMENT_HEADER_SIZE;
    walk.log->first_sequence = 0;
    walk.log->last_sequence = 0;
    walk.log->is_cut = false;
    enum stave_status status = open_scan(&walk, 0, SCAN_VERIFY | SCAN_BATCHES, error);
    if (status == STAVE_OK) status = walk_through(&walk, index, error);
    scan_close(&walk.scan);
    drop_links_behind(logend, index);
    return status == STAVE_NOT_FOUND ? STAVE_OK
                                     : status; /* its header was never written: no record in it counts */
}

/* ------------------------------------------------------------------ one after the other (E2) */

/* Whether `next` follows on `last`, the last sequence of the segment before; 0: that has none. */
static bool follows(uint64_t last, uint64_t next)
{
    const uint64_t counter = (uint64_t)(uint32_t)last + 1;
    const uint64_t expected = counter > RECORD_COUNTER_ROUND ? counter - RECORD_COUNTER_ROUND : counter;
    return last != 0 && (uint32_t)next == expected;
}

/* Of later segments only MARKs are left: they say whether this one was durable beyond what it has. */
static bool is_short_of(const struct logend_segment *log, uint64_t durable)
{
    return sequence_incarnation(durable) == log->listed->incarnation && durable > log->last_sequence;
}

/* A segment without a record has lost all it had, if a later one has some: an empty tail is not left (W4). */
static enum stave_status check_next(struct logend *logend, size_t index, bool *ret_follows,
                                    struct error *error)
{
    uint64_t next = 0;
    uint64_t durable = 0;
    bool vouches = false;
    *ret_follows = true;
    for (size_t later = index + 1; later < logend->log_count && next == 0; later++) {
        const enum stave_status status = first_sequence(logend, later, &next);
        if (status != STAVE_OK) return status;
    }
    if (next != 0 && follows(logend->logs[index].last_sequence, next)) return STAVE_OK;
    const enum stave_status status = find_later_mark(logend, index, &vouches, &durable, error);
    if (status == STAVE_OK && next == 0 && !(vouches && is_short_of(&logend->logs[index], durable)))
        return STAVE_OK;
    *ret_follows = false;
    if (status != STAVE_OK || !vouches || logend->store->options.accept_damage) {
        *ret_follows = vouches;
        return status;
    }
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(logend->logs[index].listed->id, name);
    return error_set(
        error, STAVE_CORRUPT, 0,
        "%s/%s: offset %llu: durable records from here on are missing; stave_salvage copies what is left",
        logend->store->dir.path, name, (unsigned long long)logend->logs[index].end);
}

static void discard_from(struct logend *logend, size_t index)
{
    for (size_t i = index; i < logend->log_count; i++) {
        logend->logs[i].end = SEGMENT_HEADER_SIZE;
        logend->logs[i].is_cut = true;
    }
}

static enum stave_status take_listed(struct logend *logend, const struct manifest *manifest,
                                     struct error *error)
{
    for (size_t i = 0; i < manifest->segment_count; i++) {
        const struct manifest_segment *listed = &manifest->segments[i];
        if (listed->kind != SEGMENT_LOG || listed->state == MANIFEST_SEGMENT_SEALED) continue;
        if (logend->log_count == LOGEND_OPEN_MAX)
            return error_set(error, STAVE_CORRUPT, 0, "%s/" MANIFEST_FILE_NAME ": more than %d open segments",
                             logend->store->dir.path, LOGEND_OPEN_MAX);
        size_t at = logend->log_count++;
        for (; at > 0 && logend->logs[at - 1].listed->incarnation > listed->incarnation; at--)
            logend->logs[at] = logend->logs[at - 1];
        logend->logs[at] = (struct logend_segment){.listed = listed, .end = SEGMENT_HEADER_SIZE};
    }
    return STAVE_OK;
}

enum stave_status logend_find(struct store *store, const struct manifest *manifest, bool may_retry,
                              struct logend *ret_logend, struct error *error)
{
    *ret_logend = (struct logend){.store = store};
    enum stave_status status = take_listed(ret_logend, manifest, error);
    for (size_t i = 0; i < ret_logend->log_count && status == STAVE_OK; i++) {
        bool is_followed = true;
        status = find_end(ret_logend, i, error);
        const struct logend_segment *log = &ret_logend->logs[i];
        if (status == STAVE_OK && may_retry && i > 0 && log->first_sequence != 0 &&
            !follows(log[-1].last_sequence, log->first_sequence))
            return STAVE_WOULD_BLOCK; /* the one before grew, and was left, after it was read */
        if (status == STAVE_OK) status = check_next(ret_logend, i, &is_followed, error);
        if (status != STAVE_OK || is_followed) continue;
        if (may_retry) return STAVE_WOULD_BLOCK;
        discard_from(ret_logend, i + 1);
        break;
    }
    return status;
}

void logend_free(struct logend *logend)
{
    memory_free(logend->links);
    *logend = LOGEND_NONE;
}

const struct logend_link *logend_find_link(const struct logend *logend, uint32_t segment_id,
                                           uint64_t identity)
{
    for (size_t i = 0; i < logend->link_count; i++)
        if (logend->links[i].segment_id == segment_id && logend->links[i].identity == identity)
            return &logend->links[i];
    return NULL;
}
