/*
 * inputs.c - what one call of the UNet in a run gets
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "pipelines/run.h"

/* In the middle of what schedules have; every model was trained there. */
enum { TIMESTEP = 500 };

/* Noise in all channels that the network takes. */
static dfx_status
put_sample(dfx_run *run, dfx_values *in, dfx_error *err)
{
    size_t channels = run->denoiser.takes;
    size_t shape[4] = {1, channels, run->latent_height, run->latent_width};
    size_t count = channels * run->latent_height * run->latent_width;
    float *noise = calloc(count + 1, sizeof *noise);
    dfx_status status;

    if (noise == NULL)
        return dfx_fail_nomem(err);
    status = dfx_noise_draw(&run->noise, noise, count, err);
    if (status == DFX_OK)
        status =
            dfx_values_put(in, err, DFX_TYPE_F32, 4, shape, noise, "sample");
    free(noise);
    return status;
}

/* The last row, of the prompt, if there are any. */
static dfx_status
put_row(dfx_values *in, const char *name, const float *rows, size_t count,
        size_t width, dfx_error *err)
{
    if (rows == NULL || width == 0)
        return DFX_OK;
    return dfx_values_put(in, err, DFX_TYPE_F32, 2, (size_t[]){1, width},
                          rows + (count - 1) * width, "%s", name);
}

static dfx_status
put_conditions(const dfx_denoiser *d, dfx_values *in, dfx_error *err)
{
    size_t rows = d->guides * d->batch;

    DFX_TRY(dfx_values_put(in, err, DFX_TYPE_F32, 3,
                           (size_t[]){1, d->tokens, d->width},
                           d->states + (rows - 1) * d->tokens * d->width,
                           "encoder_hidden_states"));
    DFX_TRY(put_row(in, "text_embeds", d->pooled, rows, d->pooled_width, err));
    DFX_TRY(put_row(in, "time_ids", d->time_ids, rows, d->time_id_count, err));
    return put_row(in, "timestep_cond", d->guide, d->batch, d->guide_width,
                   err);
}

dfx_status
dfx_run_inputs(dfx_model *model, const dfx_image_request *request,
               dfx_values *in, dfx_error *err)
{
    static const float timestep = TIMESTEP;
    dfx_run run = {.model = model, .request = request};
    dfx_status status = dfx_run_prepare(&run, err);

    if (status == DFX_OK)
        status = put_sample(&run, in, err);
    if (status == DFX_OK)
        status = dfx_values_put(in, err, DFX_TYPE_F32, 1, (size_t[]){1},
                                &timestep, "timestep");
    if (status == DFX_OK)
        status = put_conditions(&run.denoiser, in, err);
    dfx_run_fini(&run);
    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}
