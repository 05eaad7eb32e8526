/*
 * codecs_avx512.c - codecs for AVX-512 (F, BW, DQ, VL)
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#define LANES 16
#define LANES_TABLE dfx_codecs_avx512

#include "codecs/codecs_lanes.h"

#endif
