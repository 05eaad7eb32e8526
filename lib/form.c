/*
 * form.c - weights that are stored as several tensors, joined
 */
#include <config.h>

#include "form.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "io_kind.h"
#include "types.h"

enum {
    NUMBERS = 4096, /* at a time */
    MAX_NUMBER = 8, /* bytes of one */
    MOST_PARTS = 16
};

const float dfx_e2m1[16] = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,
                            -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};

/* ---- Parts --------------------------------------------------------------- */

dfx_status
dfx_form_fail(const dfx_tensor *t, dfx_error *err, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;
    dfx_status status;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    status = dfx_fail(err, DFX_RULE_QUANT_FORM, t->data.offset, "%s", text);
    dfx_error_in_tensor(err, t->name);
    return status;
}

uint64_t
dfx_tensor_elements(const dfx_tensor *t)
{
    uint64_t count = 1;

    for (uint32_t i = 0; i < t->rank; i++)
        count *= t->shape[i];
    return count;
}

dfx_status
dfx_part_bytes(const dfx_tensor *part, uint64_t first, size_t count,
               uint8_t *out, dfx_error *err)
{
    return dfx_extent_read(&part->data, first, out, count, err);
}

dfx_status
dfx_part_numbers(const dfx_tensor *part, uint64_t first, size_t count,
                 float *out, dfx_error *err)
{
    unsigned size = dfx_type_size(part->type);
    bool is_float = dfx_type_class(part->type) == DFX_CLASS_FLOAT;
    unsigned char raw[NUMBERS * MAX_NUMBER];
    double wide[NUMBERS];

    while (count > 0) {
        size_t n = count < NUMBERS ? count : NUMBERS;

        DFX_TRY(dfx_extent_read(&part->data, first * size, raw, n * size, err));
        if (is_float) {
            dfx_cast(part->type, DFX_TYPE_F32, raw, out, n);
        } else {
            dfx_to_f64(part->type, raw, wide, n);
            for (size_t i = 0; i < n; i++)
                out[i] = (float)wide[i];
        }
        out += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

float
dfx_round_to(dfx_type type, float x)
{
    unsigned char raw[MAX_NUMBER];

    dfx_cast(DFX_TYPE_F32, type, &x, raw, 1);
    dfx_cast(type, DFX_TYPE_F32, raw, &x, 1);
    return x;
}

dfx_status
dfx_decode_scaled(const dfx_composite *c, uint64_t first, size_t count,
                  float *out, dfx_error *err)
{
    const dfx_scaled *s = c->state;
    float scales[NUMBERS];
    uint64_t have = 0, base = 0; /* scales base .. base + have */

    DFX_TRY(dfx_part_numbers(&c->parts[0], first, count, out, err));
    for (size_t i = 0; i < count;) {
        uint64_t at = (first + i) / s->run;
        uint64_t end = (at + 1) * s->run - first;
        size_t stop = end < count ? (size_t)end : count;
        float scale;

        if (at >= base + have || have == 0) {
            uint64_t last = (first + count - 1) / s->run;

            base = at;
            have = last - at + 1 < NUMBERS ? last - at + 1 : NUMBERS;
            DFX_TRY(dfx_part_numbers(&c->parts[1], base, (size_t)have, scales,
                                     err));
        }
        scale = scales[at - base];
        if (s->rounds)
            scale = dfx_round_to(c->type, scale);
        for (; i < stop; i++) {
            out[i] = out[i] * scale;
            if (s->factor != 0)
                out[i] = out[i] * s->factor;
        }
    }
    return DFX_OK;
}

/* ---- Numbers as bytes ---------------------------------------------------- */

/* The bytes of a composite's numbers; state is the composite, which the index
   owns. */
static dfx_status
decoded_read(const dfx_io *io, uint64_t offset, void *buf, size_t size,
             dfx_error *err)
{
    const dfx_composite *c = *(const dfx_composite *const *)io->state;
    unsigned element = dfx_type_size(c->type);
    unsigned char *p = buf, raw[NUMBERS * MAX_NUMBER];
    float numbers[NUMBERS];

    while (size > 0) {
        uint64_t first = offset / element;
        size_t skip = (size_t)(offset % element);
        size_t n = (skip + size + element - 1) / element, bytes;

        if (n > NUMBERS)
            n = NUMBERS;
        DFX_TRY(c->decode(c, first, n, numbers, err));
        dfx_cast(DFX_TYPE_F32, c->type, numbers, raw, n);
        bytes = n * element - skip < size ? n * element - skip : size;
        memcpy(p, raw + skip, bytes);
        p += bytes;
        offset += bytes;
        size -= bytes;
    }
    return DFX_OK;
}

static const dfx_io_kind decoded_kind = {.read = decoded_read,
                                         .free_state = free};

static dfx_status
open_decoded(const dfx_composite *c, uint64_t size, dfx_io **io, dfx_error *err)
{
    const dfx_composite **state = malloc(sizeof *state);

    if (state == NULL)
        return dfx_fail_nomem(err);
    *state = c;
    *io = dfx_io_new(&decoded_kind, c->parts[0].data.io, 0, size, state);
    if (*io != NULL)
        return DFX_OK;
    free(state);
    return dfx_fail_nomem(err);
}

/* ---- Joining ------------------------------------------------------------- */

/* A composite, and whose place among the tensors it takes. */
typedef struct dfx_joined {
    dfx_composite *composite;
    const char *name;
    size_t part_at[MOST_PARTS]; /* numbers of its parts in the index */
} dfx_joined;

size_t
dfx_layer_of(const dfx_tensor *t, const char *suffix)
{
    size_t size = strlen(t->name), tail = strlen(suffix);

    return size > tail && strcmp(t->name + size - tail, suffix) == 0
               ? size - tail
               : 0;
}

const dfx_tensor *
dfx_joiner_find(const dfx_joiner *joiner, const dfx_tensor *t, size_t layer,
                const char *suffix)
{
    char small[256], *name = small;
    size_t size = layer + strlen(suffix) + 1;
    const dfx_tensor *found;

    if (size > sizeof small)
        name = malloc(size);
    if (name == NULL)
        return NULL; /* as if it were not there: a part is missing */
    memcpy(name, t->name, layer);
    memcpy(name + layer, suffix, size - layer);
    found = dfx_index_find(joiner->index, joiner->component, name);
    if (name != small)
        free(name);
    return found;
}

char *
dfx_joiner_weight(const dfx_joiner *joiner, const dfx_tensor *t, size_t layer)
{
    return dfx_arena_printf(&joiner->index->arena, "%.*s.weight", (int)layer,
                            t->name);
}

static dfx_status
copy_parts(dfx_joiner *j, dfx_joined *joined, const dfx_tensor *const *parts,
           size_t count, dfx_error *err)
{
    dfx_tensor *copies =
        dfx_arena_array(&j->index->arena, count, sizeof *copies);
    size_t kept = 0;

    if (copies == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count && kept < MOST_PARTS; i++) {
        if (parts[i] == NULL)
            continue;
        joined->part_at[kept] = (size_t)(parts[i] - j->index->tensors);
        copies[kept++] = *parts[i];
    }
    joined->composite->parts = copies;
    joined->composite->part_count = kept;
    return DFX_OK;
}

dfx_status
dfx_joiner_add(dfx_joiner *j, const char *weight,
               const dfx_composite *composite, const dfx_tensor *const *parts,
               size_t part_count, dfx_error *err)
{
    dfx_arena *arena = &j->index->arena;
    const char *dot = strrchr(weight, '.');
    dfx_joined joined = {.name = dfx_arena_strdup(arena, weight)};
    uint64_t *shape, bytes;
    dfx_composite *c;

    joined.composite = c = dfx_arena_alloc(arena, sizeof *c);
    shape = dfx_arena_array(arena, composite->rank, sizeof *shape);
    if (joined.name == NULL || c == NULL || shape == NULL)
        return dfx_fail_nomem(err);
    if (composite->rank > 0)
        memcpy(shape, composite->shape, composite->rank * sizeof *shape);
    *c = *composite;
    c->shape = shape;
    c->layer = dot != NULL ? (size_t)(dot - weight) : 0;
    DFX_TRY(
        dfx_tensor_size(c->type, c->rank, shape, &c->elements, &bytes, err));
    DFX_TRY(copy_parts(j, &joined, parts, part_count, err));
    if (!dfx_grow(&j->list, &j->capacity, j->count, sizeof joined))
        return dfx_fail_nomem(err);
    j->list[j->count++] = joined;
    return DFX_OK;
}

/* ---- A component --------------------------------------------------------- */

/* Its config.json; *doc is NULL if it has none, or none that is JSON. */
static dfx_status
read_config(const dfx_index *index, uint32_t component, cJSON **doc,
            dfx_error *err)
{
    const char *folder = index->components[component].name;
    dfx_text path = {0};
    const dfx_file *file;

    dfx_text_printf(&path, "%s%sconfig.json", folder,
                    folder[0] != '\0' ? "/" : "");
    if (path.failed)
        return dfx_fail_nomem(err);
    file = dfx_index_find_file(index, path.data);
    dfx_text_fini(&path);
    /* What is wrong with it is said elsewhere. */
    if (file == NULL || dfx_doc_read(&file->data, doc, NULL) != DFX_OK)
        *doc = NULL;
    return DFX_OK;
}

/* The float type of most tensors that are no codes of eight bits. */
static dfx_type
plain_type(const dfx_index *index, uint32_t component)
{
    static const dfx_type types[] = {DFX_TYPE_F32, DFX_TYPE_BF16, DFX_TYPE_F16};
    size_t counts[3] = {0}, best = 0;

    for (size_t i = 0; i < index->tensor_count; i++)
        for (size_t k = 0; k < 3; k++)
            counts[k] += index->tensors[i].component == component &&
                         index->tensors[i].type == types[k] &&
                         dfx_layer_of(&index->tensors[i], ".bias") > 0;
    for (size_t k = 1; k < 3; k++)
        if (counts[k] > counts[best])
            best = k;
    return types[best];
}

static dfx_status
ask_form(dfx_joiner *j, const dfx_form *form, dfx_error *err)
{
    dfx_status status = DFX_OK;

    j->state = NULL;
    if (form->begin != NULL)
        status = form->begin(j, err);
    for (size_t i = 0; i < j->index->tensor_count && status == DFX_OK; i++)
        if (j->index->tensors[i].component == j->component)
            status = form->join(j, &j->index->tensors[i], err);
    return status;
}

static dfx_status
ask_forms(dfx_joiner *j, dfx_error *err)
{
    cJSON *doc = NULL;
    dfx_status status = read_config(j->index, j->component, &doc, err);
    const dfx_form *form;

    j->config = dfx_doc_get(doc, "quantization_config");
    j->plain = plain_type(j->index, j->component);
    for (size_t i = 0; (form = dfx_form_at(i)) != NULL && status == DFX_OK; i++)
        status = ask_form(j, form, err);
    cJSON_Delete(doc);
    return status;
}

/* ---- The index ----------------------------------------------------------- */

/* The tensor that a composite is, in the place of its codes. */
static dfx_status
replace(dfx_index *index, const dfx_joined *joined, bool *is_part,
        dfx_error *err)
{
    const dfx_composite *c = joined->composite;
    uint64_t size = dfx_type_bytes(c->type, c->elements);
    dfx_tensor *t = &index->tensors[joined->part_at[0]];
    dfx_io *io = NULL;

    for (size_t i = 0; i < c->part_count; i++) {
        if (is_part[joined->part_at[i]])
            return dfx_form_fail(&c->parts[i], err,
                                 "it is a part of two weights");
        is_part[joined->part_at[i]] = true;
    }
    DFX_TRY(open_decoded(c, size, &io, err));
    DFX_TRY(dfx_index_take_io(index, io, err));
    *t = (dfx_tensor){
        .name = joined->name,
        .component = t->component,
        .type = c->type,
        .rank = c->rank,
        .shape = c->shape,
        .data = {.io = io, .size = size},
        .composite = c,
    };
    is_part[joined->part_at[0]] = false;
    return DFX_OK;
}

static dfx_status
rebuild(dfx_index *index, const dfx_joiner *j, dfx_error *err)
{
    bool *is_part = calloc(index->tensor_count, sizeof *is_part);
    dfx_status status = is_part == NULL ? dfx_fail_nomem(err) : DFX_OK;
    size_t kept = 0;

    for (size_t i = 0; i < j->count && status == DFX_OK; i++)
        status = replace(index, &j->list[i], is_part, err);
    for (size_t i = 0; i < index->tensor_count && status == DFX_OK; i++)
        if (!is_part[i])
            index->tensors[kept++] = index->tensors[i];
    if (status == DFX_OK)
        index->tensor_count = kept;
    free(is_part);
    return status == DFX_OK ? dfx_index_seal(index, err) : status;
}

dfx_status
dfx_index_join(dfx_index *index, dfx_error *err)
{
    dfx_joiner j = {.index = index};
    dfx_status status = DFX_OK;

    for (uint32_t c = 0; c < index->component_count && status == DFX_OK; c++) {
        j.component = c;
        status = ask_forms(&j, err);
    }
    if (status == DFX_OK && j.count > 0)
        status = rebuild(index, &j, err);
    free(j.list);
    return status;
}

/* ---- For everyone -------------------------------------------------------- */

const char *
dfx_tensor_form(const dfx_tensor *tensor, uint64_t *stored)
{
    const dfx_composite *c = tensor->composite;

    *stored = tensor->data.size;
    if (c == NULL)
        return NULL;
    *stored = 0;
    for (size_t i = 0; i < c->part_count; i++)
        *stored += c->parts[i].data.size;
    return c->name;
}
