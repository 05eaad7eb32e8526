/*
 * unjoin.c - weights in parts: those that are written so, and those that stay
 *
 * Where nothing asks for numbers, the parts of a weight go along byte for byte,
 * under the weight's new name; what the config and the metadata say of them
 * stays. Where numbers were asked for, that is taken out.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "encoding.h"

/* ---- Parts ------------------------------------------------------------------
 */

const dfx_expr *
dfx_composite_in(const dfx_expr *x)
{
    const dfx_expr *found = NULL;

    if (x->node == DFX_NODE_TENSOR)
        return x->composite != NULL ? x : NULL;
    for (size_t i = 0; i < x->arg_count && found == NULL; i++)
        found = dfx_composite_in(x->args[i]);
    return found;
}

/* The name of a part: behind the layer's new name where it stood behind the old
   one. NULL: no memory. */
static const char *
part_name(dfx_arena *arena, const dfx_item *item, const dfx_tensor *part)
{
    const char *old = item->expr->name, *dot = strrchr(item->name, '.');
    size_t layer = item->expr->composite->layer;

    if (dot == NULL || strncmp(part->name, old, layer) != 0 ||
        part->name[layer] != '.')
        return part->name;
    return dfx_arena_printf(arena, "%.*s%s", (int)(dot - item->name),
                            item->name, part->name + layer);
}

static dfx_status
add_parts(dfx_conversion *conversion, const dfx_item *item, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    const dfx_composite *c = item->expr->composite;

    for (size_t i = 0; i < c->part_count; i++) {
        const char *name = part_name(arena, item, &c->parts[i]);
        const dfx_expr *x = NULL;
        dfx_item *added;

        if (name == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_expr_tensor(arena, &c->parts[i], &x, err));
        DFX_TRY(
            dfx_bundle_add(&conversion->bundle, item->component, name, x, err));
        added = &conversion->bundle.items[conversion->bundle.item_count - 1];
        DFX_TRY(dfx_plan_explain(
            conversion->plan,
            &(dfx_explanation){.expr = x, .component = item->part}, err));
        added->part = item->part;
    }
    return DFX_OK;
}

/* A weight in the parts of an encoding. */
static dfx_status
add_encoded(dfx_conversion *conversion, const dfx_item *item, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    size_t layer = strlen(item->name) - strlen(".weight");
    dfx_plan *plan = conversion->plan;
    dfx_part_list parts = {.count = 0};

    DFX_TRY(
        item->encoding->make(item->encoding, arena, item->expr, &parts, err));
    if (!dfx_grow(&plan->weights, &plan->weight_capacity, plan->weight_count,
                  sizeof *plan->weights))
        return dfx_fail_nomem(err);
    plan->weights[plan->weight_count++] = (dfx_plan_weight){
        .component = conversion->components[item->component].name,
        .name = item->name,
        .encoding = item->encoding->name,
        .source = item->expr,
    };
    for (size_t i = 0; i < parts.count; i++) {
        const char *name = dfx_arena_printf(arena, "%.*s%s", (int)layer,
                                            item->name, parts.items[i].suffix);

        if (name == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_bundle_add(&conversion->bundle, item->component, name,
                               parts.items[i].expr, err));
        DFX_TRY(dfx_plan_explain(
            plan,
            &(dfx_explanation){.expr = parts.items[i].expr,
                               .component = item->part,
                               .encoding = item->encoding->name,
                               .source = i == 0 ? item->expr : NULL},
            err));
    }
    return DFX_OK;
}

/* ---- A component
 * ------------------------------------------------------------- */

/* What became of the weights in parts of one. */
typedef struct fate {
    const char *kept, *decoded; /* one of them; NULL: none was */
    const dfx_form *form;       /* of those that were decoded */
} fate;

static dfx_status
judge(const dfx_conversion *conversion, const dfx_item *item, fate *f,
      dfx_error *err)
{
    const dfx_expr *x = dfx_composite_in(item->expr);

    if (x == NULL)
        return DFX_OK;
    if (!item->is_kept) {
        f->decoded = item->name;
        f->form = x->composite->form;
        return DFX_OK;
    }
    f->kept = item->name;
    if (item->expr->composite == NULL)
        return dfx_fail(err, DFX_RULE_QUANT_PARTS, DFX_NO_OFFSET,
                        "\"%s\" is stored in parts (%s), which the names of %s "
                        "would cut or join; --dtype makes numbers of it",
                        item->name, x->composite->name,
                        conversion->to == DFX_LAYOUT_DIFFUSERS
                            ? "Diffusers"
                            : "a single file");
    return DFX_OK;
}

/* Entries of metadata that say how weights were stored. */
static void
forget(dfx_bundle *bundle, uint32_t component, const dfx_form *form)
{
    size_t kept = 0;

    for (size_t i = 0; i < bundle->meta_count; i++) {
        const dfx_meta *m = &bundle->metadata[i];

        if (m->component != component || form->is_meta == NULL ||
            !form->is_meta(m->key, m->value))
            bundle->metadata[kept++] = *m;
    }
    if (kept < bundle->meta_count)
        bundle->header = NULL; /* it has them */
    bundle->meta_count = kept;
}

static dfx_status
settle(dfx_conversion *conversion, uint32_t component, const fate *f,
       dfx_error *err)
{
    if (f->kept != NULL && f->decoded != NULL)
        return dfx_fail(err, DFX_RULE_QUANT_PARTS, DFX_NO_OFFSET,
                        "of one component \"%s\" would stay in parts and "
                        "\"%s\" not, which no reader takes",
                        f->kept, f->decoded);
    if (f->decoded == NULL)
        return DFX_OK;
    conversion->components[component].is_decoded = true;
    forget(&conversion->bundle, component, f->form);
    return DFX_OK;
}

/* Layers whose weights are matrices and no codes: the readers of an encoding
   are told. */
static dfx_status
list_plain(dfx_conversion *conversion, uint32_t component,
           const dfx_item *items, size_t count, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    const char **names = dfx_arena_array(arena, count, sizeof *names);
    size_t n = 0;

    if (names == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(items[i].name, '.'), *start;

        if (items[i].component != component || items[i].encoding != NULL ||
            items[i].expr->rank != 2 || dot == NULL ||
            strcmp(dot, ".weight") != 0)
            continue;
        start = items[i].name;
        if (conversion->components[component].encoding->by_last)
            for (start = dot; start > items[i].name && start[-1] != '.';)
                start--;
        names[n] = dfx_arena_strndup(arena, start, (size_t)(dot - start));
        if (names[n++] == NULL)
            return dfx_fail_nomem(err);
    }
    conversion->components[component].plain = names;
    conversion->components[component].plain_count = n;
    return DFX_OK;
}

static dfx_status
describe(dfx_conversion *conversion, uint32_t component, const dfx_item *items,
         size_t count, dfx_error *err)
{
    dfx_bundle_component *c = &conversion->components[component];

    c->plain_type = DFX_TYPE_F32;
    for (size_t i = 0; i < count; i++)
        if (items[i].component == component && items[i].encoding != NULL) {
            c->encoding = items[i].encoding;
            c->plain_type = items[i].type;
        }
    if (c->encoding == NULL)
        return DFX_OK;
    DFX_TRY(list_plain(conversion, component, items, count, err));
    return c->encoding->annotate == NULL
               ? DFX_OK
               : c->encoding->annotate(&conversion->bundle, component,
                                       &conversion->plan->arena, items, count,
                                       err);
}

static dfx_status
unjoin(dfx_conversion *conversion, const dfx_item *items, size_t count,
       dfx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].encoding != NULL) {
            dfx_status status = add_encoded(conversion, &items[i], err);

            if (status != DFX_OK) {
                dfx_error_in_tensor(err, items[i].name);
                return status;
            }
            continue;
        }
        if (items[i].is_kept && items[i].expr->composite != NULL) {
            DFX_TRY(add_parts(conversion, &items[i], err));
            continue;
        }
        DFX_TRY(dfx_bundle_add(&conversion->bundle, items[i].component,
                               items[i].name, items[i].expr, err));
        conversion->bundle.items[conversion->bundle.item_count - 1] = items[i];
    }
    return DFX_OK;
}

dfx_status
dfx_unjoin_apply(dfx_conversion *conversion, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    dfx_item *items = bundle->items;
    size_t count = bundle->item_count;
    bool any = false;
    dfx_status status;

    for (uint32_t c = 0; c < bundle->component_count; c++) {
        fate f = {NULL, NULL, NULL};

        for (size_t i = 0; i < count; i++)
            if (items[i].component == c && items[i].is_typed)
                DFX_TRY(judge(conversion, &items[i], &f, err));
        DFX_TRY(settle(conversion, c, &f, err));
        DFX_TRY(describe(conversion, c, items, count, err));
        any =
            any || f.kept != NULL || conversion->components[c].encoding != NULL;
    }
    if (!any)
        return DFX_OK;
    bundle->items = NULL;
    bundle->item_count = bundle->item_capacity = 0;
    status = unjoin(conversion, items, count, err);
    free(items);
    return status;
}
