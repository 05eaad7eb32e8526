/*
 * blocks.c - casts from and to block types
 */
#include <config.h>

#include "blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/codec.h"
#include "codecs/half.h"

enum {
    NUMBERS = 8192, /* at once: whole blocks of every type, 32 KiB of floats */
    STEP = 32       /* the least block */
};

dfx_status
dfx_blocks_decode(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
                  dfx_error *err)
{
    const dfx_expr *arg = x->args[0];
    const dfx_codec *codec = dfx_codec_of(arg->type);
    uint32_t unit = codec->unit.elements;
    uint8_t *blocks = malloc(NUMBERS / unit * codec->unit.bytes);
    float *numbers = malloc(NUMBERS * sizeof *numbers);
    unsigned char *p = out;
    dfx_status status =
        blocks == NULL || numbers == NULL ? dfx_fail_nomem(err) : DFX_OK;

    while (count > 0 && status == DFX_OK) {
        uint64_t skip = first % unit, start = first - skip;
        uint64_t n = count < NUMBERS - skip ? count : NUMBERS - skip;
        size_t whole = (size_t)((skip + n + unit - 1) / unit);

        status = dfx_expr_pull(arg, start, (uint64_t)whole * unit, blocks, err);
        if (status != DFX_OK)
            break;
        codec->decode(blocks, numbers, whole);
        dfx_cast(DFX_TYPE_F32, x->type, numbers + skip, p, (size_t)n);
        p += dfx_type_bytes(x->type, n);
        first += n;
        count -= n;
    }
    free(numbers);
    free(blocks);
    return status;
}

/* Of whole blocks. Without a branch for each number, which took as long as an
   encoder: an exponent of all ones carries into the sign. */
static bool
all_finite(const float *numbers, size_t count)
{
    const uint32_t exponent = 0x7f800000, one = 0x00800000;
    uint32_t carries = 0;

    for (size_t i = 0; i < count; i += STEP)
        for (size_t k = 0; k < STEP; k++)
            carries |= (dfx_float_bits(numbers[i + k]) & exponent) + one;
    return carries >> 31 == 0;
}

dfx_status
dfx_blocks_numbers(const dfx_expr *arg, uint64_t first, size_t count,
                   void *scratch, float *numbers, dfx_error *err)
{
    void *raw = arg->type == DFX_TYPE_F32 ? (void *)numbers : scratch;

    DFX_TRY(dfx_expr_pull(arg, first, count, raw, err));
    if (raw == scratch)
        dfx_cast(arg->type, DFX_TYPE_F32, scratch, numbers, count);
    if (all_finite(numbers, count))
        return DFX_OK;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return dfx_fail(err, DFX_RULE_QUANT_NONFINITE, DFX_NO_OFFSET,
                            "element %" PRIu64 " is %s, which has no place in "
                            "a block",
                            first + i, isnan(numbers[i]) ? "NaN" : "infinite");
    return DFX_OK;
}

/* n numbers as blocks, by importance or, if it is NULL, all alike. */
static dfx_status
encode(const dfx_expr *x, uint64_t first, size_t n, const float *importance,
       void *scratch, float *numbers, uint8_t *blocks, dfx_error *err)
{
    const dfx_codec *codec = dfx_codec_of(x->type);

    DFX_TRY(dfx_blocks_numbers(x->args[0], first, n, scratch, numbers, err));
    if (codec->encode(numbers, importance, blocks, n))
        return DFX_OK;
    return dfx_fail(err, DFX_RULE_QUANT_OVERFLOW, DFX_NO_OFFSET,
                    "numbers near element %" PRIu64 " are too large for %s",
                    first, dfx_type_name(x->type));
}

/* For an encoder that looks at a row as a whole: what a range cuts off is
   encoded with it and left out. */
static dfx_status
encode_rows(const dfx_expr *x, uint64_t first, uint64_t count, uint8_t *out,
            dfx_error *err)
{
    size_t row = (size_t)x->shape[x->rank - 1];
    void *scratch = malloc(row * DFX_MAX_NUMBER);
    float *numbers = malloc(row * sizeof *numbers);
    uint8_t *blocks = malloc((size_t)dfx_type_bytes(x->type, row));
    dfx_status status = scratch == NULL || numbers == NULL || blocks == NULL
                            ? dfx_fail_nomem(err)
                            : DFX_OK;

    while (count > 0 && status == DFX_OK) {
        uint64_t skip = first % row;
        uint64_t n = count < row - skip ? count : row - skip;
        size_t bytes = (size_t)dfx_type_bytes(x->type, n);

        status = encode(x, first - skip, row, x->importance, scratch, numbers,
                        blocks, err);
        if (status == DFX_OK)
            memcpy(out, blocks + dfx_type_bytes(x->type, skip), bytes);
        out += bytes;
        first += n;
        count -= n;
    }
    free(blocks);
    free(numbers);
    free(scratch);
    return status;
}

/* Importances are of columns: those of n numbers from first on. */
static void
repeat_importance(const dfx_expr *x, uint64_t first, size_t n, float *out)
{
    size_t row = (size_t)x->shape[x->rank - 1];
    size_t column = (size_t)(first % row);

    while (n > 0) {
        size_t part = n < row - column ? n : row - column;

        memcpy(out, x->importance + column, part * sizeof *out);
        out += part;
        n -= part;
        column = 0;
    }
}

dfx_status
dfx_blocks_encode(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
                  dfx_error *err)
{
    float *importance = NULL, *numbers;
    void *scratch;
    uint8_t *p = out;
    dfx_status status;

    if (x->importance != NULL && dfx_codec_of(x->type)->by_row)
        return encode_rows(x, first, count, out, err);
    scratch = malloc(NUMBERS * DFX_MAX_NUMBER);
    numbers = malloc(NUMBERS * sizeof *numbers);
    if (x->importance != NULL)
        importance = malloc(NUMBERS * sizeof *importance);
    status = scratch == NULL || numbers == NULL ||
                     (x->importance != NULL && importance == NULL)
                 ? dfx_fail_nomem(err)
                 : DFX_OK;
    while (count > 0 && status == DFX_OK) {
        size_t n = count < NUMBERS ? (size_t)count : NUMBERS;

        if (importance != NULL)
            repeat_importance(x, first, n, importance);
        status = encode(x, first, n, importance, scratch, numbers, p, err);
        p += dfx_type_bytes(x->type, n);
        first += n;
        count -= n;
    }
    free(importance);
    free(numbers);
    free(scratch);
    return status;
}
