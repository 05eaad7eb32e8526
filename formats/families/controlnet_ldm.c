/*
 * controlnet_ldm.c - ControlNets of LDM UNets: SD1, SD2, SDXL
 *
 * Original names: lllyasviel/ControlNet cldm/cldm.py; Diffusers names:
 * ControlNetModel of diffusers 0.42.1. Not taken for one: ControlNet union,
 * SparseCtrl, Control-LoRA, LLLite. Files that hold differences to a base model
 * have the same names: nothing in them tells.
 *
 * Facts: those of unet_ldm.c but for out, AU, TU and O, and
 *   K          blocks of the hint's embedding between its first and last
 *              convolution
 *   hint       channels of the hint
 *   H[k]       channels of the hint's embedding, k <= K/2
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_controlnet_ldm = {
    .name = "controlnet_ldm",
};
