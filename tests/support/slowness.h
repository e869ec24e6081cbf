/* SPDX-License-Identifier: MIT */
/* How much less a test does in a build that a sanitizer makes slow: rounds and sizes are divided by it. */
#ifndef STAVE_TESTS_SLOWNESS_H
#define STAVE_TESTS_SLOWNESS_H

#if defined(__SANITIZE_THREAD__)
enum { TEST_SLOWNESS = 8 };
#elif defined(__SANITIZE_ADDRESS__)
enum { TEST_SLOWNESS = 2 };
#else
enum { TEST_SLOWNESS = 1 };
#endif

#endif
