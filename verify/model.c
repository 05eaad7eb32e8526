/*
 * model.c - a model to run: components under their Diffusers names
 */
#include <config.h>

#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "document.h"

/* Names that components have in pipelines, by their classes: for folders of one
   component. */
static const struct {
    const char *class_name, *component;
} roles[] = {
    {"UNet2DConditionModel", "unet"},
    {"ControlNetModel", "controlnet"},
    {"AutoencoderKL", "vae"},
    {"AutoencoderTiny", "vae"},
    {"CLIPTextModel", "text_encoder"},
    {"CLIPTextModelWithProjection", "text_encoder"},
    {"StableDiffusionSafetyChecker", "safety_checker"},
};

static const char *
role_of(const cJSON *config)
{
    const char *class_name = dfx_doc_string(config, "_class_name");

    if (class_name == NULL)
        class_name = cJSON_GetStringValue(
            cJSON_GetArrayItem(dfx_doc_get(config, "architectures"), 0));
    for (size_t i = 0; class_name != NULL && i < sizeof roles / sizeof roles[0];
         i++)
        if (strcmp(class_name, roles[i].class_name) == 0)
            return roles[i].component;
    return "";
}

/* ---- Files --------------------------------------------------------------- */

static dfx_status
add_file(dfx_model *model, const char *path, const dfx_expr *expr,
         dfx_error *err)
{
    if (!dfx_grow(&model->files, &model->file_capacity, model->file_count,
                  sizeof *model->files))
        return dfx_fail_nomem(err);
    model->files[model->file_count++] =
        (dfx_model_file){.path = path, .expr = expr};
    return DFX_OK;
}

static const dfx_model_file *
find_file(const dfx_model *model, const char *path)
{
    for (size_t i = 0; i < model->file_count; i++)
        if (strcmp(model->files[i].path, path) == 0)
            return &model->files[i];
    return NULL;
}

dfx_status
dfx_model_read(const dfx_model *model, const char *path, size_t limit,
               char **data, size_t *size, dfx_error *err)
{
    const dfx_model_file *file = find_file(model, path);
    dfx_status status;

    *data = NULL;
    *size = 0;
    if (file == NULL)
        return DFX_OK;
    if (file->expr->bytes > limit)
        return dfx_fail(err, DFX_RULE_RUN_CONFIG, DFX_NO_OFFSET,
                        "%s has %llu bytes; at most %zu make sense", path,
                        (unsigned long long)file->expr->bytes, limit);
    *size = (size_t)file->expr->bytes;
    *data = malloc(*size + 1);
    if (*data == NULL)
        return dfx_fail_nomem(err);
    (*data)[*size] = '\0';
    status = dfx_expr_pull_bytes(file->expr, 0, *size, *data, err);
    if (status != DFX_OK) {
        free(*data);
        *data = NULL;
    }
    return status;
}

dfx_status
dfx_model_document(const dfx_model *model, const char *path, cJSON **doc,
                   dfx_error *err)
{
    enum { LIMIT = 16 << 20 };
    char *text = NULL;
    size_t size = 0;
    dfx_status status;

    *doc = NULL;
    DFX_TRY(dfx_model_read(model, path, LIMIT, &text, &size, err));
    if (text == NULL)
        return DFX_OK;
    status = dfx_doc_parse(text, size, path, doc, err);
    free(text);
    return status;
}

/* ---- Components ---------------------------------------------------------- */

dfx_model_component *
dfx_model_find(const dfx_model *model, const char *name)
{
    for (size_t i = 0; i < model->component_count; i++)
        if (strcmp(model->components[i].name, name) == 0 &&
            model->components[i].weights.count > 0)
            return &model->components[i];
    return NULL;
}

dfx_status
dfx_model_need(const dfx_model *model, const char *name,
               dfx_model_component **out, dfx_error *err)
{
    *out = dfx_model_find(model, name);
    if (*out == NULL)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the model has no component \"%s\"", name);
    return DFX_OK;
}

static dfx_status
make_components(dfx_model *model, size_t count, dfx_error *err)
{
    model->components = calloc(count + 1, sizeof *model->components);
    if (model->components == NULL)
        return dfx_fail_nomem(err);
    model->component_count = count;
    for (size_t i = 0; i < count; i++)
        dfx_weights_init(&model->components[i].weights, dfx_backend_cpu());
    return DFX_OK;
}

/* The config of a component, and its name if it stands alone. */
static dfx_status
configure(dfx_model *model, dfx_model_component *c, dfx_error *err)
{
    const char *path = dfx_arena_printf(&model->arena, "%s%sconfig.json",
                                        c->name, c->name[0] != '\0' ? "/" : "");

    if (path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_model_document(model, path, &c->config, err));
    if (c->name[0] == '\0' && c->config != NULL)
        c->name = role_of(c->config);
    return DFX_OK;
}

/* ---- Sources ------------------------------------------------------------- */

/* A source that is a Diffusers folder has the names and the JSON files
   already. */
static dfx_status
take_folder(dfx_model *model, const dfx_identify_options *identify,
            dfx_error *err)
{
    const dfx_index *index = model->index;

    if (identify->config_dir != NULL || identify->set_count > 0)
        return dfx_fail_usage(err, "has its own JSON files; settings are for "
                                   "single files");
    for (size_t i = 0; i < index->file_count; i++) {
        const dfx_expr *expr = NULL;

        DFX_TRY(dfx_file_expr(&model->arena, index->files[i].path,
                              &index->files[i].data, &expr, err));
        DFX_TRY(add_file(model, index->files[i].path, expr, err));
    }
    DFX_TRY(make_components(model, index->component_count, err));
    for (uint32_t i = 0; i < index->component_count; i++) {
        model->components[i].name = index->components[i].name;
        DFX_TRY(dfx_weights_take(&model->components[i].weights, index, i, err));
    }
    return DFX_OK;
}

/* Others as they would be converted to one. */
static dfx_status
take_converted(dfx_model *model, const dfx_identify_options *identify,
               bool allow_unsafe, dfx_error *err)
{
    dfx_convert_options options;
    dfx_conversion conversion = {
        .index = model->index,
        .options = &options,
        .to = DFX_LAYOUT_DIFFUSERS,
        .joined = true,
    };
    dfx_bundle *bundle = &conversion.bundle;
    dfx_status status;

    dfx_convert_options_init(&options);
    options.plain = true;
    options.allow_unsafe = allow_unsafe;
    DFX_TRY(dfx_identify(model->index, identify, &model->identity, err));
    DFX_TRY(dfx_plan_new("", true, &model->plan, err));
    conversion.identity = model->identity;
    conversion.plan = model->plan;
    status = dfx_conversion_build(&conversion, err);
    for (size_t i = 0; status == DFX_OK && i < bundle->blob_count; i++)
        status =
            add_file(model, bundle->blobs[i].path, bundle->blobs[i].expr, err);
    if (status == DFX_OK)
        status = make_components(model, bundle->component_count, err);
    for (size_t i = 0; status == DFX_OK && i < bundle->component_count; i++)
        model->components[i].name = bundle->components[i].name;
    for (size_t i = 0; status == DFX_OK && i < bundle->item_count; i++) {
        const dfx_item *item = &bundle->items[i];

        status = dfx_weights_add(&model->components[item->component].weights,
                                 item->name, item->expr, err);
    }
    for (size_t i = 0; status == DFX_OK && i < model->component_count; i++)
        dfx_weights_seal(&model->components[i].weights);
    dfx_conversion_fini(&conversion);
    return status;
}

static dfx_status
fill(dfx_model *model, const dfx_model_options *options, dfx_error *err)
{
    DFX_TRY(dfx_open(model->path, &options->open, &model->index, err));
    DFX_TRY(dfx_source_check(model->index, options->allow_unsafe, err));
    if (model->index->file_count > 0)
        DFX_TRY(take_folder(model, &options->identify, err));
    else
        DFX_TRY(take_converted(model, &options->identify, options->allow_unsafe,
                               err));
    for (size_t i = 0; i < model->component_count; i++)
        DFX_TRY(configure(model, &model->components[i], err));
    return dfx_model_document(model, "model_index.json", &model->pipeline, err);
}

dfx_status
dfx_model_open(const char *path, const dfx_model_options *options,
               dfx_model **out, dfx_error *err)
{
    static const dfx_model_options usual;
    dfx_model *model = calloc(1, sizeof *model);
    dfx_status status;

    if (model == NULL)
        return dfx_fail_nomem(err);
    model->path = strdup(path);
    status = model->path == NULL
                 ? dfx_fail_nomem(err)
                 : fill(model, options != NULL ? options : &usual, err);
    if (status != DFX_OK) {
        dfx_error_in_file(err, path);
        dfx_model_free(model);
        return status;
    }
    *out = model;
    return DFX_OK;
}

void
dfx_model_free(dfx_model *model)
{
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->component_count; i++) {
        dfx_weights_fini(&model->components[i].weights);
        cJSON_Delete(model->components[i].config);
    }
    free(model->components);
    free(model->files);
    cJSON_Delete(model->pipeline);
    dfx_plan_free(model->plan);
    dfx_identity_free(model->identity);
    dfx_index_free(model->index);
    dfx_arena_fini(&model->arena);
    free(model->path);
    free(model);
}
