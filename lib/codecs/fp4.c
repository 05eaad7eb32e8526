/*
 * fp4.c - MXFP4 and NVFP4: numbers of 4 bits (E2M1) and a scale of 8
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/half.h"

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
