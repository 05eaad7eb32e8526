/*
 * stages.c - one stage of a model on given arrays
 *
 * Inputs have the names of the arguments of forward() in diffusers.
 */
#include <config.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "nets/controlnet.h"
#include "nets/unet.h"
#include "pipelines/autoencoder.h"
#include "pipelines/text.h"
#include "schedulers/scheduler.h"

/* An array of the net, as a value; one that is empty is left out. */
static void
give(dfx_net *net, dfx_values *out, dfx_array x, const char *name)
{
    float *numbers;

    if (net->status != DFX_OK || x.data == NULL)
        return;
    numbers = malloc(x.count * sizeof *numbers);
    dfx_net_done(net, numbers != NULL);
    dfx_net_output(net, x, numbers);
    if (net->status == DFX_OK)
        net->status = dfx_values_put(out, net->err, DFX_TYPE_F32, x.rank,
                                     x.shape, numbers, "%s", name);
    free(numbers);
}

/* What a module gives, as a value of its name, or of NAME#2 and on. */
static void
collect(void *context, const char *module, dfx_net *net, dfx_array x)
{
    dfx_values *activations = context;
    char name[DFX_NET_NAME + 16];

    snprintf(name, sizeof name, "%s", module);
    for (unsigned n = 2; dfx_values_find(activations, name) != NULL; n++)
        snprintf(name, sizeof name, "%s#%u", module, n);
    give(net, activations, x, name);
}

/* A net whose modules go into activations; NULL: into nothing. */
static void
init_seen(dfx_net *net, dfx_weights *weights, dfx_values *activations,
          dfx_error *err)
{
    dfx_net_init(net, weights, err);
    net->seen = activations != NULL ? collect : NULL;
    net->seen_context = activations;
}

/* A value as an array of the net. */
static dfx_array
enter(dfx_net *net, const dfx_value *value)
{
    size_t shape[DFX_NET_RANK] = {0};

    if (net->status == DFX_OK &&
        (value->rank > DFX_NET_RANK || value->type != DFX_TYPE_F32))
        dfx_net_unfit(net, "the input \"%s\" has %u dimensions, or no numbers",
                      value->name, value->rank);
    if (net->status != DFX_OK)
        return (dfx_array){0};
    for (uint32_t i = 0; i < value->rank; i++)
        shape[i] = (size_t)value->shape[i];
    return dfx_net_input(net, value->data, value->rank, shape);
}

/* That of a name; empty if there is none. */
static dfx_array
enter_named(dfx_net *net, const dfx_values *in, const char *name)
{
    const dfx_value *value = dfx_values_find(in, name);

    return value != NULL ? enter(net, value) : (dfx_array){0};
}

/* ---- Text ---------------------------------------------------------------- */

static dfx_status
give_states(const dfx_text_states *states, const char *front, dfx_values *out,
            dfx_error *err)
{
    if (states->states == NULL)
        return DFX_OK;
    DFX_TRY(
        dfx_values_put(out, err, DFX_TYPE_F32, 3,
                       (size_t[]){states->rows, states->tokens, states->width},
                       states->states, "%sprompt_embeds", front));
    if (states->pooled == NULL)
        return DFX_OK;
    return dfx_values_put(out, err, DFX_TYPE_F32, 2,
                          (size_t[]){states->rows, states->pooled_width},
                          states->pooled, "%spooled_prompt_embeds", front);
}

static dfx_status
encode_ids(dfx_text_encoders *encoders, const dfx_encode_options *options,
           dfx_text_states *states, dfx_values *out, dfx_error *err)
{
    size_t count = options->id_rows * options->id_columns;
    uint32_t *ids = malloc((count + 1) * sizeof *ids);
    dfx_status status = ids != NULL ? DFX_OK : dfx_fail_nomem(err);

    for (size_t i = 0; status == DFX_OK && i < count; i++) {
        if (options->ids[i] < 0 || options->ids[i] > UINT32_MAX)
            status = dfx_fail_usage(err, "%lld is no id of a token",
                                    (long long)options->ids[i]);
        else
            ids[i] = (uint32_t)options->ids[i];
    }
    for (size_t i = 0; status == DFX_OK && i < encoders->count; i++)
        status = dfx_text_encode_ids(encoders, i, ids, options->id_rows,
                                     options->id_columns, options->clip_skip,
                                     states, out, options->hidden_states, err);
    free(ids);
    return status;
}

static dfx_status
encode(dfx_text_encoders *encoders, const dfx_model *model,
       const dfx_encode_options *options, dfx_text_states states[2],
       dfx_values *out, dfx_error *err)
{
    DFX_TRY(dfx_text_encoders_init(encoders, model, err));
    if (options->ids != NULL)
        DFX_TRY(encode_ids(encoders, options, &states[0], out, err));
    else if (options->prompt != NULL)
        DFX_TRY(dfx_text_encode(encoders, model, options->prompt, NULL,
                                options->clip_skip, &states[0], out,
                                options->hidden_states, err));
    if (options->negative != NULL)
        DFX_TRY(dfx_text_encode(encoders, model, options->negative, NULL, 0,
                                &states[1], NULL, false, err));
    DFX_TRY(give_states(&states[0], "", out, err));
    return give_states(&states[1], "negative_", out, err);
}

dfx_status
dfx_run_encode(dfx_model *model, const dfx_encode_options *options,
               dfx_values *out, dfx_error *err)
{
    dfx_text_encoders encoders = {0};
    dfx_text_states states[2] = {0};
    dfx_status status = encode(&encoders, model, options, states, out, err);

    dfx_text_states_fini(&states[0]);
    dfx_text_states_fini(&states[1]);
    dfx_text_encoders_fini(&encoders);
    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}

dfx_status
dfx_run_tokenize(dfx_model *model, bool second, const char *text, size_t size,
                 uint32_t **ids, size_t *count, dfx_error *err)
{
    dfx_text_encoder encoder = {.suffix = second ? "_2" : ""};
    dfx_status status = dfx_text_tokenizer(model, &encoder, err);

    *ids = NULL;
    if (status == DFX_OK)
        status =
            dfx_clip_encode(encoder.tokenizer, text, size, ids, count, err);
    dfx_clip_tokenizer_free(encoder.tokenizer);
    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}

/* ---- UNet and ControlNet ------------------------------------------------- */

/* Numbers that stay on the host, one row of them for each of the batch. */
typedef struct host_inputs {
    float *timesteps;    /* owned */
    uint32_t *class_ids; /* owned; NULL */
} host_inputs;

static void
host_fini(host_inputs *host)
{
    free(host->timesteps);
    free(host->class_ids);
}

/* timestep: one for all, or one each. */
static dfx_status
read_timesteps(const dfx_values *in, double timestep, size_t batch,
               host_inputs *host, dfx_error *err)
{
    const dfx_value *value = dfx_values_find(in, "timestep");

    if (isnan(timestep) && value == NULL)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the input has no tensor \"timestep\"");
    if (isnan(timestep) && value->count != 1 && value->count != batch)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the input \"timestep\" has %llu numbers, not 1 or %zu",
                        (unsigned long long)value->count, batch);
    host->timesteps = calloc(batch + 1, sizeof *host->timesteps);
    if (host->timesteps == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < batch; i++) {
        size_t at = value != NULL && value->count > 1 ? i : 0;

        if (!isnan(timestep))
            host->timesteps[i] = (float)timestep;
        else
            host->timesteps[i] = value->type == DFX_TYPE_I64
                                     ? (float)((const int64_t *)value->data)[at]
                                     : ((const float *)value->data)[at];
    }
    return DFX_OK;
}

/* class_labels: rows of a table, numbers, or vectors. */
static dfx_status
read_labels(const dfx_values *in, const dfx_unet_config *config, size_t batch,
            host_inputs *host, dfx_unet_input *unet, dfx_error *err)
{
    const dfx_value *value = dfx_values_find(in, "class_labels");

    if (value == NULL || value->rank == 2)
        return DFX_OK;
    if (value->count != batch)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the input \"class_labels\" has %llu numbers, not %zu",
                        (unsigned long long)value->count, batch);
    if (config->class_embedding == DFX_CLASS_TIMESTEP) {
        if (value->type != DFX_TYPE_F32)
            return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                            "the input \"class_labels\" must be of a "
                            "floating-point type");
        unet->class_numbers = value->data;
        return DFX_OK;
    }
    if (value->type != DFX_TYPE_I64)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the input \"class_labels\" must be whole numbers");
    host->class_ids = calloc(batch + 1, sizeof *host->class_ids);
    if (host->class_ids == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < batch; i++) {
        int64_t id = ((const int64_t *)value->data)[i];

        /* What the table lacks is refused there. */
        host->class_ids[i] =
            id >= 0 && id < UINT32_MAX ? (uint32_t)id : UINT32_MAX;
    }
    unet->class_ids = host->class_ids;
    return DFX_OK;
}

static dfx_status
read_host(const dfx_values *in, double timestep, const dfx_unet_config *config,
          host_inputs *host, dfx_unet_input *unet, dfx_error *err)
{
    const dfx_value *sample = NULL, *ids = dfx_values_find(in, "time_ids");
    size_t batch;

    DFX_TRY(dfx_values_need(in, "sample", 4, &sample, err));
    batch = (size_t)sample->shape[0];
    DFX_TRY(read_timesteps(in, timestep, batch, host, err));
    DFX_TRY(read_labels(in, config, batch, host, unet, err));
    unet->timesteps = host->timesteps;
    if (ids == NULL)
        return DFX_OK;
    DFX_TRY(dfx_values_need(in, "time_ids", 2, &ids, err));
    if (ids->shape[0] != batch)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the input \"time_ids\" has %llu rows, not %zu",
                        (unsigned long long)ids->shape[0], batch);
    unet->time_ids = ids->data;
    unet->time_id_count = (size_t)ids->shape[1];
    return DFX_OK;
}

static void
enter_unet(dfx_net *net, const dfx_values *in, dfx_unet_input *unet)
{
    const dfx_value *labels = dfx_values_find(in, "class_labels");

    unet->sample = enter_named(net, in, "sample");
    unet->text = enter_named(net, in, "encoder_hidden_states");
    unet->text_embeds = enter_named(net, in, "text_embeds");
    unet->timestep_cond = enter_named(net, in, "timestep_cond");
    if (labels != NULL && labels->rank == 2)
        unet->class_vector = enter(net, labels);
}

/* Residuals of ControlNets, down.0 and on. */
static void
enter_residuals(dfx_net *net, const dfx_values *in, dfx_unet_input *unet,
                dfx_array down[DFX_UNET_SKIPS])
{
    for (size_t i = 0; i < DFX_UNET_SKIPS; i++) {
        char name[32];
        const dfx_value *value;

        snprintf(name, sizeof name, "down.%zu", i);
        value = dfx_values_find(in, name);
        if (value == NULL)
            break;
        down[i] = enter(net, value);
        unet->down_count = i + 1;
    }
    unet->down = unet->down_count > 0 ? down : NULL;
    unet->mid = enter_named(net, in, "mid");
}

static dfx_status
run_unet(dfx_model_component *component, const dfx_values *in, double timestep,
         dfx_values *out, dfx_values *activations, dfx_error *err)
{
    dfx_array down[DFX_UNET_SKIPS];
    dfx_unet_input unet = {0};
    dfx_unet_config config;
    host_inputs host = {0};
    dfx_status status;
    dfx_net net;

    DFX_TRY(dfx_unet_configure(&config, component->config, err));
    status = read_host(in, timestep, &config, &host, &unet, err);
    if (status == DFX_OK) {
        init_seen(&net, &component->weights, activations, err);
        enter_unet(&net, in, &unet);
        enter_residuals(&net, in, &unet, down);
        give(&net, out, dfx_unet(&net, &config, &unet), "sample");
        status = net.status;
        dfx_net_fini(&net);
    }
    host_fini(&host);
    return status;
}

/* The one number of a value. */
static float
number_in(const dfx_values *in, const char *name, float usual)
{
    const dfx_value *value = dfx_values_find(in, name);

    if (value == NULL || value->count != 1)
        return usual;
    return value->type == DFX_TYPE_F32 ? *(const float *)value->data
                                       : (float)*(const int64_t *)value->data;
}

static dfx_status
run_controlnet(dfx_model_component *component, const dfx_values *in,
               double timestep, dfx_values *out, dfx_values *activations,
               dfx_error *err)
{
    dfx_controlnet_input control = {
        .scale = number_in(in, "conditioning_scale", 1),
        .guess = number_in(in, "guess_mode", 0) != 0,
    };
    dfx_controlnet_output residuals = {0};
    dfx_controlnet_config config;
    host_inputs host = {0};
    dfx_status status;
    dfx_net net;

    DFX_TRY(dfx_controlnet_configure(&config, component->config, err));
    status = read_host(in, timestep, &config.unet, &host, &control.unet, err);
    if (status == DFX_OK) {
        init_seen(&net, &component->weights, activations, err);
        enter_unet(&net, in, &control.unet);
        control.cond = enter_named(&net, in, "controlnet_cond");
        dfx_controlnet(&net, &config, &control, &residuals);
        for (size_t i = 0; i < residuals.down_count; i++) {
            char name[32];

            snprintf(name, sizeof name, "down.%zu", i);
            give(&net, out, residuals.down[i], name);
        }
        give(&net, out, residuals.mid, "mid");
        status = net.status;
        dfx_net_fini(&net);
    }
    host_fini(&host);
    return status;
}

dfx_status
dfx_run_denoise(dfx_model *model, const dfx_values *in, double timestep,
                dfx_values *out, dfx_values *activations, dfx_error *err)
{
    dfx_model_component *component = dfx_model_find(model, "controlnet");
    dfx_status status;

    if (component != NULL && dfx_model_find(model, "unet") == NULL)
        status = run_controlnet(component, in, timestep, out, activations, err);
    else {
        status = dfx_model_need(model, "unet", &component, err);
        if (status == DFX_OK)
            status = run_unet(component, in, timestep, out, activations, err);
    }
    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}

/* ---- Autoencoders -------------------------------------------------------- */

static dfx_status
vae_encode(dfx_model *model, const dfx_values *in, bool tiled, dfx_values *out,
           dfx_error *err)
{
    const dfx_value *image = NULL;
    dfx_vae_posterior posterior;
    dfx_autoencoder vae;
    dfx_status status;
    dfx_net net;

    DFX_TRY(dfx_autoencoder_init(&vae, model, tiled, err));
    DFX_TRY(dfx_values_need(in, "image", 4, &image, err));
    dfx_net_init(&net, &vae.component->weights, err);
    posterior = dfx_autoencoder_encoded(&vae, &net, enter(&net, image));
    give(&net, out, posterior.mean, vae.is_tiny ? "encoded" : "mean");
    give(&net, out, posterior.logvar, "logvar");
    give(&net, out, posterior.deviation, "std");
    status = net.status;
    dfx_net_fini(&net);
    return status;
}

static dfx_status
vae_decode(dfx_model *model, const dfx_values *in, bool tiled, dfx_values *out,
           dfx_error *err)
{
    const dfx_value *latent = NULL;
    dfx_autoencoder vae;
    dfx_status status;
    dfx_net net;

    DFX_TRY(dfx_autoencoder_init(&vae, model, tiled, err));
    DFX_TRY(dfx_values_need(in, "latent", 4, &latent, err));
    dfx_net_init(&net, &vae.component->weights, err);
    give(&net, out, dfx_autoencoder_decoded(&vae, &net, enter(&net, latent)),
         "decoded");
    status = net.status;
    dfx_net_fini(&net);
    return status;
}

dfx_status
dfx_run_vae_encode(dfx_model *model, const dfx_values *in, bool tiled,
                   dfx_values *out, dfx_error *err)
{
    dfx_status status = vae_encode(model, in, tiled, out, err);

    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}

dfx_status
dfx_run_vae_decode(dfx_model *model, const dfx_values *in, bool tiled,
                   dfx_values *out, dfx_error *err)
{
    dfx_status status = vae_decode(model, in, tiled, out, err);

    if (status != DFX_OK)
        dfx_error_in_file(err, model->path);
    return status;
}

/* ---- Schedulers ---------------------------------------------------------- */

static dfx_status
fill_timetable(const dfx_scheduler *scheduler, dfx_timetable *out,
               dfx_error *err)
{
    const double *timesteps =
        dfx_scheduler_timesteps(scheduler, &out->timestep_count);
    const float *sigmas = dfx_scheduler_sigmas(scheduler, &out->sigma_count);

    out->initial = dfx_scheduler_initial(scheduler);
    out->timesteps = malloc((out->timestep_count + 1) * sizeof *timesteps);
    if (out->timesteps == NULL)
        return dfx_fail_nomem(err);
    memcpy(out->timesteps, timesteps, out->timestep_count * sizeof *timesteps);
    if (out->sigma_count == 0)
        return DFX_OK;
    out->sigmas = malloc(out->sigma_count * sizeof *sigmas);
    if (out->sigmas == NULL)
        return dfx_fail_nomem(err);
    memcpy(out->sigmas, sigmas, out->sigma_count * sizeof *sigmas);
    return DFX_OK;
}

dfx_status
dfx_run_schedule(const char *config, const char *name, uint32_t steps,
                 dfx_timetable *out, dfx_error *err)
{
    dfx_scheduler *scheduler = NULL;
    cJSON *doc = NULL;
    dfx_status status;

    *out = (dfx_timetable){0};
    if (config != NULL)
        DFX_TRY(dfx_doc_open(config, &doc, err));
    else
        doc = cJSON_CreateObject();
    if (doc == NULL)
        return dfx_fail_nomem(err);
    status = dfx_scheduler_named(doc, name, &scheduler, err);
    if (status == DFX_OK)
        status = dfx_scheduler_set(scheduler, steps, err);
    if (status == DFX_OK)
        status = fill_timetable(scheduler, out, err);
    dfx_scheduler_free(scheduler);
    cJSON_Delete(doc);
    if (status != DFX_OK) {
        dfx_timetable_fini(out);
        if (config != NULL)
            dfx_error_in_file(err, config);
    }
    return status;
}

void
dfx_timetable_fini(dfx_timetable *timetable)
{
    free(timetable->timesteps);
    free(timetable->sigmas);
    *timetable = (dfx_timetable){0};
}
