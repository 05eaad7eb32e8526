/*
 * scheduler.h - from noise to a picture, step by step: diffusers' schedulers
 *
 * diffusers 0.42.1 (schedulers/). Tables are what its float32 arithmetic gives;
 * steps are computed in double on them and stored as floats.
 */
#ifndef DFX_SCHEDULER_H
#define DFX_SCHEDULER_H

#include <cjson/cJSON.h>

#include "error.h"

typedef struct dfx_scheduler dfx_scheduler;

/* What step calls may say besides (eta of DDIM, s_churn of Euler ...). */
typedef struct dfx_step_options {
    double eta;                              /* NaN: the default of the class */
    bool use_clipped;                        /* use_clipped_model_output */
    double s_churn, s_tmin, s_tmax, s_noise; /* of EulerDiscrete, EDMEuler */
    unsigned order;                          /* of LMS */
} dfx_step_options;

/* As the step functions have them by default. */
void dfx_step_options_init(dfx_step_options *options);

/* Normal numbers, count of them, as the scheduler asks for them. */
typedef dfx_status dfx_noise_fn(void *context, float *out, size_t count,
                                dfx_error *err);

/*
 * A scheduler of scheduler_config.json; class_name wins over what that says, or
 * is NULL. Rule SCHEDULER for a class or a value that is not known, and for
 * sizes that no schedule has. *out is owned.
 */
DFX_CHECKED dfx_status dfx_scheduler_new(const cJSON *config,
                                         const char *class_name,
                                         dfx_scheduler **out, dfx_error *err);
void dfx_scheduler_free(dfx_scheduler *scheduler); /* NULL is fine */

/* What set_timesteps may be told besides. */
typedef struct dfx_schedule_options {
    double strength; /* of LCM and TCD */
    double mu;       /* of use_dynamic_shifting; NaN: not said */
    const double
        *sigmas; /* borrowed: one a step, of FlowMatch; NULL: its own */
} dfx_schedule_options;

void dfx_schedule_options_init(dfx_schedule_options *options);

/* set_timesteps; options may be NULL. Rule SCHEDULER for a number of steps that
   the schedule has not. */
DFX_CHECKED dfx_status dfx_scheduler_set(dfx_scheduler *scheduler,
                                         uint64_t steps, dfx_error *err);
DFX_CHECKED dfx_status
dfx_scheduler_set_with(dfx_scheduler *scheduler, uint64_t steps,
                       const dfx_schedule_options *options, dfx_error *err);
/* set_begin_index: the next call is that one, below the number of calls, and
   knows nothing of calls before. */
DFX_CHECKED dfx_status dfx_scheduler_begin(dfx_scheduler *scheduler,
                                           size_t index, dfx_error *err);
/* Calls a step: 1 or 2. */
unsigned dfx_scheduler_order(const dfx_scheduler *scheduler);
/* num_train_timesteps */
uint32_t dfx_scheduler_train_steps(const dfx_scheduler *scheduler);
/* Whether the step function has an argument generator, or eta: pipelines hand
   them to no others. */
bool dfx_scheduler_takes_generator(const dfx_scheduler *scheduler);
bool dfx_scheduler_takes_eta(const dfx_scheduler *scheduler);
/* The calls that a run makes, and the timestep of each. */
const double *dfx_scheduler_timesteps(const dfx_scheduler *scheduler,
                                      size_t *count);
/* Sigmas with the final one; none: count 0. */
const float *dfx_scheduler_sigmas(const dfx_scheduler *scheduler,
                                  size_t *count);
double dfx_scheduler_initial(const dfx_scheduler *scheduler);
/* What the next call's sample is multiplied by before the model sees it. */
double dfx_scheduler_scale(const dfx_scheduler *scheduler);

/* add_noise at the level of call at, which is below their number: count numbers
   of each; out may be original. */
DFX_CHECKED dfx_status dfx_scheduler_add_noise(const dfx_scheduler *scheduler,
                                               size_t at, const float *original,
                                               const float *noise, float *out,
                                               size_t count, dfx_error *err);

/*
 * One call: sample becomes the next one. Both have batch times size numbers;
 * thresholds are of a sample of size. options may be NULL.
 */
DFX_CHECKED dfx_status dfx_scheduler_step(dfx_scheduler *scheduler,
                                          const float *model, float *sample,
                                          size_t batch, size_t size,
                                          const dfx_step_options *options,
                                          dfx_noise_fn *noise, void *context,
                                          dfx_error *err);

/*
 * The class (static) of a sampler's name in AUTOMATIC1111's web UI or in
 * k-diffusion ("DPM++ 2M Karras", "Euler a"; case does not matter), or of a
 * class's name with or without "Scheduler"; the options that belong to it are
 * set in config, an object. NULL: the reference has none, or memory ran out.
 */
const char *dfx_scheduler_a1111(const char *name, cJSON *config);
/* dfx_scheduler_new by such a name, or by what config says if that is NULL;
   changes config. ERR_USAGE for a name that is not known. */
DFX_CHECKED dfx_status dfx_scheduler_named(cJSON *config, const char *name,
                                           dfx_scheduler **out, dfx_error *err);

#endif
