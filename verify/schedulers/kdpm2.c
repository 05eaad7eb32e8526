/*
 * kdpm2.c - DPM-Solver-2 of k-diffusion, plain and ancestral
 *
 * Karras et al. (2022), algorithm 2, with the second evaluation between two
 * sigmas. Each step but the last is two calls.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* A step from a sigma to the next: where its second call is and, ancestral,
   where that leads and what noise is added. */
typedef struct stage {
    double sigma, middle, down, up;
} stage;

static double
between(double a, double b)
{
    /* Half of the way between logarithms, where 0 is infinitely far. */
    if (!(a > 0) || !(b > 0))
        return 0;
    return (double)(float)dfx_exp(
        0.5 * ((double)(float)dfx_log(a) + (double)(float)dfx_log(b)));
}

static stage
stage_of(const dfx_scheduler *s, float sigma, float next)
{
    stage g = {.sigma = (double)sigma, .down = (double)next};

    if (dfx_scheduler_takes_generator(s)) { /* ancestral */
        /* In float32, where what is left of next^2 is mostly rounding: the
           reference keeps that. */
        float up = sqrtf(next * next * (sigma * sigma - next * next) /
                         (sigma * sigma));

        g.up = (double)up;
        g.down = (double)sqrtf(next * next - up * up);
    }
    g.middle = between(g.sigma, g.down);
    return g;
}

/* Calls 2k and 2k + 1 are of step k. */
static stage
stage_at(const dfx_scheduler *s, size_t call)
{
    size_t i = call - call % 2;

    return stage_of(s, s->sigmas[i], s->sigmas[i + 1]);
}

static bool
is_second(const dfx_scheduler *s)
{
    return s->kept_count > 0;
}

/* t, middle, t, middle ... t, and each sigma but the first twice. */
static dfx_status
interleave(dfx_scheduler *s, const double *t, const float *sigmas, size_t count,
           dfx_error *err)
{
    for (size_t i = 0; i <= count; i++) {
        DFX_TRY(dfx_sigma_add(s, sigmas[i], err));
        if (i > 0)
            DFX_TRY(dfx_sigma_add(s, sigmas[i], err));
        if (i == count)
            break;
        if (i > 0) {
            stage g = stage_of(s, sigmas[i - 1], sigmas[i]);

            DFX_TRY(dfx_timestep_add(
                s, (double)(float)dfx_sigma_timestep(s, g.middle), err));
        }
        DFX_TRY(dfx_timestep_add(s, t[i], err));
    }
    return dfx_sigma_add(s, 0, err);
}

static dfx_status
kdpm2_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    size_t count;
    double *t;
    float *sigmas;
    dfx_status status;

    DFX_TRY(dfx_sigma_schedule(s, steps, err));
    count = s->count;
    t = s->timesteps;
    sigmas = s->sigmas;
    s->timesteps = NULL;
    s->sigmas = NULL;
    s->count = s->capacity = s->sigma_count = s->sigma_capacity = 0;
    if (s->config.respacing == DFX_RESPACING_KARRAS)
        for (size_t i = 0; i < count; i++)
            t[i] = rint(t[i]);
    status = interleave(s, t, sigmas, count, err);
    free(t);
    free(sigmas);
    return status;
}

static double
kdpm2_scale(const dfx_scheduler *s)
{
    stage g = stage_at(s, s->at);
    double sigma = is_second(s) ? g.middle : g.sigma;

    return 1 / sqrt(sigma * sigma + 1);
}

static dfx_status
kdpm2_step(dfx_scheduler *s, const dfx_call *call)
{
    bool second = is_second(s);
    stage g = stage_at(s, s->at);
    double sigma = second ? g.middle : g.sigma;
    double way = (second ? g.down : g.middle) - g.sigma;
    float *x0, *base, *noise = NULL;

    DFX_TRY(dfx_keep_room(s, call, 2));
    x0 = s->kept[0];
    base = s->kept[1];
    dfx_predict_sigma(s, call, sigma, sigma, x0);
    if (second && dfx_scheduler_takes_generator(s))
        DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double x = (double)call->sample[i];
        double slope = (x - (double)x0[i]) / sigma;

        if (!second)
            base[i] = call->sample[i];
        x = (double)base[i] + slope * way;
        if (noise != NULL)
            x += g.up * (double)noise[i];
        call->sample[i] = (float)x;
    }
    free(noise);
    s->kept_count = second ? 0 : 1;
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_kdpm2 = {
    .name = "KDPM2DiscreteScheduler",
    .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
    .takes = DFX_TAKES_RESPACING,
    .calls = 2,
    .mixing = DFX_MIXES_BY_SIGMA,
    .set = kdpm2_set,
    .step = kdpm2_step,
    .scale = kdpm2_scale,
};

const dfx_scheduler_kind dfx_scheduler_kdpm2_ancestral = {
    .name = "KDPM2AncestralDiscreteScheduler",
    .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
    .takes = DFX_TAKES_RESPACING | DFX_TAKES_GENERATOR,
    .calls = 2,
    .mixing = DFX_MIXES_BY_SIGMA,
    .set = kdpm2_set,
    .step = kdpm2_step,
    .scale = kdpm2_scale,
};
