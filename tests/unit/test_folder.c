/*
 * test_folder.c - Diffusers folders
 *
 * Which weight files of a variant are read is compared with what diffusers
 * takes: tests/golden/safetensors/variants.json.
 */
#include <config.h>

#include "document.h"
#include "registry.h"

#include "scratch.h"
#include "tap.h"

/* ---- Making folders --------------------------------------------------------
 */

static void
put(const char *path, const char *text)
{
    scratch_parents(path);
    scratch_write(path, text, strlen(text));
}

/* A safetensors file with one tensor of one byte. */
static void
put_tensor(const char *path, const char *tensor)
{
    char text[600];
    int n = snprintf(text + 8, sizeof text - 8,
                     "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],"
                     "\"data_offsets\":[0,1]}}x",
                     tensor);

    memset(text, 0, 8);
    text[0] = (char)((n - 1) & 0xff);
    text[1] = (char)((n - 1) >> 8);
    scratch_parents(path);
    scratch_write(path, text, (size_t)n + 8);
}

/* ---- Looking ----------------------------------------------------------------
 */

/* The index of a folder; NULL, and err, if it is refused. */
static dfx_index *
open_folder(const char *path, const char *variant, dfx_error *err)
{
    const dfx_open_options options = {.variant = variant};
    dfx_index *index = NULL;

    *err = (dfx_error){.rule = ""};
    if (dfx_open(path, &options, &index, err) != DFX_OK)
        return NULL;
    return index;
}

static bool
has_tensor(const dfx_index *index, const char *component, const char *name)
{
    uint32_t at = dfx_index_find_component(index, component);

    return at != UINT32_MAX && dfx_index_find(index, at, name) != NULL;
}

static bool
has_warning(const dfx_index *index, const char *part)
{
    for (size_t i = 0; i < index->warning_count; i++)
        if (strstr(index->warnings[i], part) != NULL)
            return true;
    return false;
}

static const dfx_component *
component_of(const dfx_index *index, const char *name)
{
    uint32_t at = dfx_index_find_component(index, name);

    return at != UINT32_MAX ? &index->components[at] : NULL;
}

/* All paths of files, joined by spaces. */
static const char *
list_files(const dfx_index *index)
{
    static char text[4096];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < index->file_count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 i > 0 ? " " : "", index->files[i].path);
    return text;
}

/* ---- Variants, as diffusers -------------------------------------------------
 */

static bool
contains(const cJSON *list, const char *text)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list) if (strcmp(item->valuestring, text) ==
                                       0) return true;
    return false;
}

static bool
ends_in(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);

    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

/* An index of the shards that diffusers takes with it, or leaves with it. */
static void
put_shard_index(const char *path, const cJSON *one)
{
    const cJSON *usable = dfx_doc_get(one, "usable"), *item;
    bool taken = contains(usable, path);
    cJSON *doc = cJSON_CreateObject(), *map = cJSON_CreateObject();
    char *text;

    cJSON_ArrayForEach(item, dfx_doc_get(one, "files"))
    {
        const char *file = item->valuestring;

        if (strstr(file, "-of-") != NULL && contains(usable, file) == taken)
            dfx_doc_set(map, file, cJSON_CreateString(strrchr(file, '/') + 1));
    }
    dfx_doc_set(doc, "metadata", cJSON_CreateObject());
    dfx_doc_set(doc, "weight_map", map);
    text = dfx_doc_print(doc, false);
    put(path, text);
    free(text);
    cJSON_Delete(doc);
}

static void
make_case(const cJSON *one, const char *root)
{
    const cJSON *item;
    char config[512];

    CHECK(mkdir(root, 0777) == 0 && chdir(root) == 0, root);
    cJSON_ArrayForEach(item, dfx_doc_get(one, "files"))
    {
        const char *path = item->valuestring;
        const char *slash = strrchr(path, '/');

        snprintf(config, sizeof config, "%.*sconfig.json",
                 slash != NULL ? (int)(slash - path) + 1 : 0, path);
        put(config, "{}");
        if (ends_in(path, ".safetensors"))
            put_tensor(path, path);
        else if (strstr(path, ".safetensors.") != NULL)
            put_shard_index(path, one);
        else
            put(path, "{}");
    }
    if (chdir("..") != 0)
        exit(1);
}

static void
check_case(const cJSON *one)
{
    const char *name = dfx_doc_string(one, "case");
    const cJSON *usable = dfx_doc_get(one, "usable"), *item;
    size_t wrong = 0, tensors = 0;
    dfx_index *index;
    dfx_error err;

    make_case(one, name);
    index = open_folder(name, dfx_doc_string(one, "variant"), &err);
    CHECK(index != NULL, "the case is read");
    if (index == NULL) {
        printf("# %s: %s\n", err.file, err.text);
        return;
    }
    cJSON_ArrayForEach(item, dfx_doc_get(one, "files"))
    {
        const char *path = item->valuestring;
        bool found = false;

        if (!ends_in(path, ".safetensors"))
            continue;
        for (size_t i = 0; i < index->tensor_count; i++)
            found |= strcmp(index->tensors[i].name, path) == 0;
        wrong += found != contains(usable, path);
        tensors += found;
    }
    CHECK_U64(wrong, 0, "and of the files those that diffusers takes");
    CHECK_U64(index->tensor_count, tensors, "and nothing else");
    dfx_index_free(index);
}

static void
test_variants(const char *srcdir)
{
    char path[4096];
    unsigned char *text;
    size_t size = 0;
    cJSON *doc = NULL;
    const cJSON *one;
    dfx_error err;

    snprintf(path, sizeof path, "%s/tests/golden/safetensors/variants.json",
             srcdir);
    text = scratch_read(path, &size);
    CHECK(text != NULL && dfx_doc_parse((const char *)text, size, path, &doc,
                                        &err) == DFX_OK,
          "the list of cases");
    free(text);
    CHECK_U64((uint64_t)cJSON_GetArraySize(dfx_doc_get(doc, "cases")), 9,
              "nine of them");
    cJSON_ArrayForEach(one, dfx_doc_get(doc, "cases")) check_case(one);
    cJSON_Delete(doc);
}

/* The index of shards of a variant, by the names of different writers. */
static void
test_variant_indexes(void)
{
    static const char *const names[] = {
        "vi/model.safetensors.index.fp16.json", /* diffusers, transformers */
        "vi/model.safetensors.fp16.index.json", /* diffusers, legacy */
        "vi/model.fp16.safetensors.index.json", /* huggingface_hub */
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dfx_index *index;
        dfx_error err;

        scratch_clear("vi");
        put("vi/config.json", "{}");
        put_tensor("vi/model.safetensors", "whole");
        put_tensor("vi/model.fp16-00001-of-00001.safetensors", "shard");
        put(names[i], "{\"weight_map\":{\"shard\":"
                      "\"model.fp16-00001-of-00001.safetensors\"}}");
        index = open_folder("vi", "fp16", &err);
        CHECK(index != NULL && has_tensor(index, "", "shard") &&
                  index->tensor_count == 1,
              names[i]);
        dfx_index_free(index);
    }
}

/* What diffusers does not say: fallbacks and their warnings. */
static void
test_fallbacks(void)
{
    dfx_index *index;
    dfx_error err;

    put("fb/model_index.json",
        "{\"unet\": [\"diffusers\", \"U\"], \"vae\": [\"diffusers\", \"V\"]}");
    put_tensor("fb/unet/diffusion_pytorch_model.safetensors", "plain");
    put_tensor("fb/unet/diffusion_pytorch_model.fp16.safetensors", "half");
    put_tensor("fb/vae/diffusion_pytorch_model.fp16.safetensors", "half");
    index = open_folder("fb", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "unet", "plain") &&
              has_tensor(index, "vae", "half"),
          "without a wish: no variant, or else the only one");
    CHECK(has_warning(index, "vae/diffusion_pytorch_model.fp16.safetensors: "
                             "there are no weights but of variant fp16"),
          "which a warning names");
    CHECK(has_warning(index, "weights that are not read: "
                             "unet/diffusion_pytorch_model.fp16.safetensors"),
          "as it does the ones not read");
    dfx_index_free(index);
    CHECK(open_folder("fb", "bf16", &err) == NULL, "a variant nobody has");
    CHECK_TEXT(err.rule, "folder.weights", "is refused");
    CHECK_TEXT(err.text, "there are no weights of variant bf16, only of fp16",
               "with what there is");
    CHECK_TEXT(err.file, "fb/vae", "and where");
    put_tensor("fb/vae/diffusion_pytorch_model.bf16.safetensors", "brain");
    CHECK(open_folder("fb", NULL, &err) == NULL, "two variants and no plain");
    CHECK_TEXT(err.text,
               "the weights are there as bf16 and as fp16, say which with "
               "--variant",
               "are a question");
    index = open_folder("fb", "bf16", &err);
    CHECK(index != NULL && has_tensor(index, "vae", "brain") &&
              has_tensor(index, "unet", "plain"),
          "answered by --variant");
    CHECK(has_warning(index, "unet/diffusion_pytorch_model.safetensors: not "
                             "of variant bf16"),
          "with a warning where it is not to be had");
    dfx_index_free(index);
    CHECK(unlink("fb/vae/diffusion_pytorch_model.bf16.safetensors") == 0 &&
              unlink("fb/vae/diffusion_pytorch_model.fp16.safetensors") == 0,
          "without variants in the VAE");
    put_tensor("fb/vae/diffusion_pytorch_model.safetensors", "plain");
    CHECK(unlink("fb/unet/diffusion_pytorch_model.fp16.safetensors") == 0,
          "and in the UNet");
    CHECK(open_folder("fb", "fp16", &err) == NULL, "fp16 is nowhere");
    CHECK_TEXT(err.text, "no component has weights of variant fp16",
               "so it is refused");
}

/* One component folder: the names in it, and the file read or the rule. */
static void
test_choice(void)
{
    static const struct {
        const char *files[4];
        const char *want, *what;
    } rows[] = {
        {{"model.safetensors", "diffusion_pytorch_model.safetensors"},
         "diffusion_pytorch_model.safetensors",
         "diffusers' name before transformers'"},
        {{"pytorch_model.safetensors", "model.safetensors"},
         "model.safetensors",
         "the new name before the old"},
        {{"anything.safetensors"}, "anything.safetensors", "a lone file"},
        {{"my.own.safetensors"}, "my.own.safetensors", "with dots"},
        {{"a.safetensors", "model.safetensors"},
         "model.safetensors",
         "a known name before any other"},
        {{"a.safetensors", "b.safetensors"},
         "folder.weights",
         "two unknown names"},
        {{"model.bin"}, "model.bin", "the old suffix alone"},
        {{"pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"},
         "pytorch_model.bin.index.json",
         "shards of the old suffix"},
        {{"optimizer.bin", "pytorch_model.bin"},
         "pytorch_model.bin",
         "a known name of the old suffix"},
        {{"diffusion_pytorch_model.bin", "anything.safetensors"},
         "anything.safetensors",
         "the new suffix before all else"},
        {{"last.ckpt"}, "last.ckpt", "a lone checkpoint"},
        {{"last.ckpt", "other.ckpt"}, "folder.weights", "two checkpoints"},
        {{"model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors"},
         "folder.weights",
         "shards without their index"},
        {{"model.bin", "model.safetensors"},
         "model.safetensors",
         "the old suffix beside"},
        {{"model.onnx", "flax_model.msgpack"},
         "folder.weights",
         "other frameworks"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[200];
        dfx_index *index;
        dfx_error err;

        scratch_clear("ch");
        put("ch/config.json", "{}");
        for (size_t j = 0; j < 4 && rows[i].files[j] != NULL; j++) {
            snprintf(path, sizeof path, "ch/%s", rows[i].files[j]);
            put_tensor(path, rows[i].files[j]);
        }
        index = open_folder("ch", NULL, &err);
        CHECK_TEXT(index == NULL              ? err.rule
                   : index->tensor_count == 1 ? index->tensors[0].name
                                              : "(not one)",
                   rows[i].want, rows[i].what);
        dfx_index_free(index);
    }
}

/* Whole and in shards at once: what the stem's own library takes. */
static void
test_whole_and_shards(void)
{
    static const struct {
        const char *stem, *want, *unread, *what;
    } rows[] = {
        {"diffusion_pytorch_model", "shard",
         "weights that are not read: diffusion_pytorch_model.safetensors",
         "diffusers takes the shards"},
        {"model", "whole",
         "weights that are not read: model-00001-of-00001.safetensors, "
         "model.safetensors.index.json",
         "transformers takes the whole"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[200], text[200];
        dfx_index *index;
        dfx_error err;

        scratch_clear("both");
        put("both/config.json", "{}");
        snprintf(path, sizeof path, "both/%s.safetensors", rows[i].stem);
        put_tensor(path, "whole");
        snprintf(path, sizeof path, "both/%s-00001-of-00001.safetensors",
                 rows[i].stem);
        put_tensor(path, "shard");
        snprintf(path, sizeof path, "both/%s.safetensors.index.json",
                 rows[i].stem);
        snprintf(text, sizeof text,
                 "{\"weight_map\":{\"shard\":"
                 "\"%s-00001-of-00001.safetensors\"}}",
                 rows[i].stem);
        put(path, text);
        index = open_folder("both", NULL, &err);
        CHECK(index != NULL && has_tensor(index, "", rows[i].want) &&
                  index->tensor_count == 1,
              rows[i].what);
        CHECK(has_warning(index, rows[i].unread), "the rest is named");
        dfx_index_free(index);
    }
}

/* ---- Pipelines --------------------------------------------------------------
 */

static const char pipeline[] =
    "{\n"
    "  \"_class_name\": \"StableDiffusionPipeline\",\n"
    "  \"_name_or_path\": [\"not\", \"a component\"],\n"
    "  \"feature_extractor\": [null, null],\n"
    "  \"requires_safety_checker\": true,\n"
    "  \"sizes\": [512, 512],\n"
    "  \"note\": \"a setting\",\n"
    "  \"scheduler\": [\"diffusers\", \"PNDMScheduler\"],\n"
    "  \"tokenizer\": [\"transformers\", \"CLIPTokenizer\"],\n"
    "  \"unet\": [\"my_module\", \"UNetOfMine\"],\n"
    "  \"text_encoder\": [\"transformers\", \"CLIPTextModel\"]\n"
    "}\n";

static void
make_pipeline(const char *root)
{
    static const char *const files[] = {
        ".git/HEAD",
        ".gitattributes",
        "README.md",
        "images/a/b/c.png",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "text_encoder/config.json",
        "tokenizer/vocab.json",
        "unet-old/note.txt",
        "unet/deep/er/note",
        ".dfx-1234.tmp",
        "vae/diffusion_pytorch_model.bin",
    };
    char path[512];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        put(path, "x");
    }
    snprintf(path, sizeof path, "%s/model_index.json", root);
    put(path, pipeline);
    snprintf(path, sizeof path, "%s/unet/diffusion_pytorch_model.safetensors",
             root);
    put_tensor(path, "u");
    snprintf(path, sizeof path, "%s/text_encoder/model.safetensors", root);
    put_tensor(path, "t");
    snprintf(path, sizeof path, "%s/v1-5-pruned.safetensors", root);
    put_tensor(path, "everything");
}

static void
check_pipeline(const dfx_index *index)
{
    const dfx_component *c;
    const dfx_file *file;

    CHECK_TEXT(index->format, "diffusers", "the format");
    CHECK_U64(index->component_count, 6, "\"\" and five components");
    c = component_of(index, "unet");
    CHECK_TEXT(c->library, "my_module", "a library of any name");
    CHECK_TEXT(c->class_name, "UNetOfMine", "and class");
    c = component_of(index, "feature_extractor");
    CHECK(c->is_null && c->library == NULL, "a null component");
    CHECK(component_of(index, "sizes") == NULL &&
              component_of(index, "note") == NULL &&
              component_of(index, "_name_or_path") == NULL,
          "settings are no components");
    CHECK_U64(index->tensor_count, 2, "two tensors");
    CHECK(has_tensor(index, "unet", "u") &&
              has_tensor(index, "text_encoder", "t"),
          "in their components");
    CHECK_TEXT(list_files(index),
               ".gitattributes README.md images/a/b/c.png model_index.json "
               "scheduler/scheduler_config.json text_encoder/config.json "
               "tokenizer/vocab.json unet-old/note.txt unet/config.json "
               "unet/deep/er/note",
               "every other file, sorted, but what is hidden");
    file = dfx_index_find_file(index, "unet/deep/er/note");
    CHECK_TEXT(index->components[file->component].name, "unet",
               "a file is of the component it lies in");
    file = dfx_index_find_file(index, "unet-old/note.txt");
    CHECK_U64(file->component, 0, "and of none where it lies in no");
    CHECK(has_warning(index, "weights that are not read: "
                             "v1-5-pruned.safetensors, "
                             "vae/diffusion_pytorch_model.bin"),
          "weights of no component are named");
    CHECK_U64(index->warning_count, 1, "and nothing else is strange");
}

static void
test_pipeline(void)
{
    static const char *const ways[] = {"pipe", "pipe/", "pipe/model_index.json",
                                       "./pipe//"};
    dfx_index *index;
    dfx_error err;

    make_pipeline("pipe");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        index = open_folder(ways[i], NULL, &err);
        CHECK(index != NULL, ways[i]);
        if (index != NULL)
            check_pipeline(index);
        else
            printf("# %s: %s\n", err.file, err.text);
        dfx_index_free(index);
    }
    CHECK(chdir("pipe") == 0, "from inside");
    index = open_folder("model_index.json", NULL, &err);
    CHECK(index != NULL && index->tensor_count == 2, "by the bare name");
    dfx_index_free(index);
    CHECK(chdir("..") == 0, "back");
}

/* model_index.json that is not to be trusted. */
static void
test_bad_index(void)
{
    static const struct {
        const char *text, *rule, *what;
    } rows[] = {
        {"[]", "folder.model-index", "a list"},
        {"null", "folder.model-index", "null"},
        {"", "json.syntax", "nothing"},
        {"{\"a\":1,\"a\":2}", "json.duplicate-key", "a key twice"},
        {"{\"unet\":[\"diffusers\",5]}", "folder.model-index", "a number"},
        {"{\"unet\":[{},\"U\"]}", "folder.model-index", "an object"},
        {"{\"unet\":[\"diffusers\",null]}", "folder.model-index",
         "a library without a class"},
        {"{\"unet\":[\"d\",\"U\",{}]}", "folder.model-index",
         "a modular entry in a plain list"},
        {"{\"../x\":[\"d\",\"U\"]}", "folder.path", "a way out"},
        {"{\"..\":[\"d\",\"U\"]}", "folder.path", "the folder above"},
        {"{\".\":[\"d\",\"U\"]}", "folder.path", "the folder itself"},
        {"{\"\":[\"d\",\"U\"]}", "folder.path", "no name"},
        {"{\"/etc\":[\"d\",\"U\"]}", "folder.path", "an absolute path"},
        {"{\"a\\\\b\":[\"d\",\"U\"]}", "folder.path", "a backslash"},
        {"{\"a\\u0000b\":[\"d\",\"U\"]}", "json.string", "U+0000"},
        {"{\"dfx_residue\":[\"d\",\"U\"]}", "folder.model-index",
         "the side-car's name"},
        {"{\"unet\":[\"d\",\"U\"]}", "folder.component", "no such folder"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_index *index;
        dfx_error err;

        put("bad/model_index.json", rows[i].text);
        index = open_folder("bad", NULL, &err);
        CHECK_TEXT(index != NULL ? "(read)" : err.rule, rows[i].rule,
                   rows[i].what);
        CHECK(strncmp(err.file, "bad/", 4) == 0, "its file is named");
        dfx_index_free(index);
    }
}

static void
test_weightless(void)
{
    dfx_index *index;
    dfx_error err;

    put("wl/model_index.json",
        "{\"scheduler\":[\"diffusers\",\"DDIMScheduler\"],"
        "\"unet\":[\"diffusers\",\"UNet2DConditionModel\"]}");
    put("wl/unet/config.json", "{}");
    index = open_folder("wl", NULL, &err);
    CHECK(index != NULL, "a scheduler that is missing is no fault");
    CHECK(has_warning(index, "scheduler has no folder"), "but a warning");
    CHECK(has_warning(index, "unet has no weights"),
          "so is a folder of configs alone");
    dfx_index_free(index);
}

/* ---- Other folders
 * ----------------------------------------------------------- */

static void
test_lone(void)
{
    dfx_index *index;
    dfx_error err;

    put("lone/config.json", "{\"_class_name\": \"AutoencoderKL\"}");
    put_tensor("lone/diffusion_pytorch_model.safetensors", "v");
    index = open_folder("lone", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "", "v"), "a VAE alone");
    CHECK_TEXT(index->components[0].class_name, "AutoencoderKL", "its class");
    CHECK_TEXT(index->components[0].library, "diffusers", "its library");
    CHECK_TEXT(list_files(index), "config.json", "its config");
    CHECK(index->header.io == NULL, "no file's header describes a folder");
    dfx_index_free(index);
    put("lone/config.json", "{\"architectures\": [\"CLIPTextModel\"]}");
    index = open_folder("lone", NULL, &err);
    CHECK(index != NULL, "a text encoder alone");
    CHECK_TEXT(index->components[0].class_name, "CLIPTextModel", "its class");
    CHECK_TEXT(index->components[0].library, "transformers", "its library");
    dfx_index_free(index);
    put("lone/config.json", "{\"architectures\": ");
    CHECK(open_folder("lone", NULL, &err) == NULL, "a cut config is refused");
    CHECK_TEXT(err.file, "lone/config.json", "by name");
    CHECK(unlink("lone/config.json") == 0, "without a config");
    index = open_folder("lone", NULL, &err);
    CHECK(index != NULL && index->components[0].class_name == NULL,
          "weights alone are read");
    dfx_index_free(index);
    put("lone2/config.json", "{}");
    CHECK(open_folder("lone2", NULL, &err) == NULL, "a config alone is not");
    CHECK_TEXT(err.rule, "folder.weights", "for want of weights");
}

static void
test_unlisted(void)
{
    dfx_index *index;
    dfx_error err;

    put("parts/vae/config.json", "{\"_class_name\": \"AutoencoderKL\"}");
    put_tensor("parts/vae/diffusion_pytorch_model.safetensors", "v");
    put("parts/README.md", "x");
    index = open_folder("parts", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "vae", "v"),
          "sub-folders are components where nothing lists them");
    CHECK_TEXT(component_of(index, "vae")->class_name, "AutoencoderKL",
               "their configs name the class");
    CHECK(has_warning(index, "there is no model_index.json"), "with a warning");
    dfx_index_free(index);
}

static void
test_modular(void)
{
    dfx_index *index;
    dfx_error err;
    const dfx_component *c;

    put("mod/modular_model_index.json",
        "{\"_blocks_class_name\": \"AutoBlocks\","
        "\"_class_name\": \"StableDiffusionXLModularPipeline\","
        "\"vae\": [\"diffusers\", \"AutoencoderKL\", {\"repo\": \"a/b\"}],"
        "\"unet\": [null, null, {\"repo\": \"x/y\", \"subfolder\": \"unet\","
        "\"type_hint\": [\"diffusers\", \"UNet2DConditionModel\"]}],"
        "\"guider\": [null, null, {\"repo\": null, \"type_hint\": null}]}");
    index = open_folder("mod", NULL, &err);
    CHECK(index != NULL, "a modular pipeline without weights is shown");
    CHECK_U64(index->component_count, 4, "\"\" and three components");
    c = component_of(index, "unet");
    CHECK_TEXT(c->class_name, "UNet2DConditionModel", "the hint is the class");
    CHECK(!c->is_null && component_of(index, "guider")->is_null,
          "null is what has not even a hint");
    CHECK(has_warning(index, "unet is not in this folder but in x/y") &&
              has_warning(index, "vae is not in this folder but in a/b"),
          "warnings say where the weights are");
    dfx_index_free(index);
    put_tensor("mod/vae/diffusion_pytorch_model.safetensors", "v");
    index = open_folder("mod/modular_model_index.json", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "vae", "v"),
          "what is in the folder is read");
    CHECK(!has_warning(index, "vae is not"), "without a warning");
    dfx_index_free(index);
}

static void
test_side_car(void)
{
    dfx_index *index;
    dfx_error err;

    put_tensor("car/a.safetensors", "a");
    put_tensor("car/dfx_residue.safetensors", "kept");
    index = open_folder("car", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "", "a") &&
              has_tensor(index, DFX_RESIDUE, "kept"),
          "the side-car is a component of its own");
    CHECK_U64(index->warning_count, 0, "and no strange weights");
    dfx_index_free(index);
    scratch_write("car/dfx_residue.safetensors",
                  "\x24\0\0\0\0\0\0\0"
                  "{\"__metadata__\":{\"dfx.residue\":\"7\"}}",
                  8 + 0x24);
    index = open_folder("car", NULL, &err);
    CHECK(index != NULL, "a side-car without tensors");
    CHECK_TEXT(dfx_index_find_meta(index,
                                   dfx_index_find_component(index, DFX_RESIDUE),
                                   DFX_RESIDUE_KEY),
               "7", "has its metadata");
    dfx_index_free(index);
}

/* ---- Links, pipes, limits
 * ---------------------------------------------------- */

static void
test_links(void)
{
    dfx_index *index;
    dfx_error err;

    /* As the Hub's cache: snapshots of links to blobs. */
    put_tensor("hub/blobs/1234", "v");
    put("hub/blobs/5678", "{\"_class_name\": \"AutoencoderKL\"}");
    scratch_parents("hub/snap/x");
    CHECK(symlink("../blobs/1234",
                  "hub/snap/diffusion_pytorch_model.safetensors") == 0 &&
              symlink("../blobs/5678", "hub/snap/config.json") == 0 &&
              symlink("../blobs", "hub/snap/more") == 0 &&
              symlink("nowhere", "hub/snap/gone.txt") == 0 &&
              symlink("self", "hub/snap/self") == 0 &&
              mkfifo("hub/snap/pipe", 0666) == 0,
          "links of all sorts");
    index = open_folder("hub/snap", NULL, &err);
    CHECK(index != NULL && has_tensor(index, "", "v"),
          "links to files are followed");
    CHECK_TEXT(list_files(index), "config.json", "nothing else is a file");
    CHECK(has_warning(index, "more: a link to a folder"), "warned of: folder");
    CHECK(has_warning(index, "gone.txt: a link to nothing"), "a dead link");
    CHECK(has_warning(index, "self: a link to nothing"), "a loop");
    CHECK(has_warning(index, "pipe: no regular file"), "a pipe");
    CHECK_U64(index->warning_count, 4, "and that is all");
    dfx_index_free(index);
    put("lnk/model_index.json", "{\"vae\":[\"diffusers\",\"V\"]}");
    CHECK(symlink("../hub/snap", "lnk/vae") == 0, "a component as a link");
    CHECK(open_folder("lnk", NULL, &err) == NULL, "is refused");
    CHECK_TEXT(err.rule, "folder.path", "since it leaves the folder");
}

static void
test_limits(void)
{
    char path[300] = "deep";
    dfx_index *index;
    dfx_error err;

    put_tensor("deep/a.safetensors", "a");
    for (int i = 0; i < 16; i++)
        strcat(path, "/d");
    strcat(path, "/x");
    put(path, "x");
    index = open_folder("deep", NULL, &err);
    CHECK(index != NULL && index->file_count == 1, "16 levels are walked");
    dfx_index_free(index);
    path[strlen(path) - 1] = '\0';
    strcat(path, "d/x");
    put(path, "x");
    CHECK(open_folder("deep", NULL, &err) == NULL, "17 are not");
    CHECK_TEXT(err.rule, "folder.limit", "by the limit");
    put_tensor("wide/a.safetensors", "a");
    for (int i = 0; i < 512; i++) {
        snprintf(path, sizeof path, "wide/%d.png", i);
        put(path, "");
    }
    index = open_folder("wide", NULL, &err);
    CHECK(index != NULL && index->file_count == 512, "512 files are kept");
    dfx_index_free(index);
    put("wide/more", "");
    CHECK(open_folder("wide", NULL, &err) == NULL, "513 are not");
    CHECK_TEXT(err.rule, "folder.limit", "by the limit");
}

static void
test_strange_names(void)
{
    dfx_index *index;
    dfx_error err;

    put_tensor("odd/a.safetensors", "a");
    put("odd/\xff\xfe", "x");
    put("odd/line\nbreak", "x");
    index = open_folder("odd", NULL, &err);
    CHECK(index != NULL, "odd names are read over");
    CHECK_TEXT(list_files(index), "line\nbreak", "if they are UTF-8, kept");
    CHECK(has_warning(index, "its name is not UTF-8"), "else warned of");
    dfx_index_free(index);
}

/* ---- Judging
 * ------------------------------------------------------------------ */

typedef struct findings {
    size_t count;
    dfx_error all[8];
} findings;

static void
note_finding(void *context, const dfx_error *finding)
{
    findings *f = context;

    if (f->count < 8)
        f->all[f->count] = *finding;
    f->count++;
}

static void
test_validate(void)
{
    static const dfx_open_options forced = {.format = "diffusers"};
    findings f = {0};
    dfx_error err;

    put("val/model_index.json",
        "{\"a\":[\"d\",\"A\"],\"b\":[\"d\",\"B\"],\"c\":[\"d\",\"C\"],"
        "\"d\":[\"d\",\"D\"]}");
    put("val/a/model.safetensors", "abc");
    put("val/b/model.onnx", "x");
    put_tensor("val/d/model.safetensors", "fine");
    CHECK_U64(dfx_validate("val", &forced, note_finding, &f, &err), DFX_OK,
              "a broken folder can be judged");
    CHECK_U64(f.count, 3, "all of it, fault by fault");
    CHECK_TEXT(f.all[0].rule, "st.header.short", "a broken file");
    CHECK_TEXT(f.all[0].file, "val/a/model.safetensors", "by its name");
    CHECK_TEXT(f.all[1].rule, "folder.weights", "what is not read");
    CHECK_TEXT(f.all[1].file, "val/b", "in its folder");
    CHECK_TEXT(f.all[2].rule, "folder.component", "a missing one");
    f.count = 0;
    CHECK_U64(dfx_validate("pipe", NULL, note_finding, &f, &err), DFX_OK,
              "one whose config is none can");
    CHECK(f.count == 1 && strcmp(f.all[0].rule, "json.syntax") == 0,
          "it breaks a rule");
    put("pipe/unet/config.json", "{}");
    put("pipe/text_encoder/config.json", "{}");
    put("pipe/scheduler/scheduler_config.json", "{}");
    f.count = 0;
    CHECK_U64(dfx_validate("pipe", NULL, note_finding, &f, &err), DFX_OK,
              "so can a whole one");
    CHECK_U64(f.count, 0, "which has no fault");
    CHECK_U64(dfx_validate("bad", NULL, note_finding, &f, &err), DFX_OK,
              "and one whose list is broken");
    CHECK_U64(f.count, 1, "which has one");
    f.count = 0;
    scratch_clear("mod/vae");
    CHECK_U64(dfx_validate("mod", NULL, note_finding, &f, &err), DFX_OK,
              "a modular pipeline that has nothing");
    CHECK(f.count == 1 && strcmp(f.all[0].rule, "folder.modular") == 0,
          "breaks a rule here");
}

/* ---- Writing
 * -------------------------------------------------------------------- */

/* Two tensors in the UNet, one aside, two files; what variant and limit say. */
static dfx_plan *
plan_folder(const char *dst, const char *variant, uint64_t max_shard_size)
{
    static const dfx_bundle_component components[] = {
        {.name = "unet", .weights = "diffusion_pytorch_model"},
        {.name = "", .weights = DFX_RESIDUE, .is_side_car = true},
        {.name = "vae", .weights = "diffusion_pytorch_model"},
    };
    dfx_bundle bundle = {.components = components,
                         .component_count = 3,
                         .weights_format = "safetensors",
                         .variant = variant,
                         .max_shard_size = max_shard_size};
    const dfx_expr *four = NULL, *list = NULL;
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    bool good;

    good = dfx_plan_new(dst, true, &plan, &err) == DFX_OK &&
           dfx_expr_bytes(&plan->arena, "data", 4, &four, &err) == DFX_OK &&
           dfx_expr_bytes(&plan->arena, "{\"unet\":[\"d\",\"U\"]}\n", 19, &list,
                          &err) == DFX_OK &&
           dfx_bundle_add(&bundle, 0, "b", four, &err) == DFX_OK &&
           dfx_bundle_add(&bundle, 1, "aside", four, &err) == DFX_OK &&
           dfx_bundle_add(&bundle, 0, "a", four, &err) == DFX_OK &&
           dfx_bundle_add_meta(&bundle, 0, "format", "pt", &err) == DFX_OK &&
           dfx_bundle_add_blob(&bundle, "unet/config.json", list, &err) ==
               DFX_OK &&
           dfx_bundle_add_blob(&bundle, "model_index.json", list, &err) ==
               DFX_OK &&
           dfx_format_named("diffusers")->lay_out(&bundle, "", plan, &err) ==
               DFX_OK &&
           dfx_plan_seal(plan, &err) == DFX_OK;
    CHECK(good, "a folder is laid out");
    if (!good)
        printf("# %s\n", err.text);
    dfx_bundle_fini(&bundle);
    return plan;
}

static void
check_paths(dfx_plan *plan, const char *want, const char *what)
{
    char text[1000] = "";
    size_t count = 0, used = 0;
    const dfx_plan_file *files = dfx_plan_files(plan, &count);

    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 i > 0 ? " " : "", files[i].path);
    CHECK_TEXT(text, want, what);
}

static void
test_layout(void)
{
    dfx_plan *plan = plan_folder("out", NULL, 0);

    check_paths(plan,
                "dfx_residue.safetensors model_index.json unet/config.json "
                "unet/diffusion_pytorch_model.safetensors",
                "files sorted by path, none for a component of nothing");
    dfx_plan_free(plan);
    plan = plan_folder("out", "fp16", 0);
    check_paths(plan,
                "dfx_residue.safetensors model_index.json unet/config.json "
                "unet/diffusion_pytorch_model.fp16.safetensors",
                "the variant in the weights' name, but not in the side-car's");
    dfx_plan_free(plan);
    plan = plan_folder("out", "fp16", 5);
    check_paths(plan,
                "dfx_residue.safetensors model_index.json unet/config.json "
                "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors "
                "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors "
                "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
                "shards of at most 5 bytes, as diffusers names them");
    dfx_plan_free(plan);
    plan = plan_folder("out", NULL, 8);
    check_paths(plan,
                "dfx_residue.safetensors model_index.json unet/config.json "
                "unet/diffusion_pytorch_model.safetensors",
                "one file where all fits");
    dfx_plan_free(plan);
}

static void
test_there_and_back(uint64_t max_shard_size)
{
    dfx_plan *plan = plan_folder("out", "fp16", max_shard_size);
    dfx_index *index = NULL;
    dfx_error err = {0};

    CHECK_U64(dfx_plan_run(plan, NULL, &err), DFX_OK, "the folder is written");
    dfx_plan_free(plan);
    index = open_folder("out", "fp16", &err);
    CHECK(index != NULL, "and read");
    if (index == NULL) {
        printf("# %s: %s\n", err.file, err.text);
        return;
    }
    CHECK(has_tensor(index, "unet", "a") && has_tensor(index, "unet", "b") &&
              has_tensor(index, DFX_RESIDUE, "aside"),
          "each tensor is where it was");
    CHECK_U64(index->tensor_count, 3, "and no other");
    CHECK_TEXT(component_of(index, "unet")->class_name, "U", "the class");
    CHECK_TEXT(list_files(index), "model_index.json unet/config.json",
               "the files");
    CHECK(scratch_is("out/unet/config.json", "{\"unet\":[\"d\",\"U\"]}\n"),
          "their bytes");
    CHECK_TEXT(dfx_index_find_meta(
                   index, dfx_index_find_component(index, "unet"), "format"),
               "pt", "the metadata");
    CHECK_U64(index->warning_count, 0, "nothing is strange");
    dfx_index_free(index);
    scratch_clear("out");
}

static void
test_unwritable(void)
{
    static const dfx_bundle_component unet = {.name = "unet", .weights = "w"};
    dfx_bundle bundle = {.components = &unet,
                         .component_count = 1,
                         .weights_format = "nonsense"};
    const dfx_format *format = dfx_format_named("diffusers");
    dfx_plan *plan = NULL;
    const dfx_expr *data = NULL;
    dfx_error err;

    CHECK(dfx_plan_new("out", true, &plan, &err) == DFX_OK &&
              dfx_expr_bytes(&plan->arena, "x", 1, &data, &err) == DFX_OK,
          "a plan");
    CHECK_U64(format->lay_out(&bundle, "", plan, &err), DFX_ERR_USAGE,
              "no such format for weights");
    CHECK_U64(format->lay_out(&bundle, "unet", plan, &err), DFX_ERR_USAGE,
              "no folder inside a folder's plan");
    bundle.component_count = 0;
    CHECK_U64(dfx_bundle_add_blob(&bundle, "../out", data, &err), DFX_OK,
              "a path that leaves the folder");
    CHECK_U64(format->lay_out(&bundle, "", plan, &err), DFX_ERR_UNSAFE,
              "is refused");
    CHECK_TEXT(err.rule, "folder.path", "by its rule");
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char *whole = realpath(srcdir != NULL ? srcdir : ".", NULL);

    scratch_enter();
    test_variants(whole);
    free(whole);
    test_variant_indexes();
    test_fallbacks();
    test_choice();
    test_whole_and_shards();
    test_pipeline();
    test_bad_index();
    test_weightless();
    test_lone();
    test_unlisted();
    test_modular();
    test_side_car();
    test_links();
    test_limits();
    test_strange_names();
    test_validate();
    test_layout();
    test_there_and_back(0);
    test_there_and_back(5);
    test_unwritable();
    return tap_end();
}
