/*
 * ref.c - the reference backend: plain C on the CPU
 */
#include <config.h>

#include "ref.h"

#include <stdlib.h>
#include <string.h>

static float *
host_alloc(size_t count)
{
    return count <= SIZE_MAX / sizeof(float) ? malloc(count * sizeof(float))
                                             : NULL;
}

static void
host_release(float *data)
{
    free(data);
}

static bool
host_copy(float *to, const float *from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
    return true;
}

const dfx_backend dfx_backend_ref = {
    .name = "ref",
    .alloc = host_alloc,
    .release = host_release,
    .write = host_copy,
    .read = host_copy,
    .linear = dfx_ref_linear,
    .conv2d = dfx_ref_conv2d,
    .attention = dfx_ref_attention,
    .group_norm = dfx_ref_group_norm,
    .layer_norm = dfx_ref_layer_norm,
    .activate = dfx_ref_activate,
    .geglu = dfx_ref_geglu,
    .add = dfx_ref_add,
    .scale = dfx_ref_scale,
    .add_each = dfx_ref_add_each,
    .modulate = dfx_ref_modulate,
    .resize = dfx_ref_resize,
    .transpose = dfx_ref_transpose,
    .copy = dfx_ref_copy,
    .embed = dfx_ref_embed,
};
