/*
 * avx2.c - the backend of a CPU with AVX2
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#include <immintrin.h>

#define LANES 8
#define lanes_fma(a, b, c) (lanes) _mm256_fmadd_ps(a, b, c)

#include "panel.h"

#define BACKEND dfx_backend_avx2
#define LEVEL "avx2"
#define OP(name) panel_##name

#include "table.h"

#endif
