/*
 * avx512.c - the backend of a CPU with AVX512
 */
#include <config.h>

#ifdef DFX_HAVE_X86_SIMD

#include <immintrin.h>

#define LANES 16
#define lanes_fma(a, b, c) (lanes) _mm512_fmadd_ps(a, b, c)

#include "panel.h"

#define BACKEND dfx_backend_avx512
#define LEVEL "avx512"
#define OP(name) panel_##name

#include "table.h"

#endif
