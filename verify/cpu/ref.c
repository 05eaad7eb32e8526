/*
 * ref.c - the reference backend: plain C on the CPU
 */
#include <config.h>

#include "norm.h"
#include "pointwise.h"
#include "product.h"

static float
conv_element(const float *image, const float *weight, const dfx_conv *c,
             size_t y, size_t x)
{
    float acc = 0.0f;

    for (size_t channel = 0; channel < c->in_channels; channel++) {
        const float *plane = image + channel * c->in_height * c->in_width;

        for (size_t ky = 0; ky < c->kernel; ky++)
            for (size_t kx = 0; kx < c->kernel; kx++)
                acc = fmaf(
                    pixel(plane, c, y * c->stride + ky, x * c->stride + kx),
                    *weight++, acc);
    }
    return acc;
}

static bool
plain_conv2d(float *out, const float *x, const float *weight, const float *bias,
             const dfx_conv *conv)
{
    const dfx_conv c = *conv;
    size_t image = c.in_channels * c.in_height * c.in_width;
    size_t filter = c.in_channels * c.kernel * c.kernel;

#pragma omp parallel for default(none)                                         \
    shared(out, x, weight, bias, c, image, filter)
    for (size_t row = 0; row < c.batch * c.out_channels * c.out_height; row++) {
        size_t y = row % c.out_height;
        size_t o = row / c.out_height % c.out_channels;
        size_t b = row / c.out_height / c.out_channels;

        for (size_t i = 0; i < c.out_width; i++) {
            float *to = &out[row * c.out_width + i];

            *to = conv_element(x + b * image, weight + o * filter, &c, y, i);
            if (bias != NULL)
                *to += bias[o];
        }
    }
    return true;
}

#define BACKEND dfx_backend_ref
#define LEVEL "ref"
#define OP(name) plain_##name

#include "table.h"
