/*
 * fp4_lanes.h - MXFP4 and NVFP4, LANES numbers at a time: fp4.c
 */
#ifndef DFX_FP4_LANES_H
#define DFX_FP4_LANES_H

#include "codecs/fp4.h"

/* What 16 bytes of two codes stand for, low ones and high ones. */
INLINE void
fp4_values(const uint8_t *from, bytes16 *low, bytes16 *high)
{
    const bytes16 table = load16((const uint8_t *)dfx_fp4_values);
    bytes16 v = load16(from);

    *low = look_up(table, v & 15);
    *high = look_up(table, v >> 4);
}

static void
decode_MXFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 17, out += 32) {
        uint8_t values[32];
        bytes16 low, high;

        fp4_values(b + 1, &low, &high);
        store16(values, low);
        store16(values + 16, high);
        put_numbers(32, values, dfx_e8m0_half(b[0]), NOTHING, out);
    }
}

static void
decode_NVFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 36, out += 64)
        for (int s = 0; s < 4; s += 2) {
            uint8_t values[32];
            bytes16 low, high;

            fp4_values(b + 4 + 8 * s, &low, &high);
            store16(values, pair_low(low, high));
            store16(values + 16, pair_high(low, high));
            for (int k = 0; k < 2; k++)
                put_numbers(16, values + 16 * k, dfx_ue4m3_half(b[s + k]),
                            NOTHING, out + 16 * (s + k));
        }
}

/* The first codes whose values are nearest. */
INLINE lane_index
nearest_fp4(lanes x, float d)
{
    lane_index best = {0};
    lanes least = lanes_abs(lanes_of((float)dfx_fp4_values[0] * d) - x);

#pragma GCC unroll 16
    for (int i = 1; i < 16; i++) {
        lanes value = lanes_of((float)dfx_fp4_values[i] * d);
        lanes distance = lanes_abs(value - x);

        best = index_choose(lanes_less(distance, least), i, best);
        least = lanes_min(distance, least);
    }
    return best;
}

INLINE void
code_fp4(int count, const float *x, float d, uint8_t *codes)
{
    for (int i = 0; i < count; i += LANES)
        index_store_bytes(codes + i, nearest_fp4(lanes_load(x + i), d));
}

static bool
encode_MXFP4(const float *x, const float *importance, uint8_t *b, size_t count)
{
    (void)importance;
    for (; count > 0; count -= 32, x += 32, b += 17) {
        uint8_t codes[32];

        b[0] = dfx_e8m0_of(reach(32, x));
        code_fp4(32, x, dfx_e8m0_half(b[0]), codes);
        store16(b + 1, load16(codes) | load16(codes + 16) << 4);
    }
    return true;
}

static bool
encode_NVFP4(const float *x, const float *importance, uint8_t *b, size_t count)
{
    const float limit = (float)dfx_fp4_values[7] * dfx_ue4m3_half(0x7e);
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 64, x += 64, b += 36)
        for (int s = 0; s < 4; s += 2) {
            uint8_t codes[32];
            bytes16 first, second;

            for (int k = 0; k < 2; k++) {
                const float *from = x + 16 * (s + k);
                float most = reach(16, from);

                fits = fits && most <= limit;
                b[s + k] = dfx_ue4m3_of(most / 6);
                code_fp4(16, from, dfx_ue4m3_half(b[s + k]), codes + 16 * k);
            }
            first = load16(codes);
            second = load16(codes + 16);
            store16(b + 4 + 8 * s,
                    pair_low(first, second) | pair_high(first, second) << 4);
        }
    return fits;
}

#endif
