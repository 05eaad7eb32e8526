/*
 * test_configs.c - the embedded JSON files, the table of sets against them, and
 * the folders that are composed of them
 *
 * The SHA-256 of merges.txt and vocab.json are those of the published CLIP
 * tokenizers.
 */
#include <config.h>

#include "configs.h"

#include "../synth/synth.h"
#include "digest.h"
#include "document.h"
#include "scratch.h"
#include "tap.h"

#define SOURCE "model.safetensors"

static char lists[512]; /* the folder of key lists */

/* ---- Embedded files ------------------------------------------------------ */

static void
check_file(const char *path, size_t want_size, const char *want_hash)
{
    const char *data = NULL;
    char hash[DFX_HASH_CHARS] = "";
    size_t size = 0;
    dfx_sha256 *sha = NULL;

    if (!CHECK(dfx_configs_get(path, &data, &size, NULL) == DFX_OK &&
                   data != NULL,
               path))
        return;
    CHECK_U64(size, want_size, "its size");
    if (dfx_sha256_new(&sha, NULL) != DFX_OK ||
        dfx_sha256_add(sha, data, size, NULL) != DFX_OK ||
        dfx_sha256_hex(sha, hash, NULL) != DFX_OK)
        CHECK(false, "SHA-256");
    dfx_sha256_free(sha);
    CHECK_TEXT(hash, want_hash, "its SHA-256");
}

static void
test_vocabulary(void)
{
    check_file("clip-tokenizer/merges.txt", 524619,
               "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051"
               "a");
    check_file("clip-tokenizer/vocab.json", 1059962,
               "e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a434"
               "9");
}

static void
test_paths(void)
{
    const char *data = "", *path;
    size_t size = 1, count = 0, wrong = 0, unordered = 0;

    CHECK(dfx_configs_get("sd15/nothing.json", &data, &size, NULL) == DFX_OK &&
              data == NULL && size == 0,
          "a path that is not there gives nothing");
    for (; (path = dfx_configs_at(count)) != NULL; count++) {
        cJSON *doc = NULL;

        unordered += count > 0 && strcmp(dfx_configs_at(count - 1), path) >= 0;
        if (strstr(path, ".json") == NULL)
            continue;
        wrong += dfx_configs_get(path, &data, &size, NULL) != DFX_OK ||
                 dfx_doc_parse(data, size, path, &doc, NULL) != DFX_OK;
        cJSON_Delete(doc);
    }
    CHECK(count > 300, "hundreds of files");
    CHECK_U64(wrong, 0, "each JSON file is JSON");
    CHECK_U64(unordered, 0, "paths are sorted, each once");
}

/* ---- Sets ---------------------------------------------------------------- */

static const dfx_set *
set_named(const char *name, size_t size)
{
    const dfx_set *set = dfx_pipelines_table.sets;

    for (; set->name != NULL; set++)
        if (strlen(set->name) == size && memcmp(set->name, name, size) == 0)
            return set;
    return NULL;
}

static bool
has_file(const char *set, const char *file)
{
    char path[1024];
    const char *data = NULL;
    size_t size;

    snprintf(path, sizeof path, "%.200s/%.200s", set, file);
    return dfx_configs_get(path, &data, &size, NULL) == DFX_OK && data != NULL;
}

/* A folder without a set could not be asked for. */
static void
test_every_folder_is_a_set(void)
{
    const char *path;
    size_t lost = 0;

    for (size_t i = 0; (path = dfx_configs_at(i)) != NULL; i++) {
        size_t size = strcspn(path, "/");

        if (strncmp(path, "clip-tokenizer", size) != 0 &&
            set_named(path, size) == NULL) {
            printf("# %s belongs to no set\n", path);
            lost++;
        }
    }
    CHECK_U64(lost, 0, "every folder of configs is a set");
}

static bool
also_known(const char *also)
{
    while (also != NULL && *also != '\0') {
        size_t size = strcspn(also, ",");

        if (set_named(also, size) == NULL)
            return false;
        also += size + (also[size] == ',');
    }
    return true;
}

/* Components with weights have a slot, and slots a component. */
static bool
slots_fit(const dfx_set *set)
{
    char path[256];
    bool good = true;

    for (const dfx_slot *s = set->slots; s->component != NULL; s++) {
        const char *lender = set->base != NULL ? set->base : set->name;

        snprintf(path, sizeof path, "%s/config.json", s->component);
        if (!s->optional && !has_file(set->name, path) &&
            !has_file(lender, path) && !has_file(set->name, "config.json") &&
            strcmp(set->name, "stable-zero123") != 0) {
            printf("# %s has no %s\n", set->name, path);
            good = false;
        }
    }
    return good;
}

static void
test_sets(void)
{
    const dfx_set *set = dfx_pipelines_table.sets;
    dfx_facts none = {0};
    size_t bad_when = 0, bad_also = 0, bad_kind = 0, bad_slots = 0, twice = 0;

    for (; set->name != NULL; set++) {
        int64_t value;

        bad_when += set->when != NULL &&
                    dfx_facts_eval(&none, set->when, &value, NULL) != DFX_OK;
        bad_also += !also_known(set->also);
        bad_kind += dfx_kind_named(set->kind) == NULL;
        bad_slots +=
            set->slots != NULL
                ? !slots_fit(set)
                : set->base == NULL && !has_file(set->name, "config.json");
        twice += set_named(set->name, strlen(set->name)) != set;
        for (const dfx_slot *s = set->slots; s != NULL && s->component != NULL;
             s++)
            for (size_t k = 0; k < 3 && s->kinds[k] != NULL; k++)
                bad_kind += dfx_kind_named(s->kinds[k]) == NULL;
    }
    CHECK_U64(bad_when, 0, "every condition can be evaluated");
    CHECK_U64(bad_also, 0, "every set named in another is there");
    CHECK_U64(bad_kind, 0, "every kind that a set names is there");
    CHECK_U64(bad_slots, 0, "every set has the files that its slots need");
    CHECK_U64(twice, 0, "no name twice");
}

static void
test_ema_names(void)
{
    char name[80];

    CHECK(
        dfx_pipelines_table.ema_name(
            "model.diffusion_model.input_blocks.0.0.weight", name, sizeof name),
        "a UNet tensor has an averaged copy");
    CHECK_TEXT(name, "model_ema.diffusion_modelinput_blocks00weight",
               "without its first part and dots");
    CHECK(
        !dfx_pipelines_table.ema_name("first_stage_model.x", name, sizeof name),
        "a VAE tensor has none");
    CHECK(!dfx_pipelines_table.ema_name("model.diffusion_model.conv_in.weight",
                                        name, 20),
          "a name that does not fit is refused");
}

/* ---- Folders ------------------------------------------------------------- */

/* A folder composed of a key list, and what to release after it. */
typedef struct made {
    dfx_index *index;
    dfx_identity *identity;
    dfx_arena arena;
    const dfx_config_file *files;
    size_t count;
    dfx_status status;
    dfx_error err;
} made;

static made
make_from(const char *source, const dfx_identify_options *options)
{
    made m = {.status = DFX_ERR_IO};

    m.status = dfx_open(source, NULL, &m.index, &m.err);
    if (m.status == DFX_OK)
        m.status = dfx_identify(m.index, options, &m.identity, &m.err);
    if (m.status == DFX_OK)
        m.status =
            dfx_configs_make(m.identity, &m.arena, &m.files, &m.count, &m.err);
    return m;
}

static made
make(const char *list_name, const dfx_identify_options *options)
{
    char path[1024];
    synth_list list;
    made m = {.status = DFX_ERR_IO};

    snprintf(path, sizeof path, "%s/expect-unet.json", lists);
    if (!synth_read_case(&list, path, list_name))
        return m;
    if (synth_write(&list, SYNTH_ZERO, SOURCE))
        m = make_from(SOURCE, options);
    synth_fini(&list);
    return m;
}

static void
release(made *m)
{
    dfx_arena_fini(&m->arena);
    dfx_identity_free(m->identity);
    dfx_index_free(m->index);
}

/* "path path path" */
static void
check_paths(const made *m, const char *want, const char *what)
{
    dfx_text paths = {0};

    for (size_t i = 0; i < m->count; i++)
        dfx_text_printf(&paths, "%s%s", i > 0 ? " " : "", m->files[i].path);
    CHECK_TEXT(paths.data != NULL ? paths.data : "", want, what);
    dfx_text_fini(&paths);
}

/* The composed file of that path, or NULL. */
static const dfx_config_file *
file_of(const made *m, const char *path)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->files[i].path, path) == 0)
            return &m->files[i];
    return NULL;
}

static cJSON *
open_file(const made *m, const char *path)
{
    const dfx_config_file *file = file_of(m, path);
    cJSON *doc = NULL;

    if (file == NULL ||
        dfx_doc_parse(file->data, file->size, path, &doc, NULL) != DFX_OK)
        return NULL;
    return doc;
}

static void
check_field(const made *m, const char *path, const char *field,
            const char *want)
{
    cJSON *doc = open_file(m, path);
    const cJSON *node = dfx_doc_get(doc, field);
    char *text = node != NULL ? dfx_doc_print_compact(node) : NULL;
    char what[256];

    snprintf(what, sizeof what, "%s of %s", field, path);
    CHECK_TEXT(text != NULL ? text : "absent", want, what);
    free(text);
    cJSON_Delete(doc);
}

static void
test_pipeline(void)
{
    made m = make("sd15-pruned-emaonly", NULL);

    CHECK(m.status == DFX_OK, "a whole SD1.5 file");
    check_paths(&m,
                "feature_extractor/preprocessor_config.json model_index.json "
                "scheduler/scheduler_config.json text_encoder/config.json "
                "tokenizer/merges.txt tokenizer/special_tokens_map.json "
                "tokenizer/tokenizer_config.json tokenizer/vocab.json "
                "unet/config.json vae/config.json",
                "the files of its folder");
    check_field(&m, "model_index.json", "_class_name",
                "\"StableDiffusionPipeline\"");
    check_field(&m, "model_index.json", "safety_checker", "[null,null]");
    check_field(&m, "model_index.json", "requires_safety_checker", "false");
    check_field(&m, "model_index.json", "feature_extractor",
                "[\"transformers\",\"CLIPImageProcessor\"]");
    check_field(&m, "model_index.json", "unet",
                "[\"diffusers\",\"UNet2DConditionModel\"]");
    release(&m);
}

/* What nothing changes has the published bytes. */
static void
test_published_bytes(void)
{
    made m = make("sdxl-base", NULL);
    const char *const paths[] = {"unet/config.json", "vae/config.json",
                                 "text_encoder/config.json",
                                 "scheduler/scheduler_config.json"};
    size_t same = 0;

    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++) {
        const dfx_config_file *file = file_of(&m, paths[p]);
        char embedded[256];
        const char *data = NULL;
        size_t size = 0;

        snprintf(embedded, sizeof embedded, "sdxl-base/%s", paths[p]);
        same += file != NULL &&
                dfx_configs_get(embedded, &data, &size, NULL) == DFX_OK &&
                size == file->size && memcmp(data, file->data, size) == 0;
    }
    CHECK_U64(same, 4, "SDXL base: configs are the published bytes");
    release(&m);
}

static void
test_lone_component(void)
{
    made m = make("sd15-inpaint", NULL);

    check_field(&m, "unet/config.json", "in_channels", "9");
    release(&m);
    m = make("unet/sd15-inpaint", NULL);
    check_paths(&m, "unet/config.json", "a UNet alone has its config");
    check_field(&m, "unet/config.json", "in_channels", "9");
    release(&m);
    m = make("controlnet-sd21-bare", NULL);
    check_paths(&m, "controlnet/config.json", "a ControlNet alone");
    release(&m);
    m = make("vae-bare",
             &(dfx_identify_options){.family = "vae-sdxl-fp16-fix"});
    check_field(&m, "vae/config.json", "force_upcast", "false");
    check_field(&m, "vae/config.json", "scaling_factor", "0.13025");
    release(&m);
}

static void
test_controlnet_with_base(void)
{
    made m = make("controlnet-sd15-with-base-model", NULL);

    check_field(&m, "model_index.json", "_class_name",
                "\"StableDiffusionControlNetPipeline\"");
    check_field(&m, "model_index.json", "controlnet",
                "[\"diffusers\",\"ControlNetModel\"]");
    check_field(&m, "unet/config.json", "sample_size", "64");
    check_field(&m, "controlnet/config.json",
                "conditioning_embedding_out_channels", "[16,32,96,256]");
    CHECK(file_of(&m, "vae/config.json") != NULL,
          "the base model's files are there");
    release(&m);
}

/* The places of a pipeline that a file does not fill. */
static void
test_partial(void)
{
    made m = make("sd2-depth", NULL);

    check_field(&m, "model_index.json", "depth_estimator", "[null,null]");
    check_field(&m, "model_index.json", "text_encoder",
                "[\"transformers\",\"CLIPTextModel\"]");
    CHECK(file_of(&m, "depth_estimator/config.json") == NULL,
          "no config of a part that cannot be written");
    release(&m);
    m = make("sdxl-refiner", NULL);
    check_field(&m, "model_index.json", "text_encoder", "[null,null]");
    check_field(&m, "model_index.json", "text_encoder_2",
                "[\"transformers\",\"CLIPTextModelWithProjection\"]");
    release(&m);
}

/* ---- What is laid over --------------------------------------------------- */

static void
set_const(synth_list *list, const char *name, double value)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->tensors[i].name, name) == 0) {
            list->tensors[i].kind = SYNTH_CONST;
            list->tensors[i].offset = value;
        }
}

/* Markers whose tensors hold numbers; float32 prints as few digits as name it.
 */
static void
test_markers(void)
{
    char path[1024];
    synth_list list;
    made m;

    snprintf(path, sizeof path, "%s/../playground-vae/source.json", lists);
    if (!CHECK(synth_read(&list, path), "the VAE of Playground"))
        return;
    set_const(&list, "edm_mean", -1.6574);
    set_const(&list, "edm_std", 8.4927);
    CHECK(synth_write(&list, SYNTH_VALUES, SOURCE), "is written");
    m = make_from(SOURCE, NULL);
    CHECK_TEXT(dfx_identity_variant(m.identity), "playground-v2.5",
               "is recognised by its markers");
    check_field(&m, "vae/config.json", "latents_mean",
                "[-1.6574,-1.6574,-1.6574,-1.6574]");
    check_field(&m, "vae/config.json", "latents_std",
                "[8.4927,8.4927,8.4927,8.4927]");
    check_field(&m, "vae/config.json", "scaling_factor", "0.5");
    release(&m);
    synth_fini(&list);
    m = make("sdxl-vpred-zsnr", NULL);
    check_field(&m, "scheduler/scheduler_config.json", "prediction_type",
                "\"v_prediction\"");
    check_field(&m, "scheduler/scheduler_config.json", "rescale_betas_zero_snr",
                "true");
    release(&m);
}

static void
test_settings(void)
{
    static const char *const set[] = {
        "unet.upcast_attention=true", "scheduler.prediction_type=v_prediction",
        "vae.scaling_factor=1e-05", "unet.block_out_channels=[1, 2]",
        "model_index.requires_safety_checker=null"};
    made m = make("sd15-fp16-pruned",
                  &(dfx_identify_options){.set = set, .set_count = 5});

    check_field(&m, "unet/config.json", "upcast_attention", "true");
    check_field(&m, "unet/config.json", "block_out_channels", "[1,2]");
    check_field(&m, "scheduler/scheduler_config.json", "prediction_type",
                "\"v_prediction\"");
    check_field(&m, "vae/config.json", "scaling_factor", "1e-05");
    check_field(&m, "model_index.json", "requires_safety_checker", "null");
    release(&m);
}

static void
test_wrong_settings(void)
{
    static const struct {
        const char *set, *text;
    } rows[] = {
        {"unet", "\"unet\" is not COMPONENT.FIELD=VALUE"},
        {"unet.=1", "\"unet.=1\" is not COMPONENT.FIELD=VALUE"},
        {"=1", "\"=1\" is not COMPONENT.FIELD=VALUE"},
        {"", "\"\" is not COMPONENT.FIELD=VALUE"},
        {"net.x=1", "\"net.x=1\" sets a field of no component that is here: "
                    "unet"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        made m =
            make("sd15-unet-bare",
                 &(dfx_identify_options){.set = &rows[i].set, .set_count = 1});

        CHECK(m.status == DFX_ERR_USAGE, "a setting is refused");
        CHECK_TEXT(m.err.text, rows[i].text, "and says why");
        release(&m);
    }
}

static void
write_text(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

static void
test_config_folder(void)
{
    dfx_identify_options options = {.config_dir = "own"};
    const dfx_config_file *merges;
    made m;

    mkdir("own", 0777);
    mkdir("own/unet", 0777);
    mkdir("own/tokenizer", 0777);
    write_text(
        "own/unet/config.json",
        "{\"_class_name\": \"UNet2DConditionModel\", \"in_channels\": 5, "
        "\"norm_num_groups\": 16}");
    write_text("own/tokenizer/merges.txt", "#version\n");
    write_text("own/tokenizer/tokenizer.json", "{}");
    write_text("own/tokenizer/model.safetensors", "x");
    m = make("sd15-fp16-pruned", &options);
    CHECK(m.status == DFX_OK, "a folder of configs");
    check_field(&m, "unet/config.json", "in_channels", "5");
    check_field(&m, "unet/config.json", "norm_num_groups", "16");
    check_field(&m, "unet/config.json", "sample_size", "absent");
    check_field(&m, "vae/config.json", "sample_size", "512");
    merges = file_of(&m, "tokenizer/merges.txt");
    CHECK(merges != NULL && merges->size == 9,
          "its merges take the place of ours");
    CHECK(file_of(&m, "tokenizer/model.safetensors") == NULL,
          "weights are not taken from it");
    CHECK(file_of(&m, "tokenizer/tokenizer.json") != NULL,
          "a file that we have not is taken too");
    release(&m);
    options.config_dir = "nowhere";
    m = make("sd15-fp16-pruned", &options);
    CHECK_TEXT(m.err.text, "\"nowhere\" is not a folder of JSON files",
               "a folder that is not there is refused");
    release(&m);
}

static void
test_yaml_overrides(void)
{
    static const char *const set[] = {"unet.in_channels=7"};
    dfx_identify_options options = {.yaml = "own.yaml"};
    made m;

    write_text("own.yaml", "model: {params: {parameterization: v, image_size: "
                           "96, unet_config: {params: {in_channels: 6}}}}");
    m = make("sd15-fp16-pruned", &options);
    check_field(&m, "unet/config.json", "in_channels", "6");
    check_field(&m, "unet/config.json", "sample_size", "96");
    check_field(&m, "scheduler/scheduler_config.json", "prediction_type",
                "\"v_prediction\"");
    release(&m);
    options.set = set;
    options.set_count = 1;
    m = make("sd15-fp16-pruned", &options);
    check_field(&m, "unet/config.json", "in_channels", "7");
    release(&m);
}

/* What an earlier conversion kept in the metadata: over the derived, under the
   user's. */
static void
test_kept_documents(void)
{
    static const char *const set[] = {"scheduler.steps_offset=3"};
    dfx_identify_options options = {.set = set, .set_count = 1};
    char path[1024];
    synth_list list;
    made m;

    snprintf(path, sizeof path, "%s/expect-unet.json", lists);
    if (!CHECK(synth_read_case(&list, path, "sd15-fp16-pruned"), "a list"))
        return;
    list.metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(
        list.metadata, DFX_RESIDUE_KEY,
        "{\"schema\":1,\"documents\":{\"vae/config.json\":{\"sample_size\":7},"
        "\"unet/config.json\":{\"sample_size\":8},"
        "\"scheduler/scheduler_config.json\":{\"steps_offset\":2},"
        "\"tokenizer/special_tokens_map.json\":null}}");
    CHECK(synth_write(&list, SYNTH_ZERO, SOURCE), "is written");
    synth_fini(&list);
    options.config_dir = "own"; /* has unet/config.json, which wins */
    m = make_from(SOURCE, &options);
    check_field(&m, "vae/config.json", "sample_size", "7");
    check_field(&m, "vae/config.json", "in_channels", "absent");
    check_field(&m, "unet/config.json", "sample_size", "absent");
    check_field(&m, "unet/config.json", "norm_num_groups", "16");
    check_field(&m, "scheduler/scheduler_config.json", "steps_offset", "3");
    CHECK(file_of(&m, "tokenizer/special_tokens_map.json") == NULL,
          "a file that was not there does not come");
    release(&m);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char *whole;

    snprintf(lists, sizeof lists, "%s/tests/golden/families/keylists",
             srcdir != NULL ? srcdir : ".");
    whole = realpath(lists, NULL); /* the test works in a folder of its own */
    snprintf(lists, sizeof lists, "%s", whole != NULL ? whole : "");
    free(whole);
    scratch_enter();
    test_vocabulary();
    test_paths();
    test_every_folder_is_a_set();
    test_sets();
    test_ema_names();
    test_pipeline();
    test_published_bytes();
    test_lone_component();
    test_controlnet_with_base();
    test_partial();
    test_markers();
    test_settings();
    test_wrong_settings();
    test_config_folder();
    test_yaml_overrides();
    test_kept_documents();
    return tap_end();
}
