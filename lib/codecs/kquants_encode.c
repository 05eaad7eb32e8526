/*
 * kquants_encode.c - numbers to Q2_K .. Q6_K, by ggml's searches
 *
 * A search finds a scale (and minimum) for each group; these become small
 * integers times one scale of all; then every number is coded anew with what
 * was kept of them.
 */
#include <config.h>

#include <math.h>
#include <string.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/kquants.h"
#include "codecs/numbers.h"
#include "codecs/scales.h"
#include "codecs/search.h"

enum { ELEMENTS = 256, GROUPS = 16 }; /* at most */

/* The sum of squares of a block. */
static float
squares(const float *x)
{
    float sum = 0;

    for (int i = 0; i < ELEMENTS; i++)
        sum += x[i] * x[i];
    return sum;
}

/* Of a group: importance times how much a number sticks out of sigma2. */
static void
weigh(const float *x, const float *importance, float sigma2, int size,
      float *weights)
{
    for (int i = 0; i < size; i++)
        weights[i] =
            dfx_sane_weight(importance[i]) * sqrtf(sigma2 + x[i] * x[i]);
}

static float
total(const float *weights, int size)
{
    float sum = 0;

    for (int i = 0; i < size; i++)
        sum += weights[i];
    return sum;
}

/* ---- Scales and minimums: Q2_K, Q4_K, Q5_K --------------------------------
 */

/* A block on its way. */
typedef struct ranged_block {
    uint8_t codes[ELEMENTS];
    uint8_t scales[GROUPS], mins[GROUPS]; /* codes */
    float d, dmin;                        /* as they are kept */
    bool fits;
} ranged_block;

static void
weigh_ranged(const dfx_ranged_type *t, const float *x, const float *importance,
             float sum, float *weights)
{
    if (importance != NULL) {
        weigh(x, importance, t->sigma * sum / ELEMENTS, t->size, weights);
    } else if (t->size == 16) {
        for (int i = 0; i < t->size; i++)
            weights[i] = fabsf(x[i]);
    } else {
        float sigma = 0;

        for (int i = 0; i < t->size; i++)
            sigma += x[i] * x[i];
        sigma = sqrtf(sigma / (float)t->size);
        for (int i = 0; i < t->size; i++)
            weights[i] = sigma + fabsf(x[i]);
    }
}

/* Codes of scales by the greatest one; returns the scale of scales. */
static float
code_by_greatest(int groups, int most, const float *scales, uint8_t *codes)
{
    float max = 0, inverse;

    for (int g = 0; g < groups; g++) {
        max = scales[g] > max ? scales[g] : max;
        codes[g] = 0;
    }
    if (!(max > 0))
        return 0;
    inverse = (float)most / max;
    for (int g = 0; g < groups; g++)
        codes[g] = (uint8_t)dfx_nearest_code(inverse * scales[g], 0, most);
    return max / (float)most;
}

/* Every number by the scales that were kept. */
static void
code_again(const dfx_ranged_type *t, const float *x, ranged_block *b)
{
    for (int i = 0; i < ELEMENTS; i++) {
        int g = i / t->size;
        float scale = b->d * (float)b->scales[g];
        float min = b->dmin * (float)b->mins[g];

        if (scale != 0)
            b->codes[i] =
                (uint8_t)dfx_nearest_code((x[i] + min) / scale, 0, t->most);
    }
}

static void
encode_ranged(const dfx_ranged_type *t, const float *x, const float *importance,
              ranged_block *b)
{
    int groups = ELEMENTS / t->size;
    float scales[GROUPS], mins[GROUPS], sums[GROUPS], d, dmin;
    float sum = importance != NULL ? squares(x) : 0;
    uint8_t half[2];

    for (int g = 0; g < groups; g++) {
        const float *from = x + t->size * g;
        float weights[DFX_SEARCH_MAX];

        weigh_ranged(t, from,
                     importance != NULL ? importance + t->size * g : NULL, sum,
                     weights);
        sums[g] = total(weights, t->size);
        scales[g] =
            dfx_search_ranged(t->size, t->most, from, weights,
                              importance != NULL ? &t->weighed : &t->plain,
                              b->codes + t->size * g, &mins[g]);
    }
    if (importance != NULL) {
        d = dfx_search_positive(groups, t->most_scale, scales, sums, b->scales);
        dmin = dfx_search_positive(groups, t->most_scale, mins, sums, b->mins);
    } else {
        d = code_by_greatest(groups, t->most_scale, scales, b->scales);
        dmin = code_by_greatest(groups, t->most_scale, mins, b->mins);
    }
    b->fits = dfx_half_store(half, d) && dfx_searchable(ELEMENTS, x);
    b->d = dfx_half_load(half);
    b->fits = dfx_half_store(half, dmin) && b->fits;
    b->dmin = dfx_half_load(half);
    code_again(t, x, b);
}

bool
dfx_encode_Q2_K(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, b += 84) {
        ranged_block r;

        encode_ranged(&dfx_ranged_Q2_K, x + at,
                      importance != NULL ? importance + at : NULL, &r);
        for (int g = 0; g < 16; g++)
            b[g] = (uint8_t)(r.scales[g] | r.mins[g] << 4);
        memset(b + 16, 0, 64);
        for (int i = 0; i < ELEMENTS; i++)
            b[16 + i / 128 * 32 + i % 32] |=
                (uint8_t)(r.codes[i] << i % 128 / 32 * 2);
        (void)dfx_half_store(b + 80, r.d);
        (void)dfx_half_store(b + 82, r.dmin);
        fits = r.fits && fits;
    }
    return fits;
}

/* What Q4_K and Q5_K share: the two halves, 12 bytes of scales, nibbles. */
static void
put_q45(const ranged_block *r, uint8_t *head, uint8_t *low)
{
    (void)dfx_half_store(head, r->d);
    (void)dfx_half_store(head + 2, r->dmin);
    memset(head + 4, 0, 12);
    for (int g = 0; g < 8; g++)
        dfx_pair6_store(head + 4, g, (dfx_pair6){r->scales[g], r->mins[g]});
    memset(low, 0, 128);
    for (int i = 0; i < ELEMENTS; i++)
        low[i / 64 * 32 + i % 32] |=
            (uint8_t)((r->codes[i] & 15) << i / 32 % 2 * 4);
}

bool
dfx_encode_Q4_K(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, b += 144) {
        ranged_block r;

        encode_ranged(&dfx_ranged_Q4_K, x + at,
                      importance != NULL ? importance + at : NULL, &r);
        put_q45(&r, b, b + 16);
        fits = r.fits && fits;
    }
    return fits;
}

bool
dfx_encode_Q5_K(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, b += 176) {
        ranged_block r;

        encode_ranged(&dfx_ranged_Q5_K, x + at,
                      importance != NULL ? importance + at : NULL, &r);
        put_q45(&r, b, b + 48);
        memset(b + 16, 0, 32);
        for (int i = 0; i < ELEMENTS; i++)
            b[16 + i % 32] |= (uint8_t)(r.codes[i] >> 4 << i / 32);
        fits = r.fits && fits;
    }
    return fits;
}

/* ---- Signed scales: Q3_K, Q6_K ---------------------------------------------
 */

/* Every number by the scales that were kept, codes -n .. n - 1. */
static void
code_signed_again(const float *x, const int8_t *scales, float d, int n,
                  int8_t *codes)
{
    for (int i = 0; i < ELEMENTS; i++) {
        float scale = d * (float)scales[i / 16];

        if (scale != 0)
            codes[i] = (int8_t)dfx_nearest_code(x[i] / scale, -n, n - 1);
    }
}

/* Scales of Q3_K as integers -32 .. 31; returns the scale of scales. */
static float
scales_q3(const float *scales, const float *sums, int8_t *out)
{
    float max, inverse;

    if (sums != NULL)
        return dfx_search_symmetric(GROUPS, 32, scales, sums, out);
    max = dfx_farthest(GROUPS, scales);
    if (max == 0) {
        memset(out, -32, GROUPS);
        return 0;
    }
    inverse = -32 / max;
    for (int g = 0; g < GROUPS; g++)
        out[g] = (int8_t)dfx_nearest_code(inverse * scales[g], -32, 31);
    return 1 / inverse;
}

static bool
encode_q3(const float *x, const float *importance, uint8_t *b)
{
    float scales[GROUPS], sums[GROUPS], sum, d;
    int8_t codes[ELEMENTS], small[GROUPS];
    bool fits;

    sum = importance != NULL ? squares(x) : 0;
    for (int g = 0; g < GROUPS; g++) {
        const float *from = x + 16 * g;
        float weights[16];

        if (importance == NULL) {
            scales[g] = dfx_search_three_bits(16, from, codes + 16 * g);
            continue;
        }
        weigh(from, importance + 16 * g, 2 * sum / ELEMENTS, 16, weights);
        sums[g] = total(weights, 16);
        scales[g] = dfx_search_symmetric(16, 4, from, weights, codes + 16 * g);
    }
    d = scales_q3(scales, importance != NULL ? sums : NULL, small);
    fits = dfx_half_store(b + 108, d) && dfx_searchable(ELEMENTS, x);
    code_signed_again(x, small, dfx_half_load(b + 108), 4, codes);
    memset(b, 0, 108);
    for (int g = 0; g < GROUPS; g++)
        dfx_scale6_store(b + 96, g, small[g]);
    for (int i = 0; i < ELEMENTS; i++) {
        unsigned code = (unsigned)(codes[i] + 4);

        b[i % 32] |= (uint8_t)(code >> 2 << i / 32);
        b[32 + i / 128 * 32 + i % 32] |=
            (uint8_t)((code & 3) << i % 128 / 32 * 2);
    }
    return fits;
}

bool
dfx_encode_Q3_K(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, b += 110)
        fits =
            encode_q3(x + at, importance != NULL ? importance + at : NULL, b) &&
            fits;
    return fits;
}

static bool
encode_q6(const float *x, const float *importance, uint8_t *b)
{
    float scales[GROUPS], max, inverse;
    int8_t codes[ELEMENTS], small[GROUPS];
    bool fits;

    for (int g = 0; g < GROUPS; g++) {
        const float *from = x + 16 * g;
        float weights[16];

        for (int i = 0; i < 16; i++)
            weights[i] = importance != NULL
                             ? dfx_sane_weight(importance[16 * g + i])
                             : from[i] * from[i];
        scales[g] = dfx_search_symmetric(16, 32, from, weights, codes + 16 * g);
    }
    memset(b, 0, 210);
    max = dfx_farthest(GROUPS, scales);
    if (fabsf(max) < 1e-15f) /* ggml's GROUP_MAX_EPS */
        return dfx_searchable(ELEMENTS, x);
    inverse = -128 / max;
    for (int g = 0; g < GROUPS; g++)
        small[g] = (int8_t)dfx_nearest_code(inverse * scales[g], -128, 127);
    fits = dfx_half_store(b + 208, 1 / inverse) && dfx_searchable(ELEMENTS, x);
    code_signed_again(x, small, dfx_half_load(b + 208), 32, codes);
    memcpy(b + 192, small, GROUPS);
    for (int i = 0; i < ELEMENTS; i++) {
        int n = i / 128, c = i % 128 / 32, l = i % 32;
        unsigned code = (unsigned)(codes[i] + 32);

        b[64 * n + l + 32 * (c % 2)] |= (uint8_t)((code & 15) << c / 2 * 4);
        b[128 + 32 * n + l] |= (uint8_t)(code >> 4 << 2 * c);
    }
    return fits;
}

bool
dfx_encode_Q6_K(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, b += 210)
        fits =
            encode_q6(x + at, importance != NULL ? importance + at : NULL, b) &&
            fits;
    return fits;
}
