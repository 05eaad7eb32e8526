/*
 * vae_kl.h - AutoencoderKL
 */
#ifndef DFX_VAE_KL_H
#define DFX_VAE_KL_H

#include "nets/resnet.h"
#include "settings.h"

typedef struct dfx_vae_config {
    size_t levels; /* of block_out_channels: the image is 2^(levels-1) times
                      as large as the latents */
    size_t layers; /* of a level of the encoder; the decoder has one more */
    size_t latent_channels;
    size_t sample_size; /* side of a tile of the image, if it is cut into some
                         */
    dfx_resnet resnet;
    bool quant_conv, post_quant_conv, mid_attention;
} dfx_vae_config;

/* From a config.json. */
DFX_CHECKED dfx_status dfx_vae_configure(dfx_vae_config *config,
                                         const cJSON *document, dfx_error *err);

typedef struct dfx_vae_posterior {
    dfx_array mean, logvar, deviation; /* [B, latent_channels, h, w] each */
} dfx_vae_posterior;

/* The halves of what is encoded: logvar is clamped to -30 .. 20, the deviation
   is exp(logvar / 2). */
dfx_vae_posterior dfx_vae_split(dfx_net *net, const dfx_vae_config *config,
                                dfx_array encoded);

/*
 * image [B, 3, H, W] in -1 .. 1 -> [B, 2 latent_channels, h, w]: the mean, then
 * the logarithm of the variance.
 */
dfx_array dfx_vae_encode(dfx_net *net, const dfx_vae_config *config,
                         dfx_array image);
/* latent [B, latent_channels, h, w], unscaled -> [B, 3, H, W] */
dfx_array dfx_vae_decode(dfx_net *net, const dfx_vae_config *config,
                         dfx_array latent);

#endif
