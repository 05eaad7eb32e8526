/*
 * synth_list.c - reading lists, rows and cases
 *
 * These are our own files: a broken one is reported, not survived in style.
 */
#include <config.h>

#include "synth.h"
#include "synth_type.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool complain(const char *path, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static bool
complain(const char *path, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "synth: %s: ", path);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

/*
 * cJSON ends a string at \u0000, which a golden case has in its metadata. A
 * noncharacter that no list uses stands in for it; the writer knows.
 */
static void
replace_nul_escapes(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text != '\\')
            continue;
        if (strncmp(text, "\\u0000", 6) == 0)
            memcpy(text, "\\uFDD0", 6);
        text++;
    }
}

static cJSON *
read_json(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    long size = -1;
    cJSON *doc = NULL;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        goto out;
    size = ftell(f);
    rewind(f);
    text = size >= 0 ? calloc((size_t)size + 1, 1) : NULL;
    if (text == NULL || fread(text, 1, (size_t)size, f) != (size_t)size)
        goto out;
    replace_nul_escapes(text);
    doc = cJSON_Parse(text);
out:
    if (doc == NULL)
        complain(path, "cannot be read, or is no JSON");
    free(text);
    if (f != NULL)
        fclose(f);
    return doc;
}

void
synth_fini(synth_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->tensors[i].name);
        free(list->tensors[i].shape);
    }
    free(list->tensors);
    cJSON_Delete(list->metadata);
    *list = (synth_list){0};
}

static synth_tensor *
append(synth_list *list)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        synth_tensor *grown =
            realloc(list->tensors, capacity * sizeof *list->tensors);

        if (grown == NULL)
            return NULL;
        list->tensors = grown;
        list->capacity = capacity;
    }
    list->tensors[list->count] = (synth_tensor){.elements = 1};
    return &list->tensors[list->count++];
}

static bool
set_shape(synth_tensor *t, const cJSON *shape)
{
    const cJSON *node;
    uint64_t bits;

    t->rank = (size_t)cJSON_GetArraySize(shape);
    t->shape = calloc(t->rank + 1, sizeof *t->shape);
    if (t->shape == NULL)
        return false;
    t->rank = 0;
    cJSON_ArrayForEach(node, shape)
    {
        uint64_t n = (uint64_t)node->valuedouble;

        t->shape[t->rank++] = n;
        if (__builtin_mul_overflow(t->elements, n, &t->elements))
            return false;
    }
    if (__builtin_mul_overflow(t->elements, t->type->bits, &bits))
        return false;
    t->size = bits / 8;
    return true;
}

/* Adds the tensor of a row [name, dtype, shape]; type may override its dtype.
 */
static synth_tensor *
add_row(synth_list *list, const char *name, const cJSON *row, const char *type)
{
    const char *own = cJSON_GetStringValue(cJSON_GetArrayItem(row, 1));
    const cJSON *shape = cJSON_GetArrayItem(row, 2);
    synth_tensor *t;

    if (name == NULL || own == NULL || !cJSON_IsArray(shape))
        return NULL;
    t = append(list);
    if (t == NULL)
        return NULL;
    t->name = strdup(name);
    t->type = synth_type_named(own);
    if (t->type != NULL && t->type->class == SYNTH_FLOAT && type != NULL)
        t->type = synth_type_named(type);
    if (t->name == NULL || t->type == NULL || !set_shape(t, shape))
        return NULL;
    return t;
}

/* The name that starts a row. */
static const char *
row_name(const cJSON *row)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(row, 0));
}

static bool
read_values(synth_tensor *t, const cJSON *row)
{
    const cJSON *scale = cJSON_GetArrayItem(row, 3);
    const cJSON *offset = cJSON_GetArrayItem(row, 4);
    const char *kind = cJSON_GetStringValue(cJSON_GetArrayItem(row, 5));

    if (!cJSON_IsNumber(scale) || !cJSON_IsNumber(offset) ||
        !synth_has_values(t))
        return false;
    t->log2_scale = (int)scale->valuedouble;
    t->offset = offset->valuedouble;
    if (kind == NULL || strcmp(kind, "uniform") == 0)
        t->kind = SYNTH_UNIFORM;
    else if (strcmp(kind, "arange") == 0)
        t->kind = SYNTH_ARANGE;
    else if (strcmp(kind, "const") == 0)
        t->kind = SYNTH_CONST;
    else
        return false;
    return true;
}

bool
synth_read(synth_list *list, const char *path)
{
    cJSON *doc = read_json(path);
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(doc, "seed");
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(doc, "tensors");
    const cJSON *row;
    bool good = doc != NULL;

    *list = (synth_list){0};
    if (good && !cJSON_IsArray(rows))
        good = complain(path, "no list: it has no \"tensors\"");
    if (cJSON_IsNumber(seed))
        list->seed = (uint64_t)seed->valuedouble;
    cJSON_ArrayForEach(row, rows)
    {
        synth_tensor *t = add_row(list, row_name(row), row, NULL);

        if (t == NULL || !read_values(t, row)) {
            good = complain(path, "row %zu is wrong", list->count);
            break;
        }
    }
    if (good)
        list->metadata =
            cJSON_DetachItemFromObjectCaseSensitive(doc, "metadata");
    cJSON_Delete(doc);
    if (!good)
        synth_fini(list);
    return good;
}

static void
set_reverse_rule(synth_tensor *t)
{
    static const char suffix[] = ".weight";
    size_t size = strlen(t->name);
    bool is_scale = t->rank == 1 && size >= sizeof suffix - 1 &&
                    strcmp(t->name + size - (sizeof suffix - 1), suffix) == 0;

    t->log2_scale = is_scale ? -3 : -4;
    t->offset = is_scale ? 1.0 : 0.0;
}

bool
synth_read_rows(synth_list *list, const char *path, const char *key,
                uint64_t seed)
{
    cJSON *doc = read_json(path);
    const cJSON *rows = doc;
    const cJSON *row;
    bool good = doc != NULL;

    *list = (synth_list){.seed = seed};
    if (key != NULL)
        rows = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(doc, "components"), key);
    if (good && !cJSON_IsArray(rows))
        good = complain(path, "no rows under %s", key == NULL ? "top" : key);
    cJSON_ArrayForEach(row, rows)
    {
        synth_tensor *t = good ? add_row(list, row_name(row), row, NULL) : NULL;

        if (t == NULL) {
            good = complain(path, "row %zu is wrong", list->count);
            break;
        }
        set_reverse_rule(t);
    }
    cJSON_Delete(doc);
    if (!good)
        synth_fini(list);
    return good;
}

/* One of the "parts" of a case: [list, prefix to add, prefix to take away]. */
static bool
add_part(synth_list *list, const char *path, const cJSON *part,
         const char *type)
{
    const char *file = cJSON_GetStringValue(cJSON_GetArrayItem(part, 0));
    const char *prefix = cJSON_GetStringValue(cJSON_GetArrayItem(part, 1));
    const char *cut = cJSON_GetStringValue(cJSON_GetArrayItem(part, 2));
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - path);
    size_t cut_size = cut == NULL ? 0 : strlen(cut);
    char name[1024];
    cJSON *doc;
    const cJSON *row;
    bool good;

    if (file == NULL || prefix == NULL)
        return false;
    snprintf(name, sizeof name, "%.*s%s.json", folder, path, file);
    doc = read_json(name);
    good = doc != NULL;
    cJSON_ArrayForEach(row, doc)
    {
        const char *own = row_name(row);

        if (own == NULL || strncmp(own, cut == NULL ? "" : cut, cut_size) != 0)
            good = false;
        if (!good)
            break;
        snprintf(name, sizeof name, "%s%s", prefix, own + cut_size);
        good = add_row(list, name, row, type) != NULL;
    }
    cJSON_Delete(doc);
    return good;
}

/* The copy of a training run's averaged weights: as LitEma names them. */
static bool
add_ema(synth_list *list)
{
    static const char model[] = "model.";
    size_t count = list->count;

    for (size_t i = 0; i < count; i++) {
        char name[1024];
        size_t size = (size_t)snprintf(name, sizeof name, "model_ema.");
        synth_tensor source = list->tensors[i];
        synth_tensor *t;

        if (strncmp(source.name, "model.diffusion_model.", 22) != 0)
            continue;
        for (const char *p = source.name + sizeof model - 1; *p != '\0'; p++)
            if (*p != '.' && size + 1 < sizeof name)
                name[size++] = *p;
        name[size] = '\0';
        t = append(list);
        if (t == NULL)
            return false;
        *t = source;
        t->name = strdup(name);
        t->shape = calloc(source.rank + 1, sizeof *t->shape);
        if (t->name == NULL || t->shape == NULL)
            return false;
        memcpy(t->shape, source.shape, source.rank * sizeof *t->shape);
    }
    return true;
}

/* Gives tensors another shape: [name, dtype, shape] as in the part they are. */
static bool
replace_row(synth_list *list, const cJSON *row)
{
    const char *name = row_name(row);

    for (size_t i = 0; name != NULL && i < list->count; i++) {
        synth_tensor *t = &list->tensors[i];

        if (strcmp(t->name, name) != 0)
            continue;
        free(t->shape);
        t->elements = 1;
        return set_shape(t, cJSON_GetArrayItem(row, 2));
    }
    return false;
}

static bool
build_case(synth_list *list, const char *path, const cJSON *test)
{
    const char *type =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(test, "dtype"));
    const cJSON *node;

    cJSON_ArrayForEach(
        node,
        cJSON_GetObjectItemCaseSensitive(
            test, "parts")) if (!add_part(list, path, node, type)) return false;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(test, "ema")) &&
        !add_ema(list))
        return false;
    cJSON_ArrayForEach(
        node, cJSON_GetObjectItemCaseSensitive(
                  test, "replace")) if (!replace_row(list, node)) return false;
    cJSON_ArrayForEach(
        node, cJSON_GetObjectItemCaseSensitive(
                  test, "add")) if (add_row(list, row_name(node), node, NULL) ==
                                    NULL) return false;
    for (size_t i = 0; i < list->count; i++)
        set_reverse_rule(&list->tensors[i]);
    return true;
}

bool
synth_read_case(synth_list *list, const char *path, const char *name)
{
    cJSON *doc = read_json(path);
    const cJSON *test;
    bool good = false;

    *list = (synth_list){0};
    cJSON_ArrayForEach(test, doc)
    {
        const char *own = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(test, "name"));

        if (own != NULL && strcmp(own, name) == 0)
            break;
    }
    if (test != NULL)
        good = build_case(list, path, test);
    if (doc != NULL && !good)
        complain(path, "no case %s, or a wrong one", name);
    cJSON_Delete(doc);
    if (!good)
        synth_fini(list);
    return good;
}
