/*
 * ddpm.c - DDPM and DDIM
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

static dfx_status
set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    s->initial = 1;
    return dfx_timesteps_space(s, steps, true, err);
}

/* Of a timestep; before the first all is signal, or what the first has. */
static double
alpha_at(const dfx_scheduler *s, double t)
{
    if (t < 0)
        return s->config.alpha_one ? 1 : (double)s->alphas[0];
    return (double)s->alphas[(uint32_t)t];
}

/* ---- DDPM
 * ------------------------------------------------------------------------ */

static double
deviation(const dfx_schedule *c, double alpha, double before, double beta)
{
    double variance = fmax((1 - before) / (1 - alpha) * beta, 1e-20);

    if (c->variance == DFX_VARIANCE_LARGE)
        return sqrt(beta);
    /* exp(0.5 log) is a root, too. */
    return sqrt(variance);
}

static dfx_status
ddpm_step(dfx_scheduler *s, const dfx_call *call)
{
    double t = s->timesteps[s->at];
    double next = s->at + 1 < s->count ? s->timesteps[s->at + 1] : -1;
    double alpha = alpha_at(s, t), before = next < 0 ? 1 : alpha_at(s, next);
    double part = alpha / before, beta = 1 - part, noisy = 0;
    double of_x0 = sqrt(before) * beta / (1 - alpha);
    double of_x = sqrt(part) * (1 - before) / (1 - alpha);
    float *noise = NULL, *x0 = s->kept[0];

    DFX_TRY(dfx_keep_room(s, call, 1));
    x0 = s->kept[0];
    dfx_predict(s, call, sqrt(alpha), sqrt(1 - alpha), x0);
    if (t > 0) {
        DFX_TRY(dfx_draw(call, &noise));
        noisy = deviation(&s->config, alpha, before, beta);
    }
    for (size_t i = 0; i < call->count; i++)
        call->sample[i] =
            (float)(of_x0 * (double)x0[i] + of_x * (double)call->sample[i] +
                    (noise != NULL ? noisy * (double)noise[i] : 0));
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_ddpm = {
    .name = "DDPMScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .spacing = DFX_SPACING_LEADING,
                 .clips = true,
                 .alpha_one = true},
    .set = set,
    .step = ddpm_step,
    .takes = DFX_TAKES_CLIP | DFX_TAKES_THRESHOLD | DFX_TAKES_ZERO_SNR |
             DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR | DFX_TAKES_VARIANCE,
};

/* ---- DDIM
 * ------------------------------------------------------------------------ */

static dfx_status
ddim_step(dfx_scheduler *s, const dfx_call *call)
{
    double t = s->timesteps[s->at];
    double alpha = alpha_at(s, t);
    double before = alpha_at(s, t - s->config.train / s->steps);
    double variance = (1 - before) / (1 - alpha) * (1 - alpha / before);
    double spread = call->options->eta * sqrt(variance);
    double of_eps = sqrt(1 - before - spread * spread);
    double a = sqrt(alpha), b = sqrt(1 - alpha);
    dfx_prediction prediction = s->config.prediction;
    float *noise = NULL, *x0;

    DFX_TRY(dfx_keep_room(s, call, 1));
    x0 = s->kept[0];
    dfx_predict(s, call, a, b, x0);
    if (call->options->eta > 0)
        DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i], eps;

        if (prediction == DFX_PREDICTION_V)
            eps = a * n + b * x;
        else if (prediction == DFX_PREDICTION_SAMPLE)
            eps = (x - a * n) / b;
        else
            eps = n;
        if (call->options->use_clipped)
            eps = (x - a * (double)x0[i]) / b;
        call->sample[i] =
            (float)(sqrt(before) * (double)x0[i] + of_eps * eps +
                    (noise != NULL ? spread * (double)noise[i] : 0));
    }
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_ddim = {
    .name = "DDIMScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .spacing = DFX_SPACING_LEADING,
                 .clips = true,
                 .alpha_one = true},
    .set = set,
    .step = ddim_step,
    .takes = DFX_TAKES_CLIP | DFX_TAKES_THRESHOLD | DFX_TAKES_ZERO_SNR |
             DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR | DFX_TAKES_ETA,
};
