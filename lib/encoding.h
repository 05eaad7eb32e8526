/*
 * encoding.h - weights written in parts
 *
 * The other way of form.h: a weight becomes several tensors, each an expression
 * over it that is computed band by band. What needs the whole weight first, a
 * scale of all numbers, is found by a pass over it when the first part that
 * needs it is pulled.
 */
#ifndef DFX_ENCODING_H
#define DFX_ENCODING_H

#include "bundle.h"
#include "form.h"

typedef struct dfx_encoding dfx_encoding;

/* A part to be written: the name behind that of the layer, and its bytes. */
typedef struct dfx_written_part {
    const char *suffix; /* ".weight.absmax" */
    const dfx_expr *expr;
} dfx_written_part;

typedef struct dfx_part_list {
    dfx_written_part items[8];
    size_t count;
} dfx_part_list;

struct dfx_encoding {
    const char *name; /* "nf4": what --type takes */
    double bits;      /* of a weight, about */
    bool by_last; /* readers know layers by the last part of their names: what
                     one keeps, all of that name keep */
    bool needs_config; /* config.json says how weights are stored: a single file
                          has no place for it */
    unsigned columns;  /* a row is a multiple of so many */
    const void *facts; /* the form's */
    /* The parts of a matrix of finite floats. */
    dfx_status (*make)(const dfx_encoding *encoding, dfx_arena *arena,
                       const dfx_expr *x, dfx_part_list *parts, dfx_error *err);
    /* quantization_config of a component; NULL: there is none. */
    cJSON *(*config)(const dfx_encoding *encoding,
                     const dfx_bundle_component *component);
    /* Adds what the metadata of a component says of its tensors, count of them,
       of which some are written so (item->encoding); NULL: nothing. */
    dfx_status (*annotate)(dfx_bundle *bundle, uint32_t component,
                           dfx_arena *arena, const dfx_item *items,
                           size_t count, dfx_error *err);
};

/* NULL: there is none of that name. */
const dfx_encoding *dfx_encoding_named(const char *name);

/* ---- For forms ----------------------------------------------------------- */

/* Adds one, and one that is bytes in memory: U8 [size]. */
DFX_CHECKED dfx_status dfx_parts_push(dfx_part_list *parts, const char *suffix,
                                      const dfx_expr *expr, dfx_error *err);
DFX_CHECKED dfx_status dfx_parts_push_text(dfx_part_list *parts,
                                           dfx_arena *arena, const char *suffix,
                                           const char *text, dfx_error *err);

/* The layers of a component that keep their numbers: an array, or null if there
   are none. */
cJSON *dfx_plain_layers(const dfx_bundle_component *component);

/* A document that is written here. */
cJSON *dfx_parse_ours(const char *text);

/* Elements of x as floats, all finite (QUANT_NONFINITE). */
DFX_CHECKED dfx_status dfx_source_numbers(const dfx_expr *x, uint64_t first,
                                          size_t count, float *out,
                                          dfx_error *err);
/* The largest magnitude among them. */
DFX_CHECKED dfx_status dfx_source_max(const dfx_expr *x, uint64_t first,
                                      uint64_t count, float *max,
                                      dfx_error *err);

/* The largest magnitude of a whole weight, found when it is first asked for. */
typedef struct dfx_whole dfx_whole;
DFX_CHECKED dfx_status dfx_whole_new(dfx_arena *arena, dfx_whole **whole,
                                     dfx_error *err);
DFX_CHECKED dfx_status dfx_whole_max(dfx_whole *whole, const dfx_expr *x,
                                     float *max, dfx_error *err);

/* The code of dfx_e2m1 that is nearest; a tie goes to the even code. */
uint8_t dfx_e2m1_code(float x);

/*
 * NVFP4: a scale of the whole weight, its largest magnitude / 2688 (6 * 448),
 * one in E4M3 of each 16 numbers, and codes of E2M1. state is the dfx_whole.
 */
/* The part of one F32. */
dfx_encode_part_fn dfx_nvfp4_whole;
/* Of the numbers first .. first + count, at most 16: the byte, and what a code
   of 1 is worth. */
DFX_CHECKED dfx_status dfx_nvfp4_scale(const dfx_expr *x, const void *state,
                                       uint64_t first, size_t count,
                                       uint8_t *byte, float *unit,
                                       dfx_error *err);
/* Codes of numbers of one row; those of a block start at a multiple of 16 in
   it. */
DFX_CHECKED dfx_status dfx_nvfp4_codes(const dfx_expr *x, const void *state,
                                       uint64_t first, size_t count,
                                       uint8_t *codes, dfx_error *err);

/* What a float is after an operation in that type: rounded, but F32 as it is.
 */
static inline float
dfx_in_type(dfx_type type, float x)
{
    return type == DFX_TYPE_F32 ? x : dfx_round_to(type, x);
}

/*
 * Codes times scales of rows or of the whole: dfx_scaled the other way. Numbers
 * are those of x, rounded to rounds first if that is a type; source is its
 * type.
 */
typedef struct dfx_scaling {
    dfx_type codes; /* I8, or a float8 */
    bool is_whole;  /* one scale for all rows */
    dfx_type rounds;
    /* What is stored, of the largest magnitude. */
    float (*scale)(dfx_type source, float max);
    /* The code of a number, before it is rounded to codes. */
    float (*code)(dfx_type source, float x, float scale);
} dfx_scaling;

/* The two parts: codes in the shape of x, and scales of that type and of the
   shape [rows], [rows, 1] or, for the whole, []. */
DFX_CHECKED dfx_status dfx_encode_scaled(
    dfx_arena *arena, const dfx_scaling *scaling, const dfx_expr *x,
    dfx_type scale_type, uint32_t scale_rank, const dfx_expr **codes,
    const dfx_expr **scales, dfx_error *err);

#endif
