/*
 * importance.c - importance matrices
 *
 * Whatever the file is, its reader has for each matrix NAME two tensors,
 * NAME.in_sum2, sums of squares by column, and NAME.counts, how many were
 * summed up (llama.cpp tools/imatrix); the importance is their quotient, and 1
 * where nothing was counted.
 */
#include <config.h>

#include "importance.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "architecture.h"
#include "memory.h"
#include "types.h"

#define SUMS ".in_sum2"
#define COUNTS ".counts"

typedef struct entry {
    const char *name; /* of the matrix, bare, size bytes of it */
    size_t size;
    const float *values;
    uint64_t count;
} entry;

struct dfx_imatrix {
    dfx_index *index; /* owned */
    dfx_arena arena;
    entry *entries; /* owned; in order of their names */
    size_t count, capacity;
};

static int
compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int
compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return compare_names(x->name, x->size, y->name, y->size);
}

/* All numbers of a tensor as F32. */
static dfx_status
read_numbers(dfx_arena *arena, const dfx_tensor *t, uint64_t *count,
             float **out, dfx_error *err)
{
    void *raw = malloc((size_t)t->data.size);
    double *wide = NULL;
    dfx_status status;

    *count = t->data.size / dfx_type_size(t->type);
    *out = dfx_arena_array(arena, (size_t)*count, sizeof **out);
    wide = calloc((size_t)*count, sizeof *wide);
    status = raw == NULL || wide == NULL || *out == NULL
                 ? dfx_fail_nomem(err)
                 : dfx_extent_read(&t->data, 0, raw, (size_t)t->data.size, err);
    if (status == DFX_OK) {
        dfx_to_f64(t->type, raw, wide, (size_t)*count);
        for (uint64_t i = 0; i < *count; i++)
            (*out)[i] = (float)wide[i];
    }
    free(wide);
    free(raw);
    return status;
}

static bool
is_number(const dfx_tensor *t)
{
    dfx_class class = dfx_type_class(t->type);

    return (class == DFX_CLASS_FLOAT || class == DFX_CLASS_INT) &&
           dfx_type_size(t->type) > 0 && t->data.size > 0;
}

static dfx_status
fail_entry(const dfx_tensor *t, dfx_error *err, const char *text)
{
    dfx_status status =
        dfx_fail(err, DFX_RULE_QUANT_IMATRIX, t->data.offset, "%s", text);

    dfx_error_in_tensor(err, t->name);
    return status;
}

/* A matrix of which sums are. More than one count is of as many matrices of one
   tensor, whose columns follow each other. */
static dfx_status
add_entry(dfx_imatrix *imatrix, const dfx_tensor *sums, dfx_error *err)
{
    size_t size = strlen(sums->name) - strlen(SUMS);
    char *name =
        dfx_arena_printf(&imatrix->arena, "%.*s" COUNTS, (int)size, sums->name);
    const dfx_tensor *counts;
    float *values, *divisors;
    uint64_t count, matrices;

    if (name == NULL || !dfx_grow(&imatrix->entries, &imatrix->capacity,
                                  imatrix->count, sizeof(entry)))
        return dfx_fail_nomem(err);
    counts = dfx_index_find(imatrix->index, 0, name);
    if (counts == NULL)
        return fail_entry(sums, err, "there are no counts of these sums");
    if (!is_number(sums) || !is_number(counts))
        return fail_entry(sums, err, "sums and counts should be numbers");
    DFX_TRY(read_numbers(&imatrix->arena, sums, &count, &values, err));
    DFX_TRY(read_numbers(&imatrix->arena, counts, &matrices, &divisors, err));
    if (count % matrices != 0)
        return fail_entry(sums, err, "sums and counts are of other matrices");
    for (uint64_t i = 0; i < count; i++) {
        float divisor = divisors[i / (count / matrices)];

        values[i] = divisor > 0 ? values[i] / divisor : 1;
        if (!isfinite(values[i]) || values[i] < 0)
            return fail_entry(sums, err, "an importance is no number above 0");
    }
    imatrix->entries[imatrix->count++] =
        (entry){.name = dfx_bare_name(sums->name),
                .size = size - (size_t)(dfx_bare_name(sums->name) - sums->name),
                .values = values,
                .count = count};
    return DFX_OK;
}

static dfx_status
read_entries(dfx_imatrix *imatrix, dfx_error *err)
{
    const dfx_index *index = imatrix->index;

    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        size_t size = strlen(t->name);

        if (size > strlen(SUMS) + (size_t)(dfx_bare_name(t->name) - t->name) &&
            strcmp(t->name + size - strlen(SUMS), SUMS) == 0)
            DFX_TRY(add_entry(imatrix, t, err));
    }
    if (imatrix->count == 0)
        return dfx_fail(err, DFX_RULE_QUANT_IMATRIX, DFX_NO_OFFSET,
                        "this is no importance matrix: no tensor's name ends "
                        "in " SUMS);
    qsort(imatrix->entries, imatrix->count, sizeof *imatrix->entries,
          compare_entries);
    return DFX_OK;
}

dfx_status
dfx_imatrix_open(const char *path, const dfx_open_options *options,
                 dfx_imatrix **imatrix, dfx_error *err)
{
    dfx_imatrix *made = calloc(1, sizeof *made);
    dfx_status status;

    if (made == NULL)
        return dfx_fail_nomem(err);
    status = dfx_open(path, options, &made->index, err);
    if (status == DFX_OK) {
        status = read_entries(made, err);
        if (status != DFX_OK)
            dfx_error_in_file(err, path);
    }
    if (status != DFX_OK) {
        dfx_imatrix_free(made);
        return status;
    }
    *imatrix = made;
    return DFX_OK;
}

void
dfx_imatrix_free(dfx_imatrix *imatrix)
{
    if (imatrix == NULL)
        return;
    free(imatrix->entries);
    dfx_arena_fini(&imatrix->arena);
    dfx_index_free(imatrix->index);
    free(imatrix);
}

dfx_status
dfx_imatrix_find(const dfx_imatrix *imatrix, const char *name, uint64_t columns,
                 const float **out, dfx_error *err)
{
    entry key = {.name = dfx_bare_name(name)};
    const entry *found;

    key.size = strlen(key.name);
    found = bsearch(&key, imatrix->entries, imatrix->count,
                    sizeof *imatrix->entries, compare_entries);
    *out = NULL;
    if (found == NULL)
        return DFX_OK;
    if (found->count != columns)
        return dfx_fail(err, DFX_RULE_QUANT_IMATRIX, DFX_NO_OFFSET,
                        "the importance matrix has %" PRIu64
                        " columns of this tensor, which has %" PRIu64,
                        found->count, columns);
    *out = found->values;
    return DFX_OK;
}
