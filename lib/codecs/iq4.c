/*
 * iq4.c - IQ4_NL and IQ4_XS: codes of 4 bits that name unequal steps
 */
#include <config.h>

#include <math.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/numbers.h"
#include "codecs/search.h"

static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

void
dfx_decode_IQ4_NL(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += 32) {
        float d = dfx_half_load(b);

        for (int j = 0; j < 16; j++) {
            out[j] = d * (float)values[b[2 + j] & 15];
            out[j + 16] = d * (float)values[b[2 + j] >> 4];
        }
    }
}

void
dfx_decode_IQ4_XS(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 136, out += 256) {
        float d = dfx_half_load(b);
        int high = b[2] | b[3] << 8;

        for (int g = 0; g < 8; g++) {
            int scale = (b[4 + g / 2] >> 4 * (g % 2) & 15) | (high >> 2 * g & 3)
                                                                 << 4;
            float step = d * (float)(scale - 32);

            for (int j = 0; j < 16; j++) {
                uint8_t pair = b[8 + 16 * g + j];

                out[32 * g + j] = step * (float)values[pair & 15];
                out[32 * g + 16 + j] = step * (float)values[pair >> 4];
            }
        }
    }
}

/* ---- Encoding -------------------------------------------------------------
 */

/* The code whose value is nearest; of two as near the upper one. */
static unsigned
near(float v)
{
    unsigned upper = 1;

    if (v <= (float)values[0])
        return 0;
    if (v >= (float)values[15])
        return 15;
    while (v >= (float)values[upper])
        upper++;
    return v - (float)values[upper - 1] < (float)values[upper] - v ? upper - 1
                                                                   : upper;
}

/* The scale for which values times it are nearest to 32 numbers. */
static float
search(const float *x, const float *weights)
{
    float max = dfx_farthest(32, x), scale = 0, best = 0;

    if (fabsf(max) < 1e-15f) /* ggml's GROUP_MAX_EPS */
        return 0;
    for (int k = -8; k <= 7; k++) {
        /* First without a shift, then shifted by -7 to 7. */
        float inverse = k == -8 ? 1 / (-max / (float)values[0])
                                : ((float)k + (float)values[0]) / max;
        float product = 0, square = 0;

        for (int i = 0; i < 32; i++) {
            float q = (float)values[near(inverse * x[i])];

            product += weights[i] * q * x[i];
            square += weights[i] * q * q;
        }
        if (k == -8 ? square > 0
                    : square > 0 && product * product > best * square) {
            scale = product / square;
            best = scale * product;
        }
    }
    return scale;
}

/* Weights of 32 numbers; sigma2 counts where there is an importance. */
static void
weigh(const float *x, const float *importance, float sigma2, float *weights)
{
    for (int i = 0; i < 32; i++)
        weights[i] = importance != NULL ? dfx_sane_weight(importance[i]) *
                                              sqrtf(sigma2 + x[i] * x[i])
                                        : x[i] * x[i];
}

static float
squares(const float *x, int count)
{
    float sum = 0;

    for (int i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

static void
put_pairs(const float *x, float inverse, uint8_t *out)
{
    for (int j = 0; j < 16; j++)
        out[j] =
            (uint8_t)(near(inverse * x[j]) | near(inverse * x[j + 16]) << 4);
}

bool
dfx_encode_IQ4_NL(const float *x, const float *importance, uint8_t *b,
                  size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += 32, x += 32, b += 18) {
        float weights[32], scale;

        weigh(x, importance != NULL ? importance + at : NULL,
              squares(x, 32) * (2.0f / 32), weights);
        scale = search(x, weights);
        fits = dfx_half_store(b, scale) && dfx_searchable(32, x) && fits;
        put_pairs(x, scale != 0 ? 1 / scale : 0, b + 2);
    }
    return fits;
}

static bool
encode_xs(const float *x, const float *importance, uint8_t *b)
{
    float sigma2 = squares(x, 256) * (2.0f / 256);
    float scales[8], d, inverse;
    unsigned high = 0;

    for (int g = 0; g < 8; g++) {
        float weights[32];

        weigh(x + 32 * g, importance != NULL ? importance + 32 * g : NULL,
              sigma2, weights);
        scales[g] = search(x + 32 * g, weights);
    }
    d = -dfx_farthest(8, scales) / 32;
    inverse = d != 0 ? 1 / d : 0;
    for (int g = 0; g < 4; g++)
        b[4 + g] = 0;
    for (int g = 0; g < 8; g++) {
        int code = dfx_nearest_code(inverse * scales[g], -32, 31);
        float step = d * (float)code;

        put_pairs(x + 32 * g, step != 0 ? 1 / step : 0, b + 8 + 16 * g);
        code += 32;
        b[4 + g / 2] |= (uint8_t)((code & 15) << g % 2 * 4);
        high |= (unsigned)(code >> 4) << 2 * g;
    }
    b[2] = (uint8_t)high;
    b[3] = (uint8_t)(high >> 8);
    return dfx_half_store(b, d) && dfx_searchable(256, x);
}

bool
dfx_encode_IQ4_XS(const float *x, const float *importance, uint8_t *b,
                  size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += 256, b += 136)
        fits =
            encode_xs(x + at, importance != NULL ? importance + at : NULL, b) &&
            fits;
    return fits;
}
