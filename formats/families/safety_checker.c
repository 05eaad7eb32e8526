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

const dfx_kind dfx_kind_safety_checker = {
    .name = "safety_checker",
};
