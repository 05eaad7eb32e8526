/*
 * test_families.c - whole conversions against the reference's rows
 *
 * For each golden case: the synthetic single file is converted to a folder,
 * every tensor of the folder is compared with the reference's (name, type,
 * shape, SHA-256), the derived configs field by field; then the folder is
 * converted back and the file compared byte for byte with the first one. Where
 * the reference has a script for the way back, its rows are compared, too.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dfx.h"
#include "document.h"
#include "scratch.h"
#include "synth.h"
#include "tap.h"

static char *srcdir; /* owned */

/* ---- Small helpers ------------------------------------------------------- */

static cJSON *
load(const char *path)
{
    dfx_error err;
    dfx_io *io = NULL;
    cJSON *doc = NULL;
    dfx_extent all;
    char text[2048];

    if (dfx_io_open_file(path, &io, NULL) != DFX_OK)
        return NULL;
    all = (dfx_extent){.io = io, .size = dfx_io_size(io)};
    if (dfx_doc_read(&all, &doc, &err) != DFX_OK) {
        dfx_error_print(&err, text, sizeof text);
        printf("# %s\n", text);
    }
    dfx_io_close(io);
    return doc;
}

static bool
report(dfx_status status, const dfx_error *err)
{
    char text[2048];

    if (status == DFX_OK)
        return true;
    dfx_error_print(err, text, sizeof text);
    printf("# %s\n", text);
    return false;
}

/* One conversion by the public interface. */
static bool
convert(const char *src, const char *dst, const dfx_convert_options *options,
        const dfx_identify_options *how)
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    dfx_plan *plan = NULL;
    dfx_error err;
    dfx_status status;

    status = dfx_open(src, NULL, &index, &err);
    if (status == DFX_OK)
        status = dfx_identify(index, how, &identity, &err);
    if (status == DFX_OK)
        status = dfx_convert(index, identity, dst, options, &plan, &err);
    if (status == DFX_OK)
        status = dfx_plan_run(plan, NULL, &err);
    dfx_plan_free(plan);
    dfx_identity_free(identity);
    dfx_index_free(index);
    return report(status, &err);
}

/* With a component from another file. */
static bool
convert_with(const char *src, const char *component, const char *other,
             const char *dst)
{
    dfx_index *index = NULL, *more = NULL;
    dfx_identity *identity = NULL, *extra = NULL;
    dfx_convert_options options;
    dfx_graft graft = {.component = component};
    dfx_plan *plan = NULL;
    dfx_error err;
    dfx_status status;

    dfx_convert_options_init(&options);
    options.grafts = &graft;
    options.graft_count = 1;
    status = dfx_open(src, NULL, &index, &err);
    if (status == DFX_OK)
        status = dfx_identify(index, NULL, &identity, &err);
    if (status == DFX_OK)
        status = dfx_open(other, NULL, &more, &err);
    if (status == DFX_OK)
        status = dfx_identify(more, NULL, &extra, &err);
    graft.index = more;
    graft.identity = extra;
    if (status == DFX_OK)
        status = dfx_convert(index, identity, dst, &options, &plan, &err);
    if (status == DFX_OK)
        status = dfx_plan_run(plan, NULL, &err);
    dfx_plan_free(plan);
    dfx_identity_free(extra);
    dfx_identity_free(identity);
    dfx_index_free(more);
    dfx_index_free(index);
    return report(status, &err);
}

static bool
same_bytes(const char *a, const char *b)
{
    char hash_a[DFX_HASH_CHARS], hash_b[DFX_HASH_CHARS];

    return dfx_hash_file(a, hash_a, NULL) == DFX_OK &&
           dfx_hash_file(b, hash_b, NULL) == DFX_OK &&
           strcmp(hash_a, hash_b) == 0;
}

/* ---- Rows ------------------------------------------------------------------
 */

static const dfx_tensor *
find_tensor(const dfx_tensor *tensors, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    return NULL;
}

/* [name, dtype, shape, digest] against a tensor; says what differs. */
static bool
row_fits(const cJSON *row, const dfx_tensor *t)
{
    const char *name = cJSON_GetArrayItem(row, 0)->valuestring;
    const cJSON *shape = cJSON_GetArrayItem(row, 2), *dim;
    char hash[DFX_HASH_CHARS];
    uint32_t rank = 0;

    if (t == NULL) {
        printf("# %s: missing\n", name);
        return false;
    }
    if (strcmp(dfx_type_name(t->type),
               cJSON_GetArrayItem(row, 1)->valuestring) != 0) {
        printf("# %s: is %s\n", name, dfx_type_name(t->type));
        return false;
    }
    cJSON_ArrayForEach(dim, shape)
    {
        int64_t want = -1;

        if (!dfx_doc_int(dim, &want) || rank >= t->rank ||
            (uint64_t)want != t->shape[rank++]) {
            printf("# %s: other shape\n", name);
            return false;
        }
    }
    if (rank != t->rank || dfx_hash_tensor(t, hash, NULL) != DFX_OK ||
        strncmp(hash, cJSON_GetArrayItem(row, 3)->valuestring, 16) != 0) {
        printf("# %s: other bytes\n", name);
        return false;
    }
    return true;
}

/* Is the file made of exactly these rows? */
static bool
rows_fit(const cJSON *rows, const char *path)
{
    dfx_index *index = NULL;
    const dfx_tensor *tensors;
    const cJSON *row;
    size_t count = 0, wrong = 0;
    dfx_error err;

    if (!report(dfx_open(path, NULL, &index, &err), &err))
        return false;
    tensors = dfx_index_tensors(index, &count);
    cJSON_ArrayForEach(row, rows)
    {
        const char *name = cJSON_GetArrayItem(row, 0)->valuestring;

        wrong += !row_fits(row, find_tensor(tensors, count, name));
    }
    if (count != (size_t)cJSON_GetArraySize(rows)) {
        printf("# %s: %zu tensors, want %d\n", path, count,
               cJSON_GetArraySize(rows));
        wrong++;
    }
    dfx_index_free(index);
    return wrong == 0;
}

/* Do two files hold the same tensors, whatever their metadata? */
static bool
same_tensors(const char *a, const char *b)
{
    dfx_index *x = NULL, *y = NULL;
    const dfx_tensor *mine, *theirs;
    size_t count = 0, their_count = 0, same = 0;
    dfx_error err;

    if (!report(dfx_open(a, NULL, &x, &err), &err) ||
        !report(dfx_open(b, NULL, &y, &err), &err)) {
        dfx_index_free(x);
        return false;
    }
    mine = dfx_index_tensors(x, &count);
    theirs = dfx_index_tensors(y, &their_count);
    for (size_t i = 0; i < count; i++) {
        const dfx_tensor *t = find_tensor(theirs, their_count, mine[i].name);
        char hash[DFX_HASH_CHARS], other[DFX_HASH_CHARS];

        same += t != NULL && t->type == mine[i].type &&
                dfx_hash_tensor(&mine[i], hash, NULL) == DFX_OK &&
                dfx_hash_tensor(t, other, NULL) == DFX_OK &&
                strcmp(hash, other) == 0;
    }
    dfx_index_free(x);
    dfx_index_free(y);
    return same == count && count == their_count;
}

/* ---- One case --------------------------------------------------------------
 */

typedef struct golden_case {
    const char *name;
    const char *family;
    const char *option; /* --family, for what no file tells; NULL */
    bool no_constants;  /* its constants come with the families it is used in:
                           only what tensors decide is there */
} golden_case;

static void
path_of(char *path, size_t size, const char *name, const char *file)
{
    snprintf(path, size, "%s/tests/golden/families/%s/%s", srcdir, name, file);
}

static bool
write_source(const char *json, const char *path)
{
    synth_list list;
    bool good =
        synth_read(&list, json) && synth_write(&list, SYNTH_VALUES, path);

    if (good)
        synth_fini(&list);
    return good;
}

static void
check_rows(const char *name, const cJSON *components, const char *folder,
           const char *what)
{
    const cJSON *rows;
    char path[4096], text[512];

    cJSON_ArrayForEach(rows, components)
    {
        if (strchr(rows->string, '/') == NULL)
            continue; /* unet_ema: another run */
        snprintf(path, sizeof path, "%s/%s", folder, rows->string);
        snprintf(text, sizeof text, "%s: %s: %d tensors of %s", name, what,
                 cJSON_GetArraySize(rows), rows->string);
        CHECK(rows_fit(rows, path), text);
    }
}

/* What diffusers takes for a field that config.json leaves out. */
static const char *
class_default(const char *field)
{
    static const char *const defaults[][2] = {
        {"scaling_factor", "0.18215"},
        {"force_upcast", "true"},
        {"mid_block_add_attention", "true"},
    };

    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (strcmp(field, defaults[i][0]) == 0)
            return defaults[i][1];
    return "null";
}

/* Lists of F32 numbers: the golden spells them as doubles, we as the shortest
   text that gives the same F32, as published files do. */
static bool
same_floats(const cJSON *a, const cJSON *b)
{
    const cJSON *x = cJSON_IsArray(a) ? a->child : NULL;
    const cJSON *y = cJSON_IsArray(b) ? b->child : NULL;
    double u, v;

    if (x == NULL || y == NULL)
        return false;
    for (; x != NULL && y != NULL; x = x->next, y = y->next)
        if (!dfx_doc_number(x, &u) || !dfx_doc_number(y, &v) ||
            (float)u < (float)v || (float)u > (float)v)
            return false;
    return x == NULL && y == NULL;
}

static bool
field_fits(const cJSON *want, const cJSON *folder, const cJSON *derived)
{
    const cJSON *mine = dfx_doc_get(folder, want->string);
    const char *text = class_default(want->string);
    cJSON *assumed = NULL;
    bool fits;

    if (mine == NULL)
        mine = dfx_doc_get(derived, want->string);
    if (mine == NULL &&
        dfx_doc_parse(text, strlen(text), "", &assumed, NULL) == DFX_OK)
        mine = assumed;
    fits =
        mine != NULL && (dfx_doc_equal(mine, want) || same_floats(mine, want));
    if (!fits) {
        char *a = mine != NULL ? dfx_doc_print_compact(mine) : NULL;
        char *b = dfx_doc_print_compact(want);

        printf("# %s: %s, want %s\n", want->string, a != NULL ? a : "absent",
               b);
        free(a);
        free(b);
    }
    cJSON_Delete(assumed);
    return fits;
}

/* Each field that a converter must derive: in the folder's config.json, or left
   out there as the class's default and in the complete config. */
static void
check_config(const char *name, const dfx_part *part)
{
    char path[4096], file[256], text[512];
    cJSON *want, *folder, *derived = NULL;
    const cJSON *field;
    size_t wrong = 0;

    snprintf(file, sizeof file, "config/%s.json", part->name);
    path_of(path, sizeof path, name, file);
    if (access(path, R_OK) != 0)
        return;
    want = load(path);
    snprintf(path, sizeof path, "folder/%s/config.json", part->name);
    folder = load(path);
    if (part->config != NULL &&
        dfx_doc_parse(part->config, strlen(part->config), "", &derived, NULL) !=
            DFX_OK)
        wrong++;
    cJSON_ArrayForEach(field, want)
    {
        wrong += !field_fits(field, folder, derived);
    }
    snprintf(text, sizeof text, "%s: config of %s: %d fields", name, part->name,
             cJSON_GetArraySize(want));
    CHECK(wrong == 0, text);
    cJSON_Delete(want);
    cJSON_Delete(folder);
    cJSON_Delete(derived);
}

static void
check_identity(const golden_case *golden, const char *source)
{
    const char *name = golden->name;
    dfx_identify_options how = {.family = golden->option};
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    const dfx_part *parts;
    size_t count = 0;
    char text[512];
    dfx_error err;

    if (!report(dfx_open(source, NULL, &index, &err), &err) ||
        !report(dfx_identify(index, &how, &identity, &err), &err)) {
        CHECK(false, name);
        dfx_index_free(index);
        return;
    }
    snprintf(text, sizeof text, "%s: family", name);
    CHECK_TEXT(dfx_identity_family(identity), golden->family, text);
    parts = dfx_identity_parts(identity, &count);
    for (size_t i = 0; i < count && !golden->no_constants; i++)
        check_config(name, &parts[i]);
    dfx_identity_free(identity);
    dfx_index_free(index);
}

/* The reference's script: new values in the folder, and its file. */
static void
check_script(const char *name, const cJSON *reverse, const char *folder)
{
    const cJSON *sources = dfx_doc_get(reverse, "source"), *source;
    dfx_convert_options options;
    char path[4096], expected[4096], text[512];
    bool good = true;

    path_of(expected, sizeof expected, name, "expected.json");
    cJSON_ArrayForEach(source, sources)
    {
        synth_list list;
        int64_t seed = 0;

        snprintf(path, sizeof path, "%s/%s", folder, source->string);
        good = good && dfx_doc_int(dfx_doc_get(source, "seed"), &seed) &&
               synth_read_rows(&list, expected, source->string, (uint64_t)seed);
        if (!good)
            break;
        good = synth_write(&list, SYNTH_VALUES, path);
        synth_fini(&list);
    }
    dfx_convert_options_init(&options);
    options.plain = true;
    good = good && convert(folder, "script.safetensors", &options, NULL);
    snprintf(text, sizeof text, "%s: as %s writes it", name,
             dfx_doc_string(reverse, "by"));
    CHECK(good &&
              rows_fit(dfx_doc_get(reverse, "expected"), "script.safetensors"),
          text);
    unlink("script.safetensors");
}

static void
check_round_trip(const char *name, const char *source, bool has_ema)
{
    dfx_convert_options options;
    char text[512];

    dfx_convert_options_init(&options);
    options.ema = DFX_EMA_KEEP;
    CHECK(convert(source, "kept", &options, NULL), name);
    snprintf(text, sizeof text, "%s: there and back is the same file%s", name,
             has_ema ? " (--ema=keep)" : "");
    CHECK(convert("kept", "back.safetensors", &options, NULL) &&
              same_bytes(source, "back.safetensors"),
          text);
    unlink("back.safetensors");
    scratch_clear("kept");
}

static void
check_ema(const char *name, const char *source, const cJSON *rows)
{
    dfx_convert_options options;
    char text[512];

    if (rows == NULL)
        return;
    dfx_convert_options_init(&options);
    options.ema = DFX_EMA_USE;
    snprintf(text, sizeof text, "%s: --ema=use gives the averaged weights",
             name);
    CHECK(convert(source, "ema", &options, NULL) &&
              rows_fit(rows, "ema/unet/diffusion_pytorch_model.safetensors"),
          text);
    scratch_clear("ema");
}

static void
check_case(const golden_case *golden)
{
    const char *name = golden->name;
    dfx_identify_options how = {.family = golden->option};
    char path[4096];
    cJSON *expected, *reverse;
    dfx_convert_options options;
    bool has_ema;

    path_of(path, sizeof path, name, "source.json");
    if (!CHECK(write_source(path, "source.safetensors"), name))
        return;
    path_of(path, sizeof path, name, "expected.json");
    expected = load(path);
    path_of(path, sizeof path, name, "reverse.json");
    reverse = load(path);
    has_ema = dfx_doc_get(dfx_doc_get(expected, "components"), "unet_ema");

    dfx_convert_options_init(&options);
    if (CHECK(convert("source.safetensors", "folder", &options, &how), name)) {
        check_identity(golden, "source.safetensors");
        check_rows(name, dfx_doc_get(expected, "components"), "folder",
                   "to a folder");
        check_round_trip(name, "source.safetensors", has_ema);
        check_ema(name, "source.safetensors",
                  dfx_doc_get(dfx_doc_get(expected, "components"), "unet_ema"));
        if (cJSON_IsArray(dfx_doc_get(reverse, "expected")))
            check_script(name, reverse, "folder");
    }
    scratch_clear("folder");
    unlink("source.safetensors");
    cJSON_Delete(expected);
    cJSON_Delete(reverse);
}

/* ---- Sources that are no single file ----------------------------------------
 */

/* A folder component under old names, and one with a name of its own. */
static void
check_component(const char *name, const char *list, const char *component,
                const char *config)
{
    char path[4096], text[512];
    cJSON *expected, *reverse;
    dfx_convert_options options;
    FILE *f;

    mkdir("lone", 0777);
    f = fopen("lone/config.json", "w");
    if (f != NULL) {
        fputs(config, f);
        fclose(f);
    }
    path_of(path, sizeof path, name, list);
    CHECK(write_source(path, "lone/diffusion_pytorch_model.safetensors"), name);
    path_of(path, sizeof path, name, "expected.json");
    expected = access(path, R_OK) == 0 ? load(path) : NULL;
    path_of(path, sizeof path, name, "reverse.json");
    reverse = access(path, R_OK) == 0 ? load(path) : NULL;
    dfx_convert_options_init(&options);
    if (expected != NULL &&
        CHECK(convert("lone", "out", &options, NULL), name)) {
        const cJSON *rows = dfx_doc_get(expected, "components")->child;

        snprintf(path, sizeof path, "out/diffusion_pytorch_model.safetensors");
        snprintf(text, sizeof text, "%s: new names for %s", name, component);
        CHECK(rows_fit(rows, path), text);
    }
    if (reverse != NULL) {
        options.plain = true;
        snprintf(text, sizeof text, "%s: original names for %s", name,
                 component);
        CHECK(convert("lone", "single.safetensors", &options, NULL) &&
                  rows_fit(dfx_doc_get(reverse, "expected"),
                           "single.safetensors"),
              text);
        /* And back, under its own names again. */
        CHECK(convert("single.safetensors", "again", &options, NULL), name);
        snprintf(text, sizeof text, "%s: read back as it was", name);
        snprintf(path, sizeof path,
                 "again/%s/diffusion_pytorch_model.safetensors", component);
        CHECK(same_tensors("lone/diffusion_pytorch_model.safetensors", path),
              text);
    }
    scratch_clear("out");
    scratch_clear("again");
    scratch_clear("lone");
    unlink("single.safetensors");
    cJSON_Delete(expected);
    cJSON_Delete(reverse);
}

static const char unet_config[] =
    "{\n  \"_class_name\": \"UNet2DConditionModel\"\n}\n";
static const char vae_config[] = "{\n  \"_class_name\": \"AutoencoderKL\"\n}\n";

/* AutoencoderTiny: two files, each a half of one component. */
static void
check_halves(const char *name)
{
    char path[4096], text[512];
    cJSON *expected;

    path_of(path, sizeof path, name, "source-encoder.json");
    CHECK(write_source(path, "encoder.safetensors"), name);
    path_of(path, sizeof path, name, "source-decoder.json");
    CHECK(write_source(path, "decoder.safetensors"), name);
    path_of(path, sizeof path, name, "expected.json");
    expected = load(path);
    CHECK(convert_with("encoder.safetensors", "vae", "decoder.safetensors",
                       "tiny"),
          name);
    check_rows(name, dfx_doc_get(expected, "components"), "tiny",
               "two halves to a folder");
    snprintf(text, sizeof text, "%s: the decoder first gives the same", name);
    CHECK(convert_with("decoder.safetensors", "vae", "encoder.safetensors",
                       "tiny2") &&
              same_bytes("tiny/vae/diffusion_pytorch_model.safetensors",
                         "tiny2/vae/diffusion_pytorch_model.safetensors"),
          text);
    scratch_clear("tiny");
    scratch_clear("tiny2");
    cJSON_Delete(expected);
}

int
main(void)
{
    static const golden_case cases[] = {
        {"sd15", "sd1", NULL, false},
        {"sd15-ema", "sd1", NULL, false},
        {"sd15-inpaint", "sd1", NULL, false},
        {"sd15-pix2pix", "sd1", NULL, false},
        {"bk-sdm-base", "sd1", NULL, false},
        {"bk-sdm-small", "sd1", NULL, false},
        {"bk-sdm-tiny", "sd1", NULL, false},
        {"sd21-v", "sd2", NULL, false},
        {"sd2-depth", "sd2", NULL, false},
        {"sd21-unclip-h", "sd2", NULL, false},
        {"sd-x4-upscaler", "sd2", NULL, false},
        {"sdxl-base", "sdxl", NULL, false},
        {"sdxl-inpaint", "sdxl", NULL, false},
        {"sdxl-refiner", "sdxl_refiner", NULL, false},
        {"ssd-1b", "sdxl", NULL, false},
        {"vega", "sdxl", NULL, false},
        {"koala-700m", "sdxl", NULL, false},
        {"koala-1b", "sdxl", NULL, false},
        {"playground-vae", "vae_kl", NULL, false},
        {"vae-bare", "vae_kl", NULL, false},
        {"vae-prefixed", "vae_kl", "vae-sdxl", false},
        {"vae-kl16-bare", "vae_kl", NULL, true},
        {"vae-kl16-first-stage", "vae_kl", NULL, true},
        {"controlnet-sd15", "controlnet_sd1", NULL, false},
        {"controlnet-sd21", "controlnet_sd2", NULL, false},
        {"unclip-image-encoder", "unknown", NULL, false},
    };

    srcdir = realpath(getenv("srcdir") != NULL ? getenv("srcdir") : ".", NULL);
    scratch_enter();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i]);
    check_component("lcm", "source.json", "unet", unet_config);
    check_component("vae-old-names", "source.json", "vae", vae_config);
    check_halves("taesd");
    check_halves("taesd3");
    free(srcdir);
    return tap_end();
}
