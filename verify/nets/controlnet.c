/*
 * controlnet.c - ControlNetModel (diffusers 0.42.1,
 * models/controlnets/controlnet.py)
 */
#include <config.h>

#include "nets/controlnet.h"

#include "elementary.h"
#include "nets/unet_half.h"

#include <string.h>

dfx_status
dfx_controlnet_configure(dfx_controlnet_config *config, const cJSON *document,
                         dfx_error *err)
{
    dfx_settings s = {.config = document, .err = err};
    const char *order =
        dfx_setting_text(&s, "controlnet_conditioning_channel_order", "rgb");

    config->bgr = order != NULL && strcmp(order, "bgr") == 0;
    if (!config->bgr && (order == NULL || strcmp(order, "rgb") != 0))
        dfx_setting_refuse(&s, "controlnet_conditioning_channel_order");
    config->pools = dfx_setting_bool(&s, "global_pool_conditions", false);
    DFX_TRY(s.status);
    return dfx_unet_configure_half(&config->unet, document, err);
}

/* The condition with its channels in the other order. */
static dfx_array
turned(dfx_net *net, dfx_array x)
{
    dfx_array blue = dfx_channels(net, x, 2, 1);
    dfx_array green = dfx_channels(net, x, 1, 1);

    return dfx_join(net, dfx_join(net, blue, green),
                    dfx_channels(net, x, 0, 1));
}

/* Pixels to the size and the channels of what conv_in gives. */
static dfx_array
embed_condition(dfx_net *net, const dfx_controlnet_config *config,
                const dfx_controlnet_input *in)
{
    static const char name[] = "controlnet_cond_embedding";
    size_t mark = dfx_net_mark(net);
    dfx_array x = config->bgr ? turned(net, in->cond) : in->cond;

    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.conv_in", name);
    x = dfx_activate(net, x, DFX_ACT_SILU);
    for (size_t i = 0; net->status == DFX_OK &&
                       dfx_net_has(net, "%s.blocks.%zu.weight", name, i);
         i++) {
        x = dfx_conv2d(net, x, i % 2 == 0 ? 1 : 2, DFX_PAD_SAME,
                       "%s.blocks.%zu", name, i);
        x = dfx_activate(net, x, DFX_ACT_SILU);
    }
    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.conv_out", name);
    return dfx_net_show(net, dfx_net_keep(net, mark, x), "%s", name);
}

/* [B, C, H, W] -> [B, C, 1, 1], means: a product with ones. */
static dfx_array
pool(dfx_net *net, dfx_array x)
{
    size_t area, rows;
    dfx_array ones, sums;

    if (net->status != DFX_OK)
        return x;
    area = x.shape[2] * x.shape[3];
    rows = x.shape[0] * x.shape[1];
    ones = dfx_net_new(net, 2, (size_t[]){1, area});
    sums = dfx_net_new(net, 4, (size_t[]){x.shape[0], x.shape[1], 1, 1});
    for (size_t i = 0; net->status == DFX_OK && i < area; i++)
        dfx_net_done(net, net->backend->write(ones.data + i, &(float){1},
                                              sizeof(float)));
    if (net->status == DFX_OK)
        dfx_net_done(net,
                     net->backend->linear(sums.data, x.data,
                                          (dfx_weight){ones.data, DFX_TYPE_F32},
                                          NULL, rows, area, 1));
    return dfx_scale(net, sums, 1.0f / (float)area);
}

/* The scale of residual i of count + 1: from a tenth to all of it in guess
   mode, in equal steps of its logarithm. */
static float
scale_of(const dfx_controlnet_config *config, const dfx_controlnet_input *in,
         size_t i, size_t count)
{
    static const double ln_10 = 2.302585092994045684;

    if (!in->guess || config->pools)
        return in->scale;
    return (float)dfx_exp(ln_10 * ((double)i / (double)count - 1)) * in->scale;
}

void
dfx_controlnet(dfx_net *net, const dfx_controlnet_config *config,
               const dfx_controlnet_input *in, dfx_controlnet_output *out)
{
    dfx_unet_half half;
    dfx_array h;

    *out = (dfx_controlnet_output){0};
    if (in->cond.rank != 4 || in->cond.shape[1] != 3)
        dfx_net_unfit(net, "the condition is no picture [batch, 3, height, "
                           "width]");
    if (!dfx_unet_half_begin(&half, net, &config->unet, &in->unet))
        return;
    h = dfx_conv2d(net, in->unet.sample, 1, DFX_PAD_SAME, "conv_in");
    h = dfx_add(net, h, embed_condition(net, config, in));
    h = dfx_unet_half_run(&half, h);
    for (size_t i = 0; i < half.skip_count; i++) {
        dfx_array x = dfx_conv2d(net, half.skips[i], 1, DFX_PAD_SAME,
                                 "controlnet_down_blocks.%zu", i);

        x = dfx_scale(net, x, scale_of(config, in, i, half.skip_count));
        out->down[i] = config->pools ? pool(net, x) : x;
    }
    h = dfx_conv2d(net, h, 1, DFX_PAD_SAME, "controlnet_mid_block");
    h = dfx_scale(net, h,
                  scale_of(config, in, half.skip_count, half.skip_count));
    out->mid = config->pools ? pool(net, h) : h;
    if (net->status == DFX_OK)
        out->down_count = half.skip_count;
}
