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
    DFX_PREDICTION_V,
    DFX_PREDICTION_FLOW
} dfx_prediction;

typedef enum dfx_respacing {
    DFX_RESPACING_NONE,
    DFX_RESPACING_KARRAS,
    DFX_RESPACING_EXPONENTIAL,
    DFX_RESPACING_BETA,
    DFX_RESPACING_LU,
    DFX_RESPACING_FLOW
} dfx_respacing;

typedef enum dfx_variance {
    DFX_VARIANCE_SMALL,
    DFX_VARIANCE_SMALL_LOG,
    DFX_VARIANCE_LARGE
} dfx_variance;

typedef enum dfx_algorithm {
    DFX_DPM_PLUS,     /* dpmsolver++ */
    DFX_DPM,          /* dpmsolver */
    DFX_DPM_SDE_PLUS, /* sde-dpmsolver++ */
    DFX_DPM_SDE,      /* sde-dpmsolver */
    DFX_DPM_DEIS      /* as dpmsolver++ */
} dfx_algorithm;

typedef enum dfx_solver_type {
    DFX_SOLVER_MIDPOINT,
    DFX_SOLVER_HEUN,
    DFX_SOLVER_LOGRHO,
    DFX_SOLVER_BH1,
    DFX_SOLVER_BH2
} dfx_solver_type;

/* How noise is mixed in: by alpha, added by sigma, of a sigma that is both, or
   of a flow. */
typedef enum dfx_mixing {
    DFX_MIXES_BY_ALPHA,
    DFX_MIXES_BY_SIGMA,
    DFX_MIXES_BY_BOTH,
    DFX_MIXES_BY_FLOW
} dfx_mixing;

/* Options that not all classes have: those of a config for another class stay
   without effect, as in the reference. */
enum {
    DFX_TAKES_CLIP = 1,
    DFX_TAKES_THRESHOLD = 2,
    DFX_TAKES_ZERO_SNR = 4,
    DFX_TAKES_TINY_LAST = 8, /* ... and the last alpha is 2^-24 then */
    DFX_TAKES_FINAL = 16,    /* final_sigmas_type */
    DFX_TAKES_RESPACING = 32,
    DFX_TAKES_LU = 64,
    DFX_TAKES_FLOW = 128, /* use_flow_sigmas, flow_prediction */
    DFX_TAKES_GENERATOR = 256,
    DFX_TAKES_ETA = 512,
    DFX_TAKES_TIMES = 1024,  /* interpolation_type, timestep_type */
    DFX_TAKES_SAMPLE = 2048, /* prediction_type sample */
    DFX_TAKES_VARIANCE = 4096,
    DFX_TAKES_VELOCITY = 8192 /* the model says nothing else */
};

enum { DFX_UNCORRECTED = 64 };

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
    dfx_algorithm algorithm;
    dfx_solver_type solver;
    unsigned solver_order;
    bool lower_final, euler_final, predict_eps, dynamic, linear_shift;
    double flow_shift, shift, shift_terminal, lambda_min;
    bool inverted, stochastic; /* invert_sigmas, stochastic_sampling */
    uint32_t uncorrected[DFX_UNCORRECTED]; /* disable_corrector */
    size_t uncorrected_count;
    uint32_t original; /* original_inference_steps */
    double timestep_scaling, sigma_data, rho;
    bool exponential; /* sigma_schedule */
} dfx_schedule;

enum { DFX_KEPT = 6 }; /* arrays of a sample that a class keeps, at most */

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
    unsigned takes;
    unsigned calls; /* a step; 0 is 1 */
    dfx_mixing mixing;
    double eta;
    bool free_times; /* timesteps are no places in the tables */
    /* Timesteps, sigmas and initial of so many steps. */
    dfx_status (*set)(dfx_scheduler *s, uint32_t steps, dfx_error *err);
    dfx_status (*step)(dfx_scheduler *s, const dfx_call *call);
    /* NULL: the model sees samples as they are. */
    double (*scale)(const dfx_scheduler *s);
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
    dfx_schedule_options run; /* of the schedule */
    double initial;
    size_t at;             /* the next call */
    size_t first;          /* the call that the run began with */
    float *kept[DFX_KEPT]; /* owned: what a class keeps from call to call */
    size_t kept_size, kept_count;
};

/* The classes; NULL past the last. */
const dfx_scheduler_kind *dfx_scheduler_kind_at(size_t i);

/* ---- The config (schedule.c)
 * ------------------------------------------------- */

/* *trained: the list trained_betas, borrowed, or left alone. */
DFX_CHECKED dfx_status dfx_schedule_read(const cJSON *config,
                                         const dfx_scheduler_kind *kind,
                                         dfx_schedule *schedule,
                                         const cJSON **trained, dfx_error *err);

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
/* The sigma at a timestep, between the table's. */
double dfx_sigma_between(const dfx_scheduler *s, double t);
/* Sigma i of count from most to least, as config says. */
double dfx_sigma_respaced(const dfx_schedule *c, double most, double least,
                          uint32_t count, uint32_t i);
/* set of classes that add noise by sigma: timesteps, sigmas with the final one,
   and initial. */
DFX_CHECKED dfx_status dfx_sigma_schedule(dfx_scheduler *s, uint32_t steps,
                                          dfx_error *err);
/* Each step but the last becomes two calls: timesteps and sigmas but the first
   are there twice, and the final sigma once. */
DFX_CHECKED dfx_status dfx_double_calls(dfx_scheduler *s, dfx_error *err);
/* 1 / sqrt(sigma^2 + 1) at the next call. */
double dfx_sigma_scale(const dfx_scheduler *s);
/* The timestep of a sigma, between the table's. */
double dfx_sigma_timestep(const dfx_scheduler *s, double sigma);

/* ---- Steps (steps.c)
 * --------------------------------------------------------- */

/* Room for the arrays that a class keeps. */
DFX_CHECKED dfx_status dfx_keep_room(dfx_scheduler *s, const dfx_call *call,
                                     size_t arrays);
/* The last array becomes the first, and the others move up: a new place 0. */
void dfx_keep_turn(dfx_scheduler *s, size_t arrays);
/* Normal numbers for a call, into a new array: free() it. */
DFX_CHECKED dfx_status dfx_draw(const dfx_call *call, float **noise);
/* Clips or thresholds as config says. */
void dfx_restrict(const dfx_scheduler *s, const dfx_call *call, float *x0);
/*
 * What the model says the picture is, from samples that alpha and sigma mix
 * (alpha x0 + sigma eps), clipped or thresholded as config says. In the sigma
 * form alpha is 1 and v is that of a sample scaled by sqrt(sigma^2 + 1).
 */
void dfx_predict(const dfx_scheduler *s, const dfx_call *call, double alpha,
                 double sigma, float *x0);
void dfx_predict_sigma(const dfx_scheduler *s, const dfx_call *call,
                       double sigma, double sigma_of_v, float *x0);

/* ---- Solvers (solver.c)
 * ------------------------------------------------------ */

/* Where a sigma is: alpha x0 + sigma eps, and log alpha - log sigma. */
typedef struct dfx_point {
    double alpha, sigma, lambda;
} dfx_point;

dfx_point dfx_point_at(const dfx_scheduler *s, size_t i);
/* Timesteps and sigmas of DPM-Solver, UniPC and DEIS. */
DFX_CHECKED dfx_status dfx_solver_space(dfx_scheduler *s, uint32_t steps,
                                        dfx_error *err);
/* Their final sigma: 0, or the least of the table; with repeats the last one
   again where sigmas were spaced anew. */
DFX_CHECKED dfx_status dfx_solver_end(dfx_scheduler *s, bool repeats,
                                      dfx_error *err);
/* As a cast to int64 on x86-64 makes it. */
double dfx_timestep_cut(double t);
/* What the model says, as x0 or as eps. */
void dfx_solver_predict(const dfx_scheduler *s, const dfx_call *call, bool eps,
                        float *out);
/* The same into a new place 0 of as many arrays as
   the solver's order, and kept_count grows to that. */
DFX_CHECKED dfx_status dfx_solver_keep(dfx_scheduler *s, const dfx_call *call,
                                       bool eps);

/* The step of DPM-Solver in several steps from what was kept (dpm.c). */
DFX_CHECKED dfx_status dfx_dpm_advance(dfx_scheduler *s, const dfx_call *call);

/* ---- Euler's method (euler.c)
 * ------------------------------------------------ */

/* s_churn: noise is added to the sample, and *hat is its sigma then. */
DFX_CHECKED dfx_status dfx_churn(const dfx_scheduler *s, const dfx_call *call,
                                 double *hat);
/* On to the next sigma. */
void dfx_euler_advance(const dfx_scheduler *s, const dfx_call *call, double hat,
                       const float *x0);

#endif
