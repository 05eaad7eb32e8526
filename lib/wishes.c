/*
 * wishes.c - what options say of types: rules by name, what stays, and what a
 * component, or everything else, is to be
 */
#include <config.h>

#include "wishes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "architecture.h"
#include "types.h"

/*
 * A name for a type that differs by what a matrix does. The values of attention
 * and the way down from a wide layer need more bits; these are the mixes of
 * llama.cpp as ComfyUI-GGUF's patch of llama-quantize (commit 795e451) has them
 * for image models. 0, BOOL: no exception.
 */
struct dfx_mix {
    const char *name;
    dfx_type type;
    int file_type; /* general.file_type */
    dfx_type first_values, values;
    unsigned firsts; /* how many are first */
    dfx_type fused, down;
};

static const dfx_mix mixes[] = {
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

/* One "regex=dtype" of size bytes. */
static dfx_status
add_rule(dfx_wishes *wishes, const char *text, size_t size, dfx_error *err)
{
    char *copy = strndup(text, size);
    char *equals = copy != NULL ? strrchr(copy, '=') : NULL;
    dfx_status status = DFX_OK;
    dfx_type_rule rule;
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
    if (dfx_grow(&wishes->rules, &wishes->rule_capacity, wishes->rule_count,
                 sizeof *wishes->rules)) {
        wishes->rules[wishes->rule_count++] = rule;
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

static const dfx_mix *
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
check_encoding(const dfx_wishes *wishes, const dfx_wish *w, dfx_error *err)
{
    if (w->encoding->needs_config &&
        wishes->conversion->to != DFX_LAYOUT_DIFFUSERS)
        return dfx_fail_usage(err,
                              "%s is for folders: a single file has no place "
                              "for what config.json says of it",
                              w->encoding->name);
    return DFX_OK;
}

/* A type, a mix or an encoding by its name. */
static dfx_status
parse_type(const dfx_wishes *wishes, const char *name, dfx_wish *w,
           dfx_error *err)
{
    w->mix = mix_named(name);
    w->type = w->mix != NULL ? w->mix->type : dfx_type_named(name);
    w->encoding = w->type == DFX_TYPE_COUNT ? dfx_encoding_named(name) : NULL;
    if (w->encoding != NULL)
        return check_encoding(wishes, w, err);
    if (!dfx_type_castable(DFX_TYPE_F32, w->type))
        return dfx_fail_usage(err, "\"%s\" is no type to write tensors in",
                              name);
    return DFX_OK;
}

static bool
has_component(const dfx_conversion *conversion, const dfx_wish *w)
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
parse_wish(const dfx_wishes *wishes, const char *text, dfx_wish *w,
           dfx_error *err)
{
    const dfx_conversion *conversion = wishes->conversion;
    const char *equals = strchr(text, '=');

    if (equals == NULL)
        return dfx_fail_usage(err, "--component %s: expected NAME=TYPE", text);
    *w = (dfx_wish){.component = text, .size = (size_t)(equals - text)};
    if (!has_component(conversion, w))
        return dfx_fail_usage(err,
                              "--component: there is no component "
                              "\"%.*s\"",
                              (int)w->size, text);
    return parse_type(wishes, equals + 1, w, err);
}

static dfx_status
read_wishes(dfx_wishes *wishes, dfx_error *err)
{
    const dfx_convert_options *options = wishes->conversion->options;
    const dfx_quant_options *quant = &options->quant;
    dfx_wish *other;

    wishes->list = calloc(quant->type_count + 1, sizeof *wishes->list);
    if (wishes->list == NULL)
        return dfx_fail_nomem(err);
    wishes->count = quant->type_count + 1;
    for (size_t i = 0; i < quant->type_count; i++)
        DFX_TRY(parse_wish(wishes, quant->types[i], &wishes->list[i], err));
    other = &wishes->list[quant->type_count];
    other->type = options->dtype;
    wishes->rest = DFX_TYPE_COUNT;
    if (options->dtype != DFX_TYPE_COUNT &&
        !dfx_type_castable(DFX_TYPE_F32, options->dtype))
        return dfx_fail_usage(err, "%s is no type to write tensors in",
                              dfx_type_name(options->dtype));
    if (dfx_type_class(options->dtype) == DFX_CLASS_FLOAT)
        wishes->rest = options->dtype;
    /* The budget chooses among types with blocks of 32 and more. */
    if (quant->target_size > 0 && quant->type == NULL)
        other->type = DFX_TYPE_Q8_0;
    return quant->type != NULL ? parse_type(wishes, quant->type, other, err)
                               : DFX_OK;
}

static dfx_status
read_keep(dfx_wishes *wishes, dfx_error *err)
{
    const char *keep = wishes->conversion->options->quant.keep;
    int failed;

    if (keep == NULL)
        return DFX_OK;
    failed = regcomp(&wishes->keep, keep, REG_EXTENDED | REG_NOSUB);
    if (failed != 0) {
        char reason[128];

        regerror(failed, &wishes->keep, reason, sizeof reason);
        return dfx_fail_usage(err, "--keep \"%s\": %s", keep, reason);
    }
    wishes->keeps = true;
    return DFX_OK;
}

static dfx_status
read_rules(dfx_wishes *wishes, dfx_error *err)
{
    const char *p = wishes->conversion->options->type_rules;

    while (p != NULL && *p != '\0') {
        size_t size = rule_size(p);

        DFX_TRY(add_rule(wishes, p, size, err));
        p += size + (p[size] == ',');
    }
    return DFX_OK;
}

void
dfx_wishes_fini(dfx_wishes *wishes)
{
    for (size_t i = 0; i < wishes->rule_count; i++)
        regfree(&wishes->rules[i].pattern);
    if (wishes->keeps)
        regfree(&wishes->keep);
    free(wishes->rules);
    free(wishes->list);
}

dfx_wish *
dfx_wishes_of(const dfx_wishes *wishes, const char *part)
{
    size_t last = wishes->count - 1;

    for (size_t i = 0; i < last && part != NULL; i++) {
        dfx_wish *w = &wishes->list[i];

        if (strlen(part) == w->size && memcmp(part, w->component, w->size) == 0)
            return w;
    }
    return &wishes->list[last];
}

int
dfx_wishes_file_type(const dfx_wishes *wishes)
{
    const dfx_wish *other = &wishes->list[wishes->count - 1];

    return other->mix != NULL ? other->mix->file_type : -1;
}

bool
dfx_wishes_rule(const dfx_wishes *wishes, const char *name, dfx_type *type)
{
    for (size_t i = 0; i < wishes->rule_count; i++)
        if (regexec(&wishes->rules[i].pattern, name, 0, NULL, 0) == 0) {
            *type = wishes->rules[i].type;
            return true;
        }
    return false;
}

bool
dfx_wishes_keep(const dfx_wishes *wishes, const char *name)
{
    return wishes->keeps && regexec(&wishes->keep, name, 0, NULL, 0) == 0;
}

dfx_type
dfx_wish_type(dfx_wish *w, const char *name, const char **role)
{
    size_t size;
    const dfx_mix *m = w->mix;
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

dfx_status
dfx_wishes_read(dfx_wishes *wishes, const dfx_conversion *conversion,
                dfx_error *err)
{
    *wishes = (dfx_wishes){.conversion = conversion};
    DFX_TRY(read_rules(wishes, err));
    DFX_TRY(read_keep(wishes, err));
    return read_wishes(wishes, err);
}
