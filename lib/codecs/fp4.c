/*
 * fp4.c - MXFP4 and NVFP4: numbers of 4 bits (E2M1) and a scale of 8
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/fp4.h"
#include "codecs/numbers.h"

#include <math.h>

void
dfx_decode_MXFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 17, out += 32) {
        float d = dfx_e8m0_half(b[0]);

        for (int j = 0; j < 16; j++) {
            out[j] = (float)dfx_fp4_values[b[1 + j] & 15] * d;
            out[j + 16] = (float)dfx_fp4_values[b[1 + j] >> 4] * d;
        }
    }
}

void
dfx_decode_NVFP4(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 36, out += 64) {
        for (int s = 0; s < 4; s++) {
            float d = dfx_ue4m3_half(b[s]);

            for (int j = 0; j < 8; j++) {
                uint8_t pair = b[4 + 8 * s + j];

                out[16 * s + j] = (float)dfx_fp4_values[pair & 15] * d;
                out[16 * s + 8 + j] = (float)dfx_fp4_values[pair >> 4] * d;
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
    float least = fabsf((float)dfx_fp4_values[0] * d - x);

    for (unsigned i = 1; i < 16; i++) {
        float distance = fabsf((float)dfx_fp4_values[i] * d - x);

        if (distance < least) {
            least = distance;
            best = i;
        }
    }
    return best;
}

bool
dfx_encode_MXFP4(const float *x, const float *importance, uint8_t *b,
                 size_t count)
{
    (void)importance;
    for (; count > 0; count -= 32, x += 32, b += 17) {
        float d;

        b[0] = dfx_e8m0_of(dfx_greatest(32, x));
        d = dfx_e8m0_half(b[0]);
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
    const float limit = (float)dfx_fp4_values[7] * dfx_ue4m3_half(0x7e);
    bool fits = true;

    (void)importance;
    for (; count > 0; count -= 64, x += 64, b += 36) {
        for (int s = 0; s < 4; s++) {
            const float *from = x + 16 * s;
            float most = dfx_greatest(16, from), d;

            fits = fits && most <= limit;
            b[s] = dfx_ue4m3_of(most / 6);
            d = dfx_ue4m3_half(b[s]);
            for (int j = 0; j < 8; j++)
                b[4 + 8 * s + j] = (uint8_t)(nearest(from[j], d) |
                                             nearest(from[j + 8], d) << 4);
        }
    }
    return fits;
}
