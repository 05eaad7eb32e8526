/*
 * unet_config.c - the config.json of a UNet2DConditionModel (diffusers 0.42.1,
 * models/unets/unet_2d_condition.py: the defaults are the constructor's)
 */
#include <config.h>

#include "nets/unet.h"

#include <string.h>

static dfx_activation
activation(dfx_settings *s, const char *key, const char *usual)
{
    const char *act = dfx_setting_text(s, key, usual);

    if (act != NULL && strcmp(act, "gelu") == 0)
        return DFX_ACT_GELU;
    if (act != NULL && strcmp(act, "relu") == 0)
        return DFX_ACT_RELU;
    if (act == NULL || (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0))
        dfx_setting_refuse(s, key);
    return DFX_ACT_SILU;
}

/* Which levels have attention: one of two types of block each. */
static void
block_types(dfx_settings *s, const char *key, const char *plain,
            const char *cross, size_t plain_usually, size_t levels,
            bool crosses[DFX_UNET_LEVELS])
{
    const char *types[DFX_SETTING_ITEMS];
    size_t count = 4;

    for (size_t i = 0; i < 4; i++)
        types[i] = i == plain_usually ? plain : cross;
    if (dfx_doc_get(s->config, key) != NULL)
        count = dfx_setting_texts(s, key, types);
    if (count != levels)
        dfx_setting_fail(s, "\"%s\" has %zu types for %zu blocks", key, count,
                         levels);
    for (size_t i = 0; i < count; i++) {
        crosses[i] = strcmp(types[i], cross) == 0;
        if (!crosses[i] && strcmp(types[i], plain) != 0)
            dfx_setting_refuse(s, key);
    }
}

/* A number of each level, or one for all. */
static void
each_level(dfx_settings *s, const char *key, size_t usual, size_t max,
           size_t levels, size_t items[DFX_UNET_LEVELS])
{
    size_t count = levels;

    if (dfx_doc_get(s->config, key) == NULL)
        for (size_t i = 0; i < levels; i++)
            items[i] = usual;
    else
        count = dfx_setting_counts(s, key, levels, 1, max, items);
    if (count != levels)
        dfx_setting_fail(s, "\"%s\" has %zu numbers for %zu blocks", key, count,
                         levels);
}

static dfx_unet_mid
mid_type(dfx_settings *s)
{
    const char *type =
        dfx_setting_text(s, "mid_block_type", "UNetMidBlock2DCrossAttn");

    if (type == NULL)
        return DFX_MID_NONE;
    if (strcmp(type, "UNetMidBlock2D") == 0)
        return DFX_MID_PLAIN;
    if (strcmp(type, "UNetMidBlock2DCrossAttn") != 0)
        dfx_setting_refuse(s, "mid_block_type");
    return DFX_MID_ATTENTION;
}

static dfx_class_embedding
class_type(dfx_settings *s)
{
    static const struct {
        const char *name;
        dfx_class_embedding type;
    } rows[] = {
        {"timestep", DFX_CLASS_TIMESTEP},
        {"projection", DFX_CLASS_PROJECTION},
        {"simple_projection", DFX_CLASS_SIMPLE},
        {"identity", DFX_CLASS_IDENTITY},
    };
    const char *type = dfx_setting_text(s, "class_embed_type", NULL);

    if (type == NULL)
        return dfx_setting_none(s, "num_class_embeds") ? DFX_CLASS_NONE
                                                       : DFX_CLASS_TABLE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(type, rows[i].name) == 0)
            return rows[i].type;
    dfx_setting_refuse(s, "class_embed_type");
    return DFX_CLASS_NONE;
}

/* What changes the numbers and is not done: better no picture than another. */
static void
refuse_others(dfx_settings *s)
{
    static const char *const null_only[] = {
        "num_attention_heads", "encoder_hid_dim_type", "cross_attention_norm",
        "time_embedding_dim",  "timestep_post_act",
    };
    static const char *const false_only[] = {
        "dual_cross_attention", "resnet_skip_time_act", "center_input_sample"};
    static const struct {
        const char *key, *value;
    } texts[] = {{"time_embedding_type", "positional"},
                 {"attention_type", "default"}};

    for (size_t i = 0; i < sizeof null_only / sizeof *null_only; i++)
        if (!dfx_setting_none(s, null_only[i]))
            dfx_setting_refuse(s, null_only[i]);
    for (size_t i = 0; i < sizeof false_only / sizeof *false_only; i++)
        if (dfx_setting_bool(s, false_only[i], false))
            dfx_setting_refuse(s, false_only[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = dfx_setting_text(s, texts[i].key, texts[i].value);

        if (value == NULL || strcmp(value, texts[i].value) != 0)
            dfx_setting_refuse(s, texts[i].key);
    }
    if (dfx_setting_count(s, "downsample_padding", 1, 0, 64) != 1)
        dfx_setting_refuse(s, "downsample_padding");
    if (dfx_setting_number(s, "resnet_out_scale_factor", 1.0, 0.0, 1e6) != 1.0f)
        dfx_setting_refuse(s, "resnet_out_scale_factor");
}

static void
configure_embeddings(dfx_unet_config *config, dfx_settings *s, size_t width)
{
    const char *added = dfx_setting_text(s, "addition_embed_type", NULL);

    config->time = (dfx_sinusoid){
        .width = width,
        .flip = dfx_setting_bool(s, "flip_sin_to_cos", true),
        .freq_shift = dfx_setting_number(s, "freq_shift", 0.0, -1e6, 1e6),
    };
    config->added_time_width = 0;
    if (added != NULL && strcmp(added, "text_time") == 0)
        config->added_time_width =
            dfx_setting_count(s, "addition_time_embed_dim", 0, 1, 1 << 16);
    else if (added != NULL)
        dfx_setting_refuse(s, "addition_embed_type");
    config->class_embedding = class_type(s);
    config->class_concat =
        dfx_setting_bool(s, "class_embeddings_concat", false);
    config->time_cond = !dfx_setting_none(s, "time_cond_proj_dim");
    config->time_act = !dfx_setting_none(s, "time_embedding_act_fn");
    config->act = config->time_act
                      ? activation(s, "time_embedding_act_fn", NULL)
                      : DFX_ACT_SILU;
}

dfx_status
dfx_unet_configure_half(dfx_unet_config *config, const cJSON *document,
                        dfx_error *err)
{
    dfx_settings s = {.config = document, .err = err};
    size_t channels[DFX_SETTING_ITEMS] = {320, 640, 1280, 1280};
    const char *shift =
        dfx_setting_text(&s, "resnet_time_scale_shift", "default");

    config->levels = 4;
    if (dfx_doc_get(document, "block_out_channels") != NULL)
        config->levels = dfx_setting_counts(&s, "block_out_channels", 0, 1,
                                            1 << 16, channels);
    each_level(&s, "layers_per_block", 2, DFX_UNET_LAYERS - 1, config->levels,
               config->layers);
    each_level(&s, "attention_head_dim", 8, 1 << 12, config->levels,
               config->heads);
    block_types(&s, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D",
                3, config->levels, config->cross_down);
    config->mid = mid_type(&s);
    config->mid_divisor =
        dfx_setting_number(&s, "mid_block_scale_factor", 1.0, 1e-6, 1e6);
    config->resnet = (dfx_resnet){
        .groups = dfx_setting_count(&s, "norm_num_groups", 32, 1, 1 << 16),
        .eps = dfx_setting_number(&s, "norm_eps", 1e-5, 0.0, 1.0),
        .act = activation(&s, "act_fn", "silu"),
        .output_divisor = 1.0f,
    };
    config->resnet.scale_shift =
        shift != NULL && strcmp(shift, "scale_shift") == 0;
    if (!config->resnet.scale_shift &&
        (shift == NULL || strcmp(shift, "default") != 0))
        dfx_setting_refuse(&s, "resnet_time_scale_shift");
    config->only_cross_attention =
        dfx_setting_bool(&s, "only_cross_attention", false);
    configure_embeddings(config, &s, channels[0]);
    refuse_others(&s);
    return s.status;
}

dfx_status
dfx_unet_configure(dfx_unet_config *config, const cJSON *document,
                   dfx_error *err)
{
    dfx_settings s = {.config = document, .err = err};

    DFX_TRY(dfx_unet_configure_half(config, document, err));
    block_types(&s, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", 0,
                config->levels, config->cross_up);
    return s.status;
}
