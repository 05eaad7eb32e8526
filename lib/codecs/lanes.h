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
index_pick_low(const float *table, lane_index index)
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

/* What a table of 16 numbers has there. */
INLINE lanes
index_pick(const float *table, lane_index index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
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
index_pick_low(const float *table, lane_index index)
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

INLINE lanes
index_pick(const float *table, lane_index index)
{
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);

    /* By the sign: bit 3 of the index. */
    return _mm256_blendv_ps(low, high,
                            _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
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
