/*
 * bfl.c - float8 by rows and NVFP4, as Black Forest Labs and ModelOpt store
 * them
 *
 * diffusers 0.42.1 (quantizers/bfl). Of a layer X: X.weight, F8_E4M3 with
 * X.weight_scale of each row; or two codes to a byte, the first in the low
 * bits, with X.weight_scale of each 16 and X.weight_scale_2 of them all.
 * ComfyUI's NVFP4 has the codes the other way round and its scales elsewhere:
 * it says so (comfy.c).
 */
#include <config.h>

#include <math.h>

#include "encoding.h"
#include "types.h"

extern const dfx_form dfx_form_bfl;

enum { BLOCK = 16, BYTES = 4096 };

enum { PART_CODES, PART_SCALES };

static dfx_status
decode_nvfp4(const dfx_composite *c, uint64_t first, size_t count, float *out,
             dfx_error *err)
{
    const float *whole = c->state;
    uint8_t bytes[BYTES];
    float scales[2 * BYTES / BLOCK + 1];

    while (count > 0) {
        size_t n =
            count < 2 * BYTES - 2 * BLOCK ? count : 2 * BYTES - 2 * BLOCK;
        uint64_t start = first / 2, block = first / BLOCK;

        DFX_TRY(dfx_part_bytes(&c->parts[PART_CODES], start,
                               (size_t)((first + n + 1) / 2 - start), bytes,
                               err));
        DFX_TRY(dfx_part_numbers(&c->parts[PART_SCALES], block,
                                 (size_t)((first + n - 1) / BLOCK - block + 1),
                                 scales, err));
        for (size_t i = 0; i < n; i++) {
            uint64_t at = first + i;
            uint8_t byte = bytes[at / 2 - start];
            float scale = scales[at / BLOCK - block] * *whole;

            out[i] = dfx_e2m1[at % 2 == 0 ? byte & 15 : byte >> 4] * scale;
        }
        out += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

static dfx_status
join_nvfp4(dfx_joiner *j, const dfx_tensor *t, size_t layer,
           const dfx_tensor *whole, dfx_error *err)
{
    const dfx_tensor *parts[4] = {
        dfx_joiner_find(j, t, layer, ".weight"),
        t,
        whole,
        dfx_joiner_find(j, t, layer, ".input_scale"),
    };
    const dfx_tensor *weight = parts[0];
    dfx_composite c = {.name = "bfl-nvfp4",
                       .form = &dfx_form_bfl,
                       .type = j->plain,
                       .rank = 2,
                       .decode = decode_nvfp4};
    float *state = dfx_arena_alloc(&j->index->arena, sizeof *state);
    uint64_t shape[2];

    if (state == NULL)
        return dfx_fail_nomem(err);
    if (weight == NULL || weight->type != DFX_TYPE_U8 || weight->rank != 2 ||
        t->type != DFX_TYPE_F8_E4M3 || t->rank != 2 ||
        whole->type != DFX_TYPE_F32 || dfx_tensor_elements(whole) != 1 ||
        t->shape[0] != weight->shape[0] ||
        t->shape[1] != weight->shape[1] / (BLOCK / 2) ||
        weight->shape[1] % (BLOCK / 2) != 0)
        return dfx_form_fail(t, err,
                             "codes and scales have other types or "
                             "shapes than NVFP4's");
    DFX_TRY(dfx_part_numbers(whole, 0, 1, state, err));
    shape[0] = weight->shape[0];
    if (dfx_ckd_mul(&shape[1], weight->shape[1], 2))
        return dfx_form_fail(weight, err, "its elements exceed 64 bits");
    c.shape = shape;
    c.state = state;
    return dfx_joiner_add(j, weight->name, &c, parts, 4, err);
}

static dfx_status
join_rows(dfx_joiner *j, const dfx_tensor *t, size_t layer, dfx_error *err)
{
    const dfx_tensor *parts[3] = {
        dfx_joiner_find(j, t, layer, ".weight"),
        t,
        dfx_joiner_find(j, t, layer, ".input_scale"),
    };
    const dfx_tensor *weight = parts[0];
    dfx_composite c = {.name = "bfl-fp8",
                       .form = &dfx_form_bfl,
                       .type = j->plain,
                       .decode = dfx_decode_scaled};
    dfx_scaled *s;

    if (weight == NULL || weight->type != DFX_TYPE_F8_E4M3 ||
        weight->rank != 2 || weight->shape[1] == 0 || t->type != DFX_TYPE_F32 ||
        t->rank != 1 || t->shape[0] != weight->shape[0])
        return DFX_OK; /* another form's, or a plain tensor */
    s = dfx_arena_alloc(&j->index->arena, sizeof *s);
    if (s == NULL)
        return dfx_fail_nomem(err);
    *s = (dfx_scaled){.run = weight->shape[1]};
    c.rank = weight->rank;
    c.shape = weight->shape;
    c.state = s;
    return dfx_joiner_add(j, weight->name, &c, parts, 3, err);
}

static dfx_status
join(dfx_joiner *j, const dfx_tensor *t, dfx_error *err)
{
    size_t layer = dfx_layer_of(t, ".weight_scale");
    const dfx_tensor *whole;

    if (layer == 0 || dfx_joiner_find(j, t, layer, ".comfy_quant") != NULL ||
        dfx_index_find_meta(j->index, j->component, "_quantization_metadata") !=
            NULL)
        return DFX_OK;
    whole = dfx_joiner_find(j, t, layer, ".weight_scale_2");
    return whole != NULL ? join_nvfp4(j, t, layer, whole, err)
                         : join_rows(j, t, layer, err);
}

/* ---- Writing
 * ----------------------------------------------------------------- */

static float
fp8_scale(dfx_type source, float max)
{
    (void)source;
    return fmaxf(max / 448, 1e-12F);
}

static float
fp8_code(dfx_type source, float x, float scale)
{
    (void)source;
    return fminf(fmaxf(x / scale, -448), 448);
}

static const dfx_scaling fp8 = {.codes = DFX_TYPE_F8_E4M3,
                                .rounds = DFX_TYPE_COUNT,
                                .scale = fp8_scale,
                                .code = fp8_code};

static dfx_status
make_fp8(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
         dfx_part_list *parts, dfx_error *err)
{
    const dfx_expr *codes = NULL, *scales = NULL;

    DFX_TRY(dfx_encode_scaled(arena, encoding->facts, x, DFX_TYPE_F32, 1,
                              &codes, &scales, err));
    DFX_TRY(dfx_parts_push(parts, ".weight", codes, err));
    return dfx_parts_push(parts, ".weight_scale", scales, err);
}

static dfx_status
pull_nvfp4_codes(const dfx_expr *x, const void *state, uint64_t first,
                 uint64_t count, void *out, dfx_error *err)
{
    uint8_t *p = out, codes[2];

    for (uint64_t i = first; i < first + count; i++) {
        DFX_TRY(dfx_nvfp4_codes(x, state, 2 * i, 2, codes, err));
        *p++ = (uint8_t)(codes[0] | codes[1] << 4);
    }
    return DFX_OK;
}

static dfx_status
pull_nvfp4_scales(const dfx_expr *x, const void *state, uint64_t first,
                  uint64_t count, void *out, dfx_error *err)
{
    uint8_t *p = out;
    float scale;

    for (uint64_t i = first; i < first + count; i++)
        DFX_TRY(dfx_nvfp4_scale(x, state, i * BLOCK, BLOCK, p++, &scale, err));
    return DFX_OK;
}

static dfx_status
make_nvfp4(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
           dfx_part_list *parts, dfx_error *err)
{
    uint64_t shape[2] = {x->shape[0], x->shape[1] / 2};
    const dfx_expr *codes = NULL, *scales = NULL, *whole = NULL, *one = NULL;
    dfx_whole *state = NULL;

    (void)encoding;
    DFX_TRY(dfx_whole_new(arena, &state, err));
    DFX_TRY(dfx_expr_part(arena, x, DFX_TYPE_U8, 2, shape, pull_nvfp4_codes,
                          state, &codes, err));
    shape[1] = x->shape[1] / BLOCK;
    DFX_TRY(dfx_expr_part(arena, x, DFX_TYPE_F8_E4M3, 2, shape,
                          pull_nvfp4_scales, state, &scales, err));
    DFX_TRY(dfx_expr_part(arena, x, DFX_TYPE_F32, 0, shape, dfx_nvfp4_whole,
                          state, &whole, err));
    DFX_TRY(dfx_expr_const(arena, DFX_TYPE_F32, 0, NULL, 1, &one, err));
    DFX_TRY(dfx_parts_push(parts, ".weight", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".weight_scale", scales, err));
    DFX_TRY(dfx_parts_push(parts, ".weight_scale_2", whole, err));
    return dfx_parts_push(parts, ".input_scale", one, err);
}

static const dfx_encoding encodings[] = {
    {"bfl-fp8", 8, false, false, 1, &fp8, make_fp8, NULL, NULL},
    {"bfl-nvfp4", 4.5, false, false, BLOCK, NULL, make_nvfp4, NULL, NULL},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};

const dfx_form dfx_form_bfl = {
    .method = "bfl",
    .join = join,
    .encodings = encodings,
};
