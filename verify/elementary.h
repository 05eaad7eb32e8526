/*
 * elementary.h - elementary functions that give the same bits everywhere
 *
 * C's library rounds log, sin and cos as it likes; these are polynomials, each
 * operation rounded and each fused one written as such, within 2 units in the
 * last place (tests/unit/test_elementary.c compares them with long double).
 */
#ifndef DFX_ELEMENTARY_H
#define DFX_ELEMENTARY_H

#include <math.h>

#include <stddef.h>

/* A polynomial, its coefficients from the highest power down. */
static inline double
dfx_polynomial(double x, const double *coefficients, size_t count)
{
    double sum = coefficients[0];

    for (size_t i = 1; i < count; i++)
        sum = fma(sum, x, coefficients[i]);
    return sum;
}

/* The natural logarithm of a number above 0: x = 2^e m with m from sqrt(1/2) to
   sqrt(2), f = m - 1, s = f / (2 + f), log m = f - f^2/2 + s (f^2/2 + R) where
   R = 2 atanh(s) / s - 2. */
static inline double
dfx_log(double x)
{
    /* 2/3, 2/5 ... of the series of 2 atanh(s) / s. */
    static const double series[] = {2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17,
                                    2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9,
                                    2.0 / 7,  2.0 / 5,  2.0 / 3};
    /* The logarithm of 2 in two parts; times an exponent the first is exact. */
    static const double high = 0x1.62e42fee00000p-1,
                        low = 0x1.a39ef35793c76p-33;
    int e = 0;
    double m = frexp(x, &e), f, s, z, r, half;

    if (m < 0x1.6a09e667f3bcdp-1) { /* sqrt(1/2) */
        m *= 2;
        e--;
    }
    f = m - 1;
    s = f / (2 + f);
    z = s * s;
    r = z * dfx_polynomial(z, series, sizeof series / sizeof series[0]);
    half = 0.5 * f * f;
    return fma(e, high, f - (half - fma(s, half + r, e * low)));
}

/* e to x, which is k log 2 + r with r at most half of log 2 either way. Beyond
   what a double holds it is 0 or infinite. */
static inline double
dfx_exp(double x)
{
    /* 1/n! from 1/13! down to 1/2!. */
    static const double series[] = {
        1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
        1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
        1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
    static const double high = 0x1.62e42fee00000p-1,
                        low = 0x1.a39ef35793c76p-33;
    double k, r, rest, p;

    if (!(x > -746))
        return isnan(x) ? x : 0;
    if (x > 710)
        return HUGE_VAL;
    k = floor(x * 0x1.71547652b82fep+0 + 0.5); /* 1 / log 2 */
    r = fma(-k, high, x);
    rest = -k * low;
    p = r + rest;
    p = fma(p * p, dfx_polynomial(p, series, sizeof series / sizeof series[0]),
            rest) +
        r;
    return ldexp(1 + p, (int)k);
}

/* x to the power y; x is above 0. Within what log loses times y. */
static inline double
dfx_pow(double x, double y)
{
    return dfx_exp(y * dfx_log(x));
}

/* Sine and cosine of 2 pi turns, 0 <= turns <= 2: a quarter is taken off
   exactly, and what is left is at most an eighth either way. */
static inline void
dfx_sincos_turns(double turns, double *sine, double *cosine)
{
    /* 1/n! with their signs, of sin x / x and cos x in x^2. */
    static const double sines[] = {1.0 / 355687428096000,
                                   -1.0 / 1307674368000,
                                   1.0 / 6227020800,
                                   -1.0 / 39916800,
                                   1.0 / 362880,
                                   -1.0 / 5040,
                                   1.0 / 120,
                                   -1.0 / 6};
    static const double cosines[] = {-1.0 / 6402373705728000,
                                     1.0 / 20922789888000,
                                     -1.0 / 87178291200,
                                     1.0 / 479001600,
                                     -1.0 / 3628800,
                                     1.0 / 40320,
                                     -1.0 / 720,
                                     1.0 / 24};
    /* 2 pi in two parts. */
    static const double high = 0x1.921fb54442d18p+2,
                        low = 0x1.1a62633145c07p-52;
    double quarters = floor(4 * turns + 0.5);
    double left = turns - 0.25 * quarters;
    double x = left * high, rest = fma(left, high, -x) + left * low;
    double z = x * x;
    double s = fma(x * z, dfx_polynomial(z, sines, 8), x);
    double c = 1 - fma(-z * z, dfx_polynomial(z, cosines, 8), 0.5 * z);
    int quadrant = (int)quarters & 3;

    /* What x lacks of the angle, to the first order. */
    s += rest * (1 - 0.5 * z);
    c -= rest * x;
    *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
    *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

#endif
