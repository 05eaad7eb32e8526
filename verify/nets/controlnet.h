/*
 * controlnet.h - ControlNetModel
 */
#ifndef DFX_CONTROLNET_H
#define DFX_CONTROLNET_H

#include "nets/unet.h"

typedef struct dfx_controlnet_config {
    dfx_unet_config unet; /* of its first half */
    bool bgr;             /* the condition's channels come in this order */
    bool pools;           /* residuals are means over their area */
} dfx_controlnet_config;

/* From a config.json. */
DFX_CHECKED dfx_status dfx_controlnet_configure(dfx_controlnet_config *config,
                                                const cJSON *document,
                                                dfx_error *err);

typedef struct dfx_controlnet_input {
    dfx_unet_input unet;
    dfx_array cond; /* [B, 3, height, width] of pixels in 0 .. 1 */
    float scale;    /* conditioning_scale */
    bool guess;     /* guess_mode: the deeper, the more */
} dfx_controlnet_input;

typedef struct dfx_controlnet_output {
    dfx_array down[DFX_UNET_SKIPS]; /* residuals, as the UNet skips */
    size_t down_count;
    dfx_array mid;
} dfx_controlnet_output;

void dfx_controlnet(dfx_net *net, const dfx_controlnet_config *config,
                    const dfx_controlnet_input *in, dfx_controlnet_output *out);

#endif
