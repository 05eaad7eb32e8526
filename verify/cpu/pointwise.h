/*
 * pointwise.h - operations on each element by itself, and moves
 *
 * The same source for all levels: fma is one instruction where there is one.
 */
#include "backend.h"
#include "elementary.h"
#include "weight.h"

#include <string.h>

static float
relu(float x)
{
    return x < 0.0f ? 0.0f : x;
}

#define EACH(function)                                                         \
    _Pragma("omp parallel for simd default(none) shared(out, x, count)") for ( \
        size_t i = 0; i < count; i++) out[i] = function(x[i])

static bool
plain_activate(float *out, const float *x, size_t count, dfx_activation kind)
{
    switch (kind) {
    case DFX_ACT_SILU:
        EACH(dfx_siluf);
        break;
    case DFX_ACT_GELU:
        EACH(dfx_geluf);
        break;
    case DFX_ACT_GELU_TANH:
        EACH(dfx_gelu_tanhf);
        break;
    case DFX_ACT_QUICK_GELU:
        EACH(dfx_quick_geluf);
        break;
    case DFX_ACT_RELU:
        EACH(relu);
        break;
    }
    return true;
}

static bool
plain_geglu(float *out, const float *x, size_t rows, size_t width)
{
#pragma omp parallel for default(none) shared(out, x, rows, width)
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * 2 * width;

        for (size_t i = 0; i < width; i++)
            out[r * width + i] = row[i] * dfx_geluf(row[width + i]);
    }
    return true;
}

static bool
plain_add(float *out, const float *x, const float *y, size_t count)
{
#pragma omp parallel for default(none) shared(out, x, y, count)
    for (size_t i = 0; i < count; i++)
        out[i] = x[i] + y[i];
    return true;
}

static bool
plain_scale(float *out, const float *x, size_t count, float factor)
{
#pragma omp parallel for default(none) shared(out, x, count, factor)
    for (size_t i = 0; i < count; i++)
        out[i] = x[i] * factor;
    return true;
}

static bool
plain_add_each(float *out, const float *x, const float *y, size_t rows,
               size_t width)
{
#pragma omp parallel for default(none) shared(out, x, y, rows, width)
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
            out[r * width + i] = x[r * width + i] + y[r];
    return true;
}

static bool
plain_modulate(float *out, const float *x, const float *scale,
               const float *shift, size_t rows, size_t width)
{
#pragma omp parallel for default(none) shared(out, x, scale, shift, rows, width)
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
            out[r * width + i] =
                fmaf(x[r * width + i], 1.0f + scale[r], shift[r]);
    return true;
}

/* As PyTorch: the ratio is rounded to float, then the product. */
static size_t
nearest(size_t at, float ratio, size_t limit)
{
    size_t from = (size_t)((float)at * ratio);

    return from < limit ? from : limit - 1;
}

static bool
plain_resize(float *out, const float *x, size_t planes, size_t in_height,
             size_t in_width, size_t out_height, size_t out_width)
{
    float down = (float)in_height / (float)out_height;
    float across = (float)in_width / (float)out_width;

#pragma omp parallel for default(none) shared(                                 \
    out, x, planes, in_height, in_width, out_height, out_width, down, across)
    for (size_t row = 0; row < planes * out_height; row++) {
        size_t plane = row / out_height;
        size_t y = nearest(row % out_height, down, in_height);
        const float *from = x + (plane * in_height + y) * in_width;

        for (size_t i = 0; i < out_width; i++)
            out[row * out_width + i] = from[nearest(i, across, in_width)];
    }
    return true;
}

static bool
plain_transpose(float *out, const float *x, size_t batch, size_t rows,
                size_t columns)
{
#pragma omp parallel for default(none) shared(out, x, batch, rows, columns)
    for (size_t line = 0; line < batch * columns; line++) {
        const float *from =
            x + line / columns * rows * columns + line % columns;

        for (size_t r = 0; r < rows; r++)
            out[line * rows + r] = from[r * columns];
    }
    return true;
}

static bool
plain_copy(float *to, size_t to_step, const float *from, size_t from_step,
           size_t rows, size_t count)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * to_step, from + r * from_step, count * sizeof *to);
    return true;
}

static bool
plain_embed(float *out, dfx_weight table, const uint32_t *ids, size_t count,
            size_t width)
{
    for (size_t i = 0; i < count; i++, out += width) {
        const float *row =
            dfx_weight_numbers(table, ids[i] * width, width, out);

        if (row != out)
            memcpy(out, row, width * sizeof *out);
    }
    return true;
}
