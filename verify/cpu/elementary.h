/*
 * elementary.h - exp, tanh, erf and what networks make of them
 *
 * Written once with explicit fma, so that every compiler and machine gives the
 * same bits; within 2 ulp (tests/unit/test_functions.c, against double).
 * Polynomials are Taylor's where that is exact enough; the others were fitted
 * with mpmath.chebyfit at 40 digits over the range that stands beside them.
 */
#ifndef DFX_CPU_ELEMENTARY_H
#define DFX_CPU_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^n, n from -126 to 127. */
static inline float
dfx_pow2i(int32_t n)
{
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/*
 * exp(x) = 2^n exp(r), |r| <= ln 2 / 2, where Taylor to r^7 leaves less than
 * 2^-27. 2^n is two factors, so that results below 2^-126 round once. No
 * branch, so that loops over it become lanes.
 */
static inline float
dfx_expf(float x)
{
    static const float log2e = 0x1.715476p+0f;
    static const float ln2_high = 0x1.62e4p-1f; /* in two parts */
    static const float ln2_low = 0x1.7f7d1cp-20f;
    static const float to_integer = 0x1.8p+23f; /* adding it rounds to even */
    /* From half of 2^-149, which is 0, to more than there is. */
    float above = x > -104.0f ? x : -104.0f;
    float within = above < 89.0f ? above : 89.0f;
    float n = fmaf(within, log2e, to_integer) - to_integer;
    int32_t whole = (int32_t)n; /* -150 .. 128 */
    int32_t half = whole / 2;
    float r = fmaf(n, -ln2_high, within);
    float p;

    r = fmaf(n, -ln2_low, r);
    p = 1.0f / 5040.0f;
    p = fmaf(p, r, 1.0f / 720.0f);
    p = fmaf(p, r, 1.0f / 120.0f);
    p = fmaf(p, r, 1.0f / 24.0f);
    p = fmaf(p, r, 1.0f / 6.0f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    p = p * dfx_pow2i(half) * dfx_pow2i(whole - half);
    return x == x ? p : x;
}

/* |x| <= 0.625: x + x z P(z), z = x^2; else 1 - 2 / (exp(2x) + 1). */
static inline float
dfx_tanhf(float x)
{
    float magnitude = fabsf(x);
    float z = x * x;
    float p;

    if (magnitude > 0.625f)
        return copysignf(1.0f - 2.0f / (dfx_expf(magnitude + magnitude) + 1.0f),
                         x);
    p = 0.00229274481618f;
    p = fmaf(p, z, -0.00834394551584f);
    p = fmaf(p, z, 0.021768918651f);
    p = fmaf(p, z, -0.0539592595772f);
    p = fmaf(p, z, 0.133333035569f);
    p = fmaf(p, z, -0.333333331721f);
    return fmaf(x * z, p, x);
}

/* |x| <= 1: x + x P(x^2). To 4: 1 - exp(-Q(|x|)), Q = -ln(erfc). */
static inline float
dfx_erff(float x)
{
    float a = fabsf(x);
    float z = x * x;
    float p;

    if (a > 4.0f) /* 1 - erf < 2^-25 */
        return copysignf(1.0f, x);
    if (a > 1.0f) {
        p = -1.63715141459e-6f;
        p = fmaf(p, a, 4.60580426892e-5f);
        p = fmaf(p, a, -0.000596805625661f);
        p = fmaf(p, a, 0.00475959629327f);
        p = fmaf(p, a, -0.0264211360057f);
        p = fmaf(p, a, 0.110080082949f);
        p = fmaf(p, a, 0.631826051559f);
        p = fmaf(p, a, 1.13023343484f);
        p = fmaf(p, a, -0.000320138049678f);
        return copysignf(1.0f - dfx_expf(-p), x);
    }
    p = 7.87587506269e-5f;
    p = fmaf(p, z, -0.000801686428717f);
    p = fmaf(p, z, 0.00518908742343f);
    p = fmaf(p, z, -0.0268542120106f);
    p = fmaf(p, z, 0.112835947152f);
    p = fmaf(p, z, -0.376126266667f);
    p = fmaf(p, z, 0.128379165848f);
    return fmaf(x, p, x);
}

/*
 * sin and cos of an angle up to 1e6 or so, which the embeddings of timesteps
 * need: a few hundred numbers a step, so in double, where Taylor over a quarter
 * of a turn and one rounding at the end do.
 */
static inline void
dfx_sincosf(float x, float *sine, float *cosine)
{
    static const double two_over_pi = 0x1.45f306dc9c883p-1;
    static const double half_pi_high = 0x1.921fb54442d18p+0;
    static const double half_pi_low = 0x1.1a62633145c07p-54;
    static const double to_integer = 0x1.8p+52;
    double n = fma((double)x, two_over_pi, to_integer) - to_integer;
    double r = fma(n, -half_pi_low, fma(n, -half_pi_high, (double)x));
    double z = r * r, s = 1.0, c = 1.0;

    for (int k = 17; k > 1; k -= 2) /* 1 - z/(2 3) (1 - z/(4 5) (1 - ... */
        s = fma(-z / (double)(k * (k - 1)), s, 1.0);
    for (int k = 16; k > 0; k -= 2)
        c = fma(-z / (double)(k * (k - 1)), c, 1.0);
    s *= r;
    if (!(fabsf(x) <= 0x1p30f)) { /* its sine is noise; NaN comes here, too */
        *sine = *cosine = NAN;
        return;
    }
    switch ((int64_t)n & 3) {
    case 0:
        *sine = (float)s, *cosine = (float)c;
        break;
    case 1:
        *sine = (float)c, *cosine = (float)-s;
        break;
    case 2:
        *sine = (float)-s, *cosine = (float)-c;
        break;
    default:
        *sine = (float)-c, *cosine = (float)s;
    }
}

static inline float
dfx_siluf(float x)
{
    return x / (1.0f + dfx_expf(-x));
}

static inline float
dfx_quick_geluf(float x)
{
    return x / (1.0f + dfx_expf(-1.702f * x));
}

static inline float
dfx_geluf(float x)
{
    return 0.5f * x * (1.0f + dfx_erff(x * 0x1.6a09e6p-1f)); /* sqrt(1/2) */
}

static inline float
dfx_gelu_tanhf(float x)
{
    float inner = fmaf(0.044715f * x * x, x, x) * 0x1.988454p-1f;

    return 0.5f * x * (1.0f + dfx_tanhf(inner)); /* sqrt(2/pi) above */
}

#endif
