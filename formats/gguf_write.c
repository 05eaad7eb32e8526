/*
 * gguf_write.c - GGUF version 3, little-endian, that every reader takes
 *
 * Offsets ascend without gaps and the last tensor is padded, because ggml's
 * reader wants it so; the alignment is the usual one and not stated.
 */
#include <config.h>

#include "gguf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "architecture.h"
#include "document.h"
#include "types.h"

enum {
    ALIGNMENT = 32,
    ROW = 256,       /* of tensors laid out anew, as ComfyUI-GGUF has them */
    LONG_NAME = 127, /* bytes that ComfyUI-GGUF's tools take */
    GGML_DIMS = 4
};

/* A header on its way: keys and infos are text until they are counted. */
typedef struct writer {
    const dfx_bundle *bundle;
    dfx_plan *plan;
    const dfx_item **items; /* in the order of their names, unless the bundle
                               has one: the same model gives the same file
                               wherever it comes from */
    dfx_text keys, infos;
    uint64_t key_count;
    dfx_error *err;
} writer;

static void
put(dfx_text *text, uint64_t value, unsigned size)
{
    char bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (char)(value >> 8 * i);
    dfx_text_add(text, bytes, size);
}

/* An index has U+0000 as C0 80. */
static void
put_string(dfx_text *text, const char *string)
{
    size_t size = strlen(string), start = text->size, nuls = 0;

    put(text, size, 8);
    for (const char *nul; (nul = strstr(string, "\xc0\x80")) != NULL; nuls++) {
        dfx_text_add(text, string, (size_t)(nul - string));
        dfx_text_add(text, "", 1);
        string = nul + 2;
    }
    dfx_text_puts(text, string);
    for (unsigned i = 0; i < 8 && !text->failed; i++)
        text->data[start + i] = (char)((size - nuls) >> 8 * i);
}

static void
begin_key(writer *w, const char *name, dfx_gguf_kind kind)
{
    put_string(&w->keys, name);
    put(&w->keys, kind, 4);
    w->key_count++;
}

/* Do rows hold whole blocks? */
static bool
whole_rows(const dfx_expr *x)
{
    uint64_t row = x->rank > 0 ? x->shape[x->rank - 1] : 1;

    return row % dfx_type_unit(x->type).elements == 0;
}

/* ---- Keys ----------------------------------------------------------------
 */

/* llama.cpp's number for a file whose tensors are mostly of a type; -1: it has
   none. Where it has mixes only, the number of the middle one. */
static int
file_type_of(dfx_type type)
{
    static const struct {
        dfx_type type;
        int number;
    } numbers[] = {
        {DFX_TYPE_F32, 0},      {DFX_TYPE_F16, 1},     {DFX_TYPE_Q4_0, 2},
        {DFX_TYPE_Q4_1, 3},     {DFX_TYPE_Q8_0, 7},    {DFX_TYPE_Q5_0, 8},
        {DFX_TYPE_Q5_1, 9},     {DFX_TYPE_Q2_K, 10},   {DFX_TYPE_Q3_K, 12},
        {DFX_TYPE_Q4_K, 15},    {DFX_TYPE_Q5_K, 17},   {DFX_TYPE_Q6_K, 18},
        {DFX_TYPE_IQ2_XXS, 19}, {DFX_TYPE_IQ2_XS, 20}, {DFX_TYPE_IQ3_XXS, 23},
        {DFX_TYPE_IQ1_S, 24},   {DFX_TYPE_IQ4_NL, 25}, {DFX_TYPE_IQ3_S, 26},
        {DFX_TYPE_IQ2_S, 28},   {DFX_TYPE_IQ4_XS, 30}, {DFX_TYPE_IQ1_M, 31},
        {DFX_TYPE_BF16, 32},    {DFX_TYPE_TQ1_0, 36},  {DFX_TYPE_TQ2_0, 37},
        {DFX_TYPE_MXFP4, 38},   {DFX_TYPE_NVFP4, 39},  {DFX_TYPE_Q1_0, 40},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].type == type)
            return numbers[i].number;
    return -1;
}

/* The type of most numbers. */
static dfx_type
majority(const dfx_bundle *bundle)
{
    uint64_t elements[DFX_TYPE_COUNT] = {0};
    dfx_type most = DFX_TYPE_F32;

    for (size_t i = 0; i < bundle->item_count; i++)
        elements[bundle->items[i].expr->type] +=
            bundle->items[i].expr->elements;
    for (dfx_type t = 0; t < DFX_TYPE_COUNT; t++)
        if (elements[t] > elements[most])
            most = t;
    return most;
}

/* Keys that are made anew, or speak of how another file was laid out. */
static bool
is_made(const char *name)
{
    static const char *const made[] = {DFX_GGUF_ARCHITECTURE,
                                       "general.quantization_version",
                                       "general.file_type",
                                       DFX_GGUF_ALIGNMENT,
                                       "split.no",
                                       "split.count",
                                       "split.tensors.count"};

    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        if (strcmp(name, made[i]) == 0)
            return true;
    return strncmp(name, DFX_GGUF_SHAPE, strlen(DFX_GGUF_SHAPE)) == 0;
}

/* The kind that a type of metadata names; KINDS: none, or nested arrays. */
static dfx_gguf_kind
kind_named(const char *type, bool *is_array)
{
    for (unsigned k = 0; k < DFX_GGUF_KINDS; k++) {
        dfx_gguf_key key = {.kind = (dfx_gguf_kind)k};
        const char *name;

        *is_array = false;
        name = k != DFX_GGUF_ARRAY ? dfx_gguf_type_name(&key) : NULL;
        if (name != NULL && strcmp(name, type) == 0)
            return (dfx_gguf_kind)k;
        key =
            (dfx_gguf_key){.kind = DFX_GGUF_ARRAY, .element = (dfx_gguf_kind)k};
        *is_array = true;
        if (k != DFX_GGUF_ARRAY && strcmp(dfx_gguf_type_name(&key), type) == 0)
            return (dfx_gguf_kind)k;
    }
    return DFX_GGUF_KINDS;
}

/* A number as dfx_gguf_print spells it. */
static void
put_number(dfx_text *out, dfx_gguf_kind kind, const char *text)
{
    unsigned size = dfx_gguf_kind_size(kind);
    uint64_t bits = 0;

    if (kind == DFX_GGUF_BOOL) {
        bits = strcmp(text, "true") == 0;
    } else if (kind == DFX_GGUF_F32) {
        float value = strtof(text, NULL);

        memcpy(&bits, &value, sizeof value);
    } else if (kind == DFX_GGUF_F64) {
        double value = strtod(text, NULL);

        memcpy(&bits, &value, sizeof value);
    } else if (text[0] == '-') {
        bits = (uint64_t)strtoll(text, NULL, 10);
    } else {
        bits = strtoull(text, NULL, 10);
    }
    put(out, bits, size);
}

static const char *
spelling(const cJSON *item)
{
    if (cJSON_IsTrue(item))
        return "true";
    return item->valuestring != NULL ? item->valuestring : "";
}

static dfx_status
put_array(writer *w, const dfx_meta *meta, dfx_gguf_kind element)
{
    cJSON *doc = NULL;
    const cJSON *item;

    DFX_TRY(dfx_doc_parse(meta->value, strlen(meta->value), meta->key, &doc,
                          w->err));
    begin_key(w, meta->key, DFX_GGUF_ARRAY);
    put(&w->keys, element, 4);
    put(&w->keys, (uint64_t)cJSON_GetArraySize(doc), 8);
    cJSON_ArrayForEach(item, doc)
    {
        if (element == DFX_GGUF_STRING)
            put_string(&w->keys, spelling(item));
        else
            put_number(&w->keys, element, spelling(item));
    }
    cJSON_Delete(doc);
    return DFX_OK;
}

static dfx_status
put_meta(writer *w, const dfx_meta *meta)
{
    bool is_array = false;
    dfx_gguf_kind kind = meta->type != NULL ? kind_named(meta->type, &is_array)
                                            : DFX_GGUF_STRING;

    if (kind == DFX_GGUF_KINDS || strstr(meta->value, "NaN") != NULL ||
        strstr(meta->value, "Infinity") != NULL)
        return dfx_plan_note(w->plan, w->err, "lost: key %s, %s", meta->key,
                             meta->type);
    if (is_array)
        return put_array(w, meta, kind);
    begin_key(w, meta->key, kind);
    if (kind == DFX_GGUF_STRING)
        put_string(&w->keys, meta->value);
    else
        put_number(&w->keys, kind, meta->value);
    return DFX_OK;
}

/* Blocks that go on from row to row, and tensors for which a reader wants it,
   are laid out in rows of their own, and the shape that they have is a key. */
static dfx_status
put_shape_key(writer *w, const dfx_item *item)
{
    const dfx_expr *x = item->expr;
    const uint64_t *shape = item->shape;
    uint32_t rank = item->rank;
    dfx_text name = {0};

    if (shape == NULL && (x->rank == 0 || whole_rows(x)))
        return DFX_OK;
    if (shape == NULL) {
        shape = x->shape;
        rank = x->rank;
    }
    dfx_text_printf(&name, DFX_GGUF_SHAPE "%s", item->name);
    if (name.failed)
        return dfx_fail_nomem(w->err);
    begin_key(w, name.data, DFX_GGUF_ARRAY);
    put(&w->keys, DFX_GGUF_I32, 4);
    put(&w->keys, rank, 8);
    for (uint32_t i = 0; i < rank; i++)
        put(&w->keys, shape[i], 4);
    dfx_text_fini(&name);
    return DFX_OK;
}

/* In the order of ComfyUI-GGUF's tools. */
static dfx_status
put_keys(writer *w)
{
    const dfx_bundle *bundle = w->bundle;
    const char *architecture =
        bundle->architecture != NULL ? bundle->architecture->name : NULL;
    int file_type = bundle->file_type >= 0 ? bundle->file_type
                                           : file_type_of(majority(bundle));
    const dfx_meta **pairs = NULL;
    size_t count = 0;

    DFX_TRY(dfx_bundle_sort_metadata(bundle, &w->plan->arena, &pairs, &count,
                                     w->err));
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i]->key, DFX_GGUF_ARCHITECTURE) == 0)
            architecture = pairs[i]->value;
    if (architecture != NULL) {
        begin_key(w, DFX_GGUF_ARCHITECTURE, DFX_GGUF_STRING);
        put_string(&w->keys, architecture);
    }
    begin_key(w, "general.quantization_version", DFX_GGUF_U32);
    put(&w->keys, 2, 4); /* GGML_QNT_VERSION */
    if (file_type >= 0) {
        begin_key(w, "general.file_type", DFX_GGUF_U32);
        put(&w->keys, (uint64_t)file_type, 4);
    }
    for (size_t i = 0; i < bundle->item_count; i++)
        DFX_TRY(put_shape_key(w, w->items[i]));
    for (size_t i = 0; i < count; i++)
        if (pairs[i]->key[0] != '\0' && !is_made(pairs[i]->key))
            DFX_TRY(put_meta(w, pairs[i]));
    return DFX_OK;
}

/* ---- Tensors -------------------------------------------------------------
 */

static dfx_status
put_info(writer *w, const dfx_item *item, uint64_t offset)
{
    const dfx_expr *x = item->expr;
    uint32_t id = 0;
    dfx_status status = DFX_OK;

    if (!dfx_gguf_type_id(x->type, &id))
        status = dfx_fail(w->err, DFX_RULE_GGUF_TYPE, DFX_NO_OFFSET,
                          "GGUF files have no elements of type %s",
                          dfx_type_name(x->type));
    else if (x->rank > DFX_GGUF_DIMS)
        status = dfx_fail(w->err, DFX_RULE_GGUF_DIMS, DFX_NO_OFFSET,
                          "%" PRIu32 " dimensions, GGUF files have %d", x->rank,
                          DFX_GGUF_DIMS);
    if (status != DFX_OK) {
        dfx_error_in_tensor(w->err, item->name);
        return status;
    }
    if (strlen(item->name) > LONG_NAME)
        DFX_TRY(dfx_plan_note(w->plan, w->err,
                              "%s: ggml's readers take no name so long",
                              item->name));
    if (x->rank > GGML_DIMS)
        DFX_TRY(dfx_plan_note(w->plan, w->err,
                              "%s: ggml's own reader takes at most %d "
                              "dimensions",
                              item->name, GGML_DIMS));
    put_string(&w->infos, item->name);
    if (!whole_rows(x)) {
        uint64_t row =
            x->elements % ROW == 0 ? ROW : dfx_type_unit(x->type).elements;

        put(&w->infos, 2, 4);
        put(&w->infos, row, 8);
        put(&w->infos, x->elements / row, 8);
    } else {
        put(&w->infos, x->rank, 4);
        for (uint32_t i = x->rank; i-- > 0;)
            put(&w->infos, x->shape[i], 8);
    }
    put(&w->infos, id, 4);
    put(&w->infos, offset, 8);
    return DFX_OK;
}

static uint64_t
padding(uint64_t size)
{
    return (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
}

static dfx_status
put_infos(writer *w)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < w->bundle->item_count; i++) {
        uint64_t bytes = w->items[i]->expr->bytes;

        DFX_TRY(put_info(w, w->items[i], offset));
        if (dfx_ckd_add(&offset, offset, bytes) ||
            dfx_ckd_add(&offset, offset, padding(bytes)))
            return dfx_fail(w->err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                            "the tensors of a file exceed 2^64 bytes");
    }
    return DFX_OK;
}

/* ---- The file ------------------------------------------------------------
 */

static dfx_status
add_padding(writer *w, size_t output, uint64_t size)
{
    static const uint8_t zeros[ALIGNMENT];
    const dfx_expr *x = NULL;

    if (padding(size) == 0)
        return DFX_OK;
    DFX_TRY(dfx_expr_bytes(&w->plan->arena, zeros, (size_t)padding(size), &x,
                           w->err));
    return dfx_plan_add_piece(w->plan, output, x, w->err);
}

static dfx_status
add_header(writer *w, size_t output)
{
    const dfx_expr *x = NULL;
    dfx_text head = {0};
    char *kept = NULL;
    size_t size;

    dfx_text_puts(&head, "GGUF");
    put(&head, 3, 4);
    put(&head, w->bundle->item_count, 8);
    put(&head, w->key_count, 8);
    dfx_text_add(&head, w->keys.data, w->keys.size);
    dfx_text_add(&head, w->infos.data, w->infos.size);
    size = head.size;
    if (!head.failed && !w->keys.failed && !w->infos.failed)
        kept = dfx_arena_alloc(&w->plan->arena, size);
    if (kept != NULL)
        memcpy(kept, head.data, size);
    dfx_text_fini(&head);
    if (kept == NULL)
        return dfx_fail_nomem(w->err);
    DFX_TRY(dfx_expr_bytes(&w->plan->arena, kept, size, &x, w->err));
    DFX_TRY(dfx_plan_add_piece(w->plan, output, x, w->err));
    return w->bundle->item_count > 0 ? add_padding(w, output, size) : DFX_OK;
}

static int
compare_items(const void *a, const void *b)
{
    const dfx_item *x = *(const dfx_item *const *)a;
    const dfx_item *y = *(const dfx_item *const *)b;

    return strcmp(x->name, y->name);
}

static dfx_status
sort_items(writer *w)
{
    size_t count = w->bundle->item_count;

    w->items = dfx_arena_array(&w->plan->arena, count, sizeof(dfx_item *));
    if (w->items == NULL)
        return dfx_fail_nomem(w->err);
    for (size_t i = 0; i < count; i++)
        w->items[i] = &w->bundle->items[i];
    if (count > 0 && !w->bundle->is_ordered)
        qsort(w->items, count, sizeof(dfx_item *), compare_items);
    return DFX_OK;
}

static dfx_status
write_file(writer *w, const char *path)
{
    size_t output = 0;

    DFX_TRY(dfx_bundle_check_names(w->bundle, w->err));
    DFX_TRY(sort_items(w));
    DFX_TRY(put_keys(w));
    DFX_TRY(put_infos(w));
    DFX_TRY(dfx_plan_add_file(w->plan, path, &output, w->err));
    DFX_TRY(add_header(w, output));
    for (size_t i = 0; i < w->bundle->item_count; i++) {
        const dfx_item *item = w->items[i];

        DFX_TRY(dfx_plan_add_tensor(w->plan, output, item->name, item->expr,
                                    w->err));
        DFX_TRY(add_padding(w, output, item->expr->bytes));
    }
    return DFX_OK;
}

dfx_status
dfx_gguf_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                 dfx_error *err)
{
    writer w = {.bundle = bundle, .plan = plan, .err = err};
    dfx_status status = write_file(&w, base);

    dfx_text_fini(&w.keys);
    dfx_text_fini(&w.infos);
    return status;
}
