/*
 * pndm.c - PNDM: Adams and Bashforth's method, after Runge and Kutta's or not
 *
 * Liu et al., Pseudo numerical methods for diffusion models (2022).
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "schedulers/kind.h"

enum {
    RUNGE_KUTTA_CALLS =
        12,      /* of the first three steps, without skip_prk_steps */
    HISTORY = 4, /* of kept: what the model said, newest first */
    BASE = 4,    /* the sample that a step began with */
    SUM = 5      /* of a Runge-Kutta step */
};

/* The four latest timesteps, each followed by the middle to the one before;
   without the last, each twice, without the first and the last, backwards. */
static dfx_status
space_runge_kutta(dfx_scheduler *s, const double *up, uint32_t steps,
                  dfx_error *err)
{
    double half = s->config.train / steps / 2;

    for (int i = RUNGE_KUTTA_CALLS; i > 0; i--) {
        int place = i / 2; /* of the eight, from below */
        double t = up[steps - 4 + (uint32_t)(place / 2)];

        DFX_TRY(dfx_timestep_add(s, place % 2 == 1 ? t + half : t, err));
    }
    for (uint32_t i = steps - 3; i > 0; i--)
        DFX_TRY(dfx_timestep_add(s, up[i - 1], err));
    return DFX_OK;
}

static dfx_status
pndm_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    double *up; /* ascending */
    dfx_status status = DFX_OK;

    if (!s->config.skip_prk && steps < 4)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "without skip_prk_steps a run has at least 4 steps");
    s->initial = 1;
    DFX_TRY(dfx_timesteps_space(s, steps, true, err));
    up = calloc(steps, sizeof *up);
    if (up == NULL)
        return dfx_fail_nomem(err);
    for (uint32_t i = 0; i < steps; i++)
        up[i] = s->timesteps[steps - 1 - i];
    s->count = 0;
    if (!s->config.skip_prk)
        status = space_runge_kutta(s, up, steps, err);
    else
        for (uint32_t i = steps; i > 0 && status == DFX_OK; i--) {
            status = dfx_timestep_add(s, up[i - 1], err);
            /* The second is there twice. */
            if (i + 1 == steps && status == DFX_OK)
                status = dfx_timestep_add(s, up[i - 1], err);
        }
    free(up);
    return status;
}

static double
alpha_at(const dfx_scheduler *s, double t)
{
    double last = s->config.train - 1;

    if (t < 0)
        return s->config.alpha_one ? 1 : (double)s->alphas[0];
    return (double)s->alphas[(uint32_t)fmin(t, last)];
}

/* The paper's equation 11: from a sample at t to one at before. what(i) is a
   sum of what the model said: factors times the history. */
static void
move(const dfx_scheduler *s, const dfx_call *call, const float *from, double t,
     double before, const double factors[HISTORY])
{
    double a = alpha_at(s, t), b = alpha_at(s, before);
    double of_x = sqrt(b / a);
    double of_eps = (b - a) / (a * sqrt(1 - b) + sqrt(a * (1 - a) * b));

    for (size_t i = 0; i < call->count; i++) {
        double x = (double)from[i], eps = 0;

        for (size_t k = 0; k < HISTORY; k++)
            if (factors[k] != 0)
                eps += factors[k] * (double)s->kept[k][i];
        if (s->config.prediction == DFX_PREDICTION_V)
            eps = sqrt(a) * eps + sqrt(1 - a) * x;
        call->sample[i] = (float)(of_x * x - of_eps * eps);
    }
}

static void
remember(dfx_scheduler *s, const dfx_call *call)
{
    dfx_keep_turn(s, HISTORY);
    for (size_t i = 0; i < call->count; i++)
        s->kept[0][i] = call->model[i];
    if (s->kept_count < HISTORY)
        s->kept_count++;
}

/* Four calls a step; the last one's sum is put where the next will be kept. */
static void
runge_kutta(dfx_scheduler *s, const dfx_call *call, size_t number)
{
    static const double parts[] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    static const double newest[HISTORY] = {1}, oldest[HISTORY] = {0, 0, 0, 1};
    float *base = s->kept[BASE], *sum = s->kept[SUM];
    double half = s->config.train / s->steps / 2;
    double before = s->timesteps[s->at] - (number % 2 == 0 ? half : 0);
    size_t part = number % 4;
    float *said;

    if (part == 0)
        remember(s, call);
    /* At most three are kept here: the fourth place is free. */
    said = s->kept[HISTORY - 1];
    for (size_t i = 0; i < call->count; i++) {
        if (part == 0) {
            sum[i] = 0;
            base[i] = call->sample[i];
        }
        sum[i] = (float)((double)sum[i] + parts[part] * (double)call->model[i]);
        said[i] = part == 3 ? sum[i] : call->model[i];
    }
    move(s, call, base, s->timesteps[number / 4 * 4], before,
         part == 0 ? newest : oldest);
}

static void
adams_bashforth(dfx_scheduler *s, const dfx_call *call, size_t number)
{
    static const double factors[][HISTORY] = {
        {1},
        {3.0 / 2, -1.0 / 2},
        {23.0 / 12, -16.0 / 12, 5.0 / 12},
        {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
    static const double halves[HISTORY] = {0.5, 0, 0, 0.5};
    double t = s->timesteps[s->at], part = s->config.train / s->steps;
    float *base = s->kept[BASE];

    if (number == 1) {
        /* The first step is made again, with a mean; this call is not kept. */
        for (size_t i = 0; i < call->count; i++)
            s->kept[HISTORY - 1][i] = call->model[i];
        move(s, call, base, t + part, t, halves);
        return;
    }
    remember(s, call);
    if (number == 0)
        for (size_t i = 0; i < call->count; i++)
            base[i] = call->sample[i];
    move(s, call, call->sample, t, t - part, factors[s->kept_count - 1]);
}

static dfx_status
pndm_step(dfx_scheduler *s, const dfx_call *call)
{
    size_t number = s->at - s->first;

    DFX_TRY(dfx_keep_room(s, call, DFX_KEPT));
    if (!s->config.skip_prk && number < RUNGE_KUTTA_CALLS)
        runge_kutta(s, call, number);
    else
        adams_bashforth(s, call, number);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_pndm = {
    .name = "PNDMScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .spacing = DFX_SPACING_LEADING},
    .set = pndm_set,
    .step = pndm_step,
};
