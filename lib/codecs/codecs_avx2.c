/*
 * codecs_avx2.c - codecs for AVX2 and F16C
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#define LANES 8
#define LANES_TABLE dfx_codecs_avx2

#include "codecs/codecs_lanes.h"

#endif
