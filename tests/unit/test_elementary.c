/*
 * test_elementary.c - our elementary functions beside those of long double
 */
#include <config.h>

#include "elementary.h"

#include <math.h>
#include <stdint.h>

#include "scratch.h"
#include "tap.h"

/* How many steps of a double at want got is away. */
static double
steps(double got, long double want)
{
    int e;

    if (want == 0)
        return got == 0 ? 0 : 1e9;
    (void)frexpl(want, &e);
    return (double)(fabsl((long double)got - want) / ldexpl(1, e - 53));
}

static void
test_log(void)
{
    uint64_t seed = 1;
    double worst = 0;

    for (int i = 0; i < 2000000; i++) {
        double u = (double)(scratch_random(&seed) >> 11) * 0x1p-53;
        double x = i % 4 == 0 ? 1 - u * 0x1p-20 : u;

        if (x > 0)
            worst = fmax(worst, steps(dfx_log(x), logl((long double)x)));
    }
    if (!CHECK(worst <= 2, "log of 0 to 1 within 2 steps"))
        printf("# %g\n", worst);
    CHECK(dfx_log(1) == 0, "log 1 is 0");
    worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = ldexp((double)(scratch_random(&seed) >> 11) + 1,
                         (int)(scratch_random(&seed) % 2000) - 1040);

        if (x > 0 && x < HUGE_VAL)
            worst = fmax(worst, steps(dfx_log(x), logl((long double)x)));
    }
    if (!CHECK(worst <= 2, "log of any size within 2 steps"))
        printf("# %g\n", worst);
}

static void
test_exp(void)
{
    uint64_t seed = 3;
    double worst = 0;

    for (int i = 0; i < 1000000; i++) {
        double u = (double)(scratch_random(&seed) >> 11) * 0x1p-53;
        double x = i % 2 == 0 ? 2 * u - 1 : 1400 * u - 700;

        worst = fmax(worst, steps(dfx_exp(x), expl((long double)x)));
    }
    if (!CHECK(worst <= 2, "exp within 2 steps"))
        printf("# %g\n", worst);
    CHECK(dfx_exp(0) == 1 && dfx_exp(-800) == 0 && isinf(dfx_exp(800)) &&
              isnan(dfx_exp(NAN)),
          "its ends");
}

static void
test_sincos(void)
{
    const long double turn = 6.283185307179586476925286766559005768L;
    uint64_t seed = 2;
    double worst = 0, size = 0;

    for (int i = 0; i < 2000000; i++) {
        double u = (double)(scratch_random(&seed) >> 11) * 0x1p-53, s, c;
        long double want_s = sinl(turn * (long double)u);
        long double want_c = cosl(turn * (long double)u);

        dfx_sincos_turns(u, &s, &c);
        size = fmax(size, fabs(s * s + c * c - 1));
        /* Near a zero long double itself is only good to its own last place. */
        if (fabsl(want_s) > 1e-3L)
            worst = fmax(worst, steps(s, want_s));
        if (fabsl(want_c) > 1e-3L)
            worst = fmax(worst, steps(c, want_c));
    }
    if (!CHECK(worst <= 2, "sine and cosine within 2 steps"))
        printf("# %g\n", worst);
    CHECK(size < 1e-15, "... on the circle");
    for (int i = 0; i <= 4; i++) {
        static const double sines[] = {0, 1, 0, -1, 0};
        double s, c;

        dfx_sincos_turns(0.25 * i, &s, &c);
        CHECK(s == sines[i] && c == (i < 4 ? sines[i + 1] : 1),
              "quarters are exact");
    }
}

int
main(void)
{
    test_log();
    test_exp();
    test_sincos();
    return tap_end();
}
