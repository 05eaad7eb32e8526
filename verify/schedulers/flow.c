/*
 * flow.c - flows from noise to pictures (SD3, FLUX): Euler's method and Heun's
 *
 * Lipman et al., Flow matching for generative modeling (2022). The model says
 * the velocity; a sample at sigma is (1 - sigma) x0 + sigma noise.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

static double
by_shift(double shift, double sigma)
{
    return shift * sigma / (1 + (shift - 1) * sigma);
}

/* The table's ends: 1 and 1 / train in float32, shifted unless that waits for a
   mu. */
static double
end_of(const dfx_schedule *c, bool last)
{
    float s = last ? 1 / (float)c->train : 1;

    if (c->dynamic)
        return (double)s;
    return (double)((float)c->shift * s / (1 + (float)(c->shift - 1) * s));
}

/* Sigma i of so many before they are shifted: given, or equal parts of what
   lies between the ends of the table, which was shifted already. */
static double
plain_at(const dfx_scheduler *s, uint32_t steps, uint32_t i)
{
    const dfx_schedule *c = &s->config;
    double most = end_of(c, false) * c->train,
           least = end_of(c, true) * c->train;

    if (s->run.sigmas != NULL)
        return (double)(float)s->run.sigmas[i];
    return (most + (steps > 1 ? i * ((least - most) / (steps - 1)) : 0)) /
           c->train;
}

/* Sigmas that are given are float32 there, and so is what is done to them. */
static double
rounded(const dfx_scheduler *s, double x)
{
    return s->run.sigmas != NULL ? (double)(float)x : x;
}

static double
shifted_at(const dfx_scheduler *s, uint32_t steps, uint32_t i)
{
    const dfx_schedule *c = &s->config;
    double sigma = plain_at(s, steps, i), e;

    if (!c->dynamic)
        return by_shift(c->shift, sigma);
    e = rounded(s, c->linear_shift ? s->run.mu : dfx_exp(s->run.mu));
    sigma = rounded(s, rounded(s, 1 / sigma) - 1);
    return rounded(s, e / rounded(s, e + sigma));
}

/* So that the last sigma is shift_terminal. */
static double
stretched_at(const dfx_scheduler *s, uint32_t steps, uint32_t i)
{
    double terminal = s->config.shift_terminal;
    double sigma = shifted_at(s, steps, i), factor;

    if (!(terminal > 0))
        return sigma;
    factor = rounded(s, 1 - shifted_at(s, steps, steps - 1));
    factor = rounded(s, factor / rounded(s, 1 - terminal));
    return 1 - rounded(s, rounded(s, 1 - sigma) / factor);
}

static dfx_status
space(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double most =
        isnan(c->sigma_max) ? stretched_at(s, steps, 0) : c->sigma_max;
    double least =
        isnan(c->sigma_min) ? stretched_at(s, steps, steps - 1) : c->sigma_min;

    s->initial = 1;
    for (uint32_t i = 0; i < steps; i++) {
        float sigma =
            (float)(c->respacing == DFX_RESPACING_NONE
                        ? stretched_at(s, steps, i)
                        : dfx_sigma_respaced(c, most, least, steps, i));

        if (c->inverted)
            sigma = 1 - sigma;
        DFX_TRY(dfx_sigma_add(s, sigma, err));
        DFX_TRY(dfx_timestep_add(s, (double)(sigma * (float)c->train), err));
    }
    return dfx_sigma_add(s, c->inverted ? 1 : 0, err);
}

static dfx_status
flow_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    if (s->config.dynamic && isnan(s->run.mu))
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "use_dynamic_shifting needs a mu");
    return space(s, steps, err);
}

static dfx_status
flow_step(dfx_scheduler *s, const dfx_call *call)
{
    double sigma = (double)s->sigmas[s->at];
    double next = (double)s->sigmas[s->at + 1];
    float *noise = NULL;

    if (s->config.stochastic)
        DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i];

        if (noise != NULL)
            x = (1 - next) * (x - sigma * n) + next * (double)noise[i];
        else
            x += (next - sigma) * n;
        call->sample[i] = (float)x;
    }
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_flow_euler = {
    .name = "FlowMatchEulerDiscreteScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .takes = DFX_TAKES_RESPACING | DFX_TAKES_GENERATOR | DFX_TAKES_VELOCITY,
    .mixing = DFX_MIXES_BY_FLOW,
    .free_times = true,
    .set = flow_set,
    .step = flow_step,
};

/* ---- Heun
 * --------------------------------------------------------------------- */

/* All but the first twice, and the last sigma once. */
static dfx_status
flow_heun_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    s->config.dynamic = false;
    s->config.inverted = false;
    s->config.shift_terminal = 0;
    s->run.sigmas = NULL;
    DFX_TRY(space(s, steps, err));
    return dfx_double_calls(s, err);
}

static dfx_status
flow_heun_step(dfx_scheduler *s, const dfx_call *call)
{
    bool second = s->kept_count > 0;
    size_t at = second ? s->at - 1 : s->at;
    double sigma = (double)s->sigmas[at], next = (double)s->sigmas[at + 1];
    double way = next - sigma;
    float *slope, *base;

    DFX_TRY(dfx_keep_room(s, call, 2));
    slope = s->kept[0];
    base = s->kept[1];
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i];

        if (second) {
            n = (n + (double)slope[i]) / 2;
        } else {
            slope[i] = (float)n;
            base[i] = call->sample[i];
        }
        call->sample[i] = (float)((double)base[i] + n * way);
    }
    s->kept_count = second ? 0 : 1;
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_flow_heun = {
    .name = "FlowMatchHeunDiscreteScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .takes = DFX_TAKES_GENERATOR | DFX_TAKES_VELOCITY,
    .calls = 2,
    .mixing = DFX_MIXES_BY_FLOW,
    .free_times = true,
    .set = flow_heun_set,
    .step = flow_heun_step,
};
