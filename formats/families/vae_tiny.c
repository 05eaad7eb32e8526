/*
 * vae_tiny.c - AutoencoderTiny: TAESD, TAESDXL, TAESD3, TAEF1
 *
 * Original: github.com/madebyollin/taesd, two files of bare sequential names;
 * also seen as one file with encoder. and decoder. in front, which is how a
 * single file is written. The original decoder counts its clamp at the input
 * as layer 0, Diffusers (0.42.1) does not count it.
 *
 * Facts:
 *   latent     channels of the latent
 *   half       0 both halves, 1 the encoder only, 2 the decoder only
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_vae_tiny = {
    .name = "vae_tiny",
};
