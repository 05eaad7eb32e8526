/*
 * numbers.h - what encoders ask of a few numbers
 */
#ifndef DFX_NUMBERS_H
#define DFX_NUMBERS_H

#include <math.h>

/* The first of the numbers farthest from 0. */
static inline float
dfx_farthest(int count, const float *x)
{
    float most = 0, max = 0;

    for (int i = 0; i < count; i++)
        if (fabsf(x[i]) > most) {
            most = fabsf(x[i]);
            max = x[i];
        }
    return max;
}

/* How far from 0 that is. */
static inline float
dfx_greatest(int count, const float *x)
{
    return fabsf(dfx_farthest(count, x));
}

/* 1/d, or 0 where that is none. */
static inline float
dfx_inverse(float d)
{
    float id = d != 0 ? 1.0f / d : 0;

    return isfinite(id) ? id : 0;
}

#endif
