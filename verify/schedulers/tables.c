/*
 * tables.c - betas, alphas and timesteps
 *
 * In float32 as torch computes them (its linspace by fused steps from both
 * ends), products in double.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "memory.h"
#include "schedulers/kind.h"

float
dfx_linspace(float start, float end, uint32_t count, uint32_t i)
{
    float step;

    if (count < 2)
        return start;
    step = (end - start) / (float)(count - 1);
    return i < count / 2 ? fmaf(step, (float)i, start)
                         : fmaf(-step, (float)(count - 1 - i), end);
}

/* How much is left at a part of the way: of cosines, or of an exponential. */
static double
left_at(dfx_beta_schedule betas, double u)
{
    double sine, cosine;

    if (betas == DFX_BETA_EXP)
        return dfx_exp(-12 * u);
    dfx_sincos_turns((u + 0.008) / 1.008 / 4, &sine, &cosine);
    return cosine * cosine;
}

static float
beta_at(const dfx_schedule *c, uint32_t i)
{
    double t = c->train;
    float x;

    switch (c->betas) {
    case DFX_BETA_SCALED_LINEAR:
        x = dfx_linspace((float)sqrt(c->beta_start), (float)sqrt(c->beta_end),
                         c->train, i);
        return x * x;
    case DFX_BETA_COSINE:
    case DFX_BETA_EXP:
        return (float)fmin(1 - left_at(c->betas, (i + 1) / t) /
                                   left_at(c->betas, i / t),
                           0.999);
    case DFX_BETA_SIGMOID:
        x = dfx_linspace(-6, 6, c->train, i);
        x = (float)(1 / (1 + dfx_exp((double)-x)));
        return x * (float)(c->beta_end - c->beta_start) + (float)c->beta_start;
    case DFX_BETA_LINEAR:
        break;
    }
    return dfx_linspace((float)c->beta_start, (float)c->beta_end, c->train, i);
}

/* No signal is left at the end: roots are shifted so, and stretched so that the
   first stays. */
static void
rescale(float *alphas, uint32_t count)
{
    float first = sqrtf(alphas[0]), last = sqrtf(alphas[count - 1]);
    double product = 1;
    float before = 1;

    for (uint32_t i = 0; i < count; i++) {
        float root = sqrtf(alphas[i]) - last, bar, ratio;

        root = root * (first / (first - last));
        bar = root * root;
        ratio = i == 0 ? bar : bar / before;
        before = bar;
        product *= (double)(1 - (1 - ratio));
        alphas[i] = (float)product;
    }
}

dfx_status
dfx_alphas_make(dfx_scheduler *s, const cJSON *trained, dfx_error *err)
{
    const cJSON *beta = trained != NULL ? trained->child : NULL;
    double product = 1;

    s->alphas = calloc(s->config.train, sizeof *s->alphas);
    if (s->alphas == NULL)
        return dfx_fail_nomem(err);
    for (uint32_t i = 0; i < s->config.train; i++) {
        float b = beta != NULL ? strtof(beta->valuestring, NULL)
                               : beta_at(&s->config, i);

        product *= (double)(1 - b);
        s->alphas[i] = (float)product;
        if (beta != NULL)
            beta = beta->next;
    }
    if (s->config.zero_snr)
        rescale(s->alphas, s->config.train);
    return DFX_OK;
}

float
dfx_sigma_at(const dfx_scheduler *s, uint32_t timestep)
{
    float alpha = s->alphas[timestep];

    return sqrtf((1 - alpha) / alpha);
}

/* ---- Timesteps -------------------------------------------------------------
 */

dfx_status
dfx_timestep_add(dfx_scheduler *s, double t, dfx_error *err)
{
    if (!dfx_grow(&s->timesteps, &s->capacity, s->count, sizeof *s->timesteps))
        return dfx_fail_nomem(err);
    s->timesteps[s->count++] = t;
    return DFX_OK;
}

dfx_status
dfx_sigma_add(dfx_scheduler *s, float sigma, dfx_error *err)
{
    if (!dfx_grow(&s->sigmas, &s->sigma_capacity, s->sigma_count,
                  sizeof *s->sigmas))
        return dfx_fail_nomem(err);
    s->sigmas[s->sigma_count++] = sigma;
    return DFX_OK;
}

dfx_status
dfx_timesteps_space(dfx_scheduler *s, uint32_t steps, bool whole,
                    dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double train = c->train;

    for (uint32_t k = 0; k < steps; k++) {
        uint32_t i = steps - 1 - k; /* they descend */
        double t = 0;

        if (c->spacing == DFX_SPACING_LEADING)
            t = (double)((int64_t)i * (c->train / steps) + c->offset);
        else if (c->spacing == DFX_SPACING_TRAILING)
            t = rint(train - k * (train / steps)) - 1;
        else if (steps > 1)
            t = i * ((train - 1) / (steps - 1));
        if (c->spacing == DFX_SPACING_LINSPACE)
            t = whole ? rint(t) : (double)(float)t;
        DFX_TRY(dfx_timestep_add(s, t, err));
    }
    return DFX_OK;
}
