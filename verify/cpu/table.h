/*
 * table.h - a backend on the CPU, from what was included before
 *
 * Defined before: BACKEND, the name of the table; LEVEL, its text; OP(name),
 * the function of a product.
 */
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

const dfx_backend BACKEND = {
    .name = LEVEL,
    .alloc = host_alloc,
    .release = host_release,
    .write = host_copy,
    .read = host_copy,
    .linear = OP(linear),
    .conv2d = OP(conv2d),
    .attention = OP(attention),
    .group_norm = plain_group_norm,
    .layer_norm = plain_layer_norm,
    .activate = plain_activate,
    .geglu = plain_geglu,
    .add = plain_add,
    .scale = plain_scale,
    .add_each = plain_add_each,
    .modulate = plain_modulate,
    .resize = plain_resize,
    .transpose = plain_transpose,
    .copy = plain_copy,
    .embed = plain_embed,
};
