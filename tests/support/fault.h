/* SPDX-License-Identifier: MIT */
/*
 * Makes the system fail under the library: for programs in tests/fault and tests/crash.
 *
 * These programs are linked so (ld --wrap) that every call of os/system.h and base/memory.h comes to
 * system_faulty.c and memory_faulty.c first. Calls of the chosen kinds are counted from 1 since the last
 * arming, in all threads:
 *
 *     bool fired = true;
 *     for (uint64_t nth = 1; fired; nth++) {
 *         fault_arm(nth, EIO);                  // or fault_arm_from, fault_arm_short, fault_arm_crash
 *         status = scenario(directory);
 *         fired = fault_disarm();
 *         assert_true(fired || status == STAVE_OK);
 *     }
 *
 * fault_choose() narrows what is counted, as in "the first fdatasync": fault_choose(FAULT_SYNC); fault_arm(1,
 * EIO). A crash ends the process with FAULT_CRASH_EXIT, so it is armed in a child made by fork before any
 * store is open.
 *
 * For power loss see power_loss.h: fault_power_begin() here records, while the program runs, what each sync
 * has made durable.
 */
#ifndef STAVE_TESTS_SUPPORT_FAULT_H
#define STAVE_TESTS_SUPPORT_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_OPEN = 1 << 0,
    FAULT_CLOSE = 1 << 1,
    FAULT_READ = 1 << 2,
    FAULT_WRITE = 1 << 3,
    FAULT_ALLOCATE = 1 << 4, /* fallocate */
    FAULT_TRUNCATE = 1 << 5,
    FAULT_SYNC = 1 << 6,     /* fdatasync */
    FAULT_DIR_SYNC = 1 << 7, /* fsync */
    FAULT_RENAME = 1 << 8,
    FAULT_UNLINK = 1 << 9,
    FAULT_LINK = 1 << 10,
    FAULT_MKDIR = 1 << 11,
    FAULT_LIST = 1 << 12, /* getdents */
    FAULT_STAT = 1 << 13, /* fstat, fstatat, fstatfs */
    FAULT_LOCK = 1 << 14,
    FAULT_MAP = 1 << 15,      /* mmap */
    FAULT_POPULATE = 1 << 16, /* madvise(MADV_POPULATE_WRITE) */
    FAULT_RANDOM = 1 << 17,
    FAULT_EVENT = 1 << 18, /* making an eventfd */
    FAULT_THREAD = 1 << 19,
    /* What may fail without harm: other madvise, fadvise, mincore, sync_file_range, preadv(RWF_NOWAIT). */
    FAULT_HINT = 1 << 20,
    FAULT_MEMORY = 1 << 21,
    FAULT_CLOCK = 1 << 22,  /* a look at the wall clock; cannot fail, only be counted and held */
    FAULT_MARKED = 1 << 23, /* to hold: only calls of threads that have marked themselves */

    /* What a program changes on disk: the points between which a crash makes a difference. */
    FAULT_DISK_CHANGES = FAULT_WRITE | FAULT_ALLOCATE | FAULT_TRUNCATE | FAULT_SYNC | FAULT_DIR_SYNC |
                         FAULT_RENAME | FAULT_UNLINK | FAULT_LINK | FAULT_MKDIR | FAULT_POPULATE,
    /* What takes disk space. */
    FAULT_SPACE = FAULT_WRITE | FAULT_ALLOCATE | FAULT_POPULATE | FAULT_MKDIR | FAULT_LINK,
    /* Every system call whose failure has to be handled. The default. */
    FAULT_SYSTEM = (1 << 20) - 1,
};

enum { FAULT_CRASH_EXIT = 99 };

/* Which kinds count from now on (default FAULT_SYSTEM), until changed. */
void fault_choose(uint32_t kinds);

/* The nth call fails with `system_error`, once. A failed allocation returns NULL whatever the number. */
void fault_arm(uint64_t nth, int system_error);

/* The nth call and all after it fail: a disk that is full (ENOSPC) or gone (EIO). */
void fault_arm_from(uint64_t nth, int system_error);

/* The nth call, if a read or write, moves only half of its bytes (at least one). */
void fault_arm_short(uint64_t nth);

/* The process ends at the nth call: before it takes effect, or after. */
void fault_arm_crash(uint64_t nth, bool after);

/*
 * Beside all that: the nth call of `kinds` from now on waits before it takes effect, until it is released, or
 * another one is to be held; what other threads do meanwhile comes between. fault_await_held() returns when
 * it has got there; false if it never does.
 */
void fault_hold(uint32_t kinds, uint64_t nth);
bool fault_await_held(void);
void fault_release(void);
void fault_mark_thread(void);

/* Back to no faults; whether there was one since the arming. The choice of kinds stays. */
bool fault_disarm(void);

/*
 * Calls of the chosen kinds since the last arming; to know how many points there are, arm a number never
 * reached.
 */
uint64_t fault_count(void);

/* Sets the wall clock forward, or back, by whole seconds. */
void fault_shift_wall_clock(int64_t shift_ms);
/* The same for every other look at it: it jumps forward and is set back all the time. */
void fault_shake_wall_clock(int64_t shift_ms);

/*
 * From now on (in this process, and in children it forks) records in the existing, empty directory `shadow`
 * what is durable of `dir`; what is there already counts as durable. Every sync copies the whole file: keep
 * segments small.
 */
void fault_power_begin(const char *dir, const char *shadow);
void fault_power_end(void);

/* Syncs are counted, fail and are recorded, but are not asked of the disk: where they are modelled. */
void fault_skip_syncs(void);

/*
 * From now on files take no blocks for what is allocated, nor for large writes of zeroes: sizes can be tested
 * that no disk has room for.
 */
void fault_sparse_files(bool sparse);

/* For system_faulty.c and memory_faulty.c. */

enum fault_action { FAULT_NONE, FAULT_FAIL, FAULT_SHORT };

/* Counts a call; on FAULT_FAIL errno is set. May end the process. */
enum fault_action fault_before(enum fault_kind kind);

/* After the call took effect; may end the process. */
void fault_after(enum fault_kind kind);

int64_t fault_wall_clock_shift_ms(void);

/* Runs a sync, and records what it made durable if that is asked for and it succeeded. */
int power_recorded_sync(int fd, int (*sync)(int fd));

#endif
