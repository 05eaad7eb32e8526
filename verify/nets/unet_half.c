/*
 * unet_half.c - the first half of a UNet (diffusers 0.42.1,
 * models/unets/unet_2d_condition.py, unet_2d_blocks.py)
 */
#include <config.h>

#include "nets/unet_half.h"

#include "nets/transformer.h"

#include <stdio.h>

/* What the class says: [B, width]. The activation is the config's for steps
   alone. */
static dfx_array
class_embedding(dfx_unet_half *p)
{
    const dfx_unet_config *config = p->config;
    const dfx_unet_input *in = p->in;
    size_t batch = in->sample.shape[0];
    dfx_array x = {0};

    switch (config->class_embedding) {
    case DFX_CLASS_TABLE:
        x = dfx_embed(p->net, in->class_ids, batch, 1, "class_embedding");
        return dfx_net_reshape(p->net, x, 2,
                               (size_t[]){batch, x.count / batch});
    case DFX_CLASS_TIMESTEP:
        x = dfx_timesteps(p->net, &config->time, in->class_numbers, batch, 1);
        return dfx_timestep_mlp(p->net, x, config->resnet.act,
                                "class_embedding");
    case DFX_CLASS_PROJECTION:
        return dfx_timestep_mlp(p->net, in->class_vector, DFX_ACT_SILU,
                                "class_embedding");
    case DFX_CLASS_SIMPLE:
        return dfx_linear(p->net, in->class_vector, "class_embedding");
    case DFX_CLASS_NONE:
    case DFX_CLASS_IDENTITY:
        break;
    }
    return in->class_vector;
}

/* SDXL: the pooled text and some numbers, each a sinusoid. */
static dfx_array
added_embedding(dfx_unet_half *p)
{
    dfx_sinusoid kind = p->config->time;
    dfx_array ids;

    kind.width = p->config->added_time_width;
    ids = dfx_timesteps(p->net, &kind, p->in->time_ids, p->in->sample.shape[0],
                        p->in->time_id_count);
    if (p->net->seen != NULL)
        dfx_net_show(p->net,
                     dfx_net_reshape(
                         p->net, ids, 2,
                         (size_t[]){ids.count / kind.width, kind.width}),
                     "add_time_proj");
    return dfx_timestep_mlp(p->net, dfx_join(p->net, p->in->text_embeds, ids),
                            DFX_ACT_SILU, "add_embedding");
}

static dfx_array
embedding(dfx_unet_half *p)
{
    const dfx_unet_config *config = p->config;
    size_t mark = dfx_net_mark(p->net);
    dfx_array x = dfx_timesteps(p->net, &config->time, p->in->timesteps,
                                p->in->sample.shape[0], 1);

    dfx_net_show(p->net, x, "time_proj");
    if (config->time_cond)
        x = dfx_add(p->net, x,
                    dfx_linear(p->net, p->in->timestep_cond,
                               "time_embedding.cond_proj"));
    x = dfx_timestep_mlp(p->net, x, config->resnet.act, "time_embedding");
    if (config->class_embedding != DFX_CLASS_NONE)
        x = config->class_concat ? dfx_join(p->net, x, class_embedding(p))
                                 : dfx_add(p->net, x, class_embedding(p));
    if (config->added_time_width > 0)
        x = dfx_add(p->net, x, added_embedding(p));
    if (config->time_act)
        x = dfx_activate(p->net, x, config->act);
    return dfx_net_keep(p->net, mark, x);
}

dfx_array
dfx_unet_layer(dfx_unet_half *p, dfx_array h, const char *block, size_t i,
               size_t heads)
{
    size_t mark = dfx_net_mark(p->net);
    char name[96];

    snprintf(name, sizeof name, "%s.resnets.%zu", block, i);
    h = dfx_resnet_block(p->net, &p->config->resnet, h, p->emb, name);
    snprintf(name, sizeof name, "%s.attentions.%zu", block, i);
    if (heads > 0)
        h = dfx_transformer(p->net, h, p->in->text, p->config->resnet.groups,
                            heads, p->config->only_cross_attention, name);
    return dfx_net_keep(p->net, mark, h);
}

static void
push(dfx_unet_half *p, dfx_array h)
{
    p->skips[p->skip_count++] = h; /* as many as the config's limits allow */
}

static dfx_array
down_block(dfx_unet_half *p, dfx_array h, size_t level)
{
    const dfx_unet_config *config = p->config;
    size_t heads = config->cross_down[level] ? config->heads[level] : 0;
    char block[64];

    snprintf(block, sizeof block, "down_blocks.%zu", level);
    for (size_t i = 0; i < config->layers[level]; i++) {
        h = dfx_unet_layer(p, h, block, i, heads);
        push(p, h);
    }
    if (level + 1 < config->levels) {
        h = dfx_conv2d(p->net, h, 2, DFX_PAD_SAME, "%s.downsamplers.0.conv",
                       block);
        dfx_net_show(p->net, h, "%s.downsamplers.0", block);
        push(p, h);
    }
    return dfx_net_show(p->net, h, "%s", block);
}

static dfx_array
mid_block(dfx_unet_half *p, dfx_array h)
{
    const dfx_unet_config *config = p->config;
    size_t heads = config->heads[config->levels - 1];
    dfx_resnet resnet = config->resnet;

    resnet.output_divisor = config->mid_divisor;
    if (config->mid == DFX_MID_NONE)
        return h;
    h = dfx_resnet_block(p->net, &resnet, h, p->emb, "mid_block.resnets.0");
    if (config->mid == DFX_MID_ATTENTION) {
        h = dfx_transformer(p->net, h, p->in->text, resnet.groups, heads, false,
                            "mid_block.attentions.0");
        h = dfx_resnet_block(p->net, &resnet, h, p->emb,
                             "mid_block.resnets.1");
    }
    return dfx_net_show(p->net, h, "mid_block");
}

/* Numbers on the host that the config asks for; arrays check themselves. */
static void
check_input(dfx_net *net, const dfx_unet_config *config,
            const dfx_unet_input *in)
{
    if (in->sample.rank != 4)
        dfx_net_unfit(net, "the sample has %u dimensions, not 4",
                      (unsigned)in->sample.rank);
    if (config->added_time_width > 0 && in->time_ids == NULL)
        dfx_net_unfit(net, "the UNet takes sizes and crops, and got none");
    if ((config->class_embedding == DFX_CLASS_TABLE && in->class_ids == NULL) ||
        (config->class_embedding == DFX_CLASS_TIMESTEP &&
         in->class_numbers == NULL))
        dfx_net_unfit(net, "the UNet takes a class, and got none");
}

bool
dfx_unet_half_begin(dfx_unet_half *p, dfx_net *net,
                    const dfx_unet_config *config, const dfx_unet_input *in)
{
    *p = (dfx_unet_half){.net = net, .config = config, .in = in};
    check_input(net, config, in);
    if (net->status == DFX_OK)
        p->emb = embedding(p);
    return net->status == DFX_OK;
}

dfx_array
dfx_unet_half_run(dfx_unet_half *p, dfx_array h)
{
    push(p, h);
    for (size_t i = 0; i < p->config->levels; i++)
        h = down_block(p, h, i);
    return mid_block(p, h);
}
