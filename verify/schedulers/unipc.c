/*
 * unipc.c - UniPC, a predictor and a corrector of the same order
 *
 * Zhao et al., UniPC (2023).
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "schedulers/kind.h"

enum {
    ORDERS = 3, /* at most */
    BEFORE = 4, /* of kept: the sample of the call before */
    SPARE = 5   /* what the model says of the sample that is corrected */
};

/* ---- The schedule
 * ------------------------------------------------------------ */

/* By flow_shift, or by mu. */
static double
shifted(const dfx_scheduler *s, double sigma)
{
    double mu = s->run.mu, e;

    if (!s->config.dynamic)
        return s->config.flow_shift * sigma /
               (1 + (s->config.flow_shift - 1) * sigma);
    e = s->config.linear_shift ? mu : dfx_exp(mu);
    return e / (e + (1 / sigma - 1));
}

/* Sigmas of a flow count down to one train step here. */
static dfx_status
space_flow(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    const dfx_schedule *c = &s->config;
    double part = (1.0 / c->train - 1) / steps, factor;

    if (c->dynamic && isnan(s->run.mu))
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "use_dynamic_shifting needs a mu");
    factor = (1 - shifted(s, 1 + (steps - 1) * part)) / (1 - c->shift_terminal);
    for (uint32_t i = 0; i < steps; i++) {
        double sigma = shifted(s, 1 + i * part);

        if (c->shift_terminal > 0)
            sigma = 1 - (1 - sigma) / factor;
        if (i == 0 && fabs(sigma - 1) < 1e-6)
            sigma -= 1e-6;
        DFX_TRY(dfx_sigma_add(s, (float)sigma, err));
        DFX_TRY(dfx_timestep_add(s, dfx_timestep_cut(sigma * c->train), err));
    }
    return DFX_OK;
}

static dfx_status
unipc_set(dfx_scheduler *s, uint32_t steps, dfx_error *err)
{
    s->initial = 1;
    if (s->config.respacing == DFX_RESPACING_FLOW)
        DFX_TRY(space_flow(s, steps, err));
    else
        DFX_TRY(dfx_solver_space(s, steps, err));
    return dfx_solver_end(s, true, err);
}

/* ---- Steps
 * ------------------------------------------------------------------- */

/* e^x - 1, where it is small, too. */
static double
exp_minus_one(double x)
{
    double half;

    if (!(fabs(x) < 0.25))
        return dfx_exp(x) - 1;
    half = x / 2; /* 2 sinh(x / 2) e^(x / 2), sinh by its series */
    return 2 * half *
           (1 + half * half / 6 *
                    (1 + half * half / 20 *
                             (1 + half * half / 42 * (1 + half * half / 72)))) *
           dfx_exp(half);
}

/* Solves rows of a matrix of count columns, and one more that is the right
   side, by elimination; the matrix is Vandermonde's. */
static void
solve(double m[ORDERS][ORDERS + 1], unsigned count, double *x)
{
    for (unsigned k = 0; k < count; k++) {
        unsigned pivot = k;

        for (unsigned i = k + 1; i < count; i++)
            if (fabs(m[i][k]) > fabs(m[pivot][k]))
                pivot = i;
        for (unsigned j = 0; j <= count; j++) {
            double t = m[k][j];

            m[k][j] = m[pivot][j];
            m[pivot][j] = t;
        }
        for (unsigned i = k + 1; i < count; i++) {
            double factor = m[i][k] / m[k][k];

            for (unsigned j = k; j <= count; j++)
                m[i][j] -= factor * m[k][j];
        }
    }
    for (unsigned k = count; k-- > 0;) {
        x[k] = m[k][count];
        for (unsigned j = k + 1; j < count; j++)
            x[k] -= m[k][j] * x[j];
        x[k] /= m[k][k];
    }
}

/* A step from point s0, the call `from`, to the next: x and m0 weigh the base,
   and the differences of what the model said, each over its r, are summed with
   rho and weighed with rest. */
typedef struct unified {
    double x, m0, rest;
    double r[ORDERS], rho[ORDERS];
} unified;

static unified
unify(const dfx_scheduler *s, size_t from, unsigned order, bool corrects)
{
    const dfx_schedule *c = &s->config;
    dfx_point s0 = dfx_point_at(s, from), to = dfx_point_at(s, from + 1);
    double h = to.lambda - s0.lambda, hh = c->predict_eps ? h : -h;
    double phi1 = exp_minus_one(hh), phi = phi1 / hh - 1, factorial = 1;
    double b = c->solver == DFX_SOLVER_BH1 ? hh : phi1;
    double m[ORDERS][ORDERS + 1] = {0};
    unsigned count = corrects ? order : order - 1;
    unified u;

    u.x = c->predict_eps ? to.alpha / s0.alpha : to.sigma / s0.sigma;
    u.m0 = -(c->predict_eps ? to.sigma : to.alpha) * phi1;
    u.rest = -(c->predict_eps ? to.sigma : to.alpha) * b;
    for (unsigned k = 0; k < ORDERS; k++) {
        u.r[k] = 1;
        u.rho[k] = 0.5;
        if (k + 1 < order)
            u.r[k] = (dfx_point_at(s, from - 1 - k).lambda - s0.lambda) / h;
    }
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < count; k++) {
            m[i][k] = 1;
            for (unsigned j = 0; j < i; j++)
                m[i][k] *= u.r[k];
        }
        m[i][count] = phi * factorial / b;
        factorial *= i + 2;
        phi = phi / hh - 1 / factorial;
    }
    /* Alone it is a half, of the predictor of order 2 and the corrector of 1.
     */
    if (count > 1)
        solve(m, count, u.rho);
    return u;
}

/* from becomes call->sample; newest is what the model said of the latter, for
   the corrector. */
static void
apply(const dfx_scheduler *s, const dfx_call *call, const unified *u,
      unsigned order, const float *from, const float *newest)
{
    for (size_t i = 0; i < call->count; i++) {
        double m0 = (double)s->kept[0][i], sum = 0;

        for (unsigned k = 0; k + 1 < order; k++)
            sum += u->rho[k] * ((double)s->kept[k + 1][i] - m0) / u->r[k];
        if (newest != NULL)
            sum += u->rho[order - 1] * ((double)newest[i] - m0);
        call->sample[i] =
            (float)(u->x * (double)from[i] + u->m0 * m0 + u->rest * sum);
    }
}

static unsigned
order_at(const dfx_scheduler *s, size_t at, size_t known)
{
    unsigned order = s->config.solver_order;

    if (s->config.lower_final && s->count - at < order)
        order = (unsigned)(s->count - at);
    return known < order ? (unsigned)known : order;
}

static bool
is_corrected(const dfx_scheduler *s)
{
    if (s->at == 0 || s->kept_count == 0)
        return false;
    for (size_t i = 0; i < s->config.uncorrected_count; i++)
        if (s->config.uncorrected[i] == s->at - 1)
            return false;
    return true;
}

static dfx_status
unipc_step(dfx_scheduler *s, const dfx_call *call)
{
    size_t calls = s->at - s->first;
    unsigned order;
    float *newest, *before;
    unified u;

    DFX_TRY(dfx_keep_room(s, call, DFX_KEPT));
    newest = s->kept[SPARE];
    before = s->kept[BEFORE];
    dfx_solver_predict(s, call, s->config.predict_eps, newest);
    if (is_corrected(s)) {
        order = order_at(s, s->at - 1, calls);
        u = unify(s, s->at - 1, order, true);
        apply(s, call, &u, order, before, newest);
    }
    s->kept[SPARE] = s->kept[ORDERS - 1];
    s->kept[ORDERS - 1] = newest;
    dfx_keep_turn(s, ORDERS);
    s->kept_count = 1;
    for (size_t i = 0; i < call->count; i++)
        before[i] = call->sample[i];
    order = order_at(s, s->at, calls + 1);
    u = unify(s, s->at, order, false);
    apply(s, call, &u, order, before, NULL);
    return DFX_OK;
}

const dfx_scheduler_kind dfx_scheduler_unipc = {
    .name = "UniPCMultistepScheduler",
    .defaults = {.beta_start = 0.0001,
                 .beta_end = 0.02,
                 .lower_final = true,
                 .solver = DFX_SOLVER_BH2},
    .takes = DFX_TAKES_THRESHOLD | DFX_TAKES_ZERO_SNR | DFX_TAKES_TINY_LAST |
             DFX_TAKES_FINAL | DFX_TAKES_RESPACING | DFX_TAKES_FLOW |
             DFX_TAKES_SAMPLE,
    .mixing = DFX_MIXES_BY_BOTH,
    .set = unipc_set,
    .step = unipc_step,
};
