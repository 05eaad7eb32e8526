/*
 * parts.c - components on their way out: names and expressions
 *
 * Forward and backward read the same pairs. To a folder every pair becomes one
 * tensor; to an original file the pairs of one original name become one.
 */
#include <config.h>

#include <string.h>

#include "convert.h"
#include "document.h"

/* ---- Expressions of pairs ------------------------------------------------ */

/* Drops trailing ones until the rank is 2: [C,C,1,1] of a convolution, and the
   [C,C,1] that some tools have written. */
static dfx_status
squeeze(dfx_arena *arena, const dfx_expr *x, const dfx_expr **out,
        dfx_error *err)
{
    uint32_t rank = x->rank;

    while (rank > 2 && x->shape[rank - 1] == 1)
        rank--;
    if (rank == x->rank) {
        *out = x;
        return DFX_OK;
    }
    return dfx_expr_reshape(arena, x, rank, x->shape, out, err);
}

static dfx_status
unsqueeze(dfx_arena *arena, const dfx_expr *x, const dfx_expr **out,
          dfx_error *err)
{
    uint64_t shape[4];

    if (x->rank != 2) {
        *out = x;
        return DFX_OK;
    }
    shape[0] = x->shape[0];
    shape[1] = x->shape[1];
    shape[2] = shape[3] = 1;
    return dfx_expr_reshape(arena, x, 4, shape, out, err);
}

/* Part k of n equal parts along dimension 0. */
static dfx_status
split(dfx_arena *arena, const dfx_expr *x, const dfx_pair *pair,
      const dfx_expr **out, dfx_error *err)
{
    uint64_t rows;

    if (x->rank == 0 || x->shape[0] % pair->parts != 0)
        return dfx_fail(err, DFX_RULE_EXPR_SHAPE, DFX_NO_OFFSET,
                        "cannot be split into %u equal parts along its first "
                        "dimension",
                        pair->parts);
    rows = x->shape[0] / pair->parts;
    return dfx_expr_rows(arena, x, rows * pair->part, rows, out, err);
}

static dfx_status
to_folder(dfx_arena *arena, const dfx_expr *x, const dfx_pair *pair,
          const dfx_expr **out, dfx_error *err)
{
    switch (pair->op) {
    case DFX_OP_CONV1X1:
        return squeeze(arena, x, out, err);
    case DFX_OP_TRANSPOSE:
        return dfx_expr_transpose(arena, x, out, err);
    case DFX_OP_STACK:
        return split(arena, x, pair, out, err);
    case DFX_OP_SAME:
        break;
    }
    *out = x;
    return DFX_OK;
}

/* The inverse, but for STACK, whose parts the caller has stacked. */
static dfx_status
to_original(dfx_arena *arena, const dfx_expr *x, const dfx_pair *pair,
            const dfx_expr **out, dfx_error *err)
{
    switch (pair->op) {
    case DFX_OP_CONV1X1:
        return unsqueeze(arena, x, out, err);
    case DFX_OP_TRANSPOSE:
        return dfx_expr_transpose(arena, x, out, err);
    case DFX_OP_STACK:
    case DFX_OP_SAME:
        break;
    }
    *out = x;
    return DFX_OK;
}

static dfx_status
source_expr(dfx_arena *arena, const dfx_found *found, const dfx_tensor *tensor,
            const dfx_pair *pair, const dfx_expr **expr, dfx_error *err)
{
    const dfx_expr *x;

    DFX_TRY(dfx_expr_tensor(arena, tensor, &x, err));
    if (found->view.layout == DFX_LAYOUT_ORIGINAL)
        return to_folder(arena, x, pair, expr, err);
    /* Old folders hold convolutions where new ones hold matrices. */
    if (pair->op == DFX_OP_CONV1X1)
        return squeeze(arena, x, expr, err);
    *expr = x;
    return DFX_OK;
}

dfx_status
dfx_found_expr(dfx_arena *arena, const dfx_found *found, const dfx_pair *pair,
               const dfx_expr **expr, dfx_error *err)
{
    const dfx_tensor *tensor = dfx_found_source(arena, found, pair);
    dfx_status status;

    *expr = NULL;
    if (tensor == NULL)
        return DFX_OK;
    status = source_expr(arena, found, tensor, pair, expr, err);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, tensor->name);
    return status;
}

/* The averaged copy of a tensor if --ema=use asks for it. */
static dfx_status
averaged(const dfx_conversion *conversion, const dfx_tensor **tensor,
         dfx_error *err)
{
    char name[1024];
    const dfx_tensor *copy;

    if (conversion->options->ema != DFX_EMA_USE ||
        dfx_pipelines_table.ema_name == NULL ||
        !dfx_pipelines_table.ema_name((*tensor)->name, name, sizeof name))
        return DFX_OK;
    copy = dfx_index_find(conversion->index, (*tensor)->component, name);
    if (copy == NULL)
        return dfx_fail(err, DFX_RULE_FAMILY_MISSING, DFX_NO_OFFSET,
                        "--ema=use: \"%s\" has no averaged copy \"%s\"",
                        (*tensor)->name, name);
    *tensor = copy;
    return DFX_OK;
}

/* A pair of an outgoing part in Diffusers form. */
static dfx_status
pair_expr(dfx_conversion *conversion, const dfx_outgoing *part,
          const dfx_pair *pair, const dfx_expr **expr, dfx_error *err)
{
    const dfx_found *found = part->found;
    const dfx_tensor *tensor =
        dfx_found_source(&conversion->plan->arena, found, pair);
    dfx_status status;

    if (tensor == NULL)
        return dfx_fail(
            err, DFX_RULE_FAMILY_MISSING, DFX_NO_OFFSET,
            "%s: tensor \"%s\" is missing (%zu of %zu are there)", part->name,
            found->view.layout == DFX_LAYOUT_ORIGINAL ? pair->original
                                                      : pair->folder,
            found->view.tensor_count,
            found->view.tensor_count + found->view.missing_count);
    if (part->identity == conversion->identity)
        DFX_TRY(averaged(conversion, &tensor, err));
    status =
        source_expr(&conversion->plan->arena, found, tensor, pair, expr, err);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, tensor->name);
    return status;
}

/* ---- Choosing ------------------------------------------------------------ */

/* Is name in the comma-separated list? NULL lists everything. */
static bool
in_list(const char *list, const char *name)
{
    size_t size = strlen(name);

    if (list == NULL)
        return true;
    while (*list != '\0') {
        size_t item = strcspn(list, ",");

        if (item == size && memcmp(list, name, size) == 0)
            return true;
        list += item + (list[item] == ',');
    }
    return false;
}

static dfx_status
check_only(const dfx_conversion *conversion, dfx_error *err)
{
    const char *list = conversion->options->only;

    while (list != NULL && *list != '\0') {
        size_t size = strcspn(list, ",");
        char *name = dfx_arena_strndup(&conversion->plan->arena, list, size);

        if (name == NULL)
            return dfx_fail_nomem(err);
        if (dfx_identity_find(conversion->identity, name) == NULL)
            return dfx_fail_usage(err, "--only: there is no component \"%s\"",
                                  name);
        list += size + (list[size] == ',');
    }
    return DFX_OK;
}

static const dfx_slot *
slot_of(const dfx_identity *identity, const char *component)
{
    const dfx_set *set = identity->set;

    if (set == NULL || set->slots == NULL)
        return NULL;
    for (const dfx_slot *s = set->slots; s->component != NULL; s++)
        if (strcmp(s->component, component) == 0)
            return s;
    return NULL;
}

/* The value of "component=value" in the list, or NULL. */
static const char *
assigned(const char *const *list, size_t count, const char *component)
{
    size_t size = strlen(component);

    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], component, size) == 0 && list[i][size] == '=')
            return list[i] + size + 1;
    return NULL;
}

/*
 * Its prefix in an original file: what the user says, what the part had whose
 * place it takes (itself, if it takes no other's), what the file that the
 * folder came from had, what the pipeline says, what the kind says. A part from
 * elsewhere may have stood alone there, behind no prefix at all.
 */
static void
choose_prefix(const dfx_conversion *conversion, dfx_outgoing *part,
              const dfx_found *place)
{
    const dfx_convert_options *options = conversion->options;
    const cJSON *kept =
        dfx_doc_get(dfx_doc_get(conversion->residue, "prefixes"), part->name);
    const dfx_slot *slot = slot_of(conversion->identity, part->name);
    const char *asked =
        assigned(options->prefixes, options->prefix_count, part->name);
    const cJSON *bare;

    if (asked != NULL)
        part->prefix = asked;
    else if (place != NULL && place->view.layout == DFX_LAYOUT_ORIGINAL)
        part->prefix = place->view.prefix;
    else if (cJSON_IsString(kept))
        part->prefix = kept->valuestring;
    else if (slot != NULL && slot->prefix != NULL)
        part->prefix = slot->prefix;
    else if (part->found->view.layout == DFX_LAYOUT_ORIGINAL)
        part->prefix = part->found->view.prefix;
    else
        part->prefix =
            part->kind->lone_prefix != NULL ? part->kind->lone_prefix : "";
    cJSON_ArrayForEach(bare, dfx_doc_get(conversion->residue, "bare"))
    {
        if (cJSON_IsString(bare) && strcmp(bare->valuestring, part->name) == 0)
            part->bare = true;
    }
}

/*
 * The kind whose names the original has: the slot's first that reads the same
 * folder. Deriving again gives that kind's facts and pairs.
 */
static dfx_status
choose_kind(dfx_conversion *conversion, dfx_outgoing *part, dfx_error *err)
{
    const dfx_found *found = part->found;
    const dfx_slot *slot = slot_of(conversion->identity, part->name);
    const dfx_kind *kind = slot != NULL ? dfx_kind_named(slot->kinds[0]) : NULL;
    dfx_view view;

    part->kind = found->kind;
    part->pairs = found->pairs;
    part->pair_count = found->pair_count;
    if (conversion->to != DFX_LAYOUT_ORIGINAL ||
        found->view.layout != DFX_LAYOUT_DIFFUSERS ||
        (found->component == 0 && part->identity == conversion->identity) ||
        kind == NULL || kind == found->kind || kind->rows == NULL)
        return DFX_OK;
    part->kind = kind;
    view = (dfx_view){
        .index = part->identity->index,
        .component = found->component,
        .prefix = found->view.prefix,
        .kind = kind,
        .signature = found->signature,
        .facts = &part->facts,
        .arena = &conversion->plan->arena,
    };
    DFX_TRY(kind->derive(&view, &part->facts, err));
    return dfx_rules_expand(&conversion->plan->arena, kind->rows, &part->facts,
                            &part->pairs, &part->pair_count, err);
}

static const dfx_graft *
graft_for(const dfx_convert_options *options, const char *component)
{
    for (size_t i = 0; i < options->graft_count; i++)
        if (strcmp(options->grafts[i].component, component) == 0)
            return &options->grafts[i];
    return NULL;
}

/* The part of a graft's source that is meant: of that name, or the only one. */
static dfx_status
grafted(const dfx_graft *graft, const dfx_found **found, dfx_error *err)
{
    const dfx_identity *identity = graft->identity;

    *found = dfx_identity_find(identity, graft->component);
    if (*found == NULL && identity->found_count == 1)
        *found = &identity->found[0];
    if (*found == NULL || (*found)->kind == NULL)
        return dfx_fail(err, DFX_RULE_FAMILY_UNKNOWN, DFX_NO_OFFSET,
                        "%s holds no component \"%s\"", identity->index->path,
                        graft->component);
    return DFX_OK;
}

/* Does the target have a place of that name? A pipeline's single file only
   those that it gives a prefix. */
static bool
has_slot(const dfx_conversion *conversion, const char *name)
{
    const dfx_set *set = conversion->identity->set;
    const dfx_slot *slot = slot_of(conversion->identity, name);

    return conversion->to != DFX_LAYOUT_ORIGINAL || set == NULL ||
           set->slots == NULL || (slot != NULL && slot->prefix != NULL);
}

/*
 * Is there a place for it on the other side? In a single file of several
 * components only those have one that the pipeline gives a prefix.
 */
static bool
has_place(const dfx_conversion *conversion, const dfx_found *found,
          const char *name)
{
    if (conversion->to != DFX_LAYOUT_ORIGINAL || found->component == 0 ||
        conversion->identity->found_count == 1)
        return true;
    if (found->kind == NULL || found->kind->rows == NULL)
        return false;
    return has_slot(conversion, name);
}

/* place is the part of the source whose place it takes; NULL: of none. */
static dfx_status
add_outgoing(dfx_conversion *conversion, const char *name,
             const dfx_identity *identity, const dfx_found *found,
             const dfx_found *place, dfx_outgoing **out, dfx_error *err)
{
    dfx_outgoing *part = &conversion->parts[conversion->part_count++];

    part->name = name;
    part->identity = identity;
    part->found = found;
    if (found->kind != NULL) {
        DFX_TRY(choose_kind(conversion, part, err));
        choose_prefix(conversion, part, place);
    } else {
        part->prefix = "";
    }
    *out = part;
    return DFX_OK;
}

/* Two halves of one component: the same kind, and no tensor in both. */
static bool
are_halves(dfx_arena *arena, const dfx_found *part, const dfx_found *other)
{
    if (part == NULL || part->kind != other->kind)
        return false;
    for (size_t i = 0; i < other->pair_count; i++)
        if (dfx_found_source(arena, part, &other->pairs[i]) != NULL)
            return false;
    return true;
}

/* The graft takes the part's place, or completes it. */
static dfx_status
add_graft(dfx_conversion *conversion, const dfx_graft *graft,
          const dfx_found *old, dfx_error *err)
{
    const dfx_found *found;
    dfx_outgoing *part, *half;

    DFX_TRY(grafted(graft, &found, err));
    if (are_halves(&conversion->plan->arena, old, found)) {
        DFX_TRY(add_outgoing(conversion, graft->component, conversion->identity,
                             old, old, &part, err));
        half = dfx_arena_alloc(&conversion->plan->arena, sizeof *half);
        if (half == NULL)
            return dfx_fail_nomem(err);
        *half = *part;
        half->identity = graft->identity;
        half->found = found;
        half->pairs = found->pairs;
        half->pair_count = found->pair_count;
        part->other_half = half;
        return dfx_plan_note(conversion->plan, err, "%s: completed from %s",
                             graft->component, graft->index->path);
    }
    DFX_TRY(add_outgoing(conversion, graft->component, graft->identity, found,
                         old, &part, err));
    return dfx_plan_note(conversion->plan, err, "%s: taken from %s",
                         graft->component, graft->index->path);
}

/* Each --prefix is of a part that goes out. */
static dfx_status
check_prefixes(const dfx_conversion *conversion, dfx_error *err)
{
    const dfx_convert_options *options = conversion->options;

    for (size_t i = 0; i < options->prefix_count; i++) {
        size_t p = 0;

        while (p < conversion->part_count &&
               assigned(&options->prefixes[i], 1, conversion->parts[p].name) ==
                   NULL)
            p++;
        if (p == conversion->part_count)
            return dfx_fail_usage(err,
                                  "--prefix: \"%s\" is of no component "
                                  "that is written",
                                  options->prefixes[i]);
    }
    return DFX_OK;
}

dfx_status
dfx_parts_choose(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_identity *identity = conversion->identity;
    const dfx_convert_options *options = conversion->options;

    DFX_TRY(check_only(conversion, err));
    conversion->parts =
        dfx_arena_array(&conversion->plan->arena,
                        identity->found_count + options->graft_count + 1,
                        sizeof *conversion->parts);
    if (conversion->parts == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];
        const char *name = found->view.name;
        const dfx_graft *graft = graft_for(options, name);
        dfx_outgoing *part;

        if (!in_list(options->only, name))
            continue;
        if (!has_place(conversion, found, name)) {
            DFX_TRY(dfx_plan_note(
                conversion->plan, err,
                "lost: %s (%zu tensors) has no place in a single file", name,
                found->view.tensor_count));
            continue;
        }
        if (graft != NULL)
            DFX_TRY(add_graft(conversion, graft, found, err));
        else
            DFX_TRY(add_outgoing(conversion, name, identity, found, found,
                                 &part, err));
    }
    for (size_t i = 0; i < options->graft_count; i++) {
        const dfx_graft *graft = &options->grafts[i];

        if (dfx_identity_find(identity, graft->component) != NULL ||
            !in_list(options->only, graft->component))
            continue;
        if (!has_slot(conversion, graft->component))
            return dfx_fail_usage(
                err, "--component: a single file has no place for \"%s\"",
                graft->component);
        DFX_TRY(add_graft(conversion, graft, NULL, err));
    }
    return check_prefixes(conversion, err);
}

/* ---- Adding -------------------------------------------------------------- */

/* Tensors of a component that no table knows, under their own names. */
static dfx_status
add_as_it_is(dfx_conversion *conversion, const dfx_outgoing *part,
             uint32_t component, const char *prefix, dfx_error *err)
{
    const dfx_part *view = &part->found->view;
    const dfx_index *index = part->identity->index;

    for (size_t i = 0; i < view->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[view->tensors[i]];
        const char *name = t->name;
        const dfx_expr *x;

        if (part->identity == conversion->identity)
            DFX_TRY(averaged(conversion, &t, err));
        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
        if (strcmp(prefix, view->prefix) != 0) {
            name = dfx_arena_printf(&conversion->plan->arena, "%s%s", prefix,
                                    name + strlen(view->prefix));
            if (name == NULL)
                return dfx_fail_nomem(err);
        }
        DFX_TRY(dfx_conversion_add(conversion, component, name, x, part, err));
    }
    return DFX_OK;
}

static dfx_status
add_to_folder(dfx_conversion *conversion, const dfx_outgoing *part,
              uint32_t component, dfx_error *err)
{
    if (part->found->kind == NULL || part->kind->rows == NULL) {
        if (part->found->view.layout == DFX_LAYOUT_ORIGINAL)
            return dfx_fail(err, DFX_RULE_FAMILY_UNKNOWN, DFX_NO_OFFSET,
                            "%s: %s is recognised, but no table converts it",
                            part->name, part->found->view.family);
        return add_as_it_is(conversion, part, component, "", err);
    }
    for (size_t i = 0; i < part->pair_count; i++) {
        const dfx_expr *x;

        DFX_TRY(pair_expr(conversion, part, &part->pairs[i], &x, err));
        DFX_TRY(dfx_conversion_add(conversion, component, part->pairs[i].folder,
                                   x, part, err));
    }
    return DFX_OK;
}

static const char *
implied_of(const dfx_kind *kind)
{
    for (size_t i = 0; i < kind->signature_count; i++)
        if (kind->signatures[i].implied != NULL)
            return kind->signatures[i].implied;
    return "";
}

static dfx_status
add_original(dfx_conversion *conversion, const dfx_outgoing *part,
             const dfx_pair *pair, const dfx_expr *x, dfx_error *err)
{
    const char *implied = implied_of(part->kind);
    const char *tail = pair->original;
    char *name;

    if (part->bare && strncmp(tail, implied, strlen(implied)) == 0)
        tail += strlen(implied);
    name =
        dfx_arena_printf(&conversion->plan->arena, "%s%s", part->prefix, tail);
    if (name == NULL)
        return dfx_fail_nomem(err);
    return dfx_conversion_add(conversion, 0, name, x, part, err);
}

/* STACK: the pairs of one original name, which the table need not give in a
   row: q.weight, k.weight, v.weight. */
static dfx_status
stack(dfx_conversion *conversion, const dfx_outgoing *part, size_t first,
      const dfx_expr **out, dfx_error *err)
{
    const dfx_pair *pairs = part->pairs;
    uint32_t parts = pairs[first].parts;
    const dfx_expr **xs =
        dfx_arena_array(&conversion->plan->arena, parts, sizeof *xs);
    uint32_t count = 0;
    dfx_status status;

    if (xs == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = first; i < part->pair_count && count < parts; i++)
        if (strcmp(pairs[i].original, pairs[first].original) == 0) {
            DFX_TRY(pair_expr(conversion, part, &pairs[i], &xs[pairs[i].part],
                              err));
            count++;
        }
    status = dfx_expr_concat(&conversion->plan->arena, xs, parts, out, err);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, pairs[first].folder);
    return status;
}

static dfx_status
add_to_file(dfx_conversion *conversion, const dfx_outgoing *part,
            dfx_error *err)
{
    const dfx_found *found = part->found;
    bool file_keeps_names =
        found->component == 0 && part->identity->layout == DFX_LAYOUT_ORIGINAL;

    if (found->kind == NULL)
        return add_as_it_is(conversion, part, 0, "", err);
    if (part->kind->rows == NULL || file_keeps_names)
        return add_as_it_is(conversion, part, 0, part->prefix, err);
    for (size_t i = 0; i < part->pair_count; i++) {
        const dfx_pair *pair = &part->pairs[i];
        const dfx_expr *x;
        dfx_status status;

        if (pair->op == DFX_OP_STACK && pair->part > 0)
            continue;
        if (pair->op == DFX_OP_STACK)
            DFX_TRY(stack(conversion, part, i, &x, err));
        else
            DFX_TRY(pair_expr(conversion, part, pair, &x, err));
        status = to_original(&conversion->plan->arena, x, pair, &x, err);
        if (status != DFX_OK) {
            dfx_error_in_tensor(err, pair->folder);
            return status;
        }
        DFX_TRY(add_original(conversion, part, pair, x, err));
    }
    return DFX_OK;
}

dfx_status
dfx_parts_add(dfx_conversion *conversion, dfx_error *err)
{
    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];

        for (; part != NULL; part = part->other_half)
            if (conversion->to == DFX_LAYOUT_DIFFUSERS)
                DFX_TRY(add_to_folder(conversion, part, (uint32_t)i, err));
            else
                DFX_TRY(add_to_file(conversion, part, err));
    }
    return DFX_OK;
}
