/*
 * controlnet_ldm.c - ControlNets of LDM UNets: SD1, SD2, SDXL
 *
 * Original names: lllyasviel/ControlNet cldm/cldm.py; Diffusers names:
 * ControlNetModel of diffusers 0.42.1. Not taken for one: ControlNet union,
 * SparseCtrl, Control-LoRA, LLLite. Files that hold differences to a base model
 * have the same names: nothing in them tells.
 *
 * Facts: those of unet_ldm.c but for out, AU, TU and O, and
 *   Z          zero convolutions behind the way down
 *   K          blocks of the hint's embedding between its first and last
 *              convolution
 *   hint       channels of the hint
 *   H[k]       channels of the hint's embedding at each of its sizes, h of them
 *   h          sizes: K/2 + 1
 */
#include <config.h>

#include "controlnet_ldm.h"

#include "fields.h"
#include "unet_ldm.h"

/* clang-format off */

/* Diffusers name, original name. One zero convolution for the input, for each
   resnet and for each downsampler: Z of them. */
static const dfx_row controlnet_rows[] = {
    DFX_ROW("", "", .rows = dfx_unet_encoder_rows),
    DFX_ROW("controlnet_cond_embedding.conv_in.{wb}",     "input_hint_block.0.{wb}"),
    DFX_ROW("controlnet_cond_embedding.blocks.{k}.{wb}",  "input_hint_block.{2*k+2}.{wb}", .loops = "k<K"),
    DFX_ROW("controlnet_cond_embedding.conv_out.{wb}",    "input_hint_block.{2*K+2}.{wb}"),
    DFX_ROW("controlnet_down_blocks.{k}.{wb}",            "zero_convs.{k}.0.{wb}", .loops = "k<Z"),
    DFX_ROW("controlnet_mid_block.{wb}",                  "middle_block_out.0.{wb}"),
    {0},
};

/* Control-LoRAs have these names too, and a key that says so. */
static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"input_hint_block.0.weight", "zero_convs.0.0.weight", "middle_block_out.0.weight", "input_blocks.0.0.weight", "time_embed.0.weight"},
        .none = {"out.2.weight", "lora_controlnet", "*.temporal_transformer."},
        .ranks = {{"input_hint_block.0.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"controlnet_cond_embedding.conv_in.weight", "controlnet_down_blocks.0.weight", "conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.conv1.weight"},
        .none = {"control_add_embedding.", "*motion_modules.", "*temporal_transformer_blocks."},
        .ranks = {{"controlnet_cond_embedding.conv_in.weight", 4}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "controlnet_sd1", .class_name = "ControlNetModel", .configs = "controlnet-sd15", .when = "ctx == 768 && !lin"},
    {.family = "controlnet_sd2", .class_name = "ControlNetModel", .configs = "controlnet-sd21", .when = "ctx == 1024 && lin"},
    {.family = "controlnet_sdxl", .class_name = "ControlNetModel", .configs = "controlnet-sdxl", .when = "ctx == 2048 && adm == 2816"},
    {.family = "controlnet_sdxl", .class_name = "ControlNetModel", .configs = "controlnet-sdxl-small", .when = "ctx == 0 && adm == 2816"},
    {.family = "controlnet_ldm", .class_name = "ControlNetModel"},
    {0},
};

/* clang-format on */

dfx_status
dfx_controlnet_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    int64_t blocks, levels, zeros;

    DFX_TRY(dfx_unet_derive_encoder(view, facts, err));
    blocks =
        dfx_view_count(view, "controlnet_cond_embedding.blocks.", ".weight");
    /* In the original the last convolution is one more of the same. */
    if (view->signature->layout == DFX_LAYOUT_ORIGINAL && blocks > 0)
        blocks--;
    DFX_TRY(dfx_facts_set(facts, "K", 0, 0, blocks, err));
    DFX_TRY(dfx_facts_set(facts, "h", 0, 0, blocks / 2 + 1, err));
    DFX_TRY(dfx_facts_set(
        facts, "hint", 0, 0,
        dfx_view_dim(view, 1, "controlnet_cond_embedding.conv_in.weight"),
        err));
    DFX_TRY(dfx_facts_set(
        facts, "H", 0, 0,
        dfx_view_dim(view, 0, "controlnet_cond_embedding.conv_in.weight"),
        err));
    /* Every second block changes the size. */
    for (int64_t k = 1; k <= blocks / 2; k++)
        DFX_TRY(dfx_facts_set(
            facts, "H", k, 0,
            dfx_view_dim(view, 0, "controlnet_cond_embedding.blocks.%d.weight",
                         (int)(2 * k - 1)),
            err));
    levels = dfx_facts_get(facts, "N", 0, 0);
    zeros = levels; /* the input, and a downsampler in all levels but one */
    for (int64_t b = 0; b < levels; b++)
        zeros += dfx_facts_get(facts, "L", b, 0);
    return dfx_facts_set(facts, "Z", 0, 0, zeros, err);
}

/* Defaults of ControlNetModel in diffusers 0.42.1. */
dfx_status
dfx_controlnet_config(const dfx_facts *facts, bool complete, cJSON *config,
                      dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    DFX_TRY(dfx_unet_config_encoder(facts, complete, config, err));
    dfx_field_int(&f, "conditioning_channels", "hint", "3");
    dfx_field_list(&f, "conditioning_embedding_out_channels", "H",
                   dfx_facts_get(facts, "h", 0, 0), "[16,32,96,256]");
    return f.status;
}

static dfx_status
controlnet_ldm_config(const dfx_facts *facts, bool complete, cJSON *config,
                      dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    dfx_field_fill(&f, "_class_name", cJSON_CreateString("ControlNetModel"),
                   "null");
    DFX_TRY(f.status);
    return dfx_controlnet_config(facts, complete, config, err);
}

const dfx_kind dfx_kind_controlnet_ldm = {
    .name = "controlnet_ldm",
    .summary = "ControlNet of Stable Diffusion 1, 2 and XL",
    .component = "controlnet",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "control_model.",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = controlnet_rows,
    .derive = dfx_controlnet_derive,
    .config = controlnet_ldm_config,
    .untold = {"attention_head_dim"},
    .variants = variants,
};
