/*
 * residue.c - what has no place on the other side, and how it comes back
 *
 * A folder keeps it in dfx_residue.safetensors: tensors under their original
 * names, the original header where ours would differ, and in the metadata key
 * "dfx.residue" which prefixes the names had and what the metadata was. A file
 * keeps the configs that it cannot imply in its own metadata, same key. Both
 * are small JSON objects with "schema": 1:
 *
 *   folder: {"schema", "prefixes": {component: text}, "bare": [component],
 *            "metadata": [[key, value]], "residue": the file's own text}
 *   file:   {"schema", "set": name, "documents": {path: value, or the text if
 *            printing the value would not give it back, or null: not there}}
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "document.h"
#include "registry.h"

/* ---- Reading ------------------------------------------------------------- */

dfx_status
dfx_residue_read(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    uint32_t component = dfx_index_find_component(index, DFX_RESIDUE);

    if (component == UINT32_MAX)
        component = 0;
    DFX_TRY(dfx_residue_parse(index, component, &conversion->residue, err));
    if (conversion->residue != NULL ||
        dfx_index_find_meta(index, component, DFX_RESIDUE_KEY) == NULL)
        return DFX_OK;
    return dfx_plan_note(conversion->plan, err,
                         "the metadata key %s is not one of ours: ignored",
                         DFX_RESIDUE_KEY);
}

/* ---- To a folder --------------------------------------------------------- */

static bool
is_grafted(const dfx_conversion *conversion, const char *component)
{
    const dfx_convert_options *options = conversion->options;

    for (size_t i = 0; i < options->graft_count; i++)
        if (strcmp(options->grafts[i].component, component) == 0)
            return true;
    return false;
}

/* Will the way back write the names that the file has? Not if those are a
   folder's, and a file of its own has others. */
static bool
names_come_back(const dfx_found *found)
{
    if (found->view.layout == DFX_LAYOUT_ORIGINAL)
        return true;
    for (size_t i = 0; i < found->kind->signature_count; i++)
        if (found->kind->signatures[i].layout == DFX_LAYOUT_ORIGINAL)
            return false;
    return true;
}

/* Prefixes, and which names lack their implied part. */
static dfx_status
describe_names(const dfx_conversion *conversion, cJSON *doc, dfx_error *err)
{
    cJSON *prefixes = cJSON_AddObjectToObject(doc, "prefixes");
    cJSON *bare = cJSON_CreateArray();

    if (prefixes == NULL || bare == NULL) {
        cJSON_Delete(bare);
        return dfx_fail_nomem(err);
    }
    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];
        const dfx_found *found = part->found;

        if (found->component != 0 || found->kind == NULL ||
            !names_come_back(found) || is_grafted(conversion, part->name))
            continue;
        if (cJSON_AddStringToObject(prefixes, part->name, found->view.prefix) ==
                NULL ||
            (found->signature->implied != NULL &&
             !cJSON_AddItemToArray(bare, cJSON_CreateString(part->name)))) {
            cJSON_Delete(bare);
            return dfx_fail_nomem(err);
        }
    }
    if (cJSON_GetArraySize(bare) == 0)
        cJSON_Delete(bare);
    else
        cJSON_AddItemToObject(doc, "bare", bare);
    return DFX_OK;
}

static dfx_status
describe_metadata(const dfx_index *index, cJSON *doc, dfx_error *err)
{
    const char *own = dfx_index_find_meta(index, 0, DFX_RESIDUE_KEY);
    cJSON *list = NULL;

    if (own != NULL && cJSON_AddStringToObject(doc, "residue", own) == NULL)
        return dfx_fail_nomem(err);

    for (size_t i = 0; i < index->meta_count; i++) {
        const dfx_meta *meta = &index->metadata[i];
        cJSON *pair;

        if (meta->component != 0 || strcmp(meta->key, DFX_RESIDUE_KEY) == 0)
            continue;
        if (list == NULL)
            list = cJSON_AddArrayToObject(doc, "metadata");
        pair = cJSON_CreateArray();
        if (!cJSON_AddItemToArray(pair, cJSON_CreateString(meta->key)) ||
            !cJSON_AddItemToArray(pair, cJSON_CreateString(meta->value)) ||
            !cJSON_AddItemToArray(list, pair)) {
            cJSON_Delete(pair);
            return dfx_fail_nomem(err);
        }
    }
    return DFX_OK;
}

static bool
names_are_usual(const dfx_conversion *conversion)
{
    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];
        const dfx_set *set = conversion->identity->set;
        const char *usual = part->kind != NULL ? part->kind->lone_prefix : NULL;

        if (part->found->component != 0 || part->kind == NULL ||
            !names_come_back(part->found))
            continue;
        if (set != NULL && set->slots != NULL)
            for (const dfx_slot *s = set->slots; s->component != NULL; s++)
                if (strcmp(s->component, part->name) == 0 && s->prefix != NULL)
                    usual = s->prefix;
        if (part->found->signature->implied != NULL ||
            strcmp(part->found->view.prefix, usual != NULL ? usual : "") != 0)
            return false;
    }
    return true;
}

/* Are the bytes of a piece in the source at the same place? */
static dfx_status
piece_is_there(const dfx_io *source, const dfx_piece *piece, bool *same,
               dfx_error *err)
{
    size_t size = (size_t)piece->expr->bytes; /* it is in memory */
    uint8_t *there;
    dfx_status status;

    *same = false;
    if (piece->offset > dfx_io_size(source) ||
        size > dfx_io_size(source) - piece->offset)
        return DFX_OK;
    there = malloc(size + 1);
    if (there == NULL)
        return dfx_fail_nomem(err);
    status = dfx_io_read_at(source, piece->offset, there, size, err);
    *same = status == DFX_OK && memcmp(there, piece->expr->data, size) == 0;
    free(there);
    return status;
}

/* Does a plan begin as the source does, up to the end of the header? */
static dfx_status
begins_alike(const dfx_index *index, const dfx_plan *plan, bool *alike,
             dfx_error *err)
{
    const dfx_output *output = &plan->outputs[0];
    uint64_t end = index->header.offset + index->header.size;
    bool same = plan->output_count == 1;

    for (size_t i = 0; i < output->piece_count && same; i++) {
        const dfx_piece *piece = &output->pieces[i];

        if (piece->offset >= end)
            break;
        same = piece->expr->node == DFX_NODE_BYTES &&
               piece->offset + piece->expr->bytes <= end;
        if (same)
            DFX_TRY(piece_is_there(index->header.io, piece, &same, err));
    }
    *alike = same;
    return DFX_OK;
}

/*
 * Would the way back write the same header? Lays the source's tensors out as
 * they are and compares what comes before them with what the source has there.
 */
static dfx_status
header_is_ours(const dfx_conversion *conversion, bool *ours, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    const dfx_format *format = dfx_format_named(index->format);
    dfx_bundle_component component = {.name = ""};
    dfx_bundle bundle = {.components = &component, .component_count = 1};
    const char *kept = dfx_index_find_meta(index, 0, DFX_RESIDUE_KEY);
    dfx_plan *plan = NULL;
    dfx_status status;

    *ours = true;
    if (index->header.io == NULL || format == NULL || format->lay_out == NULL)
        return DFX_OK;
    *ours = false;
    status = dfx_plan_new("", false, &plan, err);
    for (size_t i = 0; i < index->tensor_count && status == DFX_OK; i++) {
        const dfx_expr *x;

        status = dfx_expr_tensor(&plan->arena, &index->tensors[i], &x, err);
        if (status == DFX_OK)
            status = dfx_bundle_add(&bundle, 0, index->tensors[i].name, x, err);
    }
    if (status == DFX_OK && kept != NULL)
        status = dfx_bundle_add_meta(&bundle, 0, DFX_RESIDUE_KEY, kept, err);
    if (status == DFX_OK)
        status = format->lay_out(&bundle, "", plan, err);
    if (status == DFX_OK)
        status = begins_alike(index, plan, ours, err);
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
    return status;
}

static dfx_status
new_side_car(dfx_conversion *conversion, uint32_t *component)
{
    *component = (uint32_t)conversion->component_count;
    conversion->components[conversion->component_count++] =
        (dfx_bundle_component){
            .name = "",
            .weights = DFX_RESIDUE,
            .is_side_car = true,
        };
    conversion->bundle.component_count = conversion->component_count;
    return DFX_OK;
}

static dfx_status
add_side_car_text(dfx_conversion *conversion, uint32_t component,
                  dfx_error *err)
{
    cJSON *doc = cJSON_CreateObject();
    char *text = NULL, *copy;
    dfx_status status;

    if (doc == NULL ||
        !dfx_doc_set(doc, "schema", dfx_doc_new_int(DFX_RESIDUE_SCHEMA)))
        status = dfx_fail_nomem(err);
    else
        status = describe_names(conversion, doc, err);
    if (status == DFX_OK)
        status = describe_metadata(conversion->index, doc, err);
    if (status == DFX_OK) {
        text = dfx_doc_print_compact(doc);
        copy = text != NULL ? dfx_arena_strdup(&conversion->plan->arena, text)
                            : NULL;
        status = copy == NULL
                     ? dfx_fail_nomem(err)
                     : dfx_bundle_add_meta(&conversion->bundle, component,
                                           DFX_RESIDUE_KEY, copy, err);
    }
    free(text);
    cJSON_Delete(doc);
    return status;
}

/* From a folder the side-car goes along as it is. */
static dfx_status
carry_side_car(dfx_conversion *conversion, uint32_t from, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    uint32_t component;

    if (from == UINT32_MAX || conversion->options->plain ||
        conversion->options->only != NULL)
        return DFX_OK;
    DFX_TRY(new_side_car(conversion, &component));
    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        const dfx_expr *x;

        if (t->component != from)
            continue;
        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
        DFX_TRY(
            dfx_bundle_add(&conversion->bundle, component, t->name, x, err));
    }
    for (size_t i = 0; i < index->meta_count; i++)
        if (index->metadata[i].component == from)
            DFX_TRY(dfx_bundle_carry_meta(&conversion->bundle, component,
                                          &index->metadata[i], err));
    return DFX_OK;
}

static dfx_status
file_to_folder(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    const dfx_identity *identity = conversion->identity;
    dfx_tallies counts = {.kept = {.count = 0}};
    uint32_t component = UINT32_MAX;
    bool plain =
        conversion->options->plain || conversion->options->only != NULL;
    bool ours = true;

    for (size_t i = 0; i < identity->leftover_count; i++) {
        const dfx_leftover_found *left = &identity->leftovers[i];
        const dfx_tensor *t = &index->tensors[left->tensor];
        const dfx_expr *x;
        bool keep;

        DFX_TRY(dfx_leftover_keeps(conversion, left, &counts, &keep, err));
        if (!keep)
            continue;
        if (component == UINT32_MAX)
            DFX_TRY(new_side_car(conversion, &component));
        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
        DFX_TRY(
            dfx_bundle_add(&conversion->bundle, component, t->name, x, err));
        dfx_tallies_keep(&counts, left->what, t->data.size);
    }
    DFX_TRY(dfx_tallies_note(conversion->plan, &counts,
                             "kept in " DFX_RESIDUE ".safetensors", err));
    if (!plain)
        DFX_TRY(header_is_ours(conversion, &ours, err));
    if (plain) {
        size_t lost = 0;

        for (size_t i = 0; i < index->meta_count; i++)
            lost += strcmp(index->metadata[i].key, DFX_RESIDUE_KEY) != 0;
        return lost > 0 ? dfx_plan_note(conversion->plan, err,
                                        "lost: the file's metadata (%zu key%s)",
                                        lost, lost == 1 ? "" : "s")
                        : DFX_OK;
    }
    if (component == UINT32_MAX && ours && names_are_usual(conversion))
        return DFX_OK;
    if (component == UINT32_MAX)
        DFX_TRY(new_side_car(conversion, &component));
    if (!ours) {
        uint64_t shape = index->header.size;
        dfx_tensor header = {
            .name = DFX_RESIDUE_HEADER,
            .type = DFX_TYPE_U8,
            .rank = 1,
            .shape = &shape,
            .data = index->header,
        };
        const dfx_expr *x;

        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, &header, &x, err));
        DFX_TRY(dfx_bundle_add(&conversion->bundle, component,
                               DFX_RESIDUE_HEADER, x, err));
    }
    return add_side_car_text(conversion, component, err);
}

dfx_status
dfx_residue_to_folder(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    uint32_t side_car = dfx_index_find_component(index, DFX_RESIDUE);
    const dfx_identity *identity = conversion->identity;
    dfx_tallies counts = {.kept = {.count = 0}};

    if (identity->layout == DFX_LAYOUT_ORIGINAL || index->file_count == 0)
        return file_to_folder(conversion, err);
    /* Names of a folder's own that no table has stay in their component. */
    for (size_t i = 0; i < identity->leftover_count; i++) {
        const dfx_leftover_found *left = &identity->leftovers[i];
        const dfx_tensor *t = &index->tensors[left->tensor];
        bool keep;

        DFX_TRY(dfx_leftover_keeps(conversion, left, &counts, &keep, err));
        for (size_t p = 0; p < conversion->part_count && keep; p++) {
            const dfx_outgoing *part = &conversion->parts[p];
            const dfx_expr *x;

            if (part->identity != identity ||
                part->found->component != t->component)
                continue;
            DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
            DFX_TRY(dfx_conversion_add(conversion, (uint32_t)p, t->name, x,
                                       part, err));
            break; /* a file of two parts gives it once */
        }
    }
    DFX_TRY(dfx_tallies_note(conversion->plan, &counts, "kept", err));
    return carry_side_car(conversion, side_car, err);
}
