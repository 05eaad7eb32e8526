/*
 * resnet.h - ResnetBlock2D, which UNets and autoencoders are made of
 */
#ifndef DFX_RESNET_H
#define DFX_RESNET_H

#include "net.h"

typedef struct dfx_resnet {
    size_t groups;
    float eps;
    dfx_activation act;
    bool scale_shift;     /* the embedding scales and shifts the second norm */
    float output_divisor; /* output_scale_factor */
} dfx_resnet;

/* x [B, C, H, W], emb [B, E], or empty where there is none -> [B, C', H, W] */
dfx_array dfx_resnet_block(dfx_net *net, const dfx_resnet *config, dfx_array x,
                           dfx_array emb, const char *name);

#endif
