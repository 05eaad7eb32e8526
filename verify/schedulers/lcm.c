/*
 * lcm.c - consistency models: LCM and TCD
 *
 * Luo et al., Latent consistency models (2023); Zheng et al., Trajectory
 * consistency distillation (2024).
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "schedulers/kind.h"

/* Some of the timesteps that the distillation had: k - 1, 2k - 1 ... */
static dfx_status
lcm_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double strength = fmin(fmax(s->run.strength, 0), 1);
    uint32_t k = c->train / c->original;
    uint32_t count = (uint32_t)(c->original * strength);

    if (k == 0)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "original_inference_steps is %u, above "
                        "num_train_timesteps %u",
                        c->original, c->train);
    if (steps > count)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "%u steps, but original_inference_steps and strength "
                        "leave %u",
                        steps, count);
    s->initial = 1;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t skipped = (uint32_t)floor(i * ((double)count / steps));

        DFX_TRY(dfx_timestep_add(s, (double)k * (count - skipped) - 1, err));
    }
    return DFX_OK;
}

static dfx_status
lcm_step(dfx_scheduler *s, const dfx_call *call)
{
    bool last = s->at + 1 == s->count;
    double t = s->timesteps[s->at], scaled = t * s->config.timestep_scaling;
    double alpha = (double)s->alphas[(uint32_t)t], before = 1;
    double skip = 0.25 / (scaled * scaled + 0.25);
    double out = scaled / sqrt(scaled * scaled + 0.25);
    float *noise = NULL, *x0;

    DFX_TRY(dfx_keep_room(s, call, 1));
    x0 = s->kept[0];
    dfx_predict(s, call, sqrt(alpha), sqrt(1 - alpha), x0);
    if (!last) {
        before = (double)s->alphas[(uint32_t)s->timesteps[s->at + 1]];
        DFX_TRY(dfx_draw(call, &noise));
    }
    for (size_t i = 0; i < call->count; i++) {
        double x = out * (double)x0[i] + skip * (double)call->sample[i];

        if (noise != NULL)
            x = sqrt(before) * x + sqrt(1 - before) * (double)noise[i];
        call->sample[i] = (float)x;
    }
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_lcm = {
    .name = "LCMScheduler",
    .defaults = {.beta_start = 0.00085,
                 .beta_end = 0.012,
                 .betas = DFX_BETA_SCALED_LINEAR,
                 .spacing = DFX_SPACING_LEADING},
    .takes = DFX_TAKES_CLIP | DFX_TAKES_THRESHOLD | DFX_TAKES_ZERO_SNR |
             DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR,
    .set = lcm_set,
    .step = lcm_step,
};

/* To a timestep before the next one, and back to that with new noise. */
static dfx_status
tcd_step(dfx_scheduler *s, const dfx_call *call)
{
    bool last = s->at + 1 == s->count;
    double eta = call->options->eta, t = s->timesteps[s->at];
    double next = last ? 0 : s->timesteps[s->at + 1];
    double alpha = (double)s->alphas[(uint32_t)t];
    double before = (double)s->alphas[(uint32_t)next], beyond, back;
    double a = sqrt(alpha), b = sqrt(1 - alpha);
    float *noise = NULL, *x0;

    if (!(eta >= 0 && eta <= 1))
        return dfx_fail_usage(call->err, "eta is %g, not from 0 to 1", eta);
    /* In float32, which decides where it falls. */
    beyond =
        (double)s->alphas[(uint32_t)floorf((float)(1 - eta) * (float)next)];
    back = before / beyond;
    DFX_TRY(dfx_keep_room(s, call, 1));
    x0 = s->kept[0];
    dfx_predict(s, call, a, b, x0);
    if (eta > 0 && !last)
        DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i], eps = n;

        if (s->config.prediction == DFX_PREDICTION_V)
            eps = a * n + b * x;
        else if (s->config.prediction == DFX_PREDICTION_SAMPLE)
            eps = (x - a * n) / b;
        x = sqrt(beyond) * (double)x0[i] + sqrt(1 - beyond) * eps;
        if (noise != NULL)
            x = sqrt(back) * x + sqrt(1 - back) * (double)noise[i];
        call->sample[i] = (float)x;
    }
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_tcd = {
    .name = "TCDScheduler",
    .defaults = {.beta_start = 0.00085,
                 .beta_end = 0.012,
                 .betas = DFX_BETA_SCALED_LINEAR,
                 .spacing = DFX_SPACING_LEADING},
    .takes = DFX_TAKES_ZERO_SNR | DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR |
             DFX_TAKES_ETA,
    .eta = 0.3,
    .set = lcm_set,
    .step = tcd_step,
};
