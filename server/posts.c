/* SPDX-License-Identifier: MIT */
/*
 * A list under a lock, and a wake-up. Work for the pool goes by the main thread, whose loop the pool answers
 * to.
 */
#include "server/posts.h"

#include <assert.h>

#include "base/memory.h"

struct post {
    struct post *next;
    post_call call;
    void *context;
};

void posts_init(struct posts *posts, uv_loop_t *uv, uv_async_t *wake)
{
    *posts = (struct posts){.uv = uv, .wake = wake};
    (void)pthread_mutex_init(&posts->lock, NULL);
}

void posts_free(struct posts *posts)
{
    (void)pthread_mutex_destroy(&posts->lock);
}

bool posts_add(struct posts *posts, post_call call, void *context)
{
    struct post *post = memory_alloc(sizeof *post);
    if (post == NULL) return false;
    *post = (struct post){NULL, call, context};
    (void)pthread_mutex_lock(&posts->lock);
    const bool is_taken = !posts->is_ended;
    if (is_taken) {
        if (posts->last == NULL)
            posts->first = post;
        else
            posts->last->next = post;
        posts->last = post;
        (void)uv_async_send(posts->wake);
    }
    (void)pthread_mutex_unlock(&posts->lock);
    if (!is_taken) memory_free(post);
    return is_taken;
}

void posts_wake(struct posts *posts)
{
    (void)uv_async_send(posts->wake);
}

void posts_run(struct posts *posts)
{
    (void)pthread_mutex_lock(&posts->lock);
    struct post *post = posts->first;
    posts->first = NULL;
    posts->last = NULL;
    (void)pthread_mutex_unlock(&posts->lock);
    while (post != NULL) {
        struct post *next = post->next;
        post->call(post->context);
        memory_free(post);
        post = next;
    }
}

void posts_end(struct posts *posts)
{
    (void)pthread_mutex_lock(&posts->lock);
    posts->is_ended = true;
    (void)pthread_mutex_unlock(&posts->lock);
    posts_run(posts);
}

/* ------------------------------------------------------------------ work for the pool */

struct work {
    uv_work_t uv;
    struct posts *posts;
    post_call run;
    post_call done; /* NULL: nothing */
    void *context;
};

static void run_work(uv_work_t *uv)
{
    const struct work *work = uv->data;
    work->run(work->context);
}

static void end_work(uv_work_t *uv, int status)
{
    (void)status;
    struct work *work = uv->data;
    if (work->done != NULL) work->done(work->context);
    memory_free(work);
}

static void start_work(void *context)
{
    struct work *work = context;
    work->uv.data = work;
    const int error = uv_queue_work(work->posts->uv, &work->uv, run_work, end_work);
    assert(error == 0);
}

bool posts_add_work(struct posts *posts, post_call work, post_call done, void *context)
{
    struct work *made = memory_alloc_zero(1, sizeof *made);
    if (made == NULL) return false;
    made->posts = posts;
    made->run = work;
    made->done = done;
    made->context = context;
    if (posts_add(posts, start_work, made)) return true;
    memory_free(made);
    return false;
}
