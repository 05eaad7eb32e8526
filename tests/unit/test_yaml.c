/*
 * test_yaml.c - original YAML configs: every field that the reference derives
 * (tests/golden/families/yaml/expected.json), and what is no such file
 */
#include <config.h>

#include <stdlib.h>
#include <unistd.h>

#include "configs.h"
#include "document.h"
#include "tap.h"

static const char *folder;

static cJSON *
load_json(const char *path)
{
    dfx_io *io = NULL;
    cJSON *doc = NULL;

    if (dfx_io_open_file(path, &io, NULL) == DFX_OK) {
        dfx_extent all = {io, 0, dfx_io_size(io)};

        if (dfx_doc_read(&all, &doc, NULL) != DFX_OK)
            doc = NULL;
    }
    dfx_io_close(io);
    return doc;
}

/*
 * Fields that the reference guesses and no YAML holds: the VAE's image size.
 * And its nulls, which say that a field stays as the class has it.
 */
static bool
is_compared(const cJSON *want)
{
    return !cJSON_IsNull(want) && strcmp(want->string, "sample_size") != 0;
}

static void
compare(const char *yaml, const char *component, const cJSON *want,
        const cJSON *got)
{
    char what[256];

    for (const cJSON *field = want->child; field != NULL; field = field->next) {
        const cJSON *value = dfx_doc_get(got, field->string);
        char *text;

        if (!is_compared(field))
            continue;
        text = value != NULL ? dfx_doc_print_compact(value) : NULL;
        snprintf(what, sizeof what, "%s: %s.%s is %s", yaml, component,
                 field->string, text != NULL ? text : "absent");
        CHECK(value != NULL && dfx_doc_equal(value, field), what);
        free(text);
    }
}

/* The published latent sizes, which the reference gets wrong for three files
   and the YAML for one (families-unet, section 10). 0: the file has none. */
static int64_t
sample_size(const char *yaml)
{
    static const struct {
        const char *yaml;
        int64_t size;
    } rows[] = {
        {"cldm_v15.yaml", 64},
        {"cldm_v21.yaml", 64},
        {"v1-inference.yaml", 64},
        {"v2-1-stable-unclip-h-inference.yaml", 96},
        {"v2-1-stable-unclip-l-inference.yaml", 96},
        {"v2-inference.yaml", 64},
        {"v2-inpainting-inference.yaml", 64},
        {"v2-midas-inference.yaml", 64},
        {"x4-upscaling.yaml", 128},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].yaml, yaml) == 0)
            return rows[i].size;
    return 0;
}

static void
test_published(void)
{
    char path[1024];
    cJSON *cases;

    snprintf(path, sizeof path, "%s/expected.json", folder);
    cases = load_json(path);
    CHECK(cJSON_GetArraySize(cases) == 12, "twelve YAML files");
    for (const cJSON *c = cases != NULL ? cases->child : NULL; c != NULL;
         c = c->next) {
        const char *yaml = dfx_doc_string(c, "yaml");
        const cJSON *unet;
        cJSON *got = NULL;
        int64_t size = 0;
        dfx_error err = {0};

        snprintf(path, sizeof path, "%s/%s", folder, yaml);
        if (!CHECK(dfx_yaml_read(path, &got, &err) == DFX_OK, yaml)) {
            printf("# %s\n", err.text);
            continue;
        }
        unet = dfx_doc_get(got, "unet");
        compare(yaml, "unet", dfx_doc_get(c, "unet"), unet);
        compare(yaml, "vae", dfx_doc_get(c, "vae"), dfx_doc_get(got, "vae"));
        dfx_doc_int(dfx_doc_get(unet, "sample_size"), &size);
        CHECK_U64((uint64_t)size, (uint64_t)sample_size(yaml),
                  "latent size as published");
        cJSON_Delete(got);
    }
    cJSON_Delete(cases);
}

static cJSON *
read_text(const char *text, dfx_status *status, dfx_error *err)
{
    char path[] = "/tmp/test_yaml.XXXXXX";
    int fd = mkstemp(path);
    cJSON *doc = NULL;
    size_t size = strlen(text);

    *status = DFX_ERR_IO;
    if (fd < 0 || write(fd, text, size) != (ssize_t)size) {
        CHECK(false, "a temporary file");
        return NULL;
    }
    close(fd);
    *status = dfx_yaml_read(path, &doc, err);
    unlink(path);
    return *status == DFX_OK ? doc : NULL;
}

static void
check_field(const char *yaml, const char *component, const char *field,
            const char *want)
{
    dfx_status status;
    dfx_error err = {0};
    cJSON *doc = read_text(yaml, &status, &err);
    const cJSON *node = dfx_doc_get(dfx_doc_get(doc, component), field);
    char *text = node != NULL ? dfx_doc_print_compact(node) : NULL;

    CHECK_TEXT(text != NULL ? text : "absent", want, field);
    free(text);
    cJSON_Delete(doc);
}

#define SGM                                                                    \
    "model:\n  params:\n    denoiser_config:\n      params:\n"                 \
    "        num_idx: 1000\n        scaling_config: {target: a.b.VScaling}\n"

static void
test_scheduler(void)
{
    static const char x4[] = "model: {params: {linear_start: 0.0001, "
                             "linear_end: 2.0e-2, timesteps: 1000, "
                             "parameterization: v, low_scale_config: {params: "
                             "{max_noise_level: 350, noise_schedule_config: "
                             "{linear_start: 0.00010}}}}}";

    check_field(x4, "scheduler", "beta_start", "0.0001");
    check_field(x4, "scheduler", "beta_end", "0.02");
    check_field(x4, "scheduler", "beta_schedule", "\"scaled_linear\"");
    check_field(x4, "scheduler", "num_train_timesteps", "1000");
    check_field(x4, "scheduler", "prediction_type", "\"v_prediction\"");
    check_field(x4, "low_res_scheduler", "beta_start", "0.0001");
    check_field(x4, "model_index", "max_noise_level", "350");
    check_field(SGM, "scheduler", "prediction_type", "\"v_prediction\"");
    check_field(SGM, "scheduler", "num_train_timesteps", "1000");
    check_field("model: {params: {timesteps: 10}}", "scheduler",
                "prediction_type", "\"epsilon\"");
}

static void
test_controlnet(void)
{
    char path[512];
    cJSON *doc = NULL;
    int64_t hint = 0;

    snprintf(path, sizeof path, "%s/cldm_v15.yaml", folder);
    if (!CHECK(dfx_yaml_read(path, &doc, NULL) == DFX_OK, "cldm_v15.yaml"))
        return;
    dfx_doc_int(
        dfx_doc_get(dfx_doc_get(doc, "controlnet"), "conditioning_channels"),
        &hint);
    CHECK_U64((uint64_t)hint, 3, "channels of the hint");
    CHECK(dfx_doc_get(dfx_doc_get(doc, "controlnet"), "out_channels") == NULL,
          "a ControlNet has no output channels");
    cJSON_Delete(doc);
}

static void
test_refused(void)
{
    static const struct {
        const char *what, *yaml;
    } rows[] = {
        {"empty", ""},
        {"not YAML", "model: [1, 2"},
        {"a list", "- 1\n- 2\n"},
        {"no model.params", "model: {target: x}\n"},
        {"params that are no mapping", "model: {params: 3}\n"},
        {"a factor that is no number",
         "model: {params: {unet_config: {params: {channel_mult: [a]}}}}"},
        {"more levels than any model",
         "model: {params: {unet_config: {params: {channel_mult: [1,1,1,1,1,1,"
         "1,1,1,1,1,1,1,1,1,1,1]}}}}"},
        {"a beta that is no number", "model: {params: {linear_start: x}}"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_status status;
        dfx_error err = {0};

        cJSON_Delete(read_text(rows[i].yaml, &status, &err));
        CHECK_TEXT(status == DFX_OK ? "read" : err.rule, "yaml", rows[i].what);
    }
}

/* Numbers far out of range decide nothing and overflow nothing. */
static void
test_extremes(void)
{
    static const char large[] =
        "model: {params: {image_size: 99999999999999999999, unet_config: "
        "{params: {model_channels: 1048576, num_head_channels: 1, "
        "channel_mult: [1048576], in_channels: -1}}}}";

    check_field(large, "unet", "block_out_channels", "[1099511627776]");
    check_field(large, "unet", "in_channels", "absent");
    check_field(large, "unet", "sample_size", "absent");
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[512];

    snprintf(path, sizeof path, "%s/tests/golden/families/yaml",
             srcdir != NULL ? srcdir : ".");
    folder = path;
    test_published();
    test_scheduler();
    test_controlnet();
    test_refused();
    test_extremes();
    return tap_end();
}
