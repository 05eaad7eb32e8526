/*
 * image_normalizer.c - StableUnCLIPImageNormalizer: latent statistics of unCLIP
 *
 * The other tensors of the original's noise_augmentor are schedule tables.
 *
 * Facts:
 *   dim        columns of the mean
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_image_normalizer = {
    .name = "image_normalizer",
};
