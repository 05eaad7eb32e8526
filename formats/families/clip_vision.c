/*
 * clip_vision.c - CLIP image encoders: CLIPVisionModelWithProjection
 *
 * Original names: open_clip's VisionTransformer, which Stable unCLIP and the
 * image variations model carry; folder names: transformers, "pre_layrnorm"
 * (sic). q, k and v are one stacked tensor in the original; the projection is
 * transposed.
 *
 * Facts:
 *   width, layers, mlp
 *   patch      width of a patch in pixels
 *   positions  rows of the position embedding: patches and the class token
 *   in         channels of the image
 *   proj       rows of visual_projection in a folder; 0: none
 */
#include <config.h>

#include "rules.h"

#include "clip.h"
#include "fields.h"
#include "openclip.h"

/* clang-format off */

/* Diffusers name, original name. */
static const dfx_row vision_rows[] = {
    DFX_ROW("vision_model.embeddings.class_embedding",            "class_embedding"),
    DFX_ROW("vision_model.embeddings.patch_embedding.weight",     "conv1.weight"),
    DFX_ROW("vision_model.embeddings.position_embedding.weight",  "positional_embedding"),
    DFX_ROW("vision_model.pre_layrnorm.{wb}",                     "ln_pre.{wb}"),
    DFX_ROW("vision_model.encoder.layers.{n}.",                   "transformer.resblocks.{n}.", .loops = "n<layers", .rows = dfx_openclip_layer_rows),
    DFX_ROW("vision_model.post_layernorm.{wb}",                   "ln_post.{wb}"),
    DFX_ROW("visual_projection.weight",                           "proj", .op = DFX_OP_TRANSPOSE, .when = "proj"),
    {0},
};

static const dfx_leftover leftovers[] = {
    {"*embeddings.position_ids", DFX_FATE_ASIDE, "the numbers of the positions, no weight"},
    {"logit_scale",              DFX_FATE_ASIDE, "the scale of a whole CLIP"},
    {0},
};

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"class_embedding", "conv1.weight", "ln_pre.weight", "positional_embedding", "transformer.resblocks.0.attn.in_proj_weight", "proj"},
        .none = {"token_embedding.weight"},
        .ranks = {{"conv1.weight", 4}, {"class_embedding", 1}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"vision_model.embeddings.patch_embedding.weight", "vision_model.embeddings.class_embedding", "vision_model.encoder.layers.0.self_attn.q_proj.weight"},
        .none = {"concept_embeds", "special_care_embeds"},
        .ranks = {{"vision_model.embeddings.patch_embedding.weight", 4}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "clip_vision", .variant = "clip-vision-l", .class_name = "CLIPVisionModelWithProjection", .configs = "sd1-image-variations", .config_component = "image_encoder", .when = "width == 1024 && layers == 24 && proj"},
    {.family = "clip_vision", .variant = "clip-vision-h", .class_name = "CLIPVisionModelWithProjection", .configs = "sd21-unclip-h", .config_component = "image_encoder", .when = "width == 1280 && layers == 32 && proj"},
    {.family = "clip_vision", .class_name = "CLIPVisionModelWithProjection", .when = "proj"},
    {.family = "clip_vision", .class_name = "CLIPVisionModel"},
    {0},
};

/* clang-format on */

static dfx_status
clip_vision_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    static const char patch[] =
        "vision_model.embeddings.patch_embedding.weight";
    bool original = view->signature->layout == DFX_LAYOUT_ORIGINAL;

    /* clang-format off */
    const struct { const char *name; int64_t value; } all[] = {
        {"width",     dfx_view_dim(view, 0, patch)},
        {"in",        dfx_view_dim(view, 1, patch)},
        {"patch",     dfx_view_dim(view, 3, patch)},
        {"positions", dfx_view_dim(view, 0, "vision_model.embeddings.position_embedding.weight")},
        {"layers",    dfx_view_count(view, "vision_model.encoder.layers.", ".layer_norm1.weight")},
        {"mlp",       dfx_view_dim(view, 0, "vision_model.encoder.layers.0.mlp.fc1.bias")},
        /* [embedding, width] in a folder, transposed in the original. */
        {"proj",      dfx_view_dim(view, original ? 1 : 0, "visual_projection.weight")},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        DFX_TRY(dfx_facts_set(facts, all[i].name, 0, 0, all[i].value, err));
    return DFX_OK;
}

/* Pixels of a side: the patches, without the class token, form a square. */
static int64_t
image_size(const dfx_facts *facts)
{
    enum { SIDE_MAX = 4096 }; /* patches */
    int64_t patches = dfx_facts_get(facts, "positions", 0, 0) - 1;
    int64_t patch = dfx_facts_get(facts, "patch", 0, 0), side = 0;

    while (side < SIDE_MAX && (side + 1) * (side + 1) <= patches)
        side++;
    return patch < SIDE_MAX ? side * patch : 0;
}

/* Defaults of CLIPVisionConfig in transformers 5.23. */
static dfx_status
clip_vision_config(const dfx_facts *facts, bool complete, cJSON *config,
                   dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};
    int64_t width = dfx_facts_get(facts, "width", 0, 0);
    bool projects = dfx_facts_get(facts, "proj", 0, 0) != 0;

    DFX_TRY(dfx_clip_config_class(
        config, projects ? "CLIPVisionModelWithProjection" : "CLIPVisionModel",
        "clip_vision_model", err));
    dfx_field_int(&f, "hidden_size", "width", "768");
    dfx_field_int(&f, "intermediate_size", "mlp", "3072");
    dfx_field_int(&f, "num_hidden_layers", "layers", "12");
    dfx_field_int(&f, "num_channels", "in", "3");
    dfx_field_int(&f, "patch_size", "patch", "32");
    dfx_field_set(&f, "image_size", dfx_doc_new_int(image_size(facts)), "224");
    if (projects)
        dfx_field_int(&f, "projection_dim", "proj", "512");
    /* In no shape: ViT-L and larger have 16 heads, smaller ones' are 64 wide.
     */
    dfx_field_fill(&f, "num_attention_heads",
                   dfx_doc_new_int(width >= 1024 ? 16
                                   : width >= 64 ? width / 64
                                                 : 1),
                   "12");
    /* OpenAI's ViT-L was trained with another activation than OpenCLIP's. */
    dfx_field_fill(&f, "hidden_act",
                   cJSON_CreateString(width == 1024 ? "quick_gelu" : "gelu"),
                   "\"quick_gelu\"");
    return f.status;
}

const dfx_kind dfx_kind_clip_vision = {
    .name = "clip_vision",
    .summary = "CLIP image encoder: ViT-L, OpenCLIP ViT-H",
    .component = "image_encoder",
    .weights = "model",
    .is_transformers = true,
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = vision_rows,
    .leftovers = leftovers,
    .derive = clip_vision_derive,
    .config = clip_vision_config,
    .variants = variants,
};
