/*
 * start.c - the scheduler of a run, and what its first call gets
 *
 * diffusers 0.42.1: the constructors, get_timesteps, prepare_latents and
 * prepare_mask_latents of its Stable Diffusion pipelines. The order of draws is
 * theirs.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "io.h"
#include "pipelines/picture_input.h"
#include "pipelines/run.h"

/* ---- The scheduler ------------------------------------------------------- */

/* What the constructors of SD1's and SD2's pipelines set right. */
static bool
override(const dfx_run *run, cJSON *config)
{
    if (run->xl || run->instructed || run->request->control_count > 0)
        return true;
    if (!dfx_doc_set(config, "steps_offset", dfx_doc_new_int(1)))
        return false;
    return run->request->task == DFX_TASK_INPAINT
               ? dfx_doc_set(config, "skip_prk_steps", cJSON_CreateTrue())
               : dfx_doc_set(config, "clip_sample", cJSON_CreateFalse());
}

static dfx_status
read_config(const dfx_run *run, cJSON **config, dfx_error *err)
{
    if (run->request->scheduler_config != NULL)
        return dfx_doc_open(run->request->scheduler_config, config, err);
    DFX_TRY(dfx_model_document(run->model, "scheduler/scheduler_config.json",
                               config, err));
    if (*config == NULL)
        *config = cJSON_CreateObject();
    return *config != NULL ? DFX_OK : dfx_fail_nomem(err);
}

static dfx_status
make_scheduler(dfx_run *run, cJSON *config, dfx_error *err)
{
    if (!override(run, config))
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_scheduler_named(config, run->request->scheduler,
                                &run->scheduler, err));
    return dfx_scheduler_set(run->scheduler, run->request->steps, err);
}

/* Calls whose timestep is at least, or below, a part of the training's. */
static size_t
calls_from(const dfx_run *run, double part, bool at_least)
{
    double train = dfx_scheduler_train_steps(run->scheduler);
    double cut = nearbyint(train - part * train);
    size_t count = 0, kept = 0;
    const double *t = dfx_scheduler_timesteps(run->scheduler, &count);

    for (size_t i = 0; i < count; i++)
        kept += at_least ? t[i] >= cut : t[i] < cut;
    return kept;
}

/* How much of the steps a picture that goes in is taken through. */
static double
strength_of(const dfx_run *run)
{
    const dfx_image_request *r = run->request;

    if (!isnan(r->strength))
        return r->strength;
    if (r->task == DFX_TASK_INPAINT)
        return run->xl ? 0.9999 : 1.0;
    return run->xl ? 0.3 : 0.8;
}

static dfx_status
choose_calls(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    size_t count = 0, order = dfx_scheduler_order(run->scheduler);

    dfx_scheduler_timesteps(run->scheduler, &count);
    run->past = count;
    if (!isnan(r->denoising_start)) {
        size_t kept = calls_from(run, r->denoising_start, false);

        if (order == 2 && kept % 2 == 0)
            kept++; /* a step is cut in two: its first call comes again */
        run->first = kept < count ? count - kept : 0;
    } else if (r->task != DFX_TASK_TXT2IMG && !run->instructed) {
        size_t steps = (size_t)((double)r->steps * strength_of(run));

        if (steps > r->steps)
            steps = r->steps;
        run->first = (r->steps - steps) * order;
    }
    if (!isnan(r->denoising_end)) {
        size_t kept = calls_from(run, r->denoising_end, true);

        run->past = kept < count ? kept : count;
    }
    if (run->first >= run->past)
        return dfx_fail_usage(err,
                              "no step is left: of %u, the strength or "
                              "the part asked for is none",
                              r->steps);
    return dfx_scheduler_begin(run->scheduler, run->first, err);
}

dfx_status
dfx_run_scheduler(dfx_run *run, dfx_error *err)
{
    cJSON *config = NULL;
    dfx_status status = read_config(run, &config, err);

    if (status == DFX_OK)
        status = make_scheduler(run, config, err);
    cJSON_Delete(config);
    return status == DFX_OK ? choose_calls(run, err) : status;
}

/* ---- Pictures that go in ------------------------------------------------- */

static float *
floats(size_t count, dfx_error *err)
{
    float *x = calloc(count + (count == 0), sizeof *x);

    if (x == NULL)
        (void)dfx_fail_nomem(err);
    return x;
}

/* Latents of a picture in 0 .. 1 for each of the batch, into out. keep: where
   the mask has 0 alone; NULL: all of it. */
static dfx_status
encode(dfx_run *run, const float *picture, const float *keep, dfx_noise *noise,
       float *out, dfx_error *err)
{
    size_t area = run->height * run->width,
           each = run->latent_count / run->batch;
    float *x = floats(3 * area, err);
    dfx_status status;

    if (x == NULL)
        return DFX_ERR_NOMEM;
    for (size_t i = 0; i < 3 * area; i++) {
        x[i] = 2.0f * picture[i] - 1.0f;
        if (keep != NULL && keep[i % area] >= 0.5f)
            x[i] = 0;
    }
    /* One picture is encoded and taken for all, with one draw. */
    status = dfx_autoencoder_encode(&run->vae, x, 1, run->height, run->width,
                                    noise, out, err);
    for (size_t i = 1; status == DFX_OK && i < run->batch; i++)
        memcpy(out + i * each, out, each * sizeof *out);
    free(x);
    return status;
}

/* The noise that a run starts from: given, or drawn. */
static dfx_status
draw(dfx_run *run, float *out, dfx_error *err)
{
    if (run->start == NULL)
        return dfx_noise_draw(&run->noise, out, run->latent_count, err);
    if (run->start->count != run->latent_count)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the latents have %llu numbers; %zu are wanted",
                        (unsigned long long)run->start->count,
                        run->latent_count);
    memcpy(out, run->start->data, run->latent_count * sizeof *out);
    return DFX_OK;
}

/* Pure noise, as large as the scheduler has it. */
static void
start_from_noise(dfx_run *run)
{
    float initial = (float)dfx_scheduler_initial(run->scheduler);

    for (size_t i = 0; i < run->latent_count; i++)
        run->latents[i] = run->drawn[i] * initial;
}

static dfx_status
add_noise(dfx_run *run, dfx_error *err)
{
    return dfx_scheduler_add_noise(run->scheduler, run->first, run->clean,
                                   run->drawn, run->latents, run->latent_count,
                                   err);
}

static dfx_status
start_txt2img(dfx_run *run, dfx_error *err)
{
    DFX_TRY(draw(run, run->drawn, err));
    start_from_noise(run);
    return DFX_OK;
}

/* The latents of the picture, which it may be itself. */
static dfx_status
clean_latents(dfx_run *run, const dfx_picture_input *in, dfx_error *err)
{
    size_t each = run->latent_count / run->batch;

    if (in->channels == 3)
        return encode(run, in->data, NULL, &run->noise, run->clean, err);
    for (size_t i = 0; i < run->batch; i++)
        memcpy(run->clean + i * each, in->data, each * sizeof *run->clean);
    return DFX_OK;
}

static dfx_status
start_img2img(dfx_run *run, const dfx_picture_input *in, dfx_error *err)
{
    DFX_TRY(clean_latents(run, in, err));
    if (!isnan(run->request->denoising_start)) {
        memcpy(run->latents, run->clean,
               run->latent_count * sizeof *run->latents);
        return DFX_OK;
    }
    DFX_TRY(draw(run, run->drawn, err));
    return add_noise(run, err);
}

/* The latents of the picture, unscaled, beside those of each step: [text,
   image, neither]. */
static dfx_status
start_instructed(dfx_run *run, const dfx_picture_input *in, dfx_error *err)
{
    dfx_denoiser *d = &run->denoiser;

    d->extra_channels = d->channels;
    d->extra = floats(d->guides * run->latent_count, err);
    if (d->extra == NULL)
        return DFX_ERR_NOMEM;
    DFX_TRY(draw(run, run->drawn, err));
    DFX_TRY(encode(run, in->data, NULL, NULL, d->extra, err));
    if (d->guides == 3)
        memcpy(d->extra + run->latent_count, d->extra,
               run->latent_count * sizeof *d->extra);
    start_from_noise(run);
    return DFX_OK;
}

/* ---- Inpainting ---------------------------------------------------------- */

/* The mask at the size of the latents: nearest, as torch's interpolate. */
static dfx_status
shrink_mask(dfx_run *run, const float *mask, dfx_error *err)
{
    float down = (float)run->height / (float)run->latent_height;
    float across = (float)run->width / (float)run->latent_width;

    run->mask = floats(run->latent_height * run->latent_width, err);
    if (run->mask == NULL)
        return DFX_ERR_NOMEM;
    for (size_t y = 0; y < run->latent_height; y++)
        for (size_t x = 0; x < run->latent_width; x++) {
            size_t row = (size_t)((float)y * down);
            size_t column = (size_t)((float)x * across);

            run->mask[y * run->latent_width + x] =
                mask[row * run->width + column] >= 0.5f ? 1 : 0;
        }
    return DFX_OK;
}

/* Mask and masked picture as channels after the latents. */
static dfx_status
set_extra(dfx_run *run, const float *masked, dfx_error *err)
{
    dfx_denoiser *d = &run->denoiser;
    size_t area = run->latent_height * run->latent_width;
    size_t each = d->channels * area;

    d->extra_channels = 1 + d->channels;
    d->extra = floats(d->guides * d->batch * (area + each), err);
    if (d->extra == NULL)
        return DFX_ERR_NOMEM;
    for (size_t i = 0; i < d->guides * d->batch; i++) {
        float *row = d->extra + i * (area + each);

        memcpy(row, run->mask, area * sizeof *row);
        memcpy(row + area, masked + i % d->batch * each, each * sizeof *row);
    }
    return DFX_OK;
}

static dfx_status
start_inpaint(dfx_run *run, const dfx_picture_input *in,
              const dfx_picture_input *mask, bool extra, dfx_error *err)
{
    bool whole = strength_of(run) >= 1 && isnan(run->request->denoising_start);
    float *masked = floats(run->latent_count, err);
    dfx_status status = masked != NULL ? DFX_OK : DFX_ERR_NOMEM;

    if (status == DFX_OK)
        status = shrink_mask(run, mask->data, err);
    if (status == DFX_OK && (!extra || !whole))
        status = clean_latents(run, in, err);
    if (status == DFX_OK)
        status = draw(run, run->drawn, err);
    if (status == DFX_OK && whole)
        start_from_noise(run);
    else if (status == DFX_OK)
        status = add_noise(run, err);
    /* Drawn for 4 channels as well, which make no use of it. */
    if (status == DFX_OK)
        status = encode(run, in->data, mask->data, &run->noise, masked, err);
    if (status == DFX_OK && extra)
        status = set_extra(run, masked, err);
    free(masked);
    if (status == DFX_OK && extra) { /* the network heeds the mask itself */
        free(run->mask);
        run->mask = NULL;
    }
    return status;
}

/* ---- All of it ----------------------------------------------------------- */

static dfx_status
start(dfx_run *run, const dfx_picture_input *in, const dfx_picture_input *mask,
      dfx_error *err)
{
    size_t channels = run->denoiser.channels;
    size_t extra = run->denoiser.takes - channels;
    bool inpaint = run->request->task == DFX_TASK_INPAINT;

    if (extra != 0 && !(inpaint && extra == channels + 1) &&
        !(run->instructed && extra == channels))
        return dfx_fail_usage(err,
                              "the model's UNet takes %zu channels beside the "
                              "latents; that is for %s",
                              extra, extra == channels ? "img2img" : "inpaint");
    if (run->instructed)
        return start_instructed(run, in, err);
    if (inpaint)
        return start_inpaint(run, in, mask, extra != 0, err);
    return run->request->task == DFX_TASK_IMG2IMG ? start_img2img(run, in, err)
                                                  : start_txt2img(run, err);
}

dfx_status
dfx_run_start(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    dfx_picture_input in = {0}, mask = {0};
    dfx_status status = DFX_OK;

    if (r->task != DFX_TASK_TXT2IMG)
        status = dfx_picture_input_open(&in, r->image, 3, run->height,
                                        run->width, dfx_run_latents_in(run),
                                        dfx_autoencoder_factor(&run->vae), err);
    if (status == DFX_OK && r->task == DFX_TASK_INPAINT)
        status = dfx_picture_input_open(&mask, r->mask, 1, run->height,
                                        run->width, 0, 1, err);
    run->latents = floats(run->latent_count, err);
    run->clean = floats(run->latent_count, err);
    run->drawn = floats(run->latent_count, err);
    if (run->latents == NULL || run->clean == NULL || run->drawn == NULL)
        status = DFX_ERR_NOMEM;
    if (status == DFX_OK)
        status = start(run, &in, &mask, err);
    dfx_picture_input_fini(&in);
    dfx_picture_input_fini(&mask);
    return status;
}
