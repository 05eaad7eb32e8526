/*
 * kquants_lanes.h - numbers to Q2_K .. Q6_K, LANES blocks side by side
 *
 * The same steps as in kquants_encode.c, to the bit. Searches go lane by lane;
 * what they find is put down by groups and lanes, and then each block is coded
 * and packed by itself, along its numbers.
 */
#ifndef DFX_KQUANTS_LANES_H
#define DFX_KQUANTS_LANES_H

#include "codecs/kquants.h"
#include "codecs/scales_lanes.h"
#include "codecs/search_lanes.h"

enum { K_ELEMENTS = 256, K_GROUPS = 16 /* at most */ };

/* LANES blocks. */
typedef struct k_batch {
    lanes x[K_ELEMENTS], importance[K_ELEMENTS];
    bool weighed; /* there is an importance */
} k_batch;

/* What was found: rows for groups, columns for blocks. */
typedef struct k_found {
    float scale[K_GROUPS][LANES], min[K_GROUPS][LANES]; /* as they are kept */
    /* The search's codes, where the scale is 0, are nearest to
       inverse * (x - low), or stand in codes. */
    float inverse[K_GROUPS][LANES], low[K_GROUPS][LANES];
    uint8_t codes[K_ELEMENTS][LANES];
    bool has_codes;
    uint8_t scales[K_GROUPS][LANES], mins[K_GROUPS][LANES]; /* codes */
    uint16_t d[LANES], dmin[LANES];                         /* halves */
    unsigned fits, none; /* bit b: block b fits; has no scale */
} k_found;

/* Codes of a group of a block, whose numbers are x: by what is kept, or, where
   that is nothing, by the search. */
INLINE void
code_group(const k_found *f, int group, size_t block, int size, int least,
           int most, const float *x, uint8_t *codes)
{
    const lanes bottom = lanes_of((float)least), top = lanes_of((float)most);
    float scale = f->scale[group][block];

    if (scale != 0) {
        lanes min = lanes_of(f->min[group][block]), divisor = lanes_of(scale);

        for (int i = 0; i < size; i += LANES)
            lanes_store_bytes(
                codes + i,
                lanes_code((lanes_load(x + i) + min) / divisor, bottom, top));
    } else {
        lanes factor = lanes_of(f->inverse[group][block]);
        lanes low = lanes_of(f->low[group][block]);

        for (int i = 0; i < size; i += LANES)
            lanes_store_bytes(
                codes + i,
                lanes_code(factor * (lanes_load(x + i) - low), bottom, top));
    }
}

/* ---- Packing ---------------------------------------------------------------
 */

/* Low halves of 256 codes: 64 at a time to 32 bytes. */
INLINE void
pack_nibbles(const uint8_t *codes, uint8_t *out)
{
    for (int i = 0; i < 4; i++)
        store32(out + 32 * i, (load32(codes + 64 * i) & 15) |
                                  load32(codes + 64 * i + 32) << 4);
}

/* The two low bits of 256 codes: 128 at a time to 32 bytes. */
INLINE void
pack_pairs(const uint8_t *codes, uint8_t *out)
{
    for (int i = 0; i < 2; i++) {
        const uint8_t *from = codes + 128 * i;

        store32(out + 32 * i,
                (load32(from) & 3) | (load32(from + 32) & 3) << 2 |
                    (load32(from + 64) & 3) << 4 | load32(from + 96) << 6);
    }
}

/* ---- Scales and minimums: Q2_K, Q4_K, Q5_K --------------------------------
 */

/* Weights of a group; sum is that of the squares of the block. Returns their
   sum where there is an importance. */
INLINE lanes
weigh_ranged(const dfx_ranged_type *t, const k_batch *b, int group, lanes sum,
             lanes *weights)
{
    const lanes *x = b->x + t->size * group;

    if (b->weighed)
        return weigh(t->size, x, b->importance + t->size * group,
                     lanes_of(t->sigma) * sum / lanes_of(K_ELEMENTS), weights);
    if (t->size == 16) {
        for (int i = 0; i < t->size; i++)
            weights[i] = lanes_abs(x[i]);
    } else {
        lanes sigma =
            lanes_sqrt(squares(t->size, x) / lanes_of((float)t->size));

        for (int i = 0; i < t->size; i++)
            weights[i] = sigma + lanes_abs(x[i]);
    }
    return lanes_of(0);
}

/* Codes of scales by the greatest one; returns the scale of scales. */
INLINE lanes
code_by_greatest(int groups, int most, const lanes *scales, lanes *codes)
{
    const lanes zero = lanes_of(0), top = lanes_of((float)most);
    lanes max = zero, inverse;
    lane_mask some;

    for (int g = 0; g < groups; g++)
        max = lanes_max(scales[g], max);
    some = lanes_less(zero, max);
    inverse = top / max;
    for (int g = 0; g < groups; g++)
        codes[g] = lanes_choose(
            some, lanes_code(inverse * scales[g], zero, top), zero);
    return lanes_choose(some, max / top, zero);
}

/* Codes of scales or minimums, what they are kept as, and the half. */
INLINE void
keep_scales(const dfx_ranged_type *t, const k_batch *b, const lanes *scales,
            const lanes *sums, uint16_t *half, uint8_t (*codes)[LANES],
            float (*kept)[LANES], unsigned *fits)
{
    int groups = K_ELEMENTS / t->size;
    lanes found[K_GROUPS], d;

    if (b->weighed)
        d = search_positive(groups, t->most_scale, scales, sums, found);
    else
        d = code_by_greatest(groups, t->most_scale, scales, found);
    d = keep_half(d, half, fits);
    for (int g = 0; g < groups; g++) {
        lanes_store_bytes(codes[g], found[g]);
        lanes_store(kept[g], d * found[g]);
    }
}

INLINE void
find_ranged(const dfx_ranged_type *t, const k_batch *b, k_found *f)
{
    int groups = K_ELEMENTS / t->size;
    lanes scales[K_GROUPS], mins[K_GROUPS], sums[K_GROUPS];
    lanes sum = b->weighed ? squares(K_ELEMENTS, b->x) : lanes_of(0);

    for (int g = 0; g < groups; g += AT_ONCE) {
        lanes weights[AT_ONCE * DFX_SEARCH_MAX];
        ranged_search found[AT_ONCE];

        for (int i = 0; i < AT_ONCE; i++)
            sums[g + i] = weigh_ranged(t, b, g + i, sum, weights + t->size * i);
        search_ranged(AT_ONCE, t->size, t->most, b->x + t->size * g, weights,
                      b->weighed ? &t->weighed : &t->plain, found);
        for (int i = 0; i < AT_ONCE; i++) {
            scales[g + i] = found[i].scale;
            mins[g + i] = found[i].min;
            lanes_store(f->inverse[g + i], found[i].inverse);
            lanes_store(f->low[g + i], found[i].low);
        }
    }
    f->fits = mask_bits(searchable(K_ELEMENTS, b->x));
    keep_scales(t, b, scales, sums, f->d, f->scales, f->scale, &f->fits);
    keep_scales(t, b, mins, sums, f->dmin, f->mins, f->min, &f->fits);
}

INLINE void
code_ranged(const dfx_ranged_type *t, const k_found *f, const float *x,
            size_t block, uint8_t *codes)
{
    for (int g = 0; g < K_ELEMENTS / t->size; g++)
        code_group(f, g, block, t->size, 0, t->most, x + t->size * g,
                   codes + t->size * g);
}

INLINE void
put_Q2_K(const k_found *f, size_t block, const uint8_t *codes, uint8_t *out)
{
    for (int g = 0; g < 16; g++)
        out[g] = (uint8_t)(f->scales[g][block] | f->mins[g][block] << 4);
    pack_pairs(codes, out + 16);
    memcpy(out + 80, &f->d[block], 2);
    memcpy(out + 82, &f->dmin[block], 2);
}

/* What Q4_K and Q5_K begin with. */
INLINE void
put_pairs(const k_found *f, size_t block, uint8_t *out)
{
    uint8_t scales[8], mins[8];

    memcpy(out, &f->d[block], 2);
    memcpy(out + 2, &f->dmin[block], 2);
    for (int g = 0; g < 8; g++) {
        scales[g] = f->scales[g][block];
        mins[g] = f->mins[g][block];
    }
    pack_pairs6(scales, mins, out + 4);
}

INLINE void
put_Q4_K(const k_found *f, size_t block, const uint8_t *codes, uint8_t *out)
{
    put_pairs(f, block, out);
    pack_nibbles(codes, out + 16);
}

INLINE void
put_Q5_K(const k_found *f, size_t block, const uint8_t *codes, uint8_t *out)
{
    bytes32 high = {0};

    put_pairs(f, block, out);
    for (int g = 0; g < 8; g++)
        high |= load32(codes + 32 * g) >> 4 << g;
    store32(out + 16, high);
    pack_nibbles(codes, out + 48);
}

#define RANGED(name)                                                           \
    INLINE void find_##name(const k_batch *b, k_found *f)                      \
    {                                                                          \
        find_ranged(&dfx_ranged_##name, b, f);                                 \
    }                                                                          \
    INLINE void code_##name(const k_found *f, const float *x, size_t block,    \
                            uint8_t *codes)                                    \
    {                                                                          \
        code_ranged(&dfx_ranged_##name, f, x, block, codes);                   \
    }
RANGED(Q2_K)
RANGED(Q4_K)
RANGED(Q5_K)

/* ---- Signed scales: Q3_K, Q6_K ---------------------------------------------
 */

/* Scales of Q3_K as integers -32 .. 31; returns the scale of scales. */
INLINE lanes
code_scales_q3(const lanes *scales, const lanes *sums, lanes *codes)
{
    const lanes zero = lanes_of(0), least = lanes_of(-32), most = lanes_of(31);
    lanes max, inverse;
    lane_mask none;

    if (sums != NULL) {
        symmetric_search s = search_symmetric(K_GROUPS, 32, scales, sums);

        for (int g = 0; g < K_GROUPS; g++)
            codes[g] = lanes_choose(
                s.none, zero, lanes_code(s.inverse * scales[g], least, most));
        return s.scale;
    }
    max = farthest(K_GROUPS, scales);
    none = lanes_equal(max, zero);
    inverse = least / max;
    for (int g = 0; g < K_GROUPS; g++)
        codes[g] = lanes_choose(none, least,
                                lanes_code(inverse * scales[g], least, most));
    return lanes_choose(none, zero, lanes_of(1) / inverse);
}

/* What both types keep; a minimum is none. */
INLINE void
keep_signed(const k_batch *b, lanes d, const lanes *codes, k_found *f)
{
    f->fits = mask_bits(searchable(K_ELEMENTS, b->x));
    d = keep_half(d, f->d, &f->fits);
    for (int g = 0; g < K_GROUPS; g++) {
        lanes_store_bytes(f->scales[g], codes[g]);
        lanes_store(f->scale[g], d * codes[g]);
        lanes_store(f->min[g], lanes_of(0));
        lanes_store(f->low[g], lanes_of(0));
    }
}

INLINE void
find_Q3_K(const k_batch *b, k_found *f)
{
    lanes scales[K_GROUPS], sums[K_GROUPS], small[K_GROUPS], d;
    lanes sum = b->weighed ? squares(K_ELEMENTS, b->x) : lanes_of(0);

    for (int g = 0; g < K_GROUPS; g++) {
        const lanes *x = b->x + 16 * g;
        lanes weights[16], codes[16];

        if (b->weighed) {
            symmetric_search s;

            sums[g] = weigh(16, x, b->importance + 16 * g,
                            lanes_of(2) * sum / lanes_of(K_ELEMENTS), weights);
            s = search_symmetric(16, 4, x, weights);
            scales[g] = s.scale;
            lanes_store(f->inverse[g], s.inverse);
            continue;
        }
        scales[g] = search_three_bits(16, x, codes);
        for (int i = 0; i < 16; i++)
            lanes_store_bytes(f->codes[16 * g + i], codes[i]);
    }
    f->has_codes = !b->weighed;
    d = code_scales_q3(scales, b->weighed ? sums : NULL, small);
    keep_signed(b, d, small, f);
}

INLINE void
code_Q3_K(const k_found *f, const float *x, size_t block, uint8_t *codes)
{
    for (int g = 0; g < K_GROUPS; g++)
        if (f->scale[g][block] == 0 && f->has_codes)
            for (int i = 16 * g; i < 16 * g + 16; i++)
                codes[i] = f->codes[i][block];
        else
            code_group(f, g, block, 16, -4, 3, x + 16 * g, codes + 16 * g);
}

INLINE void
put_Q3_K(const k_found *f, size_t block, const uint8_t *codes, uint8_t *out)
{
    uint8_t above[K_ELEMENTS], scales[K_GROUPS]; /* codes from 0 on */
    bytes32 high = {0};

    for (int i = 0; i < 8; i++) {
        bytes32 v = load32(codes + 32 * i) + 4;

        store32(above + 32 * i, v);
        high |= v >> 2 << i;
    }
    store32(out, high);
    pack_pairs(above, out + 32);
    for (int g = 0; g < K_GROUPS; g++)
        scales[g] = (uint8_t)(f->scales[g][block] + 32);
    pack_scales6(scales, out + 96);
    memcpy(out + 108, &f->d[block], 2);
}

INLINE void
find_Q6_K(const k_batch *b, k_found *f)
{
    const lanes zero = lanes_of(0), least = lanes_of(-128),
                most = lanes_of(127);
    lanes scales[K_GROUPS], small[K_GROUPS], max, inverse;
    lane_mask none;

    for (int g = 0; g < K_GROUPS; g++) {
        const lanes *x = b->x + 16 * g;
        lanes weights[16];
        symmetric_search s;

        for (int i = 0; i < 16; i++)
            weights[i] = x[i] * x[i];
        for (int i = 0; b->weighed && i < 16; i++)
            weights[i] = sane_weight(b->importance[16 * g + i]);
        s = search_symmetric(16, 32, x, weights);
        scales[g] = s.scale;
        lanes_store(f->inverse[g], s.inverse);
    }
    max = farthest(K_GROUPS, scales);
    none = lanes_less(lanes_abs(max), LANES_TINY);
    inverse = least / max;
    for (int g = 0; g < K_GROUPS; g++)
        small[g] = lanes_choose(none, zero,
                                lanes_code(inverse * scales[g], least, most));
    keep_signed(b, lanes_choose(none, zero, lanes_of(1) / inverse), small, f);
    f->none = mask_bits(none);
}

INLINE void
code_Q6_K(const k_found *f, const float *x, size_t block, uint8_t *codes)
{
    for (int g = 0; g < K_GROUPS; g++)
        code_group(f, g, block, 16, -32, 31, x + 16 * g, codes + 16 * g);
}

INLINE void
put_Q6_K(const k_found *f, size_t block, const uint8_t *codes, uint8_t *out)
{
    if ((f->none >> block & 1) != 0) {
        memset(out, 0, 210);
        return;
    }
    for (int n = 0; n < 2; n++) {
        bytes32 v[4], high = {0};

        for (int c = 0; c < 4; c++) {
            v[c] = load32(codes + 128 * n + 32 * c) + 32;
            high |= v[c] >> 4 << 2 * c;
        }
        store32(out + 64 * n, (v[0] & 15) | v[2] << 4);
        store32(out + 64 * n + 32, (v[1] & 15) | v[3] << 4);
        store32(out + 128 + 32 * n, high);
    }
    for (int g = 0; g < K_GROUPS; g++)
        out[192 + g] = f->scales[g][block];
    memcpy(out + 208, &f->d[block], 2);
}

/* ---- All of them -----------------------------------------------------------
 */

#define ENCODER(name, bytes)                                                   \
    static bool encode_##name(const float *x, const float *importance,         \
                              uint8_t *out, size_t count)                      \
    {                                                                          \
        unsigned fits = ALL_FIT;                                               \
        k_batch b;                                                             \
        k_found f;                                                             \
                                                                               \
        b.weighed = importance != NULL;                                        \
        for (size_t at = 0; at < count; at += LANES * K_ELEMENTS) {            \
            size_t blocks = blocks_left(count - at, K_ELEMENTS);               \
                                                                               \
            load_side_by_side(x + at, blocks, K_ELEMENTS, b.x);                \
            if (importance != NULL)                                            \
                load_side_by_side(importance + at, blocks, K_ELEMENTS,         \
                                  b.importance);                               \
            find_##name(&b, &f);                                               \
            fits &= f.fits; /* blocks that are not there do */                 \
            for (size_t i = 0; i < blocks; i++, out += (bytes)) {              \
                uint8_t codes[K_ELEMENTS];                                     \
                                                                               \
                code_##name(&f, x + at + K_ELEMENTS * i, i, codes);            \
                put_##name(&f, i, codes, out);                                 \
            }                                                                  \
        }                                                                      \
        return fits == ALL_FIT;                                                \
    }
ENCODER(Q2_K, 84)
ENCODER(Q3_K, 110)
ENCODER(Q4_K, 144)
ENCODER(Q5_K, 176)
ENCODER(Q6_K, 210)

#endif
