/*
 * image.c - a run from a prompt to a picture
 *
 * diffusers 0.42.1: StableDiffusion[XL][Img2Img|Inpaint|ControlNet]Pipeline and
 * StableDiffusionInstructPix2PixPipeline.
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "pipelines/picture_input.h"
#include "pipelines/run.h"

void
dfx_image_request_init(dfx_image_request *request)
{
    *request = (dfx_image_request){
        .images = 1,
        .guidance = NAN,
        .image_guidance = 1.5,
        .strength = NAN,
        .denoising_start = NAN,
        .denoising_end = NAN,
        .aesthetic = NAN,
        .negative_aesthetic = NAN,
    };
}

/* ---- What the model is --------------------------------------------------- */

static bool
index_says(const cJSON *pipeline, const char *key, bool usual)
{
    const cJSON *value = pipeline != NULL ? dfx_doc_get(pipeline, key) : NULL;

    return value == NULL ? usual : cJSON_IsTrue(value);
}

static bool
class_has(const cJSON *pipeline, const char *part)
{
    const char *name =
        pipeline != NULL ? dfx_doc_string(pipeline, "_class_name") : NULL;

    return name != NULL && strstr(name, part) != NULL;
}

static dfx_status
know_model(dfx_run *run, dfx_error *err)
{
    const cJSON *pipeline = run->model->pipeline;

    DFX_TRY(dfx_denoiser_init(&run->denoiser, run->model, err));
    DFX_TRY(dfx_text_encoders_init(&run->encoders, run->model, err));
    for (size_t i = 0; i < run->request->embedding_count; i++)
        DFX_TRY(dfx_text_learn(&run->encoders, run->model,
                               run->request->embeddings[i], err));
    DFX_TRY(dfx_autoencoder_init(
        &run->vae, run->request->vae != NULL ? run->request->vae : run->model,
        run->request->tiled, err));
    run->xl = run->denoiser.config.added_time_width > 0;
    run->scored = run->xl && index_says(pipeline, "requires_aesthetics_score",
                                        dfx_model_find(run->model,
                                                       "text_encoder") == NULL);
    run->zero_negative =
        run->xl &&
        index_says(pipeline, "force_zeros_for_empty_prompt", !run->scored);
    run->instructed = class_has(pipeline, "InstructPix2Pix") ||
                      run->denoiser.takes == 2 * run->denoiser.channels;
    if (run->denoiser.channels != run->vae.latent_channels)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the UNet gives %zu channels, the autoencoder takes "
                        "%zu",
                        run->denoiser.channels, run->vae.latent_channels);
    return DFX_OK;
}

/* ---- What the request asks ----------------------------------------------- */

static void
know_guidance(dfx_run *run)
{
    const dfx_image_request *r = run->request;
    dfx_denoiser *d = &run->denoiser;
    double usual = run->xl && r->task != DFX_TASK_INPAINT ? 5.0 : 7.5;

    d->guidance = isnan(r->guidance) ? usual : r->guidance;
    d->rescale = r->guidance_rescale;
    d->image_guidance = r->image_guidance;
    d->batch = run->batch;
    d->guess = r->guess;
    d->guides = 1;
    if (run->instructed && d->guidance > 1 && d->image_guidance >= 1)
        d->guides = 3;
    else if (!run->instructed && d->guidance > 1 && !d->config.time_cond)
        d->guides = 2;
}

size_t
dfx_run_latents_in(const dfx_run *run)
{
    return run->request->task == DFX_TASK_IMG2IMG && !run->instructed
               ? run->denoiser.channels
               : 0;
}

/* The picture's size: asked for, the input's, or what the UNet was trained on.
 */
static dfx_status
know_size(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    size_t factor = dfx_autoencoder_factor(&run->vae);
    dfx_settings s = {.config = run->denoiser.component->config, .err = err};
    dfx_picture_input in = {0};
    size_t usual;

    if (r->task != DFX_TASK_TXT2IMG && (r->height == 0 || r->width == 0)) {
        DFX_TRY(dfx_picture_input_open(&in, r->image, 3, 0, 0,
                                       dfx_run_latents_in(run), factor, err));
        run->height =
            in.channels == 3 ? in.height / factor * factor : in.height * factor;
        run->width =
            in.channels == 3 ? in.width / factor * factor : in.width * factor;
        dfx_picture_input_fini(&in);
    } else {
        usual = dfx_setting_none(&s, "sample_size")
                    ? 64
                    : dfx_setting_count(&s, "sample_size", 64, 1, 4096);
        DFX_TRY(s.status);
        run->height = r->height != 0 ? r->height : usual * factor;
        run->width = r->width != 0 ? r->width : usual * factor;
    }
    if (run->height == 0 || run->width == 0 || run->height % factor != 0 ||
        run->width % factor != 0)
        return dfx_fail_usage(err,
                              "a picture's sides are multiples of %zu, not %zu "
                              "by %zu",
                              factor, run->width, run->height);
    return DFX_OK;
}

/* Batches and sides beyond these are no pictures; their products fit. */
enum { MAX_SIDE = 1 << 15, MAX_BATCH = 1 << 10 };

static dfx_status
know_request(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    size_t factor = dfx_autoencoder_factor(&run->vae);

    if (r->prompt_count == 0 || r->images == 0 || r->steps == 0)
        return dfx_fail_usage(err, "a run needs a prompt, a picture and a "
                                   "step");
    if (run->instructed && r->task != DFX_TASK_IMG2IMG)
        return dfx_fail_usage(err, "the model takes a picture and what to "
                                   "change in it: img2img");
    if (r->strength < 0 || r->strength > 1)
        return dfx_fail_usage(err, "a strength is from 0 to 1");
    DFX_TRY(know_size(run, err));
    if (run->height > MAX_SIDE || run->width > MAX_SIDE ||
        r->prompt_count > MAX_BATCH || r->images > MAX_BATCH)
        return dfx_fail_usage(err,
                              "at most %d pictures of at most %d pixels a "
                              "side",
                              MAX_BATCH, MAX_SIDE);
    run->batch = r->prompt_count * r->images;
    run->latent_height = run->height / factor;
    run->latent_width = run->width / factor;
    run->latent_count = run->batch * run->denoiser.channels *
                        run->latent_height * run->latent_width;
    know_guidance(run);
    if (r->latents != NULL)
        DFX_TRY(
            dfx_values_open(r->latents, &run->given_latents, &run->start, err));
    if (r->noise != NULL) {
        const dfx_value *given = NULL;

        DFX_TRY(dfx_values_open(r->noise, &run->given_noise, &given, err));
        dfx_noise_init(&run->noise, r->seed, r->cuda, given);
    } else
        dfx_noise_init(&run->noise, r->seed, r->cuda, NULL);
    return DFX_OK;
}

static dfx_status
open_control(dfx_run *run, const dfx_control *use,
             dfx_denoiser_control *control, dfx_error *err)
{
    dfx_picture_input in = {0};

    *control = (dfx_denoiser_control){
        .scale = use->scale, .start = use->start, .end = use->end};
    DFX_TRY(dfx_model_open(use->path, NULL, &control->model, err));
    DFX_TRY(
        dfx_model_need(control->model, "controlnet", &control->component, err));
    DFX_TRY(dfx_controlnet_configure(&control->config,
                                     control->component->config, err));
    DFX_TRY(dfx_picture_input_open(&in, use->image, 3, run->height, run->width,
                                   0, 1, err));
    control->image = in.data;
    control->height = in.height;
    control->width = in.width;
    return DFX_OK;
}

static dfx_status
open_controls(dfx_run *run, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    dfx_denoiser *d = &run->denoiser;

    d->controls = calloc(r->control_count + 1, sizeof *d->controls);
    if (d->controls == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < r->control_count; i++) {
        d->control_count = i + 1;
        DFX_TRY(open_control(run, &r->controls[i], &d->controls[i], err));
    }
    return DFX_OK;
}

/* ---- The loop ------------------------------------------------------------ */

static dfx_status
keep_latents(const dfx_run *run, size_t call, dfx_values *out, dfx_error *err)
{
    return dfx_values_put(out, err, DFX_TYPE_F32, 4,
                          (size_t[]){run->batch, run->denoiser.channels,
                                     run->latent_height, run->latent_width},
                          run->latents, "latents.%zu", call - run->first);
}

/* What the mask does not ask for is the picture, with the noise that the next
   call expects. */
static dfx_status
keep_outside(dfx_run *run, size_t call, dfx_error *err)
{
    size_t area = run->latent_height * run->latent_width;
    float *noisy = malloc(run->latent_count * sizeof *noisy);
    dfx_status status = DFX_OK;

    if (noisy == NULL)
        return dfx_fail_nomem(err);
    if (call + 1 < run->past)
        status =
            dfx_scheduler_add_noise(run->scheduler, call + 1, run->clean,
                                    run->drawn, noisy, run->latent_count, err);
    else
        memcpy(noisy, run->clean, run->latent_count * sizeof *noisy);
    for (size_t i = 0; status == DFX_OK && i < run->latent_count; i++)
        run->latents[i] = (1 - run->mask[i % area]) * noisy[i] +
                          run->mask[i % area] * run->latents[i];
    free(noisy);
    return status;
}

static dfx_status
step(dfx_run *run, size_t call, float *scaled, float *model, dfx_error *err)
{
    size_t calls = run->past - run->first, at = call - run->first, count = 0;
    double factor = dfx_scheduler_scale(run->scheduler);
    double timestep = dfx_scheduler_timesteps(run->scheduler, &count)[call];
    dfx_step_options options;

    dfx_step_options_init(&options);
    options.eta = run->request->eta;
    for (size_t i = 0; i < run->latent_count; i++)
        scaled[i] = (float)((double)run->latents[i] * factor);
    DFX_TRY(dfx_denoise(&run->denoiser, scaled, run->latent_height,
                        run->latent_width, timestep, (double)at / (double)calls,
                        (double)(at + 1) / (double)calls, model, err));
    DFX_TRY(dfx_scheduler_step(run->scheduler, model, run->latents, run->batch,
                               run->latent_count / run->batch, &options,
                               dfx_noise_draw, &run->noise, err));
    return run->mask != NULL ? keep_outside(run, call, err) : DFX_OK;
}

/* The picture that the latents are by now. */
static dfx_status
put_image(dfx_run *run, dfx_values *out, dfx_error *err)
{
    size_t pixels = run->batch * 3 * run->height * run->width;
    float *image = malloc(pixels * sizeof *image);
    dfx_status status;

    if (image == NULL)
        return dfx_fail_nomem(err);
    status = dfx_autoencoder_decode(&run->vae, run->latents, run->batch,
                                    run->latent_height, run->latent_width,
                                    image, err);
    if (status == DFX_OK)
        status = dfx_values_put(
            out, err, DFX_TYPE_F32, 4,
            (size_t[]){run->batch, 3, run->height, run->width}, image, "image");
    free(image);
    return status;
}

/* Tells the caller, who may stop the run. */
static dfx_status
tell(dfx_run *run, size_t call, dfx_error *err)
{
    const dfx_image_request *r = run->request;
    dfx_image_step seen = {
        .done = call + 1 - run->first,
        .calls = run->past - run->first,
    };
    dfx_values *preview = NULL;
    dfx_status status = DFX_OK;

    if (r->step == NULL)
        return DFX_OK;
    if (r->preview) {
        status = dfx_values_new(&preview, err);
        if (status == DFX_OK)
            status = put_image(run, preview, err);
        seen.preview = preview;
    }
    if (status == DFX_OK && !r->step(r->context, &seen))
        status = dfx_fail_stopped(err);
    dfx_values_free(preview);
    return status;
}

static dfx_status
loop(dfx_run *run, dfx_values *out, dfx_error *err)
{
    float *scaled = malloc(run->latent_count * sizeof *scaled);
    float *model = malloc(run->latent_count * sizeof *model);
    dfx_status status = DFX_OK;

    if (scaled == NULL || model == NULL)
        status = dfx_fail_nomem(err);
    for (size_t call = run->first; status == DFX_OK && call < run->past;
         call++) {
        status = step(run, call, scaled, model, err);
        if (status == DFX_OK && run->request->keep_latents)
            status = keep_latents(run, call, out, err);
        if (status == DFX_OK)
            status = tell(run, call, err);
    }
    free(scaled);
    free(model);
    return status;
}

static dfx_status
finish(dfx_run *run, dfx_values *out, dfx_error *err)
{
    if (!run->request->as_latents)
        return put_image(run, out, err);
    return dfx_values_put(out, err, DFX_TYPE_F32, 4,
                          (size_t[]){run->batch, run->denoiser.channels,
                                     run->latent_height, run->latent_width},
                          run->latents, "image");
}

dfx_status
dfx_run_prepare(dfx_run *run, dfx_error *err)
{
    DFX_TRY(dfx_loras_attach(run->model, run->request->loras,
                             run->request->lora_count, &run->loras, err));
    DFX_TRY(know_model(run, err));
    DFX_TRY(know_request(run, err));
    DFX_TRY(open_controls(run, err));
    return dfx_run_conditions(run, err);
}

void
dfx_run_fini(dfx_run *run)
{
    dfx_loras_detach(run->loras);
    dfx_text_encoders_fini(&run->encoders);
    dfx_denoiser_fini(&run->denoiser);
    dfx_scheduler_free(run->scheduler);
    dfx_values_free(run->given_latents);
    dfx_values_free(run->given_noise);
    free(run->latents);
    free(run->clean);
    free(run->drawn);
    free(run->mask);
}

static dfx_status
go(dfx_run *run, dfx_values *out, dfx_error *err)
{
    DFX_TRY(dfx_run_prepare(run, err));
    DFX_TRY(dfx_run_scheduler(run, err));
    DFX_TRY(dfx_run_start(run, err));
    DFX_TRY(loop(run, out, err));
    return finish(run, out, err);
}

dfx_status
dfx_run_image(dfx_model *model, const dfx_image_request *request,
              dfx_values *out, dfx_error *err)
{
    dfx_run run = {.model = model, .request = request};
    dfx_status status = go(&run, out, err);

    dfx_run_fini(&run);
    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}
