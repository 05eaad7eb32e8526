/*
 * iq4.c - IQ4_NL and IQ4_XS: codes of 4 bits that name unequal steps
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"

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
