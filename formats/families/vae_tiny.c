/*
 * vae_tiny.c - AutoencoderTiny: TAESD, TAESDXL, TAESD3, TAEF1
 *
 * Original: github.com/madebyollin/taesd, two files of bare sequential names;
 * also seen as one file with encoder. and decoder. in front, which is how a
 * single file is written. The original decoder counts its clamp at the input
 * as layer 0, Diffusers (0.42.1) does not count it.
 *
 * Facts:
 *   latent     channels of the latent
 *   half       0 both halves, 1 the encoder only, 2 the decoder only
 */
#include <config.h>

#include "rules.h"

#include "fields.h"

/* clang-format off */

/* Diffusers name, original name. Three convolutions with biases a block. */
static const dfx_row block_rows[] = {
    DFX_ROW("conv.{0|2|4}.{wb}", "conv.{0|2|4}.{wb}"),
    {0},
};

static const dfx_row tiny_rows[] = {
    DFX_ROW("encoder.layers.{0|14}.{wb}",                 "encoder.{0|14}.{wb}", .when = "half != 2"),
    DFX_ROW("encoder.layers.{1|3|4|5|7|8|9|11|12|13}.",   "encoder.{1|3|4|5|7|8|9|11|12|13}.", .when = "half != 2", .rows = block_rows),
    DFX_ROW("encoder.layers.{2|6|10}.weight",             "encoder.{2|6|10}.weight", .when = "half != 2"),
    DFX_ROW("decoder.layers.{0|18}.{wb}",                 "decoder.{1|19}.{wb}", .when = "half != 1"),
    DFX_ROW("decoder.layers.{2|3|4|7|8|9|12|13|14|17}.",  "decoder.{3|4|5|8|9|10|13|14|15|18}.", .when = "half != 1", .rows = block_rows),
    DFX_ROW("decoder.layers.{6|11|16}.weight",            "decoder.{7|12|17}.weight", .when = "half != 1"),
    {0},
};

/* A half in a file of its own is the single file's without what is implied. */
static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"encoder.layers.0.weight", "encoder.layers.1.conv.0.weight", "decoder.layers.0.weight", "decoder.layers.2.conv.0.weight"},
        .none = {"*motion_modules."},
        .ranks = {{"encoder.layers.0.weight", 4}, {"decoder.layers.0.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"encoder.0.weight", "encoder.1.conv.0.weight", "decoder.1.weight", "decoder.3.conv.0.weight"},
        .none = {"encoder.layers."},
        .ranks = {{"encoder.0.weight", 4}, {"decoder.1.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"0.weight", "1.conv.0.weight", "3.conv.4.bias", "14.weight"},
        .none = {"19.weight", "2.bias"},
        .ranks = {{"0.weight", 4}, {"14.weight", 4}},
        .implied = "encoder.",
    },
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"1.weight", "3.conv.0.weight", "18.conv.4.bias", "19.weight"},
        .none = {"0.weight", "7.bias"},
        .ranks = {{"1.weight", 4}, {"19.weight", 4}},
        .implied = "decoder.",
    },
};

/* TAESDXL and TAEF1 differ from these in their numbers alone. */
static const dfx_variant_row variants[] = {
    {.family = "taesd", .class_name = "AutoencoderTiny", .configs = "taesd3", .when = "latent == 16"},
    {.family = "taesd", .class_name = "AutoencoderTiny", .configs = "taesd"},
    {0},
};

/* clang-format on */

static dfx_status
vae_tiny_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    int64_t encoder = dfx_view_dim(view, 0, "encoder.layers.14.weight");
    int64_t decoder = dfx_view_dim(view, 1, "decoder.layers.0.weight");
    bool one = view->signature->implied != NULL;

    DFX_TRY(dfx_facts_set(facts, "latent", 0, 0,
                          decoder != 0 ? decoder : encoder, err));
    return dfx_facts_set(facts, "half", 0, 0, one ? (decoder != 0 ? 2 : 1) : 0,
                         err);
}

/* Defaults of AutoencoderTiny in diffusers 0.42.1. */
static dfx_status
vae_tiny_config(const dfx_facts *facts, bool complete, cJSON *config,
                dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    dfx_field_fill(&f, "_class_name", cJSON_CreateString("AutoencoderTiny"),
                   "null");
    dfx_field_int(&f, "latent_channels", "latent", "4");
    return f.status;
}

const dfx_kind dfx_kind_vae_tiny = {
    .name = "vae_tiny",
    .summary = "AutoencoderTiny: TAESD, TAESDXL, TAESD3, TAEF1",
    .component = "vae",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = tiny_rows,
    .derive = vae_tiny_derive,
    .config = vae_tiny_config,
    .variants = variants,
};
