/*
 * similarity.c - how alike two pictures are
 *
 * Sums go along rows, from the left, and rows from the top: one order, whatever
 * the machine.
 */
#include <config.h>

#include "similarity.h"

#include <math.h>
#include <stdlib.h>

#include "elementary.h"

enum { WINDOW = DFX_SSIM_WINDOW };

double
dfx_psnr(const float *a, const float *b, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];

        sum += d * d;
    }
    /* 10 / ln 10, and our own logarithm: the same on every machine. */
    return sum == 0 ? (double)INFINITY
                    : 4.342944819032518 * dfx_log((double)count / sum);
}

/* Sums over the pixels of a window, or over a column of it. */
typedef struct sums {
    double a, b, aa, bb, ab;
} sums;

static void
add(sums *to, const sums *from)
{
    to->a += from->a;
    to->b += from->b;
    to->aa += from->aa;
    to->bb += from->bb;
    to->ab += from->ab;
}

/* Column x of the windows whose first row a and b point to. */
static sums
column(const float *a, const float *b, size_t width, size_t x)
{
    sums s = {0};

    for (size_t y = 0; y < WINDOW; y++) {
        double p = (double)a[y * width + x], q = (double)b[y * width + x];

        add(&s, &(sums){p, q, p * p, q * q, p * q});
    }
    return s;
}

static double
similarity(const sums *s)
{
    const double n = WINDOW * WINDOW, c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
    double ma = s->a / n, mb = s->b / n;
    double sample = n / (n - 1);
    double va = sample * (s->aa / n - ma * ma);
    double vb = sample * (s->bb / n - mb * mb);
    double vab = sample * (s->ab / n - ma * mb);

    return (2 * ma * mb + c1) * (2 * vab + c2) /
           ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

/* The sum over the windows that start in one row. columns has room for width.
 */
static double
row_sum(const float *a, const float *b, size_t width, sums *columns)
{
    double sum = 0;

    for (size_t x = 0; x < width; x++)
        columns[x] = column(a, b, width, x);
    for (size_t x = 0; x + WINDOW <= width; x++) {
        sums s = {0};

        for (size_t k = 0; k < WINDOW; k++)
            add(&s, &columns[x + k]);
        sum += similarity(&s);
    }
    return sum;
}

double
dfx_ssim(const float *a, const float *b, size_t channels, size_t height,
         size_t width)
{
    sums *columns;
    double sum = 0;

    if (height < WINDOW || width < WINDOW)
        return (double)NAN;
    columns = calloc(width, sizeof *columns);
    if (columns == NULL)
        return (double)NAN;
    for (size_t y = 0; y < channels * height; y++)
        if (y % height + WINDOW <= height)
            sum += row_sum(a + y * width, b + y * width, width, columns);
    free(columns);
    return sum /
           (double)(channels * (height - WINDOW + 1) * (width - WINDOW + 1));
}
