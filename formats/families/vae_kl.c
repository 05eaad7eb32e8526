/*
 * vae_kl.c - AutoencoderKL: the VAE of SD1, SD2, SDXL, and of SD3 and FLUX
 *
 * Original names: ldm/modules/diffusionmodules/model.py; Diffusers names:
 * AutoencoderKL of diffusers 0.42.1. The four attention weights are 1x1
 * convolutions in the original and matrices in the folder: same bytes. The
 * original counts up blocks from the last one. Early diffusers called the
 * attention's parts query, key, value and proj_attn: read, never written. Not
 * taken for one: VQ models, 3-D convolutions, attention at a resolution.
 *
 * Facts:
 *   enc, dec   1 if that half is there
 *   in, out    channels of the image in and out
 *   latent     channels of the latent
 *   N, L       levels, and resnets in a level of the encoder
 *   C[b]       channels of level b, 0 is the one of the image's size
 *   quant, post_quant   1 if that convolution is there
 *   SE[i,j], SG[i,j]    1 if that resnet of the encoder or of the decoder
 *              changes the number of channels
 */
#include <config.h>

#include "rules.h"

#include <stdio.h>

#include "fields.h"

/* More than any model has; what is beyond shows as unexpected names. */
enum { LEVELS_MAX = 16, RESNETS_MAX = 32, FRONT_CHARS = 64 };

/* ---- Rows ---------------------------------------------------------------- */

/* clang-format off */

/* Diffusers name, original name. Behind a resnet; the shortcut is there where
   the number of channels changes. */
static const dfx_row resnet_rows[] = {
    DFX_ROW("norm{1|2}.{wb}", "norm{1|2}.{wb}"),
    DFX_ROW("conv{1|2}.{wb}", "conv{1|2}.{wb}"),
    {0},
};

static const dfx_row middle_rows[] = {
    DFX_ROW("resnets.{0|1}.",                       "block_{1|2}.", .rows = resnet_rows),
    DFX_ROW("attentions.0.group_norm.{wb}",         "attn_1.norm.{wb}"),
    DFX_ROW("attentions.0.to_{q|k|v|out.0}.weight", "attn_1.{q|k|v|proj_out}.weight", .op = DFX_OP_CONV1X1),
    DFX_ROW("attentions.0.to_{q|k|v|out.0}.bias",   "attn_1.{q|k|v|proj_out}.bias"),
    {0},
};

static const dfx_row encoder_rows[] = {
    DFX_ROW("conv_in.{wb}",                                 "conv_in.{wb}"),
    DFX_ROW("down_blocks.{i}.resnets.{j}.",                 "down.{i}.block.{j}.", .loops = "i<N, j<L", .rows = resnet_rows),
    DFX_ROW("down_blocks.{i}.resnets.{j}.conv_shortcut.{wb}", "down.{i}.block.{j}.nin_shortcut.{wb}", .loops = "i<N, j<L", .when = "SE[i,j]"),
    DFX_ROW("down_blocks.{i}.downsamplers.0.conv.{wb}",     "down.{i}.downsample.conv.{wb}", .loops = "i<N-1"),
    DFX_ROW("mid_block.",                                   "mid.", .rows = middle_rows),
    DFX_ROW("conv_norm_out.{wb}",                           "norm_out.{wb}"),
    DFX_ROW("conv_out.{wb}",                                "conv_out.{wb}"),
    {0},
};

static const dfx_row decoder_rows[] = {
    DFX_ROW("conv_in.{wb}",                                 "conv_in.{wb}"),
    DFX_ROW("mid_block.",                                   "mid.", .rows = middle_rows),
    DFX_ROW("up_blocks.{i}.resnets.{j}.",                   "up.{N-1-i}.block.{j}.", .loops = "i<N, j<L+1", .rows = resnet_rows),
    DFX_ROW("up_blocks.{i}.resnets.{j}.conv_shortcut.{wb}", "up.{N-1-i}.block.{j}.nin_shortcut.{wb}", .loops = "i<N, j<L+1", .when = "SG[i,j]"),
    DFX_ROW("up_blocks.{i}.upsamplers.0.conv.{wb}",         "up.{N-1-i}.upsample.conv.{wb}", .loops = "i<N-1"),
    DFX_ROW("conv_norm_out.{wb}",                           "norm_out.{wb}"),
    DFX_ROW("conv_out.{wb}",                                "conv_out.{wb}"),
    {0},
};

/* Both halves whatever is there: a missing half is a set of missing names. */
static const dfx_row vae_rows[] = {
    DFX_ROW("encoder.",             "encoder.", .rows = encoder_rows),
    DFX_ROW("quant_conv.{wb}",      "quant_conv.{wb}", .when = "quant"),
    DFX_ROW("post_quant_conv.{wb}", "post_quant_conv.{wb}", .when = "post_quant"),
    DFX_ROW("decoder.",             "decoder.", .rows = decoder_rows),
    {0},
};

static const dfx_alias aliases[] = {
    {".attentions.0.query.",     ".attentions.0.to_q."},
    {".attentions.0.key.",       ".attentions.0.to_k."},
    {".attentions.0.value.",     ".attentions.0.to_v."},
    {".attentions.0.proj_attn.", ".attentions.0.to_out.0."},
    {0},
};

static const dfx_leftover leftovers[] = {
    {"loss.*",      DFX_FATE_ASIDE, "the VAE's training loss"},
    {"model_ema.*", DFX_FATE_ASIDE, "averaged weights of the VAE"},
    {0},
};

/* clang-format on */

/* ---- Facts --------------------------------------------------------------- */

/*
 * Levels, told by the encoder: one more than it has downsamplers. In an
 * original that lacks it, by the decoder's own names, since translating these
 * takes the number.
 */
static int64_t
count_levels(const dfx_view *view)
{
    int64_t n = 0;
    char name[FRONT_CHARS];

    if (dfx_view_folder(view, "encoder.conv_in.weight") != NULL)
        return 1 + dfx_view_count(view, "encoder.down_blocks.",
                                  ".downsamplers.0.conv.weight");
    if (view->signature->layout != DFX_LAYOUT_ORIGINAL)
        return dfx_view_count(view, "decoder.up_blocks.",
                              ".resnets.0.conv1.weight");
    for (; n < LEVELS_MAX; n++) {
        snprintf(name, sizeof name, "decoder.up.%d.block.0.conv1.weight",
                 (int)n);
        if (dfx_view_find(view, name) == NULL)
            break;
    }
    return n;
}

/* Which resnets of a block change the number of channels. */
static dfx_status
derive_shortcuts(const dfx_view *view, dfx_facts *facts, const char *block,
                 const char *fact, int64_t i, int64_t resnets, dfx_error *err)
{
    for (int64_t j = 0; j < resnets; j++) {
        char name[FRONT_CHARS];

        snprintf(name, sizeof name, "%s.%d.resnets.%d.conv1.weight", block,
                 (int)i, (int)j);
        DFX_TRY(dfx_facts_set(facts, fact, i, j,
                              dfx_view_dim(view, 0, "%s", name) !=
                                  dfx_view_dim(view, 1, "%s", name),
                              err));
    }
    return DFX_OK;
}

static dfx_status
derive_level(const dfx_view *view, dfx_facts *facts, int64_t i, int64_t levels,
             int64_t resnets, dfx_error *err)
{
    int64_t channels = dfx_view_dim(
        view, 0, "encoder.down_blocks.%d.resnets.0.conv1.weight", (int)i);

    if (channels == 0)
        channels =
            dfx_view_dim(view, 0, "decoder.up_blocks.%d.resnets.0.conv1.weight",
                         (int)(levels - 1 - i));
    DFX_TRY(dfx_facts_set(facts, "C", i, 0, channels, err));
    DFX_TRY(derive_shortcuts(view, facts, "encoder.down_blocks", "SE", i,
                             resnets, err));
    return derive_shortcuts(view, facts, "decoder.up_blocks", "SG", i,
                            resnets + 1, err);
}

static dfx_status
vae_kl_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    int64_t levels = count_levels(view), resnets;

    if (levels > LEVELS_MAX)
        levels = LEVELS_MAX;
    DFX_TRY(dfx_facts_set(facts, "N", 0, 0, levels, err));
    resnets =
        dfx_view_count(view, "encoder.down_blocks.0.resnets.", ".conv1.weight");
    if (resnets == 0)
        resnets = dfx_view_count(view, "decoder.up_blocks.0.resnets.",
                                 ".conv1.weight") -
                  1;
    if (resnets > RESNETS_MAX)
        resnets = RESNETS_MAX;
    DFX_TRY(dfx_facts_set(facts, "L", 0, 0, resnets, err));
    for (int64_t i = 0; i < levels; i++)
        DFX_TRY(derive_level(view, facts, i, levels, resnets, err));

    /* clang-format off */
    const struct { const char *name; int64_t value; } rest[] = {
        {"enc",        dfx_view_folder(view, "encoder.conv_in.weight") != NULL},
        {"dec",        dfx_view_folder(view, "decoder.conv_in.weight") != NULL},
        {"in",         dfx_view_dim(view, 1, "encoder.conv_in.weight")},
        {"out",        dfx_view_dim(view, 0, "decoder.conv_out.weight")},
        {"latent",     dfx_view_dim(view, 1, "decoder.conv_in.weight")},
        {"quant",      dfx_view_folder(view, "quant_conv.weight") != NULL},
        {"post_quant", dfx_view_folder(view, "post_quant_conv.weight") != NULL},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        DFX_TRY(dfx_facts_set(facts, rest[i].name, 0, 0, rest[i].value, err));
    /* The encoder's last convolution gives means and variances. */
    if (rest[1].value == 0)
        return dfx_facts_set(
            facts, "latent", 0, 0,
            dfx_view_dim(view, 0, "encoder.conv_out.weight") / 2, err);
    return DFX_OK;
}

/* ---- Config -------------------------------------------------------------- */

static void
write_types(dfx_fields *f, const char *key, const char *type, int64_t levels,
            const char *usual)
{
    cJSON *list = cJSON_CreateArray();

    for (int64_t i = 0; i < levels && list != NULL; i++) {
        cJSON *item = cJSON_CreateString(type);

        if (item == NULL || !cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            cJSON_Delete(list);
            list = NULL;
        }
    }
    dfx_field_set(f, key, list, usual);
}

/* Defaults of AutoencoderKL in diffusers 0.42.1. */
static dfx_status
vae_kl_config(const dfx_facts *facts, bool complete, cJSON *config,
              dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};
    int64_t levels = dfx_facts_get(facts, "N", 0, 0);

    dfx_field_fill(&f, "_class_name", cJSON_CreateString("AutoencoderKL"),
                   "null");
    if (dfx_facts_get(facts, "enc", 0, 0) != 0)
        dfx_field_int(&f, "in_channels", "in", "3");
    if (dfx_facts_get(facts, "dec", 0, 0) != 0)
        dfx_field_int(&f, "out_channels", "out", "3");
    dfx_field_int(&f, "latent_channels", "latent", "4");
    dfx_field_list(&f, "block_out_channels", "C", levels, "[64]");
    dfx_field_int(&f, "layers_per_block", "L", "1");
    write_types(&f, "down_block_types", "DownEncoderBlock2D", levels,
                "[\"DownEncoderBlock2D\"]");
    write_types(&f, "up_block_types", "UpDecoderBlock2D", levels,
                "[\"UpDecoderBlock2D\"]");
    dfx_field_bool(&f, "use_quant_conv",
                   dfx_facts_get(facts, "quant", 0, 0) != 0, "true");
    dfx_field_bool(&f, "use_post_quant_conv",
                   dfx_facts_get(facts, "post_quant", 0, 0) != 0, "true");
    return f.status;
}

/* ---- The kind ------------------------------------------------------------ */

/* clang-format off */

/* VQ models, and attention at a resolution, which these rows do not have;
   FLUX.2 normalises its latent. */
#define NOT_ORIGINAL "quantize.", "*.attn.0."
#define NOT_FOLDER   "quantize.", "*_blocks.0.attentions.", "*_blocks.1.attentions.", "*_blocks.2.attentions.", "*_blocks.3.attentions.", "bn.running_mean"

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"decoder.conv_in.weight", "encoder.conv_out.weight", "encoder.down.0.block.0.conv1.weight", "decoder.up.0.block.0.conv1.weight", "decoder.mid.attn_1.q.weight"},
        .none = {NOT_ORIGINAL},
        .ranks = {{"decoder.conv_in.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"decoder.conv_in.weight", "encoder.conv_out.weight", "encoder.down_blocks.0.resnets.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight", "decoder.mid_block.attentions.0.group_norm.weight", "encoder.conv_norm_out.weight"},
        .none = {NOT_FOLDER},
        .ranks = {{"decoder.conv_in.weight", 4}},
    },
    /* One half: recognised, and the other one is missing. */
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"encoder.conv_in.weight", "encoder.mid.block_1.conv1.weight", "encoder.down.0.block.0.conv1.weight", "encoder.mid.attn_1.q.weight"},
        .none = {NOT_ORIGINAL},
        .ranks = {{"encoder.conv_in.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"decoder.conv_in.weight", "decoder.mid.block_1.conv1.weight", "decoder.up.0.block.0.conv1.weight", "decoder.mid.attn_1.q.weight"},
        .none = {NOT_ORIGINAL},
        .ranks = {{"decoder.conv_in.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"encoder.conv_in.weight", "encoder.mid_block.resnets.0.conv1.weight", "encoder.down_blocks.0.resnets.0.conv1.weight", "encoder.mid_block.attentions.0.group_norm.weight"},
        .none = {NOT_FOLDER},
        .ranks = {{"encoder.conv_in.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"decoder.conv_in.weight", "decoder.mid_block.resnets.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight", "decoder.mid_block.attentions.0.group_norm.weight"},
        .none = {NOT_FOLDER},
        .ranks = {{"decoder.conv_in.weight", 4}},
    },
};

static const dfx_variant_row variants[] = {
    /* SD3 and FLUX.1 have the same names and shapes and other constants. */
    {.family = "vae_kl", .class_name = "AutoencoderKL", .when = "latent == 16"},
    {.family = "vae_kl", .class_name = "AutoencoderKL", .configs = "sd-x4-upscaler", .config_component = "vae", .when = "latent == 4 && N == 3"},
    {.family = "vae_kl", .class_name = "AutoencoderKL", .configs = "vae-sd1", .when = "latent == 4"},
    {.family = "vae_kl", .class_name = "AutoencoderKL"},
    {0},
};

/* clang-format on */

const dfx_kind dfx_kind_vae_kl = {
    .name = "vae_kl",
    .summary = "AutoencoderKL: VAE of Stable Diffusion 1, 2, XL, 3 and FLUX.1",
    .component = "vae",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = vae_rows,
    .leftovers = leftovers,
    .aliases = aliases,
    .derive = vae_kl_derive,
    .config = vae_kl_config,
    .variants = variants,
};
