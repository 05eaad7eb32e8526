/*
 * lanes_avx512.h - what 16 lanes are in AVX-512: a part of lanes.h
 */
#ifndef DFX_LANES_AVX512_H
#define DFX_LANES_AVX512_H

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

/* x within 0 .. most, as integers: bits of positive floats are in their order,
   and those of negative ones, -0 and what NaN arithmetic makes are below. There
   are more units for it than for lanes_max. */
INLINE lanes
lanes_from_zero(lanes x, lanes most)
{
    __m512i bits =
        _mm512_max_epi32(_mm512_castps_si512(x), _mm512_setzero_si512());

    return _mm512_castsi512_ps(
        _mm512_min_epi32(bits, _mm512_castps_si512(most)));
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

/* To the nearest whole number, ties to even. */
INLINE lanes
lanes_round(lanes x)
{
    return _mm512_roundscale_ps(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
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
lanes_up_to(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
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

/* Numbers from -128 to 127, without their fractions, to bytes; and back. */
INLINE void
lanes_store_bytes(uint8_t *to, lanes x)
{
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(x)));
}

INLINE lanes
lanes_load_bytes(const uint8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)from)));
}

/* The greatest number of them; none is NaN. */
INLINE float
lanes_greatest(lanes x)
{
    return _mm512_reduce_max_ps(x);
}

/* The sign of another number. */
INLINE lanes
lanes_copysign(lanes size, lanes sign)
{
    const __m512 bit = _mm512_set1_ps(-0.0f);

    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
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

/* Whole numbers, mostly from 0 to 15. */
typedef __m512i lane_index;

INLINE lane_index
index_load(const uint16_t *from)
{
    return _mm512_cvtepu16_epi32(
        _mm256_loadu_si256((const __m256i *)(const void *)from));
}

INLINE lane_index
index_shift(lane_index index, int bits)
{
    return _mm512_srl_epi32(index, _mm_cvtsi32_si128(bits));
}

/* What a table has there that repeats after 8 numbers; of an index no more than
   the low bits count. */
INLINE lanes
index_pick(const float *table, lane_index index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}

/* Adds a power of two that is not in them yet, where the condition holds. */
INLINE lane_index
index_add(lane_mask condition, lane_index index, int power)
{
    return _mm512_mask_add_epi32(index, condition, index,
                                 _mm512_set1_epi32(power));
}

INLINE lane_index
index_choose(lane_mask condition, int yes, lane_index no)
{
    return _mm512_mask_mov_epi32(no, condition, _mm512_set1_epi32(yes));
}

INLINE void
index_store_bytes(uint8_t *to, lane_index index)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(index));
}

/* Rows become columns. */
INLINE void
lanes_transpose(lanes *v)
{
    lanes t[LANES];

#pragma GCC unroll 16
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i += 4) {
        v[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        v[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        v[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        v[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    }
}

#endif
