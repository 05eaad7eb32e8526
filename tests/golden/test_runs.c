/*
 * test_runs.c - whole runs against the pipelines of diffusers
 *
 * tests/golden/run/README.md says what the cases are: latents after each call
 * of the scheduler, and the picture, within the tolerances there.
 */
#include <config.h>

#include "models.h"
#include "tap.h"
#include "values.h"

#include <math.h>

/* ---- Cases --------------------------------------------------------------- */

typedef struct run {
    cJSON *doc;
    const cJSON *arguments;
    dfx_image_request request;
    dfx_control control;
    dfx_lora_use lora;
    size_t sizes[6][2];
    const char *prompts[8];
} run;

static const cJSON *
argument(const run *r, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->arguments, key);

    return cJSON_IsNull(value) ? NULL : value;
}

static double
number(const run *r, const char *key, double usual)
{
    const cJSON *value = argument(r, key);

    return value != NULL ? value->valuedouble : usual;
}

static const size_t *
size_pair(run *r, size_t i, const char *key)
{
    const cJSON *value = argument(r, key);

    if (value == NULL)
        return NULL;
    for (int k = 0; k < 2; k++)
        r->sizes[i][k] = (size_t)cJSON_GetArrayItem(value, k)->valueint;
    return r->sizes[i];
}

/* The picture and the mask of a case, in input.safetensors. */
static bool
make_inputs(const run *r)
{
    const cJSON *rows = cJSON_GetObjectItem(r->doc, "inputs");
    cJSON *list = cJSON_CreateObject();
    char *text;
    bool good;
    synth_list made;
    float mask[32 * 32];
    dfx_values *values = NULL;
    dfx_error err;

    if (cJSON_GetArraySize(rows) == 0) {
        cJSON_Delete(list);
        return true;
    }
    cJSON_AddNumberToObject(
        list, "seed", cJSON_GetObjectItem(r->doc, "input_seed")->valuedouble);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(list, "tensors"),
                         cJSON_Duplicate(cJSON_GetArrayItem(rows, 0), true));
    text = cJSON_Print(list);
    cJSON_Delete(list);
    scratch_write("inputs.json", text, strlen(text));
    free(text);
    good = synth_read(&made, "inputs.json");
    if (!good)
        return false;
    good = synth_write(&made, SYNTH_VALUES, "input.safetensors");
    synth_fini(&made);
    for (size_t i = 0; i < 32 * 32; i++)
        mask[i] = i / 32 >= 8 && i / 32 < 24 && i % 32 >= 4 && i % 32 < 20;
    good = good && dfx_values_new(&values, &err) == DFX_OK &&
           dfx_values_put(values, &err, DFX_TYPE_F32, 4,
                          (size_t[]){1, 1, 32, 32}, mask, "mask") == DFX_OK &&
           dfx_values_write(values, "mask.safetensors", true, &err) == DFX_OK;
    dfx_values_free(values);
    return good;
}

static bool
make_lora(const run *r, const char *name)
{
    char path[1200];
    synth_list list;
    bool made;

    if (argument(r, "lora") == NULL)
        return true;
    snprintf(path, sizeof path, "%s/%s/lora.json", golden_folder, name);
    if (!synth_read(&list, path))
        return false;
    made = synth_write(&list, SYNTH_VALUES, "lora.safetensors");
    synth_fini(&list);
    return made;
}

static void
set_texts(run *r)
{
    const cJSON *prompt = argument(r, "prompt");
    size_t count =
        cJSON_IsArray(prompt) ? (size_t)cJSON_GetArraySize(prompt) : 1;

    for (size_t i = 0; i < count; i++)
        r->prompts[i] = cJSON_IsArray(prompt) ? text_at(prompt, (int)i)
                                              : prompt->valuestring;
    r->request.prompts = r->prompts;
    r->request.prompt_count = count;
    r->request.prompt_2 = cJSON_GetStringValue(argument(r, "prompt_2"));
    r->request.negative = cJSON_GetStringValue(argument(r, "negative_prompt"));
}

static void
set_request(run *r, const char *pipeline)
{
    dfx_image_request *q = &r->request;

    dfx_image_request_init(q);
    set_texts(r);
    q->keep_latents = true;
    q->scheduler_config = "scheduler.json";
    q->images = (size_t)number(r, "num_images_per_prompt", 1);
    q->steps = (uint32_t)number(r, "steps", 0);
    q->seed = (uint64_t)number(r, "seed", 0);
    q->height = (size_t)number(r, "height", 32);
    q->width = (size_t)number(r, "width", 32);
    q->guidance = number(r, "guidance_scale", NAN);
    q->guidance_rescale = number(r, "guidance_rescale", 0);
    q->image_guidance = number(r, "image_guidance_scale", 1.5);
    q->eta = number(r, "eta", 0);
    q->strength = number(r, "strength", NAN);
    q->denoising_start = number(r, "denoising_start", NAN);
    q->denoising_end = number(r, "denoising_end", NAN);
    q->aesthetic = number(r, "aesthetic_score", NAN);
    q->clip_skip = (unsigned)number(r, "clip_skip", 0);
    q->as_latents = cJSON_IsTrue(argument(r, "output_latent"));
    q->guess = cJSON_IsTrue(argument(r, "guess_mode"));
    q->sizes = (dfx_picture_sizes){size_pair(r, 0, "original_size"),
                                   size_pair(r, 1, "crops_coords_top_left"),
                                   size_pair(r, 2, "target_size")};
    q->negative_sizes =
        (dfx_picture_sizes){size_pair(r, 3, "negative_original_size"),
                            size_pair(r, 4, "negative_crops_coords_top_left"),
                            size_pair(r, 5, "negative_target_size")};
    if (strstr(pipeline, "Inpaint") != NULL)
        q->task = DFX_TASK_INPAINT;
    else if (strstr(pipeline, "Img2Img") != NULL ||
             strstr(pipeline, "Pix2Pix") != NULL)
        q->task = DFX_TASK_IMG2IMG;
    q->image = "input.safetensors";
    q->mask = "mask.safetensors";
    if (strstr(pipeline, "ControlNet") != NULL) {
        r->control = (dfx_control){
            .path = "controlnet/controlnet",
            .image = "input.safetensors",
            .scale = number(r, "controlnet_conditioning_scale", 1),
            .start = number(r, "control_guidance_start", 0),
            .end = number(r, "control_guidance_end", 1),
        };
        q->controls = &r->control;
        q->control_count = 1;
    }
    if (argument(r, "lora") != NULL) {
        r->lora =
            (dfx_lora_use){"lora.safetensors", number(r, "lora_scale", 1)};
        q->loras = &r->lora;
        q->lora_count = 1;
    }
}

/* ---- Comparing ----------------------------------------------------------- */

static void
compare(const run *r, const dfx_values *out, const dfx_values *wanted)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(r->doc, "outputs"))
    {
        const char *name = text_of(row, "name");
        const dfx_value *got = dfx_values_find(out, name);
        const dfx_value *want = dfx_values_find(wanted, name);
        double limit = cJSON_GetObjectItem(row, "atol")->valuedouble;
        double most = 0;
        char what[200];

        if (!CHECK(got != NULL && want != NULL && got->count == want->count,
                   name))
            continue;
        for (uint64_t i = 0; i < got->count; i++) {
            double d = fabs((double)((const float *)got->data)[i] -
                            (double)((const float *)want->data)[i]);

            if (!(d <= most))
                most = d;
        }
        snprintf(what, sizeof what, "  %s: %.2g of %.2g", name, most, limit);
        CHECK(most <= limit, what);
    }
}

static void
write_scheduler(const run *r)
{
    char *text = cJSON_Print(cJSON_GetObjectItem(r->doc, "scheduler"));

    scratch_write("scheduler.json", text, strlen(text));
    free(text);
}

static void
test_case(const char *name)
{
    dfx_values *out = NULL, *wanted = NULL;
    dfx_model *model = NULL;
    run r = {0};
    char path[400], wanted_path[1200];
    dfx_error err = {.text = ""};
    bool good;

    snprintf(path, sizeof path, "%s/case.json", name);
    r.doc = golden_json(path);
    r.arguments = cJSON_GetObjectItem(r.doc, "arguments");
    set_request(&r, text_of(r.doc, "pipeline"));
    snprintf(wanted_path, sizeof wanted_path, "%s/%s/outputs.safetensors",
             golden_folder, name);
    write_scheduler(&r);
    good = make_inputs(&r) && make_lora(&r, name) &&
           dfx_values_new(&out, &err) == DFX_OK &&
           dfx_values_new(&wanted, &err) == DFX_OK &&
           dfx_values_read(wanted, wanted_path, &err) == DFX_OK &&
           dfx_model_open(text_at(cJSON_GetObjectItem(r.doc, "models"), 0),
                          NULL, &model, &err) == DFX_OK &&
           dfx_run_image(model, &r.request, out, &err) == DFX_OK;
    if (!CHECK(good, name))
        printf("# %s: %s: %s (%s)\n", err.file, err.tensor, err.text, err.rule);
    else
        compare(&r, out, wanted);
    dfx_model_free(model);
    dfx_values_free(out);
    dfx_values_free(wanted);
    cJSON_Delete(r.doc);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Arguments: the cases to run; none: all. */
int
main(int argc, char **argv)
{
    static const char *const models[] = {
        "sd15", "sd21", "sdxl", "inpaint", "pix2pix", "refiner", "controlnet"};
    char *names[256];
    size_t count = 0;
    struct dirent *entry;
    DIR *dir;

    models_find();
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        CHECK(make_model(models[i], models[i]), models[i]);
    dir = opendir(golden_folder);
    while (dir != NULL && (entry = readdir(dir)) != NULL && count < 256)
        if (strncmp(entry->d_name, "run_", 4) == 0)
            names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, compare_names);
    CHECK(count > 0, "there are cases");
    for (size_t i = 0; i < count; i++) {
        if (argc < 2)
            test_case(names[i]);
        free(names[i]);
    }
    for (int i = 1; i < argc; i++)
        test_case(argv[i]);
    return tap_end();
}
