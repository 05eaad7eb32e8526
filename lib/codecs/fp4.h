/*
 * fp4.h - the codes and scales of MXFP4 and NVFP4
 */
#ifndef DFX_FP4_H
#define DFX_FP4_H

#include "codecs/half.h"

#include <math.h>

/* Twice what the codes mean; code 8 is +0, as in ggml. */
static const int8_t dfx_fp4_values[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                          0, -1, -2, -3, -4, -6, -8, -12};

/* Half of 2^(e - 127); 255 is not special. */
static inline float
dfx_e8m0_half(uint8_t e)
{
    return e < 2 ? ldexpf(1.0f, e - 128)
                 : dfx_bits_float((uint32_t)(e - 1) << 23);
}

/* Half of the E4M3 number, without its sign. */
static inline float
dfx_ue4m3_half(uint8_t e)
{
    int exponent = e >> 3 & 15, mantissa = e & 7;

    if (e == 0 || e == 0x7f)
        return 0;
    if (exponent == 0)
        return ldexpf((float)mantissa, -10);
    return ldexpf((float)(8 + mantissa), exponent - 11);
}

/*
 * The exponent that lets the greatest number be a code of 4 and more. ggml
 * takes the logarithm as a float: just below 2^k that rounds to k. It does so
 * within half a step of the floats below k, 2^(m - 24), which is 2^m * ln 2
 * steps of the number's fraction: reach, rounded down, with nothing close to a
 * whole number. So no libm has a say.
 */
static inline uint8_t
dfx_e8m0_of(float most)
{
    static const uint32_t reach[7] = {0, 1, 2, 5, 11, 22, 44};
    uint32_t bits = dfx_float_bits(most);
    int exponent = (int)(bits >> 23) - 127;
    int next = exponent + 1, m;

    if (exponent < -126) /* 0 and subnormals: the least there is */
        return 0;
    if (next != 0) {
        m = 31 - __builtin_clz((unsigned)(next < 0 ? -next : next));
        if (next > 0 && next == 1 << m)
            m--; /* floats below a power of two are closer */
        if (m >= 0 && 0x800000 - (bits & 0x7fffff) <= reach[m > 6 ? 6 : m])
            exponent = next;
    }
    exponent += 127 - 2;
    return exponent > 0 ? (uint8_t)exponent : 0;
}

/* Rounded half up. ggml has no numbers of 256 and more but the greatest. */
static inline uint8_t
dfx_ue4m3_of(float x)
{
    uint32_t bits = dfx_float_bits(x);
    int exponent = (int)(bits >> 23) - 127 + 7, mantissa;

    if (!(x > 0))
        return 0;
    if (exponent <= 0) {
        mantissa = (int)(x * 512 + 0.5f);
        return (uint8_t)(mantissa < 8 ? mantissa : 7);
    }
    mantissa = (int)(bits >> 20 & 7) + (int)(bits >> 19 & 1);
    if (mantissa == 8) {
        mantissa = 0;
        exponent++;
    }
    return (uint8_t)(exponent >= 15 ? 0x7e : exponent << 3 | mantissa);
}

#endif
