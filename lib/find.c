/*
 * find.c - which components a source holds
 *
 * Components are found by the signatures of their kinds, behind whatever prefix
 * those names stand; what no component owns gets its fate.
 */
#include <config.h>

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "identify.h"

/* More models than anybody puts into one source; time and memory go with the
   square of it. */
enum { MAX_PARTS = 256 };

/* A place where the first name of a signature was seen. */
typedef struct sighting {
    const dfx_kind *kind;
    const dfx_signature *signature;
    uint32_t component;
    uint32_t tensor; /* index: the name that gave the prefix */
    const char *prefix;
    size_t prefix_size;
    size_t order; /* of the kind in the registry */
} sighting;

typedef struct sightings {
    sighting *items; /* owned */
    size_t count, capacity;
} sightings;

static dfx_view
view_of(dfx_arena *arena, const dfx_found *found)
{
    return (dfx_view){
        .index = found->index,
        .component = found->component,
        .prefix = found->view.prefix,
        .kind = found->kind,
        .signature = found->signature,
        .facts = &found->facts,
        .arena = arena,
    };
}

/* ---- Finding components -------------------------------------------------- */

static int
by_prefix_size(const void *a, const void *b)
{
    const sighting *x = a, *y = b;

    if (x->component != y->component)
        return x->component < y->component ? -1 : 1;
    if (x->prefix_size != y->prefix_size)
        return x->prefix_size < y->prefix_size ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

/* Tries the prefix in front of a name that ends as the signature asks. */
static dfx_status
look_here(dfx_identity *identity, sightings *seen, const dfx_kind *kind,
          size_t order, const char *first, uint32_t tensor, dfx_error *err)
{
    const dfx_tensor *t = &identity->index->tensors[tensor];
    size_t size = strlen(t->name), first_size = strlen(first);
    const dfx_signature *signature;
    char *prefix;

    if (size < first_size ||
        memcmp(t->name + size - first_size, first, first_size) != 0)
        return DFX_OK;
    if (size > first_size && t->name[size - first_size - 1] != '.')
        return DFX_OK;
    prefix = dfx_arena_strndup(&identity->arena, t->name, size - first_size);
    if (prefix == NULL)
        return dfx_fail_nomem(err);
    signature = dfx_kind_match(kind, identity->index, t->component, prefix);
    if (signature == NULL || strcmp(signature->all[0], first) != 0)
        return DFX_OK;
    if (!dfx_grow(&seen->items, &seen->capacity, seen->count,
                  sizeof *seen->items))
        return dfx_fail_nomem(err);
    seen->items[seen->count++] = (sighting){
        .kind = kind,
        .signature = signature,
        .component = t->component,
        .tensor = tensor,
        .prefix = prefix,
        .prefix_size = size - first_size,
        .order = order,
    };
    return DFX_OK;
}

static dfx_status
look_for(dfx_identity *identity, sightings *seen, uint32_t skip, dfx_error *err)
{
    const dfx_index *index = identity->index;
    const dfx_kind *kind;

    for (size_t k = 0; (kind = dfx_kind_at(k)) != NULL; k++)
        for (size_t s = 0; s < kind->signature_count; s++)
            for (uint32_t i = 0; i < index->tensor_count; i++)
                if (index->tensors[i].component != skip)
                    DFX_TRY(look_here(identity, seen, kind, k,
                                      kind->signatures[s].all[0], i, err));
    if (seen->count > 0)
        qsort(seen->items, seen->count, sizeof *seen->items, by_prefix_size);
    return DFX_OK;
}

const dfx_tensor *
dfx_found_source(dfx_arena *arena, const dfx_found *found, const dfx_pair *pair)
{
    dfx_view view = view_of(arena, found);

    return dfx_view_find(&view, found->view.layout == DFX_LAYOUT_ORIGINAL
                                    ? pair->original
                                    : pair->folder);
}

static const char *
source_name(dfx_arena *arena, const dfx_found *found, const dfx_pair *pair)
{
    const char *name = found->view.layout == DFX_LAYOUT_ORIGINAL
                           ? pair->original
                           : pair->folder;
    const char *implied = found->signature->implied;

    if (implied != NULL && strncmp(name, implied, strlen(implied)) == 0)
        name += strlen(implied);
    return dfx_arena_printf(arena, "%s%s", found->view.prefix, name);
}

/* The first row of the kind's variants that its facts fit, or NULL. */
static dfx_status
variant_row(const dfx_found *found, const dfx_variant_row **out, dfx_error *err)
{
    const dfx_variant_row *row = found->kind->variants;

    *out = NULL;
    for (; row != NULL && row->family != NULL; row++) {
        int64_t holds = 1;

        if (row->when != NULL)
            DFX_TRY(dfx_facts_eval(&found->facts, row->when, &holds, err));
        if (holds != 0) {
            *out = row;
            return DFX_OK;
        }
    }
    return DFX_OK;
}

static int
compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Gives a part all that nobody owns of its component, behind its prefix, in the
   order of the source. */
static dfx_status
claim_all(dfx_identity *identity, dfx_found *found, bool *owned, dfx_error *err)
{
    const dfx_index *index = identity->index;
    size_t count = 0, used = 0;
    const dfx_tensor *const *list =
        dfx_index_starting(index, found->component, found->view.prefix, &count);
    uint32_t *tensors =
        dfx_arena_array(&identity->arena, count, sizeof *tensors);

    if (tensors == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)(list[i] - index->tensors);

        if (owned[at])
            continue;
        owned[at] = true;
        tensors[used++] = at;
    }
    qsort(tensors, used, sizeof *tensors, compare_numbers);
    found->view.tensors = tensors;
    found->view.tensor_count = used;
    return DFX_OK;
}

/* Derives and expands; claims the tensors that the pairs name. */
static dfx_status
claim(dfx_identity *identity, dfx_found *found, bool *owned, dfx_error *err)
{
    const dfx_index *index = identity->index;
    const dfx_variant_row *row;
    dfx_view view;
    uint32_t *tensors;
    const char **missing;
    size_t count = 0, missing_count = 0;

    view = view_of(&identity->arena, found);
    if (found->kind->derive != NULL)
        DFX_TRY(found->kind->derive(&view, &found->facts, err));
    if (found->kind->rows != NULL)
        DFX_TRY(dfx_rules_expand(&identity->arena, found->kind->rows,
                                 &found->facts, &found->pairs,
                                 &found->pair_count, err));
    tensors =
        dfx_arena_array(&identity->arena, found->pair_count, sizeof *tensors);
    missing =
        dfx_arena_array(&identity->arena, found->pair_count, sizeof *missing);
    if (tensors == NULL || missing == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < found->pair_count; i++) {
        const dfx_pair *pair = &found->pairs[i];
        const dfx_tensor *t = dfx_found_source(&identity->arena, found, pair);

        if (t == NULL) {
            if (found->view.layout == DFX_LAYOUT_ORIGINAL && pair->part > 0)
                continue; /* said once for all parts of one tensor */
            missing[missing_count] = source_name(&identity->arena, found, pair);
            if (missing[missing_count++] == NULL)
                return dfx_fail_nomem(err);
        } else if (!owned[t - index->tensors]) {
            owned[t - index->tensors] = true;
            tensors[count++] = (uint32_t)(t - index->tensors);
        }
    }
    found->view.tensors = tensors;
    found->view.tensor_count = count;
    if (found->kind->rows == NULL) /* recognised only: all that is there */
        DFX_TRY(claim_all(identity, found, owned, err));
    found->view.missing = missing;
    found->view.missing_count = missing_count;

    DFX_TRY(variant_row(found, &row, err));
    found->view.family = row != NULL ? row->family : found->kind->name;
    found->view.variant = row != NULL ? row->variant : NULL;
    found->view.class_name = row != NULL ? row->class_name : NULL;
    found->view.name = row != NULL && row->component != NULL
                           ? row->component
                           : found->kind->component;
    return DFX_OK;
}

/* A component of a folder, or a folder that is one, that no kind knows: carried
   as it is. */
static dfx_status
claim_unknown(dfx_identity *identity, dfx_found *found, bool *owned,
              dfx_error *err)
{
    const char *name = identity->index->components[found->component].name;

    found->view.name = name[0] != '\0' ? name : "model";
    found->view.family = "unknown";
    found->view.prefix = "";
    found->view.layout = DFX_LAYOUT_UNKNOWN;
    return claim_all(identity, found, owned, err);
}

static bool
holds_tensors(const dfx_index *index, uint32_t component)
{
    size_t count = 0;

    dfx_index_starting(index, component, "", &count);
    return count > 0;
}

static bool
has_part(const dfx_identity *identity, uint32_t component)
{
    for (size_t i = 0; i < identity->found_count; i++)
        if (identity->found[i].component == component)
            return true;
    return false;
}

/* The next part to be found. */
static dfx_status
new_part(dfx_identity *identity, dfx_found **found, dfx_error *err)
{
    if (identity->found_count == MAX_PARTS)
        return dfx_fail(err, DFX_RULE_LIMIT_INDEX, DFX_NO_OFFSET,
                        "more than %d models in one source", MAX_PARTS);
    *found = &identity->found[identity->found_count++];
    (*found)->index = identity->index;
    return DFX_OK;
}

static dfx_status
find_parts(dfx_identity *identity, bool *owned, dfx_error *err)
{
    const dfx_index *index = identity->index;
    uint32_t skip = dfx_index_find_component(index, DFX_RESIDUE);
    sightings seen = {0};
    dfx_status status = look_for(identity, &seen, skip, err);

    if (status != DFX_OK)
        goto out;
    identity->found =
        dfx_arena_array(&identity->arena, MAX_PARTS, sizeof *identity->found);
    if (identity->found == NULL) {
        status = dfx_fail_nomem(err);
        goto out;
    }
    /* Shorter prefixes first: a name that one component has explained is no
       evidence for another one inside it. */
    for (size_t i = 0; i < seen.count && status == DFX_OK; i++) {
        const sighting *s = &seen.items[i];
        dfx_found *found = NULL;

        if (owned[s->tensor])
            continue;
        /* A folder's component is one part, whatever else its file holds. */
        if (s->component != 0 && has_part(identity, s->component))
            continue;
        status = new_part(identity, &found, err);
        if (status != DFX_OK)
            break;
        found->kind = s->kind;
        found->signature = s->signature;
        found->component = s->component;
        found->view.prefix = s->prefix;
        found->view.layout = s->signature->layout;
        status = claim(identity, found, owned, err);
    }
    for (uint32_t c = 0; c < index->component_count && status == DFX_OK; c++) {
        dfx_found *found = NULL;

        bool is_file =
            index->components[c].name[0] == '\0' && index->file_count == 0;

        if (c == skip || is_file || has_part(identity, c) ||
            !holds_tensors(index, c))
            continue;
        status = new_part(identity, &found, err);
        if (status != DFX_OK)
            break;
        found->component = c;
        status = claim_unknown(identity, found, owned, err);
    }
out:
    free(seen.items);
    return status;
}

/* ---- Leftovers ----------------------------------------------------------- */

static const dfx_leftover *
listed(const dfx_leftover *list, const char *name)
{
    for (; list != NULL && list->pattern != NULL; list++)
        if (fnmatch(list->pattern, name, 0) == 0)
            return list;
    return NULL;
}

/* The part with the longest prefix that the name has, or NULL. */
static dfx_found *
part_of(dfx_identity *identity, const dfx_tensor *t)
{
    dfx_found *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < identity->found_count; i++) {
        dfx_found *found = &identity->found[i];
        size_t size = strlen(found->view.prefix);

        if (found->component == t->component && size >= longest &&
            strncmp(t->name, found->view.prefix, size) == 0) {
            best = found;
            longest = size;
        }
    }
    return best;
}

/* Lists the names of no table under the parts whose prefixes they have. parts
   has a part or NULL for every leftover. */
static dfx_status
list_unexpected(dfx_identity *identity, dfx_found *const *parts, dfx_error *err)
{
    for (size_t p = 0; p < identity->found_count; p++) {
        dfx_found *found = &identity->found[p];
        const char **names;
        size_t count = 0, used = 0;

        for (size_t i = 0; i < identity->leftover_count; i++)
            count += parts[i] == found && !identity->leftovers[i].known;
        names = dfx_arena_array(&identity->arena, count, sizeof *names);
        if (names == NULL)
            return dfx_fail_nomem(err);
        for (size_t i = 0; i < identity->leftover_count; i++)
            if (parts[i] == found && !identity->leftovers[i].known)
                names[used++] =
                    identity->index->tensors[identity->leftovers[i].tensor]
                        .name;
        found->view.unexpected = names;
        found->view.unexpected_count = count;
    }
    return DFX_OK;
}

static const dfx_leftover *
row_of(const dfx_tensor *t, const dfx_found *part)
{
    const dfx_leftover *row = listed(dfx_pipelines_table.leftovers, t->name);

    if (row == NULL && part != NULL && part->kind != NULL)
        row =
            listed(part->kind->leftovers, t->name + strlen(part->view.prefix));
    return row;
}

/* Gives each tensor that nobody owns its fate. */
static dfx_status
sort_leftovers(dfx_identity *identity, const bool *owned, dfx_error *err)
{
    const dfx_index *index = identity->index;
    uint32_t skip = dfx_index_find_component(index, DFX_RESIDUE);
    dfx_found **parts; /* of the leftovers */
    size_t count = 0;

    for (size_t i = 0; i < index->tensor_count; i++)
        count += !owned[i] && index->tensors[i].component != skip;
    identity->leftovers =
        dfx_arena_array(&identity->arena, count, sizeof *identity->leftovers);
    parts = dfx_arena_array(&identity->arena, count, sizeof *parts);
    if (identity->leftovers == NULL || parts == NULL)
        return dfx_fail_nomem(err);
    for (uint32_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        size_t at = identity->leftover_count;
        const dfx_leftover *row;

        if (owned[i] || t->component == skip)
            continue;
        parts[at] = part_of(identity, t);
        row = row_of(t, parts[at]);
        identity->leftovers[at] = (dfx_leftover_found){
            .tensor = i,
            .fate = row != NULL ? row->fate : DFX_FATE_ASIDE,
            .known = row != NULL,
            .what = row != NULL ? row->what : "in no table",
        };
        identity->leftover_count++;
    }
    return list_unexpected(identity, parts, err);
}

dfx_status
dfx_identity_find_parts(dfx_identity *identity, dfx_error *err)
{
    bool *owned = calloc(identity->index->tensor_count + 1, sizeof *owned);
    dfx_status status;

    if (owned == NULL)
        return dfx_fail_nomem(err);
    status = find_parts(identity, owned, err);
    if (status == DFX_OK)
        status = sort_leftovers(identity, owned, err);
    free(owned);
    return status;
}
