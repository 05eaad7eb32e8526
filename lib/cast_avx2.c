/*
 * cast_avx2.c - cast kernels for AVX2 and F16C
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#include <immintrin.h>
#include <stdint.h>

#define LANES 8
#define LANES_TABLE dfx_cast_avx2

#define lanes_from_half(src)                                                   \
    (lanes)                                                                    \
        _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(src)))
#define lanes_to_half(x, dst)                                                  \
    _mm_storeu_si128((__m128i *)(void *)(dst),                                 \
                     _mm256_cvtps_ph((__m256)(x), _MM_FROUND_TO_NEAREST_INT))

#include "cast_lanes.h"

#endif
