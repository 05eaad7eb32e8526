/*
 * test_sums.c - tests of sums.c
 */
#include <config.h>

#include "sums.h"

#include <omp.h>

#include "crc.h"
#include "tap.h"

enum { CHUNK = 1 << 16, SIZE = 2 * CHUNK };

static unsigned char data[SIZE];

static uint32_t
value_of(const uint8_t *value)
{
    return value[0] | (uint32_t)value[1] << 8 | (uint32_t)value[2] << 16 |
           (uint32_t)value[3] << 24;
}

/* Each thread counts a chunk. The first has written all before the other has,
   and then nothing more, over and over: at the place where the second began. */
static bool
count_chunks(void)
{
    uint8_t value[DFX_SUM_SIZE] = {0};
    dfx_sum sum = {.offset = 0, .size = SIZE, .value = value};
    dfx_output file = {.sums = &sum, .sum_count = 1};
    bool done = false;
    dfx_sums sums;
    dfx_error err;

    if (dfx_sums_init(&sums, &file, CHUNK, &err) != DFX_OK)
        return false;
#pragma omp parallel num_threads(2)
    {
        size_t next = 0;

        if (omp_get_thread_num() == 0) {
            dfx_sums_count(&sums, &next, 0, data, CHUNK);
            if (omp_get_num_threads() == 2)
                while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
                    dfx_sums_count(&sums, &next, CHUNK, data + CHUNK, 0);
        }
        if (omp_get_thread_num() == omp_get_num_threads() - 1) {
            for (size_t i = 0; i < CHUNK; i++)
                dfx_sums_count(&sums, &next, CHUNK + i, data + CHUNK + i, 1);
            __atomic_store_n(&done, true, __ATOMIC_RELAXED);
        }
    }
    dfx_sums_join(&sums);
    dfx_sums_fini(&sums);
    return value_of(value) == dfx_crc(0, data, SIZE);
}

/* Often: what can go wrong does so in one run of three. */
static void
test_chunks(void)
{
    bool good = true;

    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 24);
    for (int i = 0; i < 30; i++)
        good = count_chunks() && good;
    CHECK(good, "two threads count what one does");
}

int
main(void)
{
    test_chunks();
    return tap_end();
}
