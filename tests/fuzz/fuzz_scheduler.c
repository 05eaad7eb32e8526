/*
 * fuzz_scheduler.c - any config as a scheduler's, and a run of it
 *
 * A member "fuzz" says what the run is: steps, the call that it begins with,
 * and options. What is made has no more calls than twice its steps and a few,
 * and no call but the last one's next is refused. Numbers need not be finite.
 */
#include <config.h>

#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "document.h"
#include "schedulers/scheduler.h"

enum { COUNT = 8, MOST_CALLS = 400 };

static dfx_status
draw(void *context, float *out, size_t count, dfx_error *err)
{
    (void)context;
    (void)err;
    REQUIRE(count == COUNT);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)i - 3;
    return DFX_OK;
}

static double
number(const cJSON *doc, const char *key, double usual)
{
    double value = usual;

    (void)dfx_doc_number(dfx_doc_get(dfx_doc_get(doc, "fuzz"), key), &value);
    return value;
}

static void
run(dfx_scheduler *s, const cJSON *doc)
{
    float model[COUNT], sample[COUNT], out[COUNT];
    dfx_step_options options;
    size_t count = 0, sigmas = 0, begin;
    dfx_error err;

    dfx_step_options_init(&options);
    options.eta = number(doc, "eta", options.eta);
    options.s_churn = number(doc, "churn", 0);
    for (size_t i = 0; i < COUNT; i++) {
        model[i] = (float)i / 4 - 1;
        sample[i] = 1 - (float)i / 3;
    }
    (void)dfx_scheduler_timesteps(s, &count);
    (void)dfx_scheduler_sigmas(s, &sigmas);
    REQUIRE(count > 0);
    begin = number(doc, "begin", 0) > 0 ? (size_t)number(doc, "begin", 0) : 0;
    REQUIRE((dfx_scheduler_begin(s, begin, &err) == DFX_OK) == (begin < count));
    for (size_t at = begin; at < count && at < begin + MOST_CALLS; at++) {
        dfx_status status;

        REQUIRE(dfx_scheduler_add_noise(s, at, sample, model, out, COUNT,
                                        &err) == DFX_OK);
        (void)dfx_scheduler_scale(s);
        status = dfx_scheduler_step(s, model, sample, 2, COUNT / 2, &options,
                                    draw, NULL, &err);
        if (status != DFX_OK)
            return; /* of an eta that is none */
    }
    if (begin < count && count < begin + MOST_CALLS)
        REQUIRE(dfx_scheduler_step(s, model, sample, 2, COUNT / 2, &options,
                                   draw, NULL, &err) != DFX_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dfx_schedule_options how;
    dfx_scheduler *s = NULL;
    cJSON *doc = NULL;
    dfx_error err = {0};
    double steps, begin;

    if (dfx_doc_parse((const char *)data, size, "input", &doc, &err) != DFX_OK)
        return 0;
    dfx_schedule_options_init(&how);
    how.strength = number(doc, "strength", 1);
    how.mu = number(doc, "mu", (double)NAN);
    steps = number(doc, "steps", 3);
    begin = number(doc, "begin", 0);
    if (dfx_scheduler_new(doc, NULL, &s, &err) != DFX_OK)
        REQUIRE(err.rule[0] != '\0' && err.text[0] != '\0');
    else if (steps >= 0 && steps < 1e6 && begin < 1e6 &&
             dfx_scheduler_set_with(s, (uint64_t)steps, &how, &err) == DFX_OK)
        run(s, doc);
    dfx_scheduler_free(s);
    cJSON_Delete(doc);
    return 0;
}
