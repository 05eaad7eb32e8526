/*
 * vae_kl.c - AutoencoderKL: the VAE of SD1, SD2, SDXL, and of SD3 and FLUX
 *
 * Original names: ldm/modules/diffusionmodules/model.py; Diffusers names:
 * AutoencoderKL of diffusers 0.42.1. The four attention weights are 1x1
 * convolutions in the original and matrices in the folder: same bytes. The
 * original counts up blocks from the last one. Early diffusers called the
 * attention's parts query, key, value and proj_attn: read, never written. Not
 * taken for one: VQ models, 3-D convolutions, attention at a resolution.
 *
 * Facts:
 *   enc, dec   1 if that half is there
 *   in, out    channels of the image in and out
 *   latent     channels of the latent
 *   N, L       levels, and resnets in a level of the encoder
 *   C[b]       channels of level b, 0 is the one of the image's size
 *   quant, post_quant   1 if that convolution is there
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_vae_kl = {
    .name = "vae_kl",
};
