/*
 * cpu.c - the backend of the CPU's level
 */
#include <config.h>

#include "backend.h"

const dfx_backend *
dfx_backend_at(dfx_cpu level)
{
#ifdef DFX_HAVE_X86_SIMD
    if (level == DFX_CPU_AVX512)
        return &dfx_backend_avx512;
    if (level == DFX_CPU_AVX2)
        return &dfx_backend_avx2;
#else
    (void)level;
#endif
    return &dfx_backend_ref;
}

const dfx_backend *
dfx_backend_cpu(void)
{
    return dfx_backend_at(dfx_cpu_level());
}
