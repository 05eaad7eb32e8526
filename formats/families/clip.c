/*
 * clip.c - CLIP text encoders under the names of transformers
 *
 * The original files of SD1 and SDXL hold their CLIP-L under the same names, so
 * this kind has no conversion of its own; for encoders whose original is
 * OpenCLIP see openclip.c, which has the same facts. transformers 5.6 and later
 * save CLIPTextModel without the leading "text_model.": both are read, the
 * written form is always the one with it, which every reader takes.
 *
 * Facts:
 *   width      columns of the position embedding
 *   positions, vocab   rows of the position and of the token embedding
 *   mlp        rows of the first layer of a block's MLP
 *   found_layers       layers in the source
 *   layers     layers that a folder has: 24 of OpenCLIP become 23, because
 *              SD2 uses the last but one and its folders have no other
 *   proj       rows of text_projection in a folder (the embedding's width);
 *              0: none, or none that a folder has
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_clip = {
    .name = "clip",
};
