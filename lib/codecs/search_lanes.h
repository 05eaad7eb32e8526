/*
 * search_lanes.h - the searches of search.h, LANES of them side by side
 *
 * Number i of each search is lane by lane in vector i, and what they find is
 * that of search.c to the bit: the same operations in the same order. Where
 * search.c branches, a mask says which lanes do. Codes are floats, whole ones;
 * those of a search that fit tells are not kept but made again when they are
 * wanted, from the inverse scale.
 */
#ifndef DFX_SEARCH_LANES_H
#define DFX_SEARCH_LANES_H

#include "codecs/lanes.h"
#include "codecs/search.h"

enum { MOST_ELEMENTS = 256 }; /* of a block */

/* How many blocks of elements numbers are encoded at once, of those left. */
INLINE size_t
blocks_left(size_t numbers, size_t elements)
{
    return numbers < LANES * elements ? numbers / elements : LANES;
}

/* Blocks of elements numbers, a multiple of LANES; what is not there is 0. */
INLINE void
load_side_by_side(const float *x, size_t blocks, int elements, lanes *to)
{
    size_t size = blocks * (size_t)elements * sizeof *x;
    float padded[LANES * MOST_ELEMENTS];

    if (blocks < LANES) {
        memset(padded, 0, sizeof padded);
        x = memcpy(padded, x, size);
    }
    lanes_gather(x, (size_t)elements, elements, to);
}

/* Numbers below it are as good as 0 (ggml's GROUP_MAX_EPS). */
#define LANES_TINY lanes_of(1e-15f)

/* The first of the numbers farthest from 0. */
INLINE lanes
farthest(int count, const lanes *x)
{
    lanes most = lanes_of(0), max = lanes_of(0);

    for (int i = 0; i < count; i++) {
        lanes size = lanes_abs(x[i]);

        max = lanes_choose(lanes_less(most, size), x[i], max);
        most = lanes_max(size, most);
    }
    return max;
}

/* dfx_sane_weight */
INLINE lanes
sane_weight(lanes importance)
{
    return lanes_min(lanes_max(importance, lanes_of(0x1p-60f)),
                     lanes_of(0x1p60f));
}

/* A bit for each lane: its numbers fit. */
enum { ALL_FIT = (1u << LANES) - 1 };

/* dfx_searchable */
INLINE lane_mask
searchable(int count, const lanes *x)
{
    lanes most = lanes_of(0);

    for (int i = 0; i < count; i++)
        most = lanes_max(lanes_abs(x[i]), most);
    return lanes_less(most, lanes_of(0x1p32f));
}

INLINE lanes
squares(int count, const lanes *x)
{
    lanes sum = lanes_of(0);

    for (int i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

/* Importance times how much a number sticks out of sigma2. Returns the sum. */
INLINE lanes
weigh(int count, const lanes *x, const lanes *importance, lanes sigma2,
      lanes *weights)
{
    lanes sum = lanes_of(0);

    for (int i = 0; i < count; i++) {
        weights[i] =
            sane_weight(importance[i]) * lanes_sqrt(sigma2 + x[i] * x[i]);
        sum += weights[i];
    }
    return sum;
}

/* Rounds to the half that is kept, and says where there is one. */
INLINE lanes
keep_half(lanes d, uint16_t *halves, unsigned *fits)
{
    lanes kept;

    lanes_store_halves(halves, d);
    kept = lanes_load_halves(halves);
    *fits &= mask_bits(lanes_less(lanes_abs(kept), lanes_of(65536)));
    return kept;
}

/* ---- Symmetric ------------------------------------------------------------
 */

typedef struct lanes_fit {
    lanes product, square;
} lanes_fit;

/* How far trials go to both sides. They are made at once: while the sums of one
   wait for an addition, another adds. */
enum { SHIFTS = 9 };

INLINE void
try_symmetric(int trials, int count, int n, const lanes *x,
              const lanes *weights, const lanes *inverse, lanes_fit *fits)
{
    const lanes least = lanes_of((float)-n), most = lanes_of((float)(n - 1));

#pragma GCC unroll 16
    for (int t = 0; t < trials; t++)
        fits[t] = (lanes_fit){lanes_of(0), lanes_of(0)};
    for (int i = 0; i < count; i++)
#pragma GCC unroll 16
        for (int t = 0; t < trials; t++) {
            lanes code = lanes_code(inverse[t] * x[i], least, most);

            fits[t].product += weights[i] * x[i] * code;
            fits[t].square += weights[i] * code * code;
        }
}

typedef struct symmetric_search {
    lanes scale;
    lanes inverse;  /* codes are nearest to it times the numbers */
    lane_mask none; /* numbers are as good as 0, and so are codes and scale */
} symmetric_search;

/* dfx_search_symmetric */
INLINE symmetric_search
search_symmetric(int count, int n, const lanes *x, const lanes *weights)
{
    const lanes zero = lanes_of(0);
    lanes max = farthest(count, x), best;
    symmetric_search s;
    lanes_fit f;

    s.none = lanes_less(lanes_abs(max), LANES_TINY);
    s.inverse = lanes_of((float)-n) / max;
    try_symmetric(1, count, n, x, weights, &s.inverse, &f);
    s.scale =
        lanes_choose(lanes_less(zero, f.square), f.product / f.square, zero);
    best = s.scale * f.product;
    for (int first = -SHIFTS; first <= 1; first += SHIFTS + 1) {
        lanes inverse[SHIFTS];
        lanes_fit fits[SHIFTS];

#pragma GCC unroll 16
        for (int t = 0; t < SHIFTS; t++)
            inverse[t] =
                lanes_of(-((float)n + 0.1f * (float)(first + t))) / max;
        try_symmetric(SHIFTS, count, n, x, weights, inverse, fits);
#pragma GCC unroll 16
        for (int t = 0; t < SHIFTS; t++) {
            lanes scale = fits[t].product / fits[t].square;
            lane_mask better =
                mask_and(lanes_less(zero, fits[t].square),
                         lanes_less(best * fits[t].square,
                                    fits[t].product * fits[t].product));

            s.scale = lanes_choose(better, scale, s.scale);
            best = lanes_choose(better, scale * fits[t].product, best);
            s.inverse = lanes_choose(better, inverse[t], s.inverse);
        }
    }
    s.scale = lanes_choose(s.none, zero, s.scale);
    s.inverse = lanes_choose(s.none, zero, s.inverse);
    return s;
}

/* ---- Ranged ----------------------------------------------------------------
 */

typedef struct ranged_search {
    lanes scale, min;
    lanes inverse, low; /* codes are nearest to inverse * (x - low) */
} ranged_search;

/* Searches at once, for the same reason: each of the numbers that follow those
   of the one before. */
enum { AT_ONCE = 4 };

/* What a line through codes and numbers is made of. */
typedef struct lanes_line {
    lanes codes, squares, products;
} lanes_line;

INLINE void
try_ranged(int searches, int count, int most, const lanes *x,
           const lanes *weights, const lanes *inverse, const lanes *low,
           lanes *codes, lanes_line *lines)
{
    const lanes zero = lanes_of(0), top = lanes_of((float)most);

#pragma GCC unroll 16
    for (int s = 0; s < searches; s++)
        lines[s] = (lanes_line){zero, zero, zero};
    for (int i = 0; i < count; i++)
#pragma GCC unroll 16
        for (int s = 0; s < searches; s++) {
            int at = count * s + i;
            lanes code = lanes_round(
                lanes_from_zero(inverse[s] * (x[at] - low[s]), top));
            lanes weighed = weights[at] * code;

            codes[at] = code;
            lines[s].codes += weighed;
            lines[s].squares += weighed * code;
            lines[s].products += weighed * x[at];
        }
}

INLINE void
errors_ranged(int searches, int count, const lanes *x, const lanes *weights,
              const lanes *scale, const lanes *low, const lanes *codes,
              bool absolute, lanes *errors)
{
#pragma GCC unroll 16
    for (int s = 0; s < searches; s++)
        errors[s] = lanes_of(0);
    for (int i = 0; i < count; i++)
#pragma GCC unroll 16
        for (int s = 0; s < searches; s++) {
            int at = count * s + i;
            lanes e = scale[s] * codes[at] + low[s] - x[at], size = e * e;

            if (absolute)
                size = lanes_abs(e);
            errors[s] += weights[at] * size;
        }
}

/* dfx_search_ranged, up to AT_ONCE times */
INLINE void
search_ranged(int searches, int count, int most, const lanes *x,
              const lanes *weights, const dfx_ranged_search *search,
              ranged_search *found)
{
    const lanes zero = lanes_of(0);
    lanes low[AT_ONCE], high[AT_ONCE], weight[AT_ONCE], sum[AT_ONCE];
    lanes best[AT_ONCE], inverse[AT_ONCE], scale[AT_ONCE];
    lanes codes[AT_ONCE * DFX_SEARCH_MAX];
    lane_mask wide[AT_ONCE];
    lanes_line lines[AT_ONCE];

    for (int s = 0; s < searches; s++) {
        const lanes *v = x + count * s, *w = weights + count * s;

        low[s] = high[s] = v[0];
        weight[s] = w[0];
        sum[s] = w[0] * v[0];
        for (int i = 1; i < count; i++) {
            low[s] = lanes_min(v[i], low[s]);
            high[s] = lanes_max(v[i], high[s]);
            weight[s] += w[i];
            sum[s] += w[i] * v[i];
        }
        low[s] = lanes_min(zero, low[s]);
        wide[s] = mask_not(lanes_equal(high[s], low[s]));
        inverse[s] = lanes_of((float)most) / (high[s] - low[s]);
        scale[s] = lanes_of(1) / inverse[s];
        found[s].inverse = lanes_choose(wide[s], inverse[s], zero);
        found[s].scale = lanes_choose(wide[s], scale[s], zero);
        found[s].low = low[s];
    }
    try_ranged(searches, count, most, x, weights, inverse, low, codes, lines);
    errors_ranged(searches, count, x, weights, scale, low, codes,
                  search->absolute, best);
    for (int k = 0; k <= search->steps; k++) {
        const lanes trial =
            lanes_of(search->least + search->step * (float)k + (float)most);
        lanes min[AT_ONCE], errors[AT_ONCE];
        lane_mask better[AT_ONCE];

#pragma GCC unroll 16
        for (int s = 0; s < searches; s++)
            inverse[s] = trial / (high[s] - low[s]);
        try_ranged(searches, count, most, x, weights, inverse, low, codes,
                   lines);
#pragma GCC unroll 16
        for (int s = 0; s < searches; s++) {
            const lanes_line *l = &lines[s];
            lanes determinant = weight[s] * l->squares - l->codes * l->codes;
            lane_mask above;

            scale[s] =
                (weight[s] * l->products - sum[s] * l->codes) / determinant;
            min[s] =
                (l->squares * sum[s] - l->codes * l->products) / determinant;
            above = lanes_less(zero, min[s]);
            scale[s] = lanes_choose(above, l->products / l->squares, scale[s]);
            min[s] = lanes_choose(above, zero, min[s]);
            better[s] = mask_and(wide[s], lanes_less(zero, determinant));
        }
        errors_ranged(searches, count, x, weights, scale, min, codes,
                      search->absolute, errors);
#pragma GCC unroll 16
        for (int s = 0; s < searches; s++) {
            ranged_search *f = &found[s];
            lane_mask won = mask_and(better[s], lanes_less(errors[s], best[s]));

            f->inverse = lanes_choose(won, inverse[s], f->inverse);
            f->low = lanes_choose(won, low[s], f->low);
            f->scale = lanes_choose(won, scale[s], f->scale);
            low[s] = lanes_choose(won, min[s], low[s]);
            best[s] = lanes_choose(won, errors[s], best[s]);
        }
    }
    for (int s = 0; s < searches; s++)
        found[s].min = -low[s];
}

/* ---- Codes one by one ------------------------------------------------------
 */

/* Moves single codes to where the others' scale wants them, while that helps,
   in the lanes that are on. least .. most are the codes; square must stay above
   0 if strict. */
INLINE lanes
improve(int count, const lanes *x, const lanes *weights, int least, int most,
        bool strict, lanes_fit f, lane_mask on, lanes *codes)
{
    const lanes zero = lanes_of(0);

    for (int round = 0; round < DFX_SEARCH_ROUNDS && mask_bits(on) != 0;
         round++) {
        lane_mask changed = lanes_less(zero, zero);

        for (int i = 0; i < count; i++) {
            lanes w = weights[i], l = codes[i];
            lanes product = f.product - w * x[i] * l;
            lanes square = f.square - w * l * l;
            lane_mask better = mask_and(on, mask_and(lanes_less(zero, product),
                                                     lanes_less(zero, square)));
            lanes code =
                lanes_code(x[i] * square / product, lanes_of((float)least),
                           lanes_of((float)most));

            better = mask_and(better, mask_not(lanes_equal(code, l)));
            product += w * x[i] * code;
            square += w * code * code;
            if (strict)
                better = mask_and(better, lanes_less(zero, square));
            better = mask_and(better, lanes_less(f.product * f.product * square,
                                                 product * product * f.square));
            codes[i] = lanes_choose(better, code, l);
            f.product = lanes_choose(better, product, f.product);
            f.square = lanes_choose(better, square, f.square);
            changed = mask_or(changed, better);
        }
        on = mask_and(on, changed);
    }
    return lanes_choose(lanes_less(zero, f.square), f.product / f.square, zero);
}

/* dfx_search_three_bits */
INLINE lanes
search_three_bits(int count, const lanes *x, lanes *codes)
{
    const lanes zero = lanes_of(0);
    lanes max = farthest(count, x), weights[DFX_SEARCH_MAX], scale, inverse;
    lane_mask tiny = lanes_less(lanes_abs(max), LANES_TINY);
    lanes_fit f;

    for (int i = 0; i < count; i++)
        weights[i] = x[i] * x[i];
    inverse = lanes_of(-4) / max;
    try_symmetric(1, count, 4, x, weights, &inverse, &f);
    for (int i = 0; i < count; i++)
        codes[i] = lanes_choose(
            tiny, zero, lanes_code(inverse * x[i], lanes_of(-4), lanes_of(3)));
    scale = improve(count, x, weights, -4, 3, true, f, mask_not(tiny), codes);
    return lanes_choose(tiny, zero, scale);
}

/* ---- Positive --------------------------------------------------------------
 */

/* The weighed error of codes by an inverse scale. */
INLINE lanes
error_positive(int count, lanes most, const lanes *x, const lanes *weights,
               lanes inverse)
{
    lanes scale = lanes_of(1) / inverse, sum = lanes_of(0);

    for (int i = 0; i < count; i++) {
        lanes code = lanes_code(inverse * x[i], lanes_of(-4194304.0f), most);
        lanes e = x[i] - scale * code;

        sum += weights[i] * e * e;
    }
    return sum;
}

/* dfx_search_positive */
INLINE lanes
search_positive(int count, int most, const lanes *x, const lanes *weights,
                lanes *codes)
{
    const lanes zero = lanes_of(0), top = lanes_of((float)most);
    lanes max = zero, inverse, best, scale;
    lanes_fit f = {zero, zero};
    lane_mask tiny;

    for (int i = 0; i < count; i++)
        max = lanes_max(x[i], max);
    tiny = lanes_less(max, LANES_TINY);
    inverse = top / max;
    best = error_positive(count, lanes_of(4194303.0f), x, weights, inverse);
    for (int k = -4; k <= 4; k++) {
        lanes other = lanes_of(0.1f * (float)k + (float)most) / max, e;
        lane_mask better;

        if (k == 0)
            continue;
        e = error_positive(count, top, x, weights, other);
        better = lanes_less(e, best);
        best = lanes_choose(better, e, best);
        inverse = lanes_choose(better, other, inverse);
    }
    for (int i = 0; i < count; i++) {
        lanes code = lanes_code(inverse * x[i], zero, top);

        codes[i] = lanes_choose(tiny, zero, code);
        f.product += weights[i] * x[i] * code;
        f.square += weights[i] * code * code;
    }
    scale =
        improve(count, x, weights, 0, most, false, f, mask_not(tiny), codes);
    return lanes_choose(tiny, zero, scale);
}

#endif
