/*
 * cpu.c - the backend of the CPU's level, and its threads
 */
#include <config.h>

#include "backend.h"

#include <omp.h>

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

void
dfx_run_threads(unsigned threads)
{
    omp_set_num_threads(threads > 0 ? (int)threads : omp_get_num_procs());
}
