/*
 * unet_ldm.c - UNets of LDM and sgm code: SD1, SD2, SDXL, the SDXL refiner
 *
 * Original names: ldm/modules/diffusionmodules/openaimodel.py; Diffusers names:
 * UNet2DConditionModel of diffusers 0.42.1. No tensor changes on the way. Not
 * convertible and not taken for one: video UNets and motion modules.
 *
 * Facts, all from names and shapes:
 *   N          levels
 *   L[b]       resnets in down block b; L alone is the first level's
 *   in, out    channels of the latent in and out
 *   mc         channels of the first convolution
 *   C[b]       channels of level b
 *   ctx        columns of attn2.to_k: width of the text; 0: no such attention
 *   lin        1 if proj_in is linear, 0 if it is a 1x1 convolution
 *   adm        columns of label_emb.0.0: added vector; 0: none
 *   classes    rows of label_emb.weight: class labels; 0: none
 *   AD[b]      1 if down block b has attentions
 *   AU[b]      the same for up block b, counted as Diffusers does: deepest first
 *   TD[b,r]    transformer blocks of attention r in down block b
 *   TU[b,r]    the same for up block b
 *   MID        resnets in the middle: 0, 1 or 2
 *   MA         1 if the middle has an attention
 *   TM         its transformer blocks
 *   cond       columns of time_embedding.cond_proj (LCM); 0: none
 *   xonly[b]   1 if self-attention of down block b sees the text alone
 *   I[b], O[b] number of the first input or output block of a level
 */
#include <config.h>

#include "unet_ldm.h"

const dfx_kind dfx_kind_unet_ldm = {
    .name = "unet_ldm",
};
