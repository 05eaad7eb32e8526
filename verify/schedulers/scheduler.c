/*
 * scheduler.c - the classes, and runs of them
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "schedulers/kind.h"

enum { MOST_STEPS = 100000 };

extern const dfx_scheduler_kind dfx_scheduler_ddpm, dfx_scheduler_ddim,
    dfx_scheduler_euler, dfx_scheduler_euler_ancestral, dfx_scheduler_heun,
    dfx_scheduler_lms, dfx_scheduler_pndm, dfx_scheduler_kdpm2,
    dfx_scheduler_kdpm2_ancestral, dfx_scheduler_dpm_multi,
    dfx_scheduler_dpm_single, dfx_scheduler_unipc, dfx_scheduler_deis,
    dfx_scheduler_lcm, dfx_scheduler_tcd, dfx_scheduler_edm_euler,
    dfx_scheduler_edm_dpm, dfx_scheduler_flow_euler, dfx_scheduler_flow_heun;

const dfx_scheduler_kind *
dfx_scheduler_kind_at(size_t i)
{
    static const dfx_scheduler_kind *const kinds[] = {
        &dfx_scheduler_ddim,
        &dfx_scheduler_ddpm,
        &dfx_scheduler_euler,
        &dfx_scheduler_euler_ancestral,
        &dfx_scheduler_heun,
        &dfx_scheduler_lms,
        &dfx_scheduler_pndm,
        &dfx_scheduler_kdpm2,
        &dfx_scheduler_kdpm2_ancestral,
        &dfx_scheduler_dpm_multi,
        &dfx_scheduler_dpm_single,
        &dfx_scheduler_unipc,
        &dfx_scheduler_deis,
        &dfx_scheduler_lcm,
        &dfx_scheduler_tcd,
        &dfx_scheduler_edm_euler,
        &dfx_scheduler_edm_dpm,
        &dfx_scheduler_flow_euler,
        &dfx_scheduler_flow_heun,
    };

    return i < sizeof kinds / sizeof kinds[0] ? kinds[i] : NULL;
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
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "the scheduler's class is not said");
    for (size_t i = 0; (kind = dfx_scheduler_kind_at(i)) != NULL; i++)
        if (strcmp(kind->name, class_name) == 0)
            break;
    if (kind == NULL)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "the class %.64s is not known", class_name);
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return dfx_fail_nomem(err);
    s->kind = kind;
    status = dfx_schedule_read(config, kind, &s->config, &trained, err);
    if (status == DFX_OK)
        status = dfx_alphas_make(s, trained, err);
    if (status != DFX_OK) {
        dfx_scheduler_free(s);
        return status;
    }
    /* Where sigmas are roots of alphas none may be infinite. */
    if (s->config.zero_snr && (kind->takes & DFX_TAKES_TINY_LAST) != 0)
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

/* What was kept of calls is dropped. */
static void
forget(dfx_scheduler *s, size_t index)
{
    for (size_t i = 0; i < DFX_KEPT; i++)
        if (s->kept[i] != NULL)
            memset(s->kept[i], 0, s->kept_size * sizeof *s->kept[i]);
    s->kept_count = 0;
    s->at = s->first = index;
}

void
dfx_schedule_options_init(dfx_schedule_options *options)
{
    *options = (dfx_schedule_options){.strength = 1, .mu = (double)NAN};
}

dfx_status
dfx_scheduler_set_with(dfx_scheduler *s, uint64_t steps,
                       const dfx_schedule_options *options, dfx_error *err)
{
    dfx_status status;

    if (steps < 1 || steps > MOST_STEPS || steps > s->config.train)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "a run has from 1 to %u steps",
                        s->config.train < MOST_STEPS ? s->config.train
                                                     : (unsigned)MOST_STEPS);
    dfx_schedule_options_init(&s->run);
    if (options != NULL)
        s->run = *options;
    s->count = s->sigma_count = 0;
    s->steps = (uint32_t)steps;
    forget(s, 0);
    status = s->kind->set(s, (uint32_t)steps, err);
    s->run.sigmas = NULL;
    for (size_t i = 0; i < s->count && status == DFX_OK; i++)
        if (!s->config.continuous && !s->kind->free_times &&
            s->timesteps[i] >= s->config.train)
            status = dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                              "steps_offset leads beyond the last timestep");
    if (status != DFX_OK)
        s->count = s->sigma_count = 0;
    return status;
}

dfx_status
dfx_scheduler_set(dfx_scheduler *s, uint64_t steps, dfx_error *err)
{
    return dfx_scheduler_set_with(s, steps, NULL, err);
}

dfx_status
dfx_scheduler_begin(dfx_scheduler *s, size_t index, dfx_error *err)
{
    if (index >= s->count)
        return dfx_fail_usage(err, "the run has %zu calls, none is number %zu",
                              s->count, index);
    forget(s, index);
    return DFX_OK;
}

unsigned
dfx_scheduler_order(const dfx_scheduler *s)
{
    return s->kind->calls == 2 ? 2 : 1;
}

uint32_t
dfx_scheduler_train_steps(const dfx_scheduler *s)
{
    return s->config.train;
}

bool
dfx_scheduler_takes_generator(const dfx_scheduler *s)
{
    return (s->kind->takes & DFX_TAKES_GENERATOR) != 0;
}

bool
dfx_scheduler_takes_eta(const dfx_scheduler *s)
{
    return (s->kind->takes & DFX_TAKES_ETA) != 0;
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
    return s->kind->scale == NULL || s->at >= s->count ? 1 : s->kind->scale(s);
}

dfx_status
dfx_scheduler_add_noise(const dfx_scheduler *s, size_t at,
                        const float *original, const float *noise, float *out,
                        size_t count, dfx_error *err)
{
    double signal = 1, level;

    if (at >= s->count)
        return dfx_fail_usage(err, "the run has %zu calls, none is number %zu",
                              s->count, at);
    if (s->kind->mixing == DFX_MIXES_BY_ALPHA) {
        double alpha = (double)s->alphas[(uint32_t)s->timesteps[at]];

        signal = sqrt(alpha);
        level = sqrt(1 - alpha);
    } else if (s->kind->mixing == DFX_MIXES_BY_SIGMA) {
        level = (double)s->sigmas[at];
    } else if (s->kind->mixing == DFX_MIXES_BY_FLOW) {
        level = (double)s->sigmas[at];
        signal = 1 - level;
    } else {
        dfx_point p = dfx_point_at(s, at);

        signal = p.alpha;
        level = p.sigma;
    }
    for (size_t i = 0; i < count; i++)
        out[i] =
            (float)(signal * (double)original[i] + level * (double)noise[i]);
    return DFX_OK;
}

void
dfx_step_options_init(dfx_step_options *options)
{
    *options = (dfx_step_options){
        .eta = (double)NAN, .s_tmax = HUGE_VAL, .s_noise = 1, .order = 4};
}

dfx_status
dfx_scheduler_step(dfx_scheduler *s, const float *model, float *sample,
                   size_t batch, size_t size, const dfx_step_options *options,
                   dfx_noise_fn *noise, void *context, dfx_error *err)
{
    dfx_step_options said;
    dfx_call call = {
        .model = model,
        .sample = sample,
        .batch = batch,
        .size = size,
        .count = batch * size,
        .options = &said,
        .noise = noise,
        .context = context,
        .err = err,
    };

    dfx_step_options_init(&said);
    if (options != NULL)
        said = *options;
    if (isnan(said.eta))
        said.eta = s->kind->eta;
    if (s->at >= s->count)
        return dfx_fail_usage(err, "all steps of the run were made");
    DFX_TRY(s->kind->step(s, &call));
    s->at++;
    return DFX_OK;
}
