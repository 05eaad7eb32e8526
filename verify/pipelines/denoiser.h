/*
 * denoiser.h - the network that a run asks at each step, with guidance
 */
#ifndef DFX_DENOISER_H
#define DFX_DENOISER_H

#include "model.h"
#include "nets/controlnet.h"
#include "nets/unet.h"
#include "pipelines/text.h"

enum { DFX_GUIDES = 3 }; /* conditions of one latent, at most: pix2pix */

typedef struct dfx_denoiser_control {
    dfx_model *model;               /* owned */
    dfx_model_component *component; /* of it */
    dfx_controlnet_config config;
    float *image; /* owned: [3, height, width] of pixels in 0 .. 1 */
    size_t height, width;
    double scale, start, end;
} dfx_denoiser_control;

typedef struct dfx_denoiser {
    dfx_model_component *component; /* borrowed */
    dfx_unet_config config;
    size_t channels; /* of the scheduler's latents */
    size_t takes;    /* channels that go in: those and others after them */

    /* Conditions, in the order in which the network sees them: [negative,
       positive]; guides of them, of batch rows each. */
    size_t batch, guides;
    float *states; /* owned: [guides * batch, tokens, width] */
    size_t tokens, width;
    float *pooled; /* owned; NULL: none */
    size_t pooled_width;
    float *time_ids; /* owned: [guides * batch, time_id_count]; NULL */
    size_t time_id_count;
    float *guide; /* owned: [guides * batch, guide_width]: timestep_cond; NULL
                   */
    size_t guide_width;
    float *extra; /* owned: [guides * batch, extra_channels, h, w]: channels
                     after the latents; NULL */
    size_t extra_channels;

    double guidance, rescale, image_guidance;
    dfx_denoiser_control *controls; /* owned */
    size_t control_count;
    bool guess;
} dfx_denoiser;

/* The component "unet" of a model. */
DFX_CHECKED dfx_status dfx_denoiser_init(dfx_denoiser *denoiser,
                                         const dfx_model *model,
                                         dfx_error *err);
void dfx_denoiser_fini(dfx_denoiser *denoiser);

/*
 * What the scheduler is told: latents [batch, channels, height, width], scaled
 * for the model -> out alike. part: of the calls that were done, and will be
 * with this one, as 0 .. 1, for ControlNets.
 */
DFX_CHECKED dfx_status dfx_denoise(dfx_denoiser *denoiser, const float *latents,
                                   size_t height, size_t width, double timestep,
                                   double before, double after, float *out,
                                   dfx_error *err);

#endif
