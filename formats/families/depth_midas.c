/*
 * depth_midas.c - the depth estimator in the original file of SD2 depth
 *
 * MiDaS DPT-hybrid under the names of timm. The folder has a DPT of the
 * transformers library, whose names and shapes differ widely, and the public
 * weights are the same ones: recognised, never converted.
 *
 * No facts.
 */
#include <config.h>

#include "rules.h"

/* No tensor of it has a place in a folder: all are kept aside. */
static const dfx_row rows[] = {
    {0},
};

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"pretrained.model.cls_token", "scratch.layer1_rn.weight"},
    },
};

static const dfx_variant_row variants[] = {
    {
        .family = "depth_midas",
        .class_name = "DPTForDepthEstimation",
    },
    {0},
};

const dfx_kind dfx_kind_depth_midas = {
    .name = "depth_midas",
    .summary = "depth estimator of SD2 depth files; recognised, not converted",
    .component = "depth_estimator",
    .weights = "model",
    .is_transformers = true,
    .lone_prefix = "depth_model.model.",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = rows,
    .variants = variants,
};
