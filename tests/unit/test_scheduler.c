/*
 * test_scheduler.c - what pipelines ask of a scheduler, and samplers' names
 *
 * Numbers are worked out from the betas: here two trained ones, so that
 * alphas_cumprod are 0.75 and 0.75 * 0.48 = 0.36.
 */
#include <config.h>

#include "schedulers/scheduler.h"

#include "document.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>

static dfx_scheduler *
make(const char *class_name, const char *config, uint64_t steps)
{
    dfx_scheduler *s = NULL;
    cJSON *doc = NULL;
    dfx_error err = {0};

    if (dfx_doc_parse(config, strlen(config), "config", &doc, &err) != DFX_OK ||
        dfx_scheduler_new(doc, class_name, &s, &err) != DFX_OK ||
        dfx_scheduler_set(s, steps, &err) != DFX_OK) {
        CHECK(false, class_name);
        printf("# %s\n", err.text);
    }
    cJSON_Delete(doc);
    return s;
}

static void
check_noise(const char *class_name, double signal, double level)
{
    static const float original[] = {1, 0, 2}, noise[] = {0, 1, 3};
    dfx_scheduler *s = make(class_name, "{\"trained_betas\":[0.25,0.52]}", 2);
    float out[3] = {0};
    bool good;
    dfx_error err = {0};

    /* The first call is at the last timestep. */
    good =
        dfx_scheduler_add_noise(s, 0, original, noise, out, 3, &err) == DFX_OK;
    good = good && fabs((double)out[0] - signal) < 1e-6 &&
           fabs((double)out[1] - level) < 1e-6 &&
           fabs((double)out[2] - 2 * signal - 3 * level) < 2e-6;
    if (!CHECK(good, class_name))
        printf("# %.8g and %.8g\n", (double)out[0], (double)out[1]);
    CHECK(dfx_scheduler_add_noise(s, 99, original, noise, out, 3, &err) !=
              DFX_OK,
          "  no call 99");
    dfx_scheduler_free(s);
}

static void
test_noise(void)
{
    check_noise("DDIMScheduler", 0.6, 0.8);
    check_noise("DDPMScheduler", 0.6, 0.8);
    /* sigma = sqrt(0.64 / 0.36) */
    check_noise("EulerDiscreteScheduler", 1, 4.0 / 3);
    check_noise("HeunDiscreteScheduler", 1, 4.0 / 3);
    check_noise("KDPM2DiscreteScheduler", 1, 4.0 / 3);
    check_noise("UniPCMultistepScheduler", 0.6, 0.8);
    check_noise("DPMSolverMultistepScheduler", 0.6, 0.8);
    check_noise("FlowMatchEulerDiscreteScheduler", 0, 1);
}

/* ---- A run that begins later
 * --------------------------------------------------- */

static dfx_status
draw(void *context, float *out, size_t count, dfx_error *err)
{
    (void)context;
    (void)err;
    for (size_t i = 0; i < count; i++)
        out[i] = 0.5F;
    return DFX_OK;
}

static void
walk(dfx_scheduler *s, size_t from, float *sample)
{
    static const float model[] = {0.5F, -0.25F};
    size_t count = 0;
    dfx_error err;

    (void)dfx_scheduler_timesteps(s, &count);
    sample[0] = 1;
    sample[1] = -1;
    for (size_t i = from; i < count; i++)
        if (dfx_scheduler_step(s, model, sample, 1, 2, NULL, draw, NULL,
                               &err) != DFX_OK)
            sample[0] = NAN;
}

/* What went before leaves no trace: a run from a call on is the same after
   another run, and after none. */
static void
check_begin(const char *class_name)
{
    dfx_scheduler *s = make(class_name, "{}", 6);
    float once[2], again[2], whole[2];
    size_t from = 2 * dfx_scheduler_order(s);
    dfx_error err;

    CHECK(dfx_scheduler_begin(s, from, &err) == DFX_OK, class_name);
    walk(s, from, once);
    CHECK(dfx_scheduler_begin(s, 0, &err) == DFX_OK, "  from the start");
    walk(s, 0, whole);
    CHECK(dfx_scheduler_begin(s, from, &err) == DFX_OK, "  and later again");
    walk(s, from, again);
    CHECK(memcmp(once, again, sizeof once) == 0 && isfinite(once[0]),
          "  is the same");
    CHECK(memcmp(once, whole, sizeof once) != 0, "  but not as from the start");
    CHECK(dfx_scheduler_begin(s, 99, &err) != DFX_OK, "  no call 99");
    dfx_scheduler_free(s);
}

static void
test_begin(void)
{
    static const char *const names[] = {
        "DDPMScheduler",
        "DDIMScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "KDPM2DiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
        "DEISMultistepScheduler",
        "LCMScheduler",
        "TCDScheduler",
        "EDMEulerScheduler",
        "EDMDPMSolverMultistepScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_begin(names[i]);
}

/* ---- What is asked besides
 * ------------------------------------------------------ */

static void
test_facts(void)
{
    static const struct {
        const char *name;
        unsigned order;
        bool generator, eta;
    } rows[] = {
        {"DDPMScheduler", 1, true, false},
        {"DDIMScheduler", 1, true, true},
        {"PNDMScheduler", 1, false, false},
        {"LMSDiscreteScheduler", 1, false, false},
        {"HeunDiscreteScheduler", 2, false, false},
        {"KDPM2DiscreteScheduler", 2, false, false},
        {"KDPM2AncestralDiscreteScheduler", 2, true, false},
        {"UniPCMultistepScheduler", 1, false, false},
        {"DEISMultistepScheduler", 1, false, false},
        {"DPMSolverMultistepScheduler", 1, true, false},
        {"DPMSolverSinglestepScheduler", 1, true, false},
        {"LCMScheduler", 1, true, false},
        {"TCDScheduler", 1, true, true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_scheduler *s =
            make(rows[i].name, "{\"num_train_timesteps\":500}", 4);

        CHECK(dfx_scheduler_order(s) == rows[i].order &&
                  dfx_scheduler_takes_generator(s) == rows[i].generator &&
                  dfx_scheduler_takes_eta(s) == rows[i].eta &&
                  dfx_scheduler_train_steps(s) == 500,
              rows[i].name);
        dfx_scheduler_free(s);
    }
}

/* scaled = 0.5: c_skip = 0.25 / (0.25 + 0.25), c_out = 0.5 / sqrt(0.5). Its
   usual scaling leaves too little of them to see. */
static void
test_lcm_boundary(void)
{
    static const float model[] = {4, 0};
    dfx_scheduler *s = make("LCMScheduler",
                            "{\"prediction_type\":\"sample\","
                            "\"timestep_scaling\":0.0005005005005005005}",
                            1);
    float sample[] = {2, 2};
    dfx_error err;

    CHECK(dfx_scheduler_step(s, model, sample, 1, 2, NULL, draw, NULL, &err) ==
              DFX_OK,
          "a step of LCM");
    CHECK(fabs((double)sample[0] - (1 + sqrt(8))) < 1e-6 &&
              fabs((double)sample[1] - 1) < 1e-6,
          "  mixes what the model says with what was");
    dfx_scheduler_free(s);
}

/* Options of a config for another class do nothing. */
static void
test_foreign_options(void)
{
    dfx_scheduler *s = make("EulerAncestralDiscreteScheduler",
                            "{\"use_karras_sigmas\":true,\"clip_sample\":true,"
                            "\"variance_type\":\"learned\"}",
                            3);
    dfx_scheduler *plain = make("EulerAncestralDiscreteScheduler", "{}", 3);
    size_t count = 0, others = 0;
    const float *a = dfx_scheduler_sigmas(s, &count);
    const float *b = dfx_scheduler_sigmas(plain, &others);

    CHECK(count == others && memcmp(a, b, count * sizeof *a) == 0,
          "no karras sigmas where the class has none");
    dfx_scheduler_free(s);
    dfx_scheduler_free(plain);
}

static void
test_names(void)
{
    static const struct {
        const char *name, *class_name, *config;
    } rows[] = {
        {"Euler a", "EulerAncestralDiscreteScheduler", "{}"},
        {"euler", "EulerDiscreteScheduler", "{}"},
        {"DPM++ 2M", "DPMSolverMultistepScheduler",
         "{\"algorithm_type\":\"dpmsolver++\"}"},
        {"dpm++ 2m sde karras", "DPMSolverMultistepScheduler",
         "{\"algorithm_type\":\"sde-dpmsolver++\",\"use_karras_sigmas\":true,"
         "\"use_exponential_sigmas\":false,\"use_beta_sigmas\":false}"},
        {"DPM++ SDE", "DPMSolverSinglestepScheduler", "{}"},
        {"DPM2 a", "KDPM2AncestralDiscreteScheduler", "{}"},
        {"PLMS", "PNDMScheduler", "{\"skip_prk_steps\":true}"},
        {"Euler sgm_uniform", "EulerDiscreteScheduler",
         "{\"use_karras_sigmas\":false,\"use_exponential_sigmas\":false,"
         "\"use_beta_sigmas\":false,\"timestep_spacing\":\"trailing\"}"},
        {"Heun exponential", "HeunDiscreteScheduler",
         "{\"use_karras_sigmas\":false,\"use_exponential_sigmas\":true,"
         "\"use_beta_sigmas\":false,\"timestep_spacing\":\"linspace\"}"},
        {"LMS Beta", "LMSDiscreteScheduler",
         "{\"use_karras_sigmas\":false,\"use_exponential_sigmas\":false,"
         "\"use_beta_sigmas\":true,\"timestep_spacing\":\"linspace\"}"},
        {"DDIM", "DDIMScheduler", "{}"},
        {"DDIMScheduler", "DDIMScheduler", "{}"},
        {"TCD", "TCDScheduler", "{}"},
        {"UniPC", "UniPCMultistepScheduler", "{}"},
        {"UniPCMultistep", "UniPCMultistepScheduler", "{}"},
        {"DPM++ 2S a", NULL, "{}"},
        {"DPM adaptive", NULL, "{}"},
        {"DPM fast", NULL, "{}"},
        {"", NULL, "{}"},
        {" karras", NULL, "{}"},
        {"karras", NULL, "{}"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *config = cJSON_CreateObject();
        const char *got = dfx_scheduler_a1111(rows[i].name, config);
        char *text = dfx_doc_print_compact(config);

        CHECK_TEXT(got != NULL ? got : "none",
                   rows[i].class_name != NULL ? rows[i].class_name : "none",
                   rows[i].name);
        CHECK_TEXT(text, rows[i].config, "  and its options");
        free(text);
        cJSON_Delete(config);
    }
}

int
main(void)
{
    test_noise();
    test_begin();
    test_facts();
    test_lcm_boundary();
    test_foreign_options();
    test_names();
    return tap_end();
}
