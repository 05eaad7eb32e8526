/*
 * half.h - IEEE half precision, one number at a time
 *
 * What the table of lib/cast.h does for many numbers, for the scales of blocks.
 */
#ifndef DFX_HALF_H
#define DFX_HALF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline float
dfx_bits_float(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t
dfx_float_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The half in two little-endian bytes. */
static inline float
dfx_half_load(const uint8_t *bytes)
{
    uint32_t half = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    uint32_t sign = (half & 0x8000) << 16, rest = half & 0x7fff;

    if (rest >= 0x7c00) /* Inf and NaN */
        return dfx_bits_float(sign | 0x7f800000 | rest << 13);
    if (rest < 0x400) { /* subnormal: rest * 2^-24, exactly */
        float value = (float)rest * 0x1p-24f;

        return dfx_bits_float(sign | dfx_float_bits(value));
    }
    return dfx_bits_float(sign | ((rest << 13) + (UINT32_C(112) << 23)));
}

/* To nearest, ties to even. What is too large is Inf: false. */
static inline bool
dfx_half_store(uint8_t *bytes, float value)
{
    uint32_t bits = dfx_float_bits(value), sign = bits >> 16 & 0x8000, half;

    bits &= 0x7fffffff;
    if (bits > 0x7f800000) {
        half = 0x7e00;
    } else if (bits >= 0x47800000) { /* 65536 */
        half = 0x7c00;
    } else if (bits < 0x38800000) { /* 2^-14: the sum rounds at 2^-24 */
        half = dfx_float_bits(dfx_bits_float(bits) + 0.5f) & 0xffff;
    } else {
        bits += 0xfff + (bits >> 13 & 1);
        half = (bits >> 13) - (UINT32_C(112) << 10);
    }
    bytes[0] = (uint8_t)(half | sign);
    bytes[1] = (uint8_t)((half | sign) >> 8);
    return half < 0x7c00;
}

#endif
