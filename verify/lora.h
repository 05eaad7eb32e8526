/*
 * lora.h - low-rank changes of a model's weights while it runs
 *
 * W' = W + scale (alpha / rank) B A, in F32; A is lora_A or lora_down [rank,
 * in, ...], B lora_B or lora_up [out, rank, ...], and W is [out, in, ...].
 * Without an alpha it is the rank. (The rule that peft, diffusers and
 * sd-scripts share; each element of B A is one chain of fma along the rank,
 * ascending.)
 */
#ifndef DFX_LORA_H
#define DFX_LORA_H

#include "model.h"

/* ---- lora_names.c -------------------------------------------------------- */

typedef enum dfx_lora_part {
    DFX_LORA_DOWN,
    DFX_LORA_UP,
    DFX_LORA_ALPHA
} dfx_lora_part;

enum { DFX_LORA_MODULE = 256 };

/* What a key of a LoRA's file is about. */
typedef struct dfx_lora_key {
    const char *component; /* "unet", "text_encoder" or "text_encoder_2" */
    char module[DFX_LORA_MODULE]; /* as dfx_lora_module has it */
    dfx_lora_part part;
} dfx_lora_key;

/* The name by which files of all dialects mean a module of a Diffusers
   component: dots are underscores, and "text_model" in front is left out. False
   if the name is longer than any. */
bool dfx_lora_module(const char *name, size_t size,
                     char module[DFX_LORA_MODULE]);
/* Keys of peft, of diffusers before it, of kohya and of ComfyUI; modules of
   UNets also by their original names. False if it is none of these. */
bool dfx_lora_parse(const char *name, dfx_lora_key *key);

/* ---- lora.c -------------------------------------------------------------- */

typedef struct dfx_loras dfx_loras;

/*
 * Adds LoRAs, in this order, to the weights of the model's UNet and text
 * encoders as they are read from now on; what was read is forgotten.
 * RUN_LORA if a key means no weight of the model or has no partner, or if
 * shapes do not fit. *out is owned, and the model refers to it:
 * dfx_loras_detach before either goes.
 */
DFX_CHECKED dfx_status dfx_loras_attach(dfx_model *model,
                                        const dfx_lora_use *uses, size_t count,
                                        dfx_loras **out, dfx_error *err);
/* The model's weights are as in its files again. NULL is fine. */
void dfx_loras_detach(dfx_loras *loras);

#endif
