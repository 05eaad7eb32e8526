/*
 * folder_parts.c - which components a folder has
 *
 * model_index.json, as diffusers 0.42.1 writes it: an object of settings and of
 * members NAME: [library, class]; a library of null means that the pipeline
 * does without that component. modular_model_index.json has lists of three,
 * [library, class, {"repo": ..., "type_hint": [library, class], ...}], and what
 * is not in a sub-folder is fetched from that repository when it is needed.
 */
#include <config.h>

#include "folder.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"

/* A member of the list of components. Borrowed from its document. */
typedef struct part {
    const char *name;
    const char *library, *class_name; /* NULL: null */
    const char *repo;                 /* of a modular part; NULL: not told */
} part;

/* ---- One member ---------------------------------------------------------- */

/* A name becomes a path, so it must be one name and no way out. */
static dfx_status
check_name(const char *name, dfx_error *err)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strpbrk(name, "/\\") != NULL)
        return dfx_fail(err, DFX_RULE_FOLDER_PATH, DFX_NO_OFFSET,
                        "component \"%s\" is no name of a sub-folder", name);
    if (strcmp(name, DFX_RESIDUE) == 0)
        return dfx_fail(err, DFX_RULE_FOLDER_INDEX, DFX_NO_OFFSET,
                        "component \"%s\" has the name of the side-car", name);
    return DFX_OK;
}

static bool
is_text_or_null(const cJSON *node)
{
    return cJSON_IsString(node) || cJSON_IsNull(node);
}

/* A modular part not loaded yet has its class in a hint and nulls before it. */
static void
read_source(const cJSON *source, part *out)
{
    const cJSON *hint = dfx_doc_get(source, "type_hint");

    if (out->library == NULL && cJSON_GetArraySize(hint) == 2) {
        out->library = cJSON_GetStringValue(cJSON_GetArrayItem(hint, 0));
        out->class_name = cJSON_GetStringValue(cJSON_GetArrayItem(hint, 1));
    }
    out->repo = dfx_doc_string(source, "repo");
    if (out->repo == NULL)
        out->repo = dfx_doc_string(source, "pretrained_model_name_or_path");
}

/* *is_part is false for settings: what is no list, and lists of numbers. */
static dfx_status
read_member(const cJSON *member, bool modular, part *out, bool *is_part,
            dfx_error *err)
{
    const cJSON *library = cJSON_GetArrayItem(member, 0);
    const cJSON *class_name = cJSON_GetArrayItem(member, 1);
    const cJSON *source = cJSON_GetArrayItem(member, 2);
    int size = cJSON_GetArraySize(member);

    *is_part = member->string[0] != '_' && cJSON_IsArray(member) &&
               (size == 2 || (size == 3 && cJSON_IsObject(source))) &&
               (is_text_or_null(library) || is_text_or_null(class_name));
    if (!*is_part)
        return DFX_OK;
    if (!is_text_or_null(library) || !is_text_or_null(class_name) ||
        (size == 3 && !modular) ||
        (cJSON_IsString(library) && !cJSON_IsString(class_name)))
        return dfx_fail(err, DFX_RULE_FOLDER_INDEX, DFX_NO_OFFSET,
                        "component \"%s\" is no pair of library and class",
                        member->string);
    *out = (part){.name = member->string,
                  .library = cJSON_GetStringValue(library),
                  .class_name = cJSON_GetStringValue(class_name)};
    if (source != NULL)
        read_source(source, out);
    return check_name(out->name, err);
}

/* ---- All of them ----------------------------------------------------------
 */

/* A copy in the index's arena; NULL of NULL. False: memory ran out. */
static bool
keep_text(dfx_index *index, const char *text, const char **copy)
{
    *copy = text != NULL ? dfx_arena_strdup(&index->arena, text) : NULL;
    return text == NULL || *copy != NULL;
}

static dfx_status
add_part(dfx_index *index, const part *p, dfx_error *err)
{
    uint32_t at = 0;
    dfx_component *made;

    DFX_TRY(dfx_index_component(index, p->name, &at, err));
    made = &index->components[at];
    made->is_null = p->library == NULL;
    if (made->is_null)
        return DFX_OK;
    if (!keep_text(index, p->library, &made->library) ||
        !keep_text(index, p->class_name, &made->class_name))
        return dfx_fail_nomem(err);
    return DFX_OK;
}

static dfx_status
add_members(const dfx_folder *folder, const cJSON *doc, bool modular,
            dfx_index *index, dfx_error *err)
{
    const cJSON *member;

    if (!cJSON_IsObject(doc))
        return dfx_fail(err, DFX_RULE_FOLDER_INDEX, 0, "no object");
    for (member = doc->child; member != NULL; member = member->next) {
        part p = {0};
        bool is_part = false;

        DFX_TRY(read_member(member, modular, &p, &is_part, err));
        if (!is_part)
            continue;
        DFX_TRY(add_part(index, &p, err));
        if (modular && p.library != NULL && !dfx_folder_has(folder, p.name))
            DFX_TRY(dfx_index_warn(index, err,
                                   "%s is not in this folder but in %s", p.name,
                                   p.repo != NULL ? p.repo : "another place"));
    }
    return DFX_OK;
}

static dfx_status
add_listed(const dfx_folder *folder, const dfx_file *list, bool modular,
           dfx_index *index, dfx_error *err)
{
    cJSON *doc = NULL;
    dfx_status status = dfx_doc_read(&list->data, &doc, err);

    if (status == DFX_OK)
        status = add_members(folder, doc, modular, index, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, dfx_io_name(list->data.io));
    cJSON_Delete(doc);
    return status;
}

/* Nothing lists them: the sub-folders that have weights. */
static dfx_status
add_unlisted(const dfx_folder *folder, dfx_index *index, dfx_error *err)
{
    size_t before = index->component_count;

    for (size_t i = 0; i < folder->count; i++) {
        const char *path = folder->entries[i].path;
        const char *slash = strchr(path, '/');
        uint32_t component;
        char *name;

        if (!folder->entries[i].is_weights || slash == NULL ||
            strchr(slash + 1, '/') != NULL)
            continue;
        name = dfx_arena_strndup(&index->arena, path, (size_t)(slash - path));
        if (name == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(check_name(name, err));
        DFX_TRY(dfx_index_component(index, name, &component, err));
    }
    if (index->component_count == before)
        return DFX_OK;
    return dfx_index_warn(index, err,
                          "there is no %s: components are the sub-folders that "
                          "hold weights",
                          DFX_FOLDER_PIPELINE);
}

/* A component's config.json or weights stand at the top. */
static bool
is_lone(const dfx_folder *folder)
{
    if (dfx_folder_find(folder, DFX_FOLDER_CONFIG) != NULL)
        return true;
    for (size_t i = 0; i < folder->count; i++)
        if (folder->entries[i].is_weights &&
            strchr(folder->entries[i].path, '/') == NULL &&
            strcmp(folder->entries[i].path, DFX_FOLDER_SIDE_CAR) != 0)
            return true;
    return false;
}

dfx_status
dfx_folder_add_parts(const dfx_folder *folder, dfx_index *index,
                     dfx_folder_kind *kind, dfx_error *err)
{
    const dfx_file *pipeline = dfx_index_find_file(index, DFX_FOLDER_PIPELINE);
    const dfx_file *modular = dfx_index_find_file(index, DFX_FOLDER_MODULAR);

    if (pipeline != NULL) {
        *kind = DFX_FOLDER_IS_PIPELINE;
        return add_listed(folder, pipeline, false, index, err);
    }
    if (modular != NULL) {
        *kind = DFX_FOLDER_IS_MODULAR;
        return add_listed(folder, modular, true, index, err);
    }
    if (is_lone(folder)) {
        *kind = DFX_FOLDER_IS_LONE;
        return DFX_OK;
    }
    *kind = DFX_FOLDER_IS_PARTS;
    return add_unlisted(folder, index, err);
}

/* ---- Classes --------------------------------------------------------------
 */

/* diffusers writes _class_name, transformers a list of architectures. */
static dfx_status
take_class(const cJSON *config, dfx_index *index, dfx_component *component,
           dfx_error *err)
{
    const char *class_name = dfx_doc_string(config, "_class_name");
    const char *library = "diffusers";

    if (class_name == NULL) {
        class_name = cJSON_GetStringValue(
            cJSON_GetArrayItem(dfx_doc_get(config, "architectures"), 0));
        library = "transformers";
    }
    if (class_name == NULL)
        return DFX_OK;
    component->library = library;
    if (!keep_text(index, class_name, &component->class_name))
        return dfx_fail_nomem(err);
    return DFX_OK;
}

dfx_status
dfx_folder_add_class(dfx_index *index, uint32_t component, dfx_error *err)
{
    dfx_component *about = &index->components[component];
    const dfx_file *file;
    cJSON *config = NULL;
    dfx_status status;
    char *path;

    if (about->class_name != NULL || about->is_null)
        return DFX_OK;
    path =
        dfx_arena_printf(&index->arena, "%s%s%s", about->name,
                         about->name[0] != '\0' ? "/" : "", DFX_FOLDER_CONFIG);
    if (path == NULL)
        return dfx_fail_nomem(err);
    file = dfx_index_find_file(index, path);
    if (file == NULL)
        return DFX_OK;
    status = dfx_doc_read(&file->data, &config, err);
    if (status == DFX_OK)
        status = take_class(config, index, about, err);
    cJSON_Delete(config);
    return status;
}
