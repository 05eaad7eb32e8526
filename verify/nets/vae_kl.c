/*
 * vae_kl.c - AutoencoderKL (diffusers 0.42.1, models/autoencoders)
 */
#include <config.h>

#include "nets/vae_kl.h"

#include "cpu/elementary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All blocks of a list are of the one class that the runner knows. */
static void
only(dfx_settings *s, const char *key, const char *class_name)
{
    const char *types[DFX_SETTING_ITEMS];
    size_t count = dfx_doc_get(s->config, key) != NULL
                       ? dfx_setting_texts(s, key, types)
                       : 0;

    for (size_t i = 0; i < count; i++)
        if (strcmp(types[i], class_name) != 0)
            dfx_setting_refuse(s, key);
}

dfx_status
dfx_vae_configure(dfx_vae_config *config, const cJSON *document, dfx_error *err)
{
    dfx_settings s = {.config = document, .err = err};
    const char *act = dfx_setting_text(&s, "act_fn", "silu");
    size_t channels[DFX_SETTING_ITEMS];

    config->levels = 1; /* the class's default is [64] */
    if (dfx_doc_get(document, "block_out_channels") != NULL)
        config->levels = dfx_setting_counts(&s, "block_out_channels", 0, 1,
                                            1 << 20, channels);
    config->layers = dfx_setting_count(&s, "layers_per_block", 1, 1, 64);
    config->latent_channels =
        dfx_setting_count(&s, "latent_channels", 4, 1, 4096);
    config->sample_size = dfx_setting_count(&s, "sample_size", 32, 1, 1 << 16);
    config->resnet = (dfx_resnet){
        .groups = dfx_setting_count(&s, "norm_num_groups", 32, 1, 1 << 20),
        .eps = 1e-6f,
        .act = DFX_ACT_SILU,
        .output_divisor = 1.0f,
    };
    config->quant_conv = dfx_setting_bool(&s, "use_quant_conv", true);
    config->post_quant_conv = dfx_setting_bool(&s, "use_post_quant_conv", true);
    config->mid_attention =
        dfx_setting_bool(&s, "mid_block_add_attention", true);
    if (act == NULL || strcmp(act, "silu") != 0)
        dfx_setting_refuse(&s, "act_fn");
    only(&s, "down_block_types", "DownEncoderBlock2D");
    only(&s, "up_block_types", "UpDecoderBlock2D");
    return s.status;
}

static dfx_array
resnet(dfx_net *net, const dfx_vae_config *config, dfx_array x,
       const char *block, size_t i)
{
    char name[DFX_NET_NAME / 2];

    snprintf(name, sizeof name, "%s.resnets.%zu", block, i);
    return dfx_resnet_block(net, &config->resnet, x, (dfx_array){0}, name);
}

/* One head over all channels; x [B, C, H, W] */
static dfx_array
attention(dfx_net *net, const dfx_vae_config *config, dfx_array x,
          const char *name)
{
    size_t mark = dfx_net_mark(net);
    dfx_array n = dfx_group_norm(net, x, config->resnet.groups,
                                 config->resnet.eps, "%s.group_norm", name);
    dfx_array t = dfx_to_tokens(net, n);
    dfx_array q = dfx_linear(net, t, "%s.to_q", name);
    dfx_array k = dfx_linear(net, t, "%s.to_k", name);
    dfx_array v = dfx_linear(net, t, "%s.to_v", name);

    t = dfx_linear(net, dfx_attend(net, q, k, v, 1, false), "%s.to_out.0",
                   name);
    t = dfx_add(net, dfx_from_tokens(net, t, x), x);
    return dfx_net_show(net, dfx_net_keep(net, mark, t), "%s", name);
}

static dfx_array
mid(dfx_net *net, const dfx_vae_config *config, dfx_array x, const char *half)
{
    char block[64], name[96];

    snprintf(block, sizeof block, "%s.mid_block", half);
    snprintf(name, sizeof name, "%s.attentions.0", block);
    x = resnet(net, config, x, block, 0);
    if (config->mid_attention)
        x = attention(net, config, x, name);
    x = resnet(net, config, x, block, 1);
    return dfx_net_show(net, x, "%s", block);
}

static dfx_array
head(dfx_net *net, const dfx_vae_config *config, dfx_array x, const char *half)
{
    x = dfx_group_norm(net, x, config->resnet.groups, config->resnet.eps,
                       "%s.conv_norm_out", half);
    x = dfx_activate(net, x, config->resnet.act);
    dfx_net_show(net, x, "%s.conv_act", half);
    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.conv_out", half);
    return dfx_net_show(net, x, "%s", half);
}

/* The last level keeps its size. */
static dfx_array
down_block(dfx_net *net, const dfx_vae_config *config, dfx_array x, size_t i)
{
    size_t mark = dfx_net_mark(net);
    char block[64];

    snprintf(block, sizeof block, "encoder.down_blocks.%zu", i);
    for (size_t j = 0; j < config->layers; j++)
        x = dfx_net_keep(net, mark, resnet(net, config, x, block, j));
    if (i + 1 < config->levels) {
        x = dfx_conv2d(net, x, 2, DFX_PAD_AFTER, "%s.downsamplers.0.conv",
                       block);
        dfx_net_show(net, x, "%s.downsamplers.0", block);
    }
    return dfx_net_show(net, dfx_net_keep(net, mark, x), "%s", block);
}

static dfx_array
up_block(dfx_net *net, const dfx_vae_config *config, dfx_array x, size_t i)
{
    size_t mark = dfx_net_mark(net);
    char block[64];

    snprintf(block, sizeof block, "decoder.up_blocks.%zu", i);
    for (size_t j = 0; j < config->layers + 1; j++)
        x = dfx_net_keep(net, mark, resnet(net, config, x, block, j));
    if (i + 1 < config->levels) {
        x = dfx_resize(net, x, 2 * x.shape[2], 2 * x.shape[3]);
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.upsamplers.0.conv", block);
        dfx_net_show(net, x, "%s.upsamplers.0", block);
    }
    return dfx_net_show(net, dfx_net_keep(net, mark, x), "%s", block);
}

dfx_array
dfx_vae_encode(dfx_net *net, const dfx_vae_config *config, dfx_array image)
{
    size_t mark = dfx_net_mark(net);
    dfx_array x = dfx_conv2d(net, image, 1, DFX_PAD_SAME, "encoder.conv_in");

    for (size_t i = 0; i < config->levels; i++)
        x = dfx_net_keep(net, mark, down_block(net, config, x, i));
    x = mid(net, config, x, "encoder");
    x = head(net, config, x, "encoder");
    if (config->quant_conv)
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "quant_conv");
    return dfx_net_keep(net, mark, x);
}

/* Few numbers, and the only exp of a network by itself: on the host. */
static void
deviations(dfx_net *net, dfx_vae_posterior *p)
{
    size_t count = p->logvar.count;
    float *host = calloc(count + 1, sizeof *host);

    dfx_net_done(net, host != NULL);
    if (host == NULL)
        return;
    dfx_net_output(net, p->logvar, host);
    for (size_t i = 0; i < count; i++) {
        host[i] = host[i] < -30.0f ? -30.0f : host[i];
        host[i] = host[i] > 20.0f ? 20.0f : host[i];
    }
    p->logvar = dfx_net_input(net, host, p->mean.rank, p->mean.shape);
    for (size_t i = 0; i < count; i++)
        host[i] = dfx_expf(0.5f * host[i]);
    p->deviation = dfx_net_input(net, host, p->mean.rank, p->mean.shape);
    free(host);
}

dfx_vae_posterior
dfx_vae_split(dfx_net *net, const dfx_vae_config *config, dfx_array encoded)
{
    size_t half = config->latent_channels;
    dfx_vae_posterior p = {
        .mean = dfx_channels(net, encoded, 0, half),
        .logvar = dfx_channels(net, encoded, half, half),
    };

    deviations(net, &p);
    return p;
}

dfx_array
dfx_vae_decode(dfx_net *net, const dfx_vae_config *config, dfx_array latent)
{
    size_t mark = dfx_net_mark(net);
    dfx_array x = latent;

    if (config->post_quant_conv)
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "post_quant_conv");
    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "decoder.conv_in");
    x = dfx_net_keep(net, mark, mid(net, config, x, "decoder"));
    for (size_t i = 0; i < config->levels; i++)
        x = dfx_net_keep(net, mark, up_block(net, config, x, i));
    return dfx_net_keep(net, mark, head(net, config, x, "decoder"));
}
