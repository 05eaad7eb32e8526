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

INLINE lanes_fit
try_symmetric(int count, int n, const lanes *x, const lanes *weights,
              lanes inverse)
{
    const lanes least = lanes_of((float)-n), most = lanes_of((float)(n - 1));
    lanes_fit f = {lanes_of(0), lanes_of(0)};

    UNROLL for (int i = 0; i < count; i++)
    {
        lanes code = lanes_code(inverse * x[i], least, most);

        f.product += weights[i] * x[i] * code;
        f.square += weights[i] * code * code;
    }
    return f;
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
    f = try_symmetric(count, n, x, weights, s.inverse);
    s.scale =
        lanes_choose(lanes_less(zero, f.square), f.product / f.square, zero);
    best = s.scale * f.product;
    for (int k = -9; k <= 9; k++) {
        lanes inverse = lanes_of(-((float)n + 0.1f * (float)k)) / max, scale;
        lane_mask better;

        if (k == 0)
            continue;
        f = try_symmetric(count, n, x, weights, inverse);
        better = mask_and(lanes_less(zero, f.square),
                          lanes_less(best * f.square, f.product * f.product));
        if (mask_bits(better) == 0)
            continue;
        scale = f.product / f.square;
        s.scale = lanes_choose(better, scale, s.scale);
        best = lanes_choose(better, scale * f.product, best);
        s.inverse = lanes_choose(better, inverse, s.inverse);
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

/* What a line through codes and numbers is made of. */
typedef struct lanes_line {
    lanes codes, squares, products;
} lanes_line;

INLINE lanes_line
try_ranged(int count, int most, const lanes *x, const lanes *weights,
           lanes inverse, lanes low, lanes *codes)
{
    const lanes zero = lanes_of(0), top = lanes_of((float)most);
    lanes_line s = {zero, zero, zero};

    UNROLL for (int i = 0; i < count; i++)
    {
        lanes code = lanes_code(inverse * (x[i] - low), zero, top);
        lanes weighed = weights[i] * code;

        codes[i] = code;
        s.codes += weighed;
        s.squares += weighed * code;
        s.products += weighed * x[i];
    }
    return s;
}

INLINE lanes
error_ranged(int count, const lanes *x, const lanes *weights, lanes scale,
             lanes low, const lanes *codes, bool absolute)
{
    lanes sum = lanes_of(0);

    UNROLL for (int i = 0; i < count; i++)
    {
        lanes e = scale * codes[i] + low - x[i], size = e * e;

        if (absolute)
            size = lanes_abs(e);
        sum += weights[i] * size;
    }
    return sum;
}

/* dfx_search_ranged */
INLINE ranged_search
search_ranged(int count, int most, const lanes *x, const lanes *weights,
              const dfx_ranged_search *search)
{
    const lanes zero = lanes_of(0);
    lanes low = x[0], high = x[0], best, codes[DFX_SEARCH_MAX];
    lanes weight = weights[0], sum = weights[0] * x[0];
    lane_mask flat, wide;
    ranged_search r;

    for (int i = 1; i < count; i++) {
        low = lanes_min(x[i], low);
        high = lanes_max(x[i], high);
        weight += weights[i];
        sum += weights[i] * x[i];
    }
    low = lanes_min(zero, low);
    flat = lanes_equal(high, low);
    wide = mask_not(flat);
    r.low = low;
    r.inverse = lanes_of((float)most) / (high - low);
    r.scale = lanes_of(1) / r.inverse;
    (void)try_ranged(count, most, x, weights, r.inverse, low, codes);
    best =
        error_ranged(count, x, weights, r.scale, low, codes, search->absolute);
    for (int k = 0; k <= search->steps; k++) {
        lanes inverse =
            lanes_of(search->least + search->step * (float)k + (float)most) /
            (high - low);
        lanes_line l = try_ranged(count, most, x, weights, inverse, low, codes);
        lanes determinant = weight * l.squares - l.codes * l.codes;
        lanes s = (weight * l.products - sum * l.codes) / determinant;
        lanes m = (l.squares * sum - l.codes * l.products) / determinant;
        lane_mask above = lanes_less(zero, m), better;
        lanes e;

        s = lanes_choose(above, l.products / l.squares, s);
        m = lanes_choose(above, zero, m);
        e = error_ranged(count, x, weights, s, m, codes, search->absolute);
        better = mask_and(mask_and(wide, lanes_less(zero, determinant)),
                          lanes_less(e, best));
        r.inverse = lanes_choose(better, inverse, r.inverse);
        r.low = lanes_choose(better, low, r.low);
        r.scale = lanes_choose(better, s, r.scale);
        low = lanes_choose(better, m, low);
        best = lanes_choose(better, e, best);
    }
    r.scale = lanes_choose(flat, zero, r.scale);
    r.inverse = lanes_choose(flat, zero, r.inverse);
    r.min = -low;
    return r;
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
    f = try_symmetric(count, 4, x, weights, inverse);
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
