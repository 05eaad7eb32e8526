/*
 * ternary.c - TQ1_0, TQ2_0, Q2_0, Q1_0: one scale, and numbers -1, 0, 1 or
 * signs
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"

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
