/*
 * transformer.h - Transformer2DModel, the attention of UNets
 */
#ifndef DFX_TRANSFORMER_H
#define DFX_TRANSFORMER_H

#include "net.h"

/* x [B, C, H, W], text [B, tokens, D] -> as x. cross_only: the first attention
   of each block looks at the text too. */
dfx_array dfx_transformer(dfx_net *net, dfx_array x, dfx_array text,
                          size_t groups, size_t heads, bool cross_only,
                          const char *name);

#endif
