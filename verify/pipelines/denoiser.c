/*
 * denoiser.c - the network that a run asks at each step, with guidance
 *
 * Ho and Salimans, Classifier-free diffusion guidance (2022); Lin et al.,
 * Common diffusion noise schedules and sample steps are flawed (2023) for
 * guidance_rescale; Brooks et al., InstructPix2Pix (2022) for two guidances.
 */
#include <config.h>

#include "pipelines/denoiser.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A dimension of a convolution's weight. */
static dfx_status
channels_of(const dfx_denoiser *denoiser, const char *name, size_t dimension,
            size_t *out, dfx_error *err)
{
    const dfx_weights_entry *entry =
        dfx_weights_find(&denoiser->component->weights, name);

    if (entry == NULL || entry->expr->rank != 4)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the UNet has no convolution %s", name);
    *out = (size_t)entry->expr->shape[dimension];
    return DFX_OK;
}

dfx_status
dfx_denoiser_init(dfx_denoiser *denoiser, const dfx_model *model,
                  dfx_error *err)
{
    *denoiser = (dfx_denoiser){.guides = 1, .batch = 1};
    DFX_TRY(dfx_model_need(model, "unet", &denoiser->component, err));
    DFX_TRY(dfx_unet_configure(&denoiser->config, denoiser->component->config,
                               err));
    DFX_TRY(
        channels_of(denoiser, "conv_out.weight", 0, &denoiser->channels, err));
    DFX_TRY(channels_of(denoiser, "conv_in.weight", 1, &denoiser->takes, err));
    if (denoiser->takes < denoiser->channels)
        return dfx_fail(err, DFX_RULE_RUN_UNSUPPORTED, DFX_NO_OFFSET,
                        "the UNet gives %zu channels for the %zu that it takes",
                        denoiser->channels, denoiser->takes);
    return DFX_OK;
}

void
dfx_denoiser_fini(dfx_denoiser *denoiser)
{
    for (size_t i = 0; i < denoiser->control_count; i++) {
        dfx_model_free(denoiser->controls[i].model);
        free(denoiser->controls[i].image);
    }
    free(denoiser->controls);
    free(denoiser->states);
    free(denoiser->pooled);
    free(denoiser->time_ids);
    free(denoiser->guide);
    free(denoiser->extra);
    *denoiser = (dfx_denoiser){0};
}

/* ---- What goes in -------------------------------------------------------- */

/* The latents of each guide, with the channels that follow them. */
static dfx_array
sample_of(dfx_net *net, const dfx_denoiser *d, const float *latents,
          size_t height, size_t width)
{
    size_t rows = d->guides * d->batch, channels = d->channels;
    size_t own = channels * height * width;
    size_t extra = d->extra_channels * height * width;
    float *all = calloc(rows, (own + extra) * sizeof *all);
    dfx_array x;

    dfx_net_done(net, all != NULL);
    for (size_t i = 0; i < rows && all != NULL; i++) {
        memcpy(all + i * (own + extra), latents + i % d->batch * own,
               own * sizeof *all);
        if (extra > 0)
            memcpy(all + i * (own + extra) + own, d->extra + i * extra,
                   extra * sizeof *all);
    }
    x = dfx_net_input(
        net, all, 4,
        (size_t[]){rows, channels + d->extra_channels, height, width});
    free(all);
    return x;
}

/* Rows from first on of what conditions the network. */
static void
conditions(dfx_net *net, const dfx_denoiser *d, size_t first, size_t rows,
           dfx_unet_input *in)
{
    in->text = dfx_net_input(net, d->states + first * d->tokens * d->width, 3,
                             (size_t[]){rows, d->tokens, d->width});
    if (d->pooled != NULL)
        in->text_embeds =
            dfx_net_input(net, d->pooled + first * d->pooled_width, 2,
                          (size_t[]){rows, d->pooled_width});
    if (d->time_ids != NULL) {
        in->time_ids = d->time_ids + first * d->time_id_count;
        in->time_id_count = d->time_id_count;
    }
    if (d->guide != NULL)
        in->timestep_cond =
            dfx_net_input(net, d->guide + first * d->guide_width, 2,
                          (size_t[]){rows, d->guide_width});
}

/* ---- ControlNets --------------------------------------------------------- */

/* The residuals of all ControlNets, as numbers on the host. */
typedef struct residuals {
    dfx_array shapes[DFX_UNET_SKIPS + 1]; /* data is of no use; the last one of
                                             count is that of mid */
    float *numbers[DFX_UNET_SKIPS + 1];   /* owned */
    size_t count;
} residuals;

static void
residuals_fini(residuals *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->numbers[i]);
}

/* Adds one, whose rows end at the last of r's: in guess mode those before stay
   zeros. */
static void
residual_add(dfx_net *net, residuals *r, size_t i, dfx_array x, size_t rows)
{
    size_t before, each;
    float *numbers;

    if (net->status != DFX_OK)
        return;
    each = x.count / x.shape[0];
    before = (rows - x.shape[0]) * each;
    numbers = malloc(x.count * sizeof *numbers);
    if (r->numbers[i] == NULL)
        r->numbers[i] = calloc(rows * each, sizeof *numbers);
    dfx_net_done(net, numbers != NULL && r->numbers[i] != NULL);
    dfx_net_output(net, x, numbers);
    for (size_t j = 0; net->status == DFX_OK && j < x.count; j++)
        r->numbers[i][before + j] += numbers[j];
    free(numbers);
    r->shapes[i] = x;
    r->shapes[i].shape[0] = rows;
    if (r->count <= i)
        r->count = i + 1;
}

static dfx_status
ask_control(const dfx_denoiser *d, const dfx_denoiser_control *control,
            const float *latents, size_t height, size_t width,
            const float *timesteps, residuals *r, dfx_error *err)
{
    size_t all = d->guides * d->batch;
    size_t rows = d->guess ? d->batch : all;
    size_t pixels = 3 * control->height * control->width;
    float *images = malloc(rows * pixels * sizeof *images);
    dfx_controlnet_input in = {.unet.timesteps = timesteps,
                               .scale = (float)control->scale,
                               .guess = d->guess};
    dfx_denoiser one = *d; /* without the channels of the UNet alone */
    dfx_controlnet_output out = {0};
    dfx_status status;
    dfx_net net;

    if (images == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < rows; i++)
        memcpy(images + i * pixels, control->image, pixels * sizeof *images);
    one.extra_channels = 0;
    one.guides = rows / d->batch;
    dfx_net_init(&net, &control->component->weights, err);
    in.unet.sample = sample_of(&net, &one, latents, height, width);
    conditions(&net, d, all - rows, rows, &in.unet);
    in.cond = dfx_net_input(
        &net, images, 4, (size_t[]){rows, 3, control->height, control->width});
    dfx_controlnet(&net, &control->config, &in, &out);
    for (size_t i = 0; i < out.down_count; i++)
        residual_add(&net, r, i, out.down[i], all);
    residual_add(&net, r, out.down_count, out.mid, all);
    status = net.status;
    dfx_net_fini(&net);
    free(images);
    return status;
}

static dfx_status
ask_controls(const dfx_denoiser *d, const float *latents, size_t height,
             size_t width, const float *timesteps, double before, double after,
             residuals *r, dfx_error *err)
{
    for (size_t i = 0; i < d->control_count; i++)
        if (before >= d->controls[i].start && after <= d->controls[i].end)
            DFX_TRY(ask_control(d, &d->controls[i], latents, height, width,
                                timesteps, r, err));
    return DFX_OK;
}

/* ---- Guidance ------------------------------------------------------------ */

/* The deviation of count numbers, divisor count - 1. */
static double
deviation(const float *x, size_t count)
{
    double mean = 0, sum = 0;

    for (size_t i = 0; i < count; i++)
        mean += (double)x[i];
    mean /= (double)count;
    for (size_t i = 0; i < count; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sqrt(sum / (double)(count - 1));
}

/* all [guides, count] -> out [count] */
static void
guide(const dfx_denoiser *d, const float *all, size_t count, float *out)
{
    float g = (float)d->guidance, gi = (float)d->image_guidance;
    const float *first = all, *second = all + count, *third = second + count;

    if (d->guides == 1)
        memcpy(out, all, count * sizeof *out);
    else if (d->guides == 2)
        for (size_t i = 0; i < count; i++)
            out[i] = first[i] + g * (second[i] - first[i]);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = third[i] + g * (first[i] - second[i]) +
                     gi * (second[i] - third[i]);
    if (d->guides != 2 || !(d->rescale > 0) || count / d->batch < 2)
        return;
    for (size_t b = 0; b < d->batch; b++) {
        size_t each = count / d->batch;
        float *x = out + b * each;
        float ratio =
            (float)(deviation(second + b * each, each) / deviation(x, each));
        float part = (float)d->rescale;

        for (size_t i = 0; i < each; i++)
            x[i] = part * (x[i] * ratio) + (1 - part) * x[i];
    }
}

/* ---- One call ------------------------------------------------------------ */

static dfx_status
ask_unet(const dfx_denoiser *d, const float *latents, size_t height,
         size_t width, const float *timesteps, const residuals *r, float *all,
         dfx_error *err)
{
    size_t rows = d->guides * d->batch;
    dfx_unet_input in = {.timesteps = timesteps};
    dfx_array down[DFX_UNET_SKIPS], x;
    dfx_status status;
    dfx_net net;

    dfx_net_init(&net, &d->component->weights, err);
    in.sample = sample_of(&net, d, latents, height, width);
    conditions(&net, d, 0, rows, &in);
    for (size_t i = 0; i < r->count; i++) {
        x = dfx_net_input(&net, r->numbers[i], r->shapes[i].rank,
                          r->shapes[i].shape);
        if (i + 1 < r->count)
            down[i] = x;
        else
            in.mid = x;
    }
    if (r->count > 0) {
        in.down = down;
        in.down_count = r->count - 1;
    }
    x = dfx_unet(&net, &d->config, &in);
    if (net.status == DFX_OK && x.count != rows * d->channels * height * width)
        dfx_net_unfit(&net, "the UNet gives %zu numbers", x.count);
    dfx_net_output(&net, x, all);
    status = net.status;
    dfx_net_fini(&net);
    return status;
}

dfx_status
dfx_denoise(dfx_denoiser *d, const float *latents, size_t height, size_t width,
            double timestep, double before, double after, float *out,
            dfx_error *err)
{
    size_t rows = d->guides * d->batch;
    size_t count = d->batch * d->channels * height * width;
    float *timesteps = malloc(rows * sizeof *timesteps);
    float *all = malloc(d->guides * count * sizeof *all);
    residuals r = {0};
    dfx_status status = DFX_OK;

    if (timesteps == NULL || all == NULL)
        status = dfx_fail_nomem(err);
    for (size_t i = 0; status == DFX_OK && i < rows; i++)
        timesteps[i] = (float)timestep;
    if (status == DFX_OK)
        status = ask_controls(d, latents, height, width, timesteps, before,
                              after, &r, err);
    if (status == DFX_OK)
        status = ask_unet(d, latents, height, width, timesteps, &r, all, err);
    if (status == DFX_OK)
        guide(d, all, count, out);
    residuals_fini(&r);
    free(all);
    free(timesteps);
    return status;
}
