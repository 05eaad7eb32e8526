/*
 * stored.c - the type of its tensors that a config.json names
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "convert.h"
#include "document.h"
#include "encoding.h"
#include "types.h"

/* The type with the most bytes; DFX_TYPE_COUNT if there are none. */
static dfx_type
largest(const uint64_t bytes[DFX_TYPE_COUNT])
{
    dfx_type best = DFX_TYPE_COUNT;

    for (dfx_type t = 0; t < DFX_TYPE_COUNT; t++)
        if (dfx_type_class(t) == DFX_CLASS_FLOAT && bytes[t] > 0 &&
            (best == DFX_TYPE_COUNT || bytes[t] > bytes[best]))
            best = t;
    return best;
}

dfx_type
dfx_stored_type(const dfx_found *found)
{
    uint64_t bytes[DFX_TYPE_COUNT] = {0};

    for (size_t i = 0; i < found->view.tensor_count; i++) {
        const dfx_tensor *t = &found->index->tensors[found->view.tensors[i]];
        uint64_t elements, size;

        /* By shape: an index of names alone has no extents. */
        if (dfx_tensor_size(t->type, t->rank, t->shape, &elements, &size,
                            NULL) == DFX_OK)
            bytes[t->type] += size;
    }
    return largest(bytes);
}

static dfx_status
correct(cJSON *config, const char *key, dfx_type type, dfx_error *err)
{
    const char *said = dfx_doc_string(config, key);
    size_t size;
    const char *name = dfx_type_torch_name(type, &size);
    char *text;
    bool done;

    if (said == NULL || dfx_type_named(said) == DFX_TYPE_COUNT ||
        dfx_type_named(said) == type)
        return DFX_OK;
    text = strndup(name, size);
    done = text != NULL && dfx_doc_set(config, key, cJSON_CreateString(text));
    free(text);
    return done ? DFX_OK : dfx_fail_nomem(err);
}

dfx_status
dfx_stored_correct(cJSON *config, dfx_type type, dfx_error *err)
{
    if (type == DFX_TYPE_COUNT)
        return DFX_OK;
    DFX_TRY(correct(config, "torch_dtype", type, err));
    return correct(config, "dtype", type, err);
}

static dfx_type
written_type(const dfx_bundle *bundle, uint32_t component)
{
    uint64_t bytes[DFX_TYPE_COUNT] = {0};

    for (size_t i = 0; i < bundle->item_count; i++)
        if (bundle->items[i].component == component)
            bytes[bundle->items[i].expr->type] += bundle->items[i].expr->bytes;
    return largest(bytes);
}

dfx_status
dfx_blob_edit(dfx_arena *arena, dfx_blob *blob, dfx_edit_fn *edit,
              const void *context, dfx_error *err)
{
    size_t size = (size_t)blob->expr->bytes;
    char *text = dfx_arena_alloc(arena, size + 1), *printed = NULL;
    cJSON *doc = NULL, *before;
    dfx_status status;

    if (text == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_expr_pull(blob->expr, 0, blob->expr->elements, text, err));
    /* A folder's own config may be no JSON at all: it goes along as it is. */
    if (dfx_doc_parse(text, size, blob->path, &doc, NULL) != DFX_OK)
        return DFX_OK;
    before = cJSON_Duplicate(doc, true);
    status = before == NULL ? dfx_fail_nomem(err) : edit(context, doc, err);
    if (status == DFX_OK && !dfx_doc_equal(before, doc)) {
        printed = dfx_doc_print(doc, false);
        text = printed != NULL ? dfx_arena_strdup(arena, printed) : NULL;
        status = text == NULL ? dfx_fail_nomem(err)
                              : dfx_expr_bytes(arena, text, strlen(text),
                                               &blob->expr, err);
    }
    free(printed);
    cJSON_Delete(before);
    cJSON_Delete(doc);
    return status;
}

/* What is written of a component. */
typedef struct written {
    dfx_type type;
    const dfx_bundle_component *component;
} written;

static dfx_status
correct_type(const void *context, cJSON *doc, dfx_error *err)
{
    const written *w = context;

    const dfx_bundle_component *c = w->component;

    if (c->is_decoded)
        cJSON_DeleteItemFromObjectCaseSensitive(doc, "quantization_config");
    if (c->encoding != NULL && c->encoding->config != NULL &&
        !dfx_doc_set(doc, "quantization_config",
                     c->encoding->config(c->encoding, c)))
        return dfx_fail_nomem(err);
    return dfx_stored_correct(doc, w->type, err);
}

dfx_status
dfx_stored_types(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_quant_options *quant = &conversion->options->quant;
    dfx_bundle *bundle = &conversion->bundle;

    if (conversion->options->dtype == DFX_TYPE_COUNT &&
        conversion->options->type_rules == NULL && quant->type == NULL &&
        quant->type_count == 0)
        return DFX_OK;
    for (uint32_t c = 0; c < conversion->part_count; c++) {
        const char *folder = conversion->components[c].name;
        written w = {.type = written_type(bundle, c),
                     .component = &conversion->components[c]};
        char *path =
            dfx_arena_printf(&conversion->plan->arena, "%s%sconfig.json",
                             folder, folder[0] != '\0' ? "/" : "");

        if (path == NULL)
            return dfx_fail_nomem(err);
        for (size_t i = 0; i < bundle->blob_count; i++)
            if (strcmp(bundle->blobs[i].path, path) == 0)
                DFX_TRY(dfx_blob_edit(&conversion->plan->arena,
                                      &bundle->blobs[i], correct_type, &w,
                                      err));
    }
    return DFX_OK;
}
