/*
 * euler.c - Euler's method on sigmas, plain and ancestral, and Heun's
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* ---- Euler
 * ------------------------------------------------------------------------ */

dfx_status
dfx_churn(const dfx_scheduler *s, const dfx_call *call, double *hat)
{
    const dfx_step_options *o = call->options;
    double sigma = (double)s->sigmas[s->at], gamma = 0, spread;
    float *noise = NULL;

    if (sigma >= o->s_tmin && sigma <= o->s_tmax)
        gamma = fmin(o->s_churn / (double)(s->sigma_count - 1), sqrt(2) - 1);
    *hat = sigma * (gamma + 1);
    if (!(gamma > 0))
        return DFX_OK;
    spread = o->s_noise * sqrt(*hat * *hat - sigma * sigma);
    DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++)
        call->sample[i] =
            (float)((double)call->sample[i] + spread * (double)noise[i]);
    free(noise);
    return DFX_OK;
}

void
dfx_euler_advance(const dfx_scheduler *s, const dfx_call *call, double hat,
                  const float *x0)
{
    double next = (double)s->sigmas[s->at + 1];

    for (size_t i = 0; i < call->count; i++) {
        double x = (double)call->sample[i];

        call->sample[i] = (float)(x + (x - (double)x0[i]) / hat * (next - hat));
    }
}

static dfx_status
euler_step(dfx_scheduler *s, const dfx_call *call)
{
    double hat;

    DFX_TRY(dfx_keep_room(s, call, 1));
    DFX_TRY(dfx_churn(s, call, &hat));
    dfx_predict_sigma(s, call, hat, (double)s->sigmas[s->at], s->kept[0]);
    dfx_euler_advance(s, call, hat, s->kept[0]);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_euler = {
    .name = "EulerDiscreteScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .set = dfx_sigma_schedule,
    .step = euler_step,
    .takes = DFX_TAKES_ZERO_SNR | DFX_TAKES_TINY_LAST | DFX_TAKES_FINAL |
             DFX_TAKES_RESPACING | DFX_TAKES_TIMES | DFX_TAKES_SAMPLE |
             DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_SIGMA,
    .scale = dfx_sigma_scale,
};

static dfx_status
ancestral_step(dfx_scheduler *s, const dfx_call *call)
{
    double sigma = (double)s->sigmas[s->at],
           next = (double)s->sigmas[s->at + 1];
    double up =
        sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
    double down = sqrt(next * next - up * up);
    float *noise = NULL, *x0;

    DFX_TRY(dfx_keep_room(s, call, 1));
    x0 = s->kept[0];
    dfx_predict_sigma(s, call, sigma, sigma, x0);
    DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double x = (double)call->sample[i];

        call->sample[i] =
            (float)(x + (x - (double)x0[i]) / sigma * (down - sigma) +
                    up * (double)noise[i]);
    }
    free(noise);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_euler_ancestral = {
    .name = "EulerAncestralDiscreteScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .set = dfx_sigma_schedule,
    .step = ancestral_step,
    .takes = DFX_TAKES_ZERO_SNR | DFX_TAKES_TINY_LAST | DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_SIGMA,
    .scale = dfx_sigma_scale,
};

/* ---- Heun
 * ------------------------------------------------------------------------- */

static dfx_status
heun_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    DFX_TRY(dfx_sigma_schedule(s, steps, err));
    return dfx_double_calls(s, err);
}

static dfx_status
heun_step(dfx_scheduler *s, const dfx_call *call)
{
    bool is_first = s->kept_count == 0;
    double sigma, next;
    float *x0, *slope, *kept;

    DFX_TRY(dfx_keep_room(s, call, 3));
    x0 = s->kept[0];
    slope = s->kept[1];
    kept = s->kept[2];
    sigma = (double)s->sigmas[is_first ? s->at : s->at - 1];
    next = (double)s->sigmas[is_first ? s->at + 1 : s->at];
    dfx_predict_sigma(s, call, is_first ? sigma : next, is_first ? sigma : next,
                      x0);
    for (size_t i = 0; i < call->count; i++) {
        double x = (double)call->sample[i], d;

        if (is_first) {
            d = (x - (double)x0[i]) / sigma;
            slope[i] = (float)d;
            kept[i] = call->sample[i];
            call->sample[i] = (float)(x + d * (next - sigma));
        } else {
            d = (x - (double)x0[i]) / next;
            d = (d + (double)slope[i]) / 2;
            call->sample[i] = (float)((double)kept[i] + d * (next - sigma));
        }
    }
    s->kept_count = is_first && next > 0 ? 1 : 0;
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_heun = {
    .name = "HeunDiscreteScheduler",
    .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
    .set = heun_set,
    .step = heun_step,
    .takes = DFX_TAKES_CLIP | DFX_TAKES_RESPACING | DFX_TAKES_SAMPLE,
    .calls = 2,
    .mixing = DFX_MIXES_BY_SIGMA,
    .scale = dfx_sigma_scale,
};

/* ---- LMS
 * -------------------------------------------------------------------------- */

enum { MOST_NODES = 4 };

/* The integral of a Lagrange polynomial of the nodes sigma[at], sigma[at - 1]
   ... over the step: order points of Gauss and Legendre make it exact. */
static double
coefficient(const float *sigmas, size_t at, unsigned order, unsigned which)
{
    static const double points[] = {-0.8611363115940526, -0.33998104358485626,
                                    0.33998104358485626, 0.8611363115940526};
    static const double weights[] = {0.34785484513745385, 0.6521451548625461,
                                     0.6521451548625461, 0.34785484513745385};
    double a = (double)sigmas[at], b = (double)sigmas[at + 1], sum = 0;

    for (size_t k = 0; k < 4; k++) {
        double x = (a + b) / 2 + points[k] * (b - a) / 2, product = 1;

        for (unsigned j = 0; j < order; j++)
            if (j != which)
                product *=
                    (x - (double)sigmas[at - j]) /
                    ((double)sigmas[at - which] - (double)sigmas[at - j]);
        sum += weights[k] * product;
    }
    return sum * (b - a) / 2;
}

static dfx_status
lms_step(dfx_scheduler *s, const dfx_call *call)
{
    double sigma = (double)s->sigmas[s->at];
    unsigned most = call->options->order, order;
    float *slope;

    DFX_TRY(dfx_keep_room(s, call, MOST_NODES));
    dfx_keep_turn(s, MOST_NODES);
    slope = s->kept[0];
    dfx_predict_sigma(s, call, sigma, sigma, slope);
    for (size_t i = 0; i < call->count; i++)
        slope[i] =
            (float)(((double)call->sample[i] - (double)slope[i]) / sigma);
    if (most > MOST_NODES)
        most = MOST_NODES;
    order = s->at + 1 < most ? (unsigned)s->at + 1 : most;
    /* Slopes of calls before the first are 0. */
    for (unsigned j = 0; j < order; j++) {
        double c = coefficient(s->sigmas, s->at, order, j);

        for (size_t i = 0; i < call->count; i++)
            call->sample[i] =
                (float)((double)call->sample[i] + c * (double)s->kept[j][i]);
    }
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_lms = {
    .name = "LMSDiscreteScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .set = dfx_sigma_schedule,
    .step = lms_step,
    .takes = DFX_TAKES_RESPACING | DFX_TAKES_SAMPLE,
    .mixing = DFX_MIXES_BY_SIGMA,
    .scale = dfx_sigma_scale,
};
