/*
 * table.h - a backend on the CPU, from what was included before
 *
 * Defined before: BACKEND, the name of the table; LEVEL, its text; OP(name),
 * the function of a product.
 */
#include <stdlib.h>
#include <string.h>

static void *
host_alloc(size_t bytes)
{
    return malloc(bytes);
}

static void
host_release(void *data)
{
    free(data);
}

static bool
host_copy(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    return true;
}

const dfx_backend BACKEND = {
    .name = LEVEL,
    .alloc = host_alloc,
    .release = host_release,
    .write = host_copy,
    .read = host_copy,
    .is_host = true,
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
