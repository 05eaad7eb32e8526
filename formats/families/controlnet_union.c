/*
 * controlnet_union.c - ControlNetUnionModel for SDXL (xinsir's union, promax)
 *
 * Exists under Diffusers names only: recognised, never converted.
 *
 * Facts: those of controlnet_ldm.c, and
 *   types      kinds of control: rows of task_embedding
 */
#include <config.h>

#include "controlnet_ldm.h"

#include "fields.h"

/* clang-format off */

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"control_add_embedding.linear_1.weight", "task_embedding", "controlnet_cond_embedding.conv_in.weight", "controlnet_down_blocks.0.weight"},
        .ranks = {{"task_embedding", 2}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "controlnet_sdxl_union", .class_name = "ControlNetUnionModel", .configs = "controlnet-sdxl-union-promax", .when = "types == 8"},
    {.family = "controlnet_sdxl_union", .class_name = "ControlNetUnionModel", .configs = "controlnet-sdxl-union"},
    {0},
};

/* clang-format on */

static dfx_status
controlnet_union_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    DFX_TRY(dfx_controlnet_derive(view, facts, err));
    return dfx_facts_set(facts, "types", 0, 0,
                         dfx_view_dim(view, 0, "task_embedding"), err);
}

/* Defaults of ControlNetUnionModel in diffusers 0.42.1. */
static dfx_status
controlnet_union_config(const dfx_facts *facts, bool complete, cJSON *config,
                        dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    dfx_field_fill(&f, "_class_name",
                   cJSON_CreateString("ControlNetUnionModel"), "null");
    DFX_TRY(dfx_controlnet_config(facts, complete, config, err));
    dfx_field_int(&f, "num_control_type", "types", "6");
    return f.status;
}

const dfx_kind dfx_kind_controlnet_union = {
    .name = "controlnet_union",
    .summary = "ControlNet union for SDXL; recognised, not converted",
    .component = "controlnet",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .derive = controlnet_union_derive,
    .config = controlnet_union_config,
    .variants = variants,
};
