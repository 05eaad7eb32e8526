/*
 * weights.c - the tensors of one component by their Diffusers names
 */
#include <config.h>

#include "weights.h"

#include <stdlib.h>
#include <string.h>

void
dfx_weights_init(dfx_weights *weights, const dfx_backend *backend)
{
    *weights = (dfx_weights){.backend = backend};
}

void
dfx_weights_drop(dfx_weights *weights)
{
    for (size_t i = 0; i < weights->count; i++) {
        weights->backend->release(weights->entries[i].data);
        weights->backend->release(weights->entries[i].stored);
        weights->entries[i].data = NULL;
        weights->entries[i].stored = NULL;
    }
}

void
dfx_weights_fini(dfx_weights *weights)
{
    dfx_weights_drop(weights);
    free(weights->entries);
    dfx_arena_fini(&weights->arena);
    *weights = (dfx_weights){0};
}

dfx_status
dfx_weights_add(dfx_weights *weights, const char *name, const dfx_expr *expr,
                dfx_error *err)
{
    if (!dfx_grow(&weights->entries, &weights->capacity, weights->count,
                  sizeof *weights->entries))
        return dfx_fail_nomem(err);
    weights->entries[weights->count++] =
        (dfx_weights_entry){.name = name, .expr = expr};
    return DFX_OK;
}

static int
compare_names(const void *a, const void *b)
{
    const dfx_weights_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

void
dfx_weights_seal(dfx_weights *weights)
{
    if (weights->count > 0)
        qsort(weights->entries, weights->count, sizeof *weights->entries,
              compare_names);
}

dfx_status
dfx_weights_take(dfx_weights *weights, const dfx_index *index,
                 uint32_t component, dfx_error *err)
{
    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        const dfx_expr *expr = NULL;

        if (t->component != component)
            continue;
        DFX_TRY(dfx_expr_tensor(&weights->arena, t, &expr, err));
        DFX_TRY(dfx_weights_add(weights, t->name, expr, err));
    }
    dfx_weights_seal(weights);
    return DFX_OK;
}

dfx_weights_entry *
dfx_weights_find(const dfx_weights *weights, const char *name)
{
    const dfx_weights_entry key = {.name = name};

    if (weights->count == 0)
        return NULL;
    return bsearch(&key, weights->entries, weights->count, sizeof key,
                   compare_names);
}

/* All numbers of x, of the weight of that name, in the backend's memory. patch:
   x is F32, and they change on the way. */
static dfx_status
pull(const dfx_weights *weights, const dfx_weights_entry *entry,
     const dfx_expr *x, dfx_weights_patch *patch, void **out, dfx_error *err)
{
    const dfx_backend *backend = weights->backend;
    void *data = backend->alloc((size_t)x->bytes);
    void *host = backend->is_host ? data : malloc((size_t)x->bytes);
    dfx_status status =
        data != NULL && host != NULL ? DFX_OK : dfx_fail_nomem(err);

    if (status == DFX_OK)
        status = dfx_expr_pull(x, 0, x->elements, host, err);
    if (status == DFX_OK && patch != NULL)
        status = patch(weights->context, entry->name, entry->expr, host, err);
    if (status == DFX_OK && !backend->is_host &&
        !backend->write(data, host, (size_t)x->bytes))
        status = dfx_fail_nomem(err);
    if (!backend->is_host)
        free(host);
    if (status == DFX_OK)
        *out = data;
    else
        backend->release(data);
    return status;
}

dfx_status
dfx_weights_load(dfx_weights *weights, dfx_weights_entry *entry, dfx_error *err)
{
    const dfx_expr *x = NULL;
    dfx_arena arena = {0};
    void *data = NULL;
    dfx_status status;

    if (entry->data != NULL)
        return DFX_OK;
    status = dfx_expr_cast(&arena, entry->expr, DFX_TYPE_F32, &x, err);
    if (status == DFX_OK)
        status = pull(weights, entry, x, weights->patch, &data, err);
    dfx_arena_fini(&arena);
    entry->data = data;
    return status;
}

/* Is a row, the first dimension, of whole blocks that can be decoded? */
static bool
storable(const dfx_expr *x)
{
    uint32_t unit = dfx_type_unit(x->type).elements;

    return dfx_type_castable(x->type, DFX_TYPE_F32) && x->rank > 0 &&
           x->shape[0] > 0 && x->elements / x->shape[0] % unit == 0;
}

dfx_status
dfx_weights_store(dfx_weights *weights, dfx_weights_entry *entry,
                  dfx_weight *stored, dfx_error *err)
{
    const dfx_expr *x = entry->expr;

    if (x->type == DFX_TYPE_F32 || weights->patch != NULL || !storable(x)) {
        DFX_TRY(dfx_weights_load(weights, entry, err));
        *stored = (dfx_weight){entry->data, DFX_TYPE_F32};
        return DFX_OK;
    }
    if (entry->stored == NULL)
        DFX_TRY(pull(weights, entry, x, NULL, &entry->stored, err));
    *stored = (dfx_weight){entry->stored, x->type};
    return DFX_OK;
}
