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

/* As many as the parts at a time, so that compilers make lanes of them. */
#define DFX_ROW_PARTS(count, statement)                                        \
    do {                                                                       \
        size_t i_ = 0;                                                         \
        for (; (count)-i_ >= DFX_PARTS; i_ += DFX_PARTS) {                     \
            _Pragma("omp simd") for (size_t j = 0; j < DFX_PARTS; j++)         \
            {                                                                  \
                size_t i = i_ + j;                                             \
                statement;                                                     \
            }                                                                  \
        }                                                                      \
        for (size_t j = 0; i_ + j < (count); j++) {                            \
            size_t i = i_ + j;                                                 \
            statement;                                                         \
        }                                                                      \
    } while (0)

static inline float
dfx_row_sum(const float *x, size_t count)
{
    float part[DFX_PARTS] = {0};

    DFX_ROW_PARTS(count, part[j] += x[i]);
    return dfx_parts_sum(part);
}

/* The sum of (x - mean)^2. */
static inline float
dfx_row_squares(const float *x, size_t count, float mean)
{
    float part[DFX_PARTS] = {0};

    DFX_ROW_PARTS(count, part[j] = fmaf(x[i] - mean, x[i] - mean, part[j]));
    return dfx_parts_sum(part);
}

/* NaN is less than all. */
static inline float
dfx_row_max(const float *x, size_t count)
{
    float part[DFX_PARTS], max = -INFINITY;

    for (size_t j = 0; j < DFX_PARTS; j++)
        part[j] = -INFINITY;
    DFX_ROW_PARTS(count, part[j] = x[i] > part[j] ? x[i] : part[j]);
    for (size_t j = 0; j < DFX_PARTS; j++)
        max = part[j] > max ? part[j] : max;
    return max;
}

/* x becomes exp(x - max) / sum of those; a NaN makes all of the row NaN. */
static inline void
dfx_row_softmax(float *x, size_t count)
{
    float max = dfx_row_max(x, count), factor;

#pragma omp simd
    for (size_t i = 0; i < count; i++)
        x[i] = dfx_expf(x[i] - max);
    factor = 1.0f / dfx_row_sum(x, count);
    for (size_t i = 0; i < count; i++)
        x[i] *= factor;
}

#endif
