/*
 * cast_avx512.c - cast kernels for AVX-512 (F, BW, DQ, VL)
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#include <immintrin.h>
#include <stdint.h>

#define LANES 16
#define LANES_TABLE dfx_cast_avx512

#define lanes_from_half(src)                                                   \
    (lanes) _mm512_cvtph_ps(                                                   \
        _mm256_loadu_si256((const __m256i *)(const void *)(src)))
#define lanes_to_half(x, dst)                                                  \
    _mm256_storeu_si256(                                                       \
        (__m256i *)(void *)(dst),                                              \
        _mm512_cvtps_ph((__m512)(x), _MM_FROUND_TO_NEAREST_INT))

#include "cast_lanes.h"

#endif
