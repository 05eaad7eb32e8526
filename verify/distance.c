/*
 * distance.c - how far a value is from another
 */
#include <config.h>

#include <math.h>
#include <string.h>

#include "dfx.h"
#include "similarity.h"

static double
at(const dfx_value *value, uint64_t i)
{
    return value->type == DFX_TYPE_F32
               ? (double)((const float *)value->data)[i]
               : (double)((const int64_t *)value->data)[i];
}

static bool
alike(const dfx_value *a, const dfx_value *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

/* The same number, or none in both. */
static bool
equal(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void
measure(const dfx_value *a, const dfx_value *b, dfx_distance *d)
{
    double squares = 0, aa = 0, bb = 0, ab = 0;

    d->max_abs = 0;
    for (uint64_t i = 0; i < a->count; i++) {
        double x = at(a, i), y = at(b, i);
        double error = equal(x, y) ? 0 : fabs(x - y);

        if (isnan(error))
            error = (double)INFINITY;
        d->max_abs = fmax(d->max_abs, error);
        squares += error * error;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    d->relative = squares == 0 ? 0 : sqrt(squares) / sqrt(aa);
    if (isnan(d->relative))
        d->relative = (double)INFINITY;
    d->cosine =
        aa > 0 && bb > 0 ? ab / sqrt(aa) / sqrt(bb) : (aa == bb ? 1.0 : 0.0);
}

/* The mean over the batch. */
static double
ssim(const dfx_value *a, const dfx_value *b)
{
    uint64_t size = a->shape[1] * a->shape[2] * a->shape[3];
    double sum = 0;

    for (uint64_t i = 0; i < a->shape[0]; i++)
        sum += dfx_ssim((const float *)a->data + i * size,
                        (const float *)b->data + i * size, (size_t)a->shape[1],
                        (size_t)a->shape[2], (size_t)a->shape[3]);
    return sum / (double)a->shape[0];
}

dfx_distance
dfx_value_distance(const dfx_value *first, const dfx_value *other)
{
    dfx_distance d = {.max_abs = (double)NAN,
                      .relative = (double)NAN,
                      .cosine = (double)NAN,
                      .psnr = (double)NAN,
                      .ssim = (double)NAN};
    size_t bytes =
        (size_t)first->count *
        (first->type == DFX_TYPE_F32 ? sizeof(float) : sizeof(int64_t));

    if (!alike(first, other))
        return d;
    d.same = memcmp(first->data, other->data, bytes) == 0;
    measure(first, other, &d);
    if (first->type != DFX_TYPE_F32 || first->count == 0)
        return d;
    d.psnr = dfx_psnr(first->data, other->data, (size_t)first->count);
    if (first->rank == 4)
        d.ssim = ssim(first, other);
    return d;
}
