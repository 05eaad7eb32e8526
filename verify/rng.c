/*
 * rng.c - PyTorch's generator of CPUs
 *
 * ATen/core/MT19937RNGEngine.h, TransformationHelper.h and
 * native/cpu/DistributionTemplates.h of torch 2.15 say what is drawn when.
 */
#include <config.h>

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "elementary.h"

/* mt19937: Matsumoto and Nishimura (1998). */
enum { N = DFX_MT_WORDS, M = 397 };

void
dfx_rng_seed(dfx_rng *rng, uint64_t seed)
{
    *rng = (dfx_rng){.next = N};
    rng->words[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < N; i++)
        rng->words[i] =
            1812433253U * (rng->words[i - 1] ^ rng->words[i - 1] >> 30) + i;
}

static void
refill(dfx_rng *rng)
{
    uint32_t *w = rng->words;

    for (uint32_t i = 0; i < N; i++) {
        uint32_t y = (w[i] & 0x80000000U) | (w[(i + 1) % N] & 0x7fffffffU);

        w[i] = w[(i + M) % N] ^ y >> 1 ^ (y % 2 != 0 ? 0x9908b0dfU : 0);
    }
    rng->next = 0;
}

uint32_t
dfx_rng_u32(dfx_rng *rng)
{
    uint32_t y;

    if (rng->next == N)
        refill(rng);
    y = rng->words[rng->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680U;
    y ^= y << 15 & 0xefc60000U;
    return y ^ y >> 18;
}

uint64_t
dfx_rng_u64(dfx_rng *rng)
{
    uint64_t high = dfx_rng_u32(rng);

    return high << 32 | dfx_rng_u32(rng);
}

static float
uniform32(dfx_rng *rng)
{
    return (float)(dfx_rng_u32(rng) & 0xffffff) * 0x1p-24F;
}

static double
uniform64(dfx_rng *rng)
{
    return (double)(dfx_rng_u64(rng) & 0x1fffffffffffff) * 0x1p-53;
}

void
dfx_rng_uniform32(dfx_rng *rng, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = uniform32(rng);
}

void
dfx_rng_uniform64(dfx_rng *rng, double *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = uniform64(rng);
}

uint64_t
dfx_rng_below(dfx_rng *rng, uint64_t range)
{
    /* Where 32 bits are too few to be fair, 64 are drawn. */
    return (range >= UINT64_C(1) << 28 ? dfx_rng_u64(rng) : dfx_rng_u32(rng)) %
           range;
}

void
dfx_rng_permute(dfx_rng *rng, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = i;
    for (size_t i = 0; i + 1 < count; i++) {
        size_t other = i + dfx_rng_u32(rng) % (count - i);
        uint64_t kept = out[i];

        out[i] = out[other];
        out[other] = kept;
    }
}

/* ---- Normal numbers --------------------------------------------------------
 */

enum { BLOCK = 16 }; /* numbers that are made of each other */

/* Box and Muller: two normal numbers of two uniform ones, log_of above 0. */
static void
transform(double log_of, double turns, double *a, double *b)
{
    double radius = sqrt(-2 * dfx_log(log_of)), sine, cosine;

    dfx_sincos_turns(turns, &sine, &cosine);
    *a = radius * cosine;
    *b = radius * sine;
}

/* One at a time: the other of a pair waits for the next draw. */
static double
normal(dfx_rng *rng)
{
    double turns, other, value;

    if (rng->has_normal) {
        rng->has_normal = false;
        return rng->normal;
    }
    turns = uniform64(rng);
    other = uniform64(rng);
    transform(1 - other, turns, &value, &rng->normal);
    rng->has_normal = true;
    return value;
}

/* Uniform numbers in place become normal ones: the first eight are radii, the
   last eight angles. */
static void
transform_block(double *block)
{
    for (size_t i = 0; i < BLOCK / 2; i++)
        transform(1 - block[i], block[i + BLOCK / 2], &block[i],
                  &block[i + BLOCK / 2]);
}

/* Uniform numbers with the bits that the type's have. */
static void
draw(dfx_rng *rng, dfx_type type, double *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = type == DFX_TYPE_F64 ? uniform64(rng) : (double)uniform32(rng);
}

/* Blocks of 16. Those that a last, shorter one lacks are taken from the one
   before: the last 16 numbers are drawn anew. All uniform numbers come first,
   but with halves, which are drawn block by block. */
static void
fill(dfx_rng *rng, dfx_type type, double *out, size_t count)
{
    bool is_half = type == DFX_TYPE_F16 || type == DFX_TYPE_BF16;
    size_t whole = count / BLOCK * BLOCK;

    draw(rng, type, out, is_half ? whole : count);
    for (size_t i = 0; i < whole; i += BLOCK)
        transform_block(out + i);
    if (whole == count)
        return;
    draw(rng, type, out + count - BLOCK, BLOCK);
    transform_block(out + count - BLOCK);
}

bool
dfx_rng_normal(dfx_rng *rng, dfx_type type, void *out, size_t count)
{
    double *numbers = calloc(count + 1, sizeof *numbers);
    float *narrow = calloc(count + 1, sizeof *narrow);
    bool good = numbers != NULL && narrow != NULL;

    if (good && count >= BLOCK)
        fill(rng, type, numbers, count);
    for (size_t i = 0; good && count < BLOCK && i < count; i++)
        numbers[i] = normal(rng);
    if (good && type == DFX_TYPE_F64) {
        memcpy(out, numbers, count * sizeof *numbers);
    } else if (good) {
        for (size_t i = 0; i < count; i++)
            narrow[i] = (float)numbers[i];
        dfx_cast(DFX_TYPE_F32, type, narrow, out, count);
    }
    free(narrow);
    free(numbers);
    return good;
}
