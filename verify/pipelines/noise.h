/*
 * noise.h - where the random numbers of a run come from
 */
#ifndef DFX_NOISE_H
#define DFX_NOISE_H

#include "rng.h"
#include "values.h"

typedef struct dfx_noise {
    bool cuda;
    dfx_rng cpu;
    dfx_philox philox;
    const dfx_value *given; /* numbers in their order, in place of either */
    uint64_t used;          /* of them */
} dfx_noise;

/* manual_seed of PyTorch's generator; given may be NULL. */
void dfx_noise_init(dfx_noise *noise, uint64_t seed, bool cuda,
                    const dfx_value *given);
/* randn(count, F32). context is a dfx_noise: a dfx_noise_fn of schedulers.
   RUN_SHAPE when what was given is used up. */
dfx_status dfx_noise_draw(void *context, float *out, size_t count,
                          dfx_error *err);

#endif
