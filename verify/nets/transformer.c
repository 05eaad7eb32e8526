/*
 * transformer.c - Transformer2DModel (diffusers 0.42.1,
 * models/transformers/transformer_2d.py, models/attention.py)
 */
#include <config.h>

#include "nets/transformer.h"

#include <stdio.h>

static const float norm_eps = 1e-6f; /* of the whole; not the config's */
static const float block_eps = 1e-5f;

/* x [B, n, C] asks, what [B, m, D] answers */
static dfx_array
attention(dfx_net *net, dfx_array x, dfx_array what, size_t heads,
          const char *block, const char *name)
{
    dfx_array q = dfx_linear(net, x, "%s.%s.to_q", block, name);
    dfx_array k = dfx_linear(net, what, "%s.%s.to_k", block, name);
    dfx_array v = dfx_linear(net, what, "%s.%s.to_v", block, name);

    x = dfx_linear(net, dfx_attend(net, q, k, v, heads, false),
                   "%s.%s.to_out.0", block, name);
    dfx_net_show(net, x, "%s.%s.to_out.1", block, name);
    return dfx_net_show(net, x, "%s.%s", block, name);
}

static dfx_array
feed_forward(dfx_net *net, dfx_array x, const char *block)
{
    x = dfx_geglu(net, dfx_linear(net, x, "%s.ff.net.0.proj", block));
    dfx_net_show(net, x, "%s.ff.net.0", block);
    dfx_net_show(net, x, "%s.ff.net.1", block);
    x = dfx_linear(net, x, "%s.ff.net.2", block);
    return dfx_net_show(net, x, "%s.ff", block);
}

/* h [B, n, C] */
static dfx_array
basic_block(dfx_net *net, dfx_array h, dfx_array text, size_t heads,
            bool cross_only, const char *block)
{
    size_t mark = dfx_net_mark(net);
    dfx_array n = dfx_layer_norm(net, h, block_eps, "%s.norm1", block);

    n = attention(net, n, cross_only ? text : n, heads, block, "attn1");
    h = dfx_net_keep(net, mark, dfx_add(net, n, h));
    n = dfx_layer_norm(net, h, block_eps, "%s.norm2", block);
    n = attention(net, n, text, heads, block, "attn2");
    h = dfx_net_keep(net, mark, dfx_add(net, n, h));
    n = dfx_layer_norm(net, h, block_eps, "%s.norm3", block);
    h = dfx_add(net, feed_forward(net, n, block), h);
    return dfx_net_show(net, dfx_net_keep(net, mark, h), "%s", block);
}

/* proj_in or proj_out of tokens of like. Where it is a convolution 1x1 it is the
   same sum, in the same order. */
static dfx_array
projection(dfx_net *net, dfx_array h, dfx_array like, const char *name,
           const char *end)
{
    dfx_array out = dfx_linear(net, h, "%s.%s", name, end);
    dfx_weight stored;

    if (net->seen != NULL &&
        dfx_net_stored(net, &stored, "%s.%s.weight", name, end).rank == 4)
        dfx_net_show(net, dfx_from_tokens(net, out, like), "%s.%s", name, end);
    return out;
}

dfx_array
dfx_transformer(dfx_net *net, dfx_array x, dfx_array text, size_t groups,
                size_t heads, bool cross_only, const char *name)
{
    size_t mark = dfx_net_mark(net);
    dfx_array h = dfx_group_norm(net, x, groups, norm_eps, "%s.norm", name);
    char block[DFX_NET_NAME / 2];

    h = projection(net, dfx_to_tokens(net, h), x, name, "proj_in");
    h = dfx_net_keep(net, mark, h);
    /* As many blocks as there are: the config's number of them has three
       spellings, and no file holds one that its network does not use. */
    for (size_t i = 0; net->status == DFX_OK; i++) {
        snprintf(block, sizeof block, "%s.transformer_blocks.%zu", name, i);
        if (i > 0 && !dfx_net_has(net, "%s.norm1.weight", block))
            break;
        h = dfx_net_keep(net, mark,
                         basic_block(net, h, text, heads, cross_only, block));
    }
    h = projection(net, h, x, name, "proj_out");
    h = dfx_add(net, dfx_from_tokens(net, h, x), x);
    return dfx_net_show(net, dfx_net_keep(net, mark, h), "%s", name);
}
