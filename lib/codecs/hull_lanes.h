/*
 * hull_lanes.h - the rows of a grid that are best for some scale: hull.c
 *
 * LANES rows at a time, to the same bits.
 */
#ifndef DFX_HULL_LANES_H
#define DFX_HULL_LANES_H

#include <float.h>
#include <math.h>

#include "codecs/hull.h"
#include "codecs/lanes.h"

/* Room for the two ends, and for a whole vector at the end. */
enum { HULL_ROOM = DFX_GRID_MAX + 2 + 16 };

/* Points of rows. */
typedef struct hull_points {
    float product[HULL_ROOM], square[HULL_ROOM];
} hull_points;

/* Those that may be corners. */
typedef struct hull_few {
    hull_points at;
    unsigned row[HULL_ROOM];
    int count;
} hull_few;

/* Sums over a row, by the code of each number: tables repeat after all codes.
 */
typedef struct hull_tables {
    float product[8][16], square[8][16];
} hull_tables;

INLINE void
make_tables(const dfx_grid *grid, const float *levels, const float *x,
            const float *weights, hull_tables *t)
{
    float level[16];

    for (int i = 0; i < 16; i++)
        level[i] = levels[i & ((1 << grid->bits) - 1)];
    for (int j = 0; j < grid->elements; j++)
        for (int i = 0; i < 16; i += LANES) {
            lanes v = lanes_load(level + i);

            lanes_store(t->product[j] + i, lanes_of(weights[j] * x[j]) * v);
            lanes_store(t->square[j] + i, lanes_of(weights[j]) * v * v);
        }
}

/* The least product, that which costs least to have the wrong sign, counts
   twice if flipped. Rows have halves, because sums have. */
INLINE void
make_points(const dfx_grid *grid, int elements, int bits,
            const hull_tables *tables, bool flipped, hull_points *p)
{
    const lanes zero = lanes_of(0);

    for (int i = 0; i < grid->count; i += LANES) {
        lane_index codes = index_load(grid->rows + i);
        lanes product[2], square[2], least[2];

#pragma GCC unroll 16
        for (int half = 0; half < 2; half++) {
            product[half] = square[half] = zero;
            least[half] = lanes_of(FLT_MAX);
#pragma GCC unroll 16
            for (int j = 0; j < elements / 2; j++) {
                int at = half * elements / 2 + j;
                lanes v = index_pick(tables->product[at], codes);

                product[half] += v;
                square[half] += index_pick(tables->square[at], codes);
                least[half] = lanes_min(least[half], v);
                codes = index_shift(codes, bits);
            }
        }
        product[0] += product[1];
        if (flipped)
            product[0] -= lanes_of(2) * lanes_min(least[0], least[1]);
        lanes_store(p->product + i, product[0]);
        lanes_store(p->square + i, square[0] + square[1]);
    }
}

/* The first of the points with the least first number, and of those with the
   greatest second one. */
INLINE unsigned
find_end(int count, const float *first, const float *second, float sign)
{
    lanes least = lanes_of(HUGE_VALF), wanted;
    unsigned end = 0;
    float best = -HUGE_VALF;

    for (int i = 0; i < count; i += LANES)
        least = lanes_min(lanes_of(sign) * lanes_load(first + i), least);
    wanted = lanes_of(sign * -lanes_greatest(-least));
    for (int i = 0; i < count; i += LANES) {
        unsigned bits = mask_bits(lanes_equal(lanes_load(first + i), wanted));

        for (; bits != 0; bits &= bits - 1) {
            unsigned at = (unsigned)i + (unsigned)__builtin_ctz(bits);

            if (sign * second[at] > best) {
                best = sign * second[at];
                end = at;
            }
        }
    }
    return end;
}

INLINE dfx_corner
corner_at(const hull_points *p, unsigned row)
{
    return (dfx_corner){p->product[row], p->square[row], row};
}

/* Above 0: points are better than a and b for some scale between theirs. */
INLINE lanes
outside(const dfx_corner *a, const dfx_corner *b, lanes product, lanes square)
{
    return (product - lanes_of(a->product)) * lanes_of(b->square - a->square) -
           (square - lanes_of(a->square)) * lanes_of(b->product - a->product);
}

/* The first point farthest outside of the line; false: none is. */
INLINE bool
find_far(int count, const hull_points *p, const dfx_corner *a,
         const dfx_corner *b, dfx_corner *far)
{
    lanes most = lanes_of(0);
    float by;

    for (int i = 0; i < count; i += LANES)
        most = lanes_max(outside(a, b, lanes_load(p->product + i),
                                 lanes_load(p->square + i)),
                         most);
    by = lanes_greatest(most);
    for (int i = 0; by > 0; i += LANES) {
        unsigned bits =
            mask_bits(lanes_equal(outside(a, b, lanes_load(p->product + i),
                                          lanes_load(p->square + i)),
                                  lanes_of(by)));

        if (bits != 0) {
            *far = corner_at(p, (unsigned)i + (unsigned)__builtin_ctz(bits));
            break;
        }
    }
    return by > 0;
}

INLINE void
add_point(hull_few *few, dfx_corner c)
{
    few->at.product[few->count] = c.product;
    few->at.square[few->count] = c.square;
    few->row[few->count++] = c.row;
}

/* Points outside of the line from a to b and of one of those to the farthest,
   and the two ends of that. */
INLINE void
prune(int count, const hull_points *p, const dfx_corner *a, const dfx_corner *b,
      hull_few *few)
{
    const lanes zero = lanes_of(0);
    dfx_corner far = *a;

    few->count = 0;
    if (find_far(count, p, a, b, &far)) {
        for (int i = 0; i < count; i += LANES) {
            lanes product = lanes_load(p->product + i);
            lanes square = lanes_load(p->square + i);
            lane_mask kept = mask_and(
                lanes_less(zero, outside(a, b, product, square)),
                mask_or(lanes_less(zero, outside(a, &far, product, square)),
                        lanes_less(zero, outside(&far, b, product, square))));

            for (unsigned bits = mask_bits(kept); bits != 0; bits &= bits - 1)
                add_point(few, corner_at(p, (unsigned)i +
                                                (unsigned)__builtin_ctz(bits)));
        }
        add_point(few, far);
    }
    add_point(few, *b);
    /* The rest of the last vector is never beyond. */
    for (int i = few->count; i % LANES != 0; i++) {
        few->at.product[i] = -HUGE_VALF;
        few->at.square[i] = 0;
    }
}

/* The point beyond a to which the slope is least; false: none is beyond. */
INLINE bool
find_next(const hull_few *few, const dfx_corner *a, dfx_corner *next)
{
    const lanes product = lanes_of(a->product), square = lanes_of(a->square);
    const lanes infinite = lanes_of(HUGE_VALF);
    float slopes[HULL_ROOM];
    lanes least = infinite;
    unsigned some = 0;

    for (int i = 0; i < few->count; i += LANES) {
        lanes more = lanes_load(few->at.product + i) - product;
        lanes slope = (lanes_load(few->at.square + i) - square) / more;
        lane_mask beyond = lanes_less(product, lanes_load(few->at.product + i));

        slope = lanes_choose(beyond, slope, infinite);
        lanes_store(slopes + i, slope);
        least = lanes_min(slope, least);
        some |= mask_bits(beyond);
    }
    if (some == 0)
        return false;
    least = lanes_of(-lanes_greatest(-least));
    for (int i = 0;; i += LANES) {
        unsigned bits = mask_bits(
            mask_and(lanes_equal(lanes_load(slopes + i), least),
                     lanes_less(product, lanes_load(few->at.product + i))));

        if (bits != 0) {
            unsigned at = (unsigned)i + (unsigned)__builtin_ctz(bits);

            *next = corner_at(&few->at, at);
            next->row = few->row[at];
            return true;
        }
    }
}

/* dfx_hull_find */
static void
find_hull(const dfx_grid *grid, const float *levels, const float *x,
          const float *weights, bool flipped, dfx_hull *hull)
{
    hull_tables tables;
    hull_points points;
    hull_few few;
    dfx_corner at, last;

    /* No grid is empty, which a compiler does not know. */
    points.product[0] = points.square[0] = 0;
    make_tables(grid, levels, x, weights, &tables);
    if (grid->elements == 8) /* of 2 bits each */
        make_points(grid, 8, 2, &tables, flipped, &points);
    else
        make_points(grid, 4, 3, &tables, flipped, &points);
    at = corner_at(&points,
                   find_end(grid->count, points.square, points.product, 1));
    last = corner_at(&points,
                     find_end(grid->count, points.product, points.square, -1));
    prune(grid->count, &points, &at, &last, &few);
    hull->count = 0;
    do
        hull->corners[hull->count++] = at;
    while (hull->count < DFX_HULL_MAX && find_next(&few, &at, &at));
}

#endif
