/*
 * legacy_lanes.h - numbers to Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0
 *
 * The same steps as in legacy.c, to the bit, LANES blocks at a time: what their
 * numbers reach is found block by block, scales are made side by side, and then
 * each block is coded by itself. By importance the searches go side by side.
 */
#ifndef DFX_LEGACY_LANES_H
#define DFX_LEGACY_LANES_H

#include "codecs/search_lanes.h"

enum { L_ELEMENTS = 32 };

/* What codes are made of, a column for each block. */
typedef struct l_found {
    float inverse[LANES], low[LANES];
    uint16_t d[LANES], min[LANES]; /* halves */
    unsigned fits;                 /* bit b: blocks b so far */
} l_found;

/* dfx_inverse */
INLINE lanes
inverse_of(lanes d)
{
    lanes inverse = lanes_of(1) / d;

    return lanes_choose(
        lanes_less(lanes_abs(inverse), lanes_of(__builtin_inff())), inverse,
        lanes_of(0));
}

/* The first of a block's numbers that is at this distance from 0. */
INLINE float
first_at(const float *x, float distance)
{
    unsigned bits = 0;

    for (int i = 0; i < L_ELEMENTS; i += LANES)
        bits |= mask_bits(lanes_equal(lanes_abs(lanes_load(x + i)),
                                      lanes_of(distance)))
                << i;
    return x[__builtin_ctz(bits)];
}

/* The first of a block's least numbers, and the first of its greatest. */
INLINE void
find_range(const float *x, float *min, float *max)
{
    unsigned least = 0, most = 0;
    lanes low = lanes_load(x), high = low;

    for (int i = LANES; i < L_ELEMENTS; i += LANES) {
        low = lanes_min(low, lanes_load(x + i));
        high = lanes_max(high, lanes_load(x + i));
    }
    low = lanes_of(-lanes_greatest(-low));
    high = lanes_of(lanes_greatest(high));
    for (int i = 0; i < L_ELEMENTS; i += LANES) {
        least |= mask_bits(lanes_equal(lanes_load(x + i), low)) << i;
        most |= mask_bits(lanes_equal(lanes_load(x + i), high)) << i;
    }
    *min = x[__builtin_ctz(least)];
    *max = x[__builtin_ctz(most)];
}

/* Codes of 4 or 5 bits to their places; high is NULL for 4. */
INLINE void
put_codes(const uint8_t *codes, uint8_t *low, uint8_t *high)
{
    store16(low, (load16(codes) & 15) | load16(codes + 16) << 4);
    if (high != NULL) {
        uint32_t bits = gather_bits(load32(codes) >> 4);

        memcpy(high, &bits, sizeof bits);
    }
}

/* ---- By importance ---------------------------------------------------------
 */

/* The mean square of a row. */
static float
mean_square(const float *row, size_t columns)
{
    float sum = 0;

    for (size_t i = 0; i < columns; i++)
        sum += row[i] * row[i];
    return sum / (float)columns;
}

/* Numbers and weights of up to LANES blocks side by side. */
INLINE void
load_weighed(const float *x, const float *importance, float sigma2,
             size_t blocks, lanes *numbers, lanes *weights)
{
    load_side_by_side(x, blocks, L_ELEMENTS, numbers);
    load_side_by_side(importance, blocks, L_ELEMENTS, weights);
    (void)weigh(L_ELEMENTS, numbers, weights, lanes_of(sigma2), weights);
}

/* ---- Signed codes: Q4_0, Q5_0 ----------------------------------------------
 */

/* Of up to LANES blocks by their numbers alone. */
INLINE void
find_signed(int n, const float *x, size_t blocks, l_found *f)
{
    float max[LANES] = {0};
    lanes d;

    for (size_t i = 0; i < blocks; i++) {
        max[i] = reach(L_ELEMENTS, x + L_ELEMENTS * i);
        if (max[i] != 0)
            max[i] = first_at(x + L_ELEMENTS * i, max[i]);
    }
    d = lanes_load(max) / lanes_of((float)-n);
    lanes_store(f->inverse, inverse_of(d));
    (void)keep_half(d, f->d, &f->fits);
}

INLINE void
search_signed(int n, const float *x, const float *importance, float sigma2,
              size_t blocks, l_found *f)
{
    lanes numbers[L_ELEMENTS], weights[L_ELEMENTS];
    symmetric_search s;

    load_weighed(x, importance, sigma2, blocks, numbers, weights);
    s = search_symmetric(L_ELEMENTS, n, numbers, weights);
    f->fits &= mask_bits(searchable(L_ELEMENTS, numbers));
    lanes_store(f->inverse, s.inverse);
    (void)keep_half(s.scale, f->d, &f->fits);
}

/* Signed codes around the middle: n is 8 of Q4_0, 16 of Q5_0. */
INLINE bool
encode_signed(const float *x, const float *importance, uint8_t *b, size_t count,
              int n, size_t bytes)
{
    const lanes middle = lanes_of((float)n), half = lanes_of(0.5f);
    const lanes zero = lanes_of(0), top = lanes_of((float)(2 * n - 1));
    float sigma2 = importance != NULL ? mean_square(x, count) : 0;
    l_found f = {.fits = ALL_FIT};

    for (size_t at = 0; at < count; at += LANES * L_ELEMENTS) {
        size_t blocks = blocks_left(count - at, L_ELEMENTS);

        if (importance != NULL)
            search_signed(n, x + at, importance + at, sigma2, blocks, &f);
        else
            find_signed(n, x + at, blocks, &f);
        for (size_t i = 0; i < blocks; i++, b += bytes) {
            const float *from = x + at + L_ELEMENTS * i;
            lanes inverse = lanes_of(f.inverse[i]);
            uint8_t codes[L_ELEMENTS];

            for (int j = 0; j < L_ELEMENTS; j += LANES) {
                lanes v = lanes_load(from + j) * inverse;

                if (importance != NULL)
                    v = lanes_code(v, -middle, middle - lanes_of(1)) + middle;
                else
                    v = lanes_min(lanes_max(v + middle + half, zero), top);
                lanes_store_bytes(codes + j, v);
            }
            memcpy(b, &f.d[i], 2);
            put_codes(codes, b + bytes - 16, n == 8 ? NULL : b + 2);
        }
    }
    return f.fits == ALL_FIT;
}

static bool
encode_Q4_0(const float *x, const float *importance, uint8_t *b, size_t count)
{
    return encode_signed(x, importance, b, count, 8, 18);
}

static bool
encode_Q5_0(const float *x, const float *importance, uint8_t *b, size_t count)
{
    return encode_signed(x, importance, b, count, 16, 22);
}

/* ---- Codes from a minimum on: Q4_1, Q5_1 -----------------------------------
 */

INLINE void
find_minimum(int most, const float *x, size_t blocks, l_found *f)
{
    float max[LANES] = {0};
    lanes d;

    for (size_t i = 0; i < LANES; i++)
        f->low[i] = 0;
    for (size_t i = 0; i < blocks; i++)
        find_range(x + L_ELEMENTS * i, &f->low[i], &max[i]);
    d = (lanes_load(max) - lanes_load(f->low)) / lanes_of((float)most);
    lanes_store(f->inverse, inverse_of(d));
    (void)keep_half(d, f->d, &f->fits);
    (void)keep_half(lanes_load(f->low), f->min, &f->fits);
}

INLINE void
search_minimum(int most, const float *x, const float *importance, float sigma2,
               size_t blocks, l_found *f)
{
    static const dfx_ranged_search search = {-0.9f, 0.05f, 36, false};
    lanes numbers[L_ELEMENTS], weights[L_ELEMENTS];
    ranged_search r;

    load_weighed(x, importance, sigma2, blocks, numbers, weights);
    search_ranged(1, L_ELEMENTS, most, numbers, weights, &search, &r);
    f->fits &= mask_bits(searchable(L_ELEMENTS, numbers));
    lanes_store(f->inverse, r.inverse);
    lanes_store(f->low, r.low);
    (void)keep_half(r.scale, f->d, &f->fits);
    (void)keep_half(-r.min, f->min, &f->fits);
}

/* most is 15 of Q4_1, 31 of Q5_1. */
INLINE bool
encode_minimum(const float *x, const float *importance, uint8_t *b,
               size_t count, int most, size_t bytes)
{
    const lanes half = lanes_of(0.5f);
    const lanes zero = lanes_of(0), top = lanes_of((float)most);
    float sigma2 = importance != NULL ? mean_square(x, count) : 0;
    l_found f = {.fits = ALL_FIT};

    for (size_t at = 0; at < count; at += LANES * L_ELEMENTS) {
        size_t blocks = blocks_left(count - at, L_ELEMENTS);

        if (importance != NULL)
            search_minimum(most, x + at, importance + at, sigma2, blocks, &f);
        else
            find_minimum(most, x + at, blocks, &f);
        for (size_t i = 0; i < blocks; i++, b += bytes) {
            const float *from = x + at + L_ELEMENTS * i;
            lanes inverse = lanes_of(f.inverse[i]), low = lanes_of(f.low[i]);
            uint8_t codes[L_ELEMENTS];

            for (int j = 0; j < L_ELEMENTS; j += LANES) {
                lanes v = (lanes_load(from + j) - low) * inverse;

                if (importance != NULL)
                    v = lanes_code(v, zero, top);
                else
                    v = lanes_min(lanes_max(v + half, zero), top);
                lanes_store_bytes(codes + j, v);
            }
            memcpy(b, &f.d[i], 2);
            memcpy(b + 2, &f.min[i], 2);
            put_codes(codes, b + bytes - 16, most == 15 ? NULL : b + 4);
        }
    }
    return f.fits == ALL_FIT;
}

static bool
encode_Q4_1(const float *x, const float *importance, uint8_t *b, size_t count)
{
    return encode_minimum(x, importance, b, count, 15, 20);
}

static bool
encode_Q5_1(const float *x, const float *importance, uint8_t *b, size_t count)
{
    return encode_minimum(x, importance, b, count, 31, 24);
}

/* ---- Q8_0 ------------------------------------------------------------------
 */

static bool
encode_Q8_0(const float *x, const float *importance, uint8_t *b, size_t count)
{
    /* The greatest number below a half: added and cut off, it rounds halves
       away from 0, and what is less than a half not up. */
    const lanes half = lanes_of(0x1.fffffep-2f);
    unsigned fits = ALL_FIT;

    (void)importance;
    for (size_t at = 0; at < count; at += LANES * L_ELEMENTS) {
        size_t blocks = blocks_left(count - at, L_ELEMENTS);
        float most[LANES] = {0}, inverses[LANES];
        uint16_t halves[LANES];
        lanes d;

        for (size_t i = 0; i < blocks; i++)
            most[i] = reach(L_ELEMENTS, x + at + L_ELEMENTS * i);
        d = lanes_load(most) / lanes_of(127);
        lanes_store(inverses, inverse_of(d));
        (void)keep_half(d, halves, &fits);
        for (size_t i = 0; i < blocks; i++, b += 34) {
            const float *from = x + at + L_ELEMENTS * i;
            lanes inverse = lanes_of(inverses[i]);

            memcpy(b, &halves[i], 2);
            for (int j = 0; j < L_ELEMENTS; j += LANES) {
                lanes v = lanes_load(from + j) * inverse;

                lanes_store_bytes(b + 2 + j, v + lanes_copysign(half, v));
            }
        }
    }
    return fits == ALL_FIT;
}

#endif
