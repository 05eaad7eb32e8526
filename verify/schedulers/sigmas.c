/*
 * sigmas.c - schedules by sigma, and back to timesteps
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* numpy.interp over the whole numbers from 0, of sigmas. */
double
dfx_sigma_between(const dfx_scheduler *s, double t)
{
    uint32_t last = s->config.train - 1, at;

    if (!(t > 0))
        return (double)dfx_sigma_at(s, 0);
    if (t >= last)
        return (double)dfx_sigma_at(s, last);
    at = (uint32_t)t;
    return (double)dfx_sigma_at(s, at) +
           ((double)dfx_sigma_at(s, at + 1) - (double)dfx_sigma_at(s, at)) *
               (t - at);
}

/* Logarithms of the table are float32 there, which decides to which side a
   timestep falls that is cut to a whole number. */
static double
log_at(const dfx_scheduler *s, uint32_t timestep)
{
    return (double)(float)dfx_log((double)dfx_sigma_at(s, timestep));
}

double
dfx_sigma_timestep(const dfx_scheduler *s, double sigma)
{
    double wanted = dfx_log(fmax(sigma, 1e-10)), low, high, weight;
    uint32_t at = 0, count = s->config.train, lo = 0, hi = count;

    /* How many are at most that, of a table that ascends; at least one. */
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;

        if (log_at(s, middle) <= wanted)
            lo = middle + 1;
        else
            hi = middle;
    }
    at = lo > 0 ? lo - 1 : 0;
    if (count >= 2 && at > count - 2)
        at = count - 2;
    low = log_at(s, at);
    high = log_at(s, at + 1);
    weight = (low - wanted) / (double)(float)(low - high);
    weight = fmin(fmax(weight, 0), 1);
    return (1 - weight) * at + weight * (at + 1);
}

/* ---- The incomplete beta function
 * -------------------------------------------- */

#define SHAPE 0.6 /* both parameters: "Beta Sampling is All You Need", 2024 */

/* The regularised incomplete beta function of (0.6, 0.6) at most at 1/2, by its
   continued fraction (Numerical Recipes 6.4, after Lentz). */
static double
beta_below(double x)
{
    enum { TERMS = 300 };
    static const double tiny = 1e-300;
    static const double per_beta = 0.41401966505925714; /* 1 / B(0.6, 0.6) */
    double c = 1, d, h;

    if (x <= 0)
        return 0;
    d = 1 - (2 * SHAPE) * x / (SHAPE + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m <= TERMS; m++) {
        double even =
            m * (SHAPE - m) * x / ((SHAPE - 1 + 2 * m) * (SHAPE + 2 * m));
        double odd = -(SHAPE + m) * (2 * SHAPE + m) * x /
                     ((SHAPE + 2 * m) * (SHAPE + 1 + 2 * m));

        d = 1 / (1 + even * d);
        c = 1 + even / c;
        h *= d * c;
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-16)
            break;
    }
    return per_beta * dfx_pow(x, SHAPE) * dfx_pow(1 - x, SHAPE) / SHAPE * h;
}

/* Where the function is p: it is symmetric, and halves of an interval find it.
 */
static double
beta_inverse(double p)
{
    double low = 0, high = 0.5;

    if (p > 0.5)
        return 1 - beta_inverse(1 - p);
    if (p <= 0)
        return 0;
    for (int i = 0; i < 200; i++) {
        double middle = low + (high - low) / 2;

        if (beta_below(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- Spacing
 * ------------------------------------------------------------------- */

double
dfx_sigma_respaced(const dfx_schedule *c, double most, double least,
                   uint32_t count, uint32_t i)
{
    double ramp = count > 1 ? i / (double)(count - 1) : 0;

    if (c->respacing == DFX_RESPACING_KARRAS) {
        double a = dfx_pow(most, 1.0 / 7), b = dfx_pow(least, 1.0 / 7);

        return dfx_pow(a + ramp * (b - a), 7);
    }
    if (c->respacing == DFX_RESPACING_LU) {
        double a = (double)(float)dfx_log(most),
               b = (double)(float)dfx_log(least);

        return dfx_exp(a + ramp * (b - a));
    }
    if (c->respacing == DFX_RESPACING_EXPONENTIAL)
        return dfx_exp(dfx_log(most) + ramp * (dfx_log(least) - dfx_log(most)));
    return least + beta_inverse(1 - ramp) * (most - least);
}

/* One more sigma than steps, in equal parts of their logarithms. */
static dfx_status
space_logs(dfx_scheduler *s, dfx_error *err)
{
    uint32_t count = s->steps + 1;
    float most = (float)dfx_log((double)dfx_sigma_at(s, s->config.train - 1));
    float least = (float)dfx_log((double)dfx_sigma_at(s, 0));

    for (uint32_t i = 0; i < count; i++)
        DFX_TRY(dfx_sigma_add(
            s, (float)dfx_exp((double)dfx_linspace(most, least, count, i)),
            err));
    return DFX_OK;
}

dfx_status
dfx_sigmas_space(dfx_scheduler *s, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double most, least;

    if (c->log_linear)
        return space_logs(s, err);
    for (size_t i = 0; i < s->count; i++)
        DFX_TRY(dfx_sigma_add(s, (float)dfx_sigma_between(s, s->timesteps[i]),
                              err));
    if (c->respacing == DFX_RESPACING_NONE)
        return DFX_OK;
    most = isnan(c->sigma_max) ? dfx_sigma_between(s, s->timesteps[0])
                               : c->sigma_max;
    least = isnan(c->sigma_min)
                ? dfx_sigma_between(s, s->timesteps[s->count - 1])
                : c->sigma_min;
    for (uint32_t i = 0; i < s->count; i++) {
        double sigma =
            dfx_sigma_respaced(c, most, least, (uint32_t)s->count, i);

        s->sigmas[i] = (float)sigma;
        s->timesteps[i] = (double)(float)dfx_sigma_timestep(s, sigma);
    }
    return DFX_OK;
}

/* ---- Schedules by sigma
 * ------------------------------------------------------ */

dfx_status
dfx_sigma_schedule(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    double most = 0;

    DFX_TRY(dfx_timesteps_space(s, steps, false, err));
    DFX_TRY(dfx_sigmas_space(s, err));
    if (s->config.continuous)
        for (size_t i = 0; i < s->count; i++)
            s->timesteps[i] =
                (double)(float)(0.25 * dfx_log((double)s->sigmas[i]));
    for (size_t i = 0; i < s->sigma_count; i++)
        most = fmax(most, (double)s->sigmas[i]);
    s->initial =
        s->config.spacing == DFX_SPACING_LEADING ? sqrt(most * most + 1) : most;
    return dfx_sigma_add(s, s->config.sigma_min_last ? dfx_sigma_at(s, 0) : 0,
                         err);
}

dfx_status
dfx_double_calls(dfx_scheduler *s, dfx_error *err)
{
    size_t count = s->count, twice = 2 * count - 1;

    while (s->count < twice)
        DFX_TRY(dfx_timestep_add(s, 0, err));
    while (s->sigma_count < twice + 1)
        DFX_TRY(dfx_sigma_add(s, 0, err));
    /* From the end, so that none is overwritten before it is moved. */
    s->sigmas[twice] = s->sigmas[count];
    for (size_t i = twice; i-- > 0;) {
        s->timesteps[i] = s->timesteps[(i + 1) / 2];
        s->sigmas[i] = s->sigmas[(i + 1) / 2];
    }
    return DFX_OK;
}

double
dfx_sigma_scale(const dfx_scheduler *s)
{
    double sigma = (double)s->sigmas[s->at];

    return 1 / sqrt(sigma * sigma + 1);
}
