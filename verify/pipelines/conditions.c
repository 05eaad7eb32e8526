/*
 * conditions.c - what a run tells the network of the picture it wants
 *
 * diffusers 0.42.1: encode_prompt, _get_add_time_ids and
 * get_guidance_scale_embedding of its Stable Diffusion pipelines.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipelines/run.h"

/* Room for rows of the conditions that states have. */
static dfx_status
make_rows(dfx_denoiser *d, const dfx_text_states *like, dfx_error *err)
{
    size_t rows = d->guides * d->batch;

    d->tokens = like->tokens;
    d->width = like->width;
    d->pooled_width = like->pooled_width;
    d->states = calloc(rows, d->tokens * d->width * sizeof *d->states);
    if (like->pooled != NULL)
        d->pooled = calloc(rows, d->pooled_width * sizeof *d->pooled);
    return d->states == NULL || (like->pooled != NULL && d->pooled == NULL)
               ? dfx_fail_nomem(err)
               : DFX_OK;
}

/* states, of one row, into count rows from first on. */
static dfx_status
set_rows(dfx_denoiser *d, const dfx_text_states *states, size_t first,
         size_t count, dfx_error *err)
{
    size_t size = d->tokens * d->width;

    if (states->tokens != d->tokens || states->width != d->width ||
        states->pooled_width != d->pooled_width)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "prompts differ in their sizes");
    for (size_t i = first; i < first + count; i++) {
        memcpy(d->states + i * size, states->states, size * sizeof *d->states);
        if (d->pooled != NULL)
            memcpy(d->pooled + i * d->pooled_width, states->pooled,
                   d->pooled_width * sizeof *d->pooled);
    }
    return DFX_OK;
}

/* The rows of guide number which, of a prompt for each, or of one for all. */
static dfx_status
set_prompts(dfx_run *run, size_t which, bool negative, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    dfx_denoiser *d = &run->denoiser;
    size_t count = negative ? 1 : r->prompt_count, each = d->batch / count;

    for (size_t i = 0; i < count; i++) {
        const char *text =
            negative ? r->negative != NULL ? r->negative : "" : r->prompts[i];
        dfx_text_states states = {0};
        dfx_status status = dfx_text_encode(
            &run->encoders, run->model, text,
            negative ? r->negative_2 : r->prompt_2, negative ? 0 : r->clip_skip,
            &states, NULL, false, err);

        if (status == DFX_OK && d->states == NULL)
            status = make_rows(d, &states, err);
        if (status == DFX_OK)
            status =
                set_rows(d, &states, which * d->batch + i * each, each, err);
        dfx_text_states_fini(&states);
        DFX_TRY(status);
    }
    return DFX_OK;
}

static dfx_status
set_texts(dfx_run *run, dfx_error *err)
{
    bool zeros = run->zero_negative && run->request->negative == NULL;

    if (run->instructed && run->denoiser.guides == 3) {
        DFX_TRY(set_prompts(run, 0, false, err));
        DFX_TRY(set_prompts(run, 1, true, err));
        return set_prompts(run, 2, true, err);
    }
    DFX_TRY(set_prompts(run, run->denoiser.guides - 1, false, err));
    return run->denoiser.guides == 2 && !zeros ? set_prompts(run, 0, true, err)
                                               : DFX_OK;
}

/* ---- Sizes --------------------------------------------------------------- */

/* original, crop, then target or the score: what the network was trained with.
   Returns how many. */
static size_t
put_sizes(const dfx_run *run, const dfx_picture_sizes *sizes,
          const size_t *crop, double score, float out[6])
{
    const size_t own[2] = {run->height, run->width}, none[2] = {0, 0};
    const size_t *original = sizes->original != NULL ? sizes->original : own;
    const size_t *target = sizes->target != NULL ? sizes->target : own;

    if (crop == NULL)
        crop = none;
    for (size_t i = 0; i < 2; i++) {
        out[i] = (float)original[i];
        out[2 + i] = (float)crop[i];
        out[4 + i] = (float)target[i];
    }
    if (!run->scored)
        return 6;
    out[4] = (float)score;
    return 5;
}

static dfx_status
set_sizes(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    const dfx_picture_sizes *negative = &r->sizes;
    dfx_denoiser *d = &run->denoiser;
    const size_t *crop = r->sizes.crop;
    float ids[2][6];
    size_t count;

    count = put_sizes(run, &r->sizes, r->sizes.crop,
                      isnan(r->aesthetic) ? 6.0 : r->aesthetic, ids[1]);
    /* The negative sizes count only together; img2img takes the crop of the
       positive ones, which is a bug that became behaviour. */
    if (r->negative_sizes.original != NULL &&
        r->negative_sizes.target != NULL) {
        negative = &r->negative_sizes;
        if (r->task == DFX_TASK_TXT2IMG)
            crop = negative->crop;
    }
    put_sizes(run, negative, crop,
              isnan(r->negative_aesthetic) ? 2.5 : r->negative_aesthetic,
              ids[0]);
    d->time_id_count = count;
    d->time_ids = calloc(d->guides * d->batch, count * sizeof *d->time_ids);
    if (d->time_ids == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < d->guides * d->batch; i++)
        memcpy(d->time_ids + i * count,
               ids[d->guides == 1 || i >= d->batch ? 1 : 0],
               count * sizeof *d->time_ids);
    return DFX_OK;
}

/* Distilled guidance (LCM): sines, then cosines, of (guidance - 1) 1000. */
static dfx_status
set_guide(dfx_run *run, dfx_error *err)
{
    const dfx_weights_entry *entry = dfx_weights_find(
        &run->denoiser.component->weights, "time_embedding.cond_proj.weight");
    dfx_denoiser *d = &run->denoiser;
    dfx_sinusoid kind = {.freq_shift = 1};

    if (entry == NULL || entry->expr->rank != 2 || entry->expr->shape[1] < 4)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the UNet has no time_embedding.cond_proj.weight of 4 "
                        "columns at least");
    kind.width = d->guide_width = (size_t)entry->expr->shape[1];
    d->guide = calloc(d->guides * d->batch, kind.width * sizeof *d->guide);
    if (d->guide == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < d->guides * d->batch; i++)
        dfx_sinusoid_put(&kind, (float)(d->guidance - 1) * 1000.0f,
                         d->guide + i * kind.width);
    return DFX_OK;
}

dfx_status
dfx_run_conditions(dfx_run *run, dfx_error *err)
{
    DFX_TRY(set_texts(run, err));
    if (run->xl)
        DFX_TRY(set_sizes(run, err));
    if (run->denoiser.config.time_cond)
        DFX_TRY(set_guide(run, err));
    return DFX_OK;
}
