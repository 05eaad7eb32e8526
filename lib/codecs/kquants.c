/*
 * kquants.c - Q2_K to Q8_K: 256 numbers in groups of 16 or 32, whose scales
 * (and minimums) are small integers times one scale of all
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"
#include "codecs/scales.h"

enum { ELEMENTS = 256 };

void
dfx_decode_Q2_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 84, out += ELEMENTS) {
        float d = dfx_half_load(b + 80), dmin = dfx_half_load(b + 82);

        for (int i = 0; i < ELEMENTS; i++) {
            int n = i / 128, j = i % 128 / 32, l = i % 32;
            uint8_t scale = b[8 * n + 2 * j + l / 16];
            int code = b[16 + 32 * n + l] >> 2 * j & 3;

            out[i] = (d * (float)(scale & 15)) * (float)code -
                     dmin * (float)(scale >> 4);
        }
    }
}

void
dfx_decode_Q3_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 110, out += ELEMENTS) {
        float d = dfx_half_load(b + 108);

        for (int i = 0; i < ELEMENTS; i++) {
            int n = i / 128, j = i % 128 / 32, l = i % 32;
            int low = b[32 + 32 * n + l] >> 2 * j & 3;
            bool high = (b[l] >> (4 * n + j) & 1) != 0;
            int scale = dfx_scale6(b + 96, 8 * n + 2 * j + l / 16);

            out[i] = (d * (float)scale) * (float)(low - (high ? 0 : 4));
        }
    }
}

void
dfx_decode_Q4_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 144, out += ELEMENTS) {
        float d = dfx_half_load(b), dmin = dfx_half_load(b + 2);

        for (int i = 0; i < ELEMENTS; i++) {
            int g = i / 32;
            dfx_pair6 p = dfx_pair6_load(b + 4, g);
            int code = b[16 + 32 * (g / 2) + i % 32] >> 4 * (g % 2) & 15;

            out[i] = (d * (float)p.scale) * (float)code - dmin * (float)p.min;
        }
    }
}

void
dfx_decode_Q5_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 176, out += ELEMENTS) {
        float d = dfx_half_load(b), dmin = dfx_half_load(b + 2);

        for (int i = 0; i < ELEMENTS; i++) {
            int g = i / 32;
            dfx_pair6 p = dfx_pair6_load(b + 4, g);
            int code = b[48 + 32 * (g / 2) + i % 32] >> 4 * (g % 2) & 15;

            code += 16 * (b[16 + i % 32] >> g & 1);
            out[i] = (d * (float)p.scale) * (float)code - dmin * (float)p.min;
        }
    }
}

void
dfx_decode_Q6_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 210, out += ELEMENTS) {
        float d = dfx_half_load(b + 208);

        for (int i = 0; i < ELEMENTS; i++) {
            int n = i / 128, r = i % 128, l = r % 32, c = r / 32;
            int low = b[64 * n + l + 32 * (c % 2)] >> 4 * (c / 2) & 15;
            int high = b[128 + 32 * n + l] >> 2 * c & 3;
            int scale = (int8_t)b[192 + 8 * n + 2 * c + l / 16];

            out[i] = (d * (float)scale) * (float)((low | high << 4) - 32);
        }
    }
}

void
dfx_decode_Q8_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 292, out += ELEMENTS) {
        float d = dfx_bits_float((uint32_t)b[0] | (uint32_t)b[1] << 8 |
                                 (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);

        for (int i = 0; i < ELEMENTS; i++)
            out[i] = d * (float)(int8_t)b[4 + i];
    }
}
