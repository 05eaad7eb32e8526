/*
 * iq_lanes.h - numbers to IQ1, IQ2 and IQ3: iq_encode.c, LANES scales at once
 *
 * What is tried for one scale after the other there, goes side by side here, to
 * the same bits; then the results are looked at in the same order.
 */
#ifndef DFX_IQ_LANES_H
#define DFX_IQ_LANES_H

#include <math.h>

#include "codecs/codec.h"
#include "codecs/hull_lanes.h"
#include "codecs/iq_block.h"

typedef struct lanes_sums {
    lanes product, square; /* as in hull.h */
} lanes_sums;

INLINE lanes
gain(lanes_sums s, lanes scale)
{
    return scale * (lanes_of(2) * s.product - scale * s.square);
}

/* dfx_iq_scale_of */
INLINE lanes
scale_of(lanes_sums s)
{
    const lanes zero = lanes_of(0);

    return lanes_choose(
        mask_and(lanes_less(zero, s.product), lanes_less(zero, s.square)),
        s.product / s.square, zero);
}

INLINE lanes_sums
choose_sums(lane_mask condition, lanes_sums yes, lanes_sums no)
{
    return (lanes_sums){lanes_choose(condition, yes.product, no.product),
                        lanes_choose(condition, yes.square, no.square)};
}

/* dfx_hull_best */
INLINE lanes_sums
best_corner(const dfx_hull *hull, lanes scale)
{
    lanes_sums best = {lanes_of(hull->corners[0].product),
                       lanes_of(hull->corners[0].square)};
    lanes least = scale * best.square - lanes_of(2) * best.product;

    for (int i = 1; i < hull->count; i++) {
        lanes_sums s = {lanes_of(hull->corners[i].product),
                        lanes_of(hull->corners[i].square)};
        lanes value = scale * s.square - lanes_of(2) * s.product;

        best = choose_sums(lanes_less(value, least), s, best);
        least = lanes_min(value, least);
    }
    return best;
}

/* The better way of a cell. */
INLINE lanes_sums
try_cell(const dfx_iq_block *b, int cell, lanes scale)
{
    int rows = b->type->cell / b->type->grid.elements;
    lanes_sums best = {lanes_of(0), lanes_of(0)};

    for (int way = 0; way < b->type->ways; way++) {
        const dfx_hull *hulls = &b->hulls[way][rows * cell];
        lanes_sums s = {lanes_of(0), lanes_of(0)};

        if (hulls[0].count == 0)
            continue;
        for (int r = 0; r < rows; r++) {
            lanes_sums corner = best_corner(&hulls[r], scale);

            s.product += corner.product;
            s.square += corner.square;
        }
        if (way == 0)
            best = s;
        else
            best = choose_sums(lanes_less(gain(best, scale), gain(s, scale)), s,
                               best);
    }
    return best;
}

static lanes_sums
try_group(const dfx_iq_block *b, int group, lanes scale)
{
    int cells = b->type->group / b->type->cell;
    lanes_sums total = {lanes_of(0), lanes_of(0)};

    for (int i = 0; i < cells; i++) {
        lanes_sums s = try_cell(b, cells * group + i, scale);

        total.product += s.product;
        total.square += s.square;
    }
    return total;
}

/* Scales that are tried, and what is best for what they choose. */
enum { MOST_TRIALS = 32 };

typedef struct iq_trials {
    float scale[MOST_TRIALS], gain[MOST_TRIALS];
} iq_trials;

/* scale and those that follow it by a factor. */
INLINE void
make_trials(float scale, float factor, int count, iq_trials *t)
{
    for (int k = 0; k < MOST_TRIALS; k++) {
        t->scale[k] = scale;
        if (k < count - 1)
            scale *= factor;
    }
}

/* The first of those that gain most; 0: none gains. */
INLINE float
best_trial(const iq_trials *t, int count)
{
    float best = 0, most = 0;

    for (int k = 0; k < count; k++)
        if (t->gain[k] > most) {
            best = t->scale[k];
            most = t->gain[k];
        }
    return best;
}

/* A good scale of a group by itself. */
static float
scale_of_group(const dfx_iq_block *b, int group)
{
    enum { TRIALS = 26 };
    int size = b->type->group;
    float most = reach(size, b->x + size * group), top = 0;
    iq_trials trials;

    for (int i = 0; i < 8; i++)
        top = b->levels[0][i] > top ? b->levels[0][i] : top;
    make_trials(0.25f * most / top, 1.1f, TRIALS, &trials);
    for (int k = 0; k < TRIALS; k += LANES) {
        lanes_sums s = try_group(b, group, lanes_load(trials.scale + k));

        /* Its own best scale cannot be worse. */
        for (int round = 0; round < 2; round++)
            s = try_group(b, group, scale_of(s));
        lanes_store(trials.scale + k, scale_of(s));
        lanes_store(trials.gain + k, gain(s, scale_of(s)));
    }
    return best_trial(&trials, TRIALS);
}

/* Codes of all groups for scales of the block, each next to that which the
   group wants. Returns sums for the scale of the block. */
static lanes_sums
try_nearby(const dfx_iq_block *b, lanes d)
{
    const dfx_iq_type *t = b->type;
    const lanes zero = lanes_of(0), one = lanes_of(1), two = lanes_of(2);
    const lanes unit = lanes_of(t->unit),
                last = lanes_of((float)(t->scales - 1));
    lanes_sums total = {zero, zero};

    for (int g = 0; g < DFX_IQ_ELEMENTS / t->group; g++) {
        lanes wanted = lanes_code(
            (lanes_of(b->best[g]) / (d * unit) - one) / two, zero, last);
        lanes code = lanes_max(wanted - one, zero);
        lanes end = lanes_min(wanted + one, last);
        lanes most = lanes_of(-HUGE_VALF), chosen = code, factor;
        lanes_sums found = {zero, zero};

        for (int i = 0; i < 3; i++, code += one) {
            lanes scale = d * unit * (two * code + one);
            lanes_sums s = try_group(b, g, scale);
            lane_mask better = mask_and(lanes_up_to(code, end),
                                        lanes_less(most, gain(s, scale)));

            found = choose_sums(better, s, found);
            chosen = lanes_choose(better, code, chosen);
            most = lanes_choose(better, gain(s, scale), most);
        }
        factor = unit * (two * chosen + one);
        total.product += factor * found.product;
        total.square += factor * factor * found.square;
    }
    return total;
}

/* The best code of every group for a scale of the block. Returns sums for that.
 */
static dfx_iq_sums
choose_codes(dfx_iq_block *b, float d)
{
    static const float odd[16] = {1,  3,  5,  7,  9,  11, 13, 15,
                                  17, 19, 21, 23, 25, 27, 29, 31};
    const dfx_iq_type *t = b->type;
    dfx_iq_sums total = {0, 0};

    for (int g = 0; g < DFX_IQ_ELEMENTS / t->group; g++) {
        float gains[16], products[16], squares[16], factor;
        float most = -HUGE_VALF;
        dfx_iq_sums found = {0, 0};

        for (int i = 0; i < t->scales; i += LANES) {
            lanes scale = lanes_of(d * t->unit) * lanes_load(odd + i);
            lanes_sums s = try_group(b, g, scale);

            lanes_store(gains + i, gain(s, scale));
            lanes_store(products + i, s.product);
            lanes_store(squares + i, s.square);
        }
        b->scales[g] = 0;
        for (int code = 0; code < t->scales; code++)
            if (gains[code] > most) {
                most = gains[code];
                b->scales[g] = code;
                found = (dfx_iq_sums){products[code], squares[code]};
            }
        factor = t->unit * odd[b->scales[g]];
        total.product += factor * found.product;
        total.square += factor * factor * found.square;
    }
    return total;
}

static float
scale_of_block(dfx_iq_block *b)
{
    const dfx_iq_type *t = b->type;
    float most = 0, best;
    iq_trials trials;

    for (int g = 0; g < DFX_IQ_ELEMENTS / t->group; g++) {
        b->best[g] = scale_of_group(b, g);
        most = b->best[g] > most ? b->best[g] : most;
    }
    if (!(most > 0))
        return 0;
    make_trials(0.75f * most / (t->unit * (float)(2 * t->scales - 1)), 1.03f,
                MOST_TRIALS, &trials);
    for (int k = 0; k < MOST_TRIALS; k += LANES) {
        lanes_sums s = try_nearby(b, lanes_load(trials.scale + k));

        lanes_store(trials.scale + k, scale_of(s));
        lanes_store(trials.gain + k, gain(s, scale_of(s)));
    }
    best = best_trial(&trials, MOST_TRIALS);
    for (int round = 0; round < 2; round++)
        best = dfx_iq_scale_of(choose_codes(b, best));
    return best;
}

static void
code_groups(dfx_iq_block *b, float d)
{
    (void)choose_codes(b, d);
}

static const dfx_iq_search iq_search = {find_hull, scale_of_block, code_groups};

#define IQ(name, ...)                                                          \
    static bool encode_##name(const float *x, const float *importance,         \
                              uint8_t *out, size_t count)                      \
    {                                                                          \
        return dfx_iq_encode_##name(&iq_search, x, importance, out, count);    \
    }
#include "codecs/iq.def"
#undef IQ

#endif
