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
known_fits(const dfx_known *known, const dfx_index *index, uint32_t component,
           const char *prefix)
{
    const dfx_signature *s = &known->signature;

    for (size_t i = 0; s->all[i] != NULL; i++)
        if (dfx_find_behind(index, component, prefix, s->all[i]) == NULL)
            return false;
    for (size_t i = 0; s->none[i] != NULL; i++)
        if (dfx_find_behind(index, component, prefix, s->none[i]) != NULL)
            return false;
    for (size_t i = 0; i < 4 && s->ranks[i].name != NULL; i++) {
        const dfx_tensor *t =
            dfx_find_behind(index, component, prefix, s->ranks[i].name);

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

/* Is a part of that family here that a table converts? */
static bool
is_converted(const dfx_identity *identity, const char *family)
{
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];

        if (found->kind != NULL && found->kind->rows != NULL &&
            strcmp(found->view.family, family) == 0)
            return true;
    }
    return false;
}

dfx_status
dfx_identity_name(dfx_identity *identity, bool *named, dfx_error *err)
{
    const dfx_known *known = dfx_pipelines_table.known;

    *named = false;
    for (; known != NULL && known->family != NULL; known++) {
        if (is_converted(identity, known->family))
            continue; /* a row that is less exact than the kind's */
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
