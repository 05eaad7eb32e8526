/*
 * golden.c - runs of a recipe
 */
#include <config.h>

#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "document.h"
#include "model.h"

/* ---- Recipes ------------------------------------------------------------- */

/* Numbers of a request by their names in a recipe. */
static const struct {
    const char *key;
    size_t member;
    bool optional; /* NaN, which is null there, is the pipeline's default */
} numbers[] = {
    {"cfg", offsetof(dfx_image_request, guidance), true},
    {"cfg_rescale", offsetof(dfx_image_request, guidance_rescale), false},
    {"eta", offsetof(dfx_image_request, eta), false},
};

enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static double *
number_in(dfx_image_request *request, size_t i)
{
    return (double *)(void *)((char *)request + numbers[i].member);
}

/* What a recipe has no place for. */
static bool
asks_more(const dfx_image_request *r)
{
    return r->task != DFX_TASK_TXT2IMG || r->prompt_count != 1 ||
           r->images != 1 || r->prompt_2 != NULL || r->negative_2 != NULL ||
           r->scheduler_config != NULL || r->image != NULL || r->mask != NULL ||
           r->latents != NULL || r->noise != NULL || r->control_count > 0 ||
           r->guess || r->lora_count > 0 || r->vae != NULL ||
           r->embedding_count > 0 || r->tiled || r->as_latents ||
           !isnan(r->denoising_start) || !isnan(r->denoising_end);
}

static cJSON *
text_or_null(const char *text)
{
    return text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static dfx_status
print_recipe(const dfx_image_request *request, bool layers, cJSON **out,
             dfx_error *err)
{
    dfx_image_request r = *request;
    cJSON *recipe;
    bool good;

    *out = NULL;
    if (asks_more(&r))
        return dfx_fail_usage(err, "a recipe is one prompt for one picture, "
                                   "with no other pictures, models or tensors");
    if (r.seed > INT64_MAX)
        return dfx_fail_usage(err, "the seed of a recipe is below 2^63");
    recipe = cJSON_CreateObject();
    good = recipe != NULL &&
           dfx_doc_set(recipe, "prompt", cJSON_CreateString(r.prompts[0])) &&
           dfx_doc_set(recipe, "negative", text_or_null(r.negative)) &&
           dfx_doc_set(recipe, "seed", dfx_doc_new_int((int64_t)r.seed)) &&
           dfx_doc_set(recipe, "generator",
                       cJSON_CreateString(r.cuda ? "cuda" : "cpu")) &&
           dfx_doc_set(recipe, "steps", dfx_doc_new_int(r.steps)) &&
           dfx_doc_set(recipe, "width", dfx_doc_new_int((int64_t)r.width)) &&
           dfx_doc_set(recipe, "height", dfx_doc_new_int((int64_t)r.height)) &&
           dfx_doc_set(recipe, "clip_skip", dfx_doc_new_int(r.clip_skip)) &&
           dfx_doc_set(recipe, "scheduler", text_or_null(r.scheduler)) &&
           dfx_doc_set(recipe, "layers", cJSON_CreateBool(layers));
    for (size_t i = 0; good && i < NUMBERS; i++) {
        double number = *number_in(&r, i);

        good = dfx_doc_set(recipe, numbers[i].key,
                           isnan(number) ? cJSON_CreateNull()
                                         : dfx_doc_new_number(number));
    }
    if (good) {
        *out = recipe;
        return DFX_OK;
    }
    cJSON_Delete(recipe);
    return dfx_fail_nomem(err);
}

/* A text, or null if that may be; false: it is neither. */
static bool
get_text(const cJSON *recipe, const char *key, bool optional, const char **out)
{
    const cJSON *node = dfx_doc_get(recipe, key);

    *out = cJSON_IsString(node) ? node->valuestring : NULL;
    return *out != NULL || (optional && cJSON_IsNull(node));
}

static bool
get_count(const cJSON *recipe, const char *key, int64_t max, int64_t *out)
{
    return dfx_doc_int(dfx_doc_get(recipe, key), out) && *out >= 0 &&
           *out <= max;
}

static bool
get_numbers(const cJSON *recipe, dfx_image_request *out)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        const cJSON *node = dfx_doc_get(recipe, numbers[i].key);
        double *number = number_in(out, i);

        if (numbers[i].optional && cJSON_IsNull(node))
            *number = (double)NAN;
        else if (!dfx_doc_number(node, number) || !isfinite(*number))
            return false;
    }
    return true;
}

dfx_status
dfx_golden_request(const cJSON *recipe, const char **prompt,
                   dfx_image_request *out, dfx_error *err)
{
    enum { MAX_STEPS = 1 << 20, MAX_SIDE = 1 << 15, MAX_SKIP = 1 << 10 };
    int64_t seed = 0, steps = 0, width = 0, height = 0, skip = 0;
    const char *generator = NULL;

    dfx_image_request_init(out);
    if (!get_text(recipe, "prompt", false, prompt) ||
        !get_text(recipe, "negative", true, &out->negative) ||
        !get_text(recipe, "scheduler", true, &out->scheduler) ||
        !get_text(recipe, "generator", false, &generator) ||
        !get_count(recipe, "seed", INT64_MAX, &seed) ||
        !get_count(recipe, "steps", MAX_STEPS, &steps) ||
        !get_count(recipe, "width", MAX_SIDE, &width) ||
        !get_count(recipe, "height", MAX_SIDE, &height) ||
        !get_count(recipe, "clip_skip", MAX_SKIP, &skip) ||
        !cJSON_IsBool(dfx_doc_get(recipe, "layers")) ||
        !get_numbers(recipe, out))
        return dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                        "its recipe lacks a prompt, a seed, steps, a size or "
                        "another part, or one of them is out of range");
    out->prompts = prompt;
    out->prompt_count = 1;
    out->seed = (uint64_t)seed;
    out->cuda = strcmp(generator, "cuda") == 0;
    out->steps = (uint32_t)steps;
    out->width = (size_t)width;
    out->height = (size_t)height;
    out->clip_skip = (unsigned)skip;
    return DFX_OK;
}

/* ---- Stages -------------------------------------------------------------- */

dfx_status
dfx_golden_new(cJSON *recipe, dfx_golden **out, dfx_error *err)
{
    dfx_golden *golden = calloc(1, sizeof *golden);

    *out = golden;
    if (golden == NULL) {
        cJSON_Delete(recipe);
        return dfx_fail_nomem(err);
    }
    golden->recipe = recipe;
    return dfx_values_new(&golden->values, err);
}

void
dfx_golden_free(dfx_golden *golden)
{
    if (golden == NULL)
        return;
    cJSON_Delete(golden->recipe);
    free(golden->text);
    dfx_values_free(golden->values);
    free(golden->stages);
    free(golden);
}

/* Little-endian, as a safetensors file has them. */
static dfx_status
hash_value(const dfx_value *value, char hash[DFX_HASH_CHARS], dfx_error *err)
{
    size_t size = value->type == DFX_TYPE_F32 ? sizeof(float) : sizeof(int64_t);
    dfx_sha256 *sha = NULL;
    dfx_status status = dfx_sha256_new(&sha, err);

    if (status == DFX_OK)
        status =
            dfx_sha256_add(sha, value->data, (size_t)value->count * size, err);
    if (status == DFX_OK)
        status = dfx_sha256_hex(sha, hash, err);
    dfx_sha256_free(sha);
    return status;
}

dfx_status
dfx_golden_add(dfx_golden *golden, const dfx_value *value, dfx_error *err)
{
    dfx_golden_stage stage = {.value = value};

    DFX_TRY(hash_value(value, stage.hash, err));
    if (!dfx_grow(&golden->stages, &golden->capacity, golden->count,
                  sizeof *golden->stages))
        return dfx_fail_nomem(err);
    golden->stages[golden->count++] = stage;
    return DFX_OK;
}

const char *
dfx_golden_recipe(const dfx_golden *golden)
{
    return golden->text;
}

const dfx_golden_stage *
dfx_golden_at(const dfx_golden *golden, size_t i)
{
    return i < golden->count ? &golden->stages[i] : NULL;
}

const dfx_golden_stage *
dfx_golden_find(const dfx_golden *golden, const char *name)
{
    for (size_t i = 0; i < golden->count; i++)
        if (strcmp(golden->stages[i].value->name, name) == 0)
            return &golden->stages[i];
    return NULL;
}

/* ---- Runs ---------------------------------------------------------------- */

/* All of from, as denoise.NAME. */
static dfx_status
add_denoised(dfx_values *out, const dfx_values *from, dfx_error *err)
{
    for (size_t i = 0; i < from->count; i++) {
        const dfx_value *v = &from->items[i];
        char name[512];

        snprintf(name, sizeof name, "denoise.%s", v->name);
        DFX_TRY(dfx_values_add(out, name, v->type, v->rank, v->shape, v->data,
                               err));
    }
    return DFX_OK;
}

/* One call of the UNet alone. */
static dfx_status
denoise_once(dfx_model *model, const dfx_image_request *request, bool layers,
             dfx_values *out, dfx_error *err)
{
    dfx_values *in = NULL, *given = NULL, *modules = NULL;
    dfx_status status = dfx_values_new(&in, err);

    if (status == DFX_OK)
        status = dfx_values_new(&given, err);
    if (status == DFX_OK)
        status = dfx_values_new(&modules, err);
    if (status == DFX_OK)
        status = dfx_run_inputs(model, request, in, err);
    if (status == DFX_OK)
        status = dfx_run_denoise(model, in, (double)NAN, given,
                                 layers ? modules : NULL, err);
    if (status == DFX_OK)
        status = add_denoised(out, modules, err);
    if (status == DFX_OK)
        status = add_denoised(out, given, err);
    dfx_values_free(in);
    dfx_values_free(given);
    dfx_values_free(modules);
    return status;
}

static dfx_status
run_stages(dfx_model *model, const dfx_image_request *request, bool layers,
           dfx_values *out, dfx_error *err)
{
    dfx_encode_options encode = {
        .prompt = request->prompts[0],
        .negative = request->negative,
        .clip_skip = request->clip_skip,
    };

    DFX_TRY(dfx_run_encode(model, &encode, out, err));
    DFX_TRY(denoise_once(model, request, layers, out, err));
    return dfx_run_image(model, request, out, err);
}

/* The size that the run had, where the request left it to the model. */
static dfx_status
finish_recipe(dfx_golden *golden, dfx_error *err)
{
    const dfx_value *image = dfx_values_find(golden->values, "image");

    if (dfx_doc_set(golden->recipe, "width",
                    dfx_doc_new_int((int64_t)image->shape[3])) &&
        dfx_doc_set(golden->recipe, "height",
                    dfx_doc_new_int((int64_t)image->shape[2])))
        golden->text = dfx_doc_print_compact(golden->recipe);
    return golden->text != NULL ? DFX_OK : dfx_fail_nomem(err);
}

/* Takes the recipe. */
static dfx_status
run_recipe(cJSON *recipe, dfx_model *model,
           bool (*step)(void *context, const dfx_image_step *step),
           void *context, dfx_golden **out, dfx_error *err)
{
    dfx_image_request request;
    const char *prompt = NULL;
    dfx_golden *golden = NULL;
    dfx_status status = dfx_golden_new(recipe, &golden, err);

    if (status == DFX_OK)
        status = dfx_golden_request(golden->recipe, &prompt, &request, err);
    if (status == DFX_OK) {
        request.keep_latents = true;
        request.step = step;
        request.context = context;
        status = run_stages(model, &request,
                            cJSON_IsTrue(dfx_doc_get(golden->recipe, "layers")),
                            golden->values, err);
    }
    if (status == DFX_OK)
        status = finish_recipe(golden, err);
    for (size_t i = 0; status == DFX_OK && i < golden->values->count; i++)
        status = dfx_golden_add(golden, &golden->values->items[i], err);
    if (status != DFX_OK) {
        dfx_golden_free(golden);
        golden = NULL;
    }
    *out = golden;
    return status;
}

dfx_status
dfx_golden_run(dfx_model *model, const dfx_image_request *request, bool layers,
               dfx_golden **golden, dfx_error *err)
{
    cJSON *recipe = NULL;

    *golden = NULL;
    DFX_TRY(print_recipe(request, layers, &recipe, err));
    return run_recipe(recipe, model, request->step, request->context, golden,
                      err);
}

dfx_status
dfx_golden_repeat(const dfx_golden *first, dfx_model *model,
                  bool (*step)(void *context, const dfx_image_step *step),
                  void *context, dfx_golden **golden, dfx_error *err)
{
    cJSON *recipe = cJSON_Duplicate(first->recipe, true);

    *golden = NULL;
    return recipe != NULL
               ? run_recipe(recipe, model, step, context, golden, err)
               : dfx_fail_nomem(err);
}
