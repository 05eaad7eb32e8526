/*
 * torch_write.c - checkpoints, byte for byte as torch.save writes them
 *
 * A plain dict of contiguous tensors on the CPU, by torch 2.15 and the C
 * pickler of CPython 3.11, protocol 2: the pickle with its memo, and the zip
 * with its paddings. Only the serialization id, a hash of names and CRCs that
 * nobody compares, is 40 zeros. Metadata, which torch has no place for, is a
 * member of its own that loaders leave alone.
 */
#include <config.h>

#include "torch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"
#include "zip.h"

#define TOP "archive/"

enum {
    ALIGNMENT = 64,
    BATCH = 1000 /* items of a dict between two SETITEMS */
};

/* PyTorchStreamWriter's, of torch 2.15. */
static const dfx_zip_style style = {
    .made_by_end = 0x031E,
    .descriptors = true,
    .utf8_always = true,
    .zip64_end = true,
    .most32 = UINT32_MAX - 1,
    .pad_id = 0x4246, /* "FB" */
    .pad_byte = 'Z',
};

/* ---- Types ---------------------------------------------------------------
 */

/* Types with a storage class of their own; others are untyped bytes, and the
   tensor says its type. */
static const struct {
    dfx_type type;
    const char *storage;
} storages[] = {
    {DFX_TYPE_F64, "DoubleStorage"},
    {DFX_TYPE_F32, "FloatStorage"},
    {DFX_TYPE_F16, "HalfStorage"},
    {DFX_TYPE_BF16, "BFloat16Storage"},
    {DFX_TYPE_I64, "LongStorage"},
    {DFX_TYPE_I32, "IntStorage"},
    {DFX_TYPE_I16, "ShortStorage"},
    {DFX_TYPE_I8, "CharStorage"},
    {DFX_TYPE_U8, "ByteStorage"},
    {DFX_TYPE_BOOL, "BoolStorage"},
    {DFX_TYPE_C64, "ComplexFloatStorage"},
    {DFX_TYPE_C128, "ComplexDoubleStorage"},
};

enum { STORAGES = sizeof storages / sizeof storages[0] };

/* Row of storages; STORAGES: none. */
static size_t
storage_of(dfx_type type)
{
    size_t i = 0;

    while (i < STORAGES && storages[i].type != type)
        i++;
    return i;
}

/* ---- The pickle ----------------------------------------------------------
 */

/* Memo numbers of what is pickled once; 0, the first dict's, is none. */
typedef struct memo {
    uint32_t next;
    uint32_t rebuild[2]; /* _rebuild_tensor_v2, _v3 */
    uint32_t storage_text, cpu, hooks, untyped;
    uint32_t storages[STORAGES];
    uint32_t dtypes[DFX_TYPE_COUNT];
    uint32_t characters[256]; /* Python keeps one object of each */
} memo;

typedef struct pickler {
    dfx_text text;
    memo memo;
} pickler;

static void
put(pickler *p, const char *bytes)
{
    dfx_text_puts(&p->text, bytes);
}

static void
put_op(pickler *p, unsigned char op)
{
    dfx_text_add(&p->text, (const char *)&op, 1);
}

static void
put_le(pickler *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        put_op(p, (unsigned char)(value >> 8 * i));
}

/* BINPUT, and the number that it gave. */
static uint32_t
put_memo(pickler *p)
{
    uint32_t number = p->memo.next++;

    put_op(p, number < 256 ? 'q' : 'r');
    put_le(p, number, number < 256 ? 1 : 4);
    return number;
}

static void
put_get(pickler *p, uint32_t number)
{
    put_op(p, number < 256 ? 'h' : 'j');
    put_le(p, number, number < 256 ? 1 : 4);
}

static void
put_integer(pickler *p, uint64_t value)
{
    unsigned size = 1;

    if (value < 256) {
        put_op(p, 'K');
        put_le(p, value, 1);
    } else if (value < 65536) {
        put_op(p, 'M');
        put_le(p, value, 2);
    } else if (value <= INT32_MAX) {
        put_op(p, 'J');
        put_le(p, value, 4);
    } else {
        while (size < 8 && value >> (8 * size - 1) != 0)
            size++;
        size += size == 8 && value >> 63 != 0; /* room for the sign */
        put_op(p, 0x8a);
        put_le(p, size, 1);
        put_le(p, value, size < 8 ? size : 8);
        put_le(p, 0, size - (size < 8 ? size : 8));
    }
}

/* A text that is an object of its own. */
static uint32_t
put_new_text(pickler *p, const char *text, size_t size)
{
    put_op(p, 'X');
    put_le(p, size, 4);
    dfx_text_add(&p->text, text, size);
    return put_memo(p);
}

static void
put_text(pickler *p, const char *text)
{
    size_t size = strlen(text);
    uint32_t *known =
        size == 1 ? &p->memo.characters[(unsigned char)text[0]] : NULL;

    if (known == NULL)
        put_new_text(p, text, size);
    else if (*known != 0)
        put_get(p, *known);
    else
        *known = put_new_text(p, text, size);
}

/* A literal of the pickling code, which is one object. */
static void
put_literal(pickler *p, uint32_t *known, const char *text)
{
    if (*known != 0)
        put_get(p, *known);
    else
        *known = put_new_text(p, text, strlen(text));
}

static void
put_global(pickler *p, uint32_t *known, const char *module, const char *name,
           size_t name_size)
{
    if (*known != 0) {
        put_get(p, *known);
        return;
    }
    put(p, "c");
    put(p, module);
    put(p, "\n");
    dfx_text_add(&p->text, name, name_size);
    put(p, "\n");
    *known = put_memo(p);
}

static void
put_tuple(pickler *p, const uint64_t *values, uint32_t rank)
{
    if (rank == 0) {
        put(p, ")");
        return;
    }
    if (rank > 3)
        put(p, "(");
    for (uint32_t i = 0; i < rank; i++)
        put_integer(p, values[i]);
    put_op(p, rank > 3 ? 't' : (unsigned char)(0x84 + rank));
    put_memo(p);
}

/* ---- A tensor ------------------------------------------------------------
 */

/* A tensor as torch counts it. */
typedef struct shape {
    uint32_t rank;
    uint64_t *size, *stride; /* in the arena */
    uint64_t elements;       /* of the storage; of an untyped one bytes */
} shape;

/* float4_e2m1fn_x2 has two in an element. */
static bool
is_packed(dfx_type type)
{
    return type == DFX_TYPE_F4;
}

static dfx_status
check_type(const dfx_item *item, dfx_error *err)
{
    const dfx_expr *x = item->expr;
    size_t size = 0;

    (void)dfx_type_torch_name(x->type, &size);
    if (size > 0 && (!is_packed(x->type) ||
                     (x->rank > 0 && x->shape[x->rank - 1] % 2 == 0)))
        return DFX_OK;
    dfx_fail(err, DFX_RULE_PT_TENSOR_TYPE, DFX_NO_OFFSET,
             "PyTorch has no elements of type %s%s", dfx_type_name(x->type),
             size > 0 ? ", but pairs of them" : "");
    dfx_error_in_tensor(err, item->name);
    return DFX_ERR_UNSUPPORTED;
}

static dfx_status
shape_of(const dfx_expr *x, dfx_arena *arena, shape *out, dfx_error *err)
{
    uint64_t stride = 1;

    out->rank = x->rank;
    out->size = dfx_arena_array(arena, x->rank + 1, sizeof *out->size);
    out->stride = dfx_arena_array(arena, x->rank + 1, sizeof *out->stride);
    if (out->size == NULL || out->stride == NULL)
        return dfx_fail_nomem(err);
    for (uint32_t i = 0; i < x->rank; i++)
        out->size[i] = x->shape[i];
    if (is_packed(x->type))
        out->size[x->rank - 1] /= 2;
    for (uint32_t i = x->rank; i-- > 0;) {
        out->stride[i] = stride;
        if (out->size[i] > 1 && dfx_ckd_mul(&stride, stride, out->size[i]))
            return dfx_fail(err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                            "the strides of a tensor exceed 2^64");
    }
    out->elements = storage_of(x->type) < STORAGES ? x->elements : x->bytes;
    return DFX_OK;
}

/* ("storage", class, key, "cpu", elements) as a persistent id. */
static void
put_storage(pickler *p, dfx_type type, size_t key, uint64_t elements)
{
    size_t row = storage_of(type);
    char text[24];

    put(p, "(");
    put_literal(p, &p->memo.storage_text, "storage");
    if (row < STORAGES)
        put_global(p, &p->memo.storages[row], "torch", storages[row].storage,
                   strlen(storages[row].storage));
    else
        put_global(p, &p->memo.untyped, "torch.storage", "UntypedStorage",
                   strlen("UntypedStorage"));
    snprintf(text, sizeof text, "%zu", key);
    put_text(p, text);
    put_literal(p, &p->memo.cpu, "cpu");
    put_integer(p, elements);
    put(p, "t");
    put_memo(p);
    put(p, "Q");
}

static dfx_status
put_tensor(pickler *p, const dfx_item *item, size_t key, dfx_arena *arena,
           dfx_error *err)
{
    static const char *const rebuild[] = {"_rebuild_tensor_v2",
                                          "_rebuild_tensor_v3"};
    const dfx_expr *x = item->expr;
    bool untyped = storage_of(x->type) == STORAGES;
    size_t size = 0;
    const char *dtype = dfx_type_torch_name(x->type, &size);
    shape s = {0};

    DFX_TRY(check_type(item, err));
    DFX_TRY(shape_of(x, arena, &s, err));
    put_text(p, item->name);
    put_global(p, &p->memo.rebuild[untyped], "torch._utils", rebuild[untyped],
               strlen(rebuild[untyped]));
    put(p, "(");
    put_storage(p, x->type, key, s.elements);
    put_integer(p, 0);
    put_tuple(p, s.size, s.rank);
    put_tuple(p, s.stride, s.rank);
    put_op(p, 0x89);
    put_global(p, &p->memo.hooks, "collections", "OrderedDict",
               strlen("OrderedDict"));
    put(p, ")R");
    put_memo(p);
    if (untyped)
        put_global(p, &p->memo.dtypes[x->type], "torch", dtype, size);
    put(p, "t");
    put_memo(p);
    put(p, "R");
    put_memo(p);
    return DFX_OK;
}

/* The dict of all tensors, in batches: after a full one comes another, even if
   nothing is left for it. */
static dfx_status
put_dict(pickler *p, const dfx_bundle *bundle, dfx_arena *arena, dfx_error *err)
{
    size_t count = bundle->item_count, done = 0, batch;

    put(p, "}");
    put_memo(p);
    if (count == 1) {
        DFX_TRY(put_tensor(p, &bundle->items[0], 0, arena, err));
        put(p, "s");
    }
    if (count < 2)
        return DFX_OK;
    do {
        put(p, "(");
        for (batch = 0; batch < BATCH && done < count; batch++, done++)
            DFX_TRY(put_tensor(p, &bundle->items[done], done, arena, err));
        put(p, "u");
    } while (batch == BATCH);
    return DFX_OK;
}

static dfx_status
put_object(pickler *p, const dfx_bundle *bundle, dfx_arena *arena,
           dfx_error *err)
{
    put_op(p, 0x80);
    put_op(p, 2);
    if (bundle->wrap) {
        put(p, "}");
        put_memo(p);
        put_text(p, "state_dict");
    }
    DFX_TRY(put_dict(p, bundle, arena, err));
    put(p, bundle->wrap ? "s." : ".");
    return p->text.failed ? dfx_fail_nomem(err) : DFX_OK;
}

/* ---- The zip -------------------------------------------------------------
 */

static dfx_status
add_text(dfx_zip_writer *zip, dfx_plan *plan, size_t output, const char *name,
         const char *text, size_t size, dfx_error *err)
{
    const dfx_expr *x = NULL;
    const char *kept = dfx_arena_strndup(&plan->arena, text, size);

    if (kept == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_zip_member_begin(zip, name, size, ALIGNMENT, err));
    DFX_TRY(dfx_expr_bytes(&plan->arena, kept, size, &x, err));
    DFX_TRY(dfx_plan_add_piece(plan, output, x, err));
    return dfx_zip_member_end(zip, err);
}

static dfx_status
add_tensors(dfx_zip_writer *zip, const dfx_bundle *bundle, dfx_plan *plan,
            size_t output, dfx_error *err)
{
    for (size_t i = 0; i < bundle->item_count; i++) {
        const dfx_item *item = &bundle->items[i];
        char name[40];

        snprintf(name, sizeof name, TOP "data/%zu", i);
        DFX_TRY(
            dfx_zip_member_begin(zip, name, item->expr->bytes, ALIGNMENT, err));
        DFX_TRY(dfx_plan_add_tensor(plan, output, item->name, item->expr, err));
        DFX_TRY(dfx_zip_member_end(zip, err));
    }
    return DFX_OK;
}

/* "format": "pt" goes without saying. */
static bool
has_metadata(const dfx_bundle *bundle)
{
    for (size_t i = 0; i < bundle->meta_count && !bundle->plain; i++)
        if (strcmp(bundle->metadata[i].key, "format") != 0 ||
            strcmp(bundle->metadata[i].value, "pt") != 0)
            return true;
    return false;
}

static dfx_status
add_metadata(dfx_zip_writer *zip, const dfx_bundle *bundle, dfx_plan *plan,
             size_t output, dfx_error *err)
{
    dfx_text text = {0};
    dfx_status status;

    if (!has_metadata(bundle))
        return DFX_OK;
    status = dfx_bundle_print_metadata(bundle, &plan->arena, &text, err);
    if (status == DFX_OK)
        status = add_text(zip, plan, output, TOP DFX_TORCH_METADATA, text.data,
                          text.size, err);
    dfx_text_fini(&text);
    return status;
}

static dfx_status
add_members(dfx_zip_writer *zip, const pickler *p, const dfx_bundle *bundle,
            dfx_plan *plan, size_t output, dfx_error *err)
{
    static const char id[] = "0000000000000000000000000000000000000000";

    DFX_TRY(add_text(zip, plan, output, TOP "data.pkl", p->text.data,
                     p->text.size, err));
    DFX_TRY(add_text(zip, plan, output, TOP ".format_version", "1", 1, err));
    DFX_TRY(
        add_text(zip, plan, output, TOP ".storage_alignment", "64", 2, err));
    DFX_TRY(add_text(zip, plan, output, TOP "byteorder", "little", 6, err));
    DFX_TRY(add_tensors(zip, bundle, plan, output, err));
    DFX_TRY(add_metadata(zip, bundle, plan, output, err));
    DFX_TRY(add_text(zip, plan, output, TOP "version", "3\n", 2, err));
    DFX_TRY(add_text(zip, plan, output, TOP ".data/serialization_id", id,
                     sizeof id - 1, err));
    return dfx_zip_end(zip, err);
}

dfx_status
dfx_torch_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                  dfx_error *err)
{
    const char *path = base;
    pickler *p = calloc(1, sizeof *p);
    dfx_zip_writer *zip = NULL;
    size_t output = 0;
    dfx_status status;

    if (p == NULL)
        return dfx_fail_nomem(err);
    if (base[0] != '\0')
        path = dfx_arena_printf(&plan->arena, "%s" DFX_TORCH_IN_FOLDER, base);
    status = path == NULL ? dfx_fail_nomem(err)
                          : put_object(p, bundle, &plan->arena, err);
    if (status == DFX_OK)
        status = dfx_plan_add_file(plan, path, &output, err);
    if (status == DFX_OK)
        status = dfx_zip_begin(plan, output, &style, &zip, err);
    if (status == DFX_OK)
        status = add_members(zip, p, bundle, plan, output, err);
    dfx_text_fini(&p->text);
    free(p);
    return status;
}
