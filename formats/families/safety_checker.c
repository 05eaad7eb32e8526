/*
 * safety_checker.c - StableDiffusionSafetyChecker of the SD1 folders
 *
 * Single files never hold it: recognised, never converted. Published folders
 * have a doubled vision_model.vision_model., transformers 5 writes a single
 * one.
 *
 * No facts.
 */
#include <config.h>

#include "rules.h"

static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"concept_embeds", "special_care_embeds",
                "vision_model.vision_model.embeddings.class_embedding"},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"concept_embeds", "special_care_embeds",
                "vision_model.embeddings.class_embedding"},
    },
};

static const dfx_variant_row variants[] = {
    {
        .family = "safety_checker",
        .class_name = "StableDiffusionSafetyChecker",
        .configs = "sd15",
        .config_component = "safety_checker",
    },
    {0},
};

const dfx_kind dfx_kind_safety_checker = {
    .name = "safety_checker",
    .summary = "safety checker of SD1 folders; recognised, not converted",
    .component = "safety_checker",
    .weights = "model",
    .is_transformers = true,
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .variants = variants,
};
