/*
 * compose.c - the JSON files of the folder that a single file becomes
 *
 * Each document is composed in this order, the later one winning: the embedded
 * file of the set, what the tensors decide, markers ("edm_mean"), what an
 * earlier conversion kept in the file's metadata, the same file of --config,
 * the original YAML, --set. A document that nothing changes keeps its published
 * bytes; others are printed as diffusers prints them, sorted.
 */
#include <config.h>

#include "configs.h"
#include "document.h"

#include <dirent.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODEL_INDEX "model_index.json"
#define TOKENIZER "clip-tokenizer/"

enum {
    FILE_MAX = 16 << 20, /* bytes; of a file taken from --config */
    MARKER_MAX = 64      /* numbers in a marker tensor */
};

/* A file on its way: bytes, or a document once something reads it as one. */
typedef struct entry {
    const char *path; /* in the folder */
    const char *data;
    size_t size;
    bool from_user; /* the bytes are those of --config */
    cJSON *doc;     /* owned; NULL: not parsed, the bytes count */
} entry;

typedef struct composer {
    const dfx_identity *identity;
    dfx_arena *arena;
    entry *entries; /* owned */
    size_t count, capacity;
} composer;

/* ---- Entries ------------------------------------------------------------- */

static entry *
find_entry(composer *c, const char *path)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->entries[i].path, path) == 0)
            return &c->entries[i];
    return NULL;
}

/* *out is valid until the next one is added. */
static dfx_status
new_entry(composer *c, const char *path, entry **out, dfx_error *err)
{
    if (path == NULL || !dfx_grow((void **)&c->entries, &c->capacity, c->count,
                                  sizeof *c->entries))
        return dfx_fail_nomem(err);
    c->entries[c->count] = (entry){.path = path};
    *out = &c->entries[c->count++];
    return DFX_OK;
}

/* The entry's document, parsed when first asked for. */
static dfx_status
open_doc(entry *e, cJSON **doc, dfx_error *err)
{
    if (e->doc == NULL)
        DFX_TRY(dfx_doc_parse(e->data, e->size, e->path, &e->doc, err));
    *doc = e->doc;
    return DFX_OK;
}

static dfx_status
set_field(cJSON *doc, const char *field, cJSON *node, dfx_error *err)
{
    return dfx_doc_set(doc, field, node) ? DFX_OK : dfx_fail_nomem(err);
}

/* Every member of from; nulls only where there is something to clear. */
static dfx_status
merge(cJSON *doc, const cJSON *from, dfx_error *err)
{
    const cJSON *field = cJSON_IsObject(from) ? from->child : NULL;

    for (; field != NULL; field = field->next)
        if (!cJSON_IsNull(field) || dfx_doc_get(doc, field->string) != NULL)
            DFX_TRY(set_field(doc, field->string, cJSON_Duplicate(field, true),
                              err));
    return DFX_OK;
}

/* ---- Where bytes come from ----------------------------------------------- */

static dfx_status
load(composer *c, const char *file, const char **data, size_t *size,
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
load_users(composer *c, const char *path, const char **data, size_t *size,
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
add_file(composer *c, const char *path, const char *embedded, dfx_error *err)
{
    const char *data = NULL;
    size_t size = 0;
    bool from_user;
    entry *e = NULL;

    if (path == NULL || embedded == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(load_users(c, path, &data, &size, err));
    from_user = data != NULL;
    if (data == NULL)
        DFX_TRY(dfx_configs_get(embedded, &data, &size, err));
    if (data == NULL)
        return DFX_OK;
    DFX_TRY(new_entry(c, path, &e, err));
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
load_users_config(composer *c, const char *path, entry *e, dfx_error *err)
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
base_config(composer *c, const dfx_found *found, entry *e, bool *complete,
            dfx_error *err)
{
    const char *embedded = dfx_found_base_config(c->identity, found);
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
        return set_field(e->doc, "_class_name", cJSON_CreateString(class_name),
                         err);
    return DFX_OK;
}

static dfx_status
derive(composer *c, const dfx_found *found, entry *e, dfx_error *err)
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
    if (!complete && dfx_doc_equal(before, e->doc)) {
        cJSON_Delete(e->doc); /* the bytes already say it */
        e->doc = NULL;
    }
    cJSON_Delete(before);
    return DFX_OK;
}

static dfx_status
add_part(composer *c, const dfx_found *found, dfx_error *err)
{
    entry *e = NULL;

    DFX_TRY(new_entry(
        c, dfx_arena_printf(c->arena, "%s/config.json", found->view.name), &e,
        err));
    return derive(c, found, e, err);
}

/* ---- The set's other files ----------------------------------------------- */

/* vocab.json and merges.txt, which a set does not hold. */
static dfx_status
add_vocabulary(composer *c, const char *folder, size_t size, dfx_error *err)
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
add_files_of(composer *c, const char *name, dfx_error *err)
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
            find_entry(c, rest) != NULL)
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
add_users_extra(composer *c, const char *folder, size_t size, dfx_error *err)
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
        else if (is_small_file(file->d_name) && find_entry(c, path) == NULL)
            status = add_file(c, path, path, err);
    }
    if (dir != NULL)
        closedir(dir);
    return status;
}

static dfx_status
add_users_extras(composer *c, dfx_error *err)
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
fill_slot(composer *c, cJSON *index, const dfx_slot *slot, dfx_error *err)
{
    const char *name = slot->component;
    const dfx_found *found = written_part(c->identity, name, strlen(name));
    const cJSON *listed = dfx_doc_get(index, name);
    const char *class_name =
        cJSON_GetStringValue(cJSON_GetArrayItem(listed, 1));

    if (found == NULL) {
        if (listed == NULL)
            return DFX_OK;
        DFX_TRY(set_field(index, name, class_pair(NULL, NULL), err));
        if (slot->requires == NULL)
            return DFX_OK;
        return set_field(index, slot->requires, cJSON_CreateFalse(), err);
    }
    if (found->view.class_name == NULL ||
        (class_name != NULL && strcmp(class_name, found->view.class_name) == 0))
        return DFX_OK;
    return set_field(
        index, name,
        class_pair(found->kind->is_transformers ? "transformers" : "diffusers",
                   found->view.class_name),
        err);
}

static dfx_status
add_model_index(composer *c, dfx_error *err)
{
    const dfx_set *set = c->identity->set;
    const char *path = dfx_arena_printf(c->arena, "%s/" MODEL_INDEX, set->name);
    const char *lent = dfx_arena_printf(
        c->arena, "%s/" MODEL_INDEX, set->base != NULL ? set->base : set->name);
    entry *e;
    cJSON *index = NULL;

    DFX_TRY(add_file(c, MODEL_INDEX, path, err));
    if (find_entry(c, MODEL_INDEX) == NULL)
        DFX_TRY(add_file(c, MODEL_INDEX, lent, err));
    e = find_entry(c, MODEL_INDEX);
    if (e == NULL)
        return DFX_OK;
    DFX_TRY(open_doc(e, &index, err));
    if (set->pipeline != NULL && !e->from_user)
        DFX_TRY(set_field(index, "_class_name",
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

/* ---- What is laid over the embedded files -------------------------------- */

/*
 * The fewest digits that name the float, as a double: 1.886 and not
 * 1.8860000371932983. Powers of ten up to 1e22 are exact, so that the quotient
 * is the double closest to those digits.
 */
static double
shortest(float value)
{
    int exponent;
    double v = (double)value;

    if (value == 0.0f || !isfinite(value))
        return v;
    exponent = (int)floor(log10(fabs(v)));
    for (int digits = 1; digits <= FLT_DECIMAL_DIG; digits++) {
        int places = digits - 1 - exponent;
        double scale = pow(10, abs(places));
        double near =
            places >= 0 ? round(v * scale) / scale : round(v / scale) * scale;

        if ((float)near == value)
            return near;
    }
    return v;
}

/* A marker's numbers: one, or a list if the tensor has dimensions. */
static dfx_status
marker_numbers(const dfx_tensor *t, cJSON **node, dfx_error *err)
{
    float values[MARKER_MAX];
    size_t count = (size_t)(t->data.size / sizeof values[0]);

    DFX_TRY(
        dfx_extent_read(&t->data, 0, values, count * sizeof values[0], err));
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return DFX_OK; /* no JSON has it: the set's value stays */
    *node = t->rank == 0 ? dfx_doc_new_number(shortest(values[0]))
                         : cJSON_CreateArray();
    for (size_t i = 0; i < count && t->rank > 0 && *node != NULL; i++) {
        cJSON *number = dfx_doc_new_number(shortest(values[i]));

        if (number == NULL || !cJSON_AddItemToArray(*node, number)) {
            cJSON_Delete(number);
            cJSON_Delete(*node);
            *node = NULL;
        }
    }
    return *node != NULL ? DFX_OK : dfx_fail_nomem(err);
}

static dfx_status
apply_marker(composer *c, const dfx_marker *marker, dfx_error *err)
{
    const dfx_tensor *t = dfx_index_find(c->identity->index, 0, marker->tensor);
    entry *e = find_entry(c, marker->document);
    cJSON *doc = NULL, *node = NULL;
    dfx_status status;

    if (t == NULL || e == NULL)
        return DFX_OK;
    if (marker->value != NULL)
        DFX_TRY(dfx_doc_parse(marker->value, strlen(marker->value),
                              marker->document, &node, err));
    else if (t->type == DFX_TYPE_F32 && t->data.size > 0 &&
             t->data.size <= MARKER_MAX * sizeof(float))
        DFX_TRY(marker_numbers(t, &node, err));
    if (node == NULL)
        return DFX_OK;
    status = open_doc(e, &doc, err);
    if (status == DFX_OK)
        return set_field(doc, marker->field, node, err);
    cJSON_Delete(node);
    return status;
}

static dfx_status
apply_markers(composer *c, dfx_error *err)
{
    const dfx_marker *marker = dfx_pipelines_table.markers;

    for (; marker != NULL && marker->tensor != NULL; marker++)
        DFX_TRY(apply_marker(c, marker, err));
    return DFX_OK;
}

/* One kept document: a value, the text itself, or null for "there was none". */
static dfx_status
apply_kept_one(composer *c, const cJSON *kept, dfx_error *err)
{
    entry *e = find_entry(c, kept->string);
    char *text;

    if (cJSON_IsNull(kept)) {
        if (e != NULL) {
            cJSON_Delete(e->doc);
            *e = c->entries[--c->count];
        }
        return DFX_OK;
    }
    if (e == NULL)
        DFX_TRY(
            new_entry(c, dfx_arena_strdup(c->arena, kept->string), &e, err));
    text = cJSON_IsString(kept) ? strdup(kept->valuestring)
                                : dfx_doc_print(kept, false);
    e->data = text != NULL ? dfx_arena_strdup(c->arena, text) : NULL;
    e->size = text != NULL ? strlen(text) : 0;
    free(text);
    cJSON_Delete(e->doc);
    e->doc = NULL;
    return e->data != NULL ? DFX_OK : dfx_fail_nomem(err);
}

/* The documents that residue_file.c put into the file's metadata. */
static dfx_status
apply_kept(composer *c, dfx_error *err)
{
    const char *text =
        dfx_index_find_meta(c->identity->index, 0, DFX_RESIDUE_KEY);
    const cJSON *kept;
    cJSON *doc = NULL;
    dfx_status status = DFX_OK;

    if (text == NULL || dfx_doc_parse(text, strlen(text), DFX_RESIDUE_KEY, &doc,
                                      NULL) != DFX_OK)
        return DFX_OK; /* not one of ours: dfx_residue_read says so */
    cJSON_ArrayForEach(kept, dfx_doc_get(doc, "documents"))
    {
        if (status == DFX_OK && kept->string != NULL)
            status = apply_kept_one(c, kept, err);
    }
    cJSON_Delete(doc);
    return status;
}

/* What the user's files say wins over what was derived since. */
static dfx_status
apply_users(composer *c, dfx_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        entry *e = &c->entries[i];
        cJSON *said = NULL;
        dfx_status status;

        if (!e->from_user || e->doc == NULL ||
            strcmp(e->path, MODEL_INDEX) == 0)
            continue;
        DFX_TRY(dfx_doc_parse(e->data, e->size, e->path, &said, err));
        status = merge(e->doc, said, err);
        cJSON_Delete(said);
        DFX_TRY(status);
    }
    return DFX_OK;
}

/* The JSON file that is meant by a component's name. */
static entry *
entry_of(composer *c, const char *component, size_t size)
{
    static const char *const names[] = {
        "config.json",
        "scheduler_config.json",
        "preprocessor_config.json",
        "tokenizer_config.json",
    };

    if (size == strlen("model_index") &&
        memcmp(component, "model_index", size) == 0)
        return find_entry(c, MODEL_INDEX);
    for (size_t i = 0; i < c->count; i++) {
        const char *path = c->entries[i].path;

        if (strncmp(path, component, size) != 0 || path[size] != '/')
            continue;
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (strcmp(path + size + 1, names[k]) == 0)
                return &c->entries[i];
    }
    return NULL;
}

static dfx_status
merge_sections(composer *c, const cJSON *doc, dfx_error *err)
{
    for (const cJSON *part = doc->child; part != NULL; part = part->next) {
        entry *e = entry_of(c, part->string, strlen(part->string));
        cJSON *mine = NULL;

        if (e == NULL)
            continue; /* it speaks of a part that is not here */
        DFX_TRY(open_doc(e, &mine, err));
        DFX_TRY(merge(mine, part, err));
    }
    return DFX_OK;
}

static dfx_status
apply_yaml(composer *c, dfx_error *err)
{
    cJSON *doc = NULL;
    dfx_status status;

    if (c->identity->options->yaml == NULL)
        return DFX_OK;
    DFX_TRY(dfx_yaml_read(c->identity->options->yaml, &doc, err));
    status = merge_sections(c, doc, err);
    cJSON_Delete(doc);
    return status;
}

/* "unet, vae, scheduler": what --set can speak of. */
static dfx_status
fail_component(composer *c, const char *setting, dfx_error *err)
{
    dfx_text known = {0};
    dfx_status status;

    for (size_t i = 0; i < c->count; i++) {
        const char *path = c->entries[i].path;
        size_t size = strcspn(path, "/.");

        if (entry_of(c, path, size) != &c->entries[i])
            continue;
        if (known.size > 0)
            dfx_text_puts(&known, ", ");
        dfx_text_add(&known, path, size);
    }
    status = dfx_fail_usage(
        err, "\"%s\" sets a field of no component that is here: %s", setting,
        known.data != NULL ? known.data : "there is none");
    dfx_text_fini(&known);
    return status;
}

/* "unet.upcast_attention=true": the value is JSON, or else a string. */
static dfx_status
apply_setting(composer *c, const char *setting, dfx_error *err)
{
    size_t size = strcspn(setting, ".=");
    const char *field = setting + size + 1, *value, *name;
    cJSON *doc = NULL, *node = NULL;
    entry *e;

    value = setting[size] == '.' ? strchr(field, '=') : NULL;
    if (size == 0 || value == NULL || value == field)
        return dfx_fail_usage(err, "\"%s\" is not COMPONENT.FIELD=VALUE",
                              setting);
    e = entry_of(c, setting, size);
    if (e == NULL)
        return fail_component(c, setting, err);
    name = dfx_arena_strndup(c->arena, field, (size_t)(value - field));
    value++;
    if (name == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(open_doc(e, &doc, err));
    if (dfx_doc_parse(value, strlen(value), "", &node, NULL) != DFX_OK)
        node = cJSON_CreateString(value);
    return set_field(doc, name, node, err);
}

static dfx_status
apply_settings(composer *c, dfx_error *err)
{
    const dfx_identify_options *options = c->identity->options;

    for (size_t i = 0; i < options->set_count; i++)
        DFX_TRY(apply_setting(c, options->set[i], err));
    return DFX_OK;
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
compose(composer *c, dfx_error *err)
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
    DFX_TRY(apply_markers(c, err));
    DFX_TRY(apply_kept(c, err));
    DFX_TRY(apply_users(c, err));
    DFX_TRY(apply_yaml(c, err));
    return apply_settings(c, err);
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const dfx_config_file *)a)->path,
                  ((const dfx_config_file *)b)->path);
}

static dfx_status
print_entries(composer *c, const dfx_config_file **files, dfx_error *err)
{
    dfx_config_file *out = dfx_arena_array(c->arena, c->count, sizeof *out);

    if (out == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < c->count; i++) {
        const entry *e = &c->entries[i];
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
    composer c = {.identity = identity, .arena = arena};
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
