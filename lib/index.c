/*
 * index.c - what a source holds, and the gate through which it gets in
 */
#include <config.h>

#include "index.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"

/* Far above any model, far below what would hurt; see limit.index. */
enum {
    MAX_TENSORS = 4194304,
    MAX_FILES = 65536,
    MAX_COMPONENTS = 1024,
    MAX_WARNINGS = 1000 /* what comes after says nothing new */
};

/* ---- Life ------------------------------------------------------------- */

dfx_status
dfx_index_new(const char *path, dfx_index **index, dfx_error *err)
{
    dfx_index *made = calloc(1, sizeof *made);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->path = dfx_arena_strdup(&made->arena, path);
    if (made->path == NULL) {
        dfx_index_free(made);
        return dfx_fail_nomem(err);
    }
    made->format = "";
    made->audit.where = "";
    *index = made;
    return DFX_OK;
}

void
dfx_index_free(dfx_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = index->io_count; i > 0; i--)
        dfx_io_close(index->ios[i - 1]); /* slices before what they slice */
    free(index->ios);
    free(index->warnings);
    free(index->metadata);
    free(index->files);
    free(index->components);
    free(index->by_name);
    free(index->tensors);
    dfx_arena_fini(&index->arena);
    free(index);
}

dfx_status
dfx_index_take_io(dfx_index *index, dfx_io *io, dfx_error *err)
{
    if (!dfx_grow(&index->ios, &index->io_capacity, index->io_count,
                  sizeof *index->ios)) {
        dfx_io_close(io);
        return dfx_fail_nomem(err);
    }
    index->ios[index->io_count++] = io;
    return DFX_OK;
}

/* ---- Filling ---------------------------------------------------------- */

static dfx_status
check_limit(size_t count, size_t limit, const char *what, dfx_error *err)
{
    if (count >= limit)
        return dfx_fail(err, DFX_RULE_LIMIT_INDEX, DFX_NO_OFFSET,
                        "more than %zu %s", limit, what);
    return DFX_OK;
}

dfx_status
dfx_index_component(dfx_index *index, const char *name, uint32_t *component,
                    dfx_error *err)
{
    uint32_t at = dfx_index_find_component(index, name);
    char *copy;

    if (at == UINT32_MAX) {
        DFX_TRY(check_limit(index->component_count, MAX_COMPONENTS,
                            "components", err));
        copy = dfx_arena_strdup(&index->arena, name);
        if (copy == NULL ||
            !dfx_grow(&index->components, &index->component_capacity,
                      index->component_count, sizeof *index->components))
            return dfx_fail_nomem(err);
        at = (uint32_t)index->component_count++;
        index->components[at] = (dfx_component){.name = copy};
    }
    *component = at;
    return DFX_OK;
}

dfx_status
dfx_tensor_size(dfx_type type, uint32_t rank, const uint64_t *shape,
                uint64_t *elements, uint64_t *bytes, dfx_error *err)
{
    dfx_unit unit = dfx_type_unit(type);
    uint64_t count = 1, bits;

    for (uint32_t i = 0; i < rank; i++)
        if (dfx_ckd_mul(&count, count, shape[i]))
            return dfx_fail(
                err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                "the product of %" PRIu32 " dimensions exceeds 64 bits", rank);
    if (dfx_ckd_mul(&bits, count, unit.bytes) ||
        dfx_ckd_mul(&bits, bits / unit.elements, 8))
        return dfx_fail(err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                        "the bits of %" PRIu64 " elements exceed 64 bits",
                        count);
    if (count % unit.elements != 0)
        return dfx_fail(err, DFX_RULE_TENSOR_BITS, DFX_NO_OFFSET,
                        "%" PRIu64 " elements of %s fill no whole bytes", count,
                        dfx_type_name(type));
    *elements = count;
    *bytes = dfx_type_bytes(type, count);
    return DFX_OK;
}

/* All rules about one claim, without the names of the places. */
static dfx_status
check_claim(const dfx_claim *claim, dfx_error *err)
{
    uint64_t elements = 0, bytes = 0, io_size = dfx_io_size(claim->io);

    if (memchr(claim->name, '\0', claim->name_size) != NULL)
        return dfx_fail(err, DFX_RULE_NAME_INVALID, claim->where,
                        "the name holds U+0000");
    if (!dfx_utf8_valid(claim->name, claim->name_size, NULL))
        return dfx_fail(err, DFX_RULE_NAME_INVALID, claim->where,
                        "the name is not UTF-8");
    DFX_TRY(dfx_tensor_size(claim->type, claim->rank, claim->shape, &elements,
                            &bytes, err));
    if (bytes != claim->size)
        return dfx_fail(err, DFX_RULE_TENSOR_SIZE, claim->where,
                        "%" PRIu64 " elements of %s take %" PRIu64
                        " bytes, the file gives them %" PRIu64,
                        elements, dfx_type_name(claim->type), bytes,
                        claim->size);
    if (claim->offset > io_size || claim->size > io_size - claim->offset)
        return dfx_fail(err, DFX_RULE_DATA_SHORT, claim->where,
                        "needs %" PRIu64 " bytes at byte %" PRIu64
                        ", the file has %" PRIu64,
                        claim->size, claim->offset, io_size);
    return DFX_OK;
}

dfx_status
dfx_index_add(dfx_index *index, const dfx_claim *claim, dfx_error *err)
{
    dfx_status status = check_claim(claim, err);
    uint64_t *shape;
    char *name;

    if (status == DFX_OK)
        status = check_limit(index->tensor_count, MAX_TENSORS, "tensors", err);
    if (status != DFX_OK) {
        dfx_error_in_tensor_text(err, claim->name, claim->name_size);
        if (err != NULL)
            err->offset = claim->where;
        return status;
    }
    name = dfx_arena_strndup(&index->arena, claim->name, claim->name_size);
    shape = dfx_arena_array(&index->arena, claim->rank, sizeof *shape);
    if (name == NULL || shape == NULL ||
        !dfx_grow(&index->tensors, &index->tensor_capacity, index->tensor_count,
                  sizeof *index->tensors))
        return dfx_fail_nomem(err);
    for (uint32_t i = 0; i < claim->rank; i++)
        shape[i] = claim->shape[i];
    index->tensors[index->tensor_count++] = (dfx_tensor){
        .name = name,
        .component = claim->component,
        .type = claim->type,
        .rank = claim->rank,
        .shape = shape,
        .data = {claim->io, claim->offset, claim->size},
    };
    return DFX_OK;
}

dfx_status
dfx_index_add_file(dfx_index *index, const char *path, uint32_t component,
                   const dfx_extent *data, dfx_error *err)
{
    char *copy;

    DFX_TRY(check_limit(index->file_count, MAX_FILES, "files", err));
    copy = dfx_arena_strdup(&index->arena, path);
    if (copy == NULL || !dfx_grow(&index->files, &index->file_capacity,
                                  index->file_count, sizeof *index->files))
        return dfx_fail_nomem(err);
    index->files[index->file_count++] =
        (dfx_file){.path = copy, .component = component, .data = *data};
    return DFX_OK;
}

/* A C string of text: U+0000 becomes C0 80. NULL if memory ran out. */
static char *
dup_meta(dfx_arena *arena, const char *text, size_t size)
{
    size_t nuls = 0, used = 0;
    char *copy;

    for (size_t i = 0; i < size; i++)
        nuls += text[i] == '\0';
    if (nuls == 0)
        return dfx_arena_strndup(arena, text, size);
    copy = dfx_arena_alloc(arena, size + nuls + 1); /* size is in memory, so
                                                       twice it fits size_t */
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0') {
            copy[used++] = '\xc0';
            copy[used++] = '\x80';
        } else {
            copy[used++] = text[i];
        }
    }
    return copy;
}

dfx_status
dfx_index_add_meta(dfx_index *index, uint32_t component, const char *key,
                   size_t key_size, const char *value, size_t value_size,
                   dfx_error *err)
{
    char *key_copy = dup_meta(&index->arena, key, key_size);
    char *value_copy = dup_meta(&index->arena, value, value_size);

    if (key_copy == NULL || value_copy == NULL ||
        !dfx_grow(&index->metadata, &index->meta_capacity, index->meta_count,
                  sizeof *index->metadata))
        return dfx_fail_nomem(err);
    index->metadata[index->meta_count++] = (dfx_meta){
        .component = component, .key = key_copy, .value = value_copy};
    return DFX_OK;
}

dfx_status
dfx_index_warn(dfx_index *index, dfx_error *err, const char *fmt, ...)
{
    char text[2 * DFX_ERROR_CHARS], *copy;
    va_list args;

    if (index->warning_count >= MAX_WARNINGS)
        return DFX_OK;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    copy = dfx_arena_strdup(&index->arena, text);
    if (copy == NULL ||
        !dfx_grow(&index->warnings, &index->warning_capacity,
                  index->warning_count, sizeof *index->warnings))
        return dfx_fail_nomem(err);
    index->warnings[index->warning_count++] = copy;
    return DFX_OK;
}

/* ---- Finding ---------------------------------------------------------- */

static int
compare_tensors(const dfx_tensor *a, const dfx_tensor *b)
{
    if (a->component != b->component)
        return a->component < b->component ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int
compare_pointers(const void *a, const void *b)
{
    const dfx_tensor *const *x = a, *const *y = b;

    return compare_tensors(*x, *y);
}

static dfx_status
sort_names(dfx_index *index, dfx_error *err)
{
    size_t count = index->tensor_count;
    const dfx_tensor **list = calloc(count + 1, sizeof *list);

    if (list == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++)
        list[i] = &index->tensors[i];
    qsort(list, count, sizeof *list, compare_pointers);
    free(index->by_name);
    index->by_name = list;
    return DFX_OK;
}

dfx_status
dfx_index_seal(dfx_index *index, dfx_error *err)
{
    DFX_TRY(sort_names(index, err));
    for (size_t i = 1; i < index->tensor_count; i++) {
        const dfx_tensor *first = index->by_name[i - 1];
        const dfx_tensor *t = index->by_name[i];
        dfx_status status;

        if (compare_tensors(first, t) != 0)
            continue;
        status = dfx_fail(err, DFX_RULE_NAME_DUPLICATE, DFX_NO_OFFSET,
                          "the name comes twice, in %s and %s",
                          dfx_io_name(first->data.io), dfx_io_name(t->data.io));
        dfx_error_in_tensor(err, t->name);
        return status;
    }
    return DFX_OK;
}

const dfx_tensor *
dfx_index_find(const dfx_index *index, uint32_t component, const char *name)
{
    const dfx_tensor wanted = {.name = name, .component = component};
    const dfx_tensor *key = &wanted;
    const dfx_tensor **found =
        bsearch(&key, index->by_name, index->tensor_count,
                sizeof *index->by_name, compare_pointers);

    return found == NULL ? NULL : *found;
}

/* Where the names that start with front begin, or end. */
static size_t
bound_of(const dfx_index *index, uint32_t component, const char *front,
         size_t size, bool end)
{
    size_t low = 0, high = index->tensor_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const dfx_tensor *t = index->by_name[middle];
        int order = t->component != component
                        ? (t->component < component ? -1 : 1)
                        : strncmp(t->name, front, size);

        if (order < 0 || (order == 0 && end))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const dfx_tensor *const *
dfx_index_starting(const dfx_index *index, uint32_t component,
                   const char *front, size_t *count)
{
    size_t size = strlen(front);
    size_t first = bound_of(index, component, front, size, false);

    *count = bound_of(index, component, front, size, true) - first;
    return index->by_name + first;
}

const dfx_file *
dfx_index_find_file(const dfx_index *index, const char *path)
{
    for (size_t i = 0; i < index->file_count; i++)
        if (strcmp(index->files[i].path, path) == 0)
            return &index->files[i];
    return NULL;
}

const char *
dfx_index_find_meta(const dfx_index *index, uint32_t component, const char *key)
{
    for (size_t i = 0; i < index->meta_count; i++)
        if (index->metadata[i].component == component &&
            strcmp(index->metadata[i].key, key) == 0)
            return index->metadata[i].value;
    return NULL;
}

uint32_t
dfx_index_find_component(const dfx_index *index, const char *name)
{
    for (size_t i = 0; i < index->component_count; i++)
        if (strcmp(index->components[i].name, name) == 0)
            return (uint32_t)i;
    return UINT32_MAX;
}

/* ---- The public view -------------------------------------------------- */

const char *
dfx_index_path(const dfx_index *index)
{
    return index->path;
}

const char *
dfx_index_format(const dfx_index *index)
{
    return index->format;
}

const dfx_tensor *
dfx_index_tensors(const dfx_index *index, size_t *count)
{
    *count = index->tensor_count;
    return index->tensors;
}

const dfx_component *
dfx_index_components(const dfx_index *index, size_t *count)
{
    *count = index->component_count;
    return index->components;
}

const dfx_file *
dfx_index_files(const dfx_index *index, size_t *count)
{
    *count = index->file_count;
    return index->files;
}

const dfx_meta *
dfx_index_metadata(const dfx_index *index, size_t *count)
{
    *count = index->meta_count;
    return index->metadata;
}

const char *const *
dfx_index_warnings(const dfx_index *index, size_t *count)
{
    *count = index->warning_count;
    return index->warnings;
}

dfx_verdict
dfx_index_verdict(const dfx_index *index)
{
    return index->audit.verdict;
}
