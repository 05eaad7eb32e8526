/*
 * overlay.c - what is laid over a folder's JSON files
 *
 * Marker tensors ("edm_mean") first, then documents that an earlier conversion
 * kept in the file's metadata, then the user's: the files of --config, the
 * original YAML, --set.
 */
#include <config.h>

#include "compose.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARKER_MAX = 64, /* numbers in a marker tensor */
    KEPT_MAX = 1024  /* documents; a folder has at most 512 files, and misses
                        some of ours */
};

/* ---- Markers ------------------------------------------------------------- */

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
apply_marker(dfx_composer *c, const dfx_marker *marker, dfx_error *err)
{
    const dfx_tensor *t = dfx_index_find(c->identity->index, 0, marker->tensor);
    dfx_composed *e = dfx_composer_find(c, marker->document);
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
    status = dfx_composed_open(e, &doc, err);
    if (status == DFX_OK)
        return dfx_composed_set(doc, marker->field, node, err);
    cJSON_Delete(node);
    return status;
}

static dfx_status
apply_markers(dfx_composer *c, dfx_error *err)
{
    const dfx_marker *marker = dfx_pipelines_table.markers;

    for (; marker != NULL && marker->tensor != NULL; marker++)
        DFX_TRY(apply_marker(c, marker, err));
    return DFX_OK;
}

/* ---- Documents that the file kept ---------------------------------------- */

/* The bytes that a kept value stands for. */
static dfx_status
kept_bytes(dfx_composer *c, const cJSON *kept, const char **data, size_t *size,
           dfx_error *err)
{
    const char *embedded = dfx_doc_string(kept, DFX_RESIDUE_EMBEDDED);
    char *text;

    *data = NULL;
    if (embedded != NULL)
        DFX_TRY(dfx_configs_get(embedded, data, size, err));
    if (*data != NULL)
        return DFX_OK;
    text = cJSON_IsString(kept) ? strdup(kept->valuestring)
                                : dfx_doc_print(kept, false);
    *data = text != NULL ? dfx_arena_strdup(c->arena, text) : NULL;
    *size = text != NULL ? strlen(text) : 0;
    free(text);
    return *data != NULL ? DFX_OK : dfx_fail_nomem(err);
}

/* Only what an earlier conversion keeps: JSON, or one of our own files. A
   hostile file must not get other files, code among them, into the folder. */
static bool
is_keepable(const cJSON *kept)
{
    const char *embedded = dfx_doc_string(kept, DFX_RESIDUE_EMBEDDED);
    const char *data = NULL;
    size_t size = strlen(kept->string);

    return cJSON_IsNull(kept) ||
           (size > 5 && strcmp(kept->string + size - 5, ".json") == 0) ||
           (embedded != NULL &&
            dfx_configs_get(embedded, &data, &size, NULL) == DFX_OK &&
            data != NULL);
}

/* The files of a component that comes from elsewhere are not those of the
   earlier one. */
static bool
is_replaced(const dfx_identity *identity, const char *path)
{
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];
        size_t size = strlen(found->view.name);

        if (found->index != identity->index &&
            strncmp(path, found->view.name, size) == 0 && path[size] == '/')
            return true;
    }
    return false;
}

/* One kept document: a value, the text itself, the name of an embedded file, or
   null for "there was none". */
static dfx_status
apply_kept_one(dfx_composer *c, const cJSON *kept, dfx_error *err)
{
    dfx_composed *e = dfx_composer_find(c, kept->string);

    if ((e != NULL && e->from_user) || !is_keepable(kept) ||
        is_replaced(c->identity, kept->string))
        return DFX_OK;
    if (cJSON_IsNull(kept)) {
        if (e != NULL) {
            cJSON_Delete(e->doc);
            *e = c->entries[--c->count];
        }
        return DFX_OK;
    }
    if (e == NULL)
        DFX_TRY(dfx_composer_add(c, dfx_arena_strdup(c->arena, kept->string),
                                 &e, err));
    cJSON_Delete(e->doc);
    e->doc = NULL;
    return kept_bytes(c, kept, &e->data, &e->size, err);
}

/* The documents that residue_file.c put into the file's metadata. */
static dfx_status
apply_kept(dfx_composer *c, dfx_error *err)
{
    const cJSON *documents = dfx_doc_get(c->identity->residue, "documents");
    const cJSON *kept;

    if (cJSON_GetArraySize(documents) > KEPT_MAX)
        return dfx_fail(err, DFX_RULE_FOLDER_LIMIT, DFX_NO_OFFSET,
                        "the metadata key %s keeps more than %d documents",
                        DFX_RESIDUE_KEY, KEPT_MAX);
    cJSON_ArrayForEach(kept, documents)
    {
        if (kept->string != NULL)
            DFX_TRY(apply_kept_one(c, kept, err));
    }
    return DFX_OK;
}

/* ---- What the user says -------------------------------------------------- */

/* Every member of from; nulls only where there is something to clear. */
static dfx_status
merge(cJSON *doc, const cJSON *from, dfx_error *err)
{
    const cJSON *field = cJSON_IsObject(from) ? from->child : NULL;

    for (; field != NULL; field = field->next)
        if (!cJSON_IsNull(field) || dfx_doc_get(doc, field->string) != NULL)
            DFX_TRY(dfx_composed_set(doc, field->string,
                                     cJSON_Duplicate(field, true), err));
    return DFX_OK;
}

/* What the user's files say wins over what was derived since. */
static dfx_status
apply_users(dfx_composer *c, dfx_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        dfx_composed *e = &c->entries[i];
        cJSON *said = NULL;
        dfx_status status;

        if (!e->from_user || e->doc == NULL ||
            strcmp(e->path, DFX_MODEL_INDEX) == 0)
            continue;
        DFX_TRY(dfx_doc_parse(e->data, e->size, e->path, &said, err));
        status = merge(e->doc, said, err);
        cJSON_Delete(said);
        DFX_TRY(status);
    }
    return DFX_OK;
}

static const char *
path_at(const void *list, size_t i)
{
    const dfx_composer *c = list;

    return c->entries[i].path;
}

static dfx_status
merge_sections(dfx_composer *c, const cJSON *doc, dfx_error *err)
{
    for (const cJSON *part = doc->child; part != NULL; part = part->next) {
        size_t i = dfx_config_named(part->string, strlen(part->string), path_at,
                                    c, c->count);
        cJSON *mine = NULL;

        if (i == SIZE_MAX)
            continue; /* it speaks of a part that is not here */
        DFX_TRY(dfx_composed_open(&c->entries[i], &mine, err));
        DFX_TRY(merge(mine, part, err));
    }
    return DFX_OK;
}

static dfx_status
apply_yaml(dfx_composer *c, dfx_error *err)
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

static dfx_status
apply_settings(dfx_composer *c, dfx_error *err)
{
    const dfx_identify_options *options = c->identity->options;

    for (size_t i = 0; i < options->set_count; i++) {
        const char *setting = options->set[i];
        cJSON *doc = NULL;
        size_t at = 0;

        DFX_TRY(dfx_setting_find(setting, path_at, c, c->count, &at, err));
        DFX_TRY(dfx_composed_open(&c->entries[at], &doc, err));
        DFX_TRY(dfx_setting_apply(setting, doc, err));
    }
    return DFX_OK;
}

/* ---- The whole ----------------------------------------------------------- */

dfx_status
dfx_composer_overlay(dfx_composer *c, dfx_error *err)
{
    DFX_TRY(apply_markers(c, err));
    DFX_TRY(apply_kept(c, err));
    DFX_TRY(apply_users(c, err));
    DFX_TRY(apply_yaml(c, err));
    return apply_settings(c, err);
}
