/*
 * naming.c - a file for those who read it: names, order and shapes
 *
 * Readers of GGUF files tell a network by its names (architecture.h). Some want
 * it alone and without what stands before its names in a larger file: ComfyUI-
 * GGUF and diffusers. What ComfyUI-GGUF's convert.py (commit 795e451) makes of
 * a file is made here, too, but for tensors of five dimensions, which it leaves
 * to a second tool.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "architecture.h"
#include "convert.h"
#include "types.h"

enum {
    ROW = 256,           /* of tensors that are stored in rows */
    LEAST_IN_ROWS = 512, /* elements, of those */
    SMALL = 1024,        /* elements that stay F32 */
    GGML_DIMS = 4
};

/* ---- Names --------------------------------------------------------------- */

static bool
starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* "": the names are bare. */
static const char *
prefix_of(const dfx_bundle *bundle)
{
    const char *prefix;
    bool of_all;

    for (size_t i = 0; (prefix = dfx_network_prefix_at(i, &of_all)) != NULL;
         i++) {
        size_t count = 0;

        for (size_t j = 0; j < bundle->item_count; j++)
            count += starts_with(bundle->items[j].name, prefix);
        if (count > 0 && (!of_all || count == bundle->item_count))
            return prefix;
    }
    return "";
}

/* Only the network, under bare names. */
static dfx_status
make_bare(dfx_conversion *conversion, const char *prefix, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    size_t size = strlen(prefix), kept = 0, lost;

    for (size_t i = 0; i < bundle->item_count; i++) {
        if (!starts_with(bundle->items[i].name, prefix))
            continue;
        bundle->items[kept] = bundle->items[i];
        bundle->items[kept++].name += size;
    }
    lost = bundle->item_count - kept;
    bundle->item_count = kept;
    return lost == 0 ? DFX_OK
                     : dfx_plan_note(conversion->plan, err,
                                     "left out: %zu tensors that are not of "
                                     "the network (%s)",
                                     lost, prefix);
}

/* ---- Architecture -------------------------------------------------------- */

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Are all names of a list there? They are sorted. */
static bool
has_all(const char *list, const char *const *names, size_t count)
{
    while (*list != '\0') {
        size_t size = strcspn(list, " "), low = 0, high = count;
        bool found = false;

        while (low < high && !found) {
            size_t middle = low + (high - low) / 2;
            int order = strncmp(names[middle], list, size);

            if (order == 0)
                order = names[middle][size] != '\0';
            found = order == 0;
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (!found)
            return false;
        list += size + (list[size] == ' ');
    }
    return true;
}

static const dfx_architecture *
find_architecture(const char *const *names, size_t count)
{
    const dfx_architecture *a;

    for (size_t i = 0; (a = dfx_architecture_at(i)) != NULL; i++)
        for (size_t k = 0;
             k < sizeof a->keys / sizeof a->keys[0] && a->keys[k] != NULL; k++)
            if (has_all(a->keys[k], names, count))
                return a;
    return NULL;
}

/* Sets the bundle's, and whether its names are of the layout that readers do
   not take. */
static dfx_status
recognise(dfx_conversion *conversion, const char *prefix, bool *is_foreign,
          dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    const char **names = dfx_arena_array(&conversion->plan->arena,
                                         bundle->item_count, sizeof *names);
    size_t count = 0, size = strlen(prefix);
    const dfx_architecture *a;

    if (names == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < bundle->item_count; i++)
        if (starts_with(bundle->items[i].name, prefix))
            names[count++] = bundle->items[i].name + size;
    if (count > 0)
        qsort(names, count, sizeof *names, compare_texts);
    a = find_architecture(names, count);
    bundle->architecture = a;
    *is_foreign =
        a != NULL && a->foreign != NULL && has_all(a->foreign, names, count);
    return DFX_OK;
}

/* ---- As ComfyUI-GGUF has it ---------------------------------------------- */

static void
drop_named(dfx_bundle *bundle)
{
    size_t kept = 0, size;

    for (size_t i = 0; i < bundle->item_count; i++)
        if (dfx_words_find(bundle->architecture->dropped, bundle->items[i].name,
                           &size) == NULL)
            bundle->items[kept++] = bundle->items[i];
    bundle->item_count = kept;
}

/* The float that all is to be; COUNT: nothing is said of that. */
static dfx_type
asked_float(const dfx_convert_options *options)
{
    dfx_type type = options->quant.type != NULL
                        ? dfx_type_named(options->quant.type)
                        : DFX_TYPE_COUNT;

    if (type == DFX_TYPE_COUNT || dfx_type_class(type) != DFX_CLASS_FLOAT)
        type = options->dtype;
    return type != DFX_TYPE_COUNT && dfx_type_class(type) == DFX_CLASS_FLOAT
               ? type
               : DFX_TYPE_COUNT;
}

/* What a tensor is stored in unless it is quantized. */
static dfx_type
comfy_type(const dfx_architecture *a, const dfx_item *item, dfx_type asked)
{
    const dfx_expr *x = item->expr;
    bool is_wide = x->type == DFX_TYPE_F32 || x->type == DFX_TYPE_BF16;
    size_t size;

    if (dfx_type_class(x->type) != DFX_CLASS_FLOAT)
        return x->type;
    if (x->rank > GGML_DIMS)
        return DFX_TYPE_F32;
    if (is_wide && (x->rank <= 1 || x->elements <= SMALL ||
                    dfx_words_find(a->f32, item->name, &size) != NULL))
        return DFX_TYPE_F32;
    if (asked != DFX_TYPE_COUNT)
        return asked;
    return x->type == DFX_TYPE_BF16 ? DFX_TYPE_BF16 : DFX_TYPE_F16;
}

static dfx_status
lay_in_rows(dfx_conversion *conversion, dfx_item *item, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    const dfx_expr *x = item->expr;
    uint64_t shape[2] = {x->elements / ROW, ROW};

    if (x->rank < 2 || x->rank > GGML_DIMS || x->elements < LEAST_IN_ROWS ||
        x->elements % ROW != 0 || x->shape[x->rank - 1] % ROW == 0 ||
        dfx_type_class(x->type) == DFX_CLASS_BLOCK)
        return DFX_OK;
    item->rank = x->rank;
    item->shape = x->shape;
    return dfx_expr_reshape(arena, x, 2, shape, &item->expr, err);
}

/* As the safetensors library writes a file, so that the order does not depend
   on where the model comes from. */
static int
compare_items(const void *a, const void *b)
{
    const dfx_item *x = a, *y = b;
    unsigned x_size = dfx_type_size(x->expr->type);
    unsigned y_size = dfx_type_size(y->expr->type);

    return x_size != y_size ? (x_size < y_size) - (x_size > y_size)
                            : strcmp(x->name, y->name);
}

static dfx_status
suit_comfy(dfx_conversion *conversion, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    dfx_type asked = asked_float(conversion->options);

    drop_named(bundle);
    if (bundle->item_count > 0)
        qsort(bundle->items, bundle->item_count, sizeof *bundle->items,
              compare_items);
    bundle->is_ordered = true;
    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_item *item = &bundle->items[i];

        item->rest = comfy_type(bundle->architecture, item, asked);
        if (bundle->architecture->in_rows)
            DFX_TRY(lay_in_rows(conversion, item, err));
    }
    return DFX_OK;
}

/* ---- As diffusers has it --------------------------------------------------
 */

static dfx_status
make_prefixed(dfx_conversion *conversion, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    bool of_all;
    const char *prefix = dfx_network_prefix_at(0, &of_all);

    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_item *item = &bundle->items[i];

        item->name = dfx_arena_printf(&conversion->plan->arena, "%s%s", prefix,
                                      item->name);
        if (item->name == NULL)
            return dfx_fail_nomem(err);
    }
    return DFX_OK;
}

/* Its layers for packed weights are linear, and BF16 is packed. */
static dfx_status
suit_diffusers(dfx_conversion *conversion, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    dfx_type asked = asked_float(conversion->options);

    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_item *item = &bundle->items[i];
        dfx_type type = asked != DFX_TYPE_COUNT ? asked : item->expr->type;

        if (type == DFX_TYPE_BF16 && item->expr->rank != 2 &&
            dfx_type_class(item->expr->type) == DFX_CLASS_FLOAT)
            item->rest = DFX_TYPE_F32;
    }
    return bundle->architecture != NULL && bundle->architecture->prefixed
               ? make_prefixed(conversion, err)
               : DFX_OK;
}

dfx_status
dfx_naming_apply(dfx_conversion *conversion, dfx_error *err)
{
    dfx_naming naming = conversion->options->quant.naming;
    const char *prefix = prefix_of(&conversion->bundle);
    bool is_foreign = false;

    DFX_TRY(recognise(conversion, prefix, &is_foreign, err));
    if (naming == DFX_NAMING_FULL)
        return DFX_OK;
    if (is_foreign)
        return dfx_fail(err, DFX_RULE_QUANT_ARCHITECTURE, DFX_NO_OFFSET,
                        "these are the names of Diffusers (%s); the readers of "
                        "GGUF files take the original ones",
                        conversion->bundle.architecture->foreign);
    DFX_TRY(make_bare(conversion, prefix, err));
    if (naming == DFX_NAMING_DIFFUSERS)
        return suit_diffusers(conversion, err);
    if (conversion->bundle.architecture == NULL)
        return dfx_fail(err, DFX_RULE_QUANT_ARCHITECTURE, DFX_NO_OFFSET,
                        "ComfyUI-GGUF knows no network of these names");
    return suit_comfy(conversion, err);
}
