/*
 * unet_ldm.h - blocks that UNets and ControlNets of the LDM kind share
 */
#ifndef DFX_UNET_LDM_H
#define DFX_UNET_LDM_H

#include "rules.h"

/* Input, embeddings, down blocks and middle: all that a ControlNet copies. */
extern const dfx_row dfx_unet_encoder_rows[];

/* Sets the facts of that half: see the head of unet_ldm.c. */
DFX_CHECKED dfx_status dfx_unet_derive_encoder(const dfx_view *view,
                                               dfx_facts *facts,
                                               dfx_error *err);

/* Writes the fields of that half. */
DFX_CHECKED dfx_status dfx_unet_config_encoder(const dfx_facts *facts,
                                               bool complete,
                                               struct cJSON *config,
                                               dfx_error *err);

#endif
