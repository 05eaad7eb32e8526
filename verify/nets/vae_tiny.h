/*
 * vae_tiny.h - AutoencoderTiny (TAESD)
 */
#ifndef DFX_VAE_TINY_H
#define DFX_VAE_TINY_H

#include "net.h"
#include "settings.h"

typedef struct dfx_tiny_config {
    size_t levels; /* the image is 2^(levels-1) times as large as latents */
    size_t encoder_blocks[DFX_SETTING_ITEMS], decoder_blocks[DFX_SETTING_ITEMS];
    size_t latent_channels;
    dfx_activation act;
} dfx_tiny_config;

/* From a config.json. */
DFX_CHECKED dfx_status dfx_tiny_configure(dfx_tiny_config *config,
                                          const cJSON *document,
                                          dfx_error *err);

/* image [B, 3, H, W] in -1 .. 1 -> latents [B, latent_channels, h, w] */
dfx_array dfx_tiny_encode(dfx_net *net, const dfx_tiny_config *config,
                          dfx_array image);
/* and back */
dfx_array dfx_tiny_decode(dfx_net *net, const dfx_tiny_config *config,
                          dfx_array latent);

#endif
