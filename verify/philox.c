/*
 * philox.c - PyTorch's generator of CUDA devices
 *
 * ATen/native/cuda/DistributionTemplates.h and cuRAND's curand_normal4: which
 * thread makes which numbers, and of what.
 */
#include <config.h>

#include "rng.h"

#include <math.h>

#include "elementary.h"

enum {
    ROUNDS = 10,
    THREADS = 256, /* of a block */
    FOUR = 4       /* numbers of a call */
};

void
dfx_philox_block(const uint32_t counter[4], const uint32_t key[2],
                 uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = UINT64_C(0xd2511f53) * c[0];
        uint64_t b = UINT64_C(0xcd9e8d57) * c[2];

        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k[0];
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k[1];
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        k[0] += 0x9e3779b9;
        k[1] += 0xbb67ae85;
    }
    for (int i = 0; i < FOUR; i++)
        out[i] = c[i];
}

/* Two numbers of two words, whose floats are never 0; the sine comes first. */
static void
transform(uint32_t x, uint32_t y, float *a, float *b)
{
    float u = fmaf((float)x, 0x1p-32F, 0x1p-33F);
    float v = fmaf((float)y, 0x1p-32F, 0x1p-33F);
    double radius = sqrt(-2 * dfx_log((double)u)), sine, cosine;

    dfx_sincos_turns((double)v, &sine, &cosine);
    *a = (float)(radius * sine);
    *b = (float)(radius * cosine);
}

/* Four numbers of one thread, in its call-th round. */
static void
make_four(const dfx_philox *p, uint64_t thread, uint64_t call,
          float numbers[FOUR])
{
    uint64_t offset = p->offset / FOUR + call;
    const uint32_t counter[4] = {(uint32_t)offset, (uint32_t)(offset >> 32),
                                 (uint32_t)thread, (uint32_t)(thread >> 32)};
    const uint32_t key[2] = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)};
    uint32_t words[FOUR];

    dfx_philox_block(counter, key, words);
    transform(words[0], words[1], &numbers[0], &numbers[1]);
    transform(words[2], words[3], &numbers[2], &numbers[3]);
}

void
dfx_philox_normal(dfx_philox *p, float *out, size_t count)
{
    uint64_t blocks = count / THREADS + (count % THREADS != 0);
    uint64_t most = (uint64_t)p->multiprocessors * (p->threads / THREADS);
    uint64_t grid = THREADS * (blocks < most ? blocks : most);
    uint64_t calls = grid == 0 ? 0 : (count + FOUR * grid - 1) / (FOUR * grid);

    for (uint64_t call = 0; call < calls; call++)
        for (uint64_t thread = 0; thread < grid; thread++) {
            float numbers[FOUR];

            make_four(p, thread, call, numbers);
            for (uint64_t i = 0; i < FOUR; i++) {
                uint64_t at = thread + grid * i + FOUR * grid * call;

                if (at < count)
                    out[at] = numbers[i];
            }
        }
    p->offset += FOUR * calls;
}
