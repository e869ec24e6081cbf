/* SPDX-License-Identifier: MIT */
/*
 * What other threads have the main thread do.
 *
 *   PO1  Calls run in the order in which they were posted, on the main thread, outside of the gate.
 *   PO2  What has been taken is run, also at the end; after that nothing is taken.
 */
#ifndef STAVE_SERVER_POSTS_H
#define STAVE_SERVER_POSTS_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct post;

typedef void (*post_call)(void *context);

struct posts {
    uv_loop_t *uv;
    uv_async_t *wake; /* its owner calls posts_run() */
    pthread_mutex_t lock;
    struct post *first; /* lock */
    struct post *last;  /* lock */
    bool is_ended;      /* lock: nothing more is taken */
};

/* The main thread's loop and its wake-up, which may be made ready later, but before anything is posted. */
void posts_init(struct posts *posts, uv_loop_t *uv, uv_async_t *wake);
void posts_free(struct posts *posts);

/* From any thread. False: no memory, or it is the end. */
bool posts_add(struct posts *posts, post_call call, void *context);
/* Runs `work` on a thread of the pool, then `done` on the main thread. From any thread. False as above. */
bool posts_add_work(struct posts *posts, post_call work, post_call done, void *context);

/* Wakes the main thread, though nothing was posted. From any thread. */
void posts_wake(struct posts *posts);

/* On the main thread. */
void posts_run(struct posts *posts);
/* The same for the last time; work that it begins is done when the loop has run again. */
void posts_end(struct posts *posts);

#endif
