/*
 * test_demo.c - the demo's model against diffusers
 *
 * demo/README.md says what demo/golden holds: float32 numbers of the reference,
 * and how far a float64 run is from them. That is what float32 leaves open, for
 * sums in any order; the tolerance is four times the most of it. A mid block
 * that is left out is off by more.
 */
#include <config.h>

#include "golden.h"
#include "tap.h"
#include "values.h"

#include <math.h>

enum { PROMPTS = 6, TOKENS = 77, WIDTH = 64 };

static char demo[600];
static dfx_model *model;
static cJSON *facts; /* golden/index.json */

/* ---- Goldens ------------------------------------------------------------- */

static const char *
in_golden(const char *name)
{
    static char path[700];

    snprintf(path, sizeof path, "%s/golden/%s", demo, name);
    return path;
}

/* dfx_values_free it. */
static dfx_values *
load(const char *name)
{
    dfx_values *values = NULL;
    dfx_error err = {.text = ""};

    if (dfx_values_new(&values, &err) != DFX_OK ||
        dfx_values_read(values, in_golden(name), &err) != DFX_OK) {
        printf("Bail out! %s: %s\n", name, err.text);
        exit(1);
    }
    return values;
}

static dfx_values *
none(void)
{
    dfx_values *values = NULL;
    dfx_error err;

    if (dfx_values_new(&values, &err) != DFX_OK)
        exit(1);
    return values;
}

static const float *
numbers(const dfx_values *values, const char *name, uint64_t count)
{
    const dfx_value *value = dfx_values_find(values, name);

    if (!CHECK(value != NULL && value->type == DFX_TYPE_F32 &&
                   value->count >= count,
               name))
        return NULL;
    return value->data;
}

/* of: a row of numbers, one a prompt, or a number. */
static double
tolerance(const char *of)
{
    const cJSON *all = cJSON_GetObjectItem(facts, "float64_minus_float32_max");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, of), *one;
    double most = cJSON_IsNumber(item) ? item->valuedouble : 0;

    cJSON_ArrayForEach(one, item) most = fmax(most, one->valuedouble);
    return 4 * most;
}

static void
compare(const float *got, const float *want, size_t count, double limit,
        const char *name)
{
    double most = 0;
    char what[200];

    for (size_t i = 0; got != NULL && want != NULL && i < count; i++) {
        double d = fabs((double)got[i] - (double)want[i]);

        if (!(d <= most)) /* NaN is more than all */
            most = d;
    }
    snprintf(what, sizeof what, "  %s: %.2g of %.2g", name, most, limit);
    CHECK(got != NULL && want != NULL && most <= limit, what);
}

static bool
good(dfx_status status, const dfx_error *err, const char *what)
{
    if (!CHECK(status == DFX_OK, what))
        printf("# %s: %s (%s)\n", err->tensor, err->text, err->rule);
    return status == DFX_OK;
}

/* The prompts and the empty one. */
static const char *
prompt(int k)
{
    return k < PROMPTS ? text_at(cJSON_GetObjectItem(facts, "prompts"), k) : "";
}

/* Those of a part that the golden has under front, each within what float32
   leaves open at its size. */
static void
compare_modules(const dfx_values *got, const dfx_values *golden,
                const char *front, double limit, size_t least)
{
    size_t count = 0;

    for (size_t i = 0; i < dfx_values_count(golden); i++) {
        const dfx_value *want = dfx_values_at(golden, i), *v = NULL;

        if (strncmp(want->name, front, strlen(front)) == 0)
            v = dfx_values_find(got, want->name + strlen(front));
        if (v == NULL || !CHECK(v->count == want->count, want->name))
            continue;
        compare(v->data, want->data, want->count, limit, want->name);
        count++;
    }
    CHECK(count >= least, "  modules");
}

/* ---- Stages -------------------------------------------------------------- */

static void
test_text(const dfx_values *golden)
{
    const dfx_value *ids = dfx_values_find(golden, "input_ids");
    const float *embeds =
        numbers(golden, "embeds", (PROMPTS + 1) * TOKENS * WIDTH);

    for (int k = 0; k <= PROMPTS; k++) {
        dfx_encode_options options = {.prompt = prompt(k)};
        dfx_values *out = none();
        const dfx_value *got;
        dfx_error err;

        if (good(dfx_run_encode(model, &options, out, &err), &err, prompt(k))) {
            got = dfx_values_find(out, "input_ids");
            CHECK(got != NULL && got->type == ids->type &&
                      got->count == TOKENS &&
                      memcmp(got->data, (const int64_t *)ids->data + k * TOKENS,
                             TOKENS * sizeof(int64_t)) == 0,
                  "  its ids");
            compare(numbers(out, "prompt_embeds", TOKENS * WIDTH),
                    embeds + k * TOKENS * WIDTH, TOKENS * WIDTH,
                    tolerance("embeds"), "embeds");
        }
        dfx_values_free(out);
    }
}

static void
test_hidden(const dfx_values *parts)
{
    dfx_encode_options options = {.prompt = prompt(0), .hidden_states = true};
    dfx_values *out = none();
    dfx_error err;

    if (good(dfx_run_encode(model, &options, out, &err), &err, "hidden states"))
        for (int i = 0; i < 3; i++) {
            char got[40], want[40];

            snprintf(got, sizeof got, "hidden_states.%d", i);
            snprintf(want, sizeof want, "text.hidden.%d", i);
            compare(numbers(out, got, TOKENS * WIDTH),
                    numbers(parts, want, TOKENS * WIDTH), TOKENS * WIDTH,
                    tolerance("embeds"), want);
        }
    dfx_values_free(out);
}

/* The value of a golden under the name that a stage knows it by. */
static dfx_values *
input(const dfx_values *golden, const char *from, const char *name)
{
    const dfx_value *v = dfx_values_find(golden, from);
    dfx_values *in = none();
    dfx_error err;

    if (v == NULL || dfx_values_add(in, name, v->type, v->rank, v->shape,
                                    v->data, &err) != DFX_OK)
        CHECK(false, from);
    return in;
}

static void
test_unet(const dfx_values *parts, const dfx_values *golden)
{
    dfx_values *in = input(parts, "unet.in.sample", "sample"), *out = none();
    dfx_values *modules = none();
    dfx_error err;
    dfx_status status;

    status = dfx_values_put(
        in, &err, DFX_TYPE_F32, 3, (size_t[]){1, TOKENS, WIDTH},
        numbers(golden, "embeds", TOKENS * WIDTH), "encoder_hidden_states");
    if (status == DFX_OK)
        status = dfx_run_denoise(model, in, 501, out, modules, &err);
    if (good(status, &err, "UNet")) {
        compare(numbers(out, "sample", 256), numbers(parts, "unet.out", 256),
                256, tolerance("unet.out"), "unet.out");
        compare_modules(modules, parts, "unet.", tolerance("unet.out"), 19);
    }
    dfx_values_free(modules);
    dfx_values_free(in);
    dfx_values_free(out);
}

static void
test_vae(const dfx_values *parts)
{
    enum { PICTURE = 3 * 64 * 64 };
    dfx_values *in = input(parts, "vae.encode.in", "image"), *out = none();
    dfx_error err;

    if (good(dfx_run_vae_encode(model, in, false, out, &err), &err,
             "VAE, encoder")) {
        double limit = tolerance("vae.encode.mean");

        compare(numbers(out, "mean", 256),
                numbers(parts, "vae.encode.mean", 256), 256, limit, "mean");
        compare(numbers(out, "logvar", 256),
                numbers(parts, "vae.encode.logvar", 256), 256, limit, "logvar");
    }
    dfx_values_free(in);
    in = input(parts, "vae.decode.in", "latent");
    if (good(dfx_run_vae_decode(model, in, false, out, &err), &err,
             "VAE, decoder"))
        compare(numbers(out, "decoded", PICTURE),
                numbers(parts, "vae.decode.out", PICTURE), PICTURE,
                tolerance("vae.decode.out"), "decoded");
    dfx_values_free(in);
    dfx_values_free(out);
}

/* ---- Runs ---------------------------------------------------------------- */

static void
compare_latents(const dfx_values *out, const dfx_values *latents,
                const char *name, size_t calls)
{
    enum { ONE = 4 * 8 * 8 };
    const float *want = numbers(latents, name, PROMPTS * calls * ONE);
    char what[80];

    snprintf(what, sizeof what, "%s latents", name);
    for (size_t i = 0; want != NULL && i < calls; i++) {
        char step[40];
        const float *got;

        snprintf(step, sizeof step, "latents.%zu", i);
        got = numbers(out, step, PROMPTS * ONE);
        for (size_t k = 0; got != NULL && k < PROMPTS; k++)
            compare(got + k * ONE, want + (k * calls + i) * ONE, ONE,
                    tolerance(what), prompt((int)k));
    }
}

/* All prompts in one batch. sampler: a row of index.json. images: how many
   pictures of it there are, under the name image. */
static void
test_run(const cJSON *sampler, const dfx_values *latents,
         const dfx_values *pictures, const char *image, size_t images)
{
    const char *prompts[PROMPTS], *name = sampler->string;
    dfx_image_request request;
    dfx_values *out = none();
    char start[800], what[80];
    size_t count = images * 3 * 64 * 64;
    dfx_error err;

    for (int k = 0; k < PROMPTS; k++)
        prompts[k] = prompt(k);
    snprintf(start, sizeof start, "%s:latents_start",
             in_golden("prompts.safetensors"));
    dfx_image_request_init(&request);
    request.prompts = prompts;
    request.prompt_count = PROMPTS;
    request.negative = text_of(facts, "negative_prompt");
    request.guidance =
        cJSON_GetObjectItem(facts, "guidance_scale")->valuedouble;
    request.steps =
        (uint32_t)cJSON_GetObjectItem(sampler, "steps")->valuedouble;
    request.scheduler = text_of(sampler, "class");
    request.latents = start;
    request.keep_latents = true;
    if (good(dfx_run_image(model, &request, out, &err), &err, name)) {
        compare_latents(out, latents, name,
                        (size_t)cJSON_GetArraySize(
                            cJSON_GetObjectItem(sampler, "timesteps")));
        snprintf(what, sizeof what, "%s image", name);
        compare(numbers(out, "image", count), numbers(pictures, image, count),
                count, tolerance(what), image);
    }
    dfx_values_free(out);
}

int
main(void)
{
    dfx_values *golden, *parts, *latents, *pictures;
    const cJSON *samplers;
    char path[700];
    dfx_error err;

    golden_find("../../demo");
    snprintf(demo, sizeof demo, "%s", golden_folder);
    snprintf(path, sizeof path, "%s/model", demo);
    facts = golden_json("golden/index.json");
    samplers = cJSON_GetObjectItem(facts, "samplers");
    if (!good(dfx_model_open(path, NULL, &model, &err), &err, "the model"))
        return tap_end();
    golden = load("prompts.safetensors");
    parts = load("parts.safetensors");
    latents = load("latents.safetensors");
    pictures = load("images.safetensors");
    test_text(golden);
    test_hidden(parts);
    test_unet(parts, golden);
    test_vae(parts);
    test_run(cJSON_GetObjectItem(samplers, "pndm"), latents, pictures, "pndm",
             PROMPTS);
    test_run(cJSON_GetObjectItem(samplers, "dpmpp2m"), latents, pictures,
             "dpmpp2m_0", 1);
    test_run(cJSON_GetObjectItem(samplers, "euler"), latents, pictures,
             "euler_0", 1);
    dfx_values_free(golden);
    dfx_values_free(parts);
    dfx_values_free(latents);
    dfx_values_free(pictures);
    dfx_model_free(model);
    cJSON_Delete(facts);
    return tap_end();
}
