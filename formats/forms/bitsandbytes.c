/*
 * bitsandbytes.c - NF4 and FP4 in blocks, and LLM.int8
 *
 * bitsandbytes 0.50.2 (functional.py, nn/modules.py). Of a linear layer X:
 *
 *   X.weight             codes, two to a byte, the first in the high bits, in
 * the order of the flattened weight; or signed bytes X.weight.absmax      the
 * scale of each block of the flattened weight; with double quantization codes
 * of that X.weight.quant_map   the numbers of the 16 codes
 *   X.weight.nested_absmax, nested_quant_map   of the scales' codes
 *   X.weight.quant_state.bitsandbytes__nf4     JSON: the shape, the type ...
 *   X.SCB                LLM.int8: the largest magnitude of each row
 */
#include <config.h>

#include "bitsandbytes.h"

#include <string.h>

#include "document.h"
#include "types.h"

enum {
    SCALES = 1024,     /* read at a time */
    BYTES = 4096,      /* codes read at a time */
    STATE_SIZE = 4096, /* bytes of JSON: far more than any has */
    LARGEST_BLOCK = 4096
};

/* ---- Four bits ------------------------------------------------------------
 */

typedef struct four_bits {
    uint64_t block; /* elements */
    float map[DFX_BNB_CODES];
    bool is_double;
    float nested_map[DFX_BNB_NESTED];
    uint64_t nested_block; /* scales */
    float nested_offset;
} four_bits;

enum { PART_CODES, PART_ABSMAX, PART_NESTED }; /* that are read later */

/* Scales first .. first + count. */
static dfx_status
read_scales(const dfx_composite *c, uint64_t first, size_t count, float *out,
            dfx_error *err)
{
    const four_bits *f = c->state;
    uint64_t last = UINT64_MAX;
    float nested = 0;

    DFX_TRY(dfx_part_numbers(&c->parts[PART_ABSMAX], first, count, out, err));
    if (!f->is_double)
        return DFX_OK;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = (first + i) / f->nested_block;

        if (at != last)
            DFX_TRY(
                dfx_part_numbers(&c->parts[PART_NESTED], at, 1, &nested, err));
        last = at;
        out[i] = f->nested_map[(uint8_t)out[i]] * nested;
        out[i] = out[i] + f->nested_offset;
    }
    return DFX_OK;
}

static dfx_status
decode_four(const dfx_composite *c, uint64_t first, size_t count, float *out,
            dfx_error *err)
{
    const four_bits *f = c->state;
    uint8_t bytes[BYTES];
    float scales[SCALES];
    uint64_t base = 0, have = 0;

    for (size_t i = 0; i < count;) {
        uint64_t at = first + i, start = at / 2;
        size_t n = count - i < 2 * BYTES - 2 ? count - i : 2 * BYTES - 2;

        DFX_TRY(dfx_part_bytes(&c->parts[PART_CODES], start,
                               (size_t)((at + n + 1) / 2 - start), bytes, err));
        for (size_t k = 0; k < n; k++, i++, at++) {
            uint8_t byte = bytes[at / 2 - start];
            uint64_t block = at / f->block;

            if (have == 0 || block >= base + have) {
                uint64_t last = (first + count - 1) / f->block;

                base = block;
                have = last - block + 1 < SCALES ? last - block + 1 : SCALES;
                DFX_TRY(read_scales(c, base, (size_t)have, scales, err));
            }
            out[i] = f->map[at % 2 == 0 ? byte >> 4 : byte & 15] *
                     scales[block - base];
        }
    }
    return DFX_OK;
}

static bool
is_block(int64_t block)
{
    return block >= 32 && block <= LARGEST_BLOCK && (block & (block - 1)) == 0;
}

/* The shape in JSON; false: it is none. */
static bool
read_shape(const cJSON *list, uint64_t *shape, uint32_t *rank)
{
    const cJSON *item;

    *rank = 0;
    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(item, list)
    {
        int64_t n = 0;

        if (*rank == 8 || !dfx_doc_int(item, &n) || n < 0)
            return false;
        shape[(*rank)++] = (uint64_t)n;
    }
    return true;
}

/* What the JSON says, into c and f. */
static dfx_status
read_state(const dfx_tensor *t, const cJSON *doc, dfx_composite *c,
           uint64_t *shape, four_bits *f, dfx_error *err)
{
    const char *type = dfx_doc_string(doc, "dtype");
    int64_t block = 0, nested = 0;
    double offset = 0;

    if (!dfx_doc_int(dfx_doc_get(doc, "blocksize"), &block) || !is_block(block))
        return dfx_form_fail(t, err,
                             "blocksize is no power of two from 32 to "
                             "4096");
    c->type = type != NULL ? dfx_type_named(type) : DFX_TYPE_COUNT;
    if (c->type != DFX_TYPE_F32 && c->type != DFX_TYPE_F16 &&
        c->type != DFX_TYPE_BF16)
        return dfx_form_fail(t, err,
                             "dtype is none of float32, float16 and "
                             "bfloat16");
    if (!read_shape(dfx_doc_get(doc, "shape"), shape, &c->rank))
        return dfx_form_fail(t, err, "shape is no list of at most 8 sizes");
    f->block = (uint64_t)block;
    f->is_double = dfx_doc_get(doc, "nested_blocksize") != NULL;
    if (!f->is_double)
        return DFX_OK;
    if (!dfx_doc_int(dfx_doc_get(doc, "nested_blocksize"), &nested) ||
        nested < 1 || nested > LARGEST_BLOCK ||
        !dfx_doc_number(dfx_doc_get(doc, "nested_offset"), &offset))
        return dfx_form_fail(t, err,
                             "nested_blocksize or nested_offset is no "
                             "number that it can be");
    f->nested_block = (uint64_t)nested;
    f->nested_offset = (float)offset;
    return DFX_OK;
}

static dfx_status
parse_state(const dfx_tensor *t, dfx_composite *c, uint64_t *shape,
            four_bits *f, dfx_error *err)
{
    uint8_t text[STATE_SIZE];
    cJSON *doc = NULL;
    dfx_status status;

    if (t->type != DFX_TYPE_U8 || t->data.size > sizeof text)
        return dfx_form_fail(t, err, "the state is no text of at most %d bytes",
                             STATE_SIZE);
    DFX_TRY(dfx_part_bytes(t, 0, (size_t)t->data.size, text, err));
    if (dfx_doc_parse((char *)text, (size_t)t->data.size, t->name, &doc,
                      NULL) != DFX_OK)
        return dfx_form_fail(t, err, "the state is no JSON");
    status = read_state(t, doc, c, shape, f, err);
    cJSON_Delete(doc);
    return status;
}

/* A part of so many elements and, unless COUNT, of that type. */
static dfx_status
check_part(const dfx_tensor *sign, const dfx_tensor *part, const char *what,
           dfx_type type, uint64_t elements, dfx_error *err)
{
    if (part == NULL)
        return dfx_form_fail(sign, err, "there is no %s", what);
    if (dfx_tensor_elements(part) != elements ||
        (type != DFX_TYPE_COUNT && part->type != type))
        return dfx_form_fail(part, err, "the %s has another type or shape",
                             what);
    return DFX_OK;
}

static dfx_status
join_four(dfx_joiner *j, const dfx_tensor *state, size_t layer,
          const char *name, dfx_error *err)
{
    uint64_t shape[8] = {0}, bytes, blocks;
    const dfx_tensor *parts[6] = {
        dfx_joiner_find(j, state, layer, ""),
        dfx_joiner_find(j, state, layer, ".absmax"),
        dfx_joiner_find(j, state, layer, ".nested_absmax"),
        dfx_joiner_find(j, state, layer, ".quant_map"),
        dfx_joiner_find(j, state, layer, ".nested_quant_map"),
        state,
    };
    dfx_composite c = {.name = name, .shape = shape, .decode = decode_four};
    four_bits *f = dfx_arena_alloc(&j->index->arena, sizeof *f);

    if (f == NULL)
        return dfx_fail_nomem(err);
    c.state = f;
    DFX_TRY(parse_state(state, &c, shape, f, err));
    DFX_TRY(dfx_tensor_size(c.type, c.rank, shape, &c.elements, &bytes, err));
    blocks = dfx_bnb_parts(c.elements, f->block);
    if (parts[0] == NULL)
        return dfx_form_fail(state, err, "there is no weight");
    if (parts[0]->data.size != dfx_bnb_parts(c.elements, 2))
        return dfx_form_fail(parts[0], err, "it has no codes of its shape");
    DFX_TRY(check_part(state, parts[1], "absmax",
                       f->is_double ? DFX_TYPE_U8 : DFX_TYPE_F32, blocks, err));
    DFX_TRY(check_part(state, parts[3], "quant_map", DFX_TYPE_F32,
                       DFX_BNB_CODES, err));
    DFX_TRY(dfx_part_numbers(parts[3], 0, DFX_BNB_CODES, f->map, err));
    if (!f->is_double) {
        parts[2] = parts[4] = NULL;
    } else {
        DFX_TRY(check_part(state, parts[2], "nested_absmax", DFX_TYPE_F32,
                           dfx_bnb_parts(blocks, f->nested_block), err));
        DFX_TRY(check_part(state, parts[4], "nested_quant_map", DFX_TYPE_F32,
                           DFX_BNB_NESTED, err));
        DFX_TRY(
            dfx_part_numbers(parts[4], 0, DFX_BNB_NESTED, f->nested_map, err));
    }
    c.form = &dfx_form_bitsandbytes;
    return dfx_joiner_add(j, parts[0]->name, &c, parts, 6, err);
}

/* ---- Eight bits ------------------------------------------------------------
 */

static dfx_status
join_eight(dfx_joiner *j, const dfx_tensor *scb, size_t layer, dfx_error *err)
{
    const dfx_tensor *parts[3] = {
        dfx_joiner_find(j, scb, layer, ".weight"),
        scb,
        dfx_joiner_find(j, scb, layer, ".weight_format"),
    };
    const dfx_tensor *weight = parts[0];
    dfx_composite c = {.name = "bnb-int8",
                       .form = &dfx_form_bitsandbytes,
                       .type = DFX_TYPE_F32,
                       .decode = dfx_decode_scaled};
    dfx_scaled *s;

    if (weight == NULL || weight->type != DFX_TYPE_I8)
        return DFX_OK; /* no sign of it */
    if (weight->rank != 2 || weight->shape[1] == 0)
        return dfx_form_fail(weight, err, "int8 weights are matrices");
    DFX_TRY(check_part(scb, scb, "SCB", DFX_TYPE_F32, weight->shape[0], err));
    if (parts[2] != NULL) {
        uint8_t format = 0;

        DFX_TRY(
            check_part(scb, parts[2], "weight_format", DFX_TYPE_U8, 1, err));
        DFX_TRY(dfx_part_bytes(parts[2], 0, 1, &format, err));
        if (format != 0)
            return dfx_form_fail(parts[2], err,
                                 "only rows in their order are read (0), not "
                                 "%u",
                                 format);
    }
    s = dfx_arena_alloc(&j->index->arena, sizeof *s);
    if (s == NULL)
        return dfx_fail_nomem(err);
    /* 1/127 as a float: what is stored is the largest of a row. */
    *s = (dfx_scaled){.run = weight->shape[1], .factor = 0.007874015718698502F};
    c.rank = weight->rank;
    c.shape = weight->shape;
    c.state = s;
    return dfx_joiner_add(j, weight->name, &c, parts, 3, err);
}

static dfx_status
join(dfx_joiner *j, const dfx_tensor *t, dfx_error *err)
{
    size_t layer = dfx_layer_of(t, ".quant_state.bitsandbytes__nf4");

    if (layer > 0)
        return join_four(j, t, layer, "bnb-nf4", err);
    layer = dfx_layer_of(t, ".quant_state.bitsandbytes__fp4");
    if (layer > 0)
        return join_four(j, t, layer, "bnb-fp4", err);
    layer = dfx_layer_of(t, ".SCB");
    return layer > 0 ? join_eight(j, t, layer, err) : DFX_OK;
}

const dfx_form dfx_form_bitsandbytes = {
    .method = "bitsandbytes",
    .join = join,
    .encodings = dfx_bitsandbytes_encodings,
};
