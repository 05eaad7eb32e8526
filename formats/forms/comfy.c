/*
 * comfy.c - ComfyUI's scaled weights: float8, MXFP8, NVFP4, int8
 *
 * ComfyUI (QUANTIZATION.md, comfy/quant_ops.py) and comfy-kitchen 0.2.40. What
 * a layer X is stored as says JSON, {"format": ...}: in the tensor
 * X.comfy_quant, or for the whole file in the metadata, _quantization_metadata.
 * Without either there is the older form: X.scale_weight beside F8 weights, and
 * the tensor scaled_fp8 that says that the file has them.
 *
 *   float8_e4m3fn, float8_e5m2  X.weight_scale of the whole weight
 *   int8_tensorwise             X.weight_scale of the weight or of each row;
 *                               perhaps rotated in groups of columns (convrot)
 *   mxfp8                       X.weight_scale, E8M0, of each 32
 *   nvfp4                       two codes to a byte, the first in the high
 * bits; X.weight_scale of each 16, X.weight_scale_2
 *
 * The last two are padded, and their scales stand in tiles of 128 by 4. How
 * large the weight is without padding is not stored: its rows are those of the
 * bias.
 */
#include <config.h>

#include "comfy.h"

#include <string.h>

#include "document.h"
#include "types.h"

enum {
    TEXT = 4096,         /* bytes of a layer's JSON: far more than any has */
    MOST_ROTATED = 4096, /* columns that are rotated together; 256 is usual */
    BYTES = 4096
};

#define METADATA "_quantization_metadata"

enum { PART_CODES, PART_SCALES };

/* ---- Scales in tiles -------------------------------------------------------
 */

typedef struct tiled {
    uint64_t columns; /* of the weight, with padding */
    uint64_t tiles;   /* of scales beside each other */
    unsigned block;   /* columns that share a scale */
    float whole;      /* the scale of scales */
    bool is_packed;   /* two codes to a byte */
} tiled;

/* Where the four scales begin that stand together in a row. */
static uint64_t
place_of(const tiled *t, uint64_t row, uint64_t four)
{
    uint64_t tile = row / DFX_TILE_ROWS * t->tiles + four;

    return tile * DFX_TILE + row % 32 * 16 +
           row % DFX_TILE_ROWS / 32 * DFX_TILE_COLUMNS;
}

/* Numbers of a row from a column on, all of whose scales stand together. */
static dfx_status
decode_run(const dfx_composite *c, uint64_t row, uint64_t column, size_t count,
           float *out, dfx_error *err)
{
    const tiled *t = c->state;
    uint64_t first = row * t->columns + column;
    uint64_t four = column / t->block / DFX_TILE_COLUMNS;
    float scales[DFX_TILE_COLUMNS];
    uint8_t bytes[DFX_TILE_COLUMNS * 32 + 1];

    /* Some files have no type for them and call them U8. */
    DFX_TRY(dfx_part_bytes(&c->parts[PART_SCALES], place_of(t, row, four),
                           DFX_TILE_COLUMNS, bytes, err));
    dfx_cast(t->is_packed ? DFX_TYPE_F8_E4M3 : DFX_TYPE_F8_E8M0, DFX_TYPE_F32,
             bytes, scales, DFX_TILE_COLUMNS);
    if (!t->is_packed)
        DFX_TRY(
            dfx_part_numbers(&c->parts[PART_CODES], first, count, out, err));
    else
        DFX_TRY(dfx_part_bytes(&c->parts[PART_CODES], first / 2,
                               (size_t)((first + count + 1) / 2 - first / 2),
                               bytes, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i;
        float scale = scales[(column + i) / t->block % DFX_TILE_COLUMNS];

        if (t->is_packed) {
            uint8_t byte = bytes[at / 2 - first / 2];

            out[i] = dfx_e2m1[at % 2 == 0 ? byte >> 4 : byte & 15];
            scale = t->whole * scale;
        }
        out[i] = out[i] * scale;
    }
    return DFX_OK;
}

static dfx_status
decode_tiled(const dfx_composite *c, uint64_t first, size_t count, float *out,
             dfx_error *err)
{
    const tiled *t = c->state;
    uint64_t together = (uint64_t)t->block * DFX_TILE_COLUMNS;

    while (count > 0) {
        uint64_t row = first / t->columns, column = first % t->columns;
        uint64_t n = together - column % together;

        if (n > t->columns - column)
            n = t->columns - column;
        if (n > count)
            n = count;
        DFX_TRY(decode_run(c, row, column, (size_t)n, out, err));
        out += n;
        first += n;
        count -= (size_t)n;
    }
    return DFX_OK;
}

/* ---- Rotated columns --------------------------------------------------------
 */

typedef struct rotated {
    dfx_scaled scaled; /* first, for dfx_decode_scaled */
    size_t group;      /* columns: a power of four */
} rotated;

/* Times the group's matrix, which is its own inverse: the Kronecker power of a
   matrix of four by four, by steps of four numbers. */
static void
rotate(float *x, size_t group)
{
    for (size_t step = 1; step < group; step *= 4)
        for (size_t i = 0; i < group; i++) {
            float a, b, d, e;

            if (i / step % 4 != 0)
                continue;
            a = x[i];
            b = x[i + step];
            d = x[i + 2 * step];
            e = x[i + 3 * step];
            x[i] = 0.5F * (a + b + d - e);
            x[i + step] = 0.5F * (a + b - d + e);
            x[i + 2 * step] = 0.5F * (a - b + d + e);
            x[i + 3 * step] = 0.5F * (-a + b + d + e);
        }
}

static dfx_status
decode_rotated(const dfx_composite *c, uint64_t first, size_t count, float *out,
               dfx_error *err)
{
    const rotated *r = c->state;
    float group[MOST_ROTATED];

    while (count > 0) {
        size_t skip = (size_t)(first % r->group);
        size_t n = r->group - skip < count ? r->group - skip : count;

        DFX_TRY(dfx_decode_scaled(c, first - skip, r->group, group, err));
        rotate(group, r->group);
        memcpy(out, group + skip, n * sizeof *out);
        out += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

/* ---- What a layer says ------------------------------------------------------
 */

typedef struct layer {
    const dfx_tensor *sign; /* for messages */
    size_t name;            /* bytes of its name in the sign's */
    const dfx_tensor *weight, *scale, *whole, *said, *marker;
} layer;

static dfx_status
fail_shapes(const layer *l, const char *format, dfx_error *err)
{
    return dfx_form_fail(l->sign, err,
                         "codes and scales have other types or shapes than "
                         "those of %s",
                         format);
}

static dfx_status
add(dfx_joiner *j, const layer *l, dfx_composite *c, dfx_error *err)
{
    const dfx_tensor *parts[8] = {
        l->weight,
        l->scale,
        l->whole,
        l->said,
        l->marker,
        dfx_joiner_find(j, l->sign, l->name, ".input_scale"),
        dfx_joiner_find(j, l->sign, l->name, ".scale_input"),
        dfx_joiner_find(j, l->sign, l->name, ".pre_quant_scale"),
    };

    c->form = &dfx_form_comfy;
    c->type = j->plain;
    return dfx_joiner_add(j, l->weight->name, c, parts, 8, err);
}

/* One scale, or one of each row. */
static dfx_status
join_scaled(dfx_joiner *j, const layer *l, const char *format, dfx_error *err)
{
    const dfx_tensor *w = l->weight;
    bool is_int = strcmp(format, "int8_tensorwise") == 0;
    dfx_composite c = {.name = is_int ? "comfy-int8" : "comfy-fp8",
                       .rank = w->rank,
                       .shape = w->shape,
                       .decode = dfx_decode_scaled};
    rotated *r = dfx_arena_alloc(&j->index->arena, sizeof *r);
    uint64_t scales = dfx_tensor_elements(l->scale);
    uint64_t elements = dfx_tensor_elements(w);

    if (r == NULL)
        return dfx_fail_nomem(err);
    if (l->scale->type != DFX_TYPE_F32 || elements == 0 || w->rank == 0 ||
        (is_int ? w->type != DFX_TYPE_I8
                : w->type != DFX_TYPE_F8_E4M3 && w->type != DFX_TYPE_F8_E5M2) ||
        (scales != 1 && (!is_int || scales != w->shape[0])))
        return fail_shapes(l, format, err);
    r->scaled = (dfx_scaled){.run = elements / scales, .rounds = !is_int};
    c.state = r;
    return add(j, l, &c, err);
}

static dfx_status
join_rotated(dfx_joiner *j, const layer *l, int64_t group, dfx_error *err)
{
    const dfx_tensor *w = l->weight;
    dfx_composite c = {.name = "comfy-int8-convrot",
                       .rank = w->rank,
                       .shape = w->shape,
                       .decode = decode_rotated};
    rotated *r = dfx_arena_alloc(&j->index->arena, sizeof *r);
    int64_t power = 4;

    if (r == NULL)
        return dfx_fail_nomem(err);
    while (power < group && power < MOST_ROTATED)
        power *= 4;
    if (power != group)
        return dfx_form_fail(l->sign, err,
                             "convrot_groupsize is no power of four from 4 to "
                             "%d",
                             MOST_ROTATED);
    if (w->type != DFX_TYPE_I8 || w->rank != 2 || w->shape[1] == 0 ||
        w->shape[1] % (uint64_t)group != 0 || l->scale->type != DFX_TYPE_F32 ||
        dfx_tensor_elements(l->scale) != w->shape[0])
        return fail_shapes(l, "int8 in rotated columns", err);
    r->scaled = (dfx_scaled){.run = w->shape[1]};
    r->group = (size_t)group;
    c.state = r;
    return add(j, l, &c, err);
}

static dfx_status
join_tiled(dfx_joiner *j, const layer *l, bool is_packed, dfx_error *err)
{
    const char *format = is_packed ? "nvfp4" : "mxfp8";
    const dfx_tensor *w = l->weight;
    const dfx_tensor *bias = dfx_joiner_find(j, l->sign, l->name, ".bias");
    dfx_composite c = {.name = is_packed ? "comfy-nvfp4" : "comfy-mxfp8",
                       .rank = 2,
                       .decode = decode_tiled};
    tiled *t = dfx_arena_alloc(&j->index->arena, sizeof *t);
    uint64_t shape[2], scales;

    if (t == NULL)
        return dfx_fail_nomem(err);
    *t = (tiled){
        .block = is_packed ? 16 : 32, .whole = 1, .is_packed = is_packed};
    if (w->rank != 2 ||
        w->type != (is_packed ? DFX_TYPE_U8 : DFX_TYPE_F8_E4M3) ||
        w->shape[1] == 0 ||
        dfx_ckd_mul(&t->columns, w->shape[1], is_packed ? 2 : 1))
        return fail_shapes(l, format, err);
    scales = dfx_round_up(dfx_round_up(t->columns, t->block) / t->block,
                          DFX_TILE_COLUMNS);
    t->tiles = scales / DFX_TILE_COLUMNS;
    if (l->scale->rank != 2 ||
        l->scale->shape[0] != dfx_round_up(w->shape[0], DFX_TILE_ROWS) ||
        l->scale->shape[1] != scales ||
        (l->scale->type != DFX_TYPE_U8 &&
         l->scale->type != (is_packed ? DFX_TYPE_F8_E4M3 : DFX_TYPE_F8_E8M0)))
        return fail_shapes(l, format, err);
    if (is_packed && (l->whole == NULL || l->whole->type != DFX_TYPE_F32 ||
                      dfx_tensor_elements(l->whole) != 1))
        return dfx_form_fail(l->sign, err,
                             "there is no weight_scale_2, one "
                             "F32");
    if (is_packed)
        DFX_TRY(dfx_part_numbers(l->whole, 0, 1, &t->whole, err));
    shape[0] = bias != NULL && bias->rank == 1 && bias->shape[0] > 0 &&
                       bias->shape[0] <= w->shape[0]
                   ? bias->shape[0]
                   : w->shape[0];
    shape[1] = t->columns;
    c.shape = shape;
    c.state = t;
    return add(j, l, &c, err);
}

static dfx_status
join_as(dfx_joiner *j, const layer *l, const cJSON *said, dfx_error *err)
{
    const cJSON *params = dfx_doc_get(said, "params");
    const char *format = dfx_doc_string(said, "format");
    const cJSON *rotated_ = dfx_doc_get(said, "convrot");
    const cJSON *group = dfx_doc_get(said, "convrot_groupsize");
    int64_t columns = 256; /* ComfyUI's default */

    if (format == NULL)
        return dfx_form_fail(l->sign, err, "no format is said of it");
    if (rotated_ == NULL)
        rotated_ = dfx_doc_get(params, "convrot");
    if (group == NULL)
        group = dfx_doc_get(params, "convrot_groupsize");
    if (l->weight == NULL || l->scale == NULL)
        return dfx_form_fail(l->sign, err, "there is no %s",
                             l->weight == NULL ? "weight" : "scale");
    if (strcmp(format, "mxfp8") == 0 || strcmp(format, "nvfp4") == 0)
        return join_tiled(j, l, format[0] == 'n', err);
    if (strcmp(format, "int8_tensorwise") == 0 && cJSON_IsTrue(rotated_)) {
        if (group != NULL && !dfx_doc_int(group, &columns))
            columns = 0;
        return join_rotated(j, l, columns, err);
    }
    if (strcmp(format, "int8_tensorwise") == 0 ||
        strcmp(format, "float8_e4m3fn") == 0 ||
        strcmp(format, "float8_e5m2") == 0)
        return join_scaled(j, l, format, err);
    return dfx_form_fail(l->sign, err, "the format \"%.64s\" is not read",
                         format);
}

/* ---- Joining
 * ------------------------------------------------------------------ */

static layer
layer_at(const dfx_joiner *j, const dfx_tensor *sign, size_t name)
{
    return (layer){
        .sign = sign,
        .name = name,
        .weight = dfx_joiner_find(j, sign, name, ".weight"),
        .scale = dfx_joiner_find(j, sign, name, ".weight_scale"),
        .whole = dfx_joiner_find(j, sign, name, ".weight_scale_2"),
        .said = dfx_joiner_find(j, sign, name, ".comfy_quant"),
    };
}

static dfx_status
join_said(dfx_joiner *j, const dfx_tensor *t, size_t name, dfx_error *err)
{
    uint8_t text[TEXT];
    layer l = layer_at(j, t, name);
    cJSON *doc = NULL;
    dfx_status status;

    if (t->type != DFX_TYPE_U8 || t->data.size > sizeof text)
        return dfx_form_fail(t, err, "it is no text of at most %d bytes", TEXT);
    DFX_TRY(dfx_part_bytes(t, 0, (size_t)t->data.size, text, err));
    if (dfx_doc_parse((char *)text, (size_t)t->data.size, t->name, &doc,
                      NULL) != DFX_OK)
        return dfx_form_fail(t, err, "it is no JSON");
    status = join_as(j, &l, doc, err);
    cJSON_Delete(doc);
    return status;
}

/* What is said of the whole component. */
typedef struct component {
    const dfx_tensor *marker; /* "scaled_fp8", until a layer took it along */
    bool has_layers;          /* the metadata says what they are */
} component;

/* The older form. The first layer takes the marker along. */
static dfx_status
join_old(dfx_joiner *j, const dfx_tensor *t, size_t name, dfx_error *err)
{
    component *all = j->state;
    layer l = layer_at(j, t, name);

    if (l.weight == NULL || (l.weight->type != DFX_TYPE_F8_E4M3 &&
                             l.weight->type != DFX_TYPE_F8_E5M2))
        return DFX_OK;
    l.scale = t;
    l.marker = all->marker;
    all->marker = NULL;
    return join_scaled(j, &l, "float8", err);
}

/* A scale of the whole F8 weight and nothing that says so, as ModelOpt has it.
 */
static dfx_status
join_unsaid(dfx_joiner *j, const dfx_tensor *t, size_t name, dfx_error *err)
{
    layer l = layer_at(j, t, name);

    if (l.weight == NULL || l.said != NULL || l.whole != NULL ||
        t->type != DFX_TYPE_F32 || dfx_tensor_elements(t) != 1 ||
        (t->rank > 0 && l.weight->rank > 0 && l.weight->shape[0] == 1) ||
        (l.weight->type != DFX_TYPE_F8_E4M3 &&
         l.weight->type != DFX_TYPE_F8_E5M2))
        return DFX_OK;
    return join_scaled(j, &l, "float8", err);
}

static dfx_status
join(dfx_joiner *j, const dfx_tensor *t, dfx_error *err)
{
    const component *all = j->state;
    size_t name = dfx_layer_of(t, ".comfy_quant");

    if (name > 0 && !all->has_layers)
        return join_said(j, t, name, err);
    name = dfx_layer_of(t, ".scale_weight");
    if (name > 0)
        return join_old(j, t, name, err);
    name = dfx_layer_of(t, ".weight_scale");
    return name > 0 && !all->has_layers ? join_unsaid(j, t, name, err) : DFX_OK;
}

/* The layers that the metadata names; one that is not there is nothing. */
static dfx_status
join_layers(dfx_joiner *j, const char *text, dfx_error *err)
{
    cJSON *doc = NULL;
    const cJSON *item;
    dfx_status status =
        dfx_doc_parse(text, strlen(text), "_quantization_metadata", &doc, err);

    cJSON_ArrayForEach(item, dfx_doc_get(doc, "layers"))
    {
        char *name =
            item->string != NULL
                ? dfx_arena_printf(&j->index->arena, "%s.weight", item->string)
                : NULL;
        const dfx_tensor *t =
            name != NULL ? dfx_index_find(j->index, j->component, name) : NULL;

        if (t != NULL && status == DFX_OK) {
            layer l = layer_at(j, t, strlen(item->string));

            status = join_as(j, &l, item, err);
        }
    }
    cJSON_Delete(doc);
    return status;
}

static dfx_status
begin(dfx_joiner *j, dfx_error *err)
{
    component *all = dfx_arena_alloc(&j->index->arena, sizeof *all);
    const char *text = dfx_index_find_meta(j->index, j->component, METADATA);

    if (all == NULL)
        return dfx_fail_nomem(err);
    j->state = all;
    all->has_layers = text != NULL;
    if (text != NULL)
        return join_layers(j, text, err);
    for (size_t i = 0; i < j->index->tensor_count && all->marker == NULL; i++) {
        const dfx_tensor *t = &j->index->tensors[i];
        const char *dot = strrchr(t->name, '.');

        if (t->component == j->component &&
            strcmp(dot != NULL ? dot + 1 : t->name, "scaled_fp8") == 0)
            all->marker = t;
    }
    return DFX_OK;
}

static bool
is_meta(const char *key, const char *value)
{
    (void)value;
    return strcmp(key, METADATA) == 0;
}

const dfx_form dfx_form_comfy = {
    .begin = begin,
    .join = join,
    .is_meta = is_meta,
    .encodings = dfx_comfy_encodings,
};
