/*
 * bundle.c - adding to a bundle
 */
#include <config.h>

#include "bundle.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

dfx_status
dfx_bundle_add(dfx_bundle *bundle, uint32_t component, const char *name,
               const dfx_expr *expr, dfx_error *err)
{

    if (!dfx_grow(&bundle->items, &bundle->item_capacity, bundle->item_count,
                  sizeof *bundle->items))
        return dfx_fail_nomem(err);
    bundle->items[bundle->item_count++] =
        (dfx_item){.component = component, .name = name, .expr = expr};
    return DFX_OK;
}

dfx_status
dfx_bundle_add_blob(dfx_bundle *bundle, const char *path, const dfx_expr *expr,
                    dfx_error *err)
{

    if (!dfx_grow(&bundle->blobs, &bundle->blob_capacity, bundle->blob_count,
                  sizeof *bundle->blobs))
        return dfx_fail_nomem(err);
    bundle->blobs[bundle->blob_count++] =
        (dfx_blob){.path = path, .expr = expr};
    return DFX_OK;
}

dfx_status
dfx_bundle_add_meta(dfx_bundle *bundle, uint32_t component, const char *key,
                    const char *value, dfx_error *err)
{

    if (!dfx_grow(&bundle->metadata, &bundle->meta_capacity, bundle->meta_count,
                  sizeof *bundle->metadata))
        return dfx_fail_nomem(err);
    bundle->metadata[bundle->meta_count++] =
        (dfx_meta){.component = component, .key = key, .value = value};
    return DFX_OK;
}

dfx_status
dfx_bundle_carry_meta(dfx_bundle *bundle, uint32_t component,
                      const dfx_meta *meta, dfx_error *err)
{
    DFX_TRY(
        dfx_bundle_add_meta(bundle, component, meta->key, meta->value, err));
    bundle->metadata[bundle->meta_count - 1].type = meta->type;
    return DFX_OK;
}

static int
by_name(const void *a, const void *b)
{
    const dfx_item *x = *(const dfx_item *const *)a;
    const dfx_item *y = *(const dfx_item *const *)b;

    if (x->component != y->component)
        return x->component < y->component ? -1 : 1;
    return strcmp(x->name, y->name);
}

dfx_status
dfx_bundle_check_names(const dfx_bundle *bundle, dfx_error *err)
{
    const dfx_item **items = malloc((bundle->item_count + 1) * sizeof *items);
    dfx_status status = DFX_OK;

    if (items == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < bundle->item_count; i++)
        items[i] = &bundle->items[i];
    qsort(items, bundle->item_count, sizeof *items, by_name);
    for (size_t i = 1; i < bundle->item_count && status == DFX_OK; i++)
        if (by_name(&items[i - 1], &items[i]) == 0) {
            status = dfx_fail(err, DFX_RULE_CONVERT_CLASH, DFX_NO_OFFSET,
                              "two tensors would get this name");
            dfx_error_in_tensor(err, items[i]->name);
        }
    free(items);
    return status;
}

/* By key; of two pairs of one key the later first. */
static int
compare_pairs(const void *a, const void *b)
{
    const dfx_meta *x = *(const dfx_meta *const *)a;
    const dfx_meta *y = *(const dfx_meta *const *)b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : x > y ? -1 : x < y;
}

dfx_status
dfx_bundle_sort_metadata(const dfx_bundle *bundle, dfx_arena *arena,
                         const dfx_meta ***out, size_t *count, dfx_error *err)
{
    size_t all = bundle->meta_count, kept = 0;
    const dfx_meta **pairs = dfx_arena_array(arena, all, sizeof *pairs);

    if (pairs == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < all; i++)
        pairs[i] = &bundle->metadata[i];
    if (all > 0)
        qsort(pairs, all, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < all; i++)
        if (kept == 0 || strcmp(pairs[i]->key, pairs[kept - 1]->key) != 0)
            pairs[kept++] = pairs[i]; /* the later one, which came first */
    *out = pairs;
    *count = kept;
    return DFX_OK;
}

dfx_status
dfx_bundle_print_metadata(const dfx_bundle *bundle, dfx_arena *arena,
                          dfx_text *text, dfx_error *err)
{
    const dfx_meta **pairs = NULL;
    size_t count = 0;

    DFX_TRY(dfx_bundle_sort_metadata(bundle, arena, &pairs, &count, err));
    dfx_text_puts(text, "{");
    for (size_t i = 0; i < count; i++) {
        const char *key = pairs[i]->key, *value = pairs[i]->value;

        if (i > 0)
            dfx_text_puts(text, ",");
        dfx_json_quote(text, key, strlen(key), false);
        dfx_text_puts(text, ":");
        dfx_json_quote(text, value, strlen(value), false);
    }
    dfx_text_puts(text, "}");
    return text->failed ? dfx_fail_nomem(err) : DFX_OK;
}

void
dfx_bundle_fini(dfx_bundle *bundle)
{
    free(bundle->items);
    free(bundle->blobs);
    free(bundle->metadata);
    *bundle = (dfx_bundle){0};
}
