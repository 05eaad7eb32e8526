/*
 * controlnet_union.c - ControlNetUnionModel for SDXL (xinsir's union, promax)
 *
 * Exists under Diffusers names only: recognised, never converted.
 *
 * Facts: those of controlnet_ldm.c, and
 *   types      kinds of control: rows of task_embedding
 */
#include <config.h>

#include "rules.h"

const dfx_kind dfx_kind_controlnet_union = {
    .name = "controlnet_union",
};
