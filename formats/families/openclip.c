/*
 * openclip.c - OpenCLIP text encoders: ViT-H of SD2, ViT-bigG of SDXL
 *
 * Original names: open_clip/transformer.py; folder names: CLIPTextModel and
 * CLIPTextModelWithProjection of transformers. q, k and v are one stacked
 * tensor in the original; the projection is transposed.
 *
 * SD2 files hold 24 layers and folders 23: what the folder has no place for is
 * kept aside. The facts are those of clip.c.
 */
#include <config.h>

#include "openclip.h"

#include "clip.h"

/* clang-format off */

/* Diffusers name, original name. */
const dfx_row dfx_openclip_layer_rows[] = {
    DFX_ROW("layer_norm{1|2}.{wb}",         "ln_{1|2}.{wb}"),
    DFX_ROW("self_attn.{q|k|v}_proj.{wb}",  "attn.in_proj_{wb}", .op = DFX_OP_STACK),
    DFX_ROW("self_attn.out_proj.{wb}",      "attn.out_proj.{wb}"),
    DFX_ROW("mlp.fc{1|2}.{wb}",             "mlp.c_{fc|proj}.{wb}"),
    {0},
};

static const dfx_row openclip_rows[] = {
    DFX_ROW("text_model.embeddings.token_embedding.weight",     "token_embedding.weight"),
    DFX_ROW("text_model.embeddings.position_embedding.weight",  "positional_embedding"),
    DFX_ROW("text_model.encoder.layers.{n}.",                   "transformer.resblocks.{n}.", .loops = "n<layers", .rows = dfx_openclip_layer_rows),
    DFX_ROW("text_model.final_layer_norm.{wb}",                 "ln_final.{wb}"),
    DFX_ROW("text_projection.weight",                           "text_projection", .op = DFX_OP_TRANSPOSE, .when = "proj"),
    {0},
};

static const dfx_leftover leftovers[] = {
    {"transformer.resblocks.23.*", DFX_FATE_ASIDE, "the 24th text layer, which the model does not use"},
    {"text_projection",            DFX_FATE_ASIDE, "the projection, which the model does not use"},
    {"logit_scale",                DFX_FATE_ASIDE, "the scale of a whole CLIP"},
    {"attn_mask",                  DFX_FATE_ASIDE, "the causal mask, no weight"},
    {0},
};

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"positional_embedding", "token_embedding.weight", "transformer.resblocks.0.attn.in_proj_weight", "ln_final.weight"},
        .ranks = {{"positional_embedding", 2}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "openclip", .variant = "openclip-bigg", .component = "text_encoder_2", .class_name = "CLIPTextModelWithProjection", .configs = "sdxl-base", .config_component = "text_encoder_2", .when = "width == 1280 || layers == 32"},
    {.family = "openclip", .variant = "openclip-h", .component = "text_encoder", .class_name = "CLIPTextModel", .configs = "sd21-v", .config_component = "text_encoder", .when = "(width == 1024 || layers == 23) && !proj"},
    {.family = "openclip", .class_name = "CLIPTextModelWithProjection", .when = "proj"},
    {.family = "openclip", .class_name = "CLIPTextModel"},
    {0},
};

/* clang-format on */

const dfx_kind dfx_kind_openclip = {
    .name = "openclip",
    .summary = "OpenCLIP text encoder: ViT-H of SD2, ViT-bigG of SDXL",
    .component = "text_encoder",
    .weights = "model",
    .is_transformers = true,
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = openclip_rows,
    .leftovers = leftovers,
    .derive = dfx_clip_derive,
    .config = dfx_clip_config,
    .untold = {"num_attention_heads", "hidden_act"},
    .variants = variants,
};
