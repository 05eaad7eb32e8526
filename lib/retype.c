/*
 * retype.c - which type a tensor is written in
 *
 * The first of --type-rules whose pattern is found in the name decides; then
 * the modules that the component's config.json says stay in F32
 * (_keep_in_fp32_modules); then --dtype. Integers, booleans and packed types
 * are never touched: position_ids as F16 are what other converters make of
 * them. A block type is for matrices whose rows are whole blocks; what that
 * leaves, and what is delicate, keeps its type.
 */
#include <config.h>

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "document.h"
#include "types.h"

typedef struct type_rule {
    regex_t pattern;
    dfx_type type;
} type_rule;

struct dfx_retype {
    type_rule *rules; /* owned */
    size_t count, capacity;
    dfx_type dtype; /* DFX_TYPE_COUNT: as it is */
};

/* One "regex=dtype" of size bytes. */
static dfx_status
add_rule(dfx_retype *retype, const char *text, size_t size, dfx_error *err)
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
    if (dfx_grow(&retype->rules, &retype->capacity, retype->count,
                 sizeof *retype->rules)) {
        retype->rules[retype->count++] = rule;
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

dfx_status
dfx_retype_new(const dfx_convert_options *options, dfx_retype **retype,
               dfx_error *err)
{
    dfx_retype *made = calloc(1, sizeof *made);
    const char *p = options->type_rules;
    dfx_status status = DFX_OK;

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->dtype = options->dtype;
    if (made->dtype != DFX_TYPE_COUNT &&
        !dfx_type_castable(DFX_TYPE_F32, made->dtype))
        status = dfx_fail_usage(err, "%s is no type to write tensors in",
                                dfx_type_name(made->dtype));
    while (status == DFX_OK && p != NULL && *p != '\0') {
        size_t size = rule_size(p);

        status = add_rule(made, p, size, err);
        p += size + (p[size] == ',');
    }
    if (status != DFX_OK) {
        dfx_retype_free(made);
        return status;
    }
    *retype = made;
    return DFX_OK;
}

void
dfx_retype_free(dfx_retype *retype)
{
    if (retype == NULL)
        return;
    for (size_t i = 0; i < retype->count; i++)
        regfree(&retype->rules[i].pattern);
    free(retype->rules);
    free(retype);
}

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

/*
 * Tensors that few bits spoil: embeddings of time, of classes and of tokens,
 * and the layers at both ends (ComfyUI-GGUF's list for these networks, and what
 * stable-diffusion.cpp keeps). Biases and norms have one dimension.
 */
static bool
is_delicate(const char *name)
{
    static const char *const parts[] = {
        "embedding",    "time_embed.", "label_emb.",  "conv_in.",
        "conv_out.",    "add_embed",   "class_embed", "input_blocks.0.0.",
        "out.2.weight", "pos_embed",
    };

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i]) != NULL)
            return true;
    return false;
}

/* Matrices whose rows are whole blocks can be blocks. */
static bool
fits_blocks(const dfx_expr *x, dfx_type type)
{
    return x->rank == 2 && x->shape[1] % dfx_type_unit(type).elements == 0;
}

dfx_type
dfx_retype_of(const dfx_retype *retype, const char *name, const dfx_expr *x,
              const cJSON *config)
{
    dfx_type wanted = retype->dtype;
    bool is_ruled = false;

    if (dfx_type_class(x->type) != DFX_CLASS_FLOAT &&
        dfx_type_class(x->type) != DFX_CLASS_BLOCK)
        return x->type;
    for (size_t i = 0; i < retype->count && !is_ruled; i++)
        if (regexec(&retype->rules[i].pattern, name, 0, NULL, 0) == 0) {
            wanted = retype->rules[i].type;
            is_ruled = true;
        }
    if (wanted == DFX_TYPE_COUNT)
        return x->type;
    if (dfx_type_class(wanted) == DFX_CLASS_BLOCK)
        return fits_blocks(x, wanted) && (is_ruled || !is_delicate(name))
                   ? wanted
                   : x->type;
    if (!is_ruled && config != NULL && kept_in_f32(name, config))
        return DFX_TYPE_F32;
    return wanted;
}
