/*
 * openclip.h - the layer that OpenCLIP's text and image encoders share
 */
#ifndef DFX_OPENCLIP_H
#define DFX_OPENCLIP_H

#include "rules.h"

/* Behind "encoder.layers.{n}." and "transformer.resblocks.{n}.". */
extern const dfx_row dfx_openclip_layer_rows[];

#endif
