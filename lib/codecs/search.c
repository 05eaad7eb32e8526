/*
 * search.c - scales for which few codes say numbers best
 */
#include <config.h>

#include "codecs/search.h"

#include "codecs/numbers.h"

#include <math.h>
#include <string.h>

/* Numbers below it are as good as 0 (ggml's GROUP_MAX_EPS). */
static const float TINY = 1e-15f;

static void
clear(int count, void *codes)
{
    memset(codes, 0, count > 0 ? (size_t)count : 0);
}

/* How well codes fit: the best scale for them is product / square. */
typedef struct fit {
    float product; /* of numbers and codes, weighed */
    float square;  /* of codes, weighed */
} fit;

static fit
try_symmetric(int count, int n, const float *x, const float *weights,
              float inverse, int8_t *codes)
{
    fit f = {0, 0};

    for (int i = 0; i < count; i++) {
        int code = dfx_nearest_code(inverse * x[i], -n, n - 1);

        codes[i] = (int8_t)code;
        f.product += weights[i] * x[i] * (float)code;
        f.square += weights[i] * (float)code * (float)code;
    }
    return f;
}

float
dfx_search_symmetric(int count, int n, const float *x, const float *weights,
                     int8_t *codes)
{
    float max = dfx_farthest(count, x), scale, best;
    fit f;

    clear(count, codes);
    if (fabsf(max) < TINY)
        return 0;
    f = try_symmetric(count, n, x, weights, (float)-n / max, codes);
    scale = f.square > 0 ? f.product / f.square : 0;
    best = scale * f.product;
    for (int k = -9; k <= 9; k++) {
        int8_t other[DFX_SEARCH_MAX];

        if (k == 0)
            continue;
        f = try_symmetric(count, n, x, weights,
                          -((float)n + 0.1f * (float)k) / max, other);
        if (f.square > 0 && f.product * f.product > best * f.square) {
            memcpy(codes, other, (size_t)count);
            scale = f.product / f.square;
            best = scale * f.product;
        }
    }
    return scale;
}

/* What a line through codes and numbers is made of. */
typedef struct line {
    float codes, squares, products; /* sums over codes, weighed */
} line;

static line
try_ranged(int count, int most, const float *x, const float *weights,
           float inverse, float low, uint8_t *codes)
{
    line s = {0, 0, 0};

    for (int i = 0; i < count; i++) {
        int code = dfx_nearest_code(inverse * (x[i] - low), 0, most);
        float l = (float)code;

        codes[i] = (uint8_t)code;
        s.codes += weights[i] * l;
        s.squares += weights[i] * l * l;
        s.products += weights[i] * l * x[i];
    }
    return s;
}

static float
error_ranged(int count, const float *x, const float *weights, float scale,
             float low, const uint8_t *codes, bool absolute)
{
    float sum = 0;

    for (int i = 0; i < count; i++) {
        float e = scale * (float)codes[i] + low - x[i];

        e = absolute ? fabsf(e) : e * e;
        sum += weights[i] * e;
    }
    return sum;
}

float
dfx_search_ranged(int count, int most, const float *x, const float *weights,
                  const dfx_ranged_search *search, uint8_t *codes, float *min)
{
    float low = x[0], high = x[0], scale, inverse, best;
    float weight = weights[0], sum = weights[0] * x[0];

    for (int i = 1; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        weight += weights[i];
        sum += weights[i] * x[i];
    }
    low = low > 0 ? 0 : low;
    if (high == low) {
        clear(count, codes);
        *min = -low;
        return 0;
    }
    inverse = (float)most / (high - low);
    scale = 1 / inverse;
    (void)try_ranged(count, most, x, weights, inverse, low, codes);
    best = error_ranged(count, x, weights, scale, low, codes, search->absolute);
    for (int k = 0; k <= search->steps; k++) {
        uint8_t other[DFX_SEARCH_MAX];
        float determinant, s, m, e;
        line l;

        inverse = (search->least + search->step * (float)k + (float)most) /
                  (high - low);
        l = try_ranged(count, most, x, weights, inverse, low, other);
        determinant = weight * l.squares - l.codes * l.codes;
        if (!(determinant > 0))
            continue;
        s = (weight * l.products - sum * l.codes) / determinant;
        m = (l.squares * sum - l.codes * l.products) / determinant;
        if (m > 0) {
            m = 0;
            s = l.products / l.squares;
        }
        e = error_ranged(count, x, weights, s, m, other, search->absolute);
        if (e < best) {
            memcpy(codes, other, (size_t)count);
            best = e;
            scale = s;
            low = m;
        }
    }
    *min = -low;
    return scale;
}

/* Moves single codes to where the others' scale wants them, while that helps.
   least .. most are the codes; square must stay above 0 if strict. */
static float
improve(int count, const float *x, const float *weights, int least, int most,
        bool strict, fit f, int8_t *codes)
{
    for (int round = 0; round < DFX_SEARCH_ROUNDS; round++) {
        bool changed = false;

        for (int i = 0; i < count; i++) {
            float w = weights[i], l = (float)codes[i];
            float product = f.product - w * x[i] * l;
            float square = f.square - w * l * l;
            int code;

            if (!(product > 0 && square > 0))
                continue;
            code = dfx_nearest_code(x[i] * square / product, least, most);
            if (code == codes[i])
                continue;
            product += w * x[i] * (float)code;
            square += w * (float)code * (float)code;
            if ((!strict || square > 0) &&
                product * product * f.square > f.product * f.product * square) {
                codes[i] = (int8_t)code;
                f = (fit){product, square};
                changed = true;
            }
        }
        if (!changed)
            break;
    }
    return f.square > 0 ? f.product / f.square : 0;
}

/* The weighed error of codes by an inverse scale. */
static float
error_positive(int count, int most, const float *x, const float *weights,
               float inverse, bool capped)
{
    float scale = 1 / inverse, sum = 0;

    for (int i = 0; i < count; i++) {
        int code = dfx_nearest_int(inverse * x[i]);
        float e;

        if (capped && code > most)
            code = most;
        e = x[i] - scale * (float)code;
        sum += weights[i] * e * e;
    }
    return sum;
}

float
dfx_search_positive(int count, int most, const float *x, const float *weights,
                    uint8_t *codes)
{
    float max = 0, inverse, best;
    int8_t found[DFX_SEARCH_MAX];
    fit f = {0, 0};
    float scale;

    clear(count, codes);
    for (int i = 0; i < count; i++)
        max = x[i] > max ? x[i] : max;
    if (max < TINY)
        return 0;
    inverse = (float)most / max;
    best = error_positive(count, most, x, weights, inverse, false);
    for (int k = -4; k <= 4; k++) {
        float other = (0.1f * (float)k + (float)most) / max, e;

        if (k == 0)
            continue;
        e = error_positive(count, most, x, weights, other, true);
        if (e < best) {
            best = e;
            inverse = other;
        }
    }
    for (int i = 0; i < count; i++) {
        int code = dfx_nearest_code(inverse * x[i], 0, most);
        float l;

        found[i] = (int8_t)code;
        l = (float)code;
        f.product += weights[i] * x[i] * l;
        f.square += weights[i] * l * l;
    }
    scale = improve(count, x, weights, 0, most, false, f, found);
    for (int i = 0; i < count; i++)
        codes[i] = (uint8_t)found[i];
    return scale;
}

float
dfx_search_three_bits(int count, const float *x, int8_t *codes)
{
    float max = dfx_farthest(count, x), weights[DFX_SEARCH_MAX];

    clear(count, codes);
    if (fabsf(max) < TINY)
        return 0;
    for (int i = 0; i < count; i++)
        weights[i] = x[i] * x[i];
    return improve(count, x, weights, -4, 3, true,
                   try_symmetric(count, 4, x, weights, -4 / max, codes), codes);
}
