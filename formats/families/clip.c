/*
 * clip.c - CLIP text encoders under the names of transformers
 *
 * The original files of SD1 and SDXL hold their CLIP-L under the same names, so
 * this kind has no conversion of its own; for encoders whose original is
 * OpenCLIP see openclip.c, which has the same facts. transformers 5.6 and later
 * save CLIPTextModel without the leading "text_model.": both are read, the
 * written form is always the one with it, which every reader takes.
 *
 * Facts:
 *   width      columns of the position embedding
 *   positions, vocab   rows of the position and of the token embedding
 *   mlp        rows of the first layer of a block's MLP
 *   found_layers       layers in the source
 *   layers     layers that a folder has: 24 of OpenCLIP become 23, because
 *              SD2 uses the last but one and its folders have no other
 *   proj       rows of text_projection in a folder (the embedding's width);
 *              0: none, or none that a folder has
 */
#include <config.h>

#include "clip.h"

#include "fields.h"

/* clang-format off */

/* Diffusers name, original name: the same. Behind a layer. */
static const dfx_row layer_rows[] = {
    DFX_ROW("layer_norm{1|2}.{wb}",             "layer_norm{1|2}.{wb}"),
    DFX_ROW("self_attn.{q|k|v|out}_proj.{wb}",  "self_attn.{q|k|v|out}_proj.{wb}"),
    DFX_ROW("mlp.fc{1|2}.{wb}",                 "mlp.fc{1|2}.{wb}"),
    {0},
};

static const dfx_row clip_rows[] = {
    DFX_ROW("text_model.embeddings.{token|position}_embedding.weight", "text_model.embeddings.{token|position}_embedding.weight"),
    DFX_ROW("text_model.encoder.layers.{n}.",     "text_model.encoder.layers.{n}.", .loops = "n<layers", .rows = layer_rows),
    DFX_ROW("text_model.final_layer_norm.{wb}",   "text_model.final_layer_norm.{wb}"),
    DFX_ROW("text_projection.weight",             "text_projection.weight", .when = "proj"),
    {0},
};

static const dfx_leftover leftovers[] = {
    {"*embeddings.position_ids", DFX_FATE_ASIDE, "the numbers of the positions, no weight"},
    {"logit_scale",              DFX_FATE_ASIDE, "the scale of a whole CLIP"},
    {0},
};

/* A whole CLIPModel fits too: its vision_model. is clip_vision's. */
static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"text_model.embeddings.position_embedding.weight", "text_model.embeddings.token_embedding.weight", "text_model.encoder.layers.0.self_attn.q_proj.weight", "text_model.final_layer_norm.weight"},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"embeddings.position_embedding.weight", "embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", "final_layer_norm.weight"},
        .none = {"text_model."},
        .implied = "text_model.",
    },
};

static const dfx_variant_row variants[] = {
    {.family = "clip", .variant = "clip-l", .component = "text_encoder", .class_name = "CLIPTextModelWithProjection", .configs = "sd15", .config_component = "text_encoder", .when = "(width == 768 || layers == 12) && proj"},
    {.family = "clip", .variant = "clip-l", .component = "text_encoder", .class_name = "CLIPTextModel", .configs = "sd15", .config_component = "text_encoder", .when = "width == 768 || layers == 12"},
    {.family = "clip", .variant = "clip-bigg", .component = "text_encoder_2", .class_name = "CLIPTextModelWithProjection", .configs = "sdxl-base", .config_component = "text_encoder_2", .when = "width == 1280 || layers == 32"},
    {.family = "clip", .variant = "openclip-h", .component = "text_encoder", .class_name = "CLIPTextModel", .configs = "sd21-v", .config_component = "text_encoder", .when = "(width == 1024 || layers == 23) && !proj"},
    {.family = "clip", .class_name = "CLIPTextModelWithProjection", .when = "proj"},
    {.family = "clip", .class_name = "CLIPTextModel"},
    {0},
};

/* clang-format on */

/* Layers of an OpenCLIP ViT-H, and of a folder that has it. */
enum { OPENCLIP_H_LAYERS = 24 };

dfx_status
dfx_clip_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    static const char position[] =
        "text_model.embeddings.position_embedding.weight";
    bool original = view->signature->layout == DFX_LAYOUT_ORIGINAL;
    int64_t found = dfx_view_count(view, "text_model.encoder.layers.",
                                   ".layer_norm1.weight");
    /* The last layer, and the projection behind it, are not used. */
    bool last_unused = original && found == OPENCLIP_H_LAYERS;
    /* [embedding, width] in a folder, transposed in the original. */
    int64_t proj =
        dfx_view_dim(view, original ? 1 : 0, "text_projection.weight");

    /* clang-format off */
    const struct { const char *name; int64_t value; } all[] = {
        {"width",        dfx_view_dim(view, 1, position)},
        {"positions",    dfx_view_dim(view, 0, position)},
        {"vocab",        dfx_view_dim(view, 0, "text_model.embeddings.token_embedding.weight")},
        {"mlp",          dfx_view_dim(view, 0, "text_model.encoder.layers.0.mlp.fc1.bias")},
        {"found_layers", found},
        {"layers",       found - last_unused},
        {"proj",         last_unused ? 0 : proj},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        DFX_TRY(dfx_facts_set(facts, all[i].name, 0, 0, all[i].value, err));
    return DFX_OK;
}

dfx_status
dfx_clip_config_class(cJSON *config, const char *class_name,
                      const char *model_type, dfx_error *err)
{
    dfx_fields f = {.config = config, .complete = true, .err = err};

    dfx_field_fill(&f, "architectures", cJSON_CreateStringArray(&class_name, 1),
                   "null");
    dfx_field_fill(&f, "model_type", cJSON_CreateString(model_type), "null");
    return f.status;
}

/* Defaults of CLIPTextConfig in transformers 5.23. */
dfx_status
dfx_clip_config(const dfx_facts *facts, bool complete, cJSON *config,
                dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};
    int64_t width = dfx_facts_get(facts, "width", 0, 0);
    bool projects = dfx_facts_get(facts, "proj", 0, 0) != 0;
    /* OpenAI's model was trained with another activation than OpenCLIP's. */
    bool openai = width == 768 || dfx_facts_get(facts, "layers", 0, 0) == 12;

    DFX_TRY(dfx_clip_config_class(
        config, projects ? "CLIPTextModelWithProjection" : "CLIPTextModel",
        "clip_text_model", err));
    dfx_field_int(&f, "hidden_size", "width", "512");
    dfx_field_int(&f, "intermediate_size", "mlp", "2048");
    dfx_field_int(&f, "num_hidden_layers", "layers", "12");
    dfx_field_int(&f, "max_position_embeddings", "positions", "77");
    dfx_field_int(&f, "vocab_size", "vocab", "49408");
    /* Heads are 64 wide in all of them. */
    dfx_field_set(&f, "num_attention_heads",
                  dfx_doc_new_int(width >= 64 ? width / 64 : 1), "8");
    if (projects)
        dfx_field_int(&f, "projection_dim", "proj", "512");
    else /* read by nothing; what is published */
        dfx_field_fill(&f, "projection_dim",
                       dfx_doc_new_int(openai ? 768 : 512), "512");
    dfx_field_fill(&f, "hidden_act",
                   cJSON_CreateString(openai ? "quick_gelu" : "gelu"),
                   "\"quick_gelu\"");
    dfx_field_fill(&f, "bos_token_id", dfx_doc_new_int(0), "49406");
    dfx_field_fill(&f, "eos_token_id", dfx_doc_new_int(2), "49407");
    dfx_field_fill(&f, "pad_token_id", dfx_doc_new_int(1), "1");
    return f.status;
}

const dfx_kind dfx_kind_clip = {
    .name = "clip",
    .summary = "CLIP text encoder under the names of transformers",
    .component = "text_encoder",
    .weights = "model",
    .is_transformers = true,
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = clip_rows,
    .leftovers = leftovers,
    .derive = dfx_clip_derive,
    .config = dfx_clip_config,
    .untold = {"num_attention_heads", "hidden_act"},
    .variants = variants,
};
