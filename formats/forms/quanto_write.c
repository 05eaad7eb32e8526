/*
 * quanto_write.c - weights written as optimum-quanto 0.2.7 stores them
 */
#include <config.h>

#include "quanto.h"

#include <math.h>
#include <string.h>

#include "types.h"

enum { BYTES = 4096 };

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
limits_of(const dfx_expr *x, const dfx_quanto_packed *p, uint64_t group,
          float *least, float *most, dfx_error *err)
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
scale_of(const dfx_expr *x, const dfx_quanto_packed *p, uint64_t group,
         float *scale, float *shift, dfx_error *err)
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
add_codes(const dfx_expr *x, const dfx_quanto_packed *p, uint64_t row,
          uint64_t column, size_t count, unsigned shift_by, uint8_t *bytes,
          dfx_error *err)
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
    const dfx_quanto_packed *p = state;
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
    dfx_quanto_packed *p = dfx_arena_alloc(arena, sizeof *p);
    const dfx_expr *codes = NULL, *scales = NULL, *shifts = NULL;
    uint64_t shape[2];

    if (p == NULL)
        return dfx_fail_nomem(err);
    *p = (dfx_quanto_packed){.bits = *bits, .columns = group_of(x->shape[1])};
    p->rows = x->elements / p->columns;
    p->stored = dfx_quanto_rows(p->rows, p->bits);
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

const dfx_encoding dfx_quanto_encodings[] = {
    {"quanto-int8", 8, true, true, 1, &int8, make_plain, config, NULL},
    {"quanto-float8", 8, true, true, 1, &float8, make_plain, config, NULL},
    {"quanto-int4", 4.5, true, true, 1, &four, make_packed, config, NULL},
    {"quanto-int2", 2.5, true, true, 1, &two, make_packed, config, NULL},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};
