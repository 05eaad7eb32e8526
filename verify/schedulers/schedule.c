/*
 * schedule.c - scheduler_config.json, with the defaults of a class
 */
#include <config.h>

#include <math.h>
#include <string.h>

#include "document.h"
#include "schedulers/kind.h"

enum { MOST_TRAIN = 1000000 }; /* timesteps: a thousand is usual */

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
read_words(const cJSON *config, unsigned takes, dfx_schedule *c, dfx_error *err)
{
    static const char *const betas[] = {
        "linear", "scaled_linear", "squaredcos_cap_v2", "exp", "sigmoid", NULL};
    static const char *const spacings[] = {"linspace", "leading", "trailing",
                                           NULL};
    static const char *const predictions[] = {
        "epsilon", "sample", "v_prediction", "flow_prediction", NULL};
    static const char *const variances[] = {"fixed_small", "fixed_small_log",
                                            "fixed_large", NULL};
    static const char *const finals[] = {"zero", "sigma_min", NULL};
    static const char *const interpolations[] = {"linear", "log_linear", NULL};
    static const char *const types[] = {"discrete", "continuous", NULL};
    static const char *const algorithms[] = {
        "dpmsolver++",   "dpmsolver", "sde-dpmsolver++",
        "sde-dpmsolver", "deis",      NULL};
    static const char *const solvers[] = {"midpoint", "heun", "logrho",
                                          "bh1",      "bh2",  NULL};
    static const char *const shifts[] = {"exponential", "linear", NULL};
    static const char *const ramps[] = {"karras", "exponential", NULL};
    int algorithm = (int)c->algorithm, solver = (int)c->solver;
    int shift = c->linear_shift, ramp = c->exponential;
    int beta = (int)c->betas, spacing = (int)c->spacing;
    int prediction = (int)c->prediction, variance = (int)c->variance;
    int final = c->sigma_min_last, logs = c->log_linear, type = c->continuous;

    DFX_TRY(read_word(config, "beta_schedule", betas, &beta, err));
    DFX_TRY(read_word(config, "timestep_spacing", spacings, &spacing, err));
    DFX_TRY(
        read_word(config, "prediction_type", predictions, &prediction, err));
    if ((takes & DFX_TAKES_VARIANCE) != 0)
        DFX_TRY(read_word(config, "variance_type", variances, &variance, err));
    DFX_TRY(read_word(config, "final_sigmas_type", finals, &final, err));
    DFX_TRY(
        read_word(config, "interpolation_type", interpolations, &logs, err));
    DFX_TRY(read_word(config, "timestep_type", types, &type, err));
    DFX_TRY(read_word(config, "algorithm_type", algorithms, &algorithm, err));
    DFX_TRY(read_word(config, "solver_type", solvers, &solver, err));
    DFX_TRY(read_word(config, "time_shift_type", shifts, &shift, err));
    DFX_TRY(read_word(config, "sigma_schedule", ramps, &ramp, err));
    c->algorithm = (dfx_algorithm)algorithm;
    c->solver = (dfx_solver_type)solver;
    c->linear_shift = shift == 1;
    c->exponential = ramp == 1;
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
    double train = 1000, offset = 0, order = c->solver_order;
    double original = 50;

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
    DFX_TRY(read_number(config, "sigma_min", 1e-10, 1e6, &c->sigma_min, err));
    DFX_TRY(read_number(config, "sigma_max", 1e-10, 1e6, &c->sigma_max, err));
    DFX_TRY(read_number(config, "solver_order", 1, 3, &order, err));
    DFX_TRY(read_number(config, "flow_shift", 1e-6, 1e6, &c->flow_shift, err));
    DFX_TRY(read_number(config, "shift", 1e-6, 1e6, &c->shift, err));
    DFX_TRY(
        read_number(config, "shift_terminal", 0, 1, &c->shift_terminal, err));
    DFX_TRY(read_number(config, "lambda_min_clipped", -HUGE_VAL, HUGE_VAL,
                        &c->lambda_min, err));
    DFX_TRY(read_number(config, "original_inference_steps", 1, MOST_TRAIN,
                        &original, err));
    DFX_TRY(read_number(config, "timestep_scaling", 0, 1e6,
                        &c->timestep_scaling, err));
    DFX_TRY(read_number(config, "sigma_data", 1e-6, 1e6, &c->sigma_data, err));
    DFX_TRY(read_number(config, "rho", 1e-3, 1e3, &c->rho, err));
    c->solver_order = (unsigned)order;
    c->original = (uint32_t)original;
    c->train = (uint32_t)train;
    c->offset = (int64_t)offset;
    return DFX_OK;
}

static dfx_status
read_respacing(const cJSON *config, unsigned takes, dfx_schedule *c,
               dfx_error *err)
{
    bool karras = false, exponential = false, beta = false, lu = false;
    bool flow = false;

    if ((takes & DFX_TAKES_RESPACING) != 0) {
        read_flag(config, "use_karras_sigmas", &karras);
        read_flag(config, "use_exponential_sigmas", &exponential);
        read_flag(config, "use_beta_sigmas", &beta);
    }
    if ((takes & DFX_TAKES_LU) != 0)
        read_flag(config, "use_lu_lambdas", &lu);
    if ((takes & DFX_TAKES_FLOW) != 0)
        read_flag(config, "use_flow_sigmas", &flow);
    if (karras + exponential + beta + lu + flow > 1)
        return dfx_fail(err, DFX_RULE_SCHEDULER, DFX_NO_OFFSET,
                        "more than one of use_karras_sigmas, "
                        "use_exponential_sigmas, use_beta_sigmas, "
                        "use_lu_lambdas and use_flow_sigmas");
    c->respacing = karras        ? DFX_RESPACING_KARRAS
                   : exponential ? DFX_RESPACING_EXPONENTIAL
                   : beta        ? DFX_RESPACING_BETA
                   : lu          ? DFX_RESPACING_LU
                   : flow        ? DFX_RESPACING_FLOW
                                 : DFX_RESPACING_NONE;
    return DFX_OK;
}

/* disable_corrector: a list of calls. */
static dfx_status
read_uncorrected(const cJSON *config, dfx_schedule *c, dfx_error *err)
{
    const cJSON *list = dfx_doc_get(config, "disable_corrector"), *item;

    if (list == NULL || cJSON_IsNull(list))
        return DFX_OK;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > DFX_UNCORRECTED)
        return fail_value("disable_corrector", "no list of at most 64", err);
    cJSON_ArrayForEach(item, list)
    {
        int64_t call = 0;

        if (!dfx_doc_int(item, &call) || call < 0 || call > UINT32_MAX)
            return fail_value("disable_corrector", "no list of calls", err);
        c->uncorrected[c->uncorrected_count++] = (uint32_t)call;
    }
    return DFX_OK;
}

/* Options that the class does not have are as if they were not there. */
static dfx_status
judge(const dfx_scheduler_kind *kind, const dfx_schedule *before,
      dfx_schedule *c, dfx_error *err)
{
    unsigned takes = kind->takes;

    if ((takes & DFX_TAKES_CLIP) == 0)
        c->clips = false;
    if ((takes & DFX_TAKES_THRESHOLD) == 0)
        c->thresholds = false;
    if ((takes & DFX_TAKES_ZERO_SNR) == 0)
        c->zero_snr = false;
    if ((takes & DFX_TAKES_FINAL) == 0)
        c->sigma_min_last = before->sigma_min_last;
    if ((takes & DFX_TAKES_TIMES) == 0)
        c->log_linear = c->continuous = false;
    if ((takes & DFX_TAKES_VELOCITY) != 0)
        return DFX_OK;
    if (c->prediction == DFX_PREDICTION_FLOW && (takes & DFX_TAKES_FLOW) == 0)
        return fail_value("prediction_type",
                          "flow_prediction, which this class has not", err);
    if (c->prediction == DFX_PREDICTION_SAMPLE &&
        (takes & DFX_TAKES_SAMPLE) == 0)
        return fail_value("prediction_type", "sample, which this class has not",
                          err);
    return DFX_OK;
}

static dfx_status
read_config(const cJSON *config, const dfx_scheduler_kind *kind,
            dfx_schedule *c, dfx_error *err)
{
    dfx_schedule before;
    bool predicts = true;

    *c = kind->defaults;
    c->clip_range = c->threshold_max = c->flow_shift = c->shift = 1;
    c->threshold_ratio = 0.995;
    c->lambda_min = -HUGE_VAL;
    c->timestep_scaling = 10;
    c->solver_order = 2;
    c->rho = 7;
    c->sigma_data = 0.5;
    if (c->sigma_max == 0)
        c->sigma_min = c->sigma_max = (double)NAN;
    before = *c;
    DFX_TRY(read_words(config, kind->takes, c, err));
    DFX_TRY(read_numbers(config, c, err));
    read_flag(config, "clip_sample", &c->clips);
    read_flag(config, "thresholding", &c->thresholds);
    read_flag(config, "set_alpha_to_one", &c->alpha_one);
    read_flag(config, "rescale_betas_zero_snr", &c->zero_snr);
    read_flag(config, "skip_prk_steps", &c->skip_prk);
    read_flag(config, "lower_order_final", &c->lower_final);
    read_flag(config, "euler_at_final", &c->euler_final);
    read_flag(config, "use_dynamic_shifting", &c->dynamic);
    read_flag(config, "invert_sigmas", &c->inverted);
    read_flag(config, "stochastic_sampling", &c->stochastic);
    read_flag(config, "predict_x0", &predicts);
    c->predict_eps = !predicts;
    DFX_TRY(read_respacing(config, kind->takes, c, err));
    DFX_TRY(read_uncorrected(config, c, err));
    return judge(kind, &before, c, err);
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
dfx_schedule_read(const cJSON *config, const dfx_scheduler_kind *kind,
                  dfx_schedule *schedule, const cJSON **trained, dfx_error *err)
{
    DFX_TRY(read_config(config, kind, schedule, err));
    return read_trained(config, schedule, trained, err);
}
