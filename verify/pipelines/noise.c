/*
 * noise.c - where the random numbers of a run come from
 */
#include <config.h>

#include "pipelines/noise.h"

#include <string.h>

void
dfx_noise_init(dfx_noise *noise, uint64_t seed, bool cuda,
               const dfx_value *given)
{
    *noise = (dfx_noise){.cuda = cuda, .given = given};
    dfx_rng_seed(&noise->cpu, seed);
    /* The draws of a launch depend on the device only beyond 256 times 1056
       numbers (field: 132 multiprocessors of 2048 threads, as an H100 has). */
    noise->philox =
        (dfx_philox){.seed = seed, .multiprocessors = 132, .threads = 2048};
}

dfx_status
dfx_noise_draw(void *context, float *out, size_t count, dfx_error *err)
{
    dfx_noise *noise = context;

    if (noise->given != NULL) {
        if (count > noise->given->count - noise->used)
            return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                            "the noise that was given, %llu numbers, is used "
                            "up",
                            (unsigned long long)noise->given->count);
        memcpy(out, (const float *)noise->given->data + noise->used,
               count * sizeof *out);
        noise->used += count;
        return DFX_OK;
    }
    if (noise->cuda) {
        dfx_philox_normal(&noise->philox, out, count);
        return DFX_OK;
    }
    return dfx_rng_normal(&noise->cpu, DFX_TYPE_F32, out, count)
               ? DFX_OK
               : dfx_fail_nomem(err);
}
