/*
 * hull.c - the rows of a grid that are best for some scale
 */
#include <config.h>

#include "codecs/hull.h"

#include <float.h>

enum { HALVES = 256 }; /* what half a row can be: 4 codes of 2 bits */

/* Sums over half a row, for each of what it can be. */
typedef struct halves {
    float product[HALVES], square[HALVES];
    float least[HALVES]; /* product of a number */
} halves;

/* A number more at a time: its codes times all that went before. */
static void
sum_halves(int elements, int bits, const float *levels, const float *x,
           const float *weights, halves *h)
{
    int known = 1;

    h->product[0] = h->square[0] = 0;
    h->least[0] = FLT_MAX;
    for (int j = 0; j < elements; j++, known <<= bits)
        for (int code = (1 << bits) - 1; code >= 0; code--) {
            float product = weights[j] * x[j] * levels[code];
            float square = weights[j] * levels[code] * levels[code];

            for (int i = 0; i < known; i++) {
                int to = code * known + i;

                h->product[to] = h->product[i] + product;
                h->square[to] = h->square[i] + square;
                h->least[to] = h->least[i] < product ? h->least[i] : product;
            }
        }
}

/* The point of a row, from those of its halves. */
static dfx_corner
point_of(const halves *low, const halves *high, unsigned a, unsigned b,
         bool flipped)
{
    float product = low->product[a] + high->product[b];
    float least =
        low->least[a] < high->least[b] ? low->least[a] : high->least[b];

    if (flipped)
        product -= 2 * least;
    return (dfx_corner){product, low->square[a] + high->square[b], 0};
}

/* Above 0: p is better than a and b for some scale between theirs. */
static float
outside(const dfx_corner *a, const dfx_corner *b, const dfx_corner *p)
{
    return (p->product - a->product) * (b->square - a->square) -
           (p->square - a->square) * (b->product - a->product);
}

/*
 * Keeps b, the point farthest outside of the line from a to b, and those
 * outside of the two lines to it. Both ends are points; their outside is 0 to
 * the bit, and so there is room for what is added. Returns how many.
 */
static int
prune(const dfx_corner *a, const dfx_corner *b, int count, dfx_corner *points)
{
    dfx_corner far = *a;
    float most = 0;
    int kept = 0, left = 0;

    for (int i = 0; i < count; i++) {
        float by = outside(a, b, &points[i]);

        if (by > most) {
            most = by;
            far = points[i];
        }
        points[kept] = points[i]; /* no branch: half of them go */
        kept += by > 0;
    }
    for (int i = 0; i < kept; i++) {
        float before = outside(a, &far, &points[i]);
        float after = outside(&far, b, &points[i]);

        points[left] = points[i];
        left += before > 0 || after > 0;
    }
    if (most > 0)
        points[left++] = far;
    points[left++] = *b;
    return left;
}

/* Keeps those with a greater product than p; returns how many. */
static int
keep_beyond(const dfx_corner *p, int count, dfx_corner *points)
{
    int kept = 0;

    for (int i = 0; i < count; i++) {
        points[kept] = points[i];
        kept += points[i].product > p->product;
    }
    return kept;
}

/* Around the hull, from the least square to the greatest product: next is the
   point to which the slope is least. */
static void
wrap(int count, dfx_corner *points, dfx_hull *hull)
{
    dfx_corner at = {0, FLT_MAX, 0}, last = {-FLT_MAX, 0, 0};

    for (int i = 0; i < count; i++) {
        const dfx_corner *p = &points[i];

        if (p->square < at.square ||
            (p->square == at.square && p->product > at.product))
            at = *p;
        if (p->product > last.product ||
            (p->product == last.product && p->square < last.square))
            last = *p;
    }
    count = prune(&at, &last, count, points);
    hull->count = 0;
    for (;;) {
        dfx_corner next = at;
        float least = 0;

        hull->corners[hull->count++] = at;
        count = keep_beyond(&at, count, points);
        if (count == 0 || hull->count == DFX_HULL_MAX)
            break;
        for (int i = 0; i < count; i++) {
            float slope = (points[i].square - at.square) /
                          (points[i].product - at.product);

            if (i == 0 || slope < least) {
                least = slope;
                next = points[i];
            }
        }
        at = next;
    }
}

void
dfx_hull_find(const dfx_grid *grid, const float *levels, const float *x,
              const float *weights, bool flipped, dfx_hull *hull)
{
    int half = grid->elements / 2, shift = half * grid->bits;
    unsigned mask = (1u << shift) - 1;
    dfx_corner points[DFX_GRID_MAX];
    halves low, high;

    sum_halves(half, grid->bits, levels, x, weights, &low);
    sum_halves(half, grid->bits, levels, x + half, weights + half, &high);
    for (int i = 0; i < grid->count; i++) {
        unsigned row = grid->rows[i];

        points[i] =
            point_of(&low, &high, row & mask, row >> shift & mask, flipped);
        points[i].row = (unsigned)i;
    }
    wrap(grid->count, points, hull);
}

const dfx_corner *
dfx_hull_best(const dfx_hull *hull, float scale)
{
    const dfx_corner *best = &hull->corners[0];
    float least = scale * best->square - 2 * best->product;

    for (int i = 1; i < hull->count; i++) {
        const dfx_corner *p = &hull->corners[i];
        float value = scale * p->square - 2 * p->product;

        if (value < least) {
            least = value;
            best = p;
        }
    }
    return best;
}
