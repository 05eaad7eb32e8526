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
/* Before a loop of few rounds, so that its vectors stay in registers. */
#define UNROLL _Pragma("GCC unroll 32")

#if LANES == 16

typedef __m512 lanes;
typedef __mmask16 lane_mask;

INLINE lanes
lanes_of(float value)
{
    return _mm512_set1_ps(value);
}

INLINE lanes
lanes_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

INLINE void
lanes_store(float *to, lanes x)
{
    _mm512_storeu_ps(to, x);
}

/* a > b ? a : b, and so b where one is NaN. */
INLINE lanes
lanes_max(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

/* a < b ? a : b */
INLINE lanes
lanes_min(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}

INLINE lanes
lanes_sqrt(lanes x)
{
    return _mm512_sqrt_ps(x);
}

INLINE lanes
lanes_abs(lanes x)
{
    return _mm512_abs_ps(x);
}

INLINE lane_mask
lanes_less(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

INLINE lane_mask
lanes_equal(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

INLINE lanes
lanes_choose(lane_mask condition, lanes yes, lanes no)
{
    return _mm512_mask_blend_ps(condition, no, yes);
}

INLINE lane_mask
mask_and(lane_mask a, lane_mask b)
{
    return (lane_mask)(a & b);
}

INLINE lane_mask
mask_or(lane_mask a, lane_mask b)
{
    return (lane_mask)(a | b);
}

INLINE lane_mask
mask_not(lane_mask a)
{
    return (lane_mask)~a;
}

/* Bit b: lane b. */
INLINE unsigned
mask_bits(lane_mask a)
{
    return a;
}

/* Whole numbers from -128 to 127 to bytes. */
INLINE void
lanes_store_bytes(uint8_t *to, lanes x)
{
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

/* Codes of LANES halves, of the nearest numbers, ties to even; and back. */
INLINE void
lanes_store_halves(uint16_t *to, lanes x)
{
    _mm256_storeu_si256((__m256i *)(void *)to,
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

INLINE lanes
lanes_load_halves(const uint16_t *from)
{
    return _mm512_cvtph_ps(
        _mm256_loadu_si256((const __m256i *)(const void *)from));
}

/* Rows become columns. */
INLINE void
lanes_transpose(lanes *v)
{
    lanes t[LANES];

    UNROLL for (int i = 0; i < LANES; i += 2)
    {
        t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    UNROLL for (int i = 0; i < LANES; i += 4)
    {
        v[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        v[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        v[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        v[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        t[i] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 8; i++)
    {
        v[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    }
}

#else

typedef __m256 lanes;
typedef __m256 lane_mask; /* all ones or zeros */

INLINE lanes
lanes_of(float value)
{
    return _mm256_set1_ps(value);
}

INLINE lanes
lanes_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

INLINE void
lanes_store(float *to, lanes x)
{
    _mm256_storeu_ps(to, x);
}

INLINE lanes
lanes_max(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}

INLINE lanes
lanes_min(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}

INLINE lanes
lanes_sqrt(lanes x)
{
    return _mm256_sqrt_ps(x);
}

INLINE lanes
lanes_abs(lanes x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

INLINE lane_mask
lanes_less(lanes a, lanes b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

INLINE lane_mask
lanes_equal(lanes a, lanes b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}

INLINE lanes
lanes_choose(lane_mask condition, lanes yes, lanes no)
{
    return _mm256_blendv_ps(no, yes, condition);
}

INLINE lane_mask
mask_and(lane_mask a, lane_mask b)
{
    return _mm256_and_ps(a, b);
}

INLINE lane_mask
mask_or(lane_mask a, lane_mask b)
{
    return _mm256_or_ps(a, b);
}

INLINE lane_mask
mask_not(lane_mask a)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
}

INLINE unsigned
mask_bits(lane_mask a)
{
    return (unsigned)_mm256_movemask_ps(a);
}

INLINE void
lanes_store_bytes(uint8_t *to, lanes x)
{
    __m256i whole = _mm256_cvtps_epi32(x);
    __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                   _mm256_extracti128_si256(whole, 1));

    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(half, half));
}

INLINE void
lanes_store_halves(uint16_t *to, lanes x)
{
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

INLINE lanes
lanes_load_halves(const uint16_t *from)
{
    return _mm256_cvtph_ps(
        _mm_loadu_si128((const __m128i *)(const void *)from));
}

INLINE void
lanes_transpose(lanes *v)
{
    lanes t[LANES];

    UNROLL for (int i = 0; i < LANES; i += 2)
    {
        t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    UNROLL for (int i = 0; i < LANES; i += 4)
    {
        v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
    }
    UNROLL for (int i = 0; i < LANES; i++) v[i] = t[i];
}

#endif

/* ---- At both levels -------------------------------------------------------
 */

/* Number i of LANES rows that lie stride apart, for each i below count, which
   is a multiple of LANES. */
INLINE void
lanes_gather(const float *from, size_t stride, int count, lanes *to)
{
    for (int i = 0; i < count; i += LANES) {
        UNROLL for (int b = 0; b < LANES; b++) to[i + b] =
            lanes_load(from + (size_t)b * stride + i);
        lanes_transpose(to + i);
    }
}

/* Within least .. most, and least where x is NaN; then to the nearest whole
   number, ties to even, never -0: dfx_nearest_code. */
INLINE lanes
lanes_code(lanes x, lanes least, lanes most)
{
    const lanes magic = lanes_of(12582912.0f); /* 1.5 * 2^23 */

    return (lanes_min(lanes_max(x, least), most) + magic) - magic;
}

#endif
