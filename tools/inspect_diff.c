/*
 * inspect_diff.c - what differs between two models
 *
 * Tensors are compared by the library, by the names that both sides have in a
 * Diffusers folder. Metadata is compared between sources that have the same
 * places for it: two folders, or two files. Files are compared between folders;
 * for anything else there is the config that a folder of it would get.
 */
#include <config.h>

#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum {
    MAX_JSON = 16 << 20, /* files beyond are compared as bytes */
    CHUNK = 64 << 10,
    MAX_SHOWN = 40 /* characters of a value in the table */
};

/* Differences on their way to text and JSON. */
typedef struct report {
    dfx_table table;
    cJSON *tensors, *configs, *metadata, *files; /* owned by the root */
    size_t count;
} report;

static cJSON *
json_side(const dfx_tensor *t)
{
    cJSON *object;

    if (t == NULL)
        return dfx_json_text(NULL);
    object = dfx_json_object();
    dfx_json_add(object, "dtype", dfx_json_text(dfx_type_name(t->type)));
    dfx_json_add(object, "shape", dfx_json_shape(t->shape, t->rank));
    return object;
}

static void
side_cell(dfx_table *table, const dfx_tensor *t)
{
    char shape[128];

    if (t == NULL)
        dfx_table_cell(table, "-");
    else
        dfx_table_cellf(
            table, "%s %s", dfx_type_name(t->type),
            dfx_shape_print(t->shape, t->rank, shape, sizeof shape));
}

/* A dfx_diff_fn. */
static void
add_tensor(void *context, const dfx_tensor_diff *diff)
{
    static const char *const words[] = {
        [DFX_DIFF_ONLY_A] = "only-a",
        [DFX_DIFF_ONLY_B] = "only-b",
        [DFX_DIFF_TYPE] = "type",
        [DFX_DIFF_VALUES] = "values",
    };
    report *r = context;
    bool values = diff->what == DFX_DIFF_VALUES;
    bool named = diff->component[0] != '\0';
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "component", dfx_json_text(diff->component));
    dfx_json_add(object, "name", dfx_json_text(diff->name));
    dfx_json_add(object, "difference", dfx_json_text(words[diff->what]));
    dfx_json_add(object, "a", json_side(diff->a));
    dfx_json_add(object, "b", json_side(diff->b));
    dfx_json_add(object, "max_abs",
                 values ? dfx_json_double(diff->max_abs) : dfx_json_text(NULL));
    dfx_json_add(object, "different",
                 values ? dfx_json_count(diff->different)
                        : dfx_json_text(NULL));
    dfx_json_append(r->tensors, object);

    dfx_table_cell(&r->table, "tensor");
    dfx_table_cellf(&r->table, "%s%s%s", diff->component, named ? "/" : "",
                    diff->name);
    side_cell(&r->table, diff->a);
    side_cell(&r->table, diff->b);
    if (values) {
        dfx_table_cellf(&r->table, "%.6g", diff->max_abs);
        dfx_table_u64(&r->table, diff->different);
    } else {
        dfx_table_cell(&r->table, "");
        dfx_table_cell(&r->table, "");
    }
    r->count++;
}

static void
value_cell(dfx_table *table, const char *value)
{
    size_t size = value != NULL ? dfx_first(value, MAX_SHOWN) : 0;

    if (value == NULL)
        dfx_table_cell(table, "-");
    else
        dfx_table_cellf(table, "%.*s%s", (int)size, value,
                        value[size] != '\0' ? "..." : "");
}

/* A row of the table that is no tensor. */
static void
add_row(report *r, const char *what, const char *name, const char *a,
        const char *b)
{
    dfx_table_cell(&r->table, what);
    dfx_table_cell(&r->table, name);
    value_cell(&r->table, a);
    value_cell(&r->table, b);
    dfx_table_cell(&r->table, "");
    dfx_table_cell(&r->table, "");
    r->count++;
}

/* A key of the metadata, under the name of its component. */
typedef struct named_meta {
    const char *component;
    const dfx_meta *meta;
} named_meta;

static int
by_component_and_key(const void *x, const void *y)
{
    const named_meta *a = x, *b = y;
    int order = strcmp(a->component, b->component);

    return order != 0 ? order : strcmp(a->meta->key, b->meta->key);
}

/* In order; owned by the caller. */
static named_meta *
sorted_metadata(const dfx_index *index, size_t *count)
{
    size_t component_count = 0;
    const dfx_meta *metadata = dfx_index_metadata(index, count);
    const dfx_component *components =
        dfx_index_components(index, &component_count);
    named_meta *sorted = dfx_need(calloc(*count + 1, sizeof *sorted));

    for (size_t i = 0; i < *count; i++)
        sorted[i] =
            (named_meta){components[metadata[i].component].name, &metadata[i]};
    qsort(sorted, *count, sizeof *sorted, by_component_and_key);
    return sorted;
}

/* a or b is NULL where only the other side has the key. */
static void
add_metadata(report *r, const named_meta *a, const named_meta *b)
{
    const named_meta *one = a != NULL ? a : b;
    const char *value_a = a != NULL ? a->meta->value : NULL;
    const char *value_b = b != NULL ? b->meta->value : NULL;
    cJSON *object = dfx_json_object();
    char name[512];

    dfx_json_add(object, "component", dfx_json_text(one->component));
    dfx_json_add(object, "key", dfx_json_text(one->meta->key));
    dfx_json_add(object, "a", dfx_json_text(value_a));
    dfx_json_add(object, "b", dfx_json_text(value_b));
    dfx_json_append(r->metadata, object);
    snprintf(name, sizeof name, "%s%s%s", one->component,
             one->component[0] != '\0' ? "/" : "", one->meta->key);
    add_row(r, "metadata", name, value_a, value_b);
}

static void
diff_metadata(report *r, const dfx_index *a, const dfx_index *b)
{
    size_t m = 0, n = 0;
    named_meta *x = sorted_metadata(a, &m), *y = sorted_metadata(b, &n);

    for (size_t i = 0, j = 0; i < m || j < n;) {
        int order = i == m   ? 1
                    : j == n ? -1
                             : by_component_and_key(&x[i], &y[j]);

        if (order != 0 || strcmp(x[i].meta->value, y[j].meta->value) != 0)
            add_metadata(r, order <= 0 ? &x[i] : NULL,
                         order >= 0 ? &y[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
    free(x);
    free(y);
}

static void
add_field(report *r, const char *path, const char *field, const cJSON *a,
          const cJSON *b)
{
    char *text_a = a != NULL ? dfx_need(cJSON_PrintUnformatted(a)) : NULL;
    char *text_b = b != NULL ? dfx_need(cJSON_PrintUnformatted(b)) : NULL;
    cJSON *object = dfx_json_object();
    char name[512];

    dfx_json_add(object, "path", dfx_json_text(path));
    dfx_json_add(object, "field", dfx_json_text(field));
    /* A missing field has no key here: null is a value a field can have. */
    if (a != NULL)
        dfx_json_add(object, "a", dfx_need(cJSON_Duplicate(a, true)));
    if (b != NULL)
        dfx_json_add(object, "b", dfx_need(cJSON_Duplicate(b, true)));
    dfx_json_append(r->configs, object);
    snprintf(name, sizeof name, "%s: %s", path, field);
    add_row(r, "config", name, text_a, text_b);
    free(text_a);
    free(text_b);
}

/* Fields that differ. common: those that only one side has do not count, nor
   do notes about who wrote it ("_diffusers_version"). */
static void
diff_fields(report *r, const char *path, const cJSON *a, const cJSON *b,
            bool common)
{
    const cJSON *x, *y;

    cJSON_ArrayForEach(x, a)
    {
        y = cJSON_GetObjectItemCaseSensitive(b, x->string);
        if ((common && (y == NULL || x->string[0] == '_')) ||
            (y != NULL && cJSON_Compare(x, y, true)))
            continue;
        add_field(r, path, x->string, x, y);
    }
    cJSON_ArrayForEach(y, b)
    {
        if (!common && cJSON_GetObjectItemCaseSensitive(a, y->string) == NULL)
            add_field(r, path, y->string, NULL, y);
    }
}

static const dfx_file *
file_at(const dfx_index *index, const char *path)
{
    size_t count = 0;
    const dfx_file *files = dfx_index_files(index, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* *json is owned by the caller; NULL if the file is no JSON object. */
static dfx_status
load_json(const dfx_file *file, cJSON **json, dfx_error *err)
{
    dfx_status status;
    char *text;

    *json = NULL;
    if (file->data.size > MAX_JSON)
        return DFX_OK;
    text = dfx_need(calloc((size_t)file->data.size + 1, 1));
    status =
        dfx_extent_read(&file->data, 0, text, (size_t)file->data.size, err);
    if (status == DFX_OK)
        *json = cJSON_ParseWithOpts(text, NULL, true);
    free(text);
    if (*json != NULL && !cJSON_IsObject(*json)) {
        cJSON_Delete(*json);
        *json = NULL;
    }
    return status;
}

static dfx_status
compare_bytes(const dfx_extent *a, const dfx_extent *b, bool *same,
              dfx_error *err)
{
    static unsigned char x[CHUNK], y[CHUNK];

    *same = a->size == b->size;
    for (uint64_t at = 0; *same && at < a->size; at += CHUNK) {
        size_t size = a->size - at < CHUNK ? (size_t)(a->size - at) : CHUNK;
        dfx_status status = dfx_extent_read(a, at, x, size, err);

        if (status == DFX_OK)
            status = dfx_extent_read(b, at, y, size, err);
        if (status != DFX_OK)
            return status;
        *same = memcmp(x, y, size) == 0;
    }
    return DFX_OK;
}

static void
add_file(report *r, const char *path, const char *difference, const char *a,
         const char *b)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "path", dfx_json_text(path));
    dfx_json_add(object, "difference", dfx_json_text(difference));
    dfx_json_append(r->files, object);
    add_row(r, "file", path, a, b);
}

/* A file that both have: JSON by its fields, anything else by its bytes. */
static dfx_status
diff_file(report *r, const dfx_file *a, const dfx_file *b, dfx_error *err)
{
    cJSON *x = NULL, *y = NULL;
    bool same = false;
    dfx_status status = compare_bytes(&a->data, &b->data, &same, err);

    if (status == DFX_OK && !same)
        status = load_json(a, &x, err);
    if (status == DFX_OK && !same)
        status = load_json(b, &y, err);
    if (status == DFX_OK && !same) {
        char human_a[DFX_HUMAN_CHARS], human_b[DFX_HUMAN_CHARS];

        if (x != NULL && y != NULL)
            diff_fields(r, a->path, x, y, false);
        else
            add_file(r, a->path, "bytes",
                     dfx_human_bytes(a->data.size, human_a),
                     dfx_human_bytes(b->data.size, human_b));
    }
    cJSON_Delete(x);
    cJSON_Delete(y);
    return status;
}

static dfx_status
diff_files(report *r, const dfx_index *a, const dfx_index *b, dfx_error *err)
{
    size_t count = 0;
    const dfx_file *files = dfx_index_files(a, &count);
    char human[DFX_HUMAN_CHARS];

    for (size_t i = 0; i < count; i++) {
        const dfx_file *other = file_at(b, files[i].path);
        dfx_status status;

        if (other == NULL) {
            add_file(r, files[i].path, "only-a",
                     dfx_human_bytes(files[i].data.size, human), NULL);
            continue;
        }
        status = diff_file(r, &files[i], other, err);
        if (status != DFX_OK)
            return status;
    }
    files = dfx_index_files(b, &count);
    for (size_t i = 0; i < count; i++)
        if (file_at(a, files[i].path) == NULL)
            add_file(r, files[i].path, "only-b", NULL,
                     dfx_human_bytes(files[i].data.size, human));
    return DFX_OK;
}

/* Configs where one side is no folder and has no files to compare. */
static void
diff_configs(report *r, const dfx_identity *a, const dfx_identity *b)
{
    size_t count = 0, other_count = 0;
    const dfx_part *parts = dfx_identity_parts(a, &count);
    const dfx_part *others = dfx_identity_parts(b, &other_count);

    for (size_t i = 0; i < count * other_count; i++) {
        const dfx_part *part = &parts[i / other_count];
        const dfx_part *other = &others[i % other_count];
        cJSON *x, *y;

        if (strcmp(part->name, other->name) != 0 || part->config == NULL ||
            other->config == NULL)
            continue;
        x = cJSON_Parse(part->config);
        y = cJSON_Parse(other->config);
        diff_fields(r, part->name, x, y, true);
        cJSON_Delete(x);
        cJSON_Delete(y);
    }
}

/* Whether a source has sub-folders, each with metadata and files of its own. */
static bool
is_folder(const dfx_index *index)
{
    size_t count = 0;
    const dfx_component *components = dfx_index_components(index, &count);

    for (size_t i = 0; i < count; i++)
        if (components[i].name[0] != '\0')
            return true;
    return false;
}

static dfx_status
diff_sources(report *r, const dfx_source *a, const dfx_source *b, size_t *same,
             dfx_error *err)
{
    dfx_status status = dfx_diff(a->index, a->identity, b->index, b->identity,
                                 add_tensor, r, same, err);

    if (status != DFX_OK)
        return status;
    if (is_folder(a->index) == is_folder(b->index))
        diff_metadata(r, a->index, b->index);
    if (is_folder(a->index) && is_folder(b->index))
        return diff_files(r, a->index, b->index, err);
    diff_configs(r, a->identity, b->identity);
    return DFX_OK;
}

static void
print_report(const dfx_inspect *asked, report *r, const char *a, const char *b,
             size_t same)
{
    if (r->count > 0) {
        dfx_table_print(&r->table, stdout, 0, &asked->colours);
        printf("\n%zu difference%s, ", r->count, r->count == 1 ? "" : "s");
    } else {
        dfx_put(stdout, a);
        printf(" and ");
        dfx_put(stdout, b);
        printf(" are the same model: ");
    }
    printf("%zu tensor%s equal\n", same, same == 1 ? "" : "s");
}

static void
report_init(report *r, cJSON *root)
{
    static const char *const heading[] = {"WHAT", "NAME",    "A",
                                          "B",    "MAX-ABS", "ELEMENTS"};

    dfx_table_init(&r->table, "llllrr");
    for (size_t i = 0; i < sizeof heading / sizeof heading[0]; i++)
        dfx_table_cell(&r->table, heading[i]);
    r->tensors = dfx_json_array();
    r->configs = dfx_json_array();
    r->metadata = dfx_json_array();
    r->files = dfx_json_array();
    r->count = 0;
    dfx_json_add(root, "tensors", r->tensors);
    dfx_json_add(root, "configs", r->configs);
    dfx_json_add(root, "metadata", r->metadata);
    dfx_json_add(root, "files", r->files);
}

int
dfx_inspect_diff(const dfx_inspect *asked, const char *a, const char *b)
{
    cJSON *root = dfx_json_object(), *differences = dfx_json_object();
    dfx_source x = {0}, y = {0};
    const char *path = a;
    size_t same = 0;
    dfx_error err;
    dfx_status status;
    report r;

    report_init(&r, differences);
    status = dfx_source_open(&x, a, &asked->open, &asked->identify, &err);
    if (status == DFX_OK) {
        path = b;
        status = dfx_source_open(&y, b, &asked->open, &asked->identify, &err);
    }
    if (status == DFX_OK)
        status = diff_sources(&r, &x, &y, &same, &err);
    dfx_json_add(root, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(root, "a", dfx_json_text(a));
    dfx_json_add(root, "b", dfx_json_text(b));
    if (status == DFX_OK) {
        dfx_json_add(root, "equal", dfx_json_bool(r.count == 0));
        dfx_json_add(root, "same", dfx_json_count(same));
        dfx_json_add(root, "differences", differences);
    } else {
        dfx_say_error(asked->tool->name, path, &err);
        dfx_json_add(root, "error", dfx_json_error(&err));
        cJSON_Delete(differences);
    }
    if (asked->json)
        dfx_json_print(root, stdout);
    else
        cJSON_Delete(root);
    if (status == DFX_OK && !asked->json && !asked->quiet)
        print_report(asked, &r, a, b, same);
    dfx_table_fini(&r.table);
    dfx_source_close(&x);
    dfx_source_close(&y);
    if (status != DFX_OK)
        return DFX_EXIT_USAGE; /* it could not tell */
    return r.count > 0 ? DFX_EXIT_NO : DFX_EXIT_YES;
}
