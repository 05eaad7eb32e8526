/*
 * product.h - sums of products: linear layers, convolutions, attention
 *
 * Plain, as they are defined. Levels with lanes do the same sums side by side
 * (panel.h).
 */
#include "backend.h"
#include "rows.h"
#include "weight.h"

#include <stdlib.h>

/* The chain of every product goes on from acc. Steps are between elements. */
static float
chain(float acc, const float *a, const float *b, size_t b_step, size_t count)
{
    for (size_t i = 0; i < count; i++)
        acc = fmaf(a[i], b[i * b_step], acc);
    return acc;
}

/* x times the row of a weight that begins at number first. */
static float
weight_chain(const float *x, dfx_weight weight, size_t first, size_t count)
{
    float room[DFX_WEIGHT_PART], acc = 0.0f;

    for (size_t k = 0; k < count; k += DFX_WEIGHT_PART) {
        size_t part = count - k < DFX_WEIGHT_PART ? count - k : DFX_WEIGHT_PART;

        acc = chain(acc, x + k,
                    dfx_weight_numbers(weight, first + k, part, room), 1, part);
    }
    return acc;
}

static bool
plain_linear(float *out, const float *x, dfx_weight weight, const float *bias,
             size_t rows, size_t in_width, size_t out_width)
{
#pragma omp parallel for default(none)                                         \
    shared(out, x, weight, bias, rows, in_width, out_width)
    for (size_t i = 0; i < rows * out_width; i++) {
        size_t r = i / out_width, o = i % out_width;

        out[i] = weight_chain(x + r * in_width, weight, o * in_width, in_width);
        if (bias != NULL)
            out[i] += bias[o];
    }
    return true;
}

/* The pixel of a plane at y, x counted from the padding's edge. */
static float
pixel(const float *plane, const dfx_conv *c, size_t y, size_t x)
{
    bool inside = y >= c->top && y - c->top < c->in_height && x >= c->left &&
                  x - c->left < c->in_width;

    return inside ? plane[(y - c->top) * c->in_width + x - c->left] : 0.0f;
}

/* One query of one head; scores has room for the keys. */
static void
attend(float *out, const float *q, const float *k, const float *v,
       const dfx_attention *a, size_t keys, float *scores)
{
    size_t width = a->heads * a->head_size;

    for (size_t j = 0; j < keys; j++)
        scores[j] = chain(0.0f, q, k + j * width, 1, a->head_size) * a->scale;
    dfx_row_softmax(scores, keys);
    for (size_t i = 0; i < a->head_size; i++)
        out[i] = chain(0.0f, scores, v + i, width, keys);
}

static bool
plain_attention(float *out, const float *q, const float *k, const float *v,
                const dfx_attention *attention)
{
    const dfx_attention a = *attention;
    size_t width = a.heads * a.head_size;
    bool failed = false;

#pragma omp parallel default(none) shared(out, q, k, v, a, width, failed)
    {
        float *scores = malloc(a.keys * sizeof *scores);

        if (scores == NULL) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for
        for (size_t i = 0; i < a.batch * a.heads * a.queries; i++) {
            size_t query = i % a.queries;
            size_t head = i / a.queries % a.heads;
            size_t b = i / a.queries / a.heads;
            size_t at = (b * a.queries + query) * width + head * a.head_size;
            size_t from = b * a.keys * width + head * a.head_size;
            size_t keys = a.causal && query + 1 < a.keys ? query + 1 : a.keys;

            if (scores != NULL)
                attend(out + at, q + at, k + from, v + from, &a, keys, scores);
        }
        free(scores);
    }
    return !failed;
}
