/*
 * iq4_lanes.h - numbers to IQ4_NL and IQ4_XS, LANES blocks side by side
 *
 * The same steps as in iq4.c, to the bit.
 */
#ifndef DFX_IQ4_LANES_H
#define DFX_IQ4_LANES_H

#include "codecs/search_lanes.h"

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/*
 * A code is found bit by bit, the highest first, and its bit i goes to place
 * 3 - i. So what is known is in the low bits, and tables need 8 numbers; they
 * have them twice. Of a code without its lowest bit: the values with and
 * without that; and of what is known of it, what is half way to the values
 * beyond: one for all, for each quarter, eighth and end.
 */
static const float iq4_even[16] = {-127, 1, -49, 53, -83, 25, -22, 89,
                                   -127, 1, -49, 53, -83, 25, -22, 89};
static const float iq4_odd[16] = {-104, 13, -35, 69, -65, 38, -10, 113,
                                  -104, 13, -35, 69, -65, 38, -10, 113};
static const float iq4_half = -4.5f;
static const float iq4_quarters[16] = {-57, 45.5f, -57, 45.5f, -57, 45.5f,
                                       -57, 45.5f, -57, 45.5f, -57, 45.5f,
                                       -57, 45.5f, -57, 45.5f};
static const float iq4_eighths[16] = {-93.5f, 19, -28.5f, 79, -93.5f, 19,
                                      -28.5f, 79, -93.5f, 19, -28.5f, 79,
                                      -93.5f, 19, -28.5f, 79};
static const float iq4_ends[16] = {-115.5f, 7, -42, 61, -74, 31.5f, -16, 101,
                                   -115.5f, 7, -42, 61, -74, 31.5f, -16, 101};
static const uint8_t iq4_codes[16] = {0, 8, 4, 12, 2, 10, 6, 14,
                                      1, 9, 5, 13, 3, 11, 7, 15};

/* ---- Decoding -------------------------------------------------------------
 */

/* What 16 bytes of two codes stand for: low ones, then high ones. */
INLINE void
unpack_values(const uint8_t *from, uint8_t *values)
{
    const bytes16 table = load16((const uint8_t *)iq4_values);
    bytes16 v = load16(from);

    store16(values, look_up(table, v & 15));
    store16(values + 16, look_up(table, v >> 4));
}

static void
decode_IQ4_NL(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += 32) {
        uint8_t values[32];

        unpack_values(b + 2, values);
        put_numbers(32, values, load_half(b), NOTHING, out);
    }
}

static void
decode_IQ4_XS(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 136, out += 256) {
        float d = load_half(b);
        int high = b[2] | b[3] << 8;

        for (int g = 0; g < 8; g++) {
            int scale = (b[4 + g / 2] >> 4 * (g % 2) & 15) | (high >> 2 * g & 3)
                                                                 << 4;
            uint8_t values[32];

            unpack_values(b + 8 + 16 * g, values);
            put_numbers(32, values, d * (float)(scale - 32), NOTHING,
                        out + 32 * g);
        }
    }
}

/* ---- Searching -------------------------------------------------------------
 */

/* Finds all but the lowest bit, and where that is set: the code whose value is
   nearest, of two as near the upper one. What is no number gets 1, as in iq4.c.
 */
INLINE lane_index
find_value(lanes v, lane_mask *lowest)
{
    lane_index i =
        index_add(lanes_up_to(lanes_of(iq4_half), v), (lane_index){0}, 1);

    i = index_add(lanes_up_to(index_pick(iq4_quarters, i), v), i, 2);
    i = index_add(lanes_up_to(index_pick(iq4_eighths, i), v), i, 4);
    *lowest = mask_not(lanes_less(v, index_pick(iq4_ends, i)));
    return i;
}

INLINE lanes
nearest_value(lanes v)
{
    lane_mask lowest;
    lane_index i = find_value(v, &lowest);

    return lanes_choose(lowest, index_pick(iq4_odd, i),
                        index_pick(iq4_even, i));
}

INLINE void
try_values(int trials, const lanes *x, const lanes *weights,
           const lanes *inverse, lanes_fit *fits)
{
#pragma GCC unroll 16
    for (int t = 0; t < trials; t++)
        fits[t] = (lanes_fit){lanes_of(0), lanes_of(0)};
    for (int i = 0; i < 32; i++)
#pragma GCC unroll 16
        for (int t = 0; t < trials; t++) {
            lanes q = nearest_value(inverse[t] * x[i]);

            fits[t].product += weights[i] * q * x[i];
            fits[t].square += weights[i] * q * q;
        }
}

/* The scale for which values times it are nearest to 32 numbers. */
INLINE lanes
search_values(const lanes *x, const lanes *weights)
{
    enum { SHIFT = 7, TRIALS = 5 };
    const lanes zero = lanes_of(0), end = lanes_of((float)iq4_values[0]);
    lanes max = farthest(32, x), scale, best, inverse[TRIALS];
    lanes_fit fits[TRIALS];
    lane_mask some;

    inverse[0] = lanes_of(1) / (-max / end);
    try_values(1, x, weights, inverse, fits);
    some = lanes_less(zero, fits[0].square);
    scale = lanes_choose(some, fits[0].product / fits[0].square, zero);
    best = lanes_choose(some, scale * fits[0].product, zero);
    for (int first = -SHIFT; first <= SHIFT; first += TRIALS) {
#pragma GCC unroll 16
        for (int t = 0; t < TRIALS; t++)
            inverse[t] =
                lanes_of((float)(first + t) + (float)iq4_values[0]) / max;
        try_values(TRIALS, x, weights, inverse, fits);
#pragma GCC unroll 16
        for (int t = 0; t < TRIALS; t++) {
            lanes other = fits[t].product / fits[t].square;
            lane_mask better =
                mask_and(lanes_less(zero, fits[t].square),
                         lanes_less(best * fits[t].square,
                                    fits[t].product * fits[t].product));

            scale = lanes_choose(better, other, scale);
            best = lanes_choose(better, other * fits[t].product, best);
        }
    }
    return lanes_choose(lanes_less(lanes_abs(max), LANES_TINY), zero, scale);
}

/* Weights of 32 numbers; sigma2 counts where there is an importance. */
INLINE void
weigh_values(const lanes *x, const lanes *importance, lanes sigma2,
             lanes *weights)
{
    if (importance != NULL)
        (void)weigh(32, x, importance, sigma2, weights);
    else
        for (int i = 0; i < 32; i++)
            weights[i] = x[i] * x[i];
}

/* 1/d, or 0 where d is. */
INLINE lanes
inverse_or_zero(lanes d)
{
    const lanes zero = lanes_of(0);

    return lanes_choose(lanes_equal(d, zero), zero, lanes_of(1) / d);
}

/* ---- Encoding --------------------------------------------------------------
 */

/* Codes of 32 numbers of a block. */
INLINE void
put_values(const float *x, float inverse, uint8_t *out)
{
    uint8_t found[32];
    bytes16 low, high;

    for (int i = 0; i < 32; i += LANES) {
        lane_mask lowest;
        lane_index index =
            find_value(lanes_of(inverse) * lanes_load(x + i), &lowest);

        index_store_bytes(found + i, index_add(lowest, index, 8));
    }
    low = look_up(load16(iq4_codes), load16(found));
    high = look_up(load16(iq4_codes), load16(found + 16));
    store16(out, low | high << 4);
}

static bool
encode_IQ4_NL(const float *x, const float *importance, uint8_t *b, size_t count)
{
    unsigned fits = ALL_FIT;

    for (size_t at = 0; at < count; at += LANES * 32) {
        size_t blocks = blocks_left(count - at, 32);
        lanes numbers[32], importances[32], weights[32], scale;
        float inverse[LANES];
        uint16_t d[LANES];

        load_side_by_side(x + at, blocks, 32, numbers);
        if (importance != NULL)
            load_side_by_side(importance + at, blocks, 32, importances);
        weigh_values(numbers, importance != NULL ? importances : NULL,
                     squares(32, numbers) * lanes_of(2.0f / 32), weights);
        scale = search_values(numbers, weights);
        (void)keep_half(scale, d, &fits);
        fits &= mask_bits(searchable(32, numbers));
        lanes_store(inverse, inverse_or_zero(scale));
        for (size_t i = 0; i < blocks; i++, b += 18) {
            memcpy(b, &d[i], 2);
            put_values(x + at + 32 * i, inverse[i], b + 2);
        }
    }
    return fits == ALL_FIT;
}

typedef struct xs_found {
    float inverse[8][LANES];
    uint8_t scales[8][LANES]; /* codes from -32 on */
    uint16_t d[LANES];
    unsigned fits;
} xs_found;

INLINE void
find_IQ4_XS(const lanes *x, const lanes *importance, xs_found *f)
{
    const lanes least = lanes_of(-32), most = lanes_of(31);
    lanes sigma2 = squares(256, x) * lanes_of(2.0f / 256);
    lanes scales[8], d, inverse;

    for (int g = 0; g < 8; g++) {
        lanes weights[32];

        weigh_values(x + 32 * g,
                     importance != NULL ? importance + 32 * g : NULL, sigma2,
                     weights);
        scales[g] = search_values(x + 32 * g, weights);
    }
    d = -farthest(8, scales) / lanes_of(32);
    inverse = inverse_or_zero(d);
    for (int g = 0; g < 8; g++) {
        lanes code = lanes_code(inverse * scales[g], least, most);

        lanes_store_bytes(f->scales[g], code);
        lanes_store(f->inverse[g], inverse_or_zero(d * code));
    }
    (void)keep_half(d, f->d, &f->fits);
    f->fits &= mask_bits(searchable(256, x));
}

INLINE void
put_IQ4_XS(const xs_found *f, size_t block, const float *x, uint8_t *b)
{
    unsigned high = 0, low = 0;

    for (int g = 0; g < 8; g++) {
        unsigned code = (f->scales[g][block] + 32u) & 63;

        low |= (code & 15) << 4 * g;
        high |= code >> 4 << 2 * g;
        put_values(x + 32 * g, f->inverse[g][block], b + 8 + 16 * g);
    }
    memcpy(b, &f->d[block], 2);
    memcpy(b + 2, &high, 2);
    memcpy(b + 4, &low, 4);
}

static bool
encode_IQ4_XS(const float *x, const float *importance, uint8_t *b, size_t count)
{
    xs_found f = {.fits = ALL_FIT};

    for (size_t at = 0; at < count; at += LANES * 256) {
        size_t blocks = blocks_left(count - at, 256);
        lanes numbers[256], importances[256];

        load_side_by_side(x + at, blocks, 256, numbers);
        if (importance != NULL)
            load_side_by_side(importance + at, blocks, 256, importances);
        find_IQ4_XS(numbers, importance != NULL ? importances : NULL, &f);
        for (size_t i = 0; i < blocks; i++, b += 136)
            put_IQ4_XS(&f, i, x + at + 256 * i, b);
    }
    return f.fits == ALL_FIT;
}

#endif
