/*
 * yaml.c - what an original LDM or sgm config file decides
 *
 * The mapping is that of diffusers 0.42.1 (loaders/single_file_utils.py,
 * create_*_diffusers_config_from_ldm), but for sample_size: the reference
 * guesses it, here it is the YAML's image_size. The exception is the YAML of
 * the 768 pixel SD2, which still says 64: it decides nothing then.
 *
 * libyaml reads the text into a tree without recursion and without constructing
 * anything; only fixed paths are looked up in it, so its depth does not matter.
 */
#include <config.h>

#include "configs.h"
#include "document.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    YAML_MAX = 1 << 20,  /* bytes; published ones have 3,000 */
    LEVELS_MAX = 16,     /* published ones have 4 */
    VALUE_MAX = 1 << 20, /* of an integer, so that products fit */
    PATH_CHARS = 64
};

/* A tree being read. The first failure stays, later reads do nothing. */
typedef struct reader {
    yaml_document_t tree;
    const yaml_node_t *params; /* model.params */
    dfx_status status;
    dfx_error *err;
} reader;

typedef struct numbers {
    int64_t values[LEVELS_MAX];
    size_t count; /* 0: there is no such member */
    bool is_list;
} numbers;

static void
fail(reader *r, const yaml_node_t *node, const char *what)
{
    if (r->status == DFX_OK)
        r->status =
            dfx_fail(r->err, DFX_RULE_YAML, node->start_mark.index, "%s", what);
}

/* ---- Looking things up --------------------------------------------------- */

static const yaml_node_t *
member(reader *r, const yaml_node_t *node, const char *key, size_t size)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(&r->tree, p->key);

        if (k != NULL && k->type == YAML_SCALAR_NODE &&
            k->data.scalar.length == size &&
            memcmp(k->data.scalar.value, key, size) == 0)
            return yaml_document_get_node(&r->tree, p->value);
    }
    return NULL;
}

/* The node at "a.b.c" below node, or NULL. */
static const yaml_node_t *
find(reader *r, const yaml_node_t *node, const char *path)
{
    while (node != NULL && *path != '\0') {
        size_t size = strcspn(path, ".");

        node = member(r, node, path, size);
        path += size + (path[size] == '.');
    }
    return node;
}

/* The text of a scalar; NULL for anything else, and for a null. */
static const char *
text_of(const yaml_node_t *node)
{
    const char *text;

    if (node == NULL || node->type != YAML_SCALAR_NODE)
        return NULL;
    text = (const char *)node->data.scalar.value;
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (strcmp(text, "null") == 0 || strcmp(text, "~") == 0 ||
         text[0] == '\0'))
        return NULL;
    return text;
}

static bool
parse_int(const yaml_node_t *node, int64_t *value)
{
    const char *text = text_of(node);

    *value = 0;
    if (text == NULL || text[0] == '\0' ||
        text[strspn(text, "0123456789")] != '\0')
        return false;
    for (; *text != '\0' && *value <= VALUE_MAX; text++)
        *value = *value * 10 + (*text - '0');
    return *value <= VALUE_MAX;
}

/* A number or a list of numbers. */
static numbers
get_numbers(reader *r, const yaml_node_t *node, const char *path)
{
    const yaml_node_t *found = find(r, node, path);
    numbers out = {.is_list = false};

    if (found == NULL)
        return out;
    if (found->type != YAML_SEQUENCE_NODE) {
        if (parse_int(found, &out.values[0]))
            out.count = 1;
        return out;
    }
    out.is_list = true;
    for (const yaml_node_item_t *i = found->data.sequence.items.start;
         i < found->data.sequence.items.top; i++) {
        const yaml_node_t *item = yaml_document_get_node(&r->tree, *i);

        if (out.count == LEVELS_MAX ||
            !parse_int(item, &out.values[out.count])) {
            fail(r, found, "a list that is not of a few whole numbers");
            return (numbers){.is_list = false};
        }
        out.count++;
    }
    return out;
}

static int64_t
get_int(reader *r, const yaml_node_t *node, const char *path, int64_t otherwise)
{
    numbers n = get_numbers(r, node, path);

    return n.count > 0 ? n.values[0] : otherwise;
}

static bool
is_true(reader *r, const yaml_node_t *node, const char *path)
{
    const char *text = text_of(find(r, node, path));

    return text != NULL &&
           (strcmp(text, "true") == 0 || strcmp(text, "True") == 0);
}

/* ---- Writing fields ------------------------------------------------------ */

static void
set(reader *r, cJSON *object, const char *field, cJSON *node)
{
    if (r->status != DFX_OK)
        cJSON_Delete(node);
    else if (!dfx_doc_set(object, field, node))
        r->status = dfx_fail_nomem(r->err);
}

static void
set_int(reader *r, cJSON *object, const char *field, int64_t value)
{
    set(r, object, field, dfx_doc_new_int(value));
}

/* Takes both: the list with the item, or NULL if memory ran out. */
static cJSON *
append(cJSON *list, cJSON *item)
{
    if (list != NULL && item != NULL && cJSON_AddItemToArray(list, item))
        return list;
    cJSON_Delete(item);
    cJSON_Delete(list);
    return NULL;
}

static void
set_list(reader *r, cJSON *object, const char *field, const int64_t *values,
         size_t count)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < count; i++)
        list = append(list, dfx_doc_new_int(values[i]));
    set(r, object, field, list);
}

/* The member path as field, if it is a whole number. */
static void
copy_int(reader *r, const yaml_node_t *node, const char *path, cJSON *object,
         const char *field)
{
    int64_t value = get_int(r, node, path, -1);

    if (value >= 0)
        set_int(r, object, field, value);
}

/* The member path as field, if it is a number: "0.0120" becomes 0.012. */
static void
copy_number(reader *r, const yaml_node_t *node, const char *path, cJSON *object,
            const char *field)
{
    const yaml_node_t *found = find(r, node, path);
    const char *text = text_of(found);
    cJSON *parsed = NULL;
    double value;

    if (text == NULL)
        return;
    if (dfx_doc_parse(text, strlen(text), "", &parsed, NULL) == DFX_OK &&
        dfx_doc_number(parsed, &value))
        set(r, object, field, dfx_doc_new_number(value));
    else
        fail(r, found, "not a number");
    cJSON_Delete(parsed);
}

static void
copy_text(reader *r, const yaml_node_t *node, const char *path, cJSON *object,
          const char *field)
{
    const char *text = text_of(find(r, node, path));

    if (text != NULL)
        set(r, object, field, cJSON_CreateString(text));
}

/* An object of doc that is made when first asked for. */
static cJSON *
section(reader *r, cJSON *doc, const char *name)
{
    cJSON *object = dfx_doc_get(doc, name);

    if (object == NULL) {
        object = cJSON_CreateObject();
        set(r, doc, name, object);
    }
    return r->status == DFX_OK ? object : NULL;
}

/* ---- UNet and ControlNet ------------------------------------------------- */

/* Has level i attention? The list holds factors of downsampling. */
static bool
attends(const numbers *resolutions, size_t level)
{
    for (size_t i = 0; i < resolutions->count; i++)
        if (resolutions->values[i] == (int64_t)1 << level)
            return true;
    return false;
}

static void
set_block_types(reader *r, cJSON *object, const char *field,
                const numbers *resolutions, size_t levels, bool up)
{
    static const char *const names[2][2] = {
        {"DownBlock2D", "CrossAttnDownBlock2D"},
        {"UpBlock2D", "CrossAttnUpBlock2D"},
    };
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < levels; i++) {
        size_t level = up ? levels - 1 - i : i;
        cJSON *name =
            cJSON_CreateString(names[up][attends(resolutions, level)]);

        list = append(list, name);
    }
    set(r, object, field, list);
}

/* One number for all levels, or a list: levels without attention count as 1. */
static void
set_transformer_depth(reader *r, const yaml_node_t *p, cJSON *object,
                      const numbers *resolutions, size_t levels)
{
    numbers depth = get_numbers(r, p, "transformer_depth");
    int64_t values[LEVELS_MAX];
    bool equal = true;

    if (depth.count == 0 || (depth.is_list && depth.count != levels))
        return;
    for (size_t i = 0; i < levels; i++) {
        int64_t here = depth.values[depth.is_list ? i : 0];

        values[i] = attends(resolutions, i) && here > 0 ? here : 1;
    }
    /* A number stands for every level, attention or not, as in the refiner. */
    for (size_t i = 1; i < levels; i++)
        equal = equal && values[i] == values[0];
    if (!depth.is_list)
        set_int(r, object, "transformer_layers_per_block", depth.values[0]);
    else if (equal)
        set_int(r, object, "transformer_layers_per_block", values[0]);
    else
        set_list(r, object, "transformer_layers_per_block", values, levels);
}

static void
set_heads(reader *r, const yaml_node_t *p, cJSON *object, const numbers *mult)
{
    int64_t head = get_int(r, p, "num_head_channels", 0);
    int64_t heads = get_int(r, p, "num_heads", 0);
    int64_t channels = get_int(r, p, "model_channels", 0);
    int64_t values[LEVELS_MAX];

    if (heads > 0) {
        set_int(r, object, "attention_head_dim", heads);
        return;
    }
    if (head == 0)
        return;
    for (size_t i = 0; i < mult->count; i++)
        values[i] = channels / head * mult->values[i];
    set_list(r, object, "attention_head_dim", values, mult->count);
}

/* What is added to the time embedding: sizes in SDXL, images in unCLIP. */
static void
set_classes(reader *r, const yaml_node_t *p, cJSON *object, int64_t ctx)
{
    const char *classes = text_of(find(r, p, "num_classes"));

    if (classes == NULL)
        return;
    if (strcmp(classes, "sequential") != 0) {
        copy_int(r, p, "num_classes", object, "num_class_embeds");
        return;
    }
    if (ctx == 2048 || ctx == 1280) {
        set(r, object, "addition_embed_type", cJSON_CreateString("text_time"));
        set_int(r, object, "addition_time_embed_dim", 256);
    } else {
        set(r, object, "class_embed_type", cJSON_CreateString("projection"));
    }
    copy_int(r, p, "adm_in_channels", object,
             "projection_class_embeddings_input_dim");
}

static void
set_only_cross(reader *r, const yaml_node_t *p, cJSON *object)
{
    const yaml_node_t *node = find(r, p, "disable_self_attentions");
    cJSON *list;

    if (node == NULL || node->type != YAML_SEQUENCE_NODE)
        return;
    list = cJSON_CreateArray();
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top; i++) {
        const char *text = text_of(yaml_document_get_node(&r->tree, *i));
        cJSON *item = cJSON_CreateBool(text != NULL &&
                                       (text[0] == 't' || text[0] == 'T'));

        list = append(list, item);
    }
    set(r, object, "only_cross_attention", list);
}

/* The fields that a UNet and a ControlNet share. */
static void
read_encoder(reader *r, const yaml_node_t *p, cJSON *object)
{
    numbers mult = get_numbers(r, p, "channel_mult");
    numbers resolutions = get_numbers(r, p, "attention_resolutions");
    int64_t channels = get_int(r, p, "model_channels", 0);
    int64_t ctx = get_int(r, p, "context_dim", 0);
    int64_t values[LEVELS_MAX];

    if (object == NULL)
        return;
    copy_int(r, p, "in_channels", object, "in_channels");
    for (size_t i = 0; i < mult.count; i++)
        values[i] = channels * mult.values[i];
    if (mult.count > 0 && channels > 0) {
        set_list(r, object, "block_out_channels", values, mult.count);
        set_block_types(r, object, "down_block_types", &resolutions, mult.count,
                        false);
        set_transformer_depth(r, p, object, &resolutions, mult.count);
        set_heads(r, p, object, &mult);
    }
    copy_int(r, p, "num_res_blocks", object, "layers_per_block");
    if (ctx > 0)
        set_int(r, object, "cross_attention_dim", ctx);
    set(r, object, "use_linear_projection",
        cJSON_CreateBool(is_true(r, p, "use_linear_in_transformer")));
    set_classes(r, p, object, ctx);
}

static void
read_unet(reader *r, const yaml_node_t *p, cJSON *object)
{
    numbers mult = get_numbers(r, p, "channel_mult");
    numbers resolutions = get_numbers(r, p, "attention_resolutions");
    const char *predicts = text_of(find(r, r->params, "parameterization"));
    int64_t size = get_int(r, r->params, "image_size", 0);
    bool is_768 = predicts != NULL && strcmp(predicts, "v") == 0 && size == 64;

    if (object == NULL)
        return;
    read_encoder(r, p, object);
    copy_int(r, p, "out_channels", object, "out_channels");
    if (mult.count > 0)
        set_block_types(r, object, "up_block_types", &resolutions, mult.count,
                        true);
    set_only_cross(r, p, object);
    if (size > 0 && !is_768)
        set_int(r, object, "sample_size", size);
}

static void
read_controlnet(reader *r, const yaml_node_t *p, cJSON *object)
{
    if (object == NULL)
        return;
    read_encoder(r, p, object);
    copy_int(r, p, "hint_channels", object, "conditioning_channels");
}

/* ---- VAE and schedulers -------------------------------------------------- */

static void
set_repeated(reader *r, cJSON *object, const char *field, const char *name,
             size_t count)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < count; i++)
        list = append(list, cJSON_CreateString(name));
    set(r, object, field, list);
}

static void
read_vae(reader *r, const yaml_node_t *p, cJSON *object)
{
    numbers mult = get_numbers(r, p, "ch_mult");
    int64_t channels = get_int(r, p, "ch", 0);
    int64_t values[LEVELS_MAX];

    if (object == NULL)
        return;
    copy_int(r, p, "in_channels", object, "in_channels");
    copy_int(r, p, "out_ch", object, "out_channels");
    copy_int(r, p, "z_channels", object, "latent_channels");
    copy_int(r, p, "num_res_blocks", object, "layers_per_block");
    for (size_t i = 0; i < mult.count; i++)
        values[i] = channels * mult.values[i];
    if (mult.count > 0 && channels > 0) {
        set_list(r, object, "block_out_channels", values, mult.count);
        set_repeated(r, object, "down_block_types", "DownEncoderBlock2D",
                     mult.count);
        set_repeated(r, object, "up_block_types", "UpDecoderBlock2D",
                     mult.count);
    }
    copy_number(r, r->params, "scale_factor", object, "scaling_factor");
}

/* Does the class that a target names end like this? */
static bool
target_ends(reader *r, const char *path, const char *end)
{
    const char *text = text_of(find(r, r->params, path));
    size_t size = text != NULL ? strlen(text) : 0;

    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static void
read_betas(reader *r, const yaml_node_t *p, cJSON *object)
{
    copy_number(r, p, "linear_start", object, "beta_start");
    copy_number(r, p, "linear_end", object, "beta_end");
    if (find(r, p, "linear_start") != NULL)
        set(r, object, "beta_schedule", cJSON_CreateString("scaled_linear"));
    copy_int(r, p, "timesteps", object, "num_train_timesteps");
    copy_text(r, p, "beta_schedule", object, "beta_schedule");
}

static void
read_scheduler(reader *r, cJSON *object)
{
    static const char scaling[] =
        "denoiser_config.params.scaling_config.target";
    const char *predicts = text_of(find(r, r->params, "parameterization"));
    bool is_v = (predicts != NULL && strcmp(predicts, "v") == 0) ||
                target_ends(r, scaling, ".VScaling");

    if (object == NULL)
        return;
    read_betas(r, r->params, object);
    copy_int(r, r->params, "denoiser_config.params.num_idx", object,
             "num_train_timesteps");
    set(r, object, "prediction_type",
        cJSON_CreateString(is_v ? "v_prediction" : "epsilon"));
}

/* ---- The whole ----------------------------------------------------------- */

static void
read_all(reader *r, cJSON *doc)
{
    const yaml_node_t *p = r->params, *part;

    part = find(r, p, "unet_config.params");
    if (part == NULL)
        part = find(r, p, "network_config.params");
    if (part != NULL)
        read_unet(r, part, section(r, doc, "unet"));
    part = find(r, p, "control_stage_config.params");
    if (part != NULL)
        read_controlnet(r, part, section(r, doc, "controlnet"));
    part = find(r, p, "first_stage_config.params.ddconfig");
    if (part != NULL)
        read_vae(r, part, section(r, doc, "vae"));
    read_scheduler(r, section(r, doc, "scheduler"));
    part = find(r, p, "noise_aug_config.params.noise_schedule_config");
    if (part != NULL)
        read_betas(r, part, section(r, doc, "image_noising_scheduler"));
    part = find(r, p, "low_scale_config.params");
    if (part != NULL) {
        read_betas(r, find(r, part, "noise_schedule_config"),
                   section(r, doc, "low_res_scheduler"));
        copy_int(r, part, "max_noise_level", section(r, doc, "model_index"),
                 "max_noise_level");
    }
}

static dfx_status
read_tree(const char *text, size_t size, cJSON *doc, dfx_error *err)
{
    reader r = {.status = DFX_OK, .err = err};
    yaml_parser_t parser;
    bool loaded;

    if (yaml_parser_initialize(&parser) == 0)
        return dfx_fail_nomem(err);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    loaded = yaml_parser_load(&parser, &r.tree) != 0;
    if (!loaded) {
        r.status =
            dfx_fail(err, DFX_RULE_YAML, parser.problem_offset, "%s",
                     parser.problem != NULL ? parser.problem : "not YAML");
    } else {
        r.params =
            find(&r, yaml_document_get_root_node(&r.tree), "model.params");
        if (r.params != NULL && r.params->type == YAML_MAPPING_NODE)
            read_all(&r, doc);
        else
            r.status = dfx_fail(err, DFX_RULE_YAML, DFX_NO_OFFSET,
                                "there is no model.params");
        yaml_document_delete(&r.tree);
    }
    yaml_parser_delete(&parser);
    return r.status;
}

static dfx_status
load(const char *path, char **text, size_t *size, dfx_error *err)
{
    dfx_io *io = NULL;
    dfx_status status = dfx_io_open_file(path, &io, err);
    char *data = NULL;

    if (status != DFX_OK)
        return status;
    if (dfx_io_size(io) > YAML_MAX)
        status = dfx_fail(err, DFX_RULE_YAML, DFX_NO_OFFSET,
                          "larger than %d bytes", YAML_MAX);
    else if ((data = malloc((size_t)dfx_io_size(io) + 1)) == NULL)
        status = dfx_fail_nomem(err);
    else
        status = dfx_io_read_at(io, 0, data, (size_t)dfx_io_size(io), err);
    if (status == DFX_OK) {
        *text = data;
        *size = (size_t)dfx_io_size(io);
    } else {
        free(data);
    }
    dfx_io_close(io);
    return status;
}

dfx_status
dfx_yaml_read(const char *path, cJSON **doc, dfx_error *err)
{
    char *text = NULL;
    size_t size = 0;
    cJSON *made = cJSON_CreateObject();
    dfx_status status;

    if (made == NULL)
        return dfx_fail_nomem(err);
    status = load(path, &text, &size, err);
    if (status == DFX_OK)
        status = read_tree(text, size, made, err);
    free(text);
    if (status == DFX_OK) {
        *doc = made;
        return DFX_OK;
    }
    cJSON_Delete(made);
    dfx_error_in_file(err, path);
    return status;
}
