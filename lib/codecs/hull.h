/*
 * hull.h - the rows of a grid that are best for some scale
 *
 * Numbers x with weights w, said as scale * g with g a row of a grid, have the
 * error
 *
 *   sum w*x*x - 2 * scale * product + scale^2 * square
 *   product = sum w*x*g, square = sum w*g*g
 *
 * so of a row nothing but these two sums matters. As points of a plane, those
 * best for some scale are corners of the convex hull: few of a thousand, found
 * once, and then no scale needs a search of the grid.
 */
#ifndef DFX_HULL_H
#define DFX_HULL_H

#include <stdbool.h>
#include <stdint.h>

/* Corners are 10 or 20; what would be more is left out. */
enum { DFX_HULL_MAX = 40, DFX_GRID_MAX = 2048 };

typedef struct dfx_corner {
    float product, square;
    unsigned row;
} dfx_corner;

typedef struct dfx_hull {
    int count; /* 0: not found yet */
    dfx_corner corners[DFX_HULL_MAX];
} dfx_hull;

typedef struct dfx_grid {
    const uint16_t *rows;
    int count, elements, bits; /* elements of a row, bits of an element */
} dfx_grid;

/*
 * Of grid->elements numbers. levels: by code. flipped: one of the numbers, the
 * one that costs least, gets the wrong sign.
 */
typedef void dfx_hull_find_fn(const dfx_grid *grid, const float *levels,
                              const float *x, const float *weights,
                              bool flipped, dfx_hull *hull);
dfx_hull_find_fn dfx_hull_find;

/* The best of a hull that has corners. */
const dfx_corner *dfx_hull_best(const dfx_hull *hull, float scale);

#endif
