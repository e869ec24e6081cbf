/* SPDX-License-Identifier: MIT */
/*
 * Runs a target without libFuzzer: on files, or on its seeds and random changes of them, or writes the seeds.
 *
 *     replay                        FUZZ_RUNS changes (default 50,000) from FUZZ_SEED (default: the clock)
 *     replay FILE...                these inputs, such as a crash that libFuzzer left
 *     replay --seeds DIRECTORY      the seeds, as files
 */
#include "fuzz/fuzz.h"

#include <string.h>
#include <time.h>

enum { SIZE_MAX_OF_INPUT = 2 * FUZZ_SEED_SIZE, CHANGES_MAX = 6 };

static uint64_t random_next(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

static size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

/* One change in place: a byte, a bit, a number at its bounds, bytes moved, the end cut or doubled. */
static size_t change(uint64_t *state, uint8_t *bytes, size_t size)
{
    static const uint32_t numbers[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 64, 1 << 30};
    const size_t at = random_below(state, size);
    const size_t other = random_below(state, size);
    const size_t length = 1 + random_below(state, size - (at > other ? at : other));
    const uint32_t number = numbers[random_below(state, sizeof(numbers) / sizeof(numbers[0]))];
    switch (random_below(state, 7)) {
    case 0: bytes[at] = (uint8_t)random_next(state); break;
    case 1: bytes[at] ^= (uint8_t)(1 << random_below(state, 8)); break;
    case 2: memcpy(bytes + at, &number, size - at < sizeof(number) ? size - at : sizeof(number)); break;
    case 3: memmove(bytes + at, bytes + other, length); break;
    case 4: memset(bytes + at, 0, length); break;
    case 5: return at + 1;
    default:
        if (2 * size > SIZE_MAX_OF_INPUT) break;
        memcpy(bytes + size, bytes, size);
        return 2 * size;
    }
    return size;
}

static unsigned count_seeds(uint8_t *bytes)
{
    unsigned count = 0;
    while (fuzz_seed(count, bytes) > 0) count++;
    return count;
}

static uint64_t number_from(const char *name, uint64_t standard)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == 0 ? standard : strtoull(text, NULL, 10);
}

static int run_changes(uint8_t *bytes)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed = number_from("FUZZ_SEED", (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec);
    const uint64_t runs = number_from("FUZZ_RUNS", 50000);
    const unsigned seeds = count_seeds(bytes);
    (void)fprintf(stderr, "FUZZ_SEED=%llu\n", (unsigned long long)seed);
    for (unsigned number = 0; number < seeds; number++)
        (void)LLVMFuzzerTestOneInput(bytes, fuzz_seed(number, bytes));
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t state = seed + run;
        size_t size = fuzz_seed((unsigned)random_below(&state, seeds), bytes);
        for (size_t changes = 1 + random_below(&state, CHANGES_MAX); changes > 0; changes--)
            size = change(&state, bytes, size);
        uint8_t *exact = malloc(size); /* so that a sanitizer sees a read behind the end */
        fuzz_expect(exact != NULL, "there is memory");
        memcpy(exact, bytes, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    return 0;
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = 0;
    size_t capacity = 1 << 20;
    uint8_t *bytes = malloc(capacity);
    fuzz_expect(bytes != NULL, "there is memory");
    size = fread(bytes, 1, capacity, file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 0;
}

static int write_seeds(const char *directory, uint8_t *bytes)
{
    char path[4096];
    size_t size;
    for (unsigned number = 0; (size = fuzz_seed(number, bytes)) > 0; number++) {
        (void)snprintf(path, sizeof(path), "%s/seed-%u", directory, number);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int count, char **words)
{
    static uint8_t bytes[SIZE_MAX_OF_INPUT];
    if (count == 3 && strcmp(words[1], "--seeds") == 0) return write_seeds(words[2], bytes);
    int result = 0;
    for (int i = 1; i < count; i++) result |= run_file(words[i]);
    return count > 1 ? result : run_changes(bytes);
}
