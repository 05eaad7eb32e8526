/*
 * autoencoder.c - between pictures and the latents of a run
 *
 * The scaling is that of pipelines (field: AutoencoderKL's scaling_factor,
 * shift_factor, latents_mean and latents_std).
 */
#include <config.h>

#include "pipelines/autoencoder.h"

#include <stdlib.h>
#include <string.h>

#include "nets/vae_tiled.h"

static dfx_status
read_numbers(const cJSON *config, const char *key, size_t count, float *out,
             bool *given, dfx_error *err)
{
    const cJSON *list = dfx_doc_get(config, key);

    *given = list != NULL && !cJSON_IsNull(list);
    if (!*given)
        return DFX_OK;
    for (size_t i = 0; i < count; i++) {
        double value = 0;

        if ((size_t)cJSON_GetArraySize(list) != count ||
            !dfx_doc_number(cJSON_GetArrayItem(list, (int)i), &value))
            return dfx_fail(err, DFX_RULE_RUN_CONFIG, DFX_NO_OFFSET,
                            "\"%s\" is not %zu numbers", key, count);
        out[i] = (float)value;
    }
    return DFX_OK;
}

static dfx_status
configure(dfx_autoencoder *vae, dfx_error *err)
{
    const cJSON *config = vae->component->config;
    const char *name = dfx_doc_string(config, "_class_name");

    vae->is_tiny = name != NULL && strcmp(name, "AutoencoderTiny") == 0;
    if (vae->is_tiny) {
        DFX_TRY(dfx_tiny_configure(&vae->tiny, config, err));
        vae->latent_channels = vae->tiny.latent_channels;
        return DFX_OK;
    }
    DFX_TRY(dfx_vae_configure(&vae->config, config, err));
    vae->latent_channels = vae->config.latent_channels;
    return DFX_OK;
}

dfx_status
dfx_autoencoder_init(dfx_autoencoder *vae, dfx_model *model, bool tiled,
                     dfx_error *err)
{
    dfx_settings s = {.err = err};
    bool means = false, deviations = false;

    *vae = (dfx_autoencoder){.tiled = tiled};
    DFX_TRY(dfx_model_need(model, "vae", &vae->component, err));
    DFX_TRY(configure(vae, err));
    s.config = vae->component->config;
    vae->scaling = dfx_setting_number(&s, "scaling_factor",
                                      vae->is_tiny ? 1.0 : 0.18215, 1e-6, 1e6);
    vae->shift = dfx_setting_none(&s, "shift_factor")
                     ? 0
                     : dfx_setting_number(&s, "shift_factor", 0, -1e6, 1e6);
    DFX_TRY(s.status);
    if (vae->latent_channels > sizeof vae->means / sizeof vae->means[0])
        return dfx_fail(err, DFX_RULE_RUN_CONFIG, DFX_NO_OFFSET,
                        "%zu latent channels", vae->latent_channels);
    DFX_TRY(read_numbers(s.config, "latents_mean", vae->latent_channels,
                         vae->means, &means, err));
    DFX_TRY(read_numbers(s.config, "latents_std", vae->latent_channels,
                         vae->deviations, &deviations, err));
    vae->standardizes = means && deviations;
    return DFX_OK;
}

dfx_array
dfx_autoencoder_decoded(const dfx_autoencoder *vae, dfx_net *net,
                        dfx_array latent)
{
    if (vae->is_tiny)
        return dfx_tiny_decode(net, &vae->tiny, latent);
    return vae->tiled ? dfx_vae_decode_tiled(net, &vae->config, latent)
                      : dfx_vae_decode(net, &vae->config, latent);
}

dfx_vae_posterior
dfx_autoencoder_encoded(const dfx_autoencoder *vae, dfx_net *net,
                        dfx_array image)
{
    dfx_array x;

    if (vae->is_tiny)
        return (dfx_vae_posterior){.mean =
                                       dfx_tiny_encode(net, &vae->tiny, image)};
    x = vae->tiled ? dfx_vae_encode_tiled(net, &vae->config, image)
                   : dfx_vae_encode(net, &vae->config, image);
    return dfx_vae_split(net, &vae->config, x);
}

size_t
dfx_autoencoder_factor(const dfx_autoencoder *vae)
{
    return (size_t)1 << ((vae->is_tiny ? vae->tiny.levels
                                       : vae->config.levels) -
                         1);
}

/* Latents as the network is trained on, from what the encoder gave; or back. */
static void
scale(const dfx_autoencoder *vae, float *x, size_t batch, size_t area,
      bool back)
{
    for (size_t i = 0; i < batch * vae->latent_channels; i++) {
        size_t c = i % vae->latent_channels;
        float mean = vae->standardizes ? vae->means[c] : vae->shift;
        float deviation = vae->standardizes ? vae->deviations[c] : 1;

        for (size_t j = i * area; j < (i + 1) * area; j++)
            if (back)
                x[j] = vae->standardizes
                           ? x[j] * deviation / vae->scaling + mean
                           : x[j] / vae->scaling + mean;
            else
                x[j] = vae->standardizes
                           ? (x[j] - mean) * vae->scaling / deviation
                           : (x[j] - mean) * vae->scaling;
    }
}

/* mean + deviation * noise, in place of mean. */
static dfx_status
sample(float *mean, const float *deviation, size_t count, dfx_noise *noise,
       dfx_error *err)
{
    float *z = malloc(count * sizeof *z);
    dfx_status status =
        z != NULL ? dfx_noise_draw(noise, z, count, err) : dfx_fail_nomem(err);

    for (size_t i = 0; status == DFX_OK && i < count; i++)
        mean[i] += deviation[i] * z[i];
    free(z);
    return status;
}

dfx_status
dfx_autoencoder_encode(dfx_autoencoder *vae, const float *image, size_t batch,
                       size_t height, size_t width, dfx_noise *noise,
                       float *latents, dfx_error *err)
{
    size_t factor = dfx_autoencoder_factor(vae);
    size_t area = (height / factor) * (width / factor);
    size_t count = batch * vae->latent_channels * area;
    float *deviation = malloc(count * sizeof *deviation);
    dfx_vae_posterior posterior;
    dfx_status status;
    dfx_array x;
    dfx_net net;

    if (deviation == NULL)
        return dfx_fail_nomem(err);
    dfx_net_init(&net, &vae->component->weights, err);
    x = dfx_net_input(&net, image, 4, (size_t[]){batch, 3, height, width});
    posterior = dfx_autoencoder_encoded(vae, &net, x);
    if (net.status == DFX_OK && posterior.mean.count != count)
        dfx_net_unfit(&net, "the encoder gives %zu numbers, not %zu",
                      posterior.mean.count, count);
    dfx_net_output(&net, posterior.mean, latents);
    if (posterior.deviation.data != NULL)
        dfx_net_output(&net, posterior.deviation, deviation);
    status = net.status;
    dfx_net_fini(&net);
    if (status == DFX_OK && noise != NULL && !vae->is_tiny)
        status = sample(latents, deviation, count, noise, err);
    if (status == DFX_OK && noise != NULL)
        scale(vae, latents, batch, area, false);
    free(deviation);
    return status;
}

dfx_status
dfx_autoencoder_decode(dfx_autoencoder *vae, const float *latents, size_t batch,
                       size_t height, size_t width, float *image,
                       dfx_error *err)
{
    size_t area = height * width, factor = dfx_autoencoder_factor(vae);
    size_t count = batch * vae->latent_channels * area;
    size_t pixels = batch * 3 * area * factor * factor;
    float *scaled = malloc(count * sizeof *scaled);
    dfx_status status;
    dfx_array x;
    dfx_net net;

    if (scaled == NULL)
        return dfx_fail_nomem(err);
    memcpy(scaled, latents, count * sizeof *scaled);
    scale(vae, scaled, batch, area, true);
    dfx_net_init(&net, &vae->component->weights, err);
    x = dfx_net_input(&net, scaled, 4,
                      (size_t[]){batch, vae->latent_channels, height, width});
    x = dfx_autoencoder_decoded(vae, &net, x);
    if (net.status == DFX_OK && x.count != pixels)
        dfx_net_unfit(&net, "the decoder gives %zu numbers, not %zu", x.count,
                      pixels);
    dfx_net_output(&net, x, image);
    status = net.status;
    dfx_net_fini(&net);
    free(scaled);
    for (size_t i = 0; status == DFX_OK && i < pixels; i++) {
        float y = image[i] * 0.5f + 0.5f;

        image[i] = y < 0 ? 0 : y > 1 ? 1 : y;
    }
    return status;
}
