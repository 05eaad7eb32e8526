/*
 * torch_find.c - the tensors in the object of a PyTorch file
 *
 * Dicts, lists and objects are walked in their order; what a rebuild function
 * of torch would make of its arguments is read from them.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "torch.h"
#include "types.h"

enum {
    MAX_LEVELS = 1000, /* as of pickles */
    MAX_STEPS = 1 << 24,
    MAX_RANK = 64,
    /* A tensor may have that many times the bytes of its storage, by strides of
       0: positions and masks do. */
    MAX_REPEAT = 1024,
    ALWAYS = 64 << 20 /* bytes that are fine whatever the storage */
};

#define MAX_ELEMENTS ((uint64_t)1 << 40)

/* A part of the path to what is walked. */
typedef struct part {
    const char *name; /* NULL: the number */
    size_t number;
    const char *module; /* before the name of a class; NULL: none */
    char separator;     /* before it */
} part;

typedef struct walk {
    dfx_torch_file *file;
    dfx_torch_tensors *out;
    part *parts; /* owned: MAX_LEVELS of them */
    size_t level;
    size_t steps;
    dfx_error *err;
} walk;

/* ---- Numbers --------------------------------------------------------------
 */

/* Where the walk is, in the arena; NULL: memory ran out. */
static const char *
path_of(const walk *w)
{
    dfx_text text = {0};
    const char *path = NULL;

    for (size_t i = 0; i < w->level; i++) {
        const part *p = &w->parts[i];

        if (i > 0)
            dfx_text_add(&text, &p->separator, 1);
        if (p->module != NULL)
            dfx_text_printf(&text, "%s.", p->module);
        if (p->name != NULL)
            dfx_text_puts(&text, p->name);
        else
            dfx_text_printf(&text, "%zu", p->number);
    }
    if (!text.failed)
        path = dfx_arena_strndup(&w->file->arena,
                                 text.data != NULL ? text.data : "", text.size);
    dfx_text_fini(&text);
    return path;
}

static void
tell(walk *w, dfx_rule rule, const dfx_pickle_node *node, const char *text)
{
    const char *path = path_of(w);

    dfx_audit_report(w->file->audit, DFX_VERDICT_SUSPICIOUS, rule, NULL,
                     node->at, "tensor %s: %s", path != NULL ? path : "", text);
}

/* A tuple or list of integers, or a torch.Size of one. */
static const dfx_pickle_node *
integers_of(const dfx_pickle_node *node)
{
    if (node != NULL && dfx_pickle_calls(node, DFX_USE_LIST))
        node = dfx_pickle_arg(node, 0);
    return node != NULL && dfx_pickle_has_items(node) ? node : NULL;
}

/* Numbers that are not negative; *good is false if one is. */
static dfx_status
read_integers(walk *w, const dfx_pickle_node *list, uint64_t **out, bool *good,
              dfx_error *err)
{
    uint64_t *values =
        dfx_arena_array(&w->file->arena, list->list.count + 1, sizeof *values);

    if (values == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < list->list.count; i++) {
        const dfx_pickle_node *item = list->list.items[i];

        *good = *good && item->kind == DFX_PICKLE_INT && item->number >= 0;
        values[i] = *good ? (uint64_t)item->number : 0;
    }
    *out = values;
    return DFX_OK;
}

/* Shape, strides and offset; *good is false if they cannot be. */
static dfx_status
read_view(walk *w, dfx_torch_tensor *t, const dfx_pickle_node *at,
          const dfx_pickle_node *offset, const dfx_pickle_node *size,
          const dfx_pickle_node *stride, bool *good)
{
    size = integers_of(size);
    stride = integers_of(stride);
    *good = offset != NULL && size != NULL && stride != NULL;
    if (!*good)
        return DFX_OK; /* arguments of the wrong kind were told */
    if (size->list.count != stride->list.count || size->list.count > MAX_RANK) {
        *good = false;
        tell(w, DFX_RULE_PT_VIEW_RANK, at, "size and stride differ in rank");
        return DFX_OK;
    }
    t->rank = (uint32_t)size->list.count;
    DFX_TRY(read_integers(w, size, &t->shape, good, w->err));
    DFX_TRY(read_integers(w, stride, &t->stride, good, w->err));
    *good = *good && offset->kind == DFX_PICKLE_INT && offset->number >= 0;
    if (*good)
        t->offset = (uint64_t)offset->number;
    else
        tell(w, DFX_RULE_PT_VIEW_BOUNDS, at,
             "a negative size, stride or offset");
    return DFX_OK;
}

/* ---- Storages -------------------------------------------------------------
 */

/* The storage of a persistent id, and where in it a view of old files starts;
   false: there is none. */
static bool
find_storage(walk *w, const dfx_pickle_node *node, dfx_torch_tensor *t,
             uint64_t *start)
{
    const dfx_pickle_node *id, *view, *offset;

    *start = 0;
    if (node == NULL || node->kind != DFX_PICKLE_PERSID)
        return false;
    id = node->id;
    if (id->kind != DFX_PICKLE_TUPLE || id->list.count < 5 ||
        id->list.items[2]->kind != DFX_PICKLE_TEXT ||
        id->list.items[1]->kind != DFX_PICKLE_GLOBAL ||
        id->list.items[1]->global.known == NULL)
        return false;
    t->storage = dfx_torch_find_storage(w->file, id->list.items[2]->text.data);
    t->type = id->list.items[1]->global.known->type;
    t->kind = id->list.items[1]->global.known->kind;
    view = id->list.count > 5 ? id->list.items[5] : NULL;
    if (view != NULL && view->kind == DFX_PICKLE_TUPLE &&
        view->list.count == 3) {
        offset = view->list.items[1];
        if (offset->kind == DFX_PICKLE_INT && offset->number >= 0)
            *start = (uint64_t)offset->number;
    }
    return t->storage != NULL;
}

/* Bytes that the elements reach, or UINT64_MAX. */
static uint64_t
reach_of(const dfx_torch_tensor *t, uint64_t *elements)
{
    uint64_t last = t->offset, step, bytes;

    *elements = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->shape[i] == 0)
            *elements = 0;
    for (uint32_t i = 0; i<t->rank && * elements> 0; i++)
        if (dfx_ckd_mul(elements, *elements, t->shape[i]))
            *elements = UINT64_MAX;
    if (*elements == 0)
        return 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (dfx_ckd_mul(&step, t->shape[i] - 1, t->stride[i]) ||
            dfx_ckd_add(&last, last, step))
            return UINT64_MAX;
    if (dfx_ckd_add(&last, last, 1) ||
        dfx_ckd_mul(&bytes, last, dfx_type_unit(t->type).bytes))
        return UINT64_MAX;
    return bytes;
}

/* The view lies in its storage, and is not many times as large. */
static bool
check_view(walk *w, const dfx_torch_tensor *t, const dfx_pickle_node *at)
{
    uint64_t elements, bytes;
    uint64_t reach = reach_of(t, &elements);

    if (t->storage == NULL)
        return true;
    /* Two or four elements in a byte: no view of a part. */
    if (t->kind != NULL &&
        (strstr(t->kind, "4x2") != NULL || strstr(t->kind, "2x4") != NULL))
        return true;
    if (elements > MAX_ELEMENTS) {
        tell(w, DFX_RULE_PT_LIMIT_EXPAND, at, "has more than 2^40 elements");
        return false;
    }
    if (reach > t->storage->size) {
        tell(w, DFX_RULE_PT_VIEW_BOUNDS, at, "reaches beyond its storage");
        return false;
    }
    bytes = elements * dfx_type_unit(t->type).bytes;
    if (bytes > ALWAYS && bytes / MAX_REPEAT > t->storage->size) {
        tell(w, DFX_RULE_PT_LIMIT_EXPAND, at,
             "has many times the elements of its storage");
        return false;
    }
    return true;
}

static dfx_status
add_tensor(walk *w, const dfx_torch_tensor *t)
{
    const char *path = path_of(w);

    if (path == NULL || !dfx_grow(&w->out->items, &w->out->capacity,
                                  w->out->count, sizeof *w->out->items))
        return dfx_fail_nomem(w->err);
    w->out->items[w->out->count] = *t;
    w->out->items[w->out->count++].path = path;
    return DFX_OK;
}

/* ---- Rebuild functions ----------------------------------------------------
 */

static bool
is_true(const dfx_pickle_node *dict, const char *key)
{
    const dfx_pickle_node *value = NULL;

    if (dict != NULL && dict->kind == DFX_PICKLE_DICT)
        value = dfx_pickle_get(dict, key);
    return value != NULL && value->kind == DFX_PICKLE_BOOL && value->truth;
}

/* Untyped storages have the type in the tensor: v3's argument. */
static void
take_dtype(dfx_torch_tensor *t, const dfx_pickle_node *dtype)
{
    if (dtype == NULL || dtype->kind != DFX_PICKLE_GLOBAL ||
        dtype->global.known == NULL)
        return;
    t->type = dtype->global.known->type;
    t->kind = dtype->global.known->kind;
}

/* float4_e2m1fn_x2 has two in an element, which safetensors counts. */
static void
unpack(dfx_torch_tensor *t)
{
    if (t->type != DFX_TYPE_F4 || t->rank == 0)
        return;
    t->shape[t->rank - 1] *= 2;
    for (uint32_t i = 0; i + 1 < t->rank; i++)
        t->stride[i] *= 2;
    t->offset *= 2;
}

/* (storage, offset, size, stride, ...), of _rebuild_tensor and what came after
   it, and of the state of the oldest classes. args is a list kind. */
static dfx_status
take_strided(walk *w, const dfx_pickle_node *args, dfx_pickle_use use,
             const dfx_pickle_node *at)
{
    dfx_torch_tensor t = {.type = DFX_TYPE_COUNT};
    size_t metadata = use == DFX_USE_TENSOR_V3 ? 7 : 6;
    uint64_t start = 0;
    bool good = args->list.count >= 4;

    if (good)
        DFX_TRY(read_view(w, &t, at, args->list.items[1], args->list.items[2],
                          args->list.items[3], &good));
    if (!good || !find_storage(w, args->list.items[0], &t, &start))
        return DFX_OK; /* told */
    if (use == DFX_USE_TENSOR_V3)
        take_dtype(&t, args->list.count > 6 ? args->list.items[6] : NULL);
    else if (t.kind != NULL && strcmp(t.kind, "bytes") == 0)
        t.kind = NULL; /* bytes are bytes */
    if (dfx_ckd_add(&t.offset, t.offset, start))
        t.offset = UINT64_MAX;
    if (args->list.count > metadata && use != DFX_USE_QTENSOR) {
        t.conjugate = is_true(args->list.items[metadata], "conj");
        t.negate = is_true(args->list.items[metadata], "neg");
    }
    if (!check_view(w, &t, at))
        return DFX_OK;
    unpack(&t);
    return add_tensor(w, &t);
}

/* A shape without data: (dtype, size, stride, ...) from argument first on. */
static dfx_status
take_shape(walk *w, const dfx_pickle_node *call, size_t first, const char *kind)
{
    dfx_torch_tensor t = {.type = DFX_TYPE_COUNT};
    const dfx_pickle_node *size = integers_of(dfx_pickle_arg(call, first + 1));
    bool good = size != NULL;

    if (!good || size->list.count > MAX_RANK)
        return DFX_OK;
    take_dtype(&t, dfx_pickle_arg(call, first));
    t.kind = kind;
    t.rank = (uint32_t)size->list.count;
    DFX_TRY(read_integers(w, size, &t.shape, &good, w->err));
    t.stride = t.shape;
    return good ? add_tensor(w, &t) : DFX_OK;
}

static dfx_status visit(walk *w, const dfx_pickle_node *node);
static dfx_status visit_below(walk *w, const dfx_pickle_node *node,
                              const char *name, char separator);

/* (layout, (parts ...)): the parts by the names of their methods. */
static dfx_status
take_sparse(walk *w, const dfx_pickle_node *call)
{
    static const struct {
        const char *layout, *kind;
        const char *parts[3];
    } rows[] = {
        {"torch.sparse_coo", "sparse_coo", {"indices", "values", NULL}},
        {"torch.sparse_csr",
         "sparse_csr",
         {"crow_indices", "col_indices", "values"}},
        {"torch.sparse_csc",
         "sparse_csc",
         {"ccol_indices", "row_indices", "values"}},
        {"torch.sparse_bsr",
         "sparse_bsr",
         {"crow_indices", "col_indices", "values"}},
        {"torch.sparse_bsc",
         "sparse_bsc",
         {"ccol_indices", "row_indices", "values"}},
    };
    const dfx_pickle_node *layout = dfx_pickle_arg(call, 0);
    const dfx_pickle_node *parts = dfx_pickle_arg(call, 1);
    const dfx_pickle_node *name = NULL;
    size_t first = w->out->count;

    if (layout != NULL && dfx_pickle_calls(layout, DFX_USE_SCALAR))
        name = dfx_pickle_arg(layout, 0);
    if (name == NULL || name->kind != DFX_PICKLE_TEXT || parts == NULL ||
        !dfx_pickle_has_items(parts))
        return DFX_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(name->text.data, rows[i].layout) != 0)
            continue;
        for (size_t k = 0; k < 3 && rows[i].parts[k] != NULL; k++)
            if (k < parts->list.count)
                DFX_TRY(visit_below(w, parts->list.items[k], rows[i].parts[k],
                                    '/'));
        for (size_t k = first; k < w->out->count; k++)
            w->out->items[k].kind = rows[i].kind;
    }
    return DFX_OK;
}

/* (rebuild function, class, its arguments, state). */
static dfx_status
take_subclass(walk *w, const dfx_pickle_node *call)
{
    const dfx_pickle_node *function = dfx_pickle_arg(call, 0);
    const dfx_pickle_node *args = dfx_pickle_arg(call, 2);
    dfx_pickle_node inner = {.kind = DFX_PICKLE_CALL, .at = call->at};

    if (function == NULL || args == NULL || args->kind != DFX_PICKLE_TUPLE)
        return DFX_OK;
    inner.call.callable = (dfx_pickle_node *)(uintptr_t)function;
    inner.call.args = (dfx_pickle_node *)(uintptr_t)args;
    return visit(w, &inner);
}

static int
compare_key(const void *a, const void *b)
{
    const dfx_torch_named *named = b;

    return strcmp(a, named->key);
}

/* A tensor of a tar. */
static dfx_status
take_named(walk *w, const dfx_pickle_node *node)
{
    const dfx_torch_named *found = NULL;
    const char *key = NULL;
    char number[24];

    if (node->id->kind == DFX_PICKLE_TEXT)
        key = node->id->text.data;
    if (node->id->kind == DFX_PICKLE_INT) {
        snprintf(number, sizeof number, "%" PRId64, node->id->number);
        key = number;
    }
    if (key != NULL && w->file->named_count > 0)
        found = bsearch(key, w->file->named, w->file->named_count,
                        sizeof *w->file->named, compare_key);
    if (found == NULL || found->tensor.storage == NULL ||
        !check_view(w, &found->tensor, node))
        return DFX_OK;
    return add_tensor(w, &found->tensor);
}

/* A storage that stands by itself. */
static dfx_status
take_storage(walk *w, const dfx_pickle_node *node)
{
    dfx_torch_tensor t = {.rank = 1, .type = DFX_TYPE_COUNT};
    uint64_t start;

    if (w->file->is_tar)
        return take_named(w, node);
    if (!find_storage(w, node, &t, &start) || dfx_type_size(t.type) == 0)
        return DFX_OK;
    t.shape = dfx_arena_array(&w->file->arena, 1, sizeof *t.shape);
    t.stride = dfx_arena_array(&w->file->arena, 1, sizeof *t.stride);
    if (t.shape == NULL || t.stride == NULL)
        return dfx_fail_nomem(w->err);
    t.shape[0] = t.storage->size / dfx_type_size(t.type);
    t.stride[0] = 1;
    if (t.kind != NULL && strcmp(t.kind, "bytes") == 0)
        t.kind = NULL;
    return add_tensor(w, &t);
}

/* ---- The walk -------------------------------------------------------------
 */

static dfx_status
visit_part(walk *w, const dfx_pickle_node *node, const part *p)
{
    dfx_status status;

    if (w->level >= MAX_LEVELS)
        return DFX_OK; /* told by the machine */
    w->parts[w->level++] = *p;
    status = visit(w, node);
    w->level--;
    return status;
}

static dfx_status
visit_below(walk *w, const dfx_pickle_node *node, const char *name,
            char separator)
{
    const part p = {.name = name, .separator = separator};

    return visit_part(w, node, &p);
}

static dfx_status
visit_pair(walk *w, const dfx_pickle_node *key, const dfx_pickle_node *value,
           size_t i, char separator)
{
    part p = {.number = i, .separator = separator};
    char number[24];

    if (key->kind == DFX_PICKLE_TEXT)
        p.name = key->text.data;
    if (key->kind == DFX_PICKLE_GLOBAL) {
        p.module = key->global.module;
        p.name = key->global.name;
    }
    if (key->kind == DFX_PICKLE_INT) {
        snprintf(number, sizeof number, "%" PRId64, key->number);
        p.name = number;
    }
    return visit_part(w, value, &p);
}

static dfx_status
visit_dict(walk *w, const dfx_pickle_node *dict, char separator)
{
    for (size_t i = 0; i + 1 < dict->list.count; i += 2)
        DFX_TRY(visit_pair(w, dict->list.items[i], dict->list.items[i + 1],
                           i / 2, separator));
    return DFX_OK;
}

static dfx_status
visit_list(walk *w, const dfx_pickle_node *list)
{
    for (size_t i = 0; i < list->list.count; i++) {
        const part p = {.number = i, .separator = '/'};

        DFX_TRY(visit_part(w, list->list.items[i], &p));
    }
    return DFX_OK;
}

/* Pairs in a list, as an OrderedDict was once made of. */
static dfx_status
visit_pairs(walk *w, const dfx_pickle_node *list)
{
    for (size_t i = 0; i < list->list.count; i++) {
        const dfx_pickle_node *pair = list->list.items[i];

        if (dfx_pickle_has_items(pair) && pair->list.count == 2)
            DFX_TRY(visit_pair(w, pair->list.items[0], pair->list.items[1], i,
                               '/'));
    }
    return DFX_OK;
}

static dfx_status
visit_dict_call(walk *w, const dfx_pickle_node *call)
{
    const dfx_pickle_node *first = dfx_pickle_arg(call, 0);

    if (first != NULL && first->kind == DFX_PICKLE_DICT)
        DFX_TRY(visit_dict(w, first, '/'));
    else if (first != NULL && dfx_pickle_has_items(first))
        DFX_TRY(visit_pairs(w, first));
    if (call->call.items != NULL && call->call.items->kind == DFX_PICKLE_DICT)
        return visit_dict(w, call->call.items, '/');
    return DFX_OK;
}

/* An object's attributes, but those that lead up again. */
static dfx_status
visit_object(walk *w, const dfx_pickle_node *call, char separator)
{
    const dfx_pickle_node *state = call->call.state;

    if (state != NULL && state->kind == DFX_PICKLE_TUPLE &&
        state->list.count == 2)
        state = state->list.items[0]; /* of slots: attributes and slots */
    if (state != NULL && state->kind == DFX_PICKLE_DICT)
        for (size_t i = 0; i + 1 < state->list.count; i += 2) {
            const dfx_pickle_node *key = state->list.items[i];

            if (key->kind == DFX_PICKLE_TEXT &&
                strcmp(key->text.data, "_parent") == 0)
                continue;
            DFX_TRY(
                visit_pair(w, key, state->list.items[i + 1], i / 2, separator));
        }
    if (call->call.items == NULL)
        return DFX_OK;
    return call->call.items->kind == DFX_PICKLE_DICT
               ? visit_dict(w, call->call.items, '/')
               : visit_list(w, call->call.items);
}

static dfx_status
visit_list_call(walk *w, const dfx_pickle_node *call)
{
    const dfx_pickle_node *first = dfx_pickle_arg(call, 0);

    if (first != NULL && dfx_pickle_has_items(first))
        DFX_TRY(visit_list(w, first));
    if (call->call.items != NULL)
        return visit_list(w, call->call.items);
    return DFX_OK;
}

static dfx_status
visit_call(walk *w, const dfx_pickle_node *call)
{
    const dfx_pickle_global *callee = dfx_pickle_callee(call);
    const dfx_pickle_node *first = dfx_pickle_arg(call, 0);
    int use = callee != NULL ? (int)callee->use : (int)DFX_USE_OBJECT;

    switch (use) {
    case DFX_USE_TENSOR:
    case DFX_USE_TENSOR_V2:
    case DFX_USE_TENSOR_V3:
    case DFX_USE_QTENSOR:
        return take_strided(w, call->call.args, callee->use, call);
    case DFX_USE_TENSOR_CLASS:
        if (call->call.state != NULL && dfx_pickle_has_items(call->call.state))
            return take_strided(w, call->call.state, DFX_USE_TENSOR, call);
        return DFX_OK;
    case DFX_USE_PARAMETER:
    case DFX_USE_DEVICE_TENSOR:
        return first != NULL ? visit(w, first) : DFX_OK;
    case DFX_USE_META:
        return take_shape(w, call, 0, "meta");
    case DFX_USE_WRAPPER:
        return take_shape(w, call, 1, "wrapper");
    case DFX_USE_SPARSE:
        return take_sparse(w, call);
    case DFX_USE_FROM_TYPE:
        return take_subclass(w, call);
    case DFX_USE_DICT:
        return visit_dict_call(w, call);
    case DFX_USE_LIST:
    case DFX_USE_SET:
        return visit_list_call(w, call);
    case DFX_USE_OBJECT:
    case DFX_USE_RECONSTRUCT:
        return visit_object(w, call, '/');
    case DFX_USE_SCRIPT:
        if (call->call.state != NULL)
            return visit_object(w, call, '.');
        return first != NULL ? visit(w, first) : DFX_OK;
    default:
        w->out->values++;
        return DFX_OK;
    }
}

static dfx_status
visit(walk *w, const dfx_pickle_node *node)
{
    if (++w->steps > MAX_STEPS)
        return DFX_OK; /* told by the machine: it expands to too much */
    if (node->kind == DFX_PICKLE_DICT)
        return visit_dict(w, node, '/');
    if (dfx_pickle_has_items(node))
        return visit_list(w, node);
    if (node->kind == DFX_PICKLE_CALL)
        return visit_call(w, node);
    if (node->kind == DFX_PICKLE_PERSID)
        return take_storage(w, node);
    w->out->values++;
    return DFX_OK;
}

dfx_status
dfx_torch_find(dfx_torch_file *file, dfx_torch_tensors *tensors, dfx_error *err)
{
    walk w = {.file = file, .out = tensors, .err = err};
    dfx_status status;

    if (file->pickle.root == NULL)
        return DFX_OK;
    w.parts = calloc(MAX_LEVELS, sizeof *w.parts);
    status =
        w.parts == NULL ? dfx_fail_nomem(err) : visit(&w, file->pickle.root);
    free(w.parts);
    return status;
}

/* ---- Bytes ----------------------------------------------------------------
 */

/* Row-major without a gap: the bytes lie together as they are. */
static bool
is_packed(const dfx_torch_tensor *t)
{
    uint64_t expected = 1;

    for (uint32_t i = t->rank; i-- > 0;) {
        if (t->shape[i] == 0)
            return true;
        if (t->shape[i] != 1 && t->stride[i] != expected)
            return false;
        expected *= t->shape[i];
    }
    return true;
}

dfx_status
dfx_torch_open(dfx_torch_file *file, const dfx_torch_tensor *t,
               dfx_extent *data, dfx_error *err)
{
    const dfx_strided view = {
        .type = t->type,
        .rank = t->rank,
        .shape = t->shape,
        .stride = t->stride,
        .offset = t->offset,
        .big_endian = file->big_endian && dfx_type_size(t->type) > 1,
        .conjugate = t->conjugate,
        .negate = t->negate,
    };
    uint64_t count = 1;
    dfx_io *io = NULL;

    for (uint32_t i = 0; i < t->rank; i++)
        count *= t->shape[i]; /* checked: below 2^40 */
    if (is_packed(t) && !view.big_endian && !t->conjugate && !t->negate) {
        *data = (dfx_extent){
            t->storage->io,
            count > 0 ? dfx_type_bytes(t->type, t->offset) : 0,
            dfx_type_bytes(t->type, count),
        };
        return DFX_OK;
    }
    DFX_TRY(dfx_io_open_strided(t->storage->io, &view, &io, err));
    DFX_TRY(dfx_torch_take_io(file, io, err));
    *data = (dfx_extent){io, 0, dfx_io_size(io)};
    return DFX_OK;
}
