/*
 * sums.c - the sums of an output, counted by many threads
 */
#include <config.h>

#include "sums.h"

#include <stdlib.h>

#include "crc.h"

static size_t
count_parts(const dfx_sums *sums, const dfx_sum *sum)
{
    if (sum->size == 0)
        return 0;
    return (size_t)((sum->offset + sum->size - 1) / sums->chunk -
                    sum->offset / sums->chunk) +
           1;
}

dfx_status
dfx_sums_init(dfx_sums *sums, const dfx_output *file, uint64_t chunk,
              dfx_error *err)
{
    size_t count = 0;

    *sums = (dfx_sums){.file = file, .chunk = chunk};
    if (file->sum_count == 0)
        return DFX_OK;
    sums->first = calloc(file->sum_count, sizeof *sums->first);
    if (sums->first == NULL)
        return dfx_fail_nomem(err);
    for (size_t s = 0; s < file->sum_count; s++) {
        sums->first[s] = count;
        count += count_parts(sums, &file->sums[s]);
    }
    sums->parts = calloc(count + 1, sizeof *sums->parts);
    return sums->parts == NULL ? dfx_fail_nomem(err) : DFX_OK;
}

void
dfx_sums_fini(dfx_sums *sums)
{
    free(sums->parts);
    free(sums->first);
}

size_t
dfx_sums_find(const dfx_sums *sums, uint64_t offset)
{
    size_t low = 0, high = sums->file->sum_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const dfx_sum *sum = &sums->file->sums[middle];

        if (sum->offset + sum->size <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
dfx_sums_count(dfx_sums *sums, size_t *next, uint64_t offset,
               const unsigned char *data, size_t size)
{
    uint64_t end = offset + size;

    /* Nothing ends where the next chunk begins, whose part is another thread's.
     */
    if (size == 0)
        return;
    for (; *next < sums->file->sum_count; ++*next) {
        const dfx_sum *sum = &sums->file->sums[*next];
        uint64_t from = sum->offset > offset ? sum->offset : offset;
        uint64_t to = sum->offset + sum->size;
        uint32_t *part;

        if (sum->offset >= end)
            return;
        if (to <= from)
            continue; /* an empty one */
        part = sums->parts + sums->first[*next] +
               (size_t)(offset / sums->chunk - sum->offset / sums->chunk);
        *part = dfx_crc(*part, data + (from - offset),
                        (size_t)((to < end ? to : end) - from));
        if (to > end)
            return;
    }
}

bool
dfx_sums_want(const dfx_sums *sums, size_t next, uint64_t end)
{
    return next < sums->file->sum_count && sums->file->sums[next].offset < end;
}

void
dfx_sums_join(const dfx_sums *sums)
{
    for (size_t s = 0; s < sums->file->sum_count; s++) {
        const dfx_sum *sum = &sums->file->sums[s];
        const uint32_t *part = sums->parts + sums->first[s];
        uint64_t at = sum->offset, end = sum->offset + sum->size;
        uint32_t crc = 0;

        while (at < end) {
            uint64_t next = (at / sums->chunk + 1) * sums->chunk;

            if (next > end)
                next = end;
            crc = dfx_crc_join(crc, *part++, next - at);
            at = next;
        }
        for (unsigned i = 0; i < DFX_SUM_SIZE; i++)
            sum->value[i] = (uint8_t)(crc >> 8 * i);
    }
}
