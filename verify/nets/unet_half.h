/*
 * unet_half.h - the first half of a UNet: embeddings, the way down, the middle
 *
 * A ControlNet is one that gives away what it skips.
 */
#ifndef DFX_UNET_HALF_H
#define DFX_UNET_HALF_H

#include "nets/unet.h"

typedef struct dfx_unet_half {
    dfx_net *net;
    const dfx_unet_config *config;
    const dfx_unet_input *in;
    dfx_array emb; /* [B, width] of the step and what joins it */
    dfx_array skips[DFX_UNET_SKIPS];
    size_t skip_count;
} dfx_unet_half;

/* Checks the input and computes emb; false after a fault of the net. */
bool dfx_unet_half_begin(dfx_unet_half *half, dfx_net *net,
                         const dfx_unet_config *config,
                         const dfx_unet_input *in);
/* h, what conv_in gave -> the output of the middle; fills skips. */
dfx_array dfx_unet_half_run(dfx_unet_half *half, dfx_array h);
/* Resnet i of a block, and attention if it has heads. */
dfx_array dfx_unet_layer(dfx_unet_half *half, dfx_array h, const char *block,
                         size_t i, size_t heads);

#endif
