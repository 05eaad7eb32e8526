/*
 * legacy.c - Q4_0 to Q8_1: 32 numbers, one scale, perhaps a minimum
 *
 * Codes of 4 bits lie in pairs: element j in the low half of byte j, element
 * j + 16 in the high one. Fifth bits are those of a 32-bit number.
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"

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
