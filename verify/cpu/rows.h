/*
 * rows.h - sums along a row, in the one order that all backends keep
 */
#ifndef DFX_CPU_ROWS_H
#define DFX_CPU_ROWS_H

#include "elementary.h"

#include <stddef.h>

enum { DFX_PARTS = 32 };

/* The tree over partial sums: 16, 8, 4, 2, 1. */
static inline float
dfx_parts_sum(float part[DFX_PARTS])
{
    for (size_t step = DFX_PARTS / 2; step > 0; step /= 2)
        for (size_t j = 0; j < step; j++)
            part[j] += part[j + step];
    return part[0];
}

static inline float
dfx_row_sum(const float *x, size_t count)
{
    float part[DFX_PARTS] = {0};

    for (size_t i = 0; i < count; i++)
        part[i % DFX_PARTS] += x[i];
    return dfx_parts_sum(part);
}

/* The sum of (x - mean)^2. */
static inline float
dfx_row_squares(const float *x, size_t count, float mean)
{
    float part[DFX_PARTS] = {0};

    for (size_t i = 0; i < count; i++) {
        float d = x[i] - mean;

        part[i % DFX_PARTS] = fmaf(d, d, part[i % DFX_PARTS]);
    }
    return dfx_parts_sum(part);
}

/* x becomes exp(x - max) / sum of those; a NaN makes all of the row NaN. */
static inline void
dfx_row_softmax(float *x, size_t count)
{
    float max = -INFINITY, factor;

    for (size_t i = 0; i < count; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < count; i++)
        x[i] = dfx_expf(x[i] - max);
    factor = 1.0f / dfx_row_sum(x, count);
    for (size_t i = 0; i < count; i++)
        x[i] *= factor;
}

#endif
