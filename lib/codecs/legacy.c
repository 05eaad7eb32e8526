/*
 * legacy.c - Q4_0 to Q8_1: 32 numbers, one scale, perhaps a minimum
 *
 * Codes of 4 bits lie in pairs: element j in the low half of byte j, element
 * j + 16 in the high one. Fifth bits are those of a 32-bit number.
 */
#include <config.h>

#include <math.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/numbers.h"
#include "codecs/search.h"

enum { ELEMENTS = 32, HALF = 16 };

static uint32_t
load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
           (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void
dfx_decode_Q4_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += ELEMENTS) {
        float d = dfx_half_load(b);

        for (int j = 0; j < HALF; j++) {
            out[j] = (float)((b[2 + j] & 15) - 8) * d;
            out[j + HALF] = (float)((b[2 + j] >> 4) - 8) * d;
        }
    }
}

void
dfx_decode_Q4_1(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 20, out += ELEMENTS) {
        float d = dfx_half_load(b), m = dfx_half_load(b + 2);

        for (int j = 0; j < HALF; j++) {
            out[j] = (float)(b[4 + j] & 15) * d + m;
            out[j + HALF] = (float)(b[4 + j] >> 4) * d + m;
        }
    }
}

/* The code of 5 bits of element j. */
static int
code5(const uint8_t *low, uint32_t high, int j)
{
    int nibble = j < HALF ? low[j] & 15 : low[j - HALF] >> 4;

    return nibble | (int)(high >> j & 1) << 4;
}

void
dfx_decode_Q5_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 22, out += ELEMENTS) {
        float d = dfx_half_load(b);
        uint32_t high = load_u32(b + 2);

        for (int j = 0; j < ELEMENTS; j++)
            out[j] = (float)(code5(b + 6, high, j) - 16) * d;
    }
}

void
dfx_decode_Q5_1(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 24, out += ELEMENTS) {
        float d = dfx_half_load(b), m = dfx_half_load(b + 2);
        uint32_t high = load_u32(b + 4);

        for (int j = 0; j < ELEMENTS; j++)
            out[j] = (float)code5(b + 8, high, j) * d + m;
    }
}

void
dfx_decode_Q8_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 34, out += ELEMENTS) {
        float d = dfx_half_load(b);

        for (int j = 0; j < ELEMENTS; j++)
            out[j] = (float)(int8_t)b[2 + j] * d;
    }
}

/* Its second half, the sum of the codes times d, serves products alone. */
void
dfx_decode_Q8_1(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 36, out += ELEMENTS) {
        float d = dfx_half_load(b);

        for (int j = 0; j < ELEMENTS; j++)
            out[j] = (float)(int8_t)b[4 + j] * d;
    }
}

/* ---- Encoding -------------------------------------------------------------
 */

/* The whole number below v, within 0 .. most. */
static int
floor_code(float v, int most)
{
    if (!(v > 0))
        return 0;
    return v < (float)most ? (int)v : most;
}

/* Codes of 4 or 5 bits to their places; high is NULL for 4. */
static void
put_codes(const uint8_t *codes, uint8_t *low, uint8_t *high)
{
    for (int j = 0; j < HALF; j++)
        low[j] = (uint8_t)((codes[j] & 15) | (codes[j + HALF] & 15) << 4);
    for (int i = 0; high != NULL && i < 4; i++) {
        unsigned bits = 0;

        for (int k = 0; k < 8; k++)
            bits |= (unsigned)(codes[8 * i + k] >> 4) << k;
        high[i] = (uint8_t)bits;
    }
}

/* Weights of importance: larger numbers count more, the more so in a row of
   small ones. sigma2 is the mean square of the row. */
static void
weigh(const float *x, const float *importance, float sigma2, float *weights)
{
    for (int j = 0; j < ELEMENTS; j++)
        weights[j] =
            dfx_sane_weight(importance[j]) * sqrtf(sigma2 + x[j] * x[j]);
}

static float
mean_square(const float *row, size_t columns)
{
    float sum = 0;

    for (size_t i = 0; i < columns; i++)
        sum += row[i] * row[i];
    return sum / (float)columns;
}

/* Signed codes around the middle: n is 8 of Q4_0, 16 of Q5_0. */
static bool
encode_signed(const float *x, const float *importance, uint8_t *b, size_t count,
              int n, size_t bytes)
{
    float sigma2 = importance != NULL ? mean_square(x, count) : 0;
    bool fits = true;

    for (size_t i = 0; i < count; i += ELEMENTS, x += ELEMENTS, b += bytes) {
        uint8_t codes[ELEMENTS];
        float d;

        if (importance != NULL) {
            float weights[ELEMENTS];
            int8_t found[ELEMENTS];

            fits = dfx_searchable(ELEMENTS, x) && fits;
            weigh(x, importance + i, sigma2, weights);
            d = dfx_search_symmetric(ELEMENTS, n, x, weights, found);
            for (int j = 0; j < ELEMENTS; j++)
                codes[j] = (uint8_t)(found[j] + n);
        } else {
            float id;

            d = dfx_farthest(ELEMENTS, x) / (float)-n;
            id = dfx_inverse(d);
            for (int j = 0; j < ELEMENTS; j++)
                codes[j] =
                    (uint8_t)floor_code(x[j] * id + (float)n + 0.5f, 2 * n - 1);
        }
        fits = dfx_half_store(b, d) && fits;
        if (n == 8)
            put_codes(codes, b + 2, NULL);
        else
            put_codes(codes, b + 6, b + 2);
    }
    return fits;
}

bool
dfx_encode_Q4_0(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    return encode_signed(x, importance, b, count, 8, 18);
}

bool
dfx_encode_Q5_0(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    return encode_signed(x, importance, b, count, 16, 22);
}

/* Codes from a minimum on: most is 15 of Q4_1, 31 of Q5_1. */
static bool
encode_ranged(const float *x, const float *importance, uint8_t *b, size_t count,
              int most, size_t bytes)
{
    static const dfx_ranged_search search = {-0.9f, 0.05f, 36, false};
    float sigma2 = importance != NULL ? mean_square(x, count) : 0;
    bool fits = true;

    for (size_t i = 0; i < count; i += ELEMENTS, x += ELEMENTS, b += bytes) {
        uint8_t codes[ELEMENTS];
        float d, min = x[0], max = x[0];

        if (importance != NULL) {
            float weights[ELEMENTS];

            fits = dfx_searchable(ELEMENTS, x) && fits;
            weigh(x, importance + i, sigma2, weights);
            d = dfx_search_ranged(ELEMENTS, most, x, weights, &search, codes,
                                  &min);
            min = -min;
        } else {
            float id;

            for (int j = 1; j < ELEMENTS; j++) {
                min = x[j] < min ? x[j] : min;
                max = x[j] > max ? x[j] : max;
            }
            d = (max - min) / (float)most;
            id = dfx_inverse(d);
            for (int j = 0; j < ELEMENTS; j++)
                codes[j] = (uint8_t)floor_code((x[j] - min) * id + 0.5f, most);
        }
        fits = dfx_half_store(b, d) && fits;
        fits = dfx_half_store(b + 2, min) && fits;
        if (most == 15)
            put_codes(codes, b + 4, NULL);
        else
            put_codes(codes, b + 8, b + 4);
    }
    return fits;
}

bool
dfx_encode_Q4_1(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    return encode_ranged(x, importance, b, count, 15, 20);
}

bool
dfx_encode_Q5_1(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    return encode_ranged(x, importance, b, count, 31, 24);
}

/* Nothing is to be chosen but the scale, whatever the importance. */
bool
dfx_encode_Q8_0(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= ELEMENTS, x += ELEMENTS, b += 34) {
        float d = dfx_greatest(ELEMENTS, x) / 127, id = dfx_inverse(d);

        fits = dfx_half_store(b, d) && fits;
        for (int j = 0; j < ELEMENTS; j++)
            b[2 + j] = (uint8_t)(int8_t)roundf(x[j] * id);
    }
    return fits;
}
