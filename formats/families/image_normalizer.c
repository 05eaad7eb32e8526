/*
 * image_normalizer.c - StableUnCLIPImageNormalizer: latent statistics of unCLIP
 *
 * The other tensors of the original's noise_augmentor are schedule tables.
 *
 * Facts:
 *   dim        columns of the mean
 */
#include <config.h>

#include "rules.h"

#include "fields.h"

static const dfx_row normalizer_rows[] = {
    DFX_ROW("{mean|std}", "data_{mean|std}"),
    {0},
};

/* Two such short names prove little: no weights beside them. */
static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"data_mean", "data_std"},
        .none = {"*weight", "*bias"},
        .ranks = {{"data_mean", 2}, {"data_std", 2}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"mean", "std"},
        .none = {"*weight", "*bias"},
        .ranks = {{"mean", 2}, {"std", 2}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "image_normalizer", .class_name = "StableUnCLIPImageNormalizer"},
    {0},
};

static dfx_status
image_normalizer_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    return dfx_facts_set(facts, "dim", 0, 0, dfx_view_dim(view, 1, "mean"),
                         err);
}

/* Defaults of StableUnCLIPImageNormalizer in diffusers 0.42.1. */
static dfx_status
image_normalizer_config(const dfx_facts *facts, bool complete, cJSON *config,
                        dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    dfx_field_fill(&f, "_class_name",
                   cJSON_CreateString("StableUnCLIPImageNormalizer"), "null");
    dfx_field_int(&f, "embedding_dim", "dim", "768");
    return f.status;
}

const dfx_kind dfx_kind_image_normalizer = {
    .name = "image_normalizer",
    .summary = "mean and deviation of the image embeddings of Stable unCLIP",
    .component = "image_normalizer",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "noise_augmentor.",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = normalizer_rows,
    .derive = image_normalizer_derive,
    .config = image_normalizer_config,
    .variants = variants,
};
