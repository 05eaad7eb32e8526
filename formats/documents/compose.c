/*
 * compose.c - the JSON files of the folder that a single file becomes
 *
 * Each starts as the embedded file of the set, or the user's under --config;
 * then comes what the tensors decide, then what overlay.c lays over it. A
 * document that nothing changes keeps its published bytes; others are printed
 * as diffusers prints them, sorted.
 */
#include <config.h>

#include "compose.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOKENIZER "clip-tokenizer/"

enum { FILE_MAX = 16 << 20 }; /* bytes; of a file taken from --config */

/* ---- Entries ------------------------------------------------------------- */

dfx_composed *
dfx_composer_find(const dfx_composer *c, const char *path)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->entries[i].path, path) == 0)
            return &c->entries[i];
    return NULL;
}

dfx_status
dfx_composer_add(dfx_composer *c, const char *path, dfx_composed **out,
                 dfx_error *err)
{
    if (path == NULL ||
        !dfx_grow(&c->entries, &c->capacity, c->count, sizeof *c->entries))
        return dfx_fail_nomem(err);
    c->entries[c->count] = (dfx_composed){.path = path};
    *out = &c->entries[c->count++];
    return DFX_OK;
}

dfx_status
dfx_composed_open(dfx_composed *e, cJSON **doc, dfx_error *err)
{
    if (e->doc == NULL)
        DFX_TRY(dfx_doc_parse(e->data, e->size, e->path, &e->doc, err));
    *doc = e->doc;
    return DFX_OK;
}

/* ---- Where bytes come from ----------------------------------------------- */

static dfx_status
load(dfx_composer *c, const char *file, const char **data, size_t *size,
     dfx_error *err)
{
    dfx_io *io = NULL;
    char *bytes;
    dfx_status status;

    DFX_TRY(dfx_io_open_file(file, &io, err));
    *size = (size_t)dfx_io_size(io);
    if (dfx_io_size(io) > FILE_MAX) {
        status = dfx_fail(err, DFX_RULE_JSON_LARGE, DFX_NO_OFFSET,
                          "a file of a config folder has at most %d bytes",
                          FILE_MAX);
        dfx_error_in_file(err, file);
    } else if ((bytes = dfx_arena_alloc(c->arena, *size)) == NULL) {
        status = dfx_fail_nomem(err);
    } else {
        status = dfx_io_read_at(io, 0, bytes, *size, err);
        *data = bytes;
    }
    dfx_io_close(io);
    return status;
}

/* The user's file of that path under --config, or NULL in *data. */
static dfx_status
load_users(dfx_composer *c, const char *path, const char **data, size_t *size,
           dfx_error *err)
{
    const char *folder = c->identity->options->config_dir;
    const char *file;
    struct stat st;

    *data = NULL;
    if (folder == NULL)
        return DFX_OK;
    file = dfx_arena_printf(c->arena, "%s/%s", folder, path);
    if (file == NULL)
        return dfx_fail_nomem(err);
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode))
        return DFX_OK;
    return load(c, file, data, size, err);
}

/* Adds the user's file or else the embedded one; nothing if there is none. */
static dfx_status
add_file(dfx_composer *c, const char *path, const char *embedded,
         dfx_error *err)
{
    const char *data = NULL;
    size_t size = 0;
    bool from_user;
    dfx_composed *e = NULL;

    if (path == NULL || embedded == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(load_users(c, path, &data, &size, err));
    from_user = data != NULL;
    if (data == NULL)
        DFX_TRY(dfx_configs_get(embedded, &data, &size, err));
    if (data == NULL)
        return DFX_OK;
    DFX_TRY(dfx_composer_add(c, path, &e, err));
    e->data = data;
    e->size = size;
    e->from_user = from_user;
    return DFX_OK;
}

/* ---- Parts --------------------------------------------------------------- */

/* Can the part be in a folder? What is only recognised in an original can't. */
static bool
is_written(const dfx_found *found)
{
    return found->kind != NULL && (found->pair_count > 0 ||
                                   found->view.layout == DFX_LAYOUT_DIFFUSERS);
}

static const dfx_found *
written_part(const dfx_identity *identity, const char *component, size_t size)
{
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];

        if (strlen(found->view.name) == size &&
            memcmp(found->view.name, component, size) == 0 && is_written(found))
            return found;
    }
    return NULL;
}

/* The user's config.json for a part: a lone one may be at the folder's top. */
static dfx_status
load_users_config(dfx_composer *c, const char *path, dfx_composed *e,
                  dfx_error *err)
{
    DFX_TRY(load_users(c, path, &e->data, &e->size, err));
    if (e->data == NULL && c->identity->found_count == 1)
        DFX_TRY(load_users(c, "config.json", &e->data, &e->size, err));
    e->from_user = e->data != NULL;
    return DFX_OK;
}

/*
 * The document to start from: the user's, or the embedded one if it is of the
 * part's class (a tiny autoencoder may take the place of a VAE), or an empty
 * one that the part fills completely.
 */
static dfx_status
base_config(dfx_composer *c, const dfx_found *found, dfx_composed *e,
            bool *complete, dfx_error *err)
{
    const char *embedded = dfx_found_base_config(c->arena, c->identity, found);
    const char *class_name = found->view.class_name;
    const char *base_class = NULL;

    DFX_TRY(load_users_config(c, e->path, e, err));
    if (e->data == NULL && embedded != NULL)
        DFX_TRY(dfx_configs_get(embedded, &e->data, &e->size, err));
    if (e->data != NULL) {
        DFX_TRY(dfx_doc_parse(e->data, e->size, e->path, &e->doc, err));
        base_class = dfx_doc_string(e->doc, "_class_name");
    }
    *complete = e->doc == NULL ||
                (!e->from_user && base_class != NULL && class_name != NULL &&
                 strcmp(base_class, class_name) != 0);
    if (!*complete)
        return DFX_OK;
    cJSON_Delete(e->doc);
    e->doc = cJSON_CreateObject();
    if (e->doc == NULL)
        return dfx_fail_nomem(err);
    if (class_name != NULL && !found->kind->is_transformers)
        return dfx_composed_set(e->doc, "_class_name",
                                cJSON_CreateString(class_name), err);
    return DFX_OK;
}

static dfx_status
derive(dfx_composer *c, const dfx_found *found, dfx_composed *e, dfx_error *err)
{
    cJSON *before;
    bool complete = false;

    DFX_TRY(base_config(c, found, e, &complete, err));
    if (found->kind->config == NULL)
        return DFX_OK;
    before = cJSON_Duplicate(e->doc, true);
    if (before == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(found->kind->config(&found->facts, complete, e->doc, err));
    DFX_TRY(dfx_stored_correct(e->doc, dfx_stored_type(found), err));
    if (!complete && dfx_doc_equal(before, e->doc)) {
        cJSON_Delete(e->doc); /* the bytes already say it */
        e->doc = NULL;
    }
    cJSON_Delete(before);
    return DFX_OK;
}

static dfx_status
add_part(dfx_composer *c, const dfx_found *found, dfx_error *err)
{
    dfx_composed *e = NULL;

    DFX_TRY(dfx_composer_add(
        c, dfx_arena_printf(c->arena, "%s/config.json", found->view.name), &e,
        err));
    return derive(c, found, e, err);
}

/* ---- The set's other files ----------------------------------------------- */

/* vocab.json and merges.txt, which a set does not hold. */
static dfx_status
add_vocabulary(dfx_composer *c, const char *folder, size_t size, dfx_error *err)
{
    static const char *const names[] = {"merges.txt", "vocab.json"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path =
            dfx_arena_printf(c->arena, "%.*s/%s", (int)size, folder, names[i]);
        const char *embedded =
            dfx_arena_printf(c->arena, TOKENIZER "%s", names[i]);

        DFX_TRY(add_file(c, path, embedded, err));
    }
    return DFX_OK;
}

static bool
is_slot(const dfx_set *set, const char *component, size_t size)
{
    const dfx_slot *slot = set->slots;

    for (; slot != NULL && slot->component != NULL; slot++)
        if (strlen(slot->component) == size &&
            memcmp(slot->component, component, size) == 0)
            return true;
    return false;
}

/* What is under name/ in the embedded files and not of a part with weights. */
static dfx_status
add_files_of(dfx_composer *c, const char *name, dfx_error *err)
{
    size_t size = strlen(name);
    const char *path;

    for (size_t i = 0; (path = dfx_configs_at(i)) != NULL; i++) {
        const char *rest = path + size + 1;
        size_t folder;

        if (strncmp(path, name, size) != 0 || path[size] != '/')
            continue;
        folder = strcspn(rest, "/");
        if (rest[folder] == '\0' || is_slot(c->identity->set, rest, folder) ||
            dfx_composer_find(c, rest) != NULL)
            continue;
        DFX_TRY(add_file(c, rest, path, err));
        if (strcmp(rest + folder, "/tokenizer_config.json") == 0)
            DFX_TRY(add_vocabulary(c, rest, folder, err));
    }
    return DFX_OK;
}

static bool
ends(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);

    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

/* Text of a tokenizer or processor; weights and their indexes are not taken. */
static bool
is_small_file(const char *name)
{
    return (ends(name, ".json") && !ends(name, ".index.json") &&
            strcmp(name, "config.json") != 0) ||
           ends(name, ".txt") || ends(name, ".model");
}

/* What the user's folder has in a subfolder of ours and we have not. */
static dfx_status
add_users_extra(dfx_composer *c, const char *folder, size_t size,
                dfx_error *err)
{
    const char *name =
        dfx_arena_printf(c->arena, "%s/%.*s", c->identity->options->config_dir,
                         (int)size, folder);
    DIR *dir = name != NULL ? opendir(name) : NULL;
    const struct dirent *file;
    dfx_status status = name != NULL ? DFX_OK : dfx_fail_nomem(err);

    while (status == DFX_OK && dir != NULL && (file = readdir(dir)) != NULL) {
        const char *path = dfx_arena_printf(c->arena, "%.*s/%s", (int)size,
                                            folder, file->d_name);

        if (path == NULL)
            status = dfx_fail_nomem(err);
        else if (is_small_file(file->d_name) &&
                 dfx_composer_find(c, path) == NULL)
            status = add_file(c, path, path, err);
    }
    if (dir != NULL)
        closedir(dir);
    return status;
}

static dfx_status
add_users_extras(dfx_composer *c, dfx_error *err)
{
    size_t count = c->count;

    for (size_t i = 0; i < count; i++) {
        const char *path = c->entries[i].path;
        size_t size = strcspn(path, "/");
        bool first = path[size] == '/';

        for (size_t j = 0; j < i && first; j++)
            first = strncmp(c->entries[j].path, path, size + 1) != 0;
        if (first)
            DFX_TRY(add_users_extra(c, path, size, err));
    }
    return DFX_OK;
}

/* ---- model_index.json ---------------------------------------------------- */

static cJSON *
class_pair(const char *library, const char *class_name)
{
    const char *texts[2] = {library, class_name};
    cJSON *pair = cJSON_CreateArray();

    for (size_t i = 0; i < 2 && pair != NULL; i++) {
        cJSON *text = texts[i] != NULL ? cJSON_CreateString(texts[i])
                                       : cJSON_CreateNull();

        if (text == NULL || !cJSON_AddItemToArray(pair, text)) {
            cJSON_Delete(text);
            cJSON_Delete(pair);
            pair = NULL;
        }
    }
    return pair;
}

/* A slot that is there gets its class, one that is not [null, null]. */
static dfx_status
fill_slot(dfx_composer *c, cJSON *index, const dfx_slot *slot, dfx_error *err)
{
    const char *name = slot->component;
    const dfx_found *found = written_part(c->identity, name, strlen(name));
    const cJSON *listed = dfx_doc_get(index, name);
    const char *class_name =
        cJSON_GetStringValue(cJSON_GetArrayItem(listed, 1));

    if (found == NULL) {
        if (listed == NULL)
            return DFX_OK;
        DFX_TRY(dfx_composed_set(index, name, class_pair(NULL, NULL), err));
        if (slot->requires == NULL)
            return DFX_OK;
        return dfx_composed_set(index, slot->requires, cJSON_CreateFalse(),
                                err);
    }
    if (found->view.class_name == NULL ||
        (class_name != NULL && strcmp(class_name, found->view.class_name) == 0))
        return DFX_OK;
    return dfx_composed_set(
        index, name,
        class_pair(found->kind->is_transformers ? "transformers" : "diffusers",
                   found->view.class_name),
        err);
}

static dfx_status
add_model_index(dfx_composer *c, dfx_error *err)
{
    const dfx_set *set = c->identity->set;
    const char *path =
        dfx_arena_printf(c->arena, "%s/" DFX_MODEL_INDEX, set->name);
    const char *lent =
        dfx_arena_printf(c->arena, "%s/" DFX_MODEL_INDEX,
                         set->base != NULL ? set->base : set->name);
    dfx_composed *e;
    cJSON *index = NULL;

    DFX_TRY(add_file(c, DFX_MODEL_INDEX, path, err));
    if (dfx_composer_find(c, DFX_MODEL_INDEX) == NULL)
        DFX_TRY(add_file(c, DFX_MODEL_INDEX, lent, err));
    e = dfx_composer_find(c, DFX_MODEL_INDEX);
    if (e == NULL)
        return DFX_OK;
    DFX_TRY(dfx_composed_open(e, &index, err));
    if (set->pipeline != NULL && !e->from_user)
        DFX_TRY(dfx_composed_set(index, "_class_name",
                                 cJSON_CreateString(set->pipeline), err));
    for (const dfx_slot *s = set->slots; s->component != NULL; s++)
        DFX_TRY(fill_slot(c, index, s, err));
    return DFX_OK;
}

/* Do the parts fill two places of a pipeline, or all that it has? */
static bool
is_pipeline(const dfx_identity *identity)
{
    const dfx_set *set = identity->set;
    size_t filled = 0;

    if (set == NULL || set->slots == NULL ||
        (set->pipeline != NULL && set->pipeline[0] == '\0'))
        return false;
    for (const dfx_slot *s = set->slots; s->component != NULL; s++)
        filled +=
            written_part(identity, s->component, strlen(s->component)) != NULL;
    return filled >= 2;
}

/* ---- The whole ----------------------------------------------------------- */

static dfx_status
check_config_dir(const char *folder, dfx_error *err)
{
    struct stat st;

    if (folder == NULL || (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)))
        return DFX_OK;
    return dfx_fail_usage(err, "\"%s\" is not a folder of JSON files", folder);
}

static dfx_status
compose(dfx_composer *c, dfx_error *err)
{
    const dfx_identity *identity = c->identity;

    DFX_TRY(check_config_dir(identity->options->config_dir, err));
    for (size_t i = 0; i < identity->found_count; i++)
        if (is_written(&identity->found[i]))
            DFX_TRY(add_part(c, &identity->found[i], err));
    if (is_pipeline(identity)) {
        DFX_TRY(add_model_index(c, err));
        DFX_TRY(add_files_of(c, identity->set->name, err));
        if (identity->set->base != NULL)
            DFX_TRY(add_files_of(c, identity->set->base, err));
    }
    if (identity->options->config_dir != NULL)
        DFX_TRY(add_users_extras(c, err));
    return dfx_composer_overlay(c, err);
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const dfx_config_file *)a)->path,
                  ((const dfx_config_file *)b)->path);
}

static dfx_status
print_entries(dfx_composer *c, const dfx_config_file **files, dfx_error *err)
{
    dfx_config_file *out = dfx_arena_array(c->arena, c->count, sizeof *out);

    if (out == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < c->count; i++) {
        const dfx_composed *e = &c->entries[i];
        char *text;

        out[i] = (dfx_config_file){e->path, e->data, e->size};
        if (e->doc == NULL)
            continue;
        text = dfx_doc_print(e->doc, true);
        out[i].data = text != NULL ? dfx_arena_strdup(c->arena, text) : NULL;
        out[i].size = text != NULL ? strlen(text) : 0;
        free(text);
        if (out[i].data == NULL)
            return dfx_fail_nomem(err);
    }
    qsort(out, c->count, sizeof *out, by_path);
    *files = out;
    return DFX_OK;
}

dfx_status
dfx_configs_make(const dfx_identity *identity, dfx_arena *arena,
                 const dfx_config_file **files, size_t *count, dfx_error *err)
{
    dfx_composer c = {.identity = identity, .arena = arena};
    dfx_status status = compose(&c, err);

    if (status == DFX_OK)
        status = print_entries(&c, files, err);
    if (status == DFX_OK)
        *count = c.count;
    for (size_t i = 0; i < c.count; i++)
        cJSON_Delete(c.entries[i].doc);
    free(c.entries);
    return status;
}
