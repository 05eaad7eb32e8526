/*
 * scheduler.c - scheduler_config.json read, and runs made of it
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "schedulers/kind.h"

enum {
    MOST_TRAIN = 1000000, /* timesteps: a thousand is usual */
    MOST_STEPS = 100000
};

extern const dfx_scheduler_kind dfx_scheduler_ddpm, dfx_scheduler_ddim,
    dfx_scheduler_euler, dfx_scheduler_euler_ancestral, dfx_scheduler_heun,
    dfx_scheduler_lms;

const dfx_scheduler_kind *
dfx_scheduler_kind_at(size_t i)
{
    static const dfx_scheduler_kind *const kinds[] = {
        &dfx_scheduler_ddim,  &dfx_scheduler_ddpm,
        &dfx_scheduler_euler, &dfx_scheduler_euler_ancestral,
        &dfx_scheduler_heun,  &dfx_scheduler_lms,
    };

    return i < sizeof kinds / sizeof kinds[0] ? kinds[i] : NULL;
}

/* ---- The config
 * ------------------------------------------------------------------ */

static dfx_status
fail_value(const char *key, const char *value, dfx_error *err)
{
    return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                    "%s is %.64s, which is not known", key, value);
}

/* One of some words; left alone if the key is not there or null. */
static dfx_status
read_word(const cJSON *config, const char *key, const char *const *words,
          int *value, dfx_error *err)
{
    const char *said = dfx_doc_string(config, key);

    if (said == NULL)
        return DFX_OK;
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], said) == 0) {
            *value = i;
            return DFX_OK;
        }
    return fail_value(key, said, err);
}

static dfx_status
read_number(const cJSON *config, const char *key, double least, double most,
            double *value, dfx_error *err)
{
    const cJSON *node = dfx_doc_get(config, key);
    double said = 0;

    if (node == NULL || cJSON_IsNull(node))
        return DFX_OK;
    if (!dfx_doc_number(node, &said) || !(said >= least && said <= most))
        return fail_value(
            key, cJSON_IsString(node) ? node->valuestring : "out of range",
            err);
    *value = said;
    return DFX_OK;
}

static void
read_flag(const cJSON *config, const char *key, bool *value)
{
    const cJSON *node = dfx_doc_get(config, key);

    if (cJSON_IsBool(node))
        *value = cJSON_IsTrue(node);
}

static dfx_status
read_words(const cJSON *config, dfx_schedule *c, dfx_error *err)
{
    static const char *const betas[] = {
        "linear", "scaled_linear", "squaredcos_cap_v2", "exp", "sigmoid", NULL};
    static const char *const spacings[] = {"linspace", "leading", "trailing",
                                           NULL};
    static const char *const predictions[] = {"epsilon", "sample",
                                              "v_prediction", NULL};
    static const char *const variances[] = {"fixed_small", "fixed_small_log",
                                            "fixed_large", NULL};
    static const char *const finals[] = {"zero", "sigma_min", NULL};
    static const char *const interpolations[] = {"linear", "log_linear", NULL};
    static const char *const types[] = {"discrete", "continuous", NULL};
    int beta = (int)c->betas, spacing = (int)c->spacing;
    int prediction = (int)c->prediction, variance = (int)c->variance;
    int final = c->sigma_min_last, logs = c->log_linear, type = c->continuous;

    DFX_TRY(read_word(config, "beta_schedule", betas, &beta, err));
    DFX_TRY(read_word(config, "timestep_spacing", spacings, &spacing, err));
    DFX_TRY(
        read_word(config, "prediction_type", predictions, &prediction, err));
    DFX_TRY(read_word(config, "variance_type", variances, &variance, err));
    DFX_TRY(read_word(config, "final_sigmas_type", finals, &final, err));
    DFX_TRY(
        read_word(config, "interpolation_type", interpolations, &logs, err));
    DFX_TRY(read_word(config, "timestep_type", types, &type, err));
    c->betas = (dfx_beta_schedule)beta;
    c->spacing = (dfx_spacing)spacing;
    c->prediction = (dfx_prediction)prediction;
    c->variance = (dfx_variance)variance;
    c->sigma_min_last = final == 1;
    c->log_linear = logs == 1;
    c->continuous = type == 1 && c->prediction == DFX_PREDICTION_V;
    return DFX_OK;
}

static dfx_status
read_numbers(const cJSON *config, dfx_schedule *c, dfx_error *err)
{
    double train = 1000, offset = 0;

    DFX_TRY(
        read_number(config, "num_train_timesteps", 2, MOST_TRAIN, &train, err));
    DFX_TRY(read_number(config, "steps_offset", 0, MOST_TRAIN, &offset, err));
    DFX_TRY(read_number(config, "beta_start", 0, 1, &c->beta_start, err));
    DFX_TRY(read_number(config, "beta_end", 0, 1, &c->beta_end, err));
    DFX_TRY(
        read_number(config, "clip_sample_range", 0, 1e6, &c->clip_range, err));
    DFX_TRY(read_number(config, "dynamic_thresholding_ratio", 0, 1,
                        &c->threshold_ratio, err));
    DFX_TRY(read_number(config, "sample_max_value", 0, 1e6, &c->threshold_max,
                        err));
    DFX_TRY(read_number(config, "sigma_min", 0, 1e6, &c->sigma_min, err));
    DFX_TRY(read_number(config, "sigma_max", 0, 1e6, &c->sigma_max, err));
    c->train = (uint32_t)train;
    c->offset = (int64_t)offset;
    return DFX_OK;
}

static dfx_status
read_config(const cJSON *config, dfx_schedule *c, dfx_error *err)
{
    bool karras = false, exponential = false, beta = false;

    c->clip_range = 1;
    c->threshold_ratio = 0.995;
    c->threshold_max = 1;
    c->sigma_min = c->sigma_max = NAN;
    DFX_TRY(read_words(config, c, err));
    DFX_TRY(read_numbers(config, c, err));
    read_flag(config, "clip_sample", &c->clips);
    read_flag(config, "thresholding", &c->thresholds);
    read_flag(config, "set_alpha_to_one", &c->alpha_one);
    read_flag(config, "rescale_betas_zero_snr", &c->zero_snr);
    read_flag(config, "skip_prk_steps", &c->skip_prk);
    read_flag(config, "use_karras_sigmas", &karras);
    read_flag(config, "use_exponential_sigmas", &exponential);
    read_flag(config, "use_beta_sigmas", &beta);
    if (karras + exponential + beta > 1)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "more than one of use_karras_sigmas, "
                        "use_exponential_sigmas and use_beta_sigmas");
    c->respacing = karras        ? DFX_RESPACING_KARRAS
                   : exponential ? DFX_RESPACING_EXPONENTIAL
                   : beta        ? DFX_RESPACING_BETA
                                 : DFX_RESPACING_NONE;
    return DFX_OK;
}

/* trained_betas: numbers from 0 to 1, as many as there are timesteps then. */
static dfx_status
read_trained(const cJSON *config, dfx_schedule *c, const cJSON **trained,
             dfx_error *err)
{
    const cJSON *list = dfx_doc_get(config, "trained_betas"), *item;
    int count = cJSON_GetArraySize(list);

    if (!cJSON_IsArray(list))
        return DFX_OK;
    if (count < 2 || count > MOST_TRAIN)
        return fail_value("trained_betas", "a list of that length", err);
    cJSON_ArrayForEach(item, list)
    {
        double beta = 0;

        if (!dfx_doc_number(item, &beta) || !(beta >= 0 && beta <= 1))
            return fail_value("trained_betas", "no number from 0 to 1", err);
    }
    c->train = (uint32_t)count;
    *trained = list;
    return DFX_OK;
}

dfx_status
dfx_scheduler_new(const cJSON *config, const char *class_name,
                  dfx_scheduler **out, dfx_error *err)
{
    const dfx_scheduler_kind *kind = NULL;
    const cJSON *trained = NULL;
    dfx_scheduler *s;
    dfx_status status;

    if (class_name == NULL)
        class_name = dfx_doc_string(config, "_class_name");
    if (class_name == NULL)
        return fail_value("_class_name", "not there", err);
    for (size_t i = 0; (kind = dfx_scheduler_kind_at(i)) != NULL; i++)
        if (strcmp(kind->name, class_name) == 0)
            break;
    if (kind == NULL)
        return fail_value("_class_name", class_name, err);
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return dfx_fail_nomem(err);
    s->kind = kind;
    s->config = kind->defaults;
    status = read_config(config, &s->config, err);
    if (status == DFX_OK)
        status = read_trained(config, &s->config, &trained, err);
    if (status == DFX_OK)
        status = dfx_alphas_make(s, trained, err);
    if (status != DFX_OK) {
        dfx_scheduler_free(s);
        return status;
    }
    /* Where sigmas are roots of alphas none may be infinite. */
    if (s->config.zero_snr && (kind == &dfx_scheduler_euler ||
                               kind == &dfx_scheduler_euler_ancestral))
        s->alphas[s->config.train - 1] = 0x1p-24F;
    *out = s;
    return DFX_OK;
}

void
dfx_scheduler_free(dfx_scheduler *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < DFX_KEPT; i++)
        free(s->kept[i]);
    free(s->alphas);
    free(s->timesteps);
    free(s->sigmas);
    free(s);
}

/* ---- A run
 * ------------------------------------------------------------------------- */

dfx_status
dfx_scheduler_set(dfx_scheduler *s, uint64_t steps, dfx_error *err)
{
    dfx_status status;

    if (steps < 1 || steps > MOST_STEPS || steps > s->config.train)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "a run has from 1 to %u steps",
                        s->config.train < MOST_STEPS ? s->config.train
                                                     : (unsigned)MOST_STEPS);
    s->count = s->sigma_count = s->at = s->kept_count = 0;
    s->steps = (uint32_t)steps;
    status = s->kind->set(s, (uint32_t)steps, err);
    for (size_t i = 0; i < s->count && status == DFX_OK; i++)
        if (!s->config.continuous && s->timesteps[i] >= s->config.train)
            status = dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                              "steps_offset leads beyond the last timestep");
    return status;
}

const double *
dfx_scheduler_timesteps(const dfx_scheduler *s, size_t *count)
{
    *count = s->count;
    return s->timesteps;
}

const float *
dfx_scheduler_sigmas(const dfx_scheduler *s, size_t *count)
{
    *count = s->sigma_count;
    return s->sigmas;
}

double
dfx_scheduler_initial(const dfx_scheduler *s)
{
    return s->initial;
}

double
dfx_scheduler_scale(const dfx_scheduler *s)
{
    double sigma;

    if (!s->scales || s->at >= s->sigma_count)
        return 1;
    sigma = (double)s->sigmas[s->at];
    return 1 / sqrt(sigma * sigma + 1);
}

void
dfx_step_options_init(dfx_step_options *options)
{
    *options = (dfx_step_options){.s_tmax = HUGE_VAL, .s_noise = 1, .order = 4};
}

dfx_status
dfx_scheduler_step(dfx_scheduler *s, const float *model, float *sample,
                   size_t batch, size_t size, const dfx_step_options *options,
                   dfx_noise_fn *noise, void *context, dfx_error *err)
{
    dfx_step_options defaults;
    dfx_call call = {
        .model = model,
        .sample = sample,
        .batch = batch,
        .size = size,
        .count = batch * size,
        .options = options,
        .noise = noise,
        .context = context,
        .err = err,
    };

    dfx_step_options_init(&defaults);
    if (options == NULL)
        call.options = &defaults;
    if (s->at >= s->count)
        return dfx_fail_usage(err, "all steps of the run were made");
    DFX_TRY(s->kind->step(s, &call));
    s->at++;
    return DFX_OK;
}
