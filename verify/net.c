/*
 * net.c - arrays of a network, and weights by name
 */
#include <config.h>

#include "net.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const dfx_array empty;

void
dfx_net_init(dfx_net *net, dfx_weights *weights, dfx_error *err)
{
    *net =
        (dfx_net){.backend = weights->backend, .weights = weights, .err = err};
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
        x.data = net->backend->alloc(x.count * sizeof(float));
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
        dfx_net_done(net,
                     net->backend->write(x.data, data, x.count * sizeof *data));
    return x;
}

void
dfx_net_output(dfx_net *net, dfx_array x, float *data)
{
    if (net->status == DFX_OK)
        dfx_net_done(net,
                     net->backend->read(data, x.data, x.count * sizeof *data));
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

/* The shape of a tensor. */
static dfx_array
shape_of(dfx_net *net, const dfx_expr *expr)
{
    dfx_array x = {.rank = expr->rank};

    for (uint32_t i = 0; i < expr->rank && i < DFX_NET_RANK; i++)
        x.shape[i] = (size_t)expr->shape[i];
    x.count = shape_count(expr->rank, x.shape);
    if (x.count == 0)
        dfx_net_unfit(net, "it is empty or has too many dimensions");
    return x.count > 0 ? x : empty;
}

bool
dfx_net_has(const dfx_net *net, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    va_list args;

    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return dfx_weights_find(net->weights, name) != NULL;
}

/* Finds a tensor; stored is NULL for one as F32. */
static dfx_array
find(dfx_net *net, dfx_weight *stored, const char *name)
{
    dfx_weights_entry *entry = dfx_weights_find(net->weights, name);
    dfx_array x = empty;

    if (entry == NULL)
        net->status = dfx_fail(net->err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                               "the network has no such tensor, which its "
                               "config calls for");
    else
        x = shape_of(net, entry->expr);
    if (net->status == DFX_OK && stored != NULL)
        net->status = dfx_weights_store(net->weights, entry, stored, net->err);
    else if (net->status == DFX_OK)
        net->status = dfx_weights_load(net->weights, entry, net->err);
    if (net->status == DFX_OK) {
        x.data = stored == NULL ? entry->data : NULL;
        return x;
    }
    dfx_error_in_tensor(net->err, name);
    return empty;
}

dfx_array
dfx_net_weight(dfx_net *net, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    va_list args;

    if (net->status != DFX_OK)
        return empty;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return find(net, NULL, name);
}

dfx_array
dfx_net_stored(dfx_net *net, dfx_weight *stored, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    va_list args;

    if (net->status != DFX_OK)
        return empty;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return find(net, stored, name);
}

dfx_array
dfx_net_show(dfx_net *net, dfx_array out, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    va_list args;

    if (net->seen == NULL || net->status != DFX_OK || out.data == NULL)
        return out;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    net->seen(net->seen_context, name, net, out);
    return out;
}
