/*
 * torchao.c - TorchAO's weights in safetensors: int8 and float8
 *
 * torchao 0.18.0 (prototype/safetensors), as Diffusers' save_pretrained writes
 * it. Of a tensor L.P there are L._P_qdata, L._P_scale and, of int8,
 * L._P_zero_point; what it is says the metadata: "tensor_names" has the names,
 * and each name is the key of JSON with its type.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "form.h"
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

const dfx_form dfx_form_torchao = {
    .method = "torchao",
    .join = join,
    .is_meta = is_meta,
};
