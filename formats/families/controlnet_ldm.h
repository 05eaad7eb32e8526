/*
 * controlnet_ldm.h - what ControlNets of the LDM kind have in common
 */
#ifndef DFX_CONTROLNET_LDM_H
#define DFX_CONTROLNET_LDM_H

#include "rules.h"

/* The facts and the config: see the head of controlnet_ldm.c. */
DFX_CHECKED dfx_status dfx_controlnet_derive(const dfx_view *view,
                                             dfx_facts *facts, dfx_error *err);
DFX_CHECKED dfx_status dfx_controlnet_config(const dfx_facts *facts,
                                             bool complete,
                                             struct cJSON *config,
                                             dfx_error *err);

#endif
