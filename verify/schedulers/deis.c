/*
 * deis.c - DEIS, by polynomials in log rho, rho = sigma / alpha
 *
 * Zhang and Chen, Fast sampling of diffusion models with exponential integrator
 * (2022).
 */
#include <config.h>

#include <math.h>

#include "elementary.h"
#include "schedulers/kind.h"

/* The integral up to t of the polynomial through log b and log c that is 1 at
   b, in log rho; and that through a third. */
static double
integral2(double t, double b, double c)
{
    return t * (dfx_log(t) - dfx_log(c) - 1) / (dfx_log(b) - dfx_log(c));
}

static double
integral3(double t, double b, double c, double d)
{
    double lt = dfx_log(t), lb = dfx_log(b), lc = dfx_log(c), ld = dfx_log(d);

    return t * (lc * (ld - lt + 1) - ld * lt + ld + lt * lt - 2 * lt + 2) /
           ((lb - lc) * (lb - ld));
}

static double
rho_at(const dfx_scheduler *s, size_t i)
{
    dfx_point p = dfx_point_at(s, i);

    return p.sigma / p.alpha;
}

static unsigned
deis_order(const dfx_scheduler *s)
{
    bool lower = s->config.lower_final && s->count < 15;
    unsigned order = s->config.solver_order;

    if (lower && s->count - s->at < order)
        order = (unsigned)(s->count - s->at);
    return order < s->kept_count ? order : (unsigned)s->kept_count;
}

static dfx_status
deis_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    DFX_TRY(dfx_solver_space(s, steps, err));
    return dfx_solver_end(s, true, err);
}

static dfx_status
deis_step(dfx_scheduler *s, const dfx_call *call)
{
    dfx_point from = dfx_point_at(s, s->at), to = dfx_point_at(s, s->at + 1);
    double t = to.sigma / to.alpha, a = from.sigma / from.alpha, b, d;
    double m[3] = {0};
    unsigned order;

    DFX_TRY(dfx_solver_keep(s, call, true));
    order = deis_order(s);
    if (order == 1) {
        m[0] = t - a;
    } else if (order == 2) {
        b = rho_at(s, s->at - 1);
        m[0] = integral2(t, a, b) - integral2(a, a, b);
        m[1] = integral2(t, b, a) - integral2(a, b, a);
    } else {
        b = rho_at(s, s->at - 1);
        d = rho_at(s, s->at - 2);
        m[0] = integral3(t, a, b, d) - integral3(a, a, b, d);
        m[1] = integral3(t, b, d, a) - integral3(a, b, d, a);
        m[2] = integral3(t, d, a, b) - integral3(a, d, a, b);
    }
    for (size_t i = 0; i < call->count; i++) {
        double sum = (double)call->sample[i] / from.alpha;

        for (unsigned k = 0; k < order; k++)
            sum += m[k] * (double)s->kept[k][i];
        call->sample[i] = (float)(to.alpha * sum);
    }
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_deis = {
    .name = "DEISMultistepScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .lower_final = true,
                 .sigma_min_last = true},
    .takes = DFX_TAKES_THRESHOLD | DFX_TAKES_RESPACING | DFX_TAKES_FLOW |
             DFX_TAKES_SAMPLE,
    .mixing = DFX_MIXES_BY_BOTH,
    .set = deis_set,
    .step = deis_step,
};
