/*
 * layers.c - layers by name, with their shapes checked
 */
#include <config.h>

#include "net.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const dfx_array empty;

#define LAYER_NAME(name, fmt)                                                  \
    do {                                                                       \
        va_list args_;                                                         \
        va_start(args_, fmt);                                                  \
        vsnprintf(name, sizeof(name), fmt, args_);                             \
        va_end(args_);                                                         \
    } while (0)

/* Records the fault of a layer's tensors unless they fit. */
static bool
fits(dfx_net *net, bool good, const char *name)
{
    if (net->status == DFX_OK && !good)
        dfx_net_unfit(net, "the tensors of \"%s\" do not fit what goes in",
                      name);
    return net->status == DFX_OK;
}

/* The bias of a layer, of that width; empty if it has none. */
static dfx_array
bias_of(dfx_net *net, const char *name, size_t width)
{
    dfx_array bias = empty;

    if (net->status == DFX_OK && dfx_net_has(net, "%s.bias", name))
        bias = dfx_net_weight(net, "%s.bias", name);
    else
        return empty;
    fits(net, bias.rank == 1 && bias.shape[0] == width, name);
    return bias;
}

dfx_array
dfx_linear(dfx_net *net, dfx_array x, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    dfx_weight stored = {0};
    dfx_array weight, bias, out;
    size_t in;

    LAYER_NAME(name, fmt);
    weight = dfx_net_stored(net, &stored, "%s.weight", name);
    if (!fits(net,
              x.rank >= 1 && weight.rank >= 2 &&
                  x.shape[x.rank - 1] == weight.shape[1] &&
                  weight.count == weight.shape[0] * weight.shape[1],
              name))
        return empty;
    bias = bias_of(net, name, weight.shape[0]);
    in = weight.shape[1];
    out = x;
    out.shape[x.rank - 1] = weight.shape[0];
    out = dfx_net_new(net, x.rank, out.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net,
                     net->backend->linear(out.data, x.data, stored, bias.data,
                                          x.count / in, in, weight.shape[0]));
    return weight.rank == 2 ? dfx_net_show(net, out, "%s", name) : out;
}

/* The number of outputs of a convolution along one side; 0: none. */
static size_t
conv_size(size_t in, size_t pads, size_t kernel, size_t stride)
{
    return in + pads >= kernel ? (in + pads - kernel) / stride + 1 : 0;
}

dfx_array
dfx_conv2d(dfx_net *net, dfx_array x, size_t stride, dfx_padding padding,
           const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    dfx_weight stored = {0};
    dfx_array weight, bias, out;
    size_t before, pads;
    dfx_conv c;

    LAYER_NAME(name, fmt);
    weight = dfx_net_stored(net, &stored, "%s.weight", name);
    if (!fits(net,
              x.rank == 4 && weight.rank == 4 &&
                  x.shape[1] == weight.shape[1] &&
                  weight.shape[2] == weight.shape[3],
              name))
        return empty;
    bias = bias_of(net, name, weight.shape[0]);
    before = padding == DFX_PAD_SAME ? weight.shape[2] / 2 : 0;
    pads = padding == DFX_PAD_SAME ? 2 * before : 1;
    c = (dfx_conv){
        .batch = x.shape[0],
        .in_channels = x.shape[1],
        .in_height = x.shape[2],
        .in_width = x.shape[3],
        .out_channels = weight.shape[0],
        .out_height = conv_size(x.shape[2], pads, weight.shape[2], stride),
        .out_width = conv_size(x.shape[3], pads, weight.shape[2], stride),
        .kernel = weight.shape[2],
        .stride = stride,
        .top = before,
        .left = before,
    };
    out = dfx_net_new(
        net, 4, (size_t[]){c.batch, c.out_channels, c.out_height, c.out_width});
    if (net->status == DFX_OK)
        dfx_net_done(
            net, net->backend->conv2d(out.data, x.data, stored, bias.data, &c));
    return dfx_net_show(net, out, "%s", name);
}

dfx_array
dfx_group_norm(dfx_net *net, dfx_array x, size_t groups, float eps,
               const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    dfx_array weight, bias, out;

    LAYER_NAME(name, fmt);
    weight = dfx_net_weight(net, "%s.weight", name);
    bias = dfx_net_weight(net, "%s.bias", name);
    if (!fits(net,
              x.rank >= 2 && x.shape[1] % groups == 0 &&
                  weight.count == x.shape[1] && bias.count == x.shape[1],
              name))
        return empty;
    out = dfx_net_new(net, x.rank, x.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->group_norm(
                              out.data, x.data, weight.data, bias.data,
                              x.shape[0], x.shape[1],
                              x.count / x.shape[0] / x.shape[1], groups, eps));
    return dfx_net_show(net, out, "%s", name);
}

dfx_array
dfx_layer_norm(dfx_net *net, dfx_array x, float eps, const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    dfx_array weight, bias, out;
    size_t width = x.rank > 0 ? x.shape[x.rank - 1] : 0;

    LAYER_NAME(name, fmt);
    weight = dfx_net_weight(net, "%s.weight", name);
    bias = dfx_net_weight(net, "%s.bias", name);
    if (!fits(net, weight.count == width && bias.count == width, name))
        return empty;
    out = dfx_net_new(net, x.rank, x.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->layer_norm(
                              out.data, x.data, weight.data, bias.data,
                              x.count / width, width, eps));
    return dfx_net_show(net, out, "%s", name);
}

dfx_array
dfx_embed(dfx_net *net, const uint32_t *ids, size_t batch, size_t tokens,
          const char *fmt, ...)
{
    char name[DFX_NET_NAME];
    dfx_weight stored = {0};
    dfx_array table, out;

    LAYER_NAME(name, fmt);
    table = dfx_net_stored(net, &stored, "%s.weight", name);
    if (!fits(net, table.rank == 2, name))
        return empty;
    for (size_t i = 0; i < batch * tokens; i++)
        if (ids[i] >= table.shape[0])
            dfx_net_unfit(net, "\"%s\" has %zu rows and none for id %u", name,
                          table.shape[0], (unsigned)ids[i]);
    out = dfx_net_new(net, 3, (size_t[]){batch, tokens, table.shape[1]});
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->embed(out.data, stored, ids,
                                              batch * tokens, table.shape[1]));
    return dfx_net_show(net, out, "%s", name);
}

dfx_array
dfx_attend(dfx_net *net, dfx_array q, dfx_array k, dfx_array v, size_t heads,
           bool causal)
{
    dfx_attention a;
    dfx_array out;

    if (!fits(net,
              q.rank == 3 && k.rank == 3 && v.rank == 3 && k.count == v.count &&
                  k.shape[1] == v.shape[1] && q.shape[0] == k.shape[0] &&
                  q.shape[0] == v.shape[0] && q.shape[2] == k.shape[2] &&
                  q.shape[2] % heads == 0,
              "attention"))
        return empty;
    a = (dfx_attention){
        .batch = q.shape[0],
        .heads = heads,
        .head_size = q.shape[2] / heads,
        .queries = q.shape[1],
        .keys = k.shape[1],
        .causal = causal,
    };
    a.scale = 1.0f / sqrtf((float)a.head_size);
    out = dfx_net_new(net, 3, q.shape);
    if (net->status == DFX_OK)
        dfx_net_done(
            net, net->backend->attention(out.data, q.data, k.data, v.data, &a));
    return out;
}

dfx_array
dfx_activate(dfx_net *net, dfx_array x, dfx_activation kind)
{
    if (net->status == DFX_OK)
        dfx_net_done(net,
                     net->backend->activate(x.data, x.data, x.count, kind));
    return x;
}

dfx_array
dfx_add(dfx_net *net, dfx_array x, dfx_array y)
{
    if (fits(net, x.count == y.count, "a sum"))
        dfx_net_done(net, net->backend->add(x.data, x.data, y.data, x.count));
    return x;
}

dfx_array
dfx_scale(dfx_net *net, dfx_array x, float factor)
{
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->scale(x.data, x.data, x.count, factor));
    return x;
}

dfx_array
dfx_add_channels(dfx_net *net, dfx_array x, dfx_array y)
{
    if (fits(net,
             x.rank >= 2 && y.rank == 2 && y.shape[0] == x.shape[0] &&
                 y.shape[1] == x.shape[1],
             "an embedding"))
        dfx_net_done(net, net->backend->add_each(x.data, x.data, y.data,
                                                 y.count, x.count / y.count));
    return x;
}

dfx_array
dfx_modulate(dfx_net *net, dfx_array x, dfx_array scale_shift)
{
    size_t mark = dfx_net_mark(net);
    dfx_array scale, shift;

    if (!fits(net,
              x.rank >= 2 && scale_shift.rank == 2 &&
                  scale_shift.shape[0] == x.shape[0] &&
                  scale_shift.shape[1] == 2 * x.shape[1],
              "a scale and shift"))
        return empty;
    scale = dfx_channels(net, scale_shift, 0, x.shape[1]);
    shift = dfx_channels(net, scale_shift, x.shape[1], x.shape[1]);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->modulate(x.data, x.data, scale.data,
                                                 shift.data, scale.count,
                                                 x.count / scale.count));
    return dfx_net_keep(net, mark, x);
}

dfx_array
dfx_geglu(dfx_net *net, dfx_array x)
{
    size_t width = x.rank > 0 ? x.shape[x.rank - 1] / 2 : 0;
    dfx_array out = x;

    if (!fits(net, width > 0 && x.shape[x.rank - 1] == 2 * width, "GEGLU"))
        return empty;
    out.shape[x.rank - 1] = width;
    out = dfx_net_new(net, x.rank, out.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->geglu(out.data, x.data,
                                              x.count / 2 / width, width));
    return out;
}

dfx_array
dfx_join(dfx_net *net, dfx_array x, dfx_array y)
{
    size_t batch = x.shape[0], own, other;
    dfx_array out = x;

    if (!fits(net,
              x.rank >= 2 && x.rank == y.rank && x.shape[0] == y.shape[0] &&
                  memcmp(x.shape + 2, y.shape + 2,
                         (x.rank - 2) * sizeof *x.shape) == 0,
              "a concatenation"))
        return empty;
    own = x.count / batch;
    other = y.count / batch;
    out.shape[1] += y.shape[1];
    out = dfx_net_new(net, x.rank, out.shape);
    if (net->status != DFX_OK)
        return empty;
    dfx_net_done(net, net->backend->copy(out.data, own + other, x.data, own,
                                         batch, own) &&
                          net->backend->copy(out.data + own, own + other,
                                             y.data, other, batch, other));
    return out;
}

dfx_array
dfx_channels(dfx_net *net, dfx_array x, size_t first, size_t count)
{
    dfx_array out = x;
    size_t area;

    if (!fits(net,
              x.rank >= 2 && first <= x.shape[1] && count <= x.shape[1] - first,
              "a slice"))
        return empty;
    area = x.count / x.shape[0] / x.shape[1];
    out.shape[1] = count;
    out = dfx_net_new(net, x.rank, out.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->copy(
                              out.data, count * area, x.data + first * area,
                              x.shape[1] * area, x.shape[0], count * area));
    return out;
}

dfx_array
dfx_resize(dfx_net *net, dfx_array x, size_t height, size_t width)
{
    dfx_array out;

    if (!fits(net, x.rank == 4, "an upsampler"))
        return empty;
    out =
        dfx_net_new(net, 4, (size_t[]){x.shape[0], x.shape[1], height, width});
    if (net->status == DFX_OK)
        dfx_net_done(
            net, net->backend->resize(out.data, x.data, x.shape[0] * x.shape[1],
                                      x.shape[2], x.shape[3], height, width));
    return out;
}

dfx_array
dfx_to_tokens(dfx_net *net, dfx_array x)
{
    dfx_array out;
    size_t area;

    if (!fits(net, x.rank == 4, "attention"))
        return empty;
    area = x.shape[2] * x.shape[3];
    out = dfx_net_new(net, 3, (size_t[]){x.shape[0], area, x.shape[1]});
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->transpose(out.data, x.data, x.shape[0],
                                                  x.shape[1], area));
    return out;
}

dfx_array
dfx_from_tokens(dfx_net *net, dfx_array x, dfx_array like)
{
    dfx_array out;

    if (!fits(net,
              x.rank == 3 && like.rank == 4 && x.shape[0] == like.shape[0] &&
                  x.shape[1] == like.shape[2] * like.shape[3],
              "attention"))
        return empty;
    out = dfx_net_new(
        net, 4,
        (size_t[]){x.shape[0], x.shape[2], like.shape[2], like.shape[3]});
    if (net->status == DFX_OK)
        dfx_net_done(net, net->backend->transpose(out.data, x.data, x.shape[0],
                                                  x.shape[1], x.shape[2]));
    return out;
}
