/*
 * expr.c - making expressions and pulling them
 *
 * Evaluation recurses over nodes. Tables and conversions build expressions a
 * handful of nodes deep; no file decides the depth.
 */
#include <config.h>

#include "expr.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "index.h"
#include "types.h"

/*
 * Bytes of scratch that a cast or a transpose works through: piece and result
 * stay in the L2 cache, and malloc serves it without a system call.
 */
enum { SCRATCH = 64 * 1024 };

/* Bytes of the largest unit: a block of Q8_K. */
enum { MAX_UNIT = 292 };

/* Rows of a transposed tensor are read whole up to this size. */
enum { SHORT_ROW = SCRATCH / 8 };

/* ---- Making ----------------------------------------------------------- */

/* A node with the shape copied and the sizes counted. */
static dfx_status
make(dfx_arena *arena, dfx_node node, dfx_type type, uint32_t rank,
     const uint64_t *shape, dfx_expr **out, dfx_error *err)
{
    dfx_expr *x = dfx_arena_alloc(arena, sizeof *x);
    uint64_t *own_shape = dfx_arena_array(arena, rank, sizeof *own_shape);

    if (x == NULL || own_shape == NULL)
        return dfx_fail_nomem(err);
    if (rank > 0)
        memcpy(own_shape, shape, rank * sizeof *shape);
    x->node = node;
    x->type = type;
    x->rank = rank;
    x->shape = own_shape;
    DFX_TRY(dfx_tensor_size(type, rank, shape, &x->elements, &x->bytes, err));
    *out = x;
    return DFX_OK;
}

static dfx_status
set_args(dfx_arena *arena, dfx_expr *x, const dfx_expr *const *args,
         size_t count, dfx_error *err)
{
    const dfx_expr **own = dfx_arena_array(arena, count, sizeof *own);

    if (own == NULL)
        return dfx_fail_nomem(err);
    memcpy(own, args, count * sizeof *args);
    x->args = own;
    x->arg_count = count;
    return DFX_OK;
}

/* The tensor that messages about x name: the first one in it; NULL: none. */
static const char *
name_of(const dfx_expr *x)
{
    const char *name = x->name;

    for (size_t i = 0; name == NULL && i < x->arg_count; i++)
        name = name_of(x->args[i]);
    return name;
}

static void
blame(const dfx_expr *x, dfx_error *err)
{
    const char *name = name_of(x);

    if (name != NULL)
        dfx_error_in_tensor(err, name);
}

static dfx_status fail_shape(const dfx_expr *x, dfx_error *err, const char *fmt,
                             ...) DFX_PRINTF(3, 4);

static dfx_status
fail_shape(const dfx_expr *x, dfx_error *err, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;
    dfx_status status;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    status = dfx_fail(err, DFX_RULE_EXPR_SHAPE, DFX_NO_OFFSET, "%s", text);
    blame(x, err);
    return status;
}

dfx_status
dfx_expr_tensor(dfx_arena *arena, const dfx_tensor *t, const dfx_expr **out,
                dfx_error *err)
{
    dfx_expr *x = NULL;
    dfx_status status =
        make(arena, DFX_NODE_TENSOR, t->type, t->rank, t->shape, &x, err);

    if (status != DFX_OK) {
        dfx_error_in_tensor(err, t->name);
        return status;
    }
    x->name = t->name;
    x->extent = t->data;
    x->composite = t->composite;
    if (t->data.size != x->bytes)
        return fail_shape(x, err,
                          "%" PRIu64 " bytes where its shape needs %" PRIu64,
                          t->data.size, x->bytes);
    *out = x;
    return DFX_OK;
}

/* Elements in a row: the product of the dimensions after the first. It divides
   a product that was checked, except in a tensor without rows. */
static uint64_t
row_elements(const dfx_expr *x)
{
    return x->elements == 0 ? 0 : x->elements / x->shape[0];
}

dfx_status
dfx_expr_rows(dfx_arena *arena, const dfx_expr *x, uint64_t first,
              uint64_t count, const dfx_expr **out, dfx_error *err)
{
    dfx_expr *made = NULL;
    uint64_t *shape;

    if (x->rank == 0)
        return fail_shape(x, err, "a scalar has no rows");
    if (first > x->shape[0] || count > x->shape[0] - first)
        return fail_shape(x, err,
                          "rows %" PRIu64 " + %" PRIu64
                          " are not inside its %" PRIu64,
                          first, count, x->shape[0]);
    /* A row may start in the middle of a byte, or of a block. */
    if (first * row_elements(x) % dfx_type_unit(x->type).elements != 0)
        return fail_shape(x, err, "row %" PRIu64 " starts within a %s", first,
                          dfx_type_class(x->type) == DFX_CLASS_BLOCK ? "block"
                                                                     : "byte");
    shape = dfx_arena_array(arena, x->rank, sizeof *shape);
    if (shape == NULL)
        return dfx_fail_nomem(err);
    memcpy(shape, x->shape, x->rank * sizeof *shape);
    shape[0] = count;
    DFX_TRY(make(arena, DFX_NODE_ROWS, x->type, x->rank, shape, &made, err));
    made->first = first;
    DFX_TRY(set_args(arena, made, &x, 1, err));
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_concat(dfx_arena *arena, const dfx_expr *const *xs, size_t count,
                const dfx_expr **out, dfx_error *err)
{
    const dfx_expr *head;
    dfx_expr *made = NULL;
    uint64_t *shape;

    if (count == 0)
        return dfx_fail_usage(err, "nothing to put together");
    head = xs[0];
    if (head->rank == 0)
        return fail_shape(head, err, "scalars cannot be stacked");
    shape = dfx_arena_array(arena, head->rank, sizeof *shape);
    if (shape == NULL)
        return dfx_fail_nomem(err);
    memcpy(shape, head->shape, head->rank * sizeof *shape);
    for (size_t i = 1; i < count; i++) {
        const dfx_expr *x = xs[i];

        if (x->type != head->type)
            return fail_shape(x, err, "is %s, and what it is stacked on is %s",
                              dfx_type_name(x->type),
                              dfx_type_name(head->type));
        if (x->rank != head->rank ||
            memcmp(x->shape + 1, head->shape + 1,
                   (head->rank - 1) * sizeof *shape) != 0)
            return fail_shape(x, err,
                              "its rows differ in shape from those it is "
                              "stacked on");
        if (dfx_ckd_add(&shape[0], shape[0], x->shape[0]))
            return fail_shape(x, err, "too many rows");
    }
    DFX_TRY(make(arena, DFX_NODE_CONCAT, head->type, head->rank, shape, &made,
                 err));
    DFX_TRY(set_args(arena, made, xs, count, err));
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_reshape(dfx_arena *arena, const dfx_expr *x, uint32_t rank,
                 const uint64_t *shape, const dfx_expr **out, dfx_error *err)
{
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_RESHAPE, x->type, rank, shape, &made, err));
    if (made->elements != x->elements)
        return fail_shape(x, err,
                          "has %" PRIu64 " elements where the new shape has "
                          "%" PRIu64,
                          x->elements, made->elements);
    DFX_TRY(set_args(arena, made, &x, 1, err));
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_transpose(dfx_arena *arena, const dfx_expr *x, const dfx_expr **out,
                   dfx_error *err)
{
    dfx_expr *made = NULL;
    uint64_t shape[2];

    if (x->rank != 2)
        return fail_shape(
            x, err, "has %" PRIu32 " dimensions; a transpose takes 2", x->rank);
    if (dfx_type_size(x->type) == 0)
        return fail_shape(x, err, "%s elements are no whole bytes",
                          dfx_type_name(x->type));
    shape[0] = x->shape[1];
    shape[1] = x->shape[0];
    DFX_TRY(make(arena, DFX_NODE_TRANSPOSE, x->type, 2, shape, &made, err));
    DFX_TRY(set_args(arena, made, &x, 1, err));
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_quantize(dfx_arena *arena, const dfx_expr *x, dfx_type type,
                  const float *importance, const dfx_expr **out, dfx_error *err)
{
    const dfx_expr *inner = NULL;
    dfx_expr *made = NULL;

    if (x->type == type) {
        *out = x;
        return DFX_OK;
    }
    if (!dfx_type_castable(x->type, type)) {
        dfx_status status = dfx_fail(
            err, DFX_RULE_EXPR_CAST, DFX_NO_OFFSET, "%s cannot be cast to %s",
            dfx_type_name(x->type), dfx_type_name(type));

        blame(x, err);
        return status;
    }
    if (dfx_type_class(x->type) == DFX_CLASS_BLOCK &&
        dfx_type_class(type) == DFX_CLASS_BLOCK) {
        DFX_TRY(dfx_expr_cast(arena, x, DFX_TYPE_F32, &inner, err));
        return dfx_expr_quantize(arena, inner, type, importance, out, err);
    }
    /* A cast pulls in small pieces, a transpose wants large ones: cast first,
       which is the same numbers. Blocks do not mix with columns. */
    if (x->node == DFX_NODE_TRANSPOSE &&
        dfx_type_class(type) != DFX_CLASS_BLOCK) {
        DFX_TRY(dfx_expr_cast(arena, x->args[0], type, &inner, err));
        return dfx_expr_transpose(arena, inner, out, err);
    }
    DFX_TRY(make(arena, DFX_NODE_CAST, type, x->rank, x->shape, &made, err));
    DFX_TRY(set_args(arena, made, &x, 1, err));
    made->importance = importance;
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_cast(dfx_arena *arena, const dfx_expr *x, dfx_type type,
              const dfx_expr **out, dfx_error *err)
{
    return dfx_expr_quantize(arena, x, type, NULL, out, err);
}

dfx_status
dfx_expr_uncast(dfx_arena *arena, const dfx_expr *x, const dfx_expr **out,
                dfx_error *err)
{
    const dfx_expr *inner = NULL;

    while (x->node == DFX_NODE_CAST)
        x = x->args[0];
    *out = x;
    if (x->node != DFX_NODE_TRANSPOSE || x->args[0]->node != DFX_NODE_CAST)
        return DFX_OK;
    inner = x->args[0];
    while (inner->node == DFX_NODE_CAST)
        inner = inner->args[0];
    return dfx_expr_transpose(arena, inner, out, err);
}

dfx_type
dfx_expr_source_type(const dfx_expr *x)
{
    while (x->node == DFX_NODE_CAST || x->node == DFX_NODE_TRANSPOSE)
        x = x->args[0];
    return x->type;
}

/*
 * Whether numbers up to limit can be made in a type: integers that every type
 * of that width holds, signed or not; floats by rounding.
 */
static dfx_status
check_made(const dfx_expr *x, double least, double most, dfx_error *err)
{
    dfx_class class = dfx_type_class(x->type);
    unsigned bits = 8 * dfx_type_size(x->type);

    if (class == DFX_CLASS_FLOAT &&
        (x->type == DFX_TYPE_F64 || dfx_type_castable(DFX_TYPE_F64, x->type)))
        return DFX_OK;
    if (class != DFX_CLASS_INT && class != DFX_CLASS_BOOL)
        return fail_shape(x, err, "no numbers can be made in %s",
                          dfx_type_name(x->type));
    /* 53: beyond it doubles skip integers. */
    if (class == DFX_CLASS_BOOL)
        bits = 2;
    else if (bits > 54)
        bits = 54;
    if (!(least >= 0 && most < (double)(UINT64_C(1) << (bits - 1))))
        return fail_shape(x, err, "%g to %g do not fit %s", least, most,
                          dfx_type_name(x->type));
    return DFX_OK;
}

dfx_status
dfx_expr_arange(dfx_arena *arena, dfx_type type, uint32_t rank,
                const uint64_t *shape, const dfx_expr **out, dfx_error *err)
{
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_ARANGE, type, rank, shape, &made, err));
    if (made->elements > 0)
        DFX_TRY(check_made(made, 0, (double)(made->elements - 1), err));
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_const(dfx_arena *arena, dfx_type type, uint32_t rank,
               const uint64_t *shape, double value, const dfx_expr **out,
               dfx_error *err)
{
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_CONST, type, rank, shape, &made, err));
    DFX_TRY(check_made(made, value, value, err));
    made->value = value;
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_bytes(dfx_arena *arena, const void *data, size_t size,
               const dfx_expr **out, dfx_error *err)
{
    uint64_t shape = size;
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_BYTES, DFX_TYPE_U8, 1, &shape, &made, err));
    made->data = data;
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_array(dfx_arena *arena, const void *data, dfx_type type, uint32_t rank,
               const uint64_t *shape, const dfx_expr **out, dfx_error *err)
{
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_BYTES, type, rank, shape, &made, err));
    made->data = data;
    *out = made;
    return DFX_OK;
}

dfx_status
dfx_expr_floats(dfx_arena *arena, const float *numbers, size_t count,
                const dfx_expr **out, dfx_error *err)
{
    uint64_t shape = count;

    return dfx_expr_array(arena, numbers, DFX_TYPE_F32, 1, &shape, out, err);
}

dfx_status
dfx_expr_part(dfx_arena *arena, const dfx_expr *x, dfx_type type, uint32_t rank,
              const uint64_t *shape, dfx_encode_part_fn *pull,
              const void *state, const dfx_expr **out, dfx_error *err)
{
    dfx_expr *made = NULL;

    DFX_TRY(make(arena, DFX_NODE_PART, type, rank, shape, &made, err));
    DFX_TRY(set_args(arena, made, &x, 1, err));
    made->pull = pull;
    made->data = state;
    *out = made;
    return DFX_OK;
}

/* ---- Pulling ---------------------------------------------------------- */

/* Bytes of count elements of x, which has as many: they were counted. */
static size_t
bytes_of(const dfx_expr *x, uint64_t count)
{
    return (size_t)dfx_type_bytes(x->type, count);
}

static size_t
min_size(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static dfx_status
pull_tensor(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
            dfx_error *err)
{
    dfx_status status = dfx_extent_read(&x->extent, bytes_of(x, first), out,
                                        bytes_of(x, count), err);

    if (status != DFX_OK && x->name != NULL)
        dfx_error_in_tensor(err, x->name);
    return status;
}

static dfx_status
pull_concat(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
            dfx_error *err)
{
    unsigned char *p = out;

    for (size_t i = 0; count > 0; i++) {
        const dfx_expr *part = x->args[i];
        uint64_t n;

        if (first >= part->elements) {
            first -= part->elements;
            continue;
        }
        n = part->elements - first;
        n = n < count ? n : count;
        DFX_TRY(dfx_expr_pull(part, first, n, p, err));
        p += bytes_of(x, n);
        count -= n;
        first = 0;
    }
    return DFX_OK;
}

static dfx_status
pull_cast(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
          dfx_error *err)
{
    const dfx_expr *arg = x->args[0];
    size_t room;
    unsigned char *scratch, *p = out;
    dfx_status status = DFX_OK;

    if (dfx_type_class(arg->type) == DFX_CLASS_BLOCK)
        return dfx_blocks_decode(x, first, count, out, err);
    if (dfx_type_class(x->type) == DFX_CLASS_BLOCK) {
        status = dfx_blocks_encode(x, first, count, out, err);
        if (status == DFX_ERR_FORMAT)
            blame(x, err);
        return status;
    }
    room = min_size(count, SCRATCH / dfx_type_size(arg->type));
    scratch = malloc(bytes_of(arg, room) + 1);
    if (scratch == NULL)
        return dfx_fail_nomem(err);
    while (count > 0 && status == DFX_OK) {
        size_t n = min_size(count, room);

        status = dfx_expr_pull(arg, first, n, scratch, err);
        if (status == DFX_OK)
            dfx_cast(arg->type, x->type, scratch, p, n);
        p += bytes_of(x, n);
        first += n;
        count -= n;
    }
    free(scratch);
    return status;
}

/*
 * The part of a transpose that is being pulled. In the argument, whose rows are
 * the result's columns:
 *
 *                 left   right = left + width
 *            . . . . | . . | . . .
 *   tile  -> . . . . |.T.T.| . . .   rows at .. at + rows, read together
 *            . . . . | . . | . . .
 */
typedef struct transposition {
    const dfx_expr *arg;
    uint64_t first, end; /* elements of the result */
    uint64_t columns;    /* of the result: rows of the argument */
    uint64_t left, width;
    size_t size; /* bytes of an element */
    unsigned char *out;
} transposition;

/* Copies count elements that lie step bytes apart. The size is a constant
   wherever this is called, so that a copy is a load and a store. */
static inline void
gather(unsigned char *dst, const unsigned char *src, size_t step, size_t count,
       size_t size)
{
    for (size_t i = 0; i < count; i++)
        memcpy(dst + i * size, src + i * step, size);
}

/* Scatters the rows at .. at + rows of the argument. tile points at the element
   in column left of the first, and its rows are stride elements apart. */
static void
scatter(const transposition *t, uint64_t at, size_t rows,
        const unsigned char *tile, size_t stride)
{
    for (uint64_t r = 0; r < t->width; r++) {
        uint64_t row = (t->left + r) * t->columns; /* its first element */
        uint64_t from = row + at < t->first ? t->first - row : at;
        uint64_t to = row + at + rows > t->end ? t->end - row : at + rows;
        size_t count, step = stride * t->size;
        const unsigned char *src;
        unsigned char *dst;

        if (from >= to)
            continue;
        count = (size_t)(to - from);
        src = tile + (from - at) * step + r * t->size;
        dst = t->out + (row + from - t->first) * t->size;
        switch (t->size) {
        case 1:
            gather(dst, src, step, count, 1);
            break;
        case 2:
            gather(dst, src, step, count, 2);
            break;
        case 4:
            gather(dst, src, step, count, 4);
            break;
        default:
            gather(dst, src, step, count, 8);
        }
    }
}

/* Reads rows at .. end of the argument in tiles and scatters them. */
static dfx_status
transpose_tiles(const transposition *t, uint64_t at, uint64_t end,
                bool whole_rows, unsigned char *scratch, dfx_error *err)
{
    uint64_t row = t->arg->shape[1];
    size_t stride = whole_rows ? (size_t)row : (size_t)t->width;
    size_t room = SCRATCH / (stride * t->size);
    size_t skip = whole_rows ? (size_t)t->left : 0;

    while (at < end) {
        size_t rows = min_size(end - at, room);

        if (whole_rows) {
            DFX_TRY(dfx_expr_pull(t->arg, at * row, rows * row, scratch, err));
        } else {
            for (size_t i = 0; i < rows; i++)
                DFX_TRY(dfx_expr_pull(t->arg, (at + i) * row + t->left, stride,
                                      scratch + i * stride * t->size, err));
        }
        scatter(t, at, rows, scratch + skip * t->size, stride);
        at += rows;
    }
    return DFX_OK;
}

static dfx_status
pull_transpose(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
               dfx_error *err)
{
    transposition t = {
        .arg = x->args[0],
        .first = first,
        .end = first + count,
        .columns = x->shape[1],
        .left = first / x->shape[1],
        .size = bytes_of(x, 1),
        .out = out,
    };
    uint64_t right = (t.end - 1) / t.columns + 1;
    uint64_t row_size = bytes_of(x, x->shape[0]);
    /* In one row of the result only its columns; else they are all needed. */
    bool one = right - t.left == 1;
    uint64_t at = one ? first % t.columns : 0;
    uint64_t end = one ? at + count : t.columns;
    /*
     * Whole rows of the argument are read together, many to a system call, if
     * they are short; of long rows only the columns needed, a few KiB at once.
     */
    bool whole_rows = row_size <= SHORT_ROW;
    uint64_t step = whole_rows ? right - t.left : SHORT_ROW / t.size;
    unsigned char *scratch = malloc(SCRATCH);
    dfx_status status = DFX_OK;

    if (scratch == NULL)
        return dfx_fail_nomem(err);
    for (; t.left < right && status == DFX_OK; t.left += t.width) {
        t.width = right - t.left < step ? right - t.left : step;
        status = transpose_tiles(&t, at, end, whole_rows, scratch, err);
    }
    free(scratch);
    return status;
}

/* Writes integers from value on, by step, little-endian. */
static void
make_integers(const dfx_expr *x, uint64_t value, uint64_t step, size_t count,
              unsigned char *out)
{
    size_t size = bytes_of(x, 1);

    for (size_t i = 0; i < count; i++, value += step)
        for (size_t k = 0; k < size; k++)
            *out++ = (unsigned char)(value >> 8 * k);
}

/* The same in a floating-point type, through doubles. */
static void
make_floats(const dfx_expr *x, double value, double step, size_t count,
            unsigned char *out)
{
    double numbers[256];

    while (count > 0) {
        size_t n = min_size(count, sizeof numbers / sizeof *numbers);

        for (size_t i = 0; i < n; i++, value += step)
            numbers[i] = value;
        if (x->type == DFX_TYPE_F64)
            memcpy(out, numbers, n * sizeof *numbers);
        else
            dfx_cast(DFX_TYPE_F64, x->type, numbers, out, n);
        out += bytes_of(x, n);
        count -= n;
    }
}

static void
pull_made(const dfx_expr *x, uint64_t first, size_t count, void *out)
{
    bool counts = x->node == DFX_NODE_ARANGE;

    if (dfx_type_class(x->type) == DFX_CLASS_FLOAT)
        make_floats(x, counts ? (double)first : x->value, counts ? 1 : 0, count,
                    out);
    else
        make_integers(x, counts ? first : (uint64_t)x->value, counts ? 1 : 0,
                      count, out);
}

dfx_status
dfx_expr_pull(const dfx_expr *x, uint64_t first, uint64_t count, void *out,
              dfx_error *err)
{
    assert(first <= x->elements && count <= x->elements - first);
    if (count == 0)
        return DFX_OK;
    switch (x->node) {
    case DFX_NODE_TENSOR:
        return pull_tensor(x, first, count, out, err);
    case DFX_NODE_ROWS:
        return dfx_expr_pull(x->args[0], x->first * row_elements(x) + first,
                             count, out, err);
    case DFX_NODE_CONCAT:
        return pull_concat(x, first, count, out, err);
    case DFX_NODE_RESHAPE:
        return dfx_expr_pull(x->args[0], first, count, out, err);
    case DFX_NODE_TRANSPOSE:
        return pull_transpose(x, first, count, out, err);
    case DFX_NODE_CAST:
        return pull_cast(x, first, count, out, err);
    case DFX_NODE_PART:
        return x->pull(x->args[0], x->data, first, count, out, err);
    case DFX_NODE_BYTES:
        memcpy(out, (const unsigned char *)x->data + bytes_of(x, first),
               bytes_of(x, count));
        return DFX_OK;
    case DFX_NODE_ARANGE:
    case DFX_NODE_CONST:
        pull_made(x, first, (size_t)count, out);
        return DFX_OK;
    }
    return dfx_fail_usage(err, "no such expression");
}

/* Pulls the unit around a range that cuts through it. */
static dfx_status
pull_within(const dfx_expr *x, dfx_unit unit, uint64_t offset, size_t size,
            unsigned char *out, dfx_error *err)
{
    unsigned char whole[MAX_UNIT];

    DFX_TRY(dfx_expr_pull(x, offset / unit.bytes * unit.elements, unit.elements,
                          whole, err));
    memcpy(out, whole + offset % unit.bytes, size);
    return DFX_OK;
}

dfx_status
dfx_expr_pull_bytes(const dfx_expr *x, uint64_t offset, size_t size, void *out,
                    dfx_error *err)
{
    dfx_unit unit = dfx_type_unit(x->type);
    unsigned char *p = out;
    size_t head = (size_t)((unit.bytes - offset % unit.bytes) % unit.bytes);
    size_t whole;

    head = head < size ? head : size;
    if (head > 0)
        DFX_TRY(pull_within(x, unit, offset, head, p, err));
    offset += head;
    p += head;
    size -= head;
    whole = size / unit.bytes * unit.bytes;
    DFX_TRY(dfx_expr_pull(x, offset / unit.bytes * unit.elements,
                          whole / unit.bytes * unit.elements, p, err));
    if (whole < size)
        DFX_TRY(
            pull_within(x, unit, offset + whole, size - whole, p + whole, err));
    return DFX_OK;
}

/* ---- Looking through -------------------------------------------------- */

bool
dfx_expr_run(const dfx_expr *x, uint64_t offset, uint64_t size, dfx_extent *run)
{
    while (offset < x->bytes) {
        uint64_t left = x->bytes - offset;

        size = left < size ? left : size;
        switch (x->node) {
        case DFX_NODE_TENSOR:
            *run = (dfx_extent){.io = x->extent.io,
                                .offset = x->extent.offset + offset,
                                .size = size};
            return true;
        case DFX_NODE_ROWS:
            offset += bytes_of(x, x->first * row_elements(x));
            x = x->args[0];
            break;
        case DFX_NODE_CONCAT: {
            size_t i = 0;

            for (; offset >= x->args[i]->bytes; i++)
                offset -= x->args[i]->bytes;
            x = x->args[i];
            break;
        }
        case DFX_NODE_RESHAPE:
            x = x->args[0];
            break;
        case DFX_NODE_TRANSPOSE:
        case DFX_NODE_CAST:
        case DFX_NODE_ARANGE:
        case DFX_NODE_CONST:
        case DFX_NODE_PART:
        case DFX_NODE_BYTES:
            return false;
        }
    }
    return false;
}

static void
describe_shape(const dfx_expr *x, dfx_text *out)
{
    for (uint32_t i = 0; i < x->rank; i++)
        dfx_text_printf(out, "%s%" PRIu64, i == 0 ? "[" : ", ", x->shape[i]);
    dfx_text_puts(out, x->rank == 0 ? "[]" : "]");
}

static void
describe(const dfx_expr *x, dfx_text *out)
{
    switch (x->node) {
    case DFX_NODE_TENSOR:
        dfx_text_puts(out, x->name);
        return;
    case DFX_NODE_ROWS:
        dfx_text_printf(out, "%" PRIu64 " rows from row %" PRIu64 " of ",
                        x->shape[0], x->first);
        break;
    case DFX_NODE_CONCAT:
        dfx_text_puts(out, "stack of ");
        for (size_t i = 0; i + 1 < x->arg_count; i++) {
            describe(x->args[i], out);
            dfx_text_puts(out, i + 2 < x->arg_count ? ", " : " and ");
        }
        describe(x->args[x->arg_count - 1], out);
        return;
    case DFX_NODE_RESHAPE:
        dfx_text_puts(out, "as ");
        describe_shape(x, out);
        dfx_text_puts(out, ": ");
        break;
    case DFX_NODE_TRANSPOSE:
        dfx_text_puts(out, "transpose of ");
        break;
    case DFX_NODE_CAST:
        dfx_text_printf(out, "cast %s of ", dfx_type_name(x->type));
        break;
    case DFX_NODE_PART:
        dfx_text_puts(out, "part of ");
        break;
    case DFX_NODE_ARANGE:
        dfx_text_printf(out, "%" PRIu64 " numbers from 0", x->elements);
        return;
    case DFX_NODE_CONST:
        dfx_text_printf(out, "%.9g everywhere", x->value);
        return;
    case DFX_NODE_BYTES:
        dfx_text_printf(out, "%" PRIu64 " bytes", x->bytes);
        return;
    }
    describe(x->args[0], out);
}

char *
dfx_expr_describe(const dfx_expr *x)
{
    dfx_text text = {0};

    describe(x, &text);
    if (text.failed) {
        dfx_text_fini(&text);
        return NULL;
    }
    return text.data;
}
