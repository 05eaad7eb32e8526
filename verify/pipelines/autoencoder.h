/*
 * autoencoder.h - between pictures and the latents of a run
 */
#ifndef DFX_AUTOENCODER_H
#define DFX_AUTOENCODER_H

#include "model.h"
#include "nets/vae_kl.h"
#include "nets/vae_tiny.h"
#include "pipelines/noise.h"

typedef struct dfx_autoencoder {
    dfx_model_component *component; /* borrowed */
    bool is_tiny; /* AutoencoderTiny, which has no deviation */
    dfx_vae_config config;
    dfx_tiny_config tiny;
    float scaling, shift;
    size_t latent_channels;
    float means[16], deviations[16]; /* latents_mean, latents_std */
    bool standardizes;               /* by them */
    bool tiled;
} dfx_autoencoder;

/* The component "vae" of a model. */
DFX_CHECKED dfx_status dfx_autoencoder_init(dfx_autoencoder *vae,
                                            dfx_model *model, bool tiled,
                                            dfx_error *err);
/* The networks of either class, on tiles if that was asked for. */
dfx_array dfx_autoencoder_decoded(const dfx_autoencoder *vae, dfx_net *net,
                                  dfx_array latent);
/* deviation is empty of a tiny one. */
dfx_vae_posterior dfx_autoencoder_encoded(const dfx_autoencoder *vae,
                                          dfx_net *net, dfx_array image);
/* Pixels of a side for one of the latents. */
size_t dfx_autoencoder_factor(const dfx_autoencoder *vae);

/* image [batch, 3, height, width] in -1 .. 1 -> latents [batch, channels,
   height / factor, width / factor] as the network is trained on, scaled. noise
   NULL: the mean, not scaled. */
DFX_CHECKED dfx_status dfx_autoencoder_encode(dfx_autoencoder *vae,
                                              const float *image, size_t batch,
                                              size_t height, size_t width,
                                              dfx_noise *noise, float *latents,
                                              dfx_error *err);
/* latents [batch, channels, height, width], scaled -> image in 0 .. 1. */
DFX_CHECKED dfx_status dfx_autoencoder_decode(dfx_autoencoder *vae,
                                              const float *latents,
                                              size_t batch, size_t height,
                                              size_t width, float *image,
                                              dfx_error *err);

#endif
