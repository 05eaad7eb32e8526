/*
 * iq.c - IQ1, IQ2 and IQ3: rows of a grid, signs, and scales of few bits
 *
 * A block has 8 groups of 32 numbers. Where signs are shared by 7 bits, the
 * eighth makes their number even.
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/grids.h"
#include "codecs/half.h"

static unsigned
load_u16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] | (unsigned)bytes[1] << 8;
}

static uint32_t
load_u32(const uint8_t *bytes)
{
    return load_u16(bytes) | (uint32_t)load_u16(bytes + 2) << 16;
}

/* 8 signs of 7 bits. */
static unsigned
even_signs(unsigned seven)
{
    seven &= 127;
    return seven | ((unsigned)__builtin_popcount(seven) & 1) << 7;
}

/* The 8 numbers of a row of 2-bit codes. */
static void
put_row8(float *out, uint16_t row, unsigned signs, float d)
{
    for (int j = 0; j < 8; j++) {
        float value = d * (float)dfx_levels_iq2[row >> 2 * j & 3];

        out[j] = (signs >> j & 1) != 0 ? -value : value;
    }
}

/* The 4 numbers of a row of 3-bit codes. */
static void
put_row4(float *out, uint16_t row, const int8_t *levels, unsigned signs,
         float d)
{
    for (int j = 0; j < 4; j++) {
        float value = d * (float)levels[row >> 3 * j & 7];

        out[j] = (signs >> j & 1) != 0 ? -value : value;
    }
}

/* The 8 numbers -1, 0, 1 of a row, moved by delta. */
static void
put_row1(float *out, unsigned row, float delta, float d)
{
    for (int j = 0; j < 8; j++)
        out[j] = d * ((float)dfx_levels_iq1[dfx_grid_IQ1_S[row] >> 2 * j & 3] +
                      delta);
}

void
dfx_decode_IQ2_XXS(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 66, out += 256) {
        float d = dfx_half_load(b);

        for (int g = 0; g < 8; g++) {
            const uint8_t *rows = b + 2 + 8 * g;
            uint32_t more = load_u32(rows + 4);
            float db = d * (0.5f + (float)(more >> 28)) * 0.25f;

            for (int l = 0; l < 4; l++)
                put_row8(out + 32 * g + 8 * l, dfx_grid_IQ2_XXS[rows[l]],
                         even_signs(more >> 7 * l), db);
        }
    }
}

/* The scale of half a group, which half a byte holds. */
static float
half_scale(float d, uint8_t byte, bool high)
{
    return d * (0.5f + (float)(high ? byte >> 4 : byte & 15)) * 0.25f;
}

void
dfx_decode_IQ2_XS(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 74, out += 256) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 32; i++) {
            unsigned code = load_u16(b + 2 + 2 * i);

            put_row8(out + 8 * i, dfx_grid_IQ2_XS[code & 511],
                     even_signs(code >> 9),
                     half_scale(d, b[66 + i / 4], i % 4 >= 2));
        }
    }
}

void
dfx_decode_IQ2_S(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 82, out += 256) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 32; i++) {
            int g = i / 4, l = i % 4;
            unsigned row =
                b[2 + i] | ((unsigned)b[66 + g] << (8 - 2 * l) & 768);

            put_row8(out + 8 * i, dfx_grid_IQ2_S[row], b[34 + i],
                     half_scale(d, b[74 + g], l >= 2));
        }
    }
}

void
dfx_decode_IQ3_XXS(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 98, out += 256) {
        float d = dfx_half_load(b);

        for (int g = 0; g < 8; g++) {
            uint32_t more = load_u32(b + 66 + 4 * g);
            float db = d * (0.5f + (float)(more >> 28)) * 0.5f;

            for (int l = 0; l < 4; l++) {
                const uint8_t *rows = b + 2 + 8 * g + 2 * l;
                unsigned signs = even_signs(more >> 7 * l);
                float *to = out + 32 * g + 8 * l;

                put_row4(to, dfx_grid_IQ3_XXS[rows[0]], dfx_levels_iq3_xxs,
                         signs, db);
                put_row4(to + 4, dfx_grid_IQ3_XXS[rows[1]], dfx_levels_iq3_xxs,
                         signs >> 4, db);
            }
        }
    }
}

void
dfx_decode_IQ3_S(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 110, out += 256) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 32; i++) {
            int g = i / 4, l = i % 4;
            unsigned high = b[66 + g], signs = b[74 + i];
            unsigned first = b[2 + 2 * i] | (high << (8 - 2 * l) & 256);
            unsigned second = b[3 + 2 * i] | (high << (7 - 2 * l) & 256);
            int scale = b[106 + g / 2] >> 4 * (g % 2) & 15;
            float db = d * (float)(1 + 2 * scale);

            put_row4(out + 8 * i, dfx_grid_IQ3_S[first], dfx_levels_iq3_s,
                     signs, db);
            put_row4(out + 8 * i + 4, dfx_grid_IQ3_S[second], dfx_levels_iq3_s,
                     signs >> 4, db);
        }
    }
}

void
dfx_decode_IQ1_S(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 50, out += 256) {
        float d = dfx_half_load(b);

        for (int i = 0; i < 32; i++) {
            unsigned more = load_u16(b + 34 + 2 * (i / 4));
            unsigned row = b[2 + i] | (more >> 3 * (i % 4) & 7) << 8;
            float delta = (more & 0x8000) != 0 ? -0.125f : 0.125f;

            put_row1(out + 8 * i, row, delta,
                     d * (float)(2 * (more >> 12 & 7) + 1));
        }
    }
}

/* The scale of all is spread over the top bits of four numbers. */
static float
scale_of_iq1_m(const uint8_t *scales)
{
    unsigned half =
        load_u16(scales) >> 12 | (load_u16(scales + 2) >> 8 & 0xf0) |
        (load_u16(scales + 4) >> 4 & 0xf00) | (load_u16(scales + 6) & 0xf000);
    const uint8_t bytes[2] = {(uint8_t)half, (uint8_t)(half >> 8)};

    return dfx_half_load(bytes);
}

void
dfx_decode_IQ1_M(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 56, out += 256) {
        float d = scale_of_iq1_m(b + 48);

        for (int i = 0; i < 32; i++) {
            int g = i / 4, l = i % 4;
            unsigned more = (unsigned)b[32 + i / 2] >> 4 * (l % 2);
            unsigned scale = load_u16(b + 48 + g / 2 * 2) >>
                                 (6 * (g % 2) + (l < 2 ? 0 : 3)) &
                             7;

            put_row1(out + 8 * i, b[i] | (more & 7) << 8,
                     (more & 8) != 0 ? -0.125f : 0.125f,
                     d * (float)(2 * scale + 1));
        }
    }
}
