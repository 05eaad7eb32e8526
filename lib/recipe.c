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
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "architecture.h"
#include "codecs/codec.h"
#include "convert.h"
#include "document.h"
#include "encoding.h"
#include "importance.h"
#include "types.h"

typedef struct type_rule {
    regex_t pattern;
    dfx_type type;
} type_rule;

/*
 * A name for a type that differs by what a matrix does. The values of attention
 * and the way down from a wide layer need more bits; these are the mixes of
 * llama.cpp as ComfyUI-GGUF's patch of llama-quantize (commit 795e451) has them
 * for image models. 0, BOOL: no exception.
 */
typedef struct mix {
    const char *name;
    dfx_type type;
    int file_type; /* general.file_type */
    dfx_type first_values, values;
    unsigned firsts; /* how many are first */
    dfx_type fused, down;
} mix;

static const mix mixes[] = {
    {"Q3_K_S", DFX_TYPE_Q3_K, 11, 0, 0, 0, 0, 0},
    {"Q3_K_M", DFX_TYPE_Q3_K, 12, DFX_TYPE_Q5_K, DFX_TYPE_Q4_K, 2,
     DFX_TYPE_Q4_K, DFX_TYPE_Q4_K},
    {"Q3_K_L", DFX_TYPE_Q3_K, 13, 0, DFX_TYPE_Q5_K, 0, DFX_TYPE_Q4_K,
     DFX_TYPE_Q5_K},
    {"Q4_K_S", DFX_TYPE_Q4_K, 14, DFX_TYPE_Q5_K, 0, 4, 0, DFX_TYPE_Q5_K},
    {"Q4_K_M", DFX_TYPE_Q4_K, 15, 0, DFX_TYPE_Q6_K, 0, DFX_TYPE_Q5_K,
     DFX_TYPE_Q6_K},
    {"Q5_K_S", DFX_TYPE_Q5_K, 16, 0, 0, 0, 0, 0},
    {"Q5_K_M", DFX_TYPE_Q5_K, 17, 0, DFX_TYPE_Q6_K, 0, DFX_TYPE_Q6_K,
     DFX_TYPE_Q6_K},
};

/* What the mixes tell apart, by parts of names: the same patch. */
static const char values_words[] = "attn_v.weight .to_v.weight .v.weight "
                                   ".attn.w1v.weight .attn.w2v.weight "
                                   "_attn.v_proj.weight";
static const char fused_words[] =
    "attn_qkv.weight attn.qkv.weight attention.qkv.weight";
static const char down_words[] =
    "ffn_down .ffn.2.weight .ff.net.2.weight .mlp.layer2.weight "
    ".adaln_modulation_mlp.2.weight .feed_forward.w2.weight";

/* What a component, or all that is not said otherwise, becomes. */
typedef struct wish {
    const char *component;        /* NULL: every other */
    size_t size;                  /* of its name */
    dfx_type type;                /* COUNT: as it is */
    const mix *mix;               /* or NULL */
    const dfx_encoding *encoding; /* in parts; or NULL */
    unsigned values;              /* seen so far: a mix counts */
} wish;

typedef struct dfx_recipe {
    type_rule *rules; /* owned */
    size_t count, capacity;
    regex_t keep;
    bool keeps;
    wish *wishes; /* owned; the last one is for all others */
    size_t wish_count;
    dfx_type rest; /* what is not quantized becomes this; COUNT: as it is */
    dfx_conversion *conversion;
    const float *ones; /* importances that are all alike; in the arena */
    uint64_t ones_count;
} dfx_recipe;

/* One "regex=dtype" of size bytes. */
static dfx_status
add_rule(dfx_recipe *recipe, const char *text, size_t size, dfx_error *err)
{
    char *copy = strndup(text, size);
    char *equals = copy != NULL ? strrchr(copy, '=') : NULL;
    dfx_status status = DFX_OK;
    type_rule rule;
    int failed;

    if (copy == NULL)
        return dfx_fail_nomem(err);
    if (equals == NULL || equals == copy) {
        status = dfx_fail_usage(
            err, "type rule \"%s\" is not of the form REGEX=DTYPE", copy);
        goto out;
    }
    *equals = '\0';
    rule.type = dfx_type_named(equals + 1);
    if (!dfx_type_castable(DFX_TYPE_F32, rule.type)) {
        status = dfx_fail_usage(err, "\"%s\" is no type to write tensors in",
                                equals + 1);
        goto out;
    }
    failed = regcomp(&rule.pattern, copy, REG_EXTENDED | REG_NOSUB);
    if (failed != 0) {
        char reason[128];

        regerror(failed, &rule.pattern, reason, sizeof reason);
        status = dfx_fail_usage(err, "type rule \"%s\": %s", copy, reason);
        goto out;
    }
    if (dfx_grow(&recipe->rules, &recipe->capacity, recipe->count,
                 sizeof *recipe->rules)) {
        recipe->rules[recipe->count++] = rule;
    } else {
        regfree(&rule.pattern);
        status = dfx_fail_nomem(err);
    }
out:
    free(copy);
    return status;
}

/* Commas part rules, but not inside the brackets or braces of a pattern. */
static size_t
rule_size(const char *text)
{
    size_t i = 0;
    int depth = 0;

    for (; text[i] != '\0' && (text[i] != ',' || depth > 0); i++) {
        if (text[i] == '[' || text[i] == '{')
            depth++;
        else if ((text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
        else if (text[i] == '\\' && text[i + 1] != '\0')
            i++;
    }
    return i;
}

/* ---- What is asked for --------------------------------------------------- */

static const mix *
mix_named(const char *name)
{
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++)
        if (strcasecmp(mixes[i].name, name) == 0)
            return &mixes[i];
    return NULL;
}

const char *
dfx_mix_at(size_t i, const char **type)
{
    if (i >= sizeof mixes / sizeof mixes[0])
        return NULL;
    *type = dfx_type_name(mixes[i].type);
    return mixes[i].name;
}

static dfx_status
check_encoding(const dfx_recipe *recipe, const wish *w, dfx_error *err)
{
    if (w->encoding->needs_config &&
        recipe->conversion->to != DFX_LAYOUT_DIFFUSERS)
        return dfx_fail_usage(err,
                              "%s is for folders: a single file has no place "
                              "for what config.json says of it",
                              w->encoding->name);
    return DFX_OK;
}

/* A type, a mix or an encoding by its name. */
static dfx_status
parse_type(const dfx_recipe *recipe, const char *name, wish *w, dfx_error *err)
{
    w->mix = mix_named(name);
    w->type = w->mix != NULL ? w->mix->type : dfx_type_named(name);
    w->encoding = w->type == DFX_TYPE_COUNT ? dfx_encoding_named(name) : NULL;
    if (w->encoding != NULL)
        return check_encoding(recipe, w, err);
    if (!dfx_type_castable(DFX_TYPE_F32, w->type))
        return dfx_fail_usage(err, "\"%s\" is no type to write tensors in",
                              name);
    return DFX_OK;
}

static bool
has_component(const dfx_conversion *conversion, const wish *w)
{
    for (size_t i = 0; i < conversion->part_count; i++) {
        const char *name = conversion->parts[i].name;

        if (strlen(name) == w->size && memcmp(name, w->component, w->size) == 0)
            return true;
    }
    return false;
}

/* "vae=f16" */
static dfx_status
parse_wish(const dfx_recipe *recipe, const char *text, wish *w, dfx_error *err)
{
    const dfx_conversion *conversion = recipe->conversion;
    const char *equals = strchr(text, '=');

    if (equals == NULL)
        return dfx_fail_usage(err, "--component %s: expected NAME=TYPE", text);
    *w = (wish){.component = text, .size = (size_t)(equals - text)};
    if (!has_component(conversion, w))
        return dfx_fail_usage(err,
                              "--component: there is no component "
                              "\"%.*s\"",
                              (int)w->size, text);
    return parse_type(recipe, equals + 1, w, err);
}

static dfx_status
read_wishes(dfx_recipe *recipe, dfx_error *err)
{
    const dfx_convert_options *options = recipe->conversion->options;
    const dfx_quant_options *quant = &options->quant;
    wish *other;

    recipe->wishes = calloc(quant->type_count + 1, sizeof *recipe->wishes);
    if (recipe->wishes == NULL)
        return dfx_fail_nomem(err);
    recipe->wish_count = quant->type_count + 1;
    for (size_t i = 0; i < quant->type_count; i++)
        DFX_TRY(parse_wish(recipe, quant->types[i], &recipe->wishes[i], err));
    other = &recipe->wishes[quant->type_count];
    other->type = options->dtype;
    recipe->rest = DFX_TYPE_COUNT;
    if (options->dtype != DFX_TYPE_COUNT &&
        !dfx_type_castable(DFX_TYPE_F32, options->dtype))
        return dfx_fail_usage(err, "%s is no type to write tensors in",
                              dfx_type_name(options->dtype));
    if (dfx_type_class(options->dtype) == DFX_CLASS_FLOAT)
        recipe->rest = options->dtype;
    /* The budget chooses among types with blocks of 32 and more. */
    if (quant->target_size > 0 && quant->type == NULL)
        other->type = DFX_TYPE_Q8_0;
    return quant->type != NULL ? parse_type(recipe, quant->type, other, err)
                               : DFX_OK;
}

static dfx_status
read_keep(dfx_recipe *recipe, dfx_error *err)
{
    const char *keep = recipe->conversion->options->quant.keep;
    int failed;

    if (keep == NULL)
        return DFX_OK;
    failed = regcomp(&recipe->keep, keep, REG_EXTENDED | REG_NOSUB);
    if (failed != 0) {
        char reason[128];

        regerror(failed, &recipe->keep, reason, sizeof reason);
        return dfx_fail_usage(err, "--keep \"%s\": %s", keep, reason);
    }
    recipe->keeps = true;
    return DFX_OK;
}

static dfx_status
read_rules(dfx_recipe *recipe, dfx_error *err)
{
    const char *p = recipe->conversion->options->type_rules;

    while (p != NULL && *p != '\0') {
        size_t size = rule_size(p);

        DFX_TRY(add_rule(recipe, p, size, err));
        p += size + (p[size] == ',');
    }
    return DFX_OK;
}

static void
recipe_fini(dfx_recipe *recipe)
{
    for (size_t i = 0; i < recipe->count; i++)
        regfree(&recipe->rules[i].pattern);
    if (recipe->keeps)
        regfree(&recipe->keep);
    free(recipe->rules);
    free(recipe->wishes);
}

static wish *
wish_of(const dfx_recipe *recipe, const dfx_item *item)
{
    size_t last = recipe->wish_count - 1;

    for (size_t i = 0; i < last && item->part != NULL; i++) {
        wish *w = &recipe->wishes[i];

        if (strlen(item->part) == w->size &&
            memcmp(item->part, w->component, w->size) == 0)
            return w;
    }
    return &recipe->wishes[last];
}

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
    else if (recipe->rest != DFX_TYPE_COUNT)
        type = recipe->rest;
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

/* The exception that a mix makes; its type otherwise. */
static dfx_type
mixed_type(wish *w, const char *name, const char **role)
{
    size_t size;
    const mix *m = w->mix;
    dfx_type type = DFX_TYPE_BOOL;

    if (m != NULL && dfx_words_find(values_words, name, &size) != NULL) {
        type = w->values++ < m->firsts ? m->first_values : m->values;
        *role = "attention values";
    } else if (m != NULL && dfx_words_find(fused_words, name, &size) != NULL) {
        type = m->fused;
        *role = "attention";
    } else if (m != NULL && (dfx_words_find(down_words, name, &size) != NULL ||
                             (strstr(name, "experts.") != NULL &&
                              strstr(name, ".w2.weight") != NULL))) {
        type = m->down;
        *role = "the way down of a feed-forward";
    }
    return type != DFX_TYPE_BOOL ? type : w->type;
}

/* Blocks, or why not: then what is not quantized is written in. */
static dfx_status
choose_blocks(dfx_recipe *recipe, dfx_item *item, wish *w, dfx_error *err)
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
    item->type = mixed_type(w, item->name, &role);
    item->is_free = true;
    if (item->type != w->type)
        item->why = role;
    return DFX_OK;
}

/* Parts, or why not. The other layers are named in config.json. */
static dfx_status
choose_encoding(dfx_recipe *recipe, dfx_item *item, const wish *w,
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
            item->is_typed ? wish_of(recipe, item)->encoding : NULL;

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

static const type_rule *
rule_for(const dfx_recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->count; i++)
        if (regexec(&recipe->rules[i].pattern, name, 0, NULL, 0) == 0)
            return &recipe->rules[i];
    return NULL;
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
    const type_rule *rule;
    wish *w;

    item->type = item->expr->type;
    if (seen == NULL)
        return dfx_fail_nomem(err);
    if (class != DFX_CLASS_FLOAT && class != DFX_CLASS_BLOCK)
        return DFX_OK;
    rule = rule_for(recipe, seen);
    if (rule != NULL && dfx_type_class(rule->type) == DFX_CLASS_BLOCK &&
        !rows_fit(item->expr, rule->type)) {
        item->why = "its rows are no whole blocks of what a rule says";
        return DFX_OK;
    }
    if (rule != NULL) {
        item->type = rule->type;
        return DFX_OK;
    }
    if (recipe->keeps && regexec(&recipe->keep, seen, 0, NULL, 0) == 0) {
        item->why = "--keep";
        item->is_kept = true;
        return DFX_OK;
    }
    w = wish_of(recipe, item);
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
            status = dfx_plan_explain(c->plan, item->expr, item->part,
                                      item->why, err);
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
    const wish *other;

    DFX_TRY(read_rules(recipe, err));
    DFX_TRY(read_keep(recipe, err));
    DFX_TRY(read_wishes(recipe, err));
    for (size_t i = 0; i < c->bundle.item_count; i++)
        if (c->bundle.items[i].is_typed)
            DFX_TRY(choose(recipe, &c->bundle.items[i], err));
    spread_all(recipe);
    if (c->options->quant.target_size > 0)
        DFX_TRY(dfx_budget_apply(c, importance_of, recipe, err));
    other = &recipe->wishes[recipe->wish_count - 1];
    c->bundle.file_type = other->mix != NULL ? other->mix->file_type : -1;
    return cast_items(recipe, err);
}

dfx_status
dfx_recipe_apply(dfx_conversion *conversion, dfx_error *err)
{
    dfx_recipe recipe = {.conversion = conversion};
    dfx_status status = apply(&recipe, err);

    recipe_fini(&recipe);
    return status;
}
