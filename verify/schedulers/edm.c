/*
 * edm.c - EDM's schedules, by Euler's method and by DPM-Solver++
 *
 * Karras et al., Elucidating the design space of diffusion-based generative
 * models (2022): sigmas of their own, and a model that is scaled by sigma_data.
 * Timesteps are log sigma / 4.
 */
#include <config.h>

#include <math.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* Sigmas, the final one, and timesteps; narrow: the ramp is float32. */
static dfx_status
space(dfx_scheduler *s, uint32_t steps, bool narrow, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double a = dfx_pow(c->sigma_max, 1 / c->rho);
    double b = dfx_pow(c->sigma_min, 1 / c->rho);

    s->initial = sqrt(c->sigma_max * c->sigma_max + 1);
    for (uint32_t i = 0; i < steps; i++) {
        double ramp = steps > 1 ? i / (double)(steps - 1) : 0, sigma;

        if (narrow)
            ramp = (double)dfx_linspace(0, 1, steps, i);
        if (c->exponential)
            sigma = dfx_exp((double)dfx_linspace((float)dfx_log(c->sigma_min),
                                                 (float)dfx_log(c->sigma_max),
                                                 steps, steps - 1 - i));
        else
            sigma = dfx_pow(a + ramp * (b - a), c->rho);
        DFX_TRY(dfx_sigma_add(s, (float)sigma, err));
        DFX_TRY(dfx_timestep_add(
            s, (double)(float)(0.25 * dfx_log((double)(float)sigma)), err));
    }
    return dfx_sigma_add(s,
                         !c->sigma_min_last ? 0
                         : narrow           ? (float)c->sigma_min
                                            : s->sigmas[s->sigma_count - 1],
                         err);
}

static dfx_status
edm_euler_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    return space(s, steps, false, err);
}

static dfx_status
edm_dpm_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    if (s->config.algorithm == DFX_DPM || s->config.algorithm == DFX_DPM_SDE)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "EDM knows no dpmsolver and no sde-dpmsolver");
    return space(s, steps, true, err);
}

static double
edm_scale(const dfx_scheduler *s)
{
    double sigma = (double)s->sigmas[s->at], data = s->config.sigma_data;

    return 1 / sqrt(sigma * sigma + data * data);
}

static void
edm_predict(const dfx_scheduler *s, const dfx_call *call, double sigma,
            float *x0)
{
    double data = s->config.sigma_data, square = sigma * sigma + data * data;
    double skip = data * data / square, out = sigma * data / sqrt(square);

    if (s->config.prediction == DFX_PREDICTION_V)
        out = -out;
    for (size_t i = 0; i < call->count; i++)
        x0[i] = (float)(skip * (double)call->sample[i] +
                        out * (double)call->model[i]);
    dfx_restrict(s, call, x0);
}

static dfx_status
edm_dpm_step(dfx_scheduler *s, const dfx_call *call)
{
    DFX_TRY(dfx_keep_room(s, call, DFX_KEPT));
    dfx_keep_turn(s, s->config.solver_order);
    edm_predict(s, call, (double)s->sigmas[s->at], s->kept[0]);
    if (s->kept_count < s->config.solver_order)
        s->kept_count++;
    return dfx_dpm_advance(s, call);
}

const dfx_scheduler_kind dfx_scheduler_edm_dpm = {
    .name = "EDMDPMSolverMultistepScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .lower_final = true,
                 .sigma_min = 0.002,
                 .sigma_max = 80},
    .takes = DFX_TAKES_THRESHOLD | DFX_TAKES_FINAL | DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_SIGMA,
    .free_times = true,
    .set = edm_dpm_set,
    .step = edm_dpm_step,
    .scale = edm_scale,
};

static dfx_status
edm_euler_step(dfx_scheduler *s, const dfx_call *call)
{
    double hat;

    DFX_TRY(dfx_keep_room(s, call, 1));
    DFX_TRY(dfx_churn(s, call, &hat));
    edm_predict(s, call, hat, s->kept[0]);
    dfx_euler_advance(s, call, hat, s->kept[0]);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_edm_euler = {
    .name = "EDMEulerScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .sigma_min = 0.002,
                 .sigma_max = 80},
    .takes = DFX_TAKES_FINAL | DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_SIGMA,
    .free_times = true,
    .set = edm_euler_set,
    .step = edm_euler_step,
    .scale = edm_scale,
};
