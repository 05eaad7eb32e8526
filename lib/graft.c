/*
 * graft.c - the files of a folder once components come from elsewhere
 *
 * Such a component brings its own config.json if it has one. If not, what its
 * tensors decide is written into the config of its place, and the rest stays,
 * for only the pipeline knows it (the scaling factor of a VAE).
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "convert.h"
#include "document.h"

static bool
is_from_elsewhere(const dfx_conversion *conversion, const dfx_outgoing *part)
{
    return part->identity != conversion->identity;
}

static const dfx_outgoing *
outgoing_named(const dfx_conversion *conversion, const char *name)
{
    for (size_t i = 0; i < conversion->part_count; i++)
        if (strcmp(conversion->parts[i].name, name) == 0)
            return &conversion->parts[i];
    return NULL;
}

/* ---- What a file becomes ------------------------------------------------- */

static void
take_part(dfx_identity *all, const dfx_found *found, const char *name)
{
    dfx_found *copy = &all->found[all->found_count++];

    *copy = *found;
    copy->view.name = name;
}

dfx_status
dfx_grafts_identity(dfx_conversion *conversion, dfx_identity *all,
                    dfx_error *err)
{
    const dfx_identity *own = conversion->identity;

    *all = *own;
    all->arena = (dfx_arena){NULL}; /* nothing is to be put there */
    all->found_count = 0;
    all->found = dfx_arena_array(&conversion->plan->arena,
                                 own->found_count + conversion->part_count,
                                 sizeof *all->found);
    if (all->found == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < own->found_count; i++) {
        const dfx_found *found = &own->found[i];
        const dfx_outgoing *part = outgoing_named(conversion, found->view.name);

        if (found == own->decider)
            all->decider = &all->found[all->found_count];
        take_part(all,
                  part != NULL && is_from_elsewhere(conversion, part)
                      ? part->found
                      : found,
                  found->view.name);
    }
    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];

        if (is_from_elsewhere(conversion, part) &&
            dfx_identity_find(own, part->name) == NULL)
            take_part(all, part->found, part->name);
    }
    return DFX_OK;
}

/* ---- What a folder's files become ---------------------------------------- */

static dfx_blob *
find_blob(dfx_bundle *bundle, const char *path)
{
    for (size_t i = 0; i < bundle->blob_count; i++)
        if (strcmp(bundle->blobs[i].path, path) == 0)
            return &bundle->blobs[i];
    return NULL;
}

static dfx_status
put_blob(dfx_bundle *bundle, const char *path, const dfx_expr *expr,
         dfx_error *err)
{
    dfx_blob *blob = find_blob(bundle, path);

    if (blob == NULL)
        return dfx_bundle_add_blob(bundle, path, expr, err);
    blob->expr = expr;
    return DFX_OK;
}

static dfx_status
adapt(const void *context, cJSON *doc, dfx_error *err)
{
    const dfx_found *found = context;

    if (found->kind->config != NULL)
        DFX_TRY(found->kind->config(&found->facts, false, doc, err));
    return dfx_stored_correct(doc, dfx_stored_type(found), err);
}

/* The graft's own config.json, or what its file keeps of it, which the derived
   config is made from; NULL in *x if there is neither. */
dfx_status
dfx_graft_config(dfx_arena *arena, const dfx_outgoing *part, const dfx_expr **x,
                 dfx_error *err)
{
    const dfx_found *found = part->found;
    const char *made = found->view.config, *kept;
    const char *folder = found->index->components[found->component].name;
    const char *path = dfx_arena_printf(arena, "%s%sconfig.json", folder,
                                        folder[0] != '\0' ? "/" : "");
    const dfx_file *file;

    *x = NULL;
    kept = dfx_arena_printf(arena, "%s/config.json", found->view.name);
    if (path == NULL || kept == NULL)
        return dfx_fail_nomem(err);
    if (made != NULL && dfx_identity_kept(part->identity, kept) != NULL)
        return dfx_expr_bytes(arena, made, strlen(made), x, err);
    file = dfx_index_find_file(found->index, path);
    return file != NULL ? dfx_file_expr(arena, path, &file->data, x, err)
                        : DFX_OK;
}

static dfx_status
put_config(dfx_conversion *conversion, const dfx_outgoing *part,
           const char *folder, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    const dfx_found *found = part->found;
    const char *path = dfx_arena_printf(arena, "%s%sconfig.json", folder,
                                        folder[0] != '\0' ? "/" : "");
    const char *made = found->view.config;
    dfx_blob *blob;
    const dfx_expr *x;

    if (path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_graft_config(arena, part, &x, err));
    blob = find_blob(&conversion->bundle, path);
    if (x == NULL && blob != NULL)
        return dfx_blob_edit(arena, blob, adapt, part->found, err);
    if (x == NULL && made != NULL)
        DFX_TRY(dfx_expr_bytes(arena, made, strlen(made), &x, err));
    return x != NULL ? put_blob(&conversion->bundle, path, x, err) : DFX_OK;
}

/* A place that was empty, or had another class, is filled now. */
static dfx_status
list_part(const void *context, cJSON *doc, dfx_error *err)
{
    const dfx_outgoing *part = context;
    const char *class_name = part->found->view.class_name;
    const char *listed = cJSON_GetStringValue(
        cJSON_GetArrayItem(dfx_doc_get(doc, part->name), 1));
    const char *pair[2] = {
        part->kind->is_transformers ? "transformers" : "diffusers", class_name};

    if (class_name == NULL ||
        (listed != NULL && strcmp(listed, class_name) == 0))
        return DFX_OK;
    return dfx_doc_set(doc, part->name, cJSON_CreateStringArray(pair, 2))
               ? DFX_OK
               : dfx_fail_nomem(err);
}

dfx_status
dfx_grafts_files(dfx_conversion *conversion, dfx_error *err)
{
    dfx_blob *list = find_blob(&conversion->bundle, DFX_MODEL_INDEX);

    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];

        if (!is_from_elsewhere(conversion, part))
            continue;
        if (list != NULL)
            DFX_TRY(dfx_blob_edit(&conversion->plan->arena, list, list_part,
                                  part, err));
        DFX_TRY(
            put_config(conversion, part, conversion->components[i].name, err));
        list =
            find_blob(&conversion->bundle, DFX_MODEL_INDEX); /* it may move */
    }
    return DFX_OK;
}
