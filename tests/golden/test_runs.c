/*
 * test_runs.c - whole runs against the pipelines of diffusers
 *
 * tests/golden/run/README.md says what the cases are: latents after each call
 * of the scheduler, and the picture, within the tolerances there.
 */
#include <config.h>

#include "golden.h"
#include "tap.h"
#include "values.h"
#include "../synth/synth.h"

#include <dirent.h>
#include <math.h>

static char tokenizers[600]; /* folder of their goldens */

/* ---- Models -------------------------------------------------------------- */

static bool
copy_file(const char *from, const char *to)
{
    size_t size = 0;
    unsigned char *data = scratch_read(from, &size);

    if (data != NULL)
        scratch_write(to, data, size);
    free(data);
    return data != NULL;
}

/* A component's config, and the weights that its list makes. */
static bool
make_component(const char *model, const char *name, const char *folder)
{
    static const char *const stems[] = {"model", "diffusion_pytorch_model"};
    char from[1200], to[400];

    snprintf(to, sizeof to, "%s/%s", folder, name);
    mkdir(to, 0777);
    snprintf(from, sizeof from, "%s/models/%s/%s/config.json", golden_folder,
             model, name);
    snprintf(to, sizeof to, "%s/%s/config.json", folder, name);
    if (!copy_file(from, to))
        return false;
    for (size_t i = 0; i < 2; i++) {
        synth_list list;
        bool made;

        snprintf(from, sizeof from, "%s/models/%s/%s/%s.json", golden_folder,
                 model, name, stems[i]);
        if (access(from, R_OK) != 0)
            continue;
        snprintf(to, sizeof to, "%s/%s/%s.safetensors", folder, name, stems[i]);
        if (!synth_read(&list, from))
            return false;
        made = synth_write(&list, SYNTH_VALUES, to);
        synth_fini(&list);
        return made;
    }
    return false;
}

/* A tokenizer whose vocabulary is the embedded one: only the pad differs. */
static bool
make_tokenizer(const char *folder, const char *name, const char *golden)
{
    static const char *const files[] = {"tokenizer_config.json",
                                        "special_tokens_map.json"};
    char from[1200], to[400];

    snprintf(to, sizeof to, "%s/%s", folder, name);
    mkdir(to, 0777);
    for (size_t i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/clip/%s/%s", tokenizers, golden,
                 files[i]);
        snprintf(to, sizeof to, "%s/%s/%s", folder, name, files[i]);
        if (!copy_file(from, to))
            return false;
    }
    return true;
}

/* The folder of a model, made unless it was. */
static bool
make_model(const char *model, const char *folder)
{
    char from[1200], to[400];
    struct dirent *entry;
    bool good = true;
    DIR *dir;

    snprintf(from, sizeof from, "%s/models/%s", golden_folder, model);
    dir = opendir(from);
    if (dir == NULL)
        return false;
    mkdir(folder, 0777);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            strcmp(entry->d_name, "model_index.json") != 0)
            good = make_component(model, entry->d_name, folder) && good;
    closedir(dir);
    snprintf(from, sizeof from, "%s/models/%s/model_index.json", golden_folder,
             model);
    snprintf(to, sizeof to, "%s/model_index.json", folder);
    if (access(from, R_OK) != 0)
        return good;
    return good && copy_file(from, to) &&
           make_tokenizer(folder, "tokenizer", "l") &&
           make_tokenizer(folder, "tokenizer_2", "bang");
}

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

/* ---- What modules give --------------------------------------------------- */

static const float *
numbers_of(const dfx_values *values, const char *name, uint64_t count)
{
    const dfx_value *value = dfx_values_find(values, name);

    return value != NULL && value->count == count ? value->data : NULL;
}

/* The last module is the output, each is there as often as it is called, and
   nothing changes where nobody looks. */
static void
test_activations(void)
{
    static const float sample[4 * 8 * 8] = {1, -1, 0.5f}, text[7 * 32] = {1, 2};
    static const char again[] = "down_blocks.0.resnets.0.nonlinearity";
    dfx_values *in = NULL, *out = NULL, *alone = NULL, *activations = NULL;
    dfx_model *model = NULL;
    const float *seen;
    char name[80];
    dfx_error err = {.text = ""};
    bool good = dfx_values_new(&in, &err) == DFX_OK &&
                dfx_values_new(&out, &err) == DFX_OK &&
                dfx_values_new(&alone, &err) == DFX_OK &&
                dfx_values_new(&activations, &err) == DFX_OK &&
                dfx_values_put(in, &err, DFX_TYPE_F32, 4,
                               (size_t[]){1, 4, 8, 8}, sample,
                               "sample") == DFX_OK &&
                dfx_values_put(in, &err, DFX_TYPE_F32, 3, (size_t[]){1, 7, 32},
                               text, "encoder_hidden_states") == DFX_OK &&
                dfx_model_open("sd15", NULL, &model, &err) == DFX_OK &&
                dfx_run_denoise(model, in, 500, out, activations, &err) ==
                    DFX_OK &&
                dfx_run_denoise(model, in, 500, alone, NULL, &err) == DFX_OK;

    if (CHECK(good, "a UNet is watched")) {
        const float *got = numbers_of(out, "sample", 256);

        seen = numbers_of(activations, "conv_out", 256);
        CHECK(got != NULL && seen != NULL &&
                  memcmp(got, seen, 256 * sizeof *got) == 0,
              "  to its end");
        seen = numbers_of(alone, "sample", 256);
        CHECK(got != NULL && seen != NULL &&
                  memcmp(got, seen, 256 * sizeof *got) == 0,
              "  which is the same unwatched");
        CHECK(numbers_of(activations, again, 32 * 8 * 8) != NULL,
              "  what is called three times");
        for (int i = 2; i <= 4; i++) {
            snprintf(name, sizeof name, "%s#%d", again, i);
            CHECK((dfx_values_find(activations, name) != NULL) == (i < 4),
                  "  is there three times");
        }
    } else
        printf("# %s: %s\n", err.tensor, err.text);
    dfx_model_free(model);
    dfx_values_free(in);
    dfx_values_free(out);
    dfx_values_free(alone);
    dfx_values_free(activations);
}

/* ---- Textual inversions -------------------------------------------------- */

enum { WIDTH = 64 }; /* no encoder of the models is wider */

/* Adds rows of an encoder's table, those of the words of a text, as name. */
static bool
put_words(dfx_values *to, const char *name, dfx_model *model,
          const char *weights, bool second, const char *text, dfx_error *err)
{
    static const char table[] = "text_model.embeddings.token_embedding.weight";
    dfx_values *all = NULL;
    const dfx_value *rows = NULL;
    float numbers[8 * WIDTH];
    uint32_t *ids = NULL;
    size_t count = 0, width = 0;
    bool good = dfx_values_new(&all, err) == DFX_OK &&
                dfx_values_read(all, weights, err) == DFX_OK &&
                (rows = dfx_values_find(all, table)) != NULL &&
                dfx_run_tokenize(model, second, text, strlen(text), &ids,
                                 &count, err) == DFX_OK &&
                count >= 3 && count <= 8 && rows->shape[1] <= WIDTH;

    if (good) {
        width = (size_t)rows->shape[1];
        for (size_t i = 1; i + 1 < count; i++)
            memcpy(numbers + (i - 1) * width,
                   (const float *)rows->data + ids[i] * width,
                   width * sizeof *numbers);
        good = dfx_values_put(to, err, DFX_TYPE_F32, 2,
                              (size_t[]){count - 2, width}, numbers, "%s",
                              name) == DFX_OK;
    }
    free(ids);
    dfx_values_free(all);
    return good;
}

static bool
draw(dfx_model *model, const char *const *embeddings, size_t count,
     const char *prompt, const char *negative, dfx_values **out, dfx_error *err)
{
    dfx_image_request request;

    *out = NULL;
    dfx_image_request_init(&request);
    request.prompts = &prompt;
    request.prompt_count = 1;
    request.negative = negative;
    request.steps = 1;
    request.height = request.width = 32;
    request.scheduler = "DDIM";
    request.as_latents = true;
    request.embeddings = embeddings;
    request.embedding_count = count;
    return dfx_values_new(out, err) == DFX_OK &&
           dfx_run_image(model, &request, *out, err) == DFX_OK;
}

/* A word that was learned to be what others are makes the same picture. */
static void
test_inversion(const char *name)
{
    const char *const files[] = {"<one>.safetensors", "<more>.safetensors"};
    bool xl = strcmp(name, "sdxl") == 0;
    dfx_values *one = NULL, *more = NULL;
    dfx_values *plain = NULL, *learned = NULL, *other = NULL;
    dfx_model *model = NULL;
    dfx_error err = {.text = ""};
    char first[100], second[100];
    bool good;

    snprintf(first, sizeof first, "%s/text_encoder/model.safetensors", name);
    snprintf(second, sizeof second, "%s/text_encoder_2/model.safetensors",
             name);
    good =
        dfx_values_new(&one, &err) == DFX_OK &&
        dfx_values_new(&more, &err) == DFX_OK &&
        dfx_model_open(name, NULL, &model, &err) == DFX_OK &&
        put_words(one, xl ? "clip_l" : "emb_params", model, first, false, "cat",
                  &err) &&
        put_words(more, xl ? "clip_l" : "emb_params", model, first, false,
                  "very old photo", &err) &&
        (!xl ||
         (put_words(one, "clip_g", model, second, true, "cat", &err) &&
          put_words(more, "clip_g", model, second, true, "very old photo",
                    &err))) &&
        dfx_values_write(one, files[0], true, &err) == DFX_OK &&
        dfx_values_write(more, files[1], true, &err) == DFX_OK &&
        draw(model, NULL, 0, "a very old photo of a cat", "old cat", &plain,
             &err) &&
        draw(model, files, 2, "a <more> of a <one>", "old <one>", &learned,
             &err) &&
        draw(model, files, 2, "a <one> of a <more>", "", &other, &err);
    if (CHECK(good, name)) {
        const dfx_value *a = dfx_values_find(plain, "image");
        const dfx_value *b = dfx_values_find(learned, "image");
        const dfx_value *c = dfx_values_find(other, "image");

        CHECK(memcmp(a->data, b->data, a->count * sizeof(float)) == 0,
              "  learned words make the same picture");
        CHECK(memcmp(a->data, c->data, a->count * sizeof(float)) != 0,
              "  in their places");
    } else
        printf("# %s: %s: %s\n", err.file, err.tensor, err.text);
    dfx_values_free(plain);
    CHECK(!draw(model, (const char *const[]){files[0], files[0]}, 2, "a", NULL,
                &plain, &err) &&
              strcmp(err.rule, "run.inversion") == 0,
          "  a word is learned once");
    dfx_values_free(plain);
    dfx_values_free(learned);
    dfx_values_free(other);
    dfx_values_free(one);
    dfx_values_free(more);
    dfx_model_free(model);
}

static void
test_foreign_inversion(void)
{
    static const float numbers[39];
    const char *const file = "<wide>.safetensors";
    dfx_values *values = NULL, *out = NULL;
    dfx_model *model = NULL;
    dfx_error err = {.text = ""};

    CHECK(dfx_values_new(&values, &err) == DFX_OK &&
              dfx_values_put(values, &err, DFX_TYPE_F32, 1, (size_t[]){39},
                             numbers, "emb_params") == DFX_OK &&
              dfx_values_write(values, file, true, &err) == DFX_OK &&
              dfx_model_open("sd15", NULL, &model, &err) == DFX_OK &&
              !draw(model, &file, 1, "a", NULL, &out, &err) &&
              strcmp(err.rule, "run.inversion") == 0 &&
              strcmp(err.file, file) == 0,
          "vectors of another width");
    dfx_values_free(values);
    dfx_values_free(out);
    dfx_model_free(model);
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

    golden_find("tokenizers");
    snprintf(tokenizers, sizeof tokenizers, "%s", golden_folder);
    golden_find("run");
    scratch_enter();
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        CHECK(make_model(models[i], models[i]), models[i]);
    test_activations();
    test_inversion("sd15");
    test_inversion("sdxl");
    test_foreign_inversion();
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
