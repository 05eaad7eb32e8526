/*
 * ternary.c - TQ1_0, TQ2_0, Q2_0, Q1_0: one scale, and numbers -1, 0, 1 or
 * signs
 */
#include <config.h>

#include <math.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/numbers.h"

/* Digit n of five (or four) ternary ones, the first the most significant, which
   a byte holds as a fixed-point number of 8 bits. */
static int
trit(uint8_t byte, int n)
{
    static const uint8_t powers[] = {1, 3, 9, 27, 81};

    return ((byte * powers[n] & 255) * 3) >> 8;
}

void
dfx_decode_TQ1_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 54, out += 256) {
        float d = dfx_half_load(b + 52);

        for (int i = 0; i < 160; i++)
            out[i] = (float)(trit(b[i % 32], i / 32) - 1) * d;
        for (int i = 0; i < 80; i++)
            out[160 + i] = (float)(trit(b[32 + i % 16], i / 16) - 1) * d;
        for (int i = 0; i < 16; i++)
            out[240 + i] = (float)(trit(b[48 + i % 4], i / 4) - 1) * d;
    }
}

void
dfx_decode_TQ2_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 66, out += 256) {
        float d = dfx_half_load(b + 64);

        for (int i = 0; i < 256; i++) {
            int code = b[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;

            out[i] = (float)(code - 1) * d;
        }
    }
}

void
dfx_decode_Q2_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += 64) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 64; i++)
            out[i] = (float)((b[2 + i / 4] >> (i % 4 * 2) & 3) - 1) * d;
    }
}

void
dfx_decode_Q1_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += 128) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 128; i++)
            out[i] = (b[2 + i / 8] >> (i % 8) & 1) != 0 ? d : -d;
    }
}

/* ---- Encoding -------------------------------------------------------------
 */

/* -1, 0 or 1, and one more. id is the inverse of the greatest number. */
static unsigned
trit_of(float x, float id)
{
    return (unsigned)((int)roundf(x * id) + 1);
}

/* digits trits that lie step apart, as one byte. */
static uint8_t
pack_trits(const float *x, int step, int digits, float id)
{
    unsigned value = 0;

    for (int n = 0; n < 5; n++)
        value = 3 * value + (n < digits ? trit_of(x[n * step], id) : 0);
    return (uint8_t)((value * 256 + 242) / 243);
}

bool
dfx_encode_TQ1_0(const float *x, const float *importance, uint8_t *b,
                 size_t count)
{
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 256, x += 256, b += 54) {
        float d = dfx_greatest(256, x), id = dfx_inverse(d);

        for (int i = 0; i < 32; i++)
            b[i] = pack_trits(x + i, 32, 5, id);
        for (int i = 0; i < 16; i++)
            b[32 + i] = pack_trits(x + 160 + i, 16, 5, id);
        for (int i = 0; i < 4; i++)
            b[48 + i] = pack_trits(x + 240 + i, 4, 4, id);
        fits = dfx_half_store(b + 52, d) && fits;
    }
    return fits;
}

bool
dfx_encode_TQ2_0(const float *x, const float *importance, uint8_t *b,
                 size_t count)
{
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 256, x += 256, b += 66) {
        float d = dfx_greatest(256, x), id = dfx_inverse(d);

        for (int i = 0; i < 64; i++) {
            const float *from = x + i / 32 * 128 + i % 32;
            unsigned byte = 0;

            for (int n = 0; n < 4; n++)
                byte |= trit_of(from[32 * n], id) << 2 * n;
            b[i] = (uint8_t)byte;
        }
        fits = dfx_half_store(b + 64, d) && fits;
    }
    return fits;
}

bool
dfx_encode_Q2_0(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 64, x += 64, b += 18) {
        float d = dfx_greatest(64, x), id = dfx_inverse(d);

        for (int i = 0; i < 16; i++) {
            unsigned byte = 0;

            for (int n = 0; n < 4; n++)
                byte |= trit_of(x[4 * i + n], id) << 2 * n;
            b[2 + i] = (uint8_t)byte;
        }
        fits = dfx_half_store(b, d) && fits;
    }
    return fits;
}

bool
dfx_encode_Q1_0(const float *x, const float *importance, uint8_t *b,
                size_t count)
{
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 128, x += 128, b += 18) {
        float sum = 0;

        for (int i = 0; i < 128; i++)
            sum += fabsf(x[i]);
        for (int i = 0; i < 16; i++) {
            unsigned byte = 0;

            for (int n = 0; n < 8; n++)
                byte |= (unsigned)(x[8 * i + n] >= 0) << n;
            b[2 + i] = (uint8_t)byte;
        }
        fits = dfx_half_store(b, sum / 128) && fits;
    }
    return fits;
}
