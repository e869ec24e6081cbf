/* SPDX-License-Identifier: MIT */
/* Epochs that last one call. */
#include "store/epoch.h"

#include "os/thread.h"

/* Readers stay for microseconds, or for one read from disk. */
#define EPOCH_NAP_NS UINT64_C(20000)

uint32_t epoch_enter(struct epoch *epoch)
{
    const uint32_t set = atomic_load_explicit(&epoch->number, memory_order_relaxed) & 1;
    const uint32_t shard = thread_processor() % EPOCH_SHARDS;
    atomic_fetch_add_explicit(&epoch->shards[shard].entered[set], 1, memory_order_seq_cst);
    return shard << 1 | set;
}

void epoch_leave(struct epoch *epoch, uint32_t token)
{
    atomic_fetch_add_explicit(&epoch->shards[token >> 1].left[token & 1], 1, memory_order_release);
}

/* Leavers are summed first: one that is seen to have left was seen, or will be seen, to have entered. */
static int set_is_empty(struct epoch *epoch, uint32_t set)
{
    uint64_t left = 0;
    uint64_t entered = 0;
    for (int i = 0; i < EPOCH_SHARDS; i++)
        left += atomic_load_explicit(&epoch->shards[i].left[set], memory_order_acquire);
    atomic_thread_fence(memory_order_seq_cst);
    for (int i = 0; i < EPOCH_SHARDS; i++)
        entered += atomic_load_explicit(&epoch->shards[i].entered[set], memory_order_seq_cst);
    return left == entered;
}

static void turn_over(struct epoch *epoch)
{
    const uint32_t set = atomic_load(&epoch->number) & 1;
    while (!set_is_empty(epoch, set ^ 1)) thread_sleep_ns(EPOCH_NAP_NS);
    atomic_fetch_add(&epoch->number, 1);
    while (!set_is_empty(epoch, set)) thread_sleep_ns(EPOCH_NAP_NS);
}

void epoch_wait(struct epoch *epoch)
{
    atomic_thread_fence(memory_order_seq_cst);
    turn_over(epoch);
    turn_over(epoch);
}
