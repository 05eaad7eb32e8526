/*
 * unet.h - UNet2DConditionModel
 */
#ifndef DFX_UNET_H
#define DFX_UNET_H

#include "nets/resnet.h"
#include "nets/timestep.h"
#include "settings.h"

enum {
    DFX_UNET_LEVELS = DFX_SETTING_ITEMS,
    DFX_UNET_LAYERS = 16, /* of a level: resnets */
    DFX_UNET_SKIPS = DFX_UNET_LEVELS * (DFX_UNET_LAYERS + 1) + 1
};

typedef enum dfx_unet_mid {
    DFX_MID_NONE,
    DFX_MID_PLAIN,    /* one resnet */
    DFX_MID_ATTENTION /* resnet, attention, resnet */
} dfx_unet_mid;

typedef enum dfx_class_embedding {
    DFX_CLASS_NONE,
    DFX_CLASS_TABLE,      /* of ids */
    DFX_CLASS_TIMESTEP,   /* a number as the step */
    DFX_CLASS_PROJECTION, /* a vector through two layers */
    DFX_CLASS_SIMPLE,     /* a vector through one */
    DFX_CLASS_IDENTITY    /* a vector as it is */
} dfx_class_embedding;

typedef struct dfx_unet_config {
    size_t levels;
    size_t layers[DFX_UNET_LEVELS];
    size_t heads[DFX_UNET_LEVELS];
    bool cross_down[DFX_UNET_LEVELS], cross_up[DFX_UNET_LEVELS];
    dfx_unet_mid mid;
    float mid_divisor;
    dfx_resnet resnet;
    dfx_sinusoid time;
    size_t added_time_width; /* of each time id; 0: no text and time added */
    dfx_class_embedding class_embedding;
    bool class_concat;
    bool time_cond; /* the step is joined by a vector */
    bool only_cross_attention;
    bool time_act; /* emb goes through act at the end */
    dfx_activation act;
} dfx_unet_config;

/* From a config.json. */
DFX_CHECKED dfx_status dfx_unet_configure(dfx_unet_config *config,
                                          const cJSON *document,
                                          dfx_error *err);

/* The same of a network that ends in the middle: no config of a way up. */
DFX_CHECKED dfx_status dfx_unet_configure_half(dfx_unet_config *config,
                                               const cJSON *document,
                                               dfx_error *err);

/* What goes in; what the config does not ask for may be empty. */
typedef struct dfx_unet_input {
    dfx_array sample;       /* [B, in_channels, H, W] */
    const float *timesteps; /* B, on the host */
    dfx_array text;         /* [B, tokens, width] */
    dfx_array text_embeds;  /* [B, width]: SDXL's pooled text */
    const float *time_ids;  /* B * time_id_count, on the host */
    size_t time_id_count;
    dfx_array timestep_cond;    /* [B, time_cond_proj_dim] */
    dfx_array class_vector;     /* [B, width] */
    const uint32_t *class_ids;  /* B, on the host: rows of a table */
    const float *class_numbers; /* B, on the host: as steps */
    const dfx_array *down;      /* residuals of ControlNets, as the UNet skips:
                                   down_count of them, or none */
    size_t down_count;
    dfx_array mid; /* the same of the middle; empty: none */
} dfx_unet_input;

/* -> [B, out_channels, H, W] */
dfx_array dfx_unet(dfx_net *net, const dfx_unet_config *config,
                   const dfx_unet_input *in);

#endif
