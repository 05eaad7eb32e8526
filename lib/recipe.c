/*
 * recipe.c - which type each tensor is written in, and why
 *
 * The first of --type-rules whose pattern is found in the name decides; then
 * --keep; then what its component is to be, or --type, or --dtype. Integers,
 * booleans and packed types are never touched: position_ids as F16 are what
 * other converters make of them. Blocks are for matrices whose rows are whole
 * blocks and which few bits do not spoil; what that leaves keeps its precision,
 * and so do the modules that config.json says stay in F32.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "architecture.h"
#include "codecs/codec.h"
#include "document.h"
#include "importance.h"
#include "types.h"
#include "wishes.h"

typedef struct dfx_recipe {
    dfx_wishes wishes;
    dfx_conversion *conversion;
    const float *ones; /* importances that are all alike; in the arena */
    uint64_t ones_count;
} dfx_recipe;

/* ---- What becomes of a tensor -------------------------------------------- */

/* Is the module one of the dotted parts of the name? As transformers and
   diffusers match _keep_in_fp32_modules. */
static bool
in_module(const char *name, const char *module)
{
    size_t size = strlen(module);

    for (const char *p = name; (p = strstr(p, module)) != NULL; p++)
        if ((p == name || p[-1] == '.') && (p[size] == '.' || p[size] == '\0'))
            return true;
    return false;
}

static bool
kept_in_f32(const char *name, const cJSON *config)
{
    const cJSON *list = dfx_doc_get(config, "_keep_in_fp32_modules");
    const cJSON *module;

    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(module, list)
    {
        if (cJSON_IsString(module) && in_module(name, module->valuestring))
            return true;
    }
    return false;
}

/* What is not quantized is written in. */
static dfx_type
rest_of(const dfx_recipe *recipe, const dfx_item *item)
{
    const dfx_quant_options *quant = &recipe->conversion->options->quant;
    dfx_type type = item->expr->type;

    if (item->rest != DFX_TYPE_COUNT) /* who reads the file decided */
        type = item->rest;
    else if (recipe->wishes.rest != DFX_TYPE_COUNT)
        type = recipe->wishes.rest;
    /* GGUF has none of eight bits; as F16 they are the same numbers. */
    else if (quant->type != NULL && dfx_type_class(type) == DFX_CLASS_FLOAT &&
             dfx_type_size(type) == 1)
        type = DFX_TYPE_F16;
    return item->config != NULL && kept_in_f32(item->name, item->config)
               ? DFX_TYPE_F32
               : type;
}

/* Dimensions as ggml counts them, which knows no outer ones of 1; but they
   count where an architecture says so. */
static uint32_t
rank_of(const dfx_recipe *recipe, const dfx_item *item)
{
    const dfx_architecture *a = recipe->conversion->bundle.architecture;
    uint32_t rank = item->expr->rank;
    size_t size;

    if (a != NULL && dfx_words_find(a->outer, item->name, &size) != NULL)
        return rank;
    for (uint32_t i = 0; i < item->expr->rank && item->expr->shape[i] == 1; i++)
        rank--;
    return rank > 0 ? rank : 1;
}

/* The word for which a tensor is delicate; NULL: it is not. The list of an
   architecture is for its network, whose names begin the file's. */
static const char *
delicate_word(const dfx_recipe *recipe, const dfx_item *item, size_t *size)
{
    const dfx_bundle *bundle = &recipe->conversion->bundle;
    const char *word = NULL;

    if (bundle->architecture != NULL)
        word = dfx_words_find(bundle->architecture->delicate, item->name, size);
    if (word == NULL && item->rest == DFX_TYPE_COUNT)
        word = dfx_words_find(dfx_architecture_delicate(), item->name, size);
    return word;
}

/* Blocks, or why not: then what is not quantized is written in. */
static dfx_status
choose_blocks(dfx_recipe *recipe, dfx_item *item, dfx_wish *w, dfx_error *err)
{
    dfx_arena *arena = &recipe->conversion->plan->arena;
    const dfx_expr *x = item->expr;
    uint32_t rank = rank_of(recipe, item);
    uint64_t row = x->rank > 0 ? x->shape[x->rank - 1] : 1;
    const char *role = NULL, *word;
    size_t size = 0;
    uint32_t unit;

    item->type = rest_of(recipe, item);
    if (rank != 2) {
        item->why = dfx_arena_printf(arena, "%" PRIu32 " dimension%s", rank,
                                     rank == 1 ? "" : "s");
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    word = delicate_word(recipe, item, &size);
    if (word != NULL) {
        item->why = dfx_arena_printf(arena, "delicate: %.*s", (int)size, word);
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    unit = dfx_type_unit(w->type).elements;
    if (row % unit != 0) {
        item->why = dfx_arena_printf(
            arena, "rows of %" PRIu64 " are no whole blocks of %" PRIu32, row,
            unit);
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    item->type = dfx_wish_type(w, item->name, &role);
    item->is_free = true;
    if (item->type != w->type)
        item->why = role;
    return DFX_OK;
}

/* Parts, or why not. The other layers are named in config.json. */
static dfx_status
choose_encoding(dfx_recipe *recipe, dfx_item *item, const dfx_wish *w,
                dfx_error *err)
{
    dfx_arena *arena = &recipe->conversion->plan->arena;
    const dfx_expr *x = item->expr;
    const char *word = NULL, *dot = strrchr(item->name, '.');
    size_t size = 0;

    item->type = rest_of(recipe, item);
    if (x->rank != 2 || x->elements == 0) {
        item->why = dfx_arena_printf(arena, "%" PRIu32 " dimension%s", x->rank,
                                     x->rank == 1 ? "" : "s");
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    word = delicate_word(recipe, item, &size);
    if (word != NULL || dot == NULL || strcmp(dot, ".weight") != 0) {
        item->why = word == NULL ? "no weight of a layer"
                                 : dfx_arena_printf(arena, "delicate: %.*s",
                                                    (int)size, word);
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    if (x->shape[1] % w->encoding->columns != 0) {
        item->why = dfx_arena_printf(
            arena, "rows of %" PRIu64 " are no whole blocks of %u", x->shape[1],
            w->encoding->columns);
        return item->why == NULL ? dfx_fail_nomem(err) : DFX_OK;
    }
    item->encoding = w->encoding;
    if (item->type != DFX_TYPE_F16 && item->type != DFX_TYPE_BF16)
        item->type = DFX_TYPE_F32;
    return DFX_OK;
}

/* What follows the last dot of a layer's name: of "a.to_q.weight" "to_q". */
static const char *
last_part(const char *weight, size_t *size)
{
    const char *end = strrchr(weight, '.'), *start;

    if (end == NULL)
        end = weight + strlen(weight);
    for (start = end; start > weight && start[-1] != '.'; start--)
        ;
    *size = (size_t)(end - start);
    return start;
}

/* Layers that keep their numbers because one of their last name does. */
static void
spread(dfx_recipe *recipe, const dfx_item *kept)
{
    dfx_bundle *bundle = &recipe->conversion->bundle;
    size_t size, other;
    const char *name = last_part(kept->name, &size);

    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_item *item = &bundle->items[i];
        const char *last = last_part(item->name, &other);

        if (item->component != kept->component || item->encoding == NULL ||
            other != size || memcmp(last, name, size) != 0)
            continue;
        item->encoding = NULL;
        item->type = rest_of(recipe, item);
        item->why = "has the name of a layer that stays";
    }
}

static void
spread_all(dfx_recipe *recipe)
{
    dfx_bundle *bundle = &recipe->conversion->bundle;

    for (size_t i = 0; i < bundle->item_count; i++) {
        const dfx_item *item = &bundle->items[i];
        const dfx_encoding *encoding =
            item->is_typed
                ? dfx_wishes_of(&recipe->wishes, item->part)->encoding
                : NULL;

        if (encoding != NULL && encoding->by_last && item->encoding == NULL &&
            item->expr->rank == 2)
            spread(recipe, item);
    }
}

/* What the rules and --keep see: "unet.conv_in.bias" in a folder, the whole
   name in a file. */
static const char *
seen_name(const dfx_recipe *recipe, const dfx_item *item)
{
    dfx_conversion *c = recipe->conversion;
    const char *folder = c->components[item->component].name;

    if (c->to != DFX_LAYOUT_DIFFUSERS || folder[0] == '\0')
        return item->name;
    return dfx_arena_printf(&c->plan->arena, "%s.%s", folder, item->name);
}

static bool
rows_fit(const dfx_expr *x, dfx_type type)
{
    return x->rank > 0 &&
           x->shape[x->rank - 1] % dfx_type_unit(type).elements == 0;
}

static dfx_status
choose(dfx_recipe *recipe, dfx_item *item, dfx_error *err)
{
    dfx_class class = dfx_type_class(item->expr->type);
    const char *seen = seen_name(recipe, item);
    dfx_type ruled;
    dfx_wish *w;

    item->type = item->expr->type;
    if (seen == NULL)
        return dfx_fail_nomem(err);
    if (class != DFX_CLASS_FLOAT && class != DFX_CLASS_BLOCK)
        return DFX_OK;
    if (dfx_wishes_rule(&recipe->wishes, seen, &ruled)) {
        bool fits = dfx_type_class(ruled) != DFX_CLASS_BLOCK ||
                    rows_fit(item->expr, ruled);

        item->type = fits ? ruled : item->type;
        item->why =
            fits ? NULL : "its rows are no whole blocks of what a rule says";
        return DFX_OK;
    }
    if (dfx_wishes_keep(&recipe->wishes, seen)) {
        item->why = "--keep";
        item->is_kept = true;
        return DFX_OK;
    }
    w = dfx_wishes_of(&recipe->wishes, item->part);
    item->is_kept = w->type == DFX_TYPE_COUNT && w->encoding == NULL &&
                    item->rest == DFX_TYPE_COUNT;
    if (w->encoding != NULL)
        return choose_encoding(recipe, item, w, err);
    if (dfx_type_class(w->type) == DFX_CLASS_BLOCK)
        return choose_blocks(recipe, item, w, err);
    item->type = w->type != DFX_TYPE_COUNT && item->rest == DFX_TYPE_COUNT
                     ? w->type
                     : rest_of(recipe, item);
    if (w->type != DFX_TYPE_COUNT && item->config != NULL &&
        kept_in_f32(item->name, item->config)) {
        item->type = DFX_TYPE_F32;
        item->why = "config.json keeps it in F32";
    }
    return DFX_OK;
}

/* ---- Importance ---------------------------------------------------------- */

/* Longer rows are of no layer that was seen; they are quantized with all
   numbers alike in the plain way, whose memory does not grow with them. */
enum { LONGEST_ROW = 1 << 20 };

/* Of all columns of a row the same. */
static dfx_status
all_alike(dfx_recipe *recipe, uint64_t columns, const float **out,
          dfx_error *err)
{
    if (columns > LONGEST_ROW)
        return DFX_OK;
    if (columns > recipe->ones_count) {
        float *ones = dfx_arena_array(&recipe->conversion->plan->arena, columns,
                                      sizeof *ones);

        if (ones == NULL)
            return dfx_fail_nomem(err);
        for (uint64_t i = 0; i < columns; i++)
            ones[i] = 1;
        recipe->ones = ones;
        recipe->ones_count = columns;
    }
    *out = recipe->ones;
    return DFX_OK;
}

static dfx_status
importance_of(void *context, const dfx_item *item, const float **out,
              dfx_error *err)
{
    dfx_recipe *recipe = context;
    const dfx_quant_options *quant = &recipe->conversion->options->quant;
    const dfx_expr *x = item->expr;
    uint64_t columns = x->rank > 0 ? x->shape[x->rank - 1] : 1;

    *out = NULL;
    if (dfx_type_class(item->type) != DFX_CLASS_BLOCK || x->type == item->type)
        return DFX_OK;
    if (quant->imatrix != NULL) {
        dfx_status status =
            dfx_imatrix_find(quant->imatrix, item->name, columns, out, err);

        if (status != DFX_OK || *out != NULL)
            return status;
    }
    return quant->best ? all_alike(recipe, columns, out, err) : DFX_OK;
}

/* ---- All of them --------------------------------------------------------- */

static dfx_status
cast_items(dfx_recipe *recipe, dfx_error *err)
{
    dfx_conversion *c = recipe->conversion;

    for (size_t i = 0; i < c->bundle.item_count; i++) {
        dfx_item *item = &c->bundle.items[i];
        const float *importance = NULL;
        dfx_status status;

        if (!item->is_typed)
            continue;
        status = importance_of(recipe, item, &importance, err);
        if (status == DFX_OK)
            status = dfx_expr_quantize(&c->plan->arena, item->expr, item->type,
                                       importance, &item->expr, err);
        if (status == DFX_OK)
            status =
                dfx_plan_explain(c->plan,
                                 &(dfx_explanation){.expr = item->expr,
                                                    .component = item->part,
                                                    .why = item->why},
                                 err);
        if (status != DFX_OK) {
            dfx_error_in_tensor(err, item->name);
            return status;
        }
    }
    return DFX_OK;
}

static dfx_status
apply(dfx_recipe *recipe, dfx_error *err)
{
    dfx_conversion *c = recipe->conversion;

    DFX_TRY(dfx_wishes_read(&recipe->wishes, c, err));
    for (size_t i = 0; i < c->bundle.item_count; i++)
        if (c->bundle.items[i].is_typed)
            DFX_TRY(choose(recipe, &c->bundle.items[i], err));
    spread_all(recipe);
    if (c->options->quant.target_size > 0)
        DFX_TRY(dfx_budget_apply(c, importance_of, recipe, err));
    c->bundle.file_type = dfx_wishes_file_type(&recipe->wishes);
    return cast_items(recipe, err);
}

dfx_status
dfx_recipe_apply(dfx_conversion *conversion, dfx_error *err)
{
    dfx_recipe recipe = {.conversion = conversion};
    dfx_status status = apply(&recipe, err);

    dfx_wishes_fini(&recipe.wishes);
    return status;
}
