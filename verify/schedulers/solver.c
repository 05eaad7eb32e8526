/*
 * solver.c - what DPM-Solver, UniPC and DEIS share: their schedules, and
 * histories of what the model said
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* 0 is where the last step ends. */
static double
logarithm(double x)
{
    return x > 0 ? dfx_log(x) : x == 0 ? -HUGE_VAL : (double)NAN;
}

dfx_point
dfx_point_at(const dfx_scheduler *s, size_t i)
{
    double sigma = (double)s->sigmas[i];
    dfx_point p = {.alpha = 1, .sigma = sigma};

    if (s->config.respacing == DFX_RESPACING_FLOW) {
        p.alpha = 1 - sigma;
    } else if (s->kind->mixing == DFX_MIXES_BY_BOTH) {
        p.alpha = 1 / sqrt(sigma * sigma + 1);
        p.sigma = sigma * p.alpha;
    }
    p.lambda = logarithm(p.alpha) - logarithm(p.sigma);
    return p;
}

/* ---- The schedule
 * ------------------------------------------------------------ */

/* The timesteps whose log alpha / sigma is below lambda_min_clipped are left
   out: how many are left. */
static uint32_t
last_of(const dfx_scheduler *s)
{
    uint32_t clipped = 0;

    if (!(s->config.lambda_min > -HUGE_VAL))
        return s->config.train;
    while (clipped < s->config.train) {
        double sigma = (double)dfx_sigma_at(s, s->config.train - 1 - clipped);

        if (-logarithm(sigma) >= s->config.lambda_min)
            break;
        clipped++;
    }
    return s->config.train - clipped;
}

static dfx_status
space_timesteps(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    uint32_t last = last_of(s);
    double part = (double)c->train / steps;

    if (last < 2)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "lambda_min_clipped leaves no timesteps");
    for (uint32_t k = 0; k < steps; k++) {
        uint32_t i = steps - k;
        double t;

        if (c->spacing == DFX_SPACING_LEADING)
            t = (double)((int64_t)i * (last / (steps + 1)) + c->offset);
        else if (c->spacing == DFX_SPACING_LINSPACE)
            t = rint(i * ((last - 1.0) / steps));
        else if (last - k * part > 0)
            t = rint(last - k * part) - 1;
        else
            break; /* fewer where some are clipped */
        DFX_TRY(dfx_timestep_add(s, t, err));
    }
    return DFX_OK;
}

double
dfx_timestep_cut(double t)
{
    return isnan(t) ? -0x1p63 : trunc(t);
}

/* Sigmas of a flow, but UniPC's: they count up from one train step. */
static dfx_status
space_flow(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double shift =
        c->dynamic && !isnan(s->run.mu) ? dfx_exp(s->run.mu) : c->flow_shift;
    double part = (1.0 / c->train - 1) / steps;

    for (uint32_t i = 0; i < steps; i++) {
        double sigma = 1 - (1 + (steps - i) * part);

        sigma = shift * sigma / (1 + (shift - 1) * sigma);
        DFX_TRY(dfx_sigma_add(s, (float)sigma, err));
        DFX_TRY(dfx_timestep_add(s, dfx_timestep_cut(sigma * c->train), err));
    }
    return DFX_OK;
}

/* Spaced anew over the whole table. Timesteps are found back, and rounded or
   cut as the class does. */
static dfx_status
space_anew(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    bool rounds = c->respacing == DFX_RESPACING_KARRAS ||
                  c->respacing == DFX_RESPACING_LU;
    double most = isnan(c->sigma_max) ? (double)dfx_sigma_at(s, c->train - 1)
                                      : c->sigma_max;
    double least =
        isnan(c->sigma_min) ? (double)dfx_sigma_at(s, 0) : c->sigma_min;

    if ((s->kind->takes & DFX_TAKES_LU) != 0 && c->betas == DFX_BETA_COSINE)
        rounds = false;
    for (uint32_t i = 0; i < steps; i++) {
        double sigma = dfx_sigma_respaced(c, most, least, steps, i);
        double t = dfx_sigma_timestep(s, sigma);

        DFX_TRY(dfx_sigma_add(s, (float)sigma, err));
        DFX_TRY(
            dfx_timestep_add(s, rounds ? rint(t) : dfx_timestep_cut(t), err));
    }
    return DFX_OK;
}

dfx_status
dfx_solver_end(dfx_scheduler *s, bool repeats, dfx_error *err)
{
    float last = dfx_sigma_at(s, 0);

    if (repeats && s->config.respacing != DFX_RESPACING_NONE)
        last = s->sigmas[s->sigma_count - 1];
    return dfx_sigma_add(s, s->config.sigma_min_last ? last : 0, err);
}

dfx_status
dfx_solver_space(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    s->initial = 1;
    if (s->config.respacing == DFX_RESPACING_FLOW)
        return space_flow(s, steps, err);
    if (s->config.respacing != DFX_RESPACING_NONE)
        return space_anew(s, steps, err);
    DFX_TRY(space_timesteps(s, steps, err));
    for (size_t i = 0; i < s->count; i++)
        DFX_TRY(dfx_sigma_add(s, (float)dfx_sigma_between(s, s->timesteps[i]),
                              err));
    return DFX_OK;
}

/* ---- History
 * ----------------------------------------------------------------- */

/* The noise that the model says is there. */
static void
predict_noise(const dfx_scheduler *s, const dfx_call *call, dfx_point p,
              float *eps)
{
    dfx_prediction prediction = s->config.prediction;

    if (s->config.thresholds) {
        dfx_predict(s, call, p.alpha, p.sigma, eps); /* x0 */
        for (size_t i = 0; i < call->count; i++)
            eps[i] =
                (float)(((double)call->sample[i] - p.alpha * (double)eps[i]) /
                        p.sigma);
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i];

        if (prediction == DFX_PREDICTION_V)
            eps[i] = (float)(p.alpha * n + p.sigma * x);
        else if (prediction == DFX_PREDICTION_SAMPLE)
            eps[i] = (float)((x - p.alpha * n) / p.sigma);
        else if (prediction == DFX_PREDICTION_FLOW)
            eps[i] = (float)(x + (1 - p.sigma) * n);
        else
            eps[i] = call->model[i];
    }
}

void
dfx_solver_predict(const dfx_scheduler *s, const dfx_call *call, bool eps,
                   float *out)
{
    dfx_point p = dfx_point_at(s, s->at);

    if (eps)
        predict_noise(s, call, p, out);
    else
        dfx_predict(s, call, p.alpha, p.sigma, out);
}

dfx_status
dfx_solver_keep(dfx_scheduler *s, const dfx_call *call, bool eps)
{
    unsigned order = s->config.solver_order;

    DFX_TRY(dfx_keep_room(s, call, DFX_KEPT));
    dfx_keep_turn(s, order);
    dfx_solver_predict(s, call, eps, s->kept[0]);
    if (s->kept_count < order)
        s->kept_count++;
    return DFX_OK;
}
