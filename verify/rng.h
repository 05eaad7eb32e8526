/*
 * rng.h - PyTorch's random numbers, so that a seed means what it means there
 *
 * ATen of torch 2.15: the generator of CPUs (mt19937) and that of CUDA (Philox
 * 4x32-10). Uniform numbers are exactly PyTorch's; normal ones are computed
 * with functions of our own and so differ in the last places, but not between
 * machines.
 */
#ifndef DFX_RNG_H
#define DFX_RNG_H

#include "types.h"

enum { DFX_MT_WORDS = 624 };

/* torch.Generator("cpu") */
typedef struct dfx_rng {
    uint32_t words[DFX_MT_WORDS];
    uint32_t next; /* of words */
    bool has_normal;
    double normal; /* left from a pair, for the next small draw */
} dfx_rng;

/* manual_seed: the low 32 bits count. */
void dfx_rng_seed(dfx_rng *rng, uint64_t seed);
uint32_t dfx_rng_u32(dfx_rng *rng);
uint64_t dfx_rng_u64(dfx_rng *rng);
/* rand: count numbers of F32 or F64, from 0 up to 1. */
void dfx_rng_uniform32(dfx_rng *rng, float *out, size_t count);
void dfx_rng_uniform64(dfx_rng *rng, double *out, size_t count);
/*
 * randn(count, dtype=type): F32, F64, F16 or BF16. Fewer than 16 numbers are
 * drawn in another way than more, as there. False: memory ran out.
 */
bool dfx_rng_normal(dfx_rng *rng, dfx_type type, void *out, size_t count);
/* randint(0, range) and randperm(count). range is above 0. */
uint64_t dfx_rng_below(dfx_rng *rng, uint64_t range);
void dfx_rng_permute(dfx_rng *rng, uint64_t *out, size_t count);

/* torch.Generator("cuda"); a draw depends on the device: its multiprocessors,
   and the threads that each can have. */
typedef struct dfx_philox {
    uint64_t seed;
    uint64_t offset; /* moves on with each draw */
    uint32_t multiprocessors, threads;
} dfx_philox;

/* The function itself: Salmon et al., Parallel random numbers: as easy as 1, 2,
   3 (2011). */
void dfx_philox_block(const uint32_t counter[4], const uint32_t key[2],
                      uint32_t out[4]);
/* randn(count), F32. */
void dfx_philox_normal(dfx_philox *philox, float *out, size_t count);

#endif
