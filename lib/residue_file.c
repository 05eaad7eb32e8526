/*
 * residue_file.c - to a single file: what comes back from the side-car, and
 * what the file keeps of the folder in its metadata
 *
 * Whether a config can be left out is not guessed: the file's tensors are put
 * into an index, identified and configured as a later reader will do it, and
 * what then differs from the folder's files is kept.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "convert.h"
#include "document.h"

enum {
    MAX_DOCUMENT =
        64 * 1024, /* what is kept word for word: a config has 2 KiB */
    MAX_FILE =
        4 * 1024 * 1024,    /* what may be one of ours: the vocabulary, 1 MiB */
    MAX_HEADER = 100000000, /* as formats read: what is kept was read */
    MAX_NUMBERS = 64        /* a marker holds four */
};

/* ---- Markers ------------------------------------------------------------- */

/* A number or a list of them as F32 of the marker's shape. */
static dfx_status
numbers(dfx_arena *arena, const dfx_marker *marker, const cJSON *field,
        const dfx_expr **out, dfx_error *err)
{
    const dfx_expr *xs[MAX_NUMBERS];
    const cJSON *node = cJSON_IsArray(field) ? field->child : field;
    size_t count = 0;
    uint64_t one = 1;
    double value;

    for (; node != NULL && count < MAX_NUMBERS; count++) {
        if (!dfx_doc_number(node, &value))
            return dfx_fail(err, DFX_RULE_EXPR_SHAPE, DFX_NO_OFFSET,
                            "%s: %s holds something else than numbers",
                            marker->document, marker->field);
        DFX_TRY(dfx_expr_const(arena, DFX_TYPE_F32, 1, &one, value, &xs[count],
                               err));
        node = cJSON_IsArray(field) ? node->next : NULL;
    }
    DFX_TRY(dfx_expr_concat(arena, xs, count, out, err));
    return dfx_expr_reshape(arena, *out, marker->rank, marker->shape, out, err);
}

static dfx_status
add_marker(dfx_conversion *conversion, const dfx_marker *marker, dfx_error *err)
{
    const dfx_file *file =
        dfx_index_find_file(conversion->index, marker->document);
    dfx_arena *arena = &conversion->plan->arena;
    const dfx_expr *x = NULL;
    cJSON *doc = NULL;
    dfx_status status = DFX_OK;

    if (file == NULL)
        return DFX_OK;
    DFX_TRY(dfx_doc_read(&file->data, &doc, err));
    if (dfx_marker_says(marker, doc)) {
        if (conversion->options->plain)
            status = dfx_plan_note(conversion->plan, err,
                                   "lost: %s of %s has no key in the file that "
                                   "the reference writes",
                                   marker->field, marker->document);
        else if (marker->value != NULL)
            status = dfx_expr_const(arena, DFX_TYPE_F32, marker->rank,
                                    marker->shape, 0, &x, err);
        else
            status = numbers(arena, marker, dfx_doc_get(doc, marker->field), &x,
                             err);
    }
    cJSON_Delete(doc);
    if (status == DFX_OK && x != NULL)
        status = dfx_bundle_add(&conversion->bundle, 0, marker->tensor, x, err);
    return status;
}

static dfx_status
add_markers(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_identity *identity = conversion->identity;
    const dfx_marker *marker = dfx_pipelines_table.markers;

    if (identity->set == NULL || identity->set->slots == NULL ||
        conversion->options->only != NULL)
        return DFX_OK;
    for (; marker != NULL && marker->tensor != NULL; marker++) {
        if (marker->tensor[0] == '\0' ||
            strcmp(marker->family, identity->set->family) != 0)
            continue;
        if (marker->unless != NULL &&
            dfx_facts_get(&identity->decider->facts, marker->unless, 0, 0) != 0)
            continue;
        DFX_TRY(add_marker(conversion, marker, err));
    }
    return DFX_OK;
}

/* ---- The side-car comes back --------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

/* The names of a bundle's items, sorted; owned. NULL if memory ran out. */
static const char **
sorted_names(const dfx_bundle *bundle)
{
    const char **names = malloc((bundle->item_count + 1) * sizeof *names);

    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < bundle->item_count; i++)
        names[i] = bundle->items[i].name;
    qsort(names, bundle->item_count, sizeof *names, compare_names);
    return names;
}

static dfx_status
read_header(dfx_conversion *conversion, const dfx_tensor *t, dfx_error *err)
{
    uint8_t *header;

    if (t->type != DFX_TYPE_U8 || t->data.size > MAX_HEADER)
        return DFX_OK; /* not one of ours */
    header = dfx_arena_alloc(&conversion->plan->arena, (size_t)t->data.size);
    if (header == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_extent_read(&t->data, 0, header, (size_t)t->data.size, err));
    conversion->bundle.header = header;
    conversion->bundle.header_size = (size_t)t->data.size;
    return DFX_OK;
}

/* The side-car's tensors but those that a component of the folder has now:
   names, sorted. */
static dfx_status
restore_tensors(dfx_conversion *conversion, uint32_t side_car,
                const char **names, size_t name_count, dfx_error *err)
{
    const dfx_index *index = conversion->index;

    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        const dfx_expr *x;

        if (t->component != side_car)
            continue;
        if (strcmp(t->name, DFX_RESIDUE_HEADER) == 0) {
            DFX_TRY(read_header(conversion, t, err));
            continue;
        }
        if (bsearch(&t->name, names, name_count, sizeof *names,
                    compare_names) != NULL)
            continue;
        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
        DFX_TRY(dfx_bundle_add(&conversion->bundle, 0, t->name, x, err));
    }
    return DFX_OK;
}

static dfx_status
restore(dfx_conversion *conversion, uint32_t side_car, dfx_error *err)
{
    const char **names = sorted_names(&conversion->bundle);
    const cJSON *pair;
    dfx_status status;

    if (names == NULL)
        return dfx_fail_nomem(err);
    status = restore_tensors(conversion, side_car, names,
                             conversion->bundle.item_count, err);
    free(names);
    DFX_TRY(status);
    cJSON_ArrayForEach(pair, dfx_doc_get(conversion->residue, "metadata"))
    {
        const cJSON *key = cJSON_GetArrayItem(pair, 0);
        const cJSON *value = cJSON_GetArrayItem(pair, 1);

        if (cJSON_IsString(key) && cJSON_IsString(value))
            DFX_TRY(dfx_bundle_add_meta(&conversion->bundle, 0,
                                        key->valuestring, value->valuestring,
                                        err));
    }
    return DFX_OK;
}

/* Names that a folder's component has and no table: they keep their place
   behind the component's prefix. */
static dfx_status
add_leftovers(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_identity *identity = conversion->identity;
    dfx_tallies counts = {.kept = {.count = 0}};

    for (size_t i = 0; i < identity->leftover_count; i++) {
        const dfx_leftover_found *left = &identity->leftovers[i];
        const dfx_tensor *t = &conversion->index->tensors[left->tensor];
        bool keep;

        DFX_TRY(dfx_leftover_keeps(conversion, left, &counts, &keep, err));
        for (size_t p = 0; p < conversion->part_count && keep; p++) {
            const dfx_outgoing *part = &conversion->parts[p];
            const dfx_expr *x;
            char *name;

            if (part->identity != identity ||
                part->found->component != t->component)
                continue;
            name = dfx_arena_printf(&conversion->plan->arena, "%s%s",
                                    part->prefix, t->name);
            if (name == NULL)
                return dfx_fail_nomem(err);
            DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
            DFX_TRY(dfx_bundle_add(&conversion->bundle, 0, name, x, err));
            dfx_tallies_keep(&counts, left->what, t->data.size);
            break; /* a file of two parts gives it once */
        }
    }
    return dfx_tallies_note(conversion->plan, &counts, "kept", err);
}

/* ---- What a later reader would see --------------------------------------- */

/* The tensors to be written as an index; data only of those that are no part's
   (from first_extra on), which configs may be made from. */
static dfx_status
fill_preview(const dfx_conversion *conversion, dfx_index *preview,
             size_t first_extra, dfx_error *err)
{
    const dfx_bundle *bundle = &conversion->bundle;
    uint32_t component;

    DFX_TRY(dfx_index_component(preview, "", &component, err));
    for (size_t i = 0; i < bundle->item_count; i++) {
        const dfx_item *item = &bundle->items[i];
        dfx_tensor *t;

        if (!dfx_grow(&preview->tensors, &preview->tensor_capacity,
                      preview->tensor_count, sizeof *preview->tensors))
            return dfx_fail_nomem(err);
        t = &preview->tensors[preview->tensor_count++];
        *t = (dfx_tensor){
            .name = item->name,
            .component = component,
            .type = item->expr->type,
            .rank = item->expr->rank,
            .shape = item->expr->shape,
        };
        if (i >= first_extra && item->expr->elements <= MAX_NUMBERS) {
            size_t size = (size_t)item->expr->bytes;
            void *data = dfx_arena_alloc(&preview->arena, size);
            dfx_io *io;

            if (data == NULL)
                return dfx_fail_nomem(err);
            DFX_TRY(
                dfx_expr_pull(item->expr, 0, item->expr->elements, data, err));
            DFX_TRY(dfx_io_open_memory(data, size, item->name, &io, err));
            DFX_TRY(dfx_index_take_io(preview, io, err));
            t->data = (dfx_extent){.io = io, .offset = 0, .size = size};
        }
    }
    return dfx_index_seal(preview, err);
}

/* A text as a document: its value if that prints back the same. */
static cJSON *
as_document(const char *text, size_t size)
{
    cJSON *doc = NULL;
    char *printed = NULL;

    if (dfx_doc_parse(text, size, "", &doc, NULL) == DFX_OK)
        printed = dfx_doc_print(doc, false);
    if (printed == NULL || cJSON_IsString(doc) || cJSON_IsNull(doc) ||
        strlen(printed) != size || memcmp(printed, text, size) != 0) {
        cJSON_Delete(doc);
        doc = cJSON_CreateString(text);
    }
    free(printed);
    return doc;
}

static const dfx_config_file *
made_file(const dfx_config_file *files, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static bool
is_json(const char *path)
{
    size_t size = strlen(path);

    return size > 5 && strcmp(path + size - 5, ".json") == 0;
}

/* model_index.json without the components that stay behind. */
static dfx_status
without_lost_parts(const dfx_conversion *conversion, char **text, size_t *size,
                   dfx_error *err)
{
    const dfx_identity *identity = conversion->identity;
    cJSON *doc = NULL;
    bool changed = false;

    DFX_TRY(dfx_doc_parse(*text, *size, DFX_MODEL_INDEX, &doc, err));
    for (size_t i = 0; i < identity->found_count; i++) {
        const char *name = identity->found[i].view.name;
        char requires[DFX_ERROR_CHARS];
        bool stays = true;
        cJSON *none;

        for (size_t p = 0; p < conversion->part_count; p++)
            stays = stays && strcmp(conversion->parts[p].name, name) != 0;
        if (!stays || dfx_doc_get(doc, name) == NULL)
            continue;
        none = cJSON_CreateArray();
        cJSON_AddItemToArray(none, cJSON_CreateNull());
        cJSON_AddItemToArray(none, cJSON_CreateNull());
        snprintf(requires, sizeof requires, "requires_%s", name);
        if (!dfx_doc_set(doc, name, none) ||
            (cJSON_IsTrue(dfx_doc_get(doc, requires)) &&
             !dfx_doc_set(doc, requires, cJSON_CreateFalse()))) {
            cJSON_Delete(doc);
            return dfx_fail_nomem(err);
        }
        changed = true;
    }
    if (changed) {
        char *printed = dfx_doc_print(doc, false);

        if (printed != NULL) {
            free(*text);
            *text = printed;
            *size = strlen(printed);
        }
    }
    cJSON_Delete(doc);
    return DFX_OK;
}

/* Does the component of a file stay behind, so that its files do too? */
static bool
stays_behind(const dfx_conversion *conversion, uint32_t component)
{
    const dfx_identity *identity = conversion->identity;

    for (size_t p = 0; p < conversion->part_count; p++)
        if (conversion->parts[p].identity == identity &&
            conversion->parts[p].found->component == component)
            return false;
    for (size_t i = 0; i < identity->found_count; i++)
        if (identity->found[i].component == component)
            return true;
    return false;
}

static dfx_status
note_lost(dfx_conversion *conversion, const char *path,
          const dfx_config_file *made, dfx_error *err)
{
    return dfx_plan_note(conversion->plan, err,
                         "lost: %s has no place in a single file%s", path,
                         made != NULL ? " and is not the usual one" : "");
}

/* What stands for a file in the residue: the name of an embedded one, its value
   or its text; NULL if it is too large or no text. */
static cJSON *
as_kept(const char *path, const char *text, size_t size)
{
    const char *same = dfx_configs_same(text, size);
    cJSON *node;

    if (same == NULL)
        return is_json(path) && size <= MAX_DOCUMENT && strlen(text) == size
                   ? as_document(text, size)
                   : NULL;
    node = cJSON_CreateObject();
    if (node != NULL &&
        cJSON_AddStringToObject(node, DFX_RESIDUE_EMBEDDED, same) == NULL) {
        cJSON_Delete(node);
        node = NULL;
    }
    return node;
}

/* A text of the folder's against the one that a reader would make. */
static dfx_status
compare_text(dfx_conversion *conversion, const char *path, const char *text,
             size_t size, const dfx_config_file *made, cJSON *documents,
             dfx_error *err)
{
    cJSON *kept;

    if (made != NULL && made->size == size &&
        memcmp(made->data, text, size) == 0)
        return DFX_OK;
    kept = conversion->options->plain ? NULL : as_kept(path, text, size);
    if (kept == NULL)
        return note_lost(conversion, path, made, err);
    if (!cJSON_AddItemToObject(documents, path, kept)) {
        cJSON_Delete(kept);
        return dfx_fail_nomem(err);
    }
    return DFX_OK;
}

/* A file of the folder against what a reader of the single file would make. */
static dfx_status
compare_file(dfx_conversion *conversion, const dfx_file *file,
             const dfx_config_file *made, cJSON *documents, dfx_error *err)
{
    size_t size = (size_t)file->data.size;
    char *text;
    dfx_status status;

    if (stays_behind(conversion, file->component))
        return DFX_OK; /* said of the component */
    if (!dfx_conversion_takes(conversion, file->path))
        return DFX_OK;
    if (file->data.size > MAX_FILE)
        return note_lost(conversion, file->path, made, err);
    text = calloc(1, size + 1);
    if (text == NULL)
        return dfx_fail_nomem(err);
    status = dfx_extent_read(&file->data, 0, text, size, err);
    if (status == DFX_OK && strcmp(file->path, DFX_MODEL_INDEX) == 0)
        status = without_lost_parts(conversion, &text, &size, err);
    if (status == DFX_OK)
        status = compare_text(conversion, file->path, text, size, made,
                              documents, err);
    free(text);
    return status;
}

/* The configs of components from elsewhere, against those that files (NULL:
   nobody) would make. */
static dfx_status
compare_grafts(dfx_conversion *conversion, const dfx_config_file *files,
               size_t count, cJSON *documents, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;

    for (size_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];
        const dfx_expr *x = NULL;
        char *path, *text;

        if (part->identity == conversion->identity)
            continue;
        DFX_TRY(dfx_graft_config(arena, part, &x, err));
        if (x == NULL || x->bytes > MAX_FILE)
            continue;
        path = dfx_arena_printf(arena, "%s/config.json", part->name);
        text = dfx_arena_alloc(arena, (size_t)x->bytes + 1);
        if (path == NULL || text == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_expr_pull(x, 0, x->elements, text, err));
        DFX_TRY(compare_text(conversion, path, text, (size_t)x->bytes,
                             made_file(files, count, path), documents, err));
    }
    return DFX_OK;
}

/* Files that a reader would make and the folder does not have. */
static dfx_status
note_absent(const dfx_conversion *conversion, const dfx_config_file *files,
            size_t count, cJSON *documents, dfx_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (dfx_index_find_file(conversion->index, files[i].path) == NULL &&
            !conversion->options->plain &&
            dfx_conversion_takes(conversion, files[i].path) &&
            cJSON_AddNullToObject(documents, files[i].path) == NULL)
            return dfx_fail_nomem(err);
    return DFX_OK;
}

static dfx_status
compare_files(dfx_conversion *conversion, const dfx_identity *seen,
              cJSON *documents, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    const dfx_config_file *files;
    size_t count;

    /* Alone a component may have another name, and files of no use there. */
    for (size_t i = 0; i < conversion->part_count; i++)
        if (conversion->options->only != NULL &&
            dfx_identity_find(seen, conversion->parts[i].name) == NULL)
            return DFX_OK;
    DFX_TRY(
        dfx_configs_make(seen, &conversion->plan->arena, &files, &count, err));
    for (size_t i = 0; i < index->file_count; i++)
        DFX_TRY(compare_file(conversion, &index->files[i],
                             made_file(files, count, index->files[i].path),
                             documents, err));
    DFX_TRY(compare_grafts(conversion, files, count, documents, err));
    return note_absent(conversion, files, count, documents, err);
}

/* The metadata value that keeps the folder's configs; NULL: none is needed. */
static dfx_status
describe_folder(dfx_conversion *conversion, size_t first_extra,
                const char **value, dfx_error *err)
{
    dfx_index *preview = NULL;
    dfx_identity *seen = NULL;
    cJSON *doc = cJSON_CreateObject(), *documents;
    char *text = NULL;
    dfx_status status;

    *value = NULL;
    if (doc == NULL ||
        !dfx_doc_set(doc, "schema", dfx_doc_new_int(DFX_RESIDUE_SCHEMA))) {
        cJSON_Delete(doc);
        return dfx_fail_nomem(err);
    }
    status = dfx_index_new(conversion->plan->dst, &preview, err);
    if (status == DFX_OK)
        status = fill_preview(conversion, preview, first_extra, err);
    if (status == DFX_OK)
        status = dfx_identify(preview, NULL, &seen, err);
    if (status != DFX_OK)
        goto out;
    if (seen->set != NULL)
        cJSON_AddStringToObject(doc, "set", seen->set->name);
    documents = cJSON_AddObjectToObject(doc, "documents");
    if (documents == NULL)
        status = dfx_fail_nomem(err);
    else
        status = compare_files(conversion, seen, documents, err);
    if (status == DFX_OK && documents->child != NULL &&
        (text = dfx_doc_print_compact(doc)) != NULL)
        *value = dfx_arena_strdup(&conversion->plan->arena, text);
    if (status == DFX_OK && documents->child != NULL && *value == NULL)
        status = dfx_fail_nomem(err);
out:
    free(text);
    cJSON_Delete(doc);
    dfx_identity_free(seen);
    dfx_index_free(preview);
    return status;
}

/* ---- The whole ----------------------------------------------------------- */

/* What the file keeps, less the documents of components that do not go along,
   and with those of components from elsewhere. */
static dfx_status
renew_kept(dfx_conversion *conversion, cJSON *doc, dfx_error *err)
{
    cJSON *documents = dfx_doc_get(doc, "documents"), *next;

    if (documents == NULL)
        documents = cJSON_AddObjectToObject(doc, "documents");
    if (documents == NULL)
        return dfx_fail_nomem(err);
    for (cJSON *node = documents->child; node != NULL; node = next) {
        next = node->next;
        if (!dfx_conversion_takes(conversion, node->string))
            cJSON_Delete(cJSON_DetachItemViaPointer(documents, node));
    }
    return compare_grafts(conversion, NULL, 0, documents, err);
}

/* As the metadata value; NULL if nothing is kept. */
static dfx_status
describe_kept(dfx_conversion *conversion, const char **value, dfx_error *err)
{
    cJSON *doc = conversion->residue != NULL
                     ? cJSON_Duplicate(conversion->residue, true)
                     : cJSON_CreateObject();
    char *text = NULL;
    dfx_status status;

    *value = NULL;
    if (doc == NULL ||
        !dfx_doc_set(doc, "schema", dfx_doc_new_int(DFX_RESIDUE_SCHEMA)))
        status = dfx_fail_nomem(err);
    else
        status = renew_kept(conversion, doc, err);
    if (status == DFX_OK && dfx_doc_get(doc, "documents")->child != NULL) {
        text = dfx_doc_print_compact(doc);
        if (text != NULL)
            *value = dfx_arena_strdup(&conversion->plan->arena, text);
        if (*value == NULL)
            status = dfx_fail_nomem(err);
    }
    free(text);
    cJSON_Delete(doc);
    return status;
}

/* The file's own metadata. What it keeps of a folder stays, byte for byte,
   unless components change. */
static dfx_status
carry_metadata(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    const dfx_convert_options *options = conversion->options;
    const char *kept = NULL;
    bool anew = options->only != NULL || options->graft_count > 0;

    if (anew)
        DFX_TRY(describe_kept(conversion, &kept, err));
    if (kept != NULL)
        DFX_TRY(dfx_bundle_add_meta(&conversion->bundle, 0, DFX_RESIDUE_KEY,
                                    kept, err));
    for (size_t i = 0; i < index->meta_count; i++)
        if (index->metadata[i].component == 0 &&
            !(anew && strcmp(index->metadata[i].key, DFX_RESIDUE_KEY) == 0))
            DFX_TRY(dfx_bundle_carry_meta(&conversion->bundle, 0,
                                          &index->metadata[i], err));
    return DFX_OK;
}

/* The header as it was, for the bytes to be the same if the tensors are. */
static dfx_status
carry_header(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_extent *from = &conversion->index->header;
    const dfx_convert_options *options = conversion->options;
    size_t size = (size_t)from->size;
    uint8_t *header;

    if (from->io == NULL || options->only != NULL || options->graft_count > 0)
        return DFX_OK;
    header = dfx_arena_alloc(&conversion->plan->arena, size);
    if (header == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_extent_read(from, 0, header, size, err));
    conversion->bundle.header = header;
    conversion->bundle.header_size = size;
    return DFX_OK;
}

static dfx_status
from_file(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;
    const dfx_identity *identity = conversion->identity;
    dfx_tallies counts = {.kept = {.count = 0}};

    for (size_t i = 0; i < identity->leftover_count; i++) {
        const dfx_leftover_found *left = &identity->leftovers[i];
        const dfx_tensor *t = &index->tensors[left->tensor];
        const dfx_expr *x;
        bool keep;

        DFX_TRY(dfx_leftover_keeps(conversion, left, &counts, &keep, err));
        if (!keep)
            continue;
        DFX_TRY(dfx_expr_tensor(&conversion->plan->arena, t, &x, err));
        DFX_TRY(dfx_conversion_add(conversion, 0, t->name, x, NULL, err));
    }
    DFX_TRY(carry_metadata(conversion, err));
    DFX_TRY(carry_header(conversion, err));
    return dfx_tallies_note(conversion->plan, &counts, "kept", err);
}

dfx_status
dfx_residue_to_file(dfx_conversion *conversion, dfx_error *err)
{
    uint32_t side_car =
        dfx_index_find_component(conversion->index, DFX_RESIDUE);
    const char *had = dfx_doc_string(conversion->residue, "residue");
    size_t first_extra = conversion->bundle.item_count;
    const char *value;

    if (conversion->identity->layout != DFX_LAYOUT_DIFFUSERS ||
        conversion->index->file_count == 0)
        return from_file(conversion, err);
    DFX_TRY(add_leftovers(conversion, err));
    if (side_car != UINT32_MAX && !conversion->options->plain &&
        conversion->options->only == NULL)
        DFX_TRY(restore(conversion, side_car, err));
    else
        DFX_TRY(add_markers(conversion, err));
    DFX_TRY(dfx_bundle_check_names(&conversion->bundle, err));
    DFX_TRY(describe_folder(conversion, first_extra, &value, err));
    if (value != NULL)
        DFX_TRY(dfx_bundle_add_meta(&conversion->bundle, 0, DFX_RESIDUE_KEY,
                                    value, err));
    /* The old header speaks of the old residue. */
    if ((had == NULL) != (value == NULL) ||
        (had != NULL && strcmp(had, value) != 0))
        conversion->bundle.header = NULL;
    return DFX_OK;
}
