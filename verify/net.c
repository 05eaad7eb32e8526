/*
 * net.c - arrays of a network, and weights by name
 */
#include <config.h>

#include "net.h"

#include "expr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const dfx_array empty;

void
dfx_net_init(dfx_net *net, const dfx_backend *backend, const dfx_index *index,
             uint32_t component, dfx_error *err)
{
    *net = (dfx_net){
        .backend = backend, .index = index, .component = component, .err = err};
    net->weights = calloc(index->tensor_count + 1, sizeof *net->weights);
    dfx_net_done(net, net->weights != NULL);
}

static void
release_from(dfx_net *net, size_t mark)
{
    while (net->live_count > mark)
        net->backend->release(net->live[--net->live_count]);
}

void
dfx_net_fini(dfx_net *net)
{
    release_from(net, 0);
    free(net->live);
    if (net->weights != NULL)
        for (size_t i = 0; i < net->index->tensor_count; i++)
            net->backend->release(net->weights[i]);
    free(net->weights);
}

void
dfx_net_done(dfx_net *net, bool good)
{
    if (!good && net->status == DFX_OK)
        net->status = dfx_fail_nomem(net->err);
}

void
dfx_net_unfit(dfx_net *net, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;

    if (net->status != DFX_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    net->status =
        dfx_fail(net->err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET, "%s", text);
}

size_t
dfx_net_mark(const dfx_net *net)
{
    return net->live_count;
}

dfx_array
dfx_net_keep(dfx_net *net, size_t mark, dfx_array result)
{
    bool ours = false;

    for (size_t i = mark; i < net->live_count && !ours; i++)
        if (net->live[i] == result.data) {
            net->live[i] = net->live[mark];
            net->live[mark] = result.data;
            ours = true;
        }
    release_from(net, mark + ours);
    return result;
}

/* The product of a shape that an array can have; 0: none. */
static size_t
shape_count(uint32_t rank, const size_t *shape)
{
    uint64_t count = 1;

    if (rank > DFX_NET_RANK)
        return 0;
    for (uint32_t i = 0; i < rank; i++)
        if (dfx_ckd_mul(&count, count, shape[i]))
            return 0;
    return count <= SIZE_MAX / sizeof(float) ? (size_t)count : 0;
}

dfx_array
dfx_net_new(dfx_net *net, uint32_t rank, const size_t *shape)
{
    dfx_array x = {.rank = rank, .count = shape_count(rank, shape)};

    if (net->status != DFX_OK)
        return empty;
    if (x.count == 0) {
        dfx_net_unfit(net, "an array of the network is empty or too large");
        return empty;
    }
    memcpy(x.shape, shape, rank * sizeof *shape);
    if (dfx_grow(&net->live, &net->live_capacity, net->live_count,
                 sizeof *net->live))
        x.data = net->backend->alloc(x.count);
    dfx_net_done(net, x.data != NULL);
    if (x.data == NULL)
        return empty;
    net->live[net->live_count++] = x.data;
    return x;
}

dfx_array
dfx_net_input(dfx_net *net, const float *data, uint32_t rank,
              const size_t *shape)
{
    dfx_array x = dfx_net_new(net, rank, shape);

    if (x.data != NULL)
        dfx_net_done(net, net->backend->write(x.data, data, x.count));
    return x;
}

void
dfx_net_output(dfx_net *net, dfx_array x, float *data)
{
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->read(data, x.data, x.count));
}

dfx_array
dfx_net_reshape(dfx_net *net, dfx_array x, uint32_t rank, const size_t *shape)
{
    if (net->status == DFX_OK && shape_count(rank, shape) != x.count)
        dfx_net_unfit(net, "an array of %zu numbers has no place here",
                      x.count);
    if (net->status != DFX_OK)
        return empty;
    x.rank = rank;
    memcpy(x.shape, shape, rank * sizeof *shape);
    return x;
}

/* The numbers of a tensor as F32 in the backend's memory; NULL after a fault.
 */
static float *
load(dfx_net *net, const dfx_tensor *t, size_t count)
{
    dfx_arena arena = {0};
    const dfx_expr *x = NULL;
    float *host = NULL, *data = NULL;

    net->status = dfx_expr_tensor(&arena, t, &x, net->err);
    if (net->status == DFX_OK)
        net->status = dfx_expr_cast(&arena, x, DFX_TYPE_F32, &x, net->err);
    if (net->status == DFX_OK) {
        host = malloc(count * sizeof *host);
        data = net->backend->alloc(count);
        dfx_net_done(net, host != NULL && data != NULL);
    }
    if (net->status == DFX_OK)
        net->status = dfx_expr_pull(x, 0, count, host, net->err);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->write(data, host, count));
    free(host);
    dfx_arena_fini(&arena);
    if (net->status == DFX_OK)
        return data;
    net->backend->release(data);
    return NULL;
}

static dfx_array
weight_of(dfx_net *net, const dfx_tensor *t)
{
    size_t at = (size_t)(t - net->index->tensors);
    dfx_array x = {.rank = t->rank};

    for (uint32_t i = 0; i < t->rank && i < DFX_NET_RANK; i++)
        x.shape[i] = (size_t)t->shape[i];
    x.count = shape_count(t->rank, x.shape);
    if (x.count == 0) {
        dfx_net_unfit(net, "it is empty or has too many dimensions");
        return empty;
    }
    if (net->weights[at] == NULL)
        net->weights[at] = load(net, t, x.count);
    x.data = net->weights[at];
    return x.data != NULL ? x : empty;
}

bool
dfx_net_has(const dfx_net *net, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    va_list args;

    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return dfx_index_find(net->index, net->component, name) != NULL;
}

dfx_array
dfx_net_weight(dfx_net *net, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    const dfx_tensor *t;
    dfx_array x = empty;
    va_list args;

    if (net->status != DFX_OK)
        return empty;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    t = dfx_index_find(net->index, net->component, name);
    if (t != NULL)
        x = weight_of(net, t);
    else
        net->status = dfx_fail(net->err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                               "the network has no such tensor, which its "
                               "config calls for");
    if (net->status != DFX_OK)
        dfx_error_in_tensor(net->err, name);
    return x;
}
