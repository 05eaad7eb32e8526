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

static void
conv_plane(float *out, const float *image, const float *filter,
           const float *bias, const dfx_conv *c)
{
    for (size_t i = 0; i < c->out_height * c->out_width; i++) {
        out[i] =
            conv_element(image, filter, c, i / c->out_width, i % c->out_width);
        if (bias != NULL)
            out[i] += *bias;
    }
}

static bool
plain_conv2d(float *out, const float *x, dfx_weight weight, const float *bias,
             const dfx_conv *conv)
{
    const dfx_conv c = *conv;
    size_t image = c.in_channels * c.in_height * c.in_width;
    size_t area = c.out_height * c.out_width;
    size_t filter = c.in_channels * c.kernel * c.kernel;
    bool failed = false;

#pragma omp parallel default(none)                                             \
    shared(out, x, weight, bias, c, image, area, filter, failed)
    {
        float *room = malloc(filter * sizeof *room);

        if (room == NULL) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for
        for (size_t plane = 0; plane < c.batch * c.out_channels; plane++) {
            size_t o = plane % c.out_channels;

            if (room != NULL)
                conv_plane(out + plane * area,
                           x + plane / c.out_channels * image,
                           dfx_weight_numbers(weight, o * filter, filter, room),
                           bias != NULL ? &bias[o] : NULL, &c);
        }
        free(room);
    }
    return !failed;
}

#define BACKEND dfx_backend_ref
#define LEVEL "ref"
#define OP(name) plain_##name

#include "table.h"
