/*
 * unipc.c - UniPC, a predictor and a corrector of the same order, and DEIS
 *
 * Zhao et al., UniPC (2023); Zhang and Chen, Fast sampling of diffusion models
 * with exponential integrator (2022).
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
    .set = dfx_solver_set,
    .step = unipc_step,
};

/* ---- DEIS
 * -------------------------------------------------------------------- */

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
deis_step(dfx_scheduler *s, const dfx_call *call)
{
    dfx_point from = dfx_point_at(s, s->at), to = dfx_point_at(s, s->at + 1);
    double t = to.sigma / to.alpha, a = from.sigma / from.alpha, b, d;
    double m[ORDERS] = {0};
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
    .set = dfx_solver_set,
    .step = deis_step,
};
