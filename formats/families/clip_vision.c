/*
 * clip_vision.c - CLIP image encoders: CLIPVisionModelWithProjection
 *
 * Original names: open_clip's VisionTransformer, which Stable unCLIP and the
 * image variations model carry; folder names: transformers, "pre_layrnorm"
 * (sic). q, k and v are one stacked tensor in the original; the projection is
 * transposed.
 *
 * Facts:
 *   width, layers, mlp
 *   patch      width of a patch in pixels
 *   positions  rows of the position embedding: patches and the class token
 *   in         channels of the image
 *   proj       rows of visual_projection in a folder; 0: none
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_clip_vision = {
    .name = "clip_vision",
};
