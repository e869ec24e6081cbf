/* SPDX-License-Identifier: MIT */
/* One write on its way into the log. The caller fills the first part. */
#ifndef STAVE_STORE_CHANGE_H
#define STAVE_STORE_CHANGE_H

#include "store/store.h"

struct change {
    uint8_t kind; /* RECORD_PUT or RECORD_TOMBSTONE */
    uint32_t space;
    struct stave_bytes key;
    struct stave_bytes value;
    struct stave_write write;

    uint32_t generation;
    uint64_t hash;
    uint32_t payload_checksum;
    bool found; /* an entry of the key is in the index, expired or not */
    uint64_t location;
    uint64_t identity; /* of the segment it lies in */
    struct record old;
    struct segment *large; /* written beforehand, not yet published */
    bool large_expires;    /* its header was given room for an expiry */
    size_t earlier;        /* batch: 1 + index of the last change before it of the same key; 0: none */
    uint64_t appended_at;  /* location of its record, once that is in the log */
};

#endif
