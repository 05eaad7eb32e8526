/*
 * kind.h - what the classes of schedulers share
 */
#ifndef DFX_SCHEDULER_KIND_H
#define DFX_SCHEDULER_KIND_H

#include "schedulers/scheduler.h"

typedef enum dfx_beta_schedule {
    DFX_BETA_LINEAR,
    DFX_BETA_SCALED_LINEAR,
    DFX_BETA_COSINE,
    DFX_BETA_EXP,
    DFX_BETA_SIGMOID
} dfx_beta_schedule;

typedef enum dfx_spacing {
    DFX_SPACING_LINSPACE,
    DFX_SPACING_LEADING,
    DFX_SPACING_TRAILING
} dfx_spacing;

typedef enum dfx_prediction {
    DFX_PREDICTION_EPSILON,
    DFX_PREDICTION_SAMPLE,
    DFX_PREDICTION_V
} dfx_prediction;

typedef enum dfx_respacing {
    DFX_RESPACING_NONE,
    DFX_RESPACING_KARRAS,
    DFX_RESPACING_EXPONENTIAL,
    DFX_RESPACING_BETA
} dfx_respacing;

typedef enum dfx_variance {
    DFX_VARIANCE_SMALL,
    DFX_VARIANCE_SMALL_LOG,
    DFX_VARIANCE_LARGE
} dfx_variance;

/* Fields of scheduler_config.json, with the defaults of the class. */
typedef struct dfx_schedule {
    uint32_t train; /* num_train_timesteps */
    double beta_start, beta_end;
    dfx_beta_schedule betas;
    dfx_spacing spacing;
    int64_t offset; /* steps_offset */
    dfx_prediction prediction;
    dfx_respacing respacing;
    dfx_variance variance;
    bool clips, thresholds, alpha_one, zero_snr, skip_prk;
    bool sigma_min_last; /* final_sigmas_type sigma_min */
    bool log_linear, continuous;
    double clip_range, threshold_ratio, threshold_max;
    double sigma_min, sigma_max; /* NaN: those of the table */
} dfx_schedule;

enum { DFX_KEPT = 5 }; /* arrays of a sample that a class keeps, at most */

typedef struct dfx_call {
    const float *model;
    float *sample;
    size_t batch, size, count; /* count: batch * size */
    const dfx_step_options *options;
    dfx_noise_fn *noise;
    void *context;
    dfx_error *err;
} dfx_call;

typedef struct dfx_scheduler_kind {
    const char *name; /* of the class */
    dfx_schedule defaults;
    /* Timesteps, sigmas and initial of so many steps. */
    dfx_status (*set)(dfx_scheduler *s, uint32_t steps, dfx_error *err);
    dfx_status (*step)(dfx_scheduler *s, const dfx_call *call);
} dfx_scheduler_kind;

struct dfx_scheduler {
    const dfx_scheduler_kind *kind;
    dfx_schedule config;
    float *alphas; /* owned: alphas_cumprod, config.train of them */
    uint32_t steps;
    double *timesteps; /* owned */
    size_t count, capacity;
    float *sigmas; /* owned */
    size_t sigma_count, sigma_capacity;
    bool scales; /* the model sees samples by their sigma */
    double initial;
    size_t at;             /* the next call */
    float *kept[DFX_KEPT]; /* owned: what a class keeps from call to call */
    size_t kept_size, kept_count;
};

/* The classes; NULL past the last. */
const dfx_scheduler_kind *dfx_scheduler_kind_at(size_t i);

/* ---- Tables (tables.c) ------------------------------------------------------
 */

DFX_CHECKED dfx_status dfx_alphas_make(dfx_scheduler *s, const cJSON *trained,
                                       dfx_error *err);
/* Element i of torch.linspace(start, end, count), a float32. */
float dfx_linspace(float start, float end, uint32_t count, uint32_t i);
/* The sigma of a timestep's alpha. */
float dfx_sigma_at(const dfx_scheduler *s, uint32_t timestep);

DFX_CHECKED dfx_status dfx_timestep_add(dfx_scheduler *s, double t,
                                        dfx_error *err);
DFX_CHECKED dfx_status dfx_sigma_add(dfx_scheduler *s, float sigma,
                                     dfx_error *err);
/* Timesteps by config.spacing; with whole ones a linspace is rounded. */
DFX_CHECKED dfx_status dfx_timesteps_space(dfx_scheduler *s, uint32_t steps,
                                           bool whole, dfx_error *err);

/* ---- Sigmas (sigmas.c)
 * ------------------------------------------------------- */

/* Those of the timesteps, between the table's, spaced anew as config says, and
   then the timesteps that they have; without the final one. */
DFX_CHECKED dfx_status dfx_sigmas_space(dfx_scheduler *s, dfx_error *err);
/* The timestep of a sigma, between the table's. */
double dfx_sigma_timestep(const dfx_scheduler *s, double sigma);

/* ---- Steps (steps.c)
 * --------------------------------------------------------- */

/* Room for the arrays that a class keeps. */
DFX_CHECKED dfx_status dfx_keep_room(dfx_scheduler *s, const dfx_call *call,
                                     size_t arrays);
/* Normal numbers for a call, into a new array: free() it. */
DFX_CHECKED dfx_status dfx_draw(const dfx_call *call, float **noise);
/*
 * What the model says the picture is, from samples that alpha and sigma mix
 * (alpha x0 + sigma eps), clipped or thresholded as config says. In the sigma
 * form alpha is 1 and v is that of a sample scaled by sqrt(sigma^2 + 1).
 */
void dfx_predict(const dfx_scheduler *s, const dfx_call *call, double alpha,
                 double sigma, float *x0);
void dfx_predict_sigma(const dfx_scheduler *s, const dfx_call *call,
                       double sigma, double sigma_of_v, float *x0);

#endif
