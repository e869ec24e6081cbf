/* SPDX-License-Identifier: MIT */
/* A thread that has been asked already is not signalled again. */
#include "store/wake.h"

static void wake(struct store *store, _Atomic bool *asked, struct condition *condition)
{
    if (atomic_load_explicit(asked, memory_order_relaxed)) return;
    mutex_lock(&store->thread_lock);
    const bool is_first = !*asked;
    *asked = true;
    mutex_unlock(&store->thread_lock);
    if (is_first) condition_signal(condition); /* the thread would wait for the lock if it were held still */
}

void wake_preparer(struct store *store)
{
    wake(store, &store->preparer_asked, &store->preparer_wake);
}

void wake_syncer(struct store *store)
{
    wake(store, &store->syncer_asked, &store->syncer_wake);
}

void wake_worker(struct store *store)
{
    wake(store, &store->worker_asked, &store->worker_wake);
}
