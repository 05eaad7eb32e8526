/*
 * timestep.c - a number as sines and cosines (diffusers 0.42.1,
 * models/embeddings.py), in float in the order that is written there
 */
#include <config.h>

#include "nets/timestep.h"

#include "cpu/elementary.h"

#include <stdlib.h>

void
dfx_sinusoid_put(const dfx_sinusoid *kind, float number, float *out)
{
    size_t half = kind->width / 2;
    float *sines = kind->flip ? out + half : out;
    float *cosines = kind->flip ? out : out + half;

    for (size_t i = 0; i < half; i++) {
        float exponent = -9.210340371976184f * (float)i; /* -ln(10000) i */

        exponent /= (float)half - kind->freq_shift;
        dfx_sincosf(number * dfx_expf(exponent), &sines[i], &cosines[i]);
    }
}

dfx_array
dfx_timesteps(dfx_net *net, const dfx_sinusoid *kind, const float *numbers,
              size_t rows, size_t count)
{
    float *host = calloc(rows * count * kind->width, sizeof *host);
    dfx_array x = {0};

    dfx_net_done(net, host != NULL);
    if (host != NULL) {
        for (size_t i = 0; i < rows * count; i++)
            dfx_sinusoid_put(kind, numbers[i], host + i * kind->width);
        x = dfx_net_input(net, host, 2, (size_t[]){rows, count * kind->width});
    }
    free(host);
    return x;
}

dfx_array
dfx_timestep_mlp(dfx_net *net, dfx_array x, dfx_activation act,
                 const char *name)
{
    x = dfx_linear(net, x, "%s.linear_1", name);
    x = dfx_activate(net, x, act);
    dfx_net_show(net, x, "%s.act", name);
    x = dfx_linear(net, x, "%s.linear_2", name);
    return dfx_net_show(net, x, "%s", name);
}
