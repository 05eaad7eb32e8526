/*
 * torchao.c - TorchAO's weights in safetensors: int8 and float8
 *
 * torchao 0.18.0 (prototype/safetensors), as Diffusers' save_pretrained writes
 * it. Of a tensor L.P there are L._P_qdata, L._P_scale and, of int8,
 * L._P_zero_point; what it is says the metadata: "tensor_names" has the names,
 * and each name is the key of JSON with its type.
 */
#include <config.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "document.h"
#include "encoding.h"
#include "json.h"
#include "types.h"

extern const dfx_form dfx_form_torchao;

#define CODES "_qdata"

/* The type of the numbers that the metadata of a tensor says. */
static dfx_status
read_type(const dfx_joiner *j, const dfx_tensor *t, const char *name,
          const char **kind, dfx_type *type, dfx_error *err)
{
    const char *text = dfx_index_find_meta(j->index, j->component, name);
    const char *said, *class;
    cJSON *doc = NULL;
    dfx_status status = DFX_OK;

    if (text == NULL)
        return dfx_form_fail(t, err, "the metadata does not say what \"%s\" is",
                             name);
    if (dfx_doc_parse(text, strlen(text), name, &doc, NULL) != DFX_OK)
        return dfx_form_fail(t, err, "the metadata of it is no JSON");
    class = dfx_doc_string(doc, "_type");
    said = dfx_doc_string(dfx_doc_get(dfx_doc_get(doc, "_data"), "dtype"),
                          "_data");
    *kind = NULL;
    if (class != NULL && strcmp(class, "Int8Tensor") == 0)
        *kind = "torchao-int8";
    else if (class != NULL && strcmp(class, "Float8Tensor") == 0)
        *kind = "torchao-float8";
    *type = said != NULL ? dfx_type_named(said) : DFX_TYPE_COUNT;
    if (*kind == NULL)
        status = dfx_form_fail(t, err,
                               "it is a %.64s: only Int8Tensor and "
                               "Float8Tensor are read",
                               class != NULL ? class : "tensor of no type");
    else if (*type != DFX_TYPE_F32 && *type != DFX_TYPE_F16 &&
             *type != DFX_TYPE_BF16)
        status = dfx_form_fail(t, err, "its dtype is none that is read");
    cJSON_Delete(doc);
    return status;
}

/* Zero points are there, and zero: the weights are symmetric. */
static dfx_status
check_zeros(const dfx_tensor *t, dfx_error *err)
{
    uint8_t bytes[4096];
    uint64_t size = t->data.size;

    for (uint64_t at = 0; at < size; at += sizeof bytes) {
        size_t n =
            size - at < sizeof bytes ? (size_t)(size - at) : sizeof bytes;

        DFX_TRY(dfx_part_bytes(t, at, n, bytes, err));
        for (size_t i = 0; i < n; i++)
            if (bytes[i] != 0)
                return dfx_form_fail(t, err,
                                     "a zero point is not 0, which no "
                                     "known writer makes");
    }
    return DFX_OK;
}

/* "a.b._weight_qdata": the layer "a.b" and the parameter "weight". False: the
   name is of no such form. */
static bool
take_apart(const dfx_tensor *t, size_t *layer, size_t *stem)
{
    const char *dot = strrchr(t->name, '.');

    *stem = dfx_layer_of(t, CODES);
    *layer = dot != NULL ? (size_t)(dot - t->name) : 0;
    return *stem > *layer + 2 && dot != NULL && dot[1] == '_';
}

static dfx_status
join(dfx_joiner *j, const dfx_tensor *t, dfx_error *err)
{
    size_t layer, stem;
    const dfx_tensor *parts[3] = {t, NULL, NULL};
    dfx_composite c = {.form = &dfx_form_torchao, .decode = dfx_decode_scaled};
    dfx_scaled *s;
    char *name;

    if (!take_apart(t, &layer, &stem) ||
        dfx_index_find_meta(j->index, j->component, "tensor_names") == NULL)
        return DFX_OK;
    parts[1] = dfx_joiner_find(j, t, stem, "_scale");
    parts[2] = dfx_joiner_find(j, t, stem, "_zero_point");
    name = dfx_arena_printf(&j->index->arena, "%.*s.%.*s", (int)layer, t->name,
                            (int)(stem - layer - 2), t->name + layer + 2);
    s = dfx_arena_alloc(&j->index->arena, sizeof *s);
    if (name == NULL || s == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(read_type(j, t, name, &c.name, &c.type, err));
    if (parts[1] == NULL)
        return dfx_form_fail(t, err, "there is no scale");
    if ((t->type != DFX_TYPE_I8 && t->type != DFX_TYPE_F8_E4M3) ||
        t->rank != 2 || t->shape[1] == 0 || parts[1]->type != DFX_TYPE_F32 ||
        dfx_tensor_elements(parts[1]) != t->shape[0])
        return dfx_form_fail(t, err,
                             "codes and scale have other types or "
                             "shapes than they should");
    if (parts[2] != NULL)
        DFX_TRY(check_zeros(parts[2], err));
    *s = (dfx_scaled){.run = t->shape[1]};
    c.rank = t->rank;
    c.shape = t->shape;
    c.state = s;
    return dfx_joiner_add(j, name, &c, parts, 3, err);
}

static bool
is_meta(const char *key, const char *value)
{
    return strcmp(key, "tensor_names") == 0 ||
           strncmp(value, "{\"_type\":", 9) == 0;
}

/* ---- Writing ----------------------------------------------------------------
 */

/* How a class is written. */
typedef struct facts {
    dfx_scaling scaling;
    const char *meta;   /* with the columns and the type */
    const char *config; /* quant_type of quantization_config */
    bool has_zeros;
} facts;

static float
int8_scale(dfx_type source, float max)
{
    return dfx_in_type(source, max / 127.5F);
}

static float
int8_code(dfx_type source, float x, float scale)
{
    (void)source;
    if (scale == 0)
        return 0;
    return fminf(fmaxf(rintf(x * (1 / scale)), -128), 127);
}

static float
float8_scale(dfx_type source, float max)
{
    return dfx_in_type(source, max / 448);
}

static float
float8_code(dfx_type source, float x, float scale)
{
    (void)source;
    if (scale == 0)
        return 0;
    return fminf(fmaxf(x / scale, -448), 448);
}

static dfx_status
make(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
     dfx_part_list *parts, dfx_error *err)
{
    const facts *f = encoding->facts;
    const uint64_t shape[2] = {x->shape[0], 1};
    const dfx_expr *codes = NULL, *scales = NULL, *zeros = NULL;

    DFX_TRY(dfx_encode_scaled(arena, &f->scaling, x, DFX_TYPE_F32, 2, &codes,
                              &scales, err));
    DFX_TRY(dfx_parts_push(parts, "._weight_qdata", codes, err));
    DFX_TRY(dfx_parts_push(parts, "._weight_scale", scales, err));
    if (!f->has_zeros)
        return DFX_OK;
    DFX_TRY(dfx_expr_const(arena, DFX_TYPE_I8, 2, shape, 0, &zeros, err));
    return dfx_parts_push(parts, "._weight_zero_point", zeros, err);
}

static cJSON *
config(const dfx_encoding *encoding, const dfx_bundle_component *component)
{
    const facts *f = encoding->facts;
    cJSON *o = cJSON_CreateObject();

    cJSON_AddItemToObject(o, "modules_to_not_convert",
                          dfx_plain_layers(component));
    cJSON_AddStringToObject(o, "quant_method", "torchao");
    cJSON_AddItemToObject(o, "quant_type", dfx_parse_ours(f->config));
    return o;
}

static dfx_status
annotate_one(dfx_bundle *bundle, uint32_t component, dfx_arena *arena,
             const dfx_item *item, dfx_error *err)
{
    const char *text = "{\"_type\": \"Tensor\"}";

    if (item->encoding != NULL) {
        const facts *f = item->encoding->facts;
        size_t size;
        const char *type = dfx_type_torch_name(item->expr->type, &size);
        char columns[24], name[32];
        const char *p = f->meta, *q;
        dfx_text out = {0};

        snprintf(columns, sizeof columns, "%" PRIu64, item->expr->shape[1]);
        snprintf(name, sizeof name, "%.*s", (int)size, type);
        for (; (q = strpbrk(p, "#@")) != NULL; p = q + 1) {
            dfx_text_add(&out, p, (size_t)(q - p));
            dfx_text_puts(&out, *q == '#' ? columns : name);
        }
        dfx_text_puts(&out, p);
        text = out.failed ? NULL : dfx_arena_strdup(arena, out.data);
        dfx_text_fini(&out);
    }
    return text == NULL
               ? dfx_fail_nomem(err)
               : dfx_bundle_add_meta(bundle, component, item->name, text, err);
}

/* The names, and of each what it is. */
static dfx_status
annotate(dfx_bundle *bundle, uint32_t component, dfx_arena *arena,
         const dfx_item *items, size_t count, dfx_error *err)
{
    dfx_text names = {0};
    const char *text;

    for (size_t i = 0; i < count; i++) {
        if (items[i].component != component)
            continue;
        DFX_TRY(annotate_one(bundle, component, arena, &items[i], err));
        dfx_text_puts(&names, names.size == 0 ? "[" : ", ");
        dfx_json_quote(&names, items[i].name, strlen(items[i].name), true);
    }
    dfx_text_puts(&names, "]");
    text = names.failed ? NULL : dfx_arena_strdup(arena, names.data);
    dfx_text_fini(&names);
    return text == NULL ? dfx_fail_nomem(err)
                        : dfx_bundle_add_meta(bundle, component, "tensor_names",
                                              text, err);
}

#define PER_ROW                                                                \
    "\"granularity\": {\"_data\": {\"dim\": -1}, \"_type\": \"PerRow\", "      \
    "\"_version\": 1}, "
#define TYPE "\"dtype\": {\"_type\": \"torch.dtype\", \"_data\": \"@\"}}, "

static const facts int8 = {
    .scaling = {.codes = DFX_TYPE_I8,
                .rounds = DFX_TYPE_COUNT,
                .scale = int8_scale,
                .code = int8_code},
    .meta =
        "{\"_type\": \"Int8Tensor\", \"_data\": {\"act_quant_kwargs\": null, "
        "\"reduce_range\": false, \"block_size\": [1, #], " TYPE
        "\"_tensor_data_names\": [\"zero_point\", \"qdata\", \"scale\"]}",
    .config = "{\"default\": {\"_data\": {" PER_ROW "\"group_size\": null, "
              "\"set_inductor_config\": true}, \"_type\": "
              "\"Int8WeightOnlyConfig\", \"_version\": 2}}",
    .has_zeros = true,
};

static const facts float8 = {
    .scaling = {.codes = DFX_TYPE_F8_E4M3,
                .rounds = DFX_TYPE_COUNT,
                .scale = float8_scale,
                .code = float8_code},
    .meta = "{\"_type\": \"Float8Tensor\", \"_data\": {\"block_size\": [1, #], "
            "\"mm_config\": null, \"act_quant_kwargs\": null, "
            "\"kernel_preference\": {\"_type\": \"KernelPreference\", "
            "\"_data\": \"AUTO\"}, " TYPE
            "\"_tensor_data_names\": [\"qdata\", \"scale\"]}",
    .config = "{\"default\": {\"_data\": {" PER_ROW
              "\"set_inductor_config\": true, \"weight_dtype\": {\"_data\": "
              "\"float8_e4m3fn\", \"_type\": \"torch.dtype\"}}, \"_type\": "
              "\"Float8WeightOnlyConfig\", \"_version\": 2}}",
};

static const dfx_encoding encodings[] = {
    {"torchao-int8", 8, false, true, 1, &int8, make, config, annotate},
    {"torchao-float8", 8, false, true, 1, &float8, make, config, annotate},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};

const dfx_form dfx_form_torchao = {
    .method = "torchao",
    .join = join,
    .is_meta = is_meta,
    .encodings = encodings,
};
