/* SPDX-License-Identifier: MIT */
/*
 * Random bytes from the system.
 */
#include "os/random.h"

#include <errno.h>

#include "os/system.h"

enum stave_status random_bytes(void *ret_data, size_t size, struct error *error)
{
    uint8_t *const data = ret_data;
    size_t done = 0;
    while (done < size) {
        const ssize_t got = system_getrandom(data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error_set(error, error_status(errno), errno, "random bytes");
        done += (size_t)got;
    }
    return STAVE_OK;
}

enum stave_status random_number(uint64_t *ret_number, struct error *error)
{
    uint64_t number = 0;
    while (number == 0) {
        const enum stave_status status = random_bytes(&number, sizeof(number), error);
        if (status < 0) return status;
    }
    *ret_number = number;
    return STAVE_OK;
}
