/*
 * dpm.c - DPM-Solver and DPM-Solver++, in several steps and in single ones
 *
 * Lu et al., DPM-Solver (2022) and DPM-Solver++ (2022), as diffusers has them.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

enum { BASE = 4 }; /* of kept: the sample that a single step began with */

/* What a step sums: x, the differences D0 to D2 of what the model said, and
   noise. */
typedef struct weights {
    double x, d0, d1, d2, noise;
} weights;

static bool
is_noisy(const dfx_schedule *c)
{
    return c->algorithm == DFX_DPM_SDE || c->algorithm == DFX_DPM_SDE_PLUS;
}

/* From a point to the next, by the algorithm. Third orders weigh D1 as Heun's
   second does. */
static weights
weigh(const dfx_schedule *c, dfx_point from, dfx_point to, unsigned order)
{
    double h = to.lambda - from.lambda, e;
    bool heun = c->solver == DFX_SOLVER_HEUN || order == 3;
    weights w = {0};

    switch (c->algorithm) {
    case DFX_DPM:
        e = dfx_exp(h) - 1;
        w.x = to.alpha / from.alpha;
        w.d0 = -to.sigma * e;
        w.d1 = heun ? -to.sigma * (e / h - 1) : 0.5 * w.d0;
        w.d2 = -to.sigma * ((e - h) / (h * h) - 0.5);
        break;
    case DFX_DPM_SDE:
        e = dfx_exp(h) - 1;
        w.x = to.alpha / from.alpha;
        w.d0 = -2 * to.sigma * e;
        w.d1 = heun ? -2 * to.sigma * (e / h - 1) : 0.5 * w.d0;
        w.noise = h < 0 ? 0 : to.sigma * sqrt(dfx_exp(2 * h) - 1);
        break;
    case DFX_DPM_SDE_PLUS:
        e = 1 - dfx_exp(-2 * h);
        w.x = to.sigma / from.sigma * dfx_exp(-h);
        w.d0 = to.alpha * e;
        w.d1 = heun ? to.alpha * (e / (-2 * h) + 1) : 0.5 * w.d0;
        w.d2 = to.alpha * ((e - 2 * h) / (4 * h * h) - 0.5);
        /* A last step may go nowhere, or back by rounding. */
        w.noise = e < 0 ? 0 : to.sigma * sqrt(e);
        break;
    case DFX_DPM_PLUS:
    case DFX_DPM_DEIS:
        e = dfx_exp(-h) - 1;
        w.x = to.sigma / from.sigma;
        w.d0 = -to.alpha * e;
        w.d1 = heun ? to.alpha * (e / h + 1) : 0.5 * w.d0;
        w.d2 = -to.alpha * ((e + h) / (h * h) - 0.5);
        break;
    }
    return w;
}

/* The differences become weights of what the model said, newest first. */
typedef struct terms {
    double x, m[3], noise;
} terms;

static terms
multi_terms(const dfx_scheduler *s, unsigned order)
{
    dfx_point to = dfx_point_at(s, s->at + 1), s0 = dfx_point_at(s, s->at);
    weights w = weigh(&s->config, s0, to, order);
    terms t = {.x = w.x, .m = {w.d0}, .noise = w.noise};
    double h = to.lambda - s0.lambda, r0, r1, d1, d2;

    if (order == 1)
        return t;
    r0 = (s0.lambda - dfx_point_at(s, s->at - 1).lambda) / h;
    if (order == 2) {
        t.m[0] += w.d1 / r0;
        t.m[1] -= w.d1 / r0;
        return t;
    }
    r1 = (dfx_point_at(s, s->at - 1).lambda -
          dfx_point_at(s, s->at - 2).lambda) /
         h;
    /* D1 = D1_0 + r0 / (r0 + r1) (D1_0 - D1_1), D2 = (D1_0 - D1_1) / (r0 + r1):
       how often they have D1_0 = (m0 - m1) / r0 and D1_1 = (m1 - m2) / r1. */
    d1 = w.d1 * (1 + r0 / (r0 + r1)) + w.d2 / (r0 + r1);
    d2 = -w.d1 * r0 / (r0 + r1) - w.d2 / (r0 + r1);
    t.m[0] += d1 / r0;
    t.m[1] += d2 / r1 - d1 / r0;
    t.m[2] -= d2 / r1;
    return t;
}

static dfx_status
advance(dfx_scheduler *s, const dfx_call *call, terms t, const float *from)
{
    float *noise = NULL;

    if (is_noisy(&s->config))
        DFX_TRY(dfx_draw(call, &noise));
    for (size_t i = 0; i < call->count; i++) {
        double sum = t.x * (double)from[i];

        for (unsigned k = 0; k < 3; k++)
            if (t.m[k] != 0)
                sum += t.m[k] * (double)s->kept[k][i];
        if (noise != NULL)
            sum += t.noise * (double)noise[i];
        call->sample[i] = (float)sum;
    }
    free(noise);
    return DFX_OK;
}

/* ---- In several steps
 * -------------------------------------------------------- */

static unsigned
multi_order(const dfx_scheduler *s)
{
    const dfx_schedule *c = &s->config;
    bool lower = c->lower_final && s->count < 15;
    unsigned order = c->solver_order;

    if (s->at + 1 == s->count &&
        (c->euler_final || lower || !c->sigma_min_last))
        return 1;
    if (s->at + 2 == s->count && lower && order > 2)
        order = 2;
    return order < s->kept_count ? order : (unsigned)s->kept_count;
}

dfx_status
dfx_dpm_advance(dfx_scheduler *s, const dfx_call *call)
{
    return advance(s, call, multi_terms(s, multi_order(s)), call->sample);
}

static dfx_status
multi_step(dfx_scheduler *s, const dfx_call *call)
{
    bool eps =
        s->config.algorithm == DFX_DPM || s->config.algorithm == DFX_DPM_SDE;

    DFX_TRY(dfx_solver_keep(s, call, eps));
    return dfx_dpm_advance(s, call);
}

static dfx_status
check_algorithm(const dfx_scheduler *s, dfx_error *err)
{
    const dfx_schedule *c = &s->config;

    if ((c->algorithm == DFX_DPM || c->algorithm == DFX_DPM_SDE) &&
        !c->sigma_min_last)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "dpmsolver and sde-dpmsolver need final_sigmas_type "
                        "sigma_min");
    if (c->algorithm == DFX_DPM_SDE && c->solver_order == 3)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "sde-dpmsolver has no third order");
    return DFX_OK;
}

static dfx_status
multi_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    DFX_TRY(check_algorithm(s, err));
    DFX_TRY(dfx_solver_space(s, steps, err));
    return dfx_solver_end(s, false, err);
}

const dfx_scheduler_kind dfx_scheduler_dpm_multi = {
    .name = "DPMSolverMultistepScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02, .lower_final = true},
    .takes = DFX_TAKES_THRESHOLD | DFX_TAKES_ZERO_SNR | DFX_TAKES_TINY_LAST |
             DFX_TAKES_FINAL | DFX_TAKES_RESPACING | DFX_TAKES_LU |
             DFX_TAKES_FLOW | DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_BOTH,
    .set = multi_set,
    .step = multi_step,
};

/* ---- In single steps
 * --------------------------------------------------------- */

/* 1, 2, 3, 1, 2, 3 ... and at the end what is left. */
static unsigned
single_order(const dfx_scheduler *s)
{
    const dfx_schedule *c = &s->config;
    unsigned most = c->solver_order;
    bool lower = c->lower_final || s->count % most != 0 || !c->sigma_min_last;

    if (s->at + 1 == s->count &&
        (!c->sigma_min_last || (lower && s->count % most == 0)))
        return 1;
    return (unsigned)(s->at % most) + 1;
}

/* From the point of the last first-order call on. */
static terms
single_terms(const dfx_scheduler *s, unsigned order)
{
    dfx_point to = dfx_point_at(s, s->at + 1);
    dfx_point base = dfx_point_at(s, s->at + 1 - order);
    dfx_point s0 = dfx_point_at(s, s->at);
    weights w = weigh(&s->config, base, to, order);
    terms t = {.x = w.x, .noise = w.noise};
    double h = to.lambda - base.lambda, r0, r1, d1, d2;

    t.m[order - 1] = w.d0;
    if (order == 1)
        return t;
    r0 = (s0.lambda - base.lambda) / h;
    if (order == 2) {
        t.m[0] += w.d1 / r0;
        t.m[1] -= w.d1 / r0;
        return t;
    }
    r1 = (dfx_point_at(s, s->at - 1).lambda - base.lambda) / h;
    /* D1_0 = (m1 - m2) / r1 and D1_1 = (m0 - m2) / r0. The midpoint has D1_1;
       Heun D1 = (r0 D1_0 - r1 D1_1) / (r0 - r1), D2 = 2 (D1_1 - D1_0) /
       (r0 - r1). */
    d1 = 0;
    d2 = w.d1;
    if (s->config.solver == DFX_SOLVER_HEUN) {
        d1 = (w.d1 * r0 - 2 * w.d2) / (r0 - r1);
        d2 = (2 * w.d2 - w.d1 * r1) / (r0 - r1);
    }
    t.m[0] += d2 / r0;
    t.m[1] += d1 / r1;
    t.m[2] -= d1 / r1 + d2 / r0;
    return t;
}

static dfx_status
single_step(dfx_scheduler *s, const dfx_call *call)
{
    unsigned order;
    float *base;

    DFX_TRY(dfx_solver_keep(s, call, s->config.algorithm == DFX_DPM));
    base = s->kept[BASE];
    order = single_order(s);
    if (order > s->kept_count)
        order = (unsigned)s->kept_count;
    if (order == 1)
        for (size_t i = 0; i < call->count; i++)
            base[i] = call->sample[i];
    return advance(s, call, single_terms(s, order), base);
}

static dfx_status
single_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    if (s->config.algorithm == DFX_DPM_SDE)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "single steps know no sde-dpmsolver");
    DFX_TRY(check_algorithm(s, err));
    s->config.spacing = DFX_SPACING_LINSPACE; /* it has no other */
    DFX_TRY(dfx_solver_space(s, steps, err));
    return dfx_solver_end(s, false, err);
}

const dfx_scheduler_kind dfx_scheduler_dpm_single = {
    .name = "DPMSolverSinglestepScheduler",
    .defaults = {.beta_start = 0.0001, .beta_end = 0.02},
    .takes = DFX_TAKES_THRESHOLD | DFX_TAKES_FINAL | DFX_TAKES_RESPACING |
             DFX_TAKES_FLOW | DFX_TAKES_SAMPLE | DFX_TAKES_GENERATOR,
    .mixing = DFX_MIXES_BY_BOTH,
    .set = single_set,
    .step = single_step,
};
