/*
 * comfy_write.c - weights written as comfy-kitchen 0.2.40 stores them
 */
#include <config.h>

#include "comfy.h"

#include <math.h>
#include <string.h>

#include "types.h"

/* ---- Writing
 * ----------------------------------------------------------------- */

/* A weight of zeros has no scale of its own: any will do. */
static float
fp8_scale(dfx_type source, float max)
{
    return max > 0 ? dfx_in_type(source, max / 448) : 1;
}

static float
fp8_code(dfx_type source, float x, float scale)
{
    float v = dfx_in_type(source, x * dfx_in_type(source, 1 / scale));

    return fminf(fmaxf(v, -448), 448);
}

static float
int8_scale(dfx_type source, float max)
{
    (void)source;
    return fmaxf(max / 127, 1e-30F);
}

static float
int8_code(dfx_type source, float x, float scale)
{
    (void)source;
    return fminf(fmaxf(rintf(x / scale), -128), 127);
}

/* What is written, and what is said of it. */
typedef struct facts {
    dfx_scaling scaling;
    const char *said;
} facts;

static const facts fp8 = {{.codes = DFX_TYPE_F8_E4M3,
                           .is_whole = true,
                           .rounds = DFX_TYPE_COUNT,
                           .scale = fp8_scale,
                           .code = fp8_code},
                          "{\"format\": \"float8_e4m3fn\"}"};
static const facts int8 = {{.codes = DFX_TYPE_I8,
                            .rounds = DFX_TYPE_COUNT,
                            .scale = int8_scale,
                            .code = int8_code},
                           "{\"format\": \"int8_tensorwise\"}"};
static const facts int8_tensor = {{.codes = DFX_TYPE_I8,
                                   .is_whole = true,
                                   .rounds = DFX_TYPE_COUNT,
                                   .scale = int8_scale,
                                   .code = int8_code},
                                  "{\"format\": \"int8_tensorwise\"}"};

static dfx_status
make(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
     dfx_part_list *parts, dfx_error *err)
{
    const facts *f = encoding->facts;
    const dfx_expr *codes = NULL, *scales = NULL;

    DFX_TRY(dfx_encode_scaled(arena, &f->scaling, x, DFX_TYPE_F32,
                              f->scaling.is_whole ? 0 : 2, &codes, &scales,
                              err));
    DFX_TRY(dfx_parts_push(parts, ".weight", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".weight_scale", scales, err));
    return dfx_parts_push_text(parts, arena, ".comfy_quant", f->said, err);
}

/* ---- Writing in tiles
 * --------------------------------------------------------- */

/* What the parts of a weight share: it is padded to whole units both ways. */
typedef struct padded {
    dfx_whole *whole;
    uint64_t rows, columns; /* with padding */
    uint64_t tiles;         /* of scales beside each other */
    unsigned block;
} padded;

/* Which scale stands at a place of the tiles: place_of the other way. */
static void
scale_at(const padded *p, uint64_t place, uint64_t *row, uint64_t *block)
{
    uint64_t tile = place / DFX_TILE, in = place % DFX_TILE;

    *row = tile / p->tiles * DFX_TILE_ROWS + in % 16 / DFX_TILE_COLUMNS * 32 +
           in / 16;
    *block = tile % p->tiles * DFX_TILE_COLUMNS + in % DFX_TILE_COLUMNS;
}

/* The numbers of a block that are there: 0 of padding. */
static size_t
numbers_in(const padded *p, const dfx_expr *x, uint64_t row, uint64_t block,
           uint64_t *first)
{
    uint64_t column = block * p->block;

    if (row >= x->shape[0] || column >= x->shape[1])
        return 0;
    *first = row * x->shape[1] + column;
    return x->shape[1] - column < p->block ? (size_t)(x->shape[1] - column)
                                           : p->block;
}

static dfx_status
pull_nvfp4_scales(const dfx_expr *x, const void *state, uint64_t first,
                  uint64_t count, void *out, dfx_error *err)
{
    const padded *p = state;
    uint8_t *to = out;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t row, block, at = 0;
        size_t n;
        float unit;

        scale_at(p, first + i, &row, &block);
        n = numbers_in(p, x, row, block, &at);
        to[i] = 0;
        if (n > 0)
            DFX_TRY(dfx_nvfp4_scale(x, p->whole, at, n, &to[i], &unit, err));
    }
    return DFX_OK;
}

static dfx_status
pull_nvfp4_whole(const dfx_expr *x, const void *state, uint64_t first,
                 uint64_t count, void *out, dfx_error *err)
{
    const padded *p = state;

    return dfx_nvfp4_whole(x, p->whole, first, count, out, err);
}

static dfx_status
pull_nvfp4_codes(const dfx_expr *x, const void *state, uint64_t first,
                 uint64_t count, void *out, dfx_error *err)
{
    const padded *p = state;
    uint8_t *to = out;

    for (uint64_t i = first; i < first + count; i++) {
        uint64_t row = 2 * i / p->columns, column = 2 * i % p->columns;
        uint64_t left = column < x->shape[1] ? x->shape[1] - column : 0;
        uint8_t codes[2] = {0, 0};

        if (row < x->shape[0] && left > 0)
            DFX_TRY(dfx_nvfp4_codes(x, p->whole, row * x->shape[1] + column,
                                    left < 2 ? 1 : 2, codes, err));
        *to++ = (uint8_t)(codes[0] << 4 | codes[1]);
    }
    return DFX_OK;
}

/* The exponent of a block, 2^(e - 127): the least that makes its largest number
   fit. A block of zeros has 0. */
static dfx_status
exponent_of(const dfx_expr *x, const padded *p, uint64_t row, uint64_t block,
            uint8_t *exponent, dfx_error *err)
{
    uint64_t at = 0;
    size_t n = numbers_in(p, x, row, block, &at);
    float max = 0, fraction;
    int e = 0;

    *exponent = 0;
    if (n > 0)
        DFX_TRY(dfx_source_max(x, at, n, &max, err));
    if (max == 0)
        return DFX_OK;
    fraction = frexpf(fmaxf(max / 448, 0x1p-127F), &e);
    e += fraction == 0.5F ? -1 : 0; /* ceil of log2 */
    e += 127;
    *exponent = (uint8_t)(e < 0 ? 0 : e > 254 ? 254 : e);
    return DFX_OK;
}

static dfx_status
pull_exponents(const dfx_expr *x, const void *state, uint64_t first,
               uint64_t count, void *out, dfx_error *err)
{
    uint8_t *to = out;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t row, block;

        scale_at(state, first + i, &row, &block);
        DFX_TRY(exponent_of(x, state, row, block, &to[i], err));
    }
    return DFX_OK;
}

static dfx_status
pull_mxfp8_codes(const dfx_expr *x, const void *state, uint64_t first,
                 uint64_t count, void *out, dfx_error *err)
{
    const padded *p = state;
    uint8_t *to = out, exponent = 0;
    uint64_t known = UINT64_MAX;

    for (uint64_t i = first; i < first + count; i++, to++) {
        uint64_t row = i / p->columns, column = i % p->columns;
        float number;

        *to = 0;
        if (row >= x->shape[0] || column >= x->shape[1])
            continue;
        if (i / p->block != known)
            DFX_TRY(exponent_of(x, p, row, column / p->block, &exponent, err));
        known = i / p->block;
        DFX_TRY(
            dfx_source_numbers(x, row * x->shape[1] + column, 1, &number, err));
        number = ldexpf(number, 127 - exponent);
        number = fminf(fmaxf(number, -448), 448);
        dfx_cast(DFX_TYPE_F32, DFX_TYPE_F8_E4M3, &number, to, 1);
    }
    return DFX_OK;
}

static dfx_status
make_tiled(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
           dfx_part_list *parts, dfx_error *err)
{
    bool is_packed = encoding->facts != NULL;
    unsigned unit = is_packed ? 16 : 32;
    padded *p = dfx_arena_alloc(arena, sizeof *p);
    const dfx_expr *codes = NULL, *scales = NULL, *whole = NULL;
    uint64_t shape[2];

    if (p == NULL)
        return dfx_fail_nomem(err);
    *p = (padded){.rows = dfx_round_up(x->shape[0], unit),
                  .columns = dfx_round_up(x->shape[1], unit),
                  .block = unit};
    p->tiles =
        dfx_round_up(p->columns / unit, DFX_TILE_COLUMNS) / DFX_TILE_COLUMNS;
    DFX_TRY(dfx_whole_new(arena, &p->whole, err));
    shape[0] = p->rows;
    shape[1] = is_packed ? p->columns / 2 : p->columns;
    DFX_TRY(dfx_expr_part(
        arena, x, is_packed ? DFX_TYPE_U8 : DFX_TYPE_F8_E4M3, 2, shape,
        is_packed ? pull_nvfp4_codes : pull_mxfp8_codes, p, &codes, err));
    shape[0] = dfx_round_up(p->rows, DFX_TILE_ROWS);
    shape[1] = p->tiles * DFX_TILE_COLUMNS;
    DFX_TRY(dfx_expr_part(
        arena, x, is_packed ? DFX_TYPE_F8_E4M3 : DFX_TYPE_U8, 2, shape,
        is_packed ? pull_nvfp4_scales : pull_exponents, p, &scales, err));
    DFX_TRY(dfx_parts_push(parts, ".weight", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".weight_scale", scales, err));
    if (is_packed) {
        DFX_TRY(dfx_expr_part(arena, x, DFX_TYPE_F32, 0, shape,
                              pull_nvfp4_whole, p, &whole, err));
        DFX_TRY(dfx_parts_push(parts, ".weight_scale_2", whole, err));
    }
    return dfx_parts_push_text(
        parts, arena, ".comfy_quant",
        is_packed ? "{\"format\": \"nvfp4\"}" : "{\"format\": \"mxfp8\"}", err);
}

const dfx_encoding dfx_comfy_encodings[] = {
    {"comfy-nvfp4", 4.5, false, false, 1, "", make_tiled, NULL, NULL},
    {"comfy-mxfp8", 8.25, false, false, 1, NULL, make_tiled, NULL, NULL},
    {"comfy-fp8", 8, false, false, 1, &fp8, make, NULL, NULL},
    {"comfy-int8", 8, false, false, 1, &int8, make, NULL, NULL},
    {"comfy-int8-tensor", 8, false, false, 1, &int8_tensor, make, NULL, NULL},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};
