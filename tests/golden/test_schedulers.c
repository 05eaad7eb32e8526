/*
 * test_schedulers.c - schedulers against the reference library
 *
 * tests/golden/schedulers/README.md says what the rows are, and what their
 * numbers may differ by.
 */
#include <config.h>

#include "schedulers/scheduler.h"

#include "document.h"
#include "golden.h"
#include "index.h"
#include "tap.h"

#include <math.h>

enum { CHANNEL = 64, SIZE = 4 * CHANNEL };

/* A run that is being checked. */
typedef struct run {
    char name[80];
    uint64_t seed;
    const cJSON *want; /* of timesteps.json */
    const cJSON *tolerance;
    dfx_scheduler *s;
    size_t draws;
    size_t stored; /* calls that were compared */
    bool rescaled; /* rescale_betas_zero_snr */
} run;

static dfx_index *trajectories;

static void
fill(const run *r, const char *name, float *out)
{
    for (size_t i = 0; i < SIZE; i++)
        out[i] = (float)golden_value(r->seed, name, i);
}

static dfx_status
draw(void *context, float *out, size_t count, dfx_error *err)
{
    run *r = context;
    char name[40];

    if (count != SIZE)
        return dfx_fail_usage(err, "a sample has %d numbers", SIZE);
    snprintf(name, sizeof name, "noise.%zu", r->draws++);
    fill(r, name, out);
    return DFX_OK;
}

static double
number(const cJSON *row, const char *key, double usual)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(row, key);

    return node != NULL ? node->valuedouble : usual;
}

/* Equal, both not a number, or within a part of what is wanted. */
static bool
near(double got, const cJSON *want, double part)
{
    if (cJSON_IsString(want)) /* "nan" */
        return isnan(got);
    return fabs(got - want->valuedouble) <= part * fabs(want->valuedouble);
}

/* What a sigma may differ by, as a part of it. torch's square root is off by a
   unit now and then, which rescale_betas_zero_snr carries into alphas_cumprod:
   two units of an alpha = 1 / (1 + sigma^2) move a sigma so much. */
static double
sigma_part(const run *r, double sigma)
{
    double square = sigma * sigma;

    if (!r->rescaled || square == 0)
        return 2e-6;
    return 2e-6 + 0x1p-23 * (1 + square) * (1 + square) / (2 * square);
}

static void
check_schedule(const run *r)
{
    const cJSON *sigma, *t;
    double part = 1e-9; /* of timesteps; more if some are no whole numbers */
    size_t count = 0, i = 0;
    const double *timesteps = dfx_scheduler_timesteps(r->s, &count);
    const float *sigmas;
    bool same = true;

    t = cJSON_GetObjectItem(r->want, "timesteps");
    same = count == (size_t)cJSON_GetArraySize(t);
    cJSON_ArrayForEach(sigma, t)
    {
        if (sigma->valuedouble != rint(sigma->valuedouble))
            part = 1e-4;
    }
    /* Found back in float32 there: logarithms up to 4 have steps of 2.4e-7, and
       the table's are as near as 0.003, of two such roundings. */
    if (strncmp(r->name, "KDPM2", 5) == 0)
        part = 2e-4;
    for (t = t->child; t != NULL && same; t = t->next, i++) {
        same = fabs(timesteps[i] - t->valuedouble) <= part;
        if (!same)
            printf("# timestep %zu is %.9g, not %.9g\n", i, timesteps[i],
                   t->valuedouble);
    }
    CHECK(same, "  timesteps");
    sigma = cJSON_GetObjectItem(r->want, "sigmas");
    if (sigma != NULL) {
        sigmas = dfx_scheduler_sigmas(r->s, &count);
        same = count == (size_t)cJSON_GetArraySize(sigma);
        i = 0;
        for (sigma = sigma->child; sigma != NULL && same;
             sigma = sigma->next, i++) {
            same = near((double)sigmas[i], sigma,
                        sigma_part(r, sigma->valuedouble));
            if (!same)
                printf("# sigma %zu is %.9g, not %.9g\n", i, (double)sigmas[i],
                       sigma->valuedouble);
        }
        CHECK(same, "  sigmas");
    }
    CHECK(near(dfx_scheduler_initial(r->s),
               cJSON_GetObjectItem(r->want, "init_noise_sigma"), 2e-6),
          "  the first noise's sigma");
}

/* The sample after that call is the stored one, if it is stored. */
static bool
compare(run *r, size_t call, const float *sample)
{
    const cJSON *stored = cJSON_GetObjectItem(r->tolerance, "stored_steps");
    const cJSON *limit = cJSON_GetObjectItem(r->tolerance, "atol");
    const dfx_tensor *t = dfx_index_find(trajectories, 0, r->name);
    int at = (int)r->stored;
    float want[CHANNEL];
    double most = 0;
    dfx_error err;

    if (at >= cJSON_GetArraySize(stored) || number_at(stored, at) != call)
        return true;
    if (t == NULL || dfx_extent_read(&t->data, r->stored * sizeof want, want,
                                     sizeof want, &err) != DFX_OK)
        return false;
    r->stored++;
    for (size_t i = 0; i < CHANNEL; i++) {
        double difference = fabs((double)sample[i] - (double)want[i]);

        /* A NaN counts, too. */
        most = difference <= most ? most : difference;
    }
    if (most <= cJSON_GetArrayItem(limit, at)->valuedouble)
        return true;
    printf("# call %zu differs by %g, %g is allowed\n", call, most,
           cJSON_GetArrayItem(limit, at)->valuedouble);
    return false;
}

static void
check_steps(run *r, const dfx_step_options *options)
{
    const cJSON *scales = cJSON_GetObjectItem(r->want, "input_scale");
    const cJSON *broken = cJSON_GetObjectItem(r->want, "nonfinite_from_step");
    bool near_all = true, scaled = true, stepped = true, is_number = true;
    size_t count = 0;
    float model[SIZE], sample[SIZE];
    dfx_error err;

    fill(r, "sample", sample);
    for (size_t i = 0; i < SIZE; i++)
        sample[i] = (float)((double)sample[i] * dfx_scheduler_initial(r->s));
    (void)dfx_scheduler_timesteps(r->s, &count);
    for (size_t i = 0; i < count; i++) {
        char name[40];

        if (scales != NULL)
            scaled = scaled && near(dfx_scheduler_scale(r->s),
                                    cJSON_GetArrayItem(scales, (int)i), 2e-6);
        else
            scaled = scaled && dfx_scheduler_scale(r->s) == 1;
        snprintf(name, sizeof name, "model_output.%zu", i);
        fill(r, name, model);
        stepped = dfx_scheduler_step(r->s, model, sample, 1, SIZE, options,
                                     draw, r, &err) == DFX_OK &&
                  stepped;
        near_all = compare(r, i, sample) && near_all;
        is_number = is_number && isfinite(sample[0]);
    }
    if (!CHECK(stepped, "  all calls are made"))
        printf("# %s\n", err.text);
    CHECK(scaled, "  what the model sees");
    CHECK(near_all, "  the samples");
    CHECK_U64(r->draws, (uint64_t)number(r->want, "draws", 0), "  draws");
    CHECK_U64(r->stored,
              (uint64_t)cJSON_GetArraySize(
                  cJSON_GetObjectItem(r->tolerance, "stored_steps")),
              "  all that are stored were compared");
    if (broken != NULL)
        CHECK(!is_number, "  no number, as there");
}

static void
read_options(const cJSON *row, dfx_step_options *options)
{
    const cJSON *step = cJSON_GetObjectItem(row, "step");

    dfx_step_options_init(options);
    options->eta = number(step, "eta", options->eta);
    options->s_churn = number(step, "s_churn", options->s_churn);
    options->s_noise = number(step, "s_noise", options->s_noise);
    options->order = (unsigned)number(step, "order", options->order);
    options->use_clipped = cJSON_IsTrue(
        cJSON_GetObjectItemCaseSensitive(step, "use_clipped_model_output"));
}

/* A run of a row of configs.json, which is read as scheduler_config.json is,
   and of the same row as other JSON. */
static void
check_run(run *r, const cJSON *config, const cJSON *row)
{
    uint64_t steps = (uint64_t)number(r->want, "steps", 0);
    const cJSON *set = cJSON_GetObjectItem(row, "set_timesteps");
    double sigmas[50]; /* linspace(1, 1 / n, n) */
    dfx_schedule_options how;
    dfx_step_options options;
    dfx_error err = {0};

    dfx_schedule_options_init(&how);
    how.strength = number(set, "strength", how.strength);
    how.mu = number(set, "mu", how.mu);
    if (cJSON_GetObjectItem(set, "sigmas") != NULL)
        how.sigmas = sigmas;
    for (uint64_t i = 0; i < steps && i < 50; i++)
        sigmas[i] = 1 - (double)i / (double)steps;

    if (dfx_scheduler_new(config, text_of(row, "class"), &r->s, &err) !=
            DFX_OK ||
        dfx_scheduler_set_with(r->s, steps, &how, &err) != DFX_OK) {
        CHECK(false, r->name);
        printf("# %s\n", err.text);
        dfx_scheduler_free(r->s);
        return;
    }
    CHECK(true, r->name);
    check_schedule(r);
    read_options(row, &options);
    check_steps(r, &options);
    dfx_scheduler_free(r->s);
}

/* The row of that id, by its place in a list. */
static const cJSON *
row_of(const cJSON *rows, const char *id)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(text_of(row, "id"), id) == 0)
            return row;
    }
    return NULL;
}

static void
check_all(void)
{
    cJSON *plain = golden_json("configs.json");
    cJSON *wanted = golden_json("timesteps.json");
    cJSON *tolerances = golden_json("tolerances.json"), *doc = NULL;
    const cJSON *want, *tolerance = tolerances->child;
    size_t size = 0, runs = 0;
    unsigned char *text = golden_load("configs.json", &size);
    dfx_error err;

    if (dfx_doc_parse((const char *)text, size, "configs.json", &doc, &err) !=
        DFX_OK)
        printf("Bail out! %s\n", err.text);
    free(text);
    cJSON_ArrayForEach(want, wanted)
    {
        const char *id = text_of(want, "id");
        const cJSON *row = row_of(cJSON_GetObjectItem(plain, "rows"), id);
        run r = {.want = want, .tolerance = tolerance};

        r.rescaled = cJSON_IsTrue(cJSON_GetObjectItem(
            cJSON_GetObjectItem(row, "config"), "rescale_betas_zero_snr"));
        r.seed = (uint64_t)number(plain, "seed", 0);
        snprintf(r.name, sizeof r.name, "%s/n%d", id,
                 (int)number(want, "steps", 0));
        check_run(&r,
                  dfx_doc_get(row_of(dfx_doc_get(doc, "rows"), id), "config"),
                  row);
        runs++;
        tolerance = tolerance->next;
    }
    CHECK_U64(runs, 991, "all rows");
    cJSON_Delete(doc);
    cJSON_Delete(plain);
    cJSON_Delete(wanted);
    cJSON_Delete(tolerances);
}

/* ---- Configs that make no schedule
 * --------------------------------------------- */

static void
check_refused(void)
{
    static const struct {
        const char *config;
        uint64_t steps;
    } rows[] = {
        {"{}", 1},
        {"{\"_class_name\":\"NoScheduler\"}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"beta_schedule\":\"x\"}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"prediction_type\":\"x\"}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"num_train_timesteps\":1}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"num_train_timesteps\":1e9}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"beta_end\":\"1\"}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"beta_end\":2}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"trained_betas\":[0.5]}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"trained_betas\":[0.5,-1]}", 1},
        {"{\"_class_name\":\"DDIMScheduler\",\"steps_offset\":1000}", 2},
        {"{\"_class_name\":\"DDIMScheduler\"}", 0},
        {"{\"_class_name\":\"DDIMScheduler\"}", 1001},
        {"{\"_class_name\":\"EulerDiscreteScheduler\",\"prediction_type\":"
         "\"flow_prediction\"}",
         1},
        {"{\"_class_name\":\"PNDMScheduler\",\"prediction_type\":\"sample\"}",
         2},
        {"{\"_class_name\":\"PNDMScheduler\",\"skip_prk_steps\":false}", 3},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\",\"algorithm_type\":"
         "\"dpmsolver\"}",
         4},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\",\"algorithm_type\":"
         "\"sde-dpmsolver\",\"final_sigmas_type\":\"sigma_min\",\"solver_"
         "order\":3}",
         4},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\",\"solver_order\":4}",
         4},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\",\"lambda_min_"
         "clipped\":1e9}",
         4},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\",\"use_karras_"
         "sigmas\":true,\"use_flow_sigmas\":true}",
         4},
        {"{\"_class_name\":\"DPMSolverSinglestepScheduler\",\"algorithm_type\":"
         "\"sde-dpmsolver\",\"final_sigmas_type\":\"sigma_min\"}",
         4},
        {"{\"_class_name\":\"EDMDPMSolverMultistepScheduler\",\"algorithm_"
         "type\":\"dpmsolver\"}",
         4},
        {"{\"_class_name\":\"UniPCMultistepScheduler\",\"disable_corrector\":[-"
         "1]}",
         4},
        {"{\"_class_name\":\"UniPCMultistepScheduler\",\"use_flow_sigmas\":"
         "true,\"use_dynamic_shifting\":true}",
         4},
        {"{\"_class_name\":\"FlowMatchEulerDiscreteScheduler\",\"use_dynamic_"
         "shifting\":true}",
         4},
        {"{\"_class_name\":\"LCMScheduler\",\"original_inference_steps\":50}",
         51},
        {"{\"_class_name\":\"TCDScheduler\",\"original_inference_steps\":2000}",
         4},
        {"{\"_class_name\":\"EulerDiscreteScheduler\","
         "\"use_karras_sigmas\":true,\"use_beta_sigmas\":true}",
         1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_scheduler *s = NULL;
        cJSON *doc = NULL;
        dfx_error err = {0};
        dfx_status status =
            dfx_doc_parse(rows[i].config, strlen(rows[i].config),
                          "scheduler_config.json", &doc, &err);

        if (status == DFX_OK)
            status = dfx_scheduler_new(doc, NULL, &s, &err);
        if (status == DFX_OK)
            status = dfx_scheduler_set(s, rows[i].steps, &err);
        if (!CHECK(status != DFX_OK &&
                       strcmp(err.rule, "scheduler.config") == 0,
                   "scheduler.config is broken"))
            printf("# %s: %s\n", rows[i].config, err.text);
        dfx_scheduler_free(s);
        cJSON_Delete(doc);
    }
}

int
main(void)
{
    char path[600];
    dfx_error err;

    golden_find("schedulers");
    snprintf(path, sizeof path, "%s/trajectories.safetensors", golden_folder);
    if (!CHECK(dfx_open(path, NULL, &trajectories, &err) == DFX_OK,
               "the samples"))
        return tap_end();
    check_all();
    check_refused();
    dfx_index_free(trajectories);
    return tap_end();
}
