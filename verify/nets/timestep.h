/*
 * timestep.h - a number as sines and cosines (diffusers' Timesteps)
 */
#ifndef DFX_TIMESTEP_H
#define DFX_TIMESTEP_H

#include "net.h"

typedef struct dfx_sinusoid {
    size_t width;     /* an odd one ends in 0 */
    bool flip;        /* cosines first */
    float freq_shift; /* of the number of frequencies */
} dfx_sinusoid;

/* One number -> width numbers, on the host. */
void dfx_sinusoid_put(const dfx_sinusoid *kind, float number, float *out);
/* rows * count numbers -> [rows, count * width] */
dfx_array dfx_timesteps(dfx_net *net, const dfx_sinusoid *kind,
                        const float *numbers, size_t rows, size_t count);

/* linear_2(act(linear_1(x))) of the layer of that name; x is left alone. */
dfx_array dfx_timestep_mlp(dfx_net *net, dfx_array x, dfx_activation act,
                           const char *name);

#endif
