/*
 * resnet.c - ResnetBlock2D (diffusers 0.42.1, models/resnet.py)
 */
#include <config.h>

#include "nets/resnet.h"

/* What the embedding of a step says to a block: [B, C'] or [B, 2 C']. */
static dfx_array
time_projection(dfx_net *net, const dfx_resnet *config, dfx_array emb,
                const char *name)
{
    dfx_array copy = dfx_channels(net, emb, 0, emb.shape[1]);

    copy = dfx_activate(net, copy, config->act);
    dfx_net_show(net, copy, "%s.nonlinearity", name);
    return dfx_linear(net, copy, "%s.time_emb_proj", name);
}

dfx_array
dfx_resnet_block(dfx_net *net, const dfx_resnet *config, dfx_array x,
                 dfx_array emb, const char *name)
{
    size_t mark = dfx_net_mark(net);
    size_t groups = config->groups;
    dfx_array r = dfx_group_norm(net, x, groups, config->eps, "%s.norm1", name);
    dfx_array projection = {0};

    r = dfx_activate(net, r, config->act);
    dfx_net_show(net, r, "%s.nonlinearity", name);
    r = dfx_conv2d(net, r, 1, DFX_PAD_SAME, "%s.conv1", name);
    if (emb.data != NULL)
        projection = time_projection(net, config, emb, name);
    if (emb.data != NULL && !config->scale_shift)
        r = dfx_add_channels(net, r, projection);
    r = dfx_group_norm(net, r, groups, config->eps, "%s.norm2", name);
    if (emb.data != NULL && config->scale_shift)
        r = dfx_modulate(net, r, projection);
    r = dfx_activate(net, r, config->act);
    dfx_net_show(net, r, "%s.nonlinearity", name);
    dfx_net_show(net, r, "%s.dropout", name);
    r = dfx_conv2d(net, r, 1, DFX_PAD_SAME, "%s.conv2", name);
    if (dfx_net_has(net, "%s.conv_shortcut.weight", name))
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.conv_shortcut", name);
    r = dfx_add(net, r, x);
    if (config->output_divisor != 1.0f)
        r = dfx_scale(net, r, 1.0f / config->output_divisor);
    return dfx_net_show(net, dfx_net_keep(net, mark, r), "%s", name);
}
