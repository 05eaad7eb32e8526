/*
 * lanes.h - LANES floats side by side
 *
 * For files compiled for a level, which define LANES before: 8 (AVX2, F16C) or
 * 16 (AVX-512 F, BW, DQ, VL). Arithmetic is that of the vector extensions;
 * each operation rounds, as in plain C. What a comparison says is a mask.
 */
#ifndef DFX_LANES_H
#define DFX_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* What differs. lanes_avx512.h says what it does. */
#if LANES == 16
#include "codecs/lanes_avx512.h"
#else
#include "codecs/lanes_avx2.h"
#endif

/* ---- Bytes ---------------------------------------------------------------
 */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t bytes32 __attribute__((vector_size(32)));

INLINE bytes16
load16(const uint8_t *from)
{
    bytes16 v;

    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void
store16(uint8_t *to, bytes16 v)
{
    memcpy(to, &v, sizeof v);
}

INLINE bytes32
load32(const uint8_t *from)
{
    bytes32 v;

    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void
store32(uint8_t *to, bytes32 v)
{
    memcpy(to, &v, sizeof v);
}

/* The lowest bits of 32 bytes; and bytes of all ones where a bit is set. */
INLINE uint32_t
gather_bits(bytes32 v)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16((__m256i)v, 7));
}

INLINE bytes32
spread_bits(uint32_t bits)
{
    const __m256i byte = _mm256_setr_epi64x(
        0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), byte);

    return (bytes32)_mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
}

/* What a table has for indices 0 .. 15. */
INLINE bytes16
look_up(bytes16 table, bytes16 index)
{
    return (bytes16)_mm_shuffle_epi8((__m128i)table, (__m128i)index);
}

/* The lower 8 bytes of both, and the upper ones. */
INLINE bytes16
pair_low(bytes16 a, bytes16 b)
{
    return (bytes16)_mm_unpacklo_epi64((__m128i)a, (__m128i)b);
}

INLINE bytes16
pair_high(bytes16 a, bytes16 b)
{
    return (bytes16)_mm_unpackhi_epi64((__m128i)a, (__m128i)b);
}

INLINE float
load_half(const uint8_t *bytes)
{
    uint16_t half;

    memcpy(&half, bytes, sizeof half);
    return _cvtsh_ss(half);
}

/* ---- At both levels -------------------------------------------------------
 */

/* Number i of LANES rows that lie stride apart, for each i below count, which
   is a multiple of LANES. */
INLINE void
lanes_gather(const float *from, size_t stride, int count, lanes *to)
{
    for (int i = 0; i < count; i += LANES) {
#pragma GCC unroll 16
        for (int b = 0; b < LANES; b++)
            to[i + b] = lanes_load(from + (size_t)b * stride + i);
        lanes_transpose(to + i);
    }
}

/* Within least .. most, and least where x is NaN; then to the nearest whole
   number, ties to even: dfx_nearest_code, but 0 may be -0. */
INLINE lanes
lanes_code(lanes x, lanes least, lanes most)
{
    return lanes_round(lanes_min(lanes_max(x, least), most));
}

/* How far from 0 numbers go. */
INLINE float
reach(int count, const float *x)
{
    lanes most = lanes_abs(lanes_load(x));

    for (int i = LANES; i < count; i += LANES)
        most = lanes_max(most, lanes_abs(lanes_load(x + i)));
    return lanes_greatest(most);
}

#endif
