/*
 * test_stages.c - what runs give besides pictures, and words that they learn
 */
#include <config.h>

#include "models.h"
#include "tap.h"
#include "values.h"

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
    bool good =
        dfx_values_new(&in, &err) == DFX_OK &&
        dfx_values_new(&out, &err) == DFX_OK &&
        dfx_values_new(&alone, &err) == DFX_OK &&
        dfx_values_new(&activations, &err) == DFX_OK &&
        dfx_values_put(in, &err, DFX_TYPE_F32, 4, (size_t[]){1, 4, 8, 8},
                       sample, "sample") == DFX_OK &&
        dfx_values_put(in, &err, DFX_TYPE_F32, 3, (size_t[]){1, 7, 32}, text,
                       "encoder_hidden_states") == DFX_OK &&
        dfx_model_open("sd15", NULL, &model, &err) == DFX_OK &&
        dfx_run_denoise(model, in, 500, out, activations, &err) == DFX_OK &&
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
        (!xl || (put_words(one, "clip_g", model, second, true, "cat", &err) &&
                 put_words(more, "clip_g", model, second, true,
                           "very old photo", &err))) &&
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

int
main(void)
{
    models_find();
    CHECK(make_model("sd15", "sd15") && make_model("sdxl", "sdxl"),
          "models are made");
    test_activations();
    test_inversion("sd15");
    test_inversion("sdxl");
    test_foreign_inversion();
    return tap_end();
}
