/*
 * quanto.c - optimum-quanto's weights: int8, float8, int4, int2
 *
 * optimum-quanto 0.2.7 (tensor/packed.py, grouped.py, qbits.py, nn/qmodule.py).
 * Of a layer X:
 *
 *   X.weight._data        codes as the matrix has them (int8, float8)
 *   X.weight._data._data  codes of 4 or 2 bits of the weight as rows of groups:
 *                         byte r, c holds those of rows r, r + R, r + 2R ...
 *   X.weight._scale       of each row, or group
 *   X.weight._shift       the same; what is taken off
 *   X.input_scale, X.output_scale
 *
 * Every step is done in the type of the scales. How many bits there are says
 * config.json, or else the number of rows.
 */
#include <config.h>

#include "quanto.h"

#include <string.h>

#include "document.h"
#include "types.h"

enum { BYTES = 4096 };

enum { PART_CODES, PART_SCALE, PART_SHIFT };

/* Of one row of groups, from a column on. */
static dfx_status
decode_run(const dfx_composite *c, uint64_t row, uint64_t column, size_t count,
           float *out, dfx_error *err)
{
    const dfx_quanto_packed *p = c->state;
    unsigned shift = (unsigned)(p->bits * (row / p->stored));
    float scales[BYTES], shifts[BYTES];
    uint8_t bytes[BYTES];
    uint64_t at = p->by_column ? column : row;
    size_t scale_count = p->by_column ? count : 1;

    DFX_TRY(dfx_part_bytes(&c->parts[PART_CODES],
                           row % p->stored * p->columns + column, count, bytes,
                           err));
    DFX_TRY(
        dfx_part_numbers(&c->parts[PART_SCALE], at, scale_count, scales, err));
    DFX_TRY(
        dfx_part_numbers(&c->parts[PART_SHIFT], at, scale_count, shifts, err));
    for (size_t i = 0; i < count; i++) {
        unsigned code = (unsigned)bytes[i] >> shift & ((1U << p->bits) - 1);
        size_t k = p->by_column ? i : 0;
        float product = dfx_round_to(c->type, scales[k] * (float)code);

        out[i] = product - shifts[k];
    }
    return DFX_OK;
}

static dfx_status
decode_packed(const dfx_composite *c, uint64_t first, size_t count, float *out,
              dfx_error *err)
{
    const dfx_quanto_packed *p = c->state;

    while (count > 0) {
        uint64_t column = first % p->columns;
        uint64_t n = p->columns - column;

        if (n > count)
            n = count;
        if (n > BYTES)
            n = BYTES;
        DFX_TRY(decode_run(c, first / p->columns, column, (size_t)n, out, err));
        out += n;
        first += n;
        count -= (size_t)n;
    }
    return DFX_OK;
}

/* ---- How many bits --------------------------------------------------------
 */

/* From config.json: Diffusers' key, or Transformers'; 0: it does not say. */
static unsigned
bits_said(const dfx_joiner *j)
{
    const char *type = dfx_doc_string(j->config, "weights_dtype");

    if (type == NULL)
        type = dfx_doc_string(j->config, "weights");
    if (type == NULL)
        return 0;
    return strcmp(type, "int4") == 0 ? 4 : strcmp(type, "int2") == 0 ? 2 : 0;
}

/* By what a tensor's rows leave; 0: either is possible, or none. */
static unsigned
bits_left(uint64_t rows, uint64_t stored)
{
    bool four = dfx_quanto_rows(rows, 4) == stored;
    bool two = dfx_quanto_rows(rows, 2) == stored;

    return four == two ? 0 : four ? 4 : 2;
}

/* Of the scales of a packed tensor: the rows of groups. */
static uint64_t
rows_of(const dfx_tensor *scale)
{
    return scale->rank == 2 && scale->shape[1] == 1 ? scale->shape[0] : 1;
}

/* A layer of one row fits both: what the others are. */
static unsigned
bits_of_others(const dfx_joiner *j)
{
    for (size_t i = 0; i < j->index->tensor_count; i++) {
        const dfx_tensor *t = &j->index->tensors[i];
        size_t layer = dfx_layer_of(t, "._data._data");
        const dfx_tensor *scale;
        unsigned bits;

        if (layer == 0 || t->component != j->component || t->rank != 2)
            continue;
        scale = dfx_joiner_find(j, t, layer, "._scale");
        bits = scale != NULL ? bits_left(rows_of(scale), t->shape[0]) : 0;
        if (bits != 0)
            return bits;
    }
    return 4;
}

/* ---- Joining ---------------------------------------------------------------
 */

/* The weight's shape is nowhere but in its bias: without one it is taken for
   that of the groups. */
static void
shape_of(const dfx_tensor *bias, const dfx_quanto_packed *p, uint64_t shape[2])
{
    uint64_t elements = p->rows * p->columns;

    shape[0] = p->rows;
    shape[1] = p->columns;
    if (bias != NULL && bias->rank == 1 && bias->shape[0] > 0 &&
        elements % bias->shape[0] == 0) {
        shape[0] = bias->shape[0];
        shape[1] = elements / bias->shape[0];
    }
}

static bool
is_float(const dfx_tensor *t)
{
    return t->type == DFX_TYPE_F32 || t->type == DFX_TYPE_F16 ||
           t->type == DFX_TYPE_BF16;
}

static dfx_status
join_packed(dfx_joiner *j, const dfx_tensor *t, size_t weight, size_t layer,
            dfx_error *err)
{
    const dfx_tensor *scale = dfx_joiner_find(j, t, weight, "._scale");
    const dfx_tensor *shift = dfx_joiner_find(j, t, weight, "._shift");
    const dfx_tensor *parts[5] = {
        t,
        scale,
        shift,
        dfx_joiner_find(j, t, layer, ".input_scale"),
        dfx_joiner_find(j, t, layer, ".output_scale"),
    };
    dfx_composite c = {.form = &dfx_form_quanto, .decode = decode_packed};
    dfx_quanto_packed *p = dfx_arena_alloc(&j->index->arena, sizeof *p);
    char *name = dfx_joiner_weight(j, t, layer);
    uint64_t shape[2], bytes;

    if (p == NULL || name == NULL)
        return dfx_fail_nomem(err);
    if (scale == NULL || shift == NULL)
        return dfx_form_fail(t, err, "there is no %s",
                             scale == NULL ? "scale" : "shift");
    if (t->type != DFX_TYPE_U8 || t->rank != 2 || t->shape[1] == 0 ||
        !is_float(scale) || shift->type != scale->type ||
        dfx_tensor_elements(scale) != dfx_tensor_elements(shift))
        return dfx_form_fail(t, err,
                             "codes, scale and shift have other types "
                             "or shapes than they should");
    *p = (dfx_quanto_packed){.rows = rows_of(scale), .columns = t->shape[1]};
    p->stored = t->shape[0];
    p->by_column = p->rows == 1 && dfx_tensor_elements(scale) > 1;
    p->bits = bits_said(j);
    if (p->bits == 0)
        p->bits = bits_left(p->rows, p->stored);
    if (p->bits == 0)
        p->bits = bits_of_others(j);
    if (dfx_quanto_rows(p->rows, p->bits) != p->stored || p->rows == 0 ||
        dfx_tensor_elements(scale) != (p->by_column ? p->columns : p->rows))
        return dfx_form_fail(t, err, "its rows are not those of its scales");
    c.rank = 2;
    c.shape = shape;
    c.type = scale->type;
    /* Rows and columns are of tensors that are there: but for the bits. */
    if (dfx_ckd_mul(&bytes, p->rows, p->columns))
        return dfx_form_fail(t, err, "its elements exceed 64 bits");
    shape_of(dfx_joiner_find(j, t, layer, ".bias"), p, shape);
    c.name = p->bits == 4 ? "quanto-int4" : "quanto-int2";
    c.state = p;
    return dfx_joiner_add(j, name, &c, parts, 5, err);
}

static dfx_status
join_plain(dfx_joiner *j, const dfx_tensor *t, size_t weight, size_t layer,
           dfx_error *err)
{
    const dfx_tensor *scale = dfx_joiner_find(j, t, weight, "._scale");
    const dfx_tensor *parts[4] = {
        t,
        scale,
        dfx_joiner_find(j, t, layer, ".input_scale"),
        dfx_joiner_find(j, t, layer, ".output_scale"),
    };
    dfx_composite c = {.form = &dfx_form_quanto, .decode = dfx_decode_scaled};
    dfx_scaled *s = dfx_arena_alloc(&j->index->arena, sizeof *s);
    char *name = dfx_joiner_weight(j, t, layer);
    uint64_t elements = dfx_tensor_elements(t), scales;

    if (s == NULL || name == NULL)
        return dfx_fail_nomem(err);
    if (scale == NULL)
        return dfx_form_fail(t, err, "there is no scale");
    scales = dfx_tensor_elements(scale);
    if ((t->type != DFX_TYPE_I8 && t->type != DFX_TYPE_F8_E4M3 &&
         t->type != DFX_TYPE_F8_E5M2) ||
        t->rank == 0 || !is_float(scale) || scales == 0 ||
        (scales != 1 && scales != t->shape[0]) || elements % scales != 0 ||
        elements == 0)
        return dfx_form_fail(t, err,
                             "codes and scale have other types or "
                             "shapes than they should");
    *s = (dfx_scaled){.run = elements / scales};
    c.name = t->type == DFX_TYPE_I8 ? "quanto-int8" : "quanto-float8";
    c.type = scale->type;
    c.rank = t->rank;
    c.shape = t->shape;
    c.state = s;
    return dfx_joiner_add(j, name, &c, parts, 4, err);
}

static dfx_status
join(dfx_joiner *j, const dfx_tensor *t, dfx_error *err)
{
    size_t layer = dfx_layer_of(t, ".weight._data._data");

    if (layer > 0)
        return join_packed(j, t, layer + strlen(".weight"), layer, err);
    layer = dfx_layer_of(t, ".weight._data");
    return layer > 0 ? join_plain(j, t, layer + strlen(".weight"), layer, err)
                     : DFX_OK;
}

const dfx_form dfx_form_quanto = {
    .method = "quanto",
    .join = join,
    .encodings = dfx_quanto_encodings,
};
