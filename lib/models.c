/*
 * models.c - models that have a name and no table
 *
 * Most of what people keep in files is of no family that this library converts.
 * Saying which it is beats "unknown", and a row of its evidence is cheap.
 */
#include <config.h>

#include <string.h>

#include "identify.h"

static bool
known_name(const char *pattern, const char *name)
{
    size_t size = strlen(pattern);

    if (pattern[0] == '*')
        return strstr(name, pattern + 1) != NULL;
    if (size > 0 && pattern[size - 1] == '.')
        return strncmp(name, pattern, size) == 0;
    return strcmp(name, pattern) == 0;
}

static const dfx_tensor *
any_named(const dfx_index *index, uint32_t component, const char *prefix,
          const char *pattern)
{
    size_t size = strlen(prefix);

    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];

        if (t->component == component && strncmp(t->name, prefix, size) == 0 &&
            known_name(pattern, t->name + size))
            return t;
    }
    return NULL;
}

static bool
known_fits(const dfx_known *known, const dfx_index *index, uint32_t component,
           const char *prefix)
{
    const dfx_signature *s = &known->signature;

    for (size_t i = 0; s->all[i] != NULL; i++)
        if (any_named(index, component, prefix, s->all[i]) == NULL)
            return false;
    for (size_t i = 0; s->none[i] != NULL; i++)
        if (any_named(index, component, prefix, s->none[i]) != NULL)
            return false;
    for (size_t i = 0; i < 4 && s->ranks[i].name != NULL; i++) {
        const dfx_tensor *t =
            any_named(index, component, prefix, s->ranks[i].name);

        if (t == NULL || t->rank != s->ranks[i].rank)
            return false;
    }
    return true;
}

/* Tries a row behind each prefix that its first name stands behind. */
static dfx_status
try_known(dfx_identity *identity, const dfx_known *known, bool *fits,
          dfx_error *err)
{
    const dfx_index *index = identity->index;
    const char *first = known->signature.all[0];
    size_t first_size = strlen(first);

    *fits = false;
    if (first[0] == '*' || first[first_size - 1] == '.') {
        for (uint32_t c = 0; c < index->component_count && !*fits; c++)
            *fits = known_fits(known, index, c, "");
        return DFX_OK;
    }
    for (size_t i = 0; i < index->tensor_count && !*fits; i++) {
        const dfx_tensor *t = &index->tensors[i];
        size_t size = strlen(t->name);
        char *prefix;

        if (size < first_size ||
            strcmp(t->name + size - first_size, first) != 0)
            continue;
        if (size > first_size && t->name[size - first_size - 1] != '.')
            continue;
        prefix =
            dfx_arena_strndup(&identity->arena, t->name, size - first_size);
        if (prefix == NULL)
            return dfx_fail_nomem(err);
        *fits = known_fits(known, index, t->component, prefix);
    }
    return DFX_OK;
}

dfx_status
dfx_identity_name(dfx_identity *identity, bool *named, dfx_error *err)
{
    const dfx_known *known = dfx_pipelines_table.known;

    *named = false;
    for (; known != NULL && known->family != NULL; known++) {
        DFX_TRY(try_known(identity, known, named, err));
        if (*named) {
            identity->family = known->family;
            identity->layout = known->signature.layout;
            return dfx_identity_warn(
                identity, err, "%s is recognised, but no table converts it",
                known->family);
        }
    }
    return DFX_OK;
}
