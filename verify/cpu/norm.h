/*
 * norm.h - rows of mean 0 and variance 1
 *
 * The same source for all levels: fma is one instruction where there is one.
 */
#include "backend.h"
#include "rows.h"

typedef struct row_norm {
    float mean;
    float factor; /* 1 / sqrt(variance + eps) */
} row_norm;

static row_norm
measure(const float *x, size_t count, float eps)
{
    row_norm n;

    n.mean = dfx_row_sum(x, count) / (float)count;
    n.factor =
        1.0f / sqrtf(dfx_row_squares(x, count, n.mean) / (float)count + eps);
    return n;
}

static float
apply(row_norm n, float x, float weight, float bias)
{
    return fmaf((x - n.mean) * n.factor, weight, bias);
}

static bool
plain_group_norm(float *out, const float *x, const float *weight,
                 const float *bias, size_t batch, size_t channels, size_t area,
                 size_t groups, float eps)
{
    size_t members = channels / groups;
    size_t width = members * area;

#pragma omp parallel for default(none)                                         \
    shared(out, x, weight, bias, batch, area, groups, eps, members, width)
    for (size_t g = 0; g < batch * groups; g++) {
        row_norm n = measure(x + g * width, width, eps);

        for (size_t i = 0; i < members; i++) {
            size_t c = g % groups * members + i;
            size_t first = g * width + i * area;

            for (size_t j = first; j < first + area; j++)
                out[j] = apply(n, x[j], weight[c], bias[c]);
        }
    }
    return true;
}

static bool
plain_layer_norm(float *out, const float *x, const float *weight,
                 const float *bias, size_t rows, size_t width, float eps)
{
#pragma omp parallel for default(none)                                         \
    shared(out, x, weight, bias, rows, width, eps)
    for (size_t r = 0; r < rows; r++) {
        row_norm n = measure(x + r * width, width, eps);

        for (size_t i = 0; i < width; i++)
            out[r * width + i] = apply(n, x[r * width + i], weight[i], bias[i]);
    }
    return true;
}
