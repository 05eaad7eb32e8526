/*
 * cpu.c - the SIMD level
 */
#include <config.h>

#include "cpu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef DFX_HAVE_X86_SIMD
#include <cpuid.h>
#endif

static const char *const names[] = {
    [DFX_CPU_REF] = "ref",
    [DFX_CPU_AVX2] = "avx2",
    [DFX_CPU_AVX512] = "avx512",
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dfx_cpu best_level, level;

#ifdef DFX_HAVE_X86_SIMD

/* The builtin of clang 14 does not know this name. */
static bool
has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

/* The builtins ask the system too: registers it does not save are not there. */
static dfx_cpu
detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !has_f16c())
        return DFX_CPU_REF;
    if (__builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return DFX_CPU_AVX512;
    return DFX_CPU_AVX2;
}

#else

static dfx_cpu
detect(void)
{
    return DFX_CPU_REF;
}

#endif

static void
choose(void)
{
    const char *wanted = getenv("DFX_CPU");

    best_level = detect();
    level = best_level;
    for (dfx_cpu l = DFX_CPU_REF; wanted != NULL && l < best_level; l++)
        if (strcmp(wanted, names[l]) == 0)
            level = l;
}

dfx_cpu
dfx_cpu_level(void)
{
    pthread_once(&once, choose);
    return level;
}

dfx_cpu
dfx_cpu_best(void)
{
    pthread_once(&once, choose);
    return best_level;
}

const char *
dfx_cpu_name(dfx_cpu l)
{
    return names[l];
}
