/*
 * unet.c - UNet2DConditionModel (diffusers 0.42.1,
 * models/unets/unet_2d_condition.py, unet_2d_blocks.py)
 */
#include <config.h>

#include "nets/unet.h"

#include "nets/unet_half.h"

#include <stdio.h>

/* Block i from below; it has one layer more than the block that it mirrors. */
static dfx_array
up_block(dfx_unet_half *p, dfx_array h, size_t i)
{
    const dfx_unet_config *config = p->config;
    size_t level = config->levels - 1 - i;
    size_t heads = config->cross_up[i] ? config->heads[level] : 0;
    size_t mark = dfx_net_mark(p->net);
    char block[64];

    snprintf(block, sizeof block, "up_blocks.%zu", i);
    for (size_t j = 0; j < config->layers[level] + 1; j++) {
        h = dfx_join(p->net, h, p->skips[--p->skip_count]);
        h = dfx_net_keep(p->net, mark, dfx_unet_layer(p, h, block, j, heads));
    }
    if (level > 0) { /* twice the size, or what the odd one was before */
        dfx_array next = p->skips[p->skip_count - 1];

        h = dfx_resize(p->net, h, next.shape[2], next.shape[3]);
        h = dfx_conv2d(p->net, h, 1, DFX_PAD_SAME, "%s.upsamplers.0.conv",
                       block);
        dfx_net_show(p->net, h, "%s.upsamplers.0", block);
    }
    return dfx_net_show(p->net, dfx_net_keep(p->net, mark, h), "%s", block);
}

/* x + y, as a new array: what is skipped goes on as it is. A residual that was
   pooled over its area counts for all of it. */
static dfx_array
with_residual(dfx_net *net, dfx_array x, dfx_array y)
{
    dfx_array sum = dfx_net_new(net, x.rank, x.shape);

    if (net->status != DFX_OK)
        return sum;
    dfx_net_done(net, net->backend->copy(sum.data, x.count, x.data, x.count, 1,
                                         x.count));
    if (y.rank == 4 && y.shape[2] * y.shape[3] == 1 && x.count != y.count) {
        y = dfx_net_reshape(net, y, 2, (size_t[]){y.shape[0], y.shape[1]});
        return dfx_add_channels(net, sum, y);
    }
    return dfx_add(net, sum, y);
}

/* Residuals of ControlNets. */
static dfx_array
add_residuals(dfx_unet_half *p, dfx_array h)
{
    const dfx_unet_input *in = p->in;

    if (in->down_count != 0 && in->down_count != p->skip_count)
        dfx_net_unfit(p->net, "%zu residuals for the %zu that the UNet skips",
                      in->down_count, p->skip_count);
    for (size_t i = 0; i < in->down_count; i++)
        p->skips[i] = with_residual(p->net, p->skips[i], in->down[i]);
    return in->mid.data != NULL ? with_residual(p->net, h, in->mid) : h;
}

dfx_array
dfx_unet(dfx_net *net, const dfx_unet_config *config, const dfx_unet_input *in)
{
    size_t mark = dfx_net_mark(net);
    dfx_unet_half p;
    dfx_array h;

    if (!dfx_unet_half_begin(&p, net, config, in))
        return (dfx_array){0};
    h = dfx_conv2d(net, in->sample, 1, DFX_PAD_SAME, "conv_in");
    h = dfx_unet_half_run(&p, h);
    h = add_residuals(&p, h);
    for (size_t i = 0; i < config->levels; i++)
        h = up_block(&p, h, i);
    h = dfx_group_norm(net, h, config->resnet.groups, config->resnet.eps,
                       "conv_norm_out");
    h = dfx_net_show(net, dfx_activate(net, h, config->resnet.act), "conv_act");
    return dfx_net_keep(net, mark,
                        dfx_conv2d(net, h, 1, DFX_PAD_SAME, "conv_out"));
}
