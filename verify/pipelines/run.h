/*
 * run.h - a run from a prompt to a picture, in steps that share this state
 */
#ifndef DFX_RUN_H
#define DFX_RUN_H

#include "lora.h"
#include "pipelines/autoencoder.h"
#include "pipelines/denoiser.h"
#include "pipelines/noise.h"
#include "pipelines/text.h"
#include "schedulers/scheduler.h"

typedef struct dfx_run {
    dfx_model *model; /* borrowed */
    const dfx_image_request *request;
    bool xl;            /* SDXL's conditions: sizes and the pooled text */
    bool instructed;    /* InstructPix2Pix */
    bool scored;        /* SDXL's refiner, which is told how good it looks */
    bool zero_negative; /* no negative prompt is zeros */

    dfx_loras *loras; /* owned */
    dfx_text_encoders encoders;
    dfx_denoiser denoiser;
    dfx_autoencoder vae;
    dfx_scheduler *scheduler;                /* owned */
    dfx_values *given_latents, *given_noise; /* owned; NULL */
    const dfx_value *start;                  /* of given_latents; NULL */
    dfx_noise noise;

    size_t batch;         /* pictures */
    size_t height, width; /* of them */
    size_t latent_height, latent_width;
    size_t latent_count;  /* of the batch */
    float *latents;       /* owned */
    float *clean, *drawn; /* owned: what noise was added to, and which;
                             NULL */
    float *mask;          /* owned: [h, w] of the latents; NULL */
    size_t first;         /* the first call of the scheduler */
    size_t past;          /* and the one after the last */
} dfx_run;

/* ---- image.c ------------------------------------------------------------- */

/* What the model is, what the request asks of it, and the conditions of both:
   all that comes before the scheduler. dfx_run_fini in any case. */
DFX_CHECKED dfx_status dfx_run_prepare(dfx_run *run, dfx_error *err);
void dfx_run_fini(dfx_run *run);

/* Channels that latents in place of a picture have; 0: the task takes none. */
size_t dfx_run_latents_in(const dfx_run *run);

/* ---- conditions.c -------------------------------------------------------- */

/* Prompts and sizes, into run->denoiser. */
DFX_CHECKED dfx_status dfx_run_conditions(dfx_run *run, dfx_error *err);

/* ---- start.c ------------------------------------------------------------- */

/* The scheduler with its steps, and where the run enters them. */
DFX_CHECKED dfx_status dfx_run_scheduler(dfx_run *run, dfx_error *err);
/* Pictures that go in, and what the first call gets. */
DFX_CHECKED dfx_status dfx_run_start(dfx_run *run, dfx_error *err);

#endif
