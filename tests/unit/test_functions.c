/*
 * test_functions.c - exp, tanh, erf, sin and cos against long double
 */
#include <config.h>

#include "cpu/elementary.h"

#include "tap.h"

typedef long double exact_fn(long double x);

/* The error in units of the last place of the exact value. */
static double
error_in_ulp(float got, long double want)
{
    int exponent;
    long double ulp;

    if (isinf(got) && fabsl(want) > 0x1.fffffefp127L)
        return 0.0;
    frexpl(want, &exponent);
    ulp = ldexpl(1.0L, exponent - 24 < -149 ? -149 : exponent - 24);
    return (double)(fabsl(got - want) / ulp);
}

/* Every step-th float of both signs. */
static double
worst(float (*fn)(float), exact_fn *exact, uint32_t step, float limit)
{
    double most = 0.0;

    for (uint32_t bits = 0; bits < 0x7f800000; bits += step)
        for (uint32_t sign = 0; sign <= 1; sign++) {
            uint32_t code = bits | sign << 31;
            double error;
            float x;

            memcpy(&x, &code, sizeof x);
            if (fabsf(x) > limit)
                continue;
            error = error_in_ulp(fn(x), exact(x));
            most = error > most ? error : most;
        }
    return most;
}

static float
sine(float x)
{
    float s, c;

    dfx_sincosf(x, &s, &c);
    return s;
}

static float
cosine(float x)
{
    float s, c;

    dfx_sincosf(x, &s, &c);
    return c;
}

/* Of the terms that are added: what cancels has lost its last places. */
static double
worst_gelu(float (*fn)(float), exact_fn *tail)
{
    double most = 0.0;

    for (float x = -6.0f; x < 6.0f; x += 0x1p-12f) {
        long double want = 0.5L * x * (1.0L + tail(x));
        double error = (double)(fabsl(fn(x) - want) / (fabsl(x) + 0x1p-100L));

        most = error > most ? error : most;
    }
    return most;
}

static long double
erf_of_gelu(long double x)
{
    return erfl(x * M_SQRT1_2l);
}

static long double
tanh_of_gelu(long double x)
{
    return tanhl(sqrtl(M_2_PIl) * (x + 0.044715L * x * x * x));
}

static long double
sigmoid_twice(long double x)
{
    return 2.0L / (1.0L + expl(-x)) - 1.0L;
}

static long double
quick_twice(long double x)
{
    return 2.0L / (1.0L + expl(-1.702L * x)) - 1.0L;
}

static void
within(double error, double limit, const char *what)
{
    if (!CHECK(error <= limit, what))
        printf("# %g\n", error);
}

int
main(void)
{
    enum { STEP = 1021 };

    within(worst(dfx_expf, expl, STEP, 3e38f), 2.0, "exp to 2 ulp");
    within(worst(dfx_tanhf, tanhl, STEP, 3e38f), 2.0, "tanh to 2 ulp");
    within(worst(dfx_erff, erfl, STEP, 3e38f), 2.0, "erf to 2 ulp");
    within(worst(sine, sinl, STEP, 1e5f), 1.0, "sin to 1 ulp");
    within(worst(cosine, cosl, STEP, 1e5f), 1.0, "cos to 1 ulp");
    /* x/2 (1 + t) loses what t's error is of 1: 2^-23 or so. */
    within(worst_gelu(dfx_geluf, erf_of_gelu), 0x1p-22, "gelu");
    within(worst_gelu(dfx_gelu_tanhf, tanh_of_gelu), 0x1p-22, "gelu by tanh");
    within(worst_gelu(dfx_siluf, sigmoid_twice), 0x1p-22, "silu");
    within(worst_gelu(dfx_quick_geluf, quick_twice), 0x1p-21, "quick gelu");
    CHECK(isnan(dfx_expf(NAN)) && isnan(dfx_tanhf(NAN)) && isnan(dfx_erff(NAN)),
          "NaN stays NaN");
    CHECK(dfx_expf(INFINITY) == INFINITY && dfx_expf(-INFINITY) == 0.0f &&
              dfx_tanhf(-INFINITY) == -1.0f && dfx_erff(INFINITY) == 1.0f,
          "infinities");
    CHECK(dfx_expf(0.0f) == 1.0f, "exp(0) is 1");
    return tap_end();
}
