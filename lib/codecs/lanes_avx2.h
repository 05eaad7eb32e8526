/*
 * lanes_avx2.h - what 8 lanes are in AVX2 and F16C: a part of lanes.h
 */
#ifndef DFX_LANES_AVX2_H
#define DFX_LANES_AVX2_H

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
lanes_from_zero(lanes x, lanes most)
{
    __m256i bits =
        _mm256_max_epi32(_mm256_castps_si256(x), _mm256_setzero_si256());

    return _mm256_castsi256_ps(
        _mm256_min_epi32(bits, _mm256_castps_si256(most)));
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
lanes_round(lanes x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
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
lanes_up_to(lanes a, lanes b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
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
    __m256i whole = _mm256_cvttps_epi32(x);
    __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                   _mm256_extracti128_si256(whole, 1));

    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(half, half));
}

INLINE lanes
lanes_load_bytes(const uint8_t *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
        _mm_loadl_epi64((const __m128i *)(const void *)from)));
}

INLINE float
lanes_greatest(lanes x)
{
    __m128 half =
        _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

INLINE lanes
lanes_copysign(lanes size, lanes sign)
{
    const __m256 bit = _mm256_set1_ps(-0.0f);

    return _mm256_or_ps(_mm256_andnot_ps(bit, size), _mm256_and_ps(bit, sign));
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

typedef __m256i lane_index;

INLINE lane_index
index_load(const uint16_t *from)
{
    return _mm256_cvtepu16_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)from));
}

INLINE lane_index
index_shift(lane_index index, int bits)
{
    return _mm256_srl_epi32(index, _mm_cvtsi32_si128(bits));
}

INLINE lanes
index_pick(const float *table, lane_index index)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
}

INLINE lane_index
index_add(lane_mask condition, lane_index index, int power)
{
    return _mm256_or_si256(index,
                           _mm256_and_si256(_mm256_castps_si256(condition),
                                            _mm256_set1_epi32(power)));
}

INLINE lane_index
index_choose(lane_mask condition, int yes, lane_index no)
{
    return _mm256_blendv_epi8(no, _mm256_set1_epi32(yes),
                              _mm256_castps_si256(condition));
}

INLINE void
index_store_bytes(uint8_t *to, lane_index index)
{
    lanes_store_bytes(to, _mm256_cvtepi32_ps(index));
}

INLINE void
lanes_transpose(lanes *v)
{
    lanes t[LANES];

#pragma GCC unroll 16
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i += 4) {
        v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        v[i] = t[i];
}

#endif
