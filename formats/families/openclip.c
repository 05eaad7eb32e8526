/*
 * openclip.c - OpenCLIP text encoders: ViT-H of SD2, ViT-bigG of SDXL
 *
 * Original names: open_clip/transformer.py; folder names: CLIPTextModel and
 * CLIPTextModelWithProjection of transformers. q, k and v are one stacked
 * tensor in the original; the projection is transposed.
 *
 * SD2 files hold 24 layers and folders 23: what the folder has no place for is
 * kept aside. The facts are those of clip.c.
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_openclip = {
    .name = "openclip",
};
