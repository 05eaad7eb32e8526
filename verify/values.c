/*
 * values.c - named arrays in memory: what stages take and give
 */
#include <config.h>

#include "values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle.h"
#include "index.h"
#include "registry.h"

dfx_status
dfx_values_new(dfx_values **values, dfx_error *err)
{
    *values = calloc(1, sizeof **values);
    return *values != NULL ? DFX_OK : dfx_fail_nomem(err);
}

static void
release(dfx_value *value)
{
    free((void *)(uintptr_t)value->name);
    free((void *)(uintptr_t)value->data);
}

void
dfx_values_free(dfx_values *values)
{
    if (values == NULL)
        return;
    for (size_t i = 0; i < values->count; i++)
        release(&values->items[i]);
    free(values->items);
    free(values);
}

size_t
dfx_values_count(const dfx_values *values)
{
    return values->count;
}

const dfx_value *
dfx_values_at(const dfx_values *values, size_t i)
{
    return i < values->count ? &values->items[i] : NULL;
}

const dfx_value *
dfx_values_find(const dfx_values *values, const char *name)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->items[i].name, name) == 0)
            return &values->items[i];
    return NULL;
}

/* ---- Adding -------------------------------------------------------------- */

/* Room for the numbers of a value in its type; NULL after an error. */
static dfx_status
make(dfx_value *value, const char *name, dfx_type type, uint32_t rank,
     const uint64_t *shape, void **data, dfx_error *err)
{
    uint64_t bytes = 0;

    *value = (dfx_value){.type = type, .rank = rank};
    *data = NULL;
    if (rank > DFX_VALUE_RANK ||
        (type != DFX_TYPE_F32 && type != DFX_TYPE_I64)) {
        dfx_status status = dfx_fail(
            err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
            "it has more than %d dimensions, or no numbers", DFX_VALUE_RANK);

        dfx_error_in_tensor(err, name);
        return status;
    }
    DFX_TRY(dfx_tensor_size(type, rank, shape, &value->count, &bytes, err));
    if (rank > 0)
        memcpy(value->shape, shape, rank * sizeof *shape);
    *data = malloc(bytes > 0 ? (size_t)bytes : 1);
    value->name = strdup(name);
    value->data = *data;
    if (*data != NULL && value->name != NULL)
        return DFX_OK;
    release(value);
    return dfx_fail_nomem(err);
}

/* Takes the value, also on failure. */
static dfx_status
take(dfx_values *values, dfx_value *value, dfx_error *err)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->items[i].name, value->name) == 0) {
            release(&values->items[i]);
            values->items[i] = *value;
            return DFX_OK;
        }
    if (!dfx_grow(&values->items, &values->capacity, values->count,
                  sizeof *values->items)) {
        release(value);
        return dfx_fail_nomem(err);
    }
    values->items[values->count++] = *value;
    return DFX_OK;
}

dfx_status
dfx_values_add(dfx_values *values, const char *name, dfx_type type,
               uint32_t rank, const uint64_t *shape, const void *data,
               dfx_error *err)
{
    dfx_value value;
    void *copy;

    DFX_TRY(make(&value, name, type, rank, shape, &copy, err));
    memcpy(copy, data,
           (size_t)value.count *
               (type == DFX_TYPE_F32 ? sizeof(float) : sizeof(int64_t)));
    return take(values, &value, err);
}

dfx_status
dfx_values_put(dfx_values *values, dfx_error *err, dfx_type type, uint32_t rank,
               const size_t *shape, const void *data, const char *fmt, ...)
{
    uint64_t wide[DFX_VALUE_RANK] = {0};
    char name[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    for (uint32_t i = 0; i < rank && i < DFX_VALUE_RANK; i++)
        wide[i] = shape[i];
    return dfx_values_add(values, name, type, rank, wide, data, err);
}

/* ---- Files --------------------------------------------------------------- */

/* Whole numbers, little-endian. */
static const struct whole {
    dfx_type type;
    unsigned bytes;
    bool is_signed;
} wholes[] = {
    {DFX_TYPE_BOOL, 1, false}, {DFX_TYPE_U8, 1, false},
    {DFX_TYPE_I8, 1, true},    {DFX_TYPE_U16, 2, false},
    {DFX_TYPE_I16, 2, true},   {DFX_TYPE_U32, 4, false},
    {DFX_TYPE_I32, 4, true},   {DFX_TYPE_I64, 8, true},
};

/* NULL: it is of another kind. */
static const struct whole *
whole_of(dfx_type type)
{
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
        if (wholes[i].type == type)
            return &wholes[i];
    return NULL;
}

static int64_t
whole_at(const struct whole *whole, const uint8_t *bytes, uint64_t i)
{
    unsigned unused = 64 - 8 * whole->bytes;
    uint64_t bits = 0;

    for (unsigned b = 0; b < whole->bytes; b++)
        bits |= (uint64_t)bytes[whole->bytes * i + b] << 8 * b;
    if (whole->is_signed && bits >> (8 * whole->bytes - 1) != 0)
        bits |= ~(UINT64_MAX << unused >> unused);
    return (int64_t)bits;
}

static dfx_status
read_whole(const struct whole *whole, const dfx_expr *x, int64_t *out,
           dfx_error *err)
{
    uint8_t *bytes = malloc(x->bytes > 0 ? (size_t)x->bytes : 1);
    dfx_status status;

    if (bytes == NULL)
        return dfx_fail_nomem(err);
    status = dfx_expr_pull_bytes(x, 0, (size_t)x->bytes, bytes, err);
    for (uint64_t i = 0; status == DFX_OK && i < x->elements; i++)
        out[i] = whole_at(whole, bytes, i);
    free(bytes);
    return status;
}

static dfx_status
read_tensor(dfx_values *values, const dfx_tensor *t, dfx_arena *arena,
            dfx_error *err)
{
    const struct whole *whole = whole_of(t->type);
    const dfx_expr *x = NULL;
    dfx_value value;
    void *data = NULL;
    dfx_status status;

    DFX_TRY(dfx_expr_tensor(arena, t, &x, err));
    DFX_TRY(make(&value, t->name, whole != NULL ? DFX_TYPE_I64 : DFX_TYPE_F32,
                 t->rank, t->shape, &data, err));
    if (whole != NULL)
        status = read_whole(whole, x, data, err);
    else {
        status = dfx_expr_cast(arena, x, DFX_TYPE_F32, &x, err);
        if (status == DFX_OK)
            status = dfx_expr_pull(x, 0, x->elements, data, err);
    }
    if (status == DFX_OK)
        return take(values, &value, err);
    release(&value);
    return status;
}

/* The first value of a key; NULL: there is none. */
static const dfx_meta *
find_meta(const dfx_index *index, const char *key)
{
    for (size_t i = 0; i < index->meta_count; i++)
        if (strcmp(index->metadata[i].key, key) == 0)
            return &index->metadata[i];
    return NULL;
}

dfx_status
dfx_values_load(dfx_values *values, const char *path, const char *key,
                char **text, dfx_error *err)
{
    dfx_index *index = NULL;
    dfx_arena arena = {0};
    const dfx_meta *meta;
    dfx_status status = dfx_open(path, NULL, &index, err);

    for (size_t i = 0; status == DFX_OK && i < index->tensor_count; i++)
        status = read_tensor(values, &index->tensors[i], &arena, err);
    meta = status == DFX_OK && key != NULL ? find_meta(index, key) : NULL;
    if (meta != NULL) {
        *text = strdup(meta->value);
        if (*text == NULL)
            status = dfx_fail_nomem(err);
    }
    dfx_arena_fini(&arena);
    dfx_index_free(index);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
}

dfx_status
dfx_values_read(dfx_values *values, const char *path, dfx_error *err)
{
    return dfx_values_load(values, path, NULL, NULL, err);
}

static int
compare_values(const void *a, const void *b)
{
    const dfx_value *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static dfx_status
lay_out(const dfx_values *values, const dfx_values_file *file, dfx_plan *plan,
        dfx_error *err)
{
    static const dfx_bundle_component component = {.name = "",
                                                   .weights = "model"};
    dfx_bundle bundle = {.components = &component, .component_count = 1};
    const dfx_value **sorted = dfx_arena_array(&plan->arena, values->count + 1,
                                               sizeof(const dfx_value *));
    dfx_status status = DFX_OK;

    if (sorted == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < values->count; i++)
        sorted[i] = &values->items[i];
    qsort(sorted, values->count, sizeof *sorted, compare_values);
    for (size_t i = 0; status == DFX_OK && i < values->count; i++) {
        const dfx_expr *x = NULL;

        status = dfx_expr_array(&plan->arena, sorted[i]->data, sorted[i]->type,
                                sorted[i]->rank, sorted[i]->shape, &x, err);
        if (status == DFX_OK)
            status = dfx_bundle_add(&bundle, 0, sorted[i]->name, x, err);
    }
    if (status == DFX_OK && file->key != NULL)
        status = dfx_bundle_add_meta(&bundle, 0, file->key, file->text, err);
    if (status == DFX_OK)
        status =
            dfx_format_named("safetensors")->lay_out(&bundle, "", plan, err);
    dfx_bundle_fini(&bundle);
    return status;
}

dfx_status
dfx_values_save(const dfx_values *values, const dfx_values_file *file,
                const char *path, dfx_error *err)
{
    dfx_plan *plan = NULL;
    dfx_status status;

    DFX_TRY(dfx_plan_new(path, false, &plan, err));
    plan->force = file->force;
    plan->compress = file->compress;
    status = lay_out(values, file, plan, err);
    if (status == DFX_OK)
        status = dfx_plan_seal(plan, err);
    if (status == DFX_OK)
        status = dfx_plan_run(plan, NULL, err);
    dfx_plan_free(plan);
    return status;
}

dfx_status
dfx_values_write(const dfx_values *values, const char *path, bool force,
                 dfx_error *err)
{
    dfx_values_file file = {.force = force};

    return dfx_values_save(values, &file, path, err);
}

/* ---- Looking up ---------------------------------------------------------- */

dfx_status
dfx_values_need(const dfx_values *values, const char *name, uint32_t rank,
                const dfx_value **out, dfx_error *err)
{
    *out = dfx_values_find(values, name);
    if (*out == NULL)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the input has no tensor \"%s\"", name);
    if ((*out)->type == DFX_TYPE_F32 && (*out)->rank == rank &&
        (*out)->count > 0)
        return DFX_OK;
    return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                    "the input \"%s\" must have %u dimensions, of numbers",
                    name, rank);
}

/* Where the name starts in FILE:NAME; NULL: it is a path. */
static const char *
name_in(const char *file)
{
    const char *colon = strrchr(file, ':');
    struct stat st;

    return colon != NULL && stat(file, &st) != 0 ? colon + 1 : NULL;
}

dfx_status
dfx_values_open(const char *file, dfx_values **values, const dfx_value **out,
                dfx_error *err)
{
    const char *name = name_in(file);
    char *path =
        name != NULL ? strndup(file, (size_t)(name - 1 - file)) : strdup(file);
    dfx_status status;

    *out = NULL;
    *values = NULL;
    status = path != NULL ? dfx_values_new(values, err) : dfx_fail_nomem(err);
    if (status == DFX_OK)
        status = dfx_values_read(*values, path, err);
    free(path);
    if (status == DFX_OK)
        *out = name != NULL            ? dfx_values_find(*values, name)
               : (*values)->count == 1 ? &(*values)->items[0]
                                       : NULL;
    if (status == DFX_OK && (*out == NULL || (*out)->type != DFX_TYPE_F32)) {
        status = dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                          name != NULL ? "it has no tensor \"%s\" of numbers"
                                       : "it has several tensors, or none of "
                                         "numbers: say which, FILE:NAME%s",
                          name != NULL ? name : "");
        dfx_error_in_file(err, file);
    }
    if (status != DFX_OK) {
        dfx_values_free(*values);
        *values = NULL;
    }
    return status;
}
