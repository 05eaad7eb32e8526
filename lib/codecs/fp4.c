/*
 * fp4.c - MXFP4 and NVFP4: numbers of 4 bits (E2M1) and a scale of 8
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/numbers.h"

#include <math.h>

/* Twice what the codes mean; code 8 is +0, as in ggml. */
static const int8_t values[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                  0, -1, -2, -3, -4, -6, -8, -12};

/* Half of 2^(e - 127); 255 is not special. */
static float
e8m0_half(uint8_t e)
{
    return e < 2 ? ldexpf(1.0f, e - 128)
                 : dfx_bits_float((uint32_t)(e - 1) << 23);
}

/* Half of the E4M3 number, without its sign. */
static float
ue4m3_half(uint8_t e)
{
    int exponent = e >> 3 & 15, mantissa = e & 7;

    if (e == 0 || e == 0x7f)
        return 0;
    if (exponent == 0)
        return ldexpf((float)mantissa, -10);
    return ldexpf((float)(8 + mantissa), exponent - 11);
}

void
dfx_decode_MXFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 17, out += 32) {
        float d = e8m0_half(b[0]);

        for (int j = 0; j < 16; j++) {
            out[j] = (float)values[b[1 + j] & 15] * d;
            out[j + 16] = (float)values[b[1 + j] >> 4] * d;
        }
    }
}

void
dfx_decode_NVFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 36, out += 64) {
        for (int s = 0; s < 4; s++) {
            float d = ue4m3_half(b[s]);

            for (int j = 0; j < 8; j++) {
                uint8_t pair = b[4 + 8 * s + j];

                out[16 * s + j] = (float)values[pair & 15] * d;
                out[16 * s + 8 + j] = (float)values[pair >> 4] * d;
            }
        }
    }
}

/* ---- Encoding -------------------------------------------------------------
 */

/* The first code whose value is nearest. */
static unsigned
nearest(float x, float d)
{
    unsigned best = 0;
    float least = fabsf((float)values[0] * d - x);

    for (unsigned i = 1; i < 16; i++) {
        float distance = fabsf((float)values[i] * d - x);

        if (distance < least) {
            least = distance;
            best = i;
        }
    }
    return best;
}

/*
 * The exponent that lets the greatest number be a code of 4 and more. ggml
 * takes the logarithm as a float: just below 2^k that rounds to k. It does so
 * within half a step of the floats below k, 2^(m - 24), which is 2^m * ln 2
 * steps of the number's fraction: reach, rounded down, with nothing close to a
 * whole number. So no libm has a say.
 */
static uint8_t
e8m0_of(float most)
{
    static const uint32_t reach[7] = {0, 1, 2, 5, 11, 22, 44};
    uint32_t bits = dfx_float_bits(most);
    int exponent = (int)(bits >> 23) - 127;
    int next = exponent + 1, m;

    if (exponent < -126) /* 0 and subnormals: the least there is */
        return 0;
    if (next != 0) {
        m = 31 - __builtin_clz((unsigned)(next < 0 ? -next : next));
        if (next > 0 && next == 1 << m)
            m--; /* floats below a power of two are closer */
        if (m >= 0 && 0x800000 - (bits & 0x7fffff) <= reach[m > 6 ? 6 : m])
            exponent = next;
    }
    exponent += 127 - 2;
    return exponent > 0 ? (uint8_t)exponent : 0;
}

/* Rounded half up. ggml has no numbers of 256 and more but the greatest. */
static uint8_t
ue4m3_of(float x)
{
    uint32_t bits = dfx_float_bits(x);
    int exponent = (int)(bits >> 23) - 127 + 7, mantissa;

    if (!(x > 0))
        return 0;
    if (exponent <= 0) {
        mantissa = (int)(x * 512 + 0.5f);
        return (uint8_t)(mantissa < 8 ? mantissa : 7);
    }
    mantissa = (int)(bits >> 20 & 7) + (int)(bits >> 19 & 1);
    if (mantissa == 8) {
        mantissa = 0;
        exponent++;
    }
    return (uint8_t)(exponent >= 15 ? 0x7e : exponent << 3 | mantissa);
}

bool
dfx_encode_MXFP4(const float *x, const float *importance, uint8_t *b,
                 size_t count)
{
    (void)importance;
    for (; count > 0; count -= 32, x += 32, b += 17) {
        float d;

        b[0] = e8m0_of(dfx_greatest(32, x));
        d = e8m0_half(b[0]);
        for (int j = 0; j < 16; j++)
            b[1 + j] = (uint8_t)(nearest(x[j], d) | nearest(x[j + 16], d) << 4);
    }
    return true;
}

/* Numbers beyond the greatest code of the greatest scale do not fit; they get
   that code, as ggml has it. */
bool
dfx_encode_NVFP4(const float *x, const float *importance, uint8_t *b,
                 size_t count)
{
    const float limit = (float)values[7] * ue4m3_half(0x7e);
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 64, x += 64, b += 36) {
        for (int s = 0; s < 4; s++) {
            const float *from = x + 16 * s;
            float most = dfx_greatest(16, from), d;

            fits = fits && most <= limit;
            b[s] = ue4m3_of(most / 6);
            d = ue4m3_half(b[s]);
            for (int j = 0; j < 8; j++)
                b[4 + 8 * s + j] = (uint8_t)(nearest(from[j], d) |
                                             nearest(from[j + 8], d) << 4);
        }
    }
    return fits;
}
