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

#include <math.h>
#include <string.h>

#include "document.h"
#include "encoding.h"
#include "types.h"

extern const dfx_form dfx_form_quanto;

enum { BYTES = 4096 };

typedef struct packed {
    unsigned bits;
    uint64_t rows, columns; /* of groups */
    uint64_t stored;        /* rows of bytes */
    bool by_column;         /* scales are of columns, not of rows */
} packed;

enum { PART_CODES, PART_SCALE, PART_SHIFT };

/* Of one row of groups, from a column on. */
static dfx_status
decode_run(const dfx_composite *c, uint64_t row, uint64_t column, size_t count,
           float *out, dfx_error *err)
{
    const packed *p = c->state;
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
    const packed *p = c->state;

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

static uint64_t
stored_rows(uint64_t rows, unsigned bits)
{
    uint64_t in_byte = 8 / bits;

    return rows / in_byte + (rows % in_byte != 0);
}

/* By what a tensor's rows leave; 0: either is possible, or none. */
static unsigned
bits_left(uint64_t rows, uint64_t stored)
{
    bool four = stored_rows(rows, 4) == stored;
    bool two = stored_rows(rows, 2) == stored;

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
shape_of(const dfx_tensor *bias, const packed *p, uint64_t shape[2])
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
    packed *p = dfx_arena_alloc(&j->index->arena, sizeof *p);
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
    *p = (packed){.rows = rows_of(scale), .columns = t->shape[1]};
    p->stored = t->shape[0];
    p->by_column = p->rows == 1 && dfx_tensor_elements(scale) > 1;
    p->bits = bits_said(j);
    if (p->bits == 0)
        p->bits = bits_left(p->rows, p->stored);
    if (p->bits == 0)
        p->bits = bits_of_others(j);
    if (stored_rows(p->rows, p->bits) != p->stored || p->rows == 0 ||
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

/* ---- Writing: eight bits
 * ----------------------------------------------------- */

static float
int8_scale(dfx_type source, float max)
{
    return dfx_in_type(source, max / 127);
}

static float
int8_code(dfx_type source, float x, float scale)
{
    if (scale == 0)
        return 0;
    return fminf(fmaxf(rintf(dfx_in_type(source, x / scale)), -128), 127);
}

static float
float8_scale(dfx_type source, float max)
{
    return dfx_in_type(source, max / 448);
}

static float
float8_code(dfx_type source, float x, float scale)
{
    if (scale == 0)
        return 0;
    return fminf(fmaxf(dfx_in_type(source, x / scale), -448), 448);
}

static const dfx_scaling int8 = {.codes = DFX_TYPE_I8,
                                 .rounds = DFX_TYPE_COUNT,
                                 .scale = int8_scale,
                                 .code = int8_code};
static const dfx_scaling float8 = {.codes = DFX_TYPE_F8_E4M3,
                                   .rounds = DFX_TYPE_COUNT,
                                   .scale = float8_scale,
                                   .code = float8_code};

/* Scales of what goes in and out, which are 1 for weights alone. */
static dfx_status
push_activations(dfx_part_list *parts, dfx_arena *arena, const dfx_expr *x,
                 dfx_error *err)
{
    const dfx_expr *one = NULL;

    DFX_TRY(dfx_expr_const(arena, x->type, 0, NULL, 1, &one, err));
    DFX_TRY(dfx_parts_push(parts, ".input_scale", one, err));
    return dfx_parts_push(parts, ".output_scale", one, err);
}

static dfx_status
make_plain(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
           dfx_part_list *parts, dfx_error *err)
{
    const dfx_expr *codes = NULL, *scales = NULL;

    DFX_TRY(dfx_encode_scaled(arena, encoding->facts, x, x->type,
                              x->shape[0] == 1 ? 0 : 2, &codes, &scales, err));
    DFX_TRY(dfx_parts_push(parts, ".weight._data", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".weight._scale", scales, err));
    return push_activations(parts, arena, x, err);
}

/* ---- Writing: four bits and two
 * ------------------------------------------------ */

enum { LONGEST_GROUP = 128 };

/* Columns of a group: the longest that divides the rows; a row if none does, or
   if it is short. */
static uint64_t
group_of(uint64_t columns)
{
    static const uint64_t sizes[] = {128, 96, 64, 32};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (columns > LONGEST_GROUP && columns % sizes[i] == 0)
            return sizes[i];
    return columns;
}

/* The least and the largest number of a group. */
static dfx_status
limits_of(const dfx_expr *x, const packed *p, uint64_t group, float *least,
          float *most, dfx_error *err)
{
    float numbers[BYTES];

    for (uint64_t at = 0; at < p->columns;) {
        uint64_t left = p->columns - at;
        size_t n = left < BYTES ? (size_t)left : BYTES;

        DFX_TRY(
            dfx_source_numbers(x, group * p->columns + at, n, numbers, err));
        for (size_t i = 0; i < n; i++) {
            *least = at + i == 0 ? numbers[i] : fminf(*least, numbers[i]);
            *most = at + i == 0 ? numbers[i] : fmaxf(*most, numbers[i]);
        }
        at += n;
    }
    return DFX_OK;
}

/* Of a group, as they are stored. A weight of one row is a group for each
   column, and kept whole in the shift. */
static dfx_status
scale_of(const dfx_expr *x, const packed *p, uint64_t group, float *scale,
         float *shift, dfx_error *err)
{
    float least = 0, most = 0;

    if (p->by_column) {
        DFX_TRY(dfx_source_numbers(x, group, 1, &least, err));
        *scale = 0;
    } else {
        DFX_TRY(limits_of(x, p, group, &least, &most, err));
        *scale = dfx_in_type(x->type, most - least);
        *scale = dfx_in_type(x->type, *scale / (float)((1U << p->bits) - 1));
    }
    *shift = -least;
    return DFX_OK;
}

static dfx_status
pull_numbers(const dfx_expr *x, const void *state, uint64_t first,
             uint64_t count, void *out, bool is_shift, dfx_error *err)
{
    unsigned size = dfx_type_size(x->type);
    unsigned char *to = out;
    float scale, shift;

    for (uint64_t i = 0; i < count; i++, to += size) {
        DFX_TRY(scale_of(x, state, first + i, &scale, &shift, err));
        dfx_cast(DFX_TYPE_F32, x->type, is_shift ? &shift : &scale, to, 1);
    }
    return DFX_OK;
}

static dfx_status
pull_scales(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    return pull_numbers(x, state, first, count, out, false, err);
}

static dfx_status
pull_shifts(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    return pull_numbers(x, state, first, count, out, true, err);
}

/* Codes of a run of one row of groups, into their bits of the bytes. */
static dfx_status
add_codes(const dfx_expr *x, const packed *p, uint64_t row, uint64_t column,
          size_t count, unsigned shift_by, uint8_t *bytes, dfx_error *err)
{
    float numbers[BYTES], scale = 0, shift = 0;
    float most = (float)((1U << p->bits) - 1);

    if (row >= p->rows || p->by_column)
        return DFX_OK;
    DFX_TRY(scale_of(x, p, row, &scale, &shift, err));
    DFX_TRY(
        dfx_source_numbers(x, row * p->columns + column, count, numbers, err));
    for (size_t i = 0; i < count; i++) {
        float v = dfx_in_type(x->type, numbers[i] + shift);
        float code = scale > 0 ? rintf(dfx_in_type(x->type, v / scale)) : 0;

        code = fminf(fmaxf(code, 0), most);
        bytes[i] = (uint8_t)(bytes[i] | (unsigned)code << shift_by);
    }
    return DFX_OK;
}

static dfx_status
pull_packed(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    const packed *p = state;
    uint8_t *bytes = out;

    memset(bytes, 0, (size_t)count);
    while (count > 0) {
        uint64_t row = first / p->columns, column = first % p->columns;
        uint64_t n = p->columns - column;

        if (n > count)
            n = count;
        if (n > BYTES)
            n = BYTES;
        for (unsigned k = 0; k < 8 / p->bits; k++)
            DFX_TRY(add_codes(x, p, row + k * p->stored, column, (size_t)n,
                              k * p->bits, bytes, err));
        bytes += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

static dfx_status
make_packed(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
            dfx_part_list *parts, dfx_error *err)
{
    const unsigned *bits = encoding->facts;
    packed *p = dfx_arena_alloc(arena, sizeof *p);
    const dfx_expr *codes = NULL, *scales = NULL, *shifts = NULL;
    uint64_t shape[2];

    if (p == NULL)
        return dfx_fail_nomem(err);
    *p = (packed){.bits = *bits, .columns = group_of(x->shape[1])};
    p->rows = x->elements / p->columns;
    p->stored = stored_rows(p->rows, p->bits);
    p->by_column = p->rows == 1;
    shape[0] = p->stored;
    shape[1] = p->columns;
    DFX_TRY(dfx_expr_part(arena, x, DFX_TYPE_U8, 2, shape, pull_packed, p,
                          &codes, err));
    shape[0] = p->rows;
    shape[1] = p->by_column ? p->columns : 1;
    DFX_TRY(dfx_expr_part(arena, x, x->type, 2, shape, pull_scales, p, &scales,
                          err));
    DFX_TRY(dfx_expr_part(arena, x, x->type, 2, shape, pull_shifts, p, &shifts,
                          err));
    DFX_TRY(dfx_parts_push(parts, ".weight._data._data", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".weight._scale", scales, err));
    DFX_TRY(dfx_parts_push(parts, ".weight._shift", shifts, err));
    return push_activations(parts, arena, x, err);
}

/* Transformers' keys, or Diffusers'. */
static cJSON *
config(const dfx_encoding *encoding, const dfx_bundle_component *component)
{
    const char *type = strchr(encoding->name, '-') + 1; /* "quanto-int8" */
    cJSON *o = cJSON_CreateObject();

    if (component->is_transformers)
        cJSON_AddNullToObject(o, "activations");
    cJSON_AddItemToObject(o, "modules_to_not_convert",
                          dfx_plain_layers(component));
    cJSON_AddStringToObject(o, "quant_method", "quanto");
    cJSON_AddStringToObject(
        o, component->is_transformers ? "weights" : "weights_dtype", type);
    return o;
}

static const unsigned four = 4, two = 2;

static const dfx_encoding encodings[] = {
    {"quanto-int8", 8, true, true, 1, &int8, make_plain, config, NULL},
    {"quanto-float8", 8, true, true, 1, &float8, make_plain, config, NULL},
    {"quanto-int4", 4.5, true, true, 1, &four, make_packed, config, NULL},
    {"quanto-int2", 2.5, true, true, 1, &two, make_packed, config, NULL},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};

const dfx_form dfx_form_quanto = {
    .method = "quanto",
    .join = join,
    .encodings = encodings,
};
