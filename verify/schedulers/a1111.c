/*
 * a1111.c - names of samplers as AUTOMATIC1111's web UI and k-diffusion say
 * them
 *
 * After the table of diffusers' manual ("Schedulers", diffusers 0.42.1). A name
 * may end in that of a schedule: "DPM++ 2M Karras".
 */
#include <config.h>

#include <ctype.h>
#include <string.h>

#include "document.h"
#include "schedulers/kind.h"

typedef struct sampler {
    const char *name; /* in lower case */
    const char *class_name;
    const char *key, *word; /* an option; NULL: none. word NULL: true */
} sampler;

static const sampler samplers[] = {
    {"dpm++ 2m", "DPMSolverMultistepScheduler", "algorithm_type",
     "dpmsolver++"},
    {"dpm++ 2m sde", "DPMSolverMultistepScheduler", "algorithm_type",
     "sde-dpmsolver++"},
    {"dpm++ sde", "DPMSolverSinglestepScheduler", NULL, NULL},
    {"dpm2", "KDPM2DiscreteScheduler", NULL, NULL},
    {"dpm2 a", "KDPM2AncestralDiscreteScheduler", NULL, NULL},
    {"euler", "EulerDiscreteScheduler", NULL, NULL},
    {"euler a", "EulerAncestralDiscreteScheduler", NULL, NULL},
    {"heun", "HeunDiscreteScheduler", NULL, NULL},
    {"lms", "LMSDiscreteScheduler", NULL, NULL},
    {"ddim", "DDIMScheduler", NULL, NULL},
    {"plms", "PNDMScheduler", "skip_prk_steps", NULL},
    {"unipc", "UniPCMultistepScheduler", NULL, NULL},
    {"lcm", "LCMScheduler", NULL, NULL},
    {"deis", "DEISMultistepScheduler", NULL, NULL},
};

typedef struct schedule {
    const char *suffix;
    const char *spacing; /* NULL: as it was */
    const char *flag;    /* of the three; NULL: none */
} schedule;

static const schedule schedules[] = {
    {" karras", NULL, "use_karras_sigmas"},
    {" exponential", "linspace", "use_exponential_sigmas"},
    {" beta", "linspace", "use_beta_sigmas"},
    {" sgm uniform", "trailing", NULL},
    {" simple", "trailing", NULL},
};

/* Same but for case, and '_' for a space. */
static bool
matches(const char *said, size_t size, const char *name)
{
    if (strlen(name) != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int a = tolower((unsigned char)said[i]);
        int b = tolower((unsigned char)name[i]);

        if (a != b && !(a == '_' && b == ' '))
            return false;
    }
    return true;
}

/* The schedule that a name ends in, which is cut off; NULL: none. */
static const schedule *
schedule_of(const char *name, size_t *size)
{
    for (size_t i = 0; i < sizeof schedules / sizeof schedules[0]; i++) {
        size_t length = strlen(schedules[i].suffix);

        if (*size <= length ||
            !matches(name + *size - length, length, schedules[i].suffix))
            continue;
        *size -= length;
        return &schedules[i];
    }
    return NULL;
}

/* A class by its name, with or without "Scheduler". */
static const char *
class_of(const char *name, size_t size)
{
    const dfx_scheduler_kind *kind;

    for (size_t i = 0; (kind = dfx_scheduler_kind_at(i)) != NULL; i++)
        if (matches(name, size, kind->name) ||
            (size + strlen("Scheduler") == strlen(kind->name) &&
             strncmp(name, kind->name, size) == 0))
            return kind->name;
    return NULL;
}

/* One of the three, and not the others. */
static bool
apply_schedule(const schedule *said, cJSON *config)
{
    static const char *const flags[] = {
        "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (!dfx_doc_set(config, flags[i],
                         cJSON_CreateBool(said->flag != NULL &&
                                          strcmp(said->flag, flags[i]) == 0)))
            return false;
    return said->spacing == NULL ||
           dfx_doc_set(config, "timestep_spacing",
                       cJSON_CreateString(said->spacing));
}

const char *
dfx_scheduler_a1111(const char *name, cJSON *config)
{
    size_t size = strlen(name);
    const schedule *said = schedule_of(name, &size);
    const char *class_name = NULL;

    for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++) {
        const sampler *s = &samplers[i];

        if (!matches(name, size, s->name))
            continue;
        if (s->key != NULL &&
            !dfx_doc_set(config, s->key,
                         s->word != NULL ? cJSON_CreateString(s->word)
                                         : cJSON_CreateTrue()))
            return NULL;
        class_name = s->class_name;
    }
    if (class_name == NULL)
        class_name = class_of(name, size);
    if (class_name != NULL && said != NULL && !apply_schedule(said, config))
        return NULL;
    return class_name;
}

dfx_status
dfx_scheduler_named(cJSON *config, const char *name, dfx_scheduler **out,
                    dfx_error *err)
{
    const char *class_name = NULL;

    if (name != NULL) {
        class_name = dfx_scheduler_a1111(name, config);
        if (class_name == NULL)
            return dfx_fail_usage(err, "there is no scheduler '%s'", name);
    }
    return dfx_scheduler_new(config, class_name, out, err);
}
