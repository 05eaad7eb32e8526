/*
 * vae_tiny.c - AutoencoderTiny (diffusers 0.42.1, autoencoder_tiny.py, vae.py:
 * EncoderTiny, DecoderTiny)
 *
 * Layers have numbers, those without weights too.
 */
#include <config.h>

#include "nets/vae_tiny.h"

#include "cpu/elementary.h"

#include <stdlib.h>
#include <string.h>

static void
block_counts(dfx_settings *s, const char *key, const size_t usual[4],
             size_t levels, size_t counts[DFX_SETTING_ITEMS])
{
    size_t count = 4;

    memcpy(counts, usual, 4 * sizeof *counts);
    if (dfx_doc_get(s->config, key) != NULL)
        count = dfx_setting_counts(s, key, 0, 1, 64, counts);
    if (count != levels)
        dfx_setting_fail(s, "\"%s\" has %zu numbers for %zu levels", key, count,
                         levels);
}

dfx_status
dfx_tiny_configure(dfx_tiny_config *config, const cJSON *document,
                   dfx_error *err)
{
    static const size_t encoder[4] = {1, 3, 3, 3}, decoder[4] = {3, 3, 3, 1};
    dfx_settings s = {.config = document, .err = err};
    const char *act = dfx_setting_text(&s, "act_fn", "relu");
    const char *up = dfx_setting_text(&s, "upsample_fn", "nearest");
    size_t channels[DFX_SETTING_ITEMS];

    config->levels = 4;
    if (dfx_doc_get(document, "encoder_block_out_channels") != NULL)
        config->levels = dfx_setting_counts(&s, "encoder_block_out_channels", 0,
                                            1, 1 << 20, channels);
    block_counts(&s, "num_encoder_blocks", encoder, config->levels,
                 config->encoder_blocks);
    block_counts(&s, "num_decoder_blocks", decoder, config->levels,
                 config->decoder_blocks);
    config->latent_channels =
        dfx_setting_count(&s, "latent_channels", 4, 1, 4096);
    config->act = DFX_ACT_RELU;
    if (act == NULL || strcmp(act, "relu") != 0)
        dfx_setting_refuse(&s, "act_fn");
    if (up == NULL || strcmp(up, "nearest") != 0)
        dfx_setting_refuse(&s, "upsample_fn");
    if (dfx_setting_count(&s, "upsampling_scaling_factor", 2, 1, 64) != 2)
        dfx_setting_refuse(&s, "upsampling_scaling_factor");
    return s.status;
}

/* act(conv.4(act(conv.2(act(conv.0 x)))) + skip(x)) */
static dfx_array
block(dfx_net *net, const dfx_tiny_config *config, dfx_array x,
      const char *half, size_t layer)
{
    size_t mark = dfx_net_mark(net);
    dfx_array h = x;

    for (size_t i = 0; i <= 4; i += 2) {
        h = dfx_conv2d(net, h, 1, DFX_PAD_SAME, "%s.layers.%zu.conv.%zu", half,
                       layer, i);
        if (i < 4)
            h = dfx_activate(net, h, config->act);
    }
    if (net->status == DFX_OK &&
        dfx_net_has(net, "%s.layers.%zu.skip.weight", half, layer))
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.layers.%zu.skip", half,
                       layer);
    h = dfx_activate(net, dfx_add(net, h, x), config->act);
    return dfx_net_show(net, dfx_net_keep(net, mark, h), "%s.layers.%zu", half,
                        layer);
}

/* x + number, changed in place. */
static dfx_array
shift(dfx_net *net, dfx_array x, float number)
{
    size_t rows = net->status == DFX_OK ? x.shape[0] * x.shape[1] : 0;
    float *numbers = malloc((rows + 1) * sizeof *numbers);

    dfx_net_done(net, numbers != NULL);
    for (size_t i = 0; numbers != NULL && i < rows; i++)
        numbers[i] = number;
    if (net->status == DFX_OK)
        x = dfx_add_channels(net, x, dfx_net_input(net, numbers, 2, x.shape));
    free(numbers);
    return x;
}

dfx_array
dfx_tiny_encode(dfx_net *net, const dfx_tiny_config *config, dfx_array image)
{
    static const char half[] = "encoder";
    size_t mark = dfx_net_mark(net), layer = 0;
    dfx_array x = image;

    if (net->status == DFX_OK && x.rank != 4)
        dfx_net_unfit(net, "the image has %u dimensions, not 4",
                      (unsigned)x.rank);
    if (net->status != DFX_OK)
        return (dfx_array){0};
    x = dfx_net_new(net, 4, image.shape);
    if (net->status == DFX_OK)
        dfx_net_done(net,
                     net->backend->scale(x.data, image.data, x.count, 0.5f));
    x = shift(net, x, 0.5f);
    for (size_t i = 0; i < config->levels; i++) {
        x = dfx_conv2d(net, x, i == 0 ? 1 : 2, DFX_PAD_SAME, "%s.layers.%zu",
                       half, layer++);
        for (size_t j = 0; j < config->encoder_blocks[i]; j++)
            x = block(net, config, x, half, layer++);
        x = dfx_net_keep(net, mark, x);
    }
    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.layers.%zu", half, layer);
    return dfx_net_show(net, dfx_net_keep(net, mark, x), "%s", half);
}

/* 3 tanh(x / 3): few numbers, on the host. */
static dfx_array
squeeze(dfx_net *net, dfx_array x)
{
    float *host = malloc((x.count + 1) * sizeof *host);

    dfx_net_done(net, host != NULL);
    if (host != NULL)
        dfx_net_output(net, x, host);
    for (size_t i = 0; net->status == DFX_OK && i < x.count; i++)
        host[i] = dfx_tanhf(host[i] / 3.0f) * 3.0f;
    if (net->status == DFX_OK)
        x = dfx_net_input(net, host, x.rank, x.shape);
    free(host);
    return x;
}

dfx_array
dfx_tiny_decode(dfx_net *net, const dfx_tiny_config *config, dfx_array latent)
{
    static const char half[] = "decoder";
    size_t mark = dfx_net_mark(net), layer = 0;
    dfx_array x = squeeze(net, latent);

    x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.layers.%zu", half, layer);
    x = dfx_activate(net, x, config->act);
    dfx_net_show(net, x, "%s.layers.%zu", half, layer + 1);
    layer += 2;
    for (size_t i = 0; net->status == DFX_OK && i < config->levels; i++) {
        for (size_t j = 0; j < config->decoder_blocks[i]; j++)
            x = block(net, config, x, half, layer++);
        if (i + 1 < config->levels) {
            x = dfx_resize(net, x, 2 * x.shape[2], 2 * x.shape[3]);
            dfx_net_show(net, x, "%s.layers.%zu", half, layer++);
        }
        x = dfx_conv2d(net, x, 1, DFX_PAD_SAME, "%s.layers.%zu", half, layer++);
        x = dfx_net_keep(net, mark, x);
    }
    x = shift(net, dfx_scale(net, x, 2.0f), -1.0f);
    return dfx_net_show(net, dfx_net_keep(net, mark, x), "%s", half);
}
