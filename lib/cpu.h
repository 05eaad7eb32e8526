/*
 * cpu.h - which SIMD level the kernels run at
 *
 * Chosen once, at first use: the best the machine has, or what DFX_CPU=ref|
 * avx2|avx512 asks for if the machine has it. Results never depend on it.
 */
#ifndef DFX_CPU_H
#define DFX_CPU_H

typedef enum dfx_cpu { DFX_CPU_REF, DFX_CPU_AVX2, DFX_CPU_AVX512 } dfx_cpu;

dfx_cpu dfx_cpu_level(void);
/* The best level the machine has, whatever DFX_CPU says. */
dfx_cpu dfx_cpu_best(void);
const char *dfx_cpu_name(dfx_cpu level);

#endif
