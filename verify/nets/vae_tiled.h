/*
 * vae_tiled.h - AutoencoderKL on tiles that overlap: less memory
 */
#ifndef DFX_VAE_TILED_H
#define DFX_VAE_TILED_H

#include "nets/vae_kl.h"

/* As dfx_vae_encode and dfx_vae_decode. What is larger than a tile is cut into
   tiles; other numbers come of it, as enable_tiling of diffusers gives them. */
dfx_array dfx_vae_encode_tiled(dfx_net *net, const dfx_vae_config *config,
                               dfx_array image);
dfx_array dfx_vae_decode_tiled(dfx_net *net, const dfx_vae_config *config,
                               dfx_array latent);

#endif
