/*
 * gguf_parse.c - the header of a GGUF file: keys, values, tensor infos
 */
#include <config.h>

#include "gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"

enum {
    WINDOW = 64 << 10,
    MAX_DEPTH = 8,             /* of arrays in arrays */
    MAX_KEY = 65535,           /* longer ones are suspicious */
    LEAST_KEY = 8 + 1 + 4 + 1, /* bytes of a key: length, name, type, value */
    LEAST_INFO = 8 + 4 + 4 + 8,
    DEFAULT_ALIGNMENT = 32
};

static const uint64_t MAX_STRING = UINT64_C(1) << 30; /* ggml's */

/* Bytes of a value; 0: it depends. */
static const uint8_t kind_sizes[DFX_GGUF_KINDS] = {
    [DFX_GGUF_U8] = 1,  [DFX_GGUF_I8] = 1,   [DFX_GGUF_U16] = 2,
    [DFX_GGUF_I16] = 2, [DFX_GGUF_U32] = 4,  [DFX_GGUF_I32] = 4,
    [DFX_GGUF_F32] = 4, [DFX_GGUF_BOOL] = 1, [DFX_GGUF_U64] = 8,
    [DFX_GGUF_I64] = 8, [DFX_GGUF_F64] = 8,
};

/* Bytes of the header, read in order. */
typedef struct cursor {
    dfx_gguf *g;
    uint8_t *window; /* owned */
    uint64_t start;  /* of what the window has */
    size_t size;
    uint64_t at;
    dfx_error *err;
} cursor;

dfx_status
dfx_gguf_tell(const dfx_gguf *g, dfx_rule rule, bool is_warning,
              uint64_t offset, dfx_error *err, const char *fmt, ...)
{
    dfx_error fault = {0};
    char text[DFX_ERROR_CHARS];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)dfx_fail(&fault, rule, offset, "%s", text);
    if (g->found != NULL) {
        if (is_warning)
            fault.status = DFX_OK;
        g->found(g->context, &fault);
        return DFX_OK;
    }
    if (!is_warning) {
        if (err != NULL)
            *err = fault;
        return fault.status;
    }
    if (g->index == NULL)
        return DFX_OK;
    return dfx_index_warn(g->index, err, "%s [%s]", text, fault.rule);
}

/* ---- Bytes ---------------------------------------------------------------
 */

static uint64_t
left(const cursor *c)
{
    return dfx_io_size(c->g->io) - c->at;
}

/* The next size bytes, at most WINDOW. */
static dfx_status
take(cursor *c, size_t size, const uint8_t **bytes)
{
    if (size > left(c))
        return dfx_fail(c->err, DFX_RULE_GGUF_TRUNCATED, c->at,
                        "the file ends inside its header");
    if (c->at < c->start || c->at + size > c->start + c->size) {
        size_t room = left(c) < WINDOW ? (size_t)left(c) : WINDOW;

        DFX_TRY(dfx_io_read_at(c->g->io, c->at, c->window, room, c->err));
        c->start = c->at;
        c->size = room;
    }
    *bytes = c->window + (c->at - c->start);
    c->at += size;
    return DFX_OK;
}

static uint64_t
load(const uint8_t *bytes, size_t size, bool big_endian)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[big_endian ? size - 1 - i : i] << 8 * i;
    return value;
}

static dfx_status
take_number(cursor *c, size_t size, uint64_t *value)
{
    const uint8_t *bytes = NULL;

    DFX_TRY(take(c, size, &bytes));
    *value = load(bytes, size, c->g->big_endian);
    return DFX_OK;
}

static dfx_status
take_length(cursor *c, uint64_t *size)
{
    DFX_TRY(take_number(c, 8, size));
    if (*size > left(c) && *size <= dfx_io_size(c->g->io))
        return dfx_fail(c->err, DFX_RULE_GGUF_TRUNCATED, c->at,
                        "the file ends inside a string");
    if (*size > left(c) || *size > MAX_STRING)
        return dfx_fail(c->err, DFX_RULE_GGUF_STRING_LENGTH, c->at - 8,
                        "a string of %" PRIu64 " bytes, the file has %" PRIu64
                        " more",
                        *size, left(c));
    return DFX_OK;
}

/* A name, into the arena. */
static dfx_status
take_name(cursor *c, const char **name, size_t *size)
{
    uint64_t length = 0;
    char *text;

    DFX_TRY(take_length(c, &length));
    text = dfx_arena_alloc(&c->g->arena, (size_t)length + 1);
    if (text == NULL)
        return dfx_fail_nomem(c->err);
    DFX_TRY(dfx_io_read_at(c->g->io, c->at, text, (size_t)length, c->err));
    text[length] = '\0';
    c->at += length;
    *name = text;
    *size = (size_t)length;
    return DFX_OK;
}

/* ---- Values --------------------------------------------------------------
 */

static dfx_status skip_array(cursor *c, unsigned depth, dfx_gguf_key *key);

static dfx_status
skip_string(cursor *c)
{
    uint64_t size = 0;

    DFX_TRY(take_length(c, &size));
    c->at += size;
    return DFX_OK;
}

static dfx_status
check_bool(cursor *c, const dfx_gguf_key *key)
{
    const uint8_t *byte = NULL;

    DFX_TRY(take(c, 1, &byte));
    if (*byte > 1)
        return dfx_gguf_tell(c->g, DFX_RULE_GGUF_KV_BOOL, true, c->at - 1,
                             c->err, "key \"%s\": a truth value of %u",
                             key->name, *byte);
    return DFX_OK;
}

/* A string's value is UTF-8, or suspicious. */
static dfx_status
check_string(cursor *c, const dfx_gguf_key *key)
{
    uint64_t size = 0, start;
    char *text;
    bool good;
    dfx_status status;

    DFX_TRY(take_length(c, &size));
    start = c->at;
    text = malloc((size_t)size + 1);
    if (text == NULL)
        return dfx_fail_nomem(c->err);
    status = dfx_io_read_at(c->g->io, start, text, (size_t)size, c->err);
    good = status == DFX_OK && dfx_utf8_valid(text, (size_t)size, NULL);
    free(text);
    DFX_TRY(status);
    c->at += size;
    if (!good)
        return dfx_gguf_tell(c->g, DFX_RULE_GGUF_STRING_UTF8, true, start,
                             c->err, "the value of \"%s\" is not UTF-8",
                             key->name);
    return DFX_OK;
}

/* count values that follow each other. */
static dfx_status
skip_elements(cursor *c, unsigned depth, dfx_gguf_kind element, uint64_t count)
{
    uint64_t least = element == DFX_GGUF_ARRAY    ? 12
                     : element == DFX_GGUF_STRING ? 8
                                                  : kind_sizes[element];
    uint64_t bytes;

    if (dfx_ckd_mul(&bytes, count, least) || bytes > left(c))
        return dfx_fail(c->err, DFX_RULE_GGUF_KV_ARRAY_LENGTH, c->at - 8,
                        "an array of %" PRIu64 " values, the file has %" PRIu64
                        " bytes more",
                        count, left(c));
    if (element != DFX_GGUF_ARRAY && element != DFX_GGUF_STRING) {
        c->at += bytes;
        return DFX_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        dfx_gguf_key inner;

        if (element == DFX_GGUF_STRING)
            DFX_TRY(skip_string(c));
        else
            DFX_TRY(skip_array(c, depth + 1, &inner));
    }
    return DFX_OK;
}

static dfx_status
skip_array(cursor *c, unsigned depth, dfx_gguf_key *key)
{
    uint64_t element = 0, start = c->at;

    if (depth > MAX_DEPTH)
        return dfx_fail(c->err, DFX_RULE_GGUF_KV_ARRAY_DEPTH, start,
                        "arrays in arrays, more than %d deep", MAX_DEPTH);
    DFX_TRY(take_number(c, 4, &element));
    if (element >= DFX_GGUF_KINDS)
        return dfx_fail(c->err, DFX_RULE_GGUF_KV_ARRAY_TYPE, start,
                        "an array of values of type %" PRIu64, element);
    DFX_TRY(take_number(c, 8, &key->count));
    key->element = (dfx_gguf_kind)element;
    key->value = c->at;
    return skip_elements(c, depth, key->element, key->count);
}

static dfx_status
read_value(cursor *c, dfx_gguf_key *key)
{
    uint64_t kind = 0;
    const uint8_t *bytes = NULL;

    DFX_TRY(take_number(c, 4, &kind));
    if (kind >= DFX_GGUF_KINDS)
        return dfx_fail(c->err, DFX_RULE_GGUF_KV_TYPE, c->at - 4,
                        "key \"%s\": a value of type %" PRIu64, key->name,
                        kind);
    key->kind = (dfx_gguf_kind)kind;
    key->value = c->at;
    if (key->kind == DFX_GGUF_STRING)
        return check_string(c, key);
    if (key->kind == DFX_GGUF_ARRAY)
        return skip_array(c, 1, key);
    if (key->kind == DFX_GGUF_BOOL)
        return check_bool(c, key);
    return take(c, kind_sizes[key->kind], &bytes);
}

static dfx_status
read_key(cursor *c, uint64_t number)
{
    dfx_gguf *g = c->g;
    dfx_gguf_key key = {.at = c->at};

    if (left(c) == 0)
        return dfx_fail(c->err, DFX_RULE_GGUF_COUNT_KV, c->at,
                        "the file ends after %" PRIu64 " keys", number);
    DFX_TRY(take_name(c, &key.name, &key.name_size));
    if (key.name_size == 0)
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_KV_KEY_EMPTY, false, key.at,
                              c->err, "a key without a name"));
    if (!dfx_utf8_valid(key.name, key.name_size, NULL))
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_STRING_UTF8, false, key.at,
                              c->err, "the name of a key is not UTF-8"));
    if (key.name_size > MAX_KEY)
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_KV_KEY_LONG, true, key.at,
                              c->err, "the name of a key has %zu bytes",
                              key.name_size));
    DFX_TRY(read_value(c, &key));
    key.end = c->at;
    if (!dfx_grow(&g->keys, &g->key_capacity, g->key_count, sizeof *g->keys))
        return dfx_fail_nomem(c->err);
    g->keys[g->key_count++] = key;
    return DFX_OK;
}

/* ---- Tensor infos --------------------------------------------------------
 */

/* The numbers that files have for types. */
static const struct {
    uint32_t id;
    dfx_type type;
} types[] = {
    {0, DFX_TYPE_F32},  {1, DFX_TYPE_F16},   {24, DFX_TYPE_I8},
    {25, DFX_TYPE_I16}, {26, DFX_TYPE_I32},  {27, DFX_TYPE_I64},
    {28, DFX_TYPE_F64}, {30, DFX_TYPE_BF16},
#define CODEC(name, number, elements, bytes, alias, decoder, encoder)          \
    {number, DFX_TYPE_##name},
#include "codecs/codecs.def"
#undef CODEC
};

enum { TYPES = sizeof types / sizeof types[0] };

static dfx_type
type_of(uint64_t id)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].id == id)
            return types[i].type;
    return DFX_TYPE_COUNT;
}

bool
dfx_gguf_type_id(dfx_type type, uint32_t *id)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].type == type) {
            *id = types[i].id;
            return true;
        }
    return false;
}

static dfx_status
check_name(cursor *c, const dfx_gguf_info *info)
{
    if (info->name_size == 0)
        return dfx_gguf_tell(c->g, DFX_RULE_GGUF_NAME_EMPTY, true, info->at,
                             c->err, "a tensor without a name");
    if (memchr(info->name, '\0', info->name_size) != NULL)
        return dfx_gguf_tell(c->g, DFX_RULE_GGUF_NAME_NUL, false, info->at,
                             c->err, "the name of a tensor holds U+0000");
    if (!dfx_utf8_valid(info->name, info->name_size, NULL))
        return dfx_gguf_tell(c->g, DFX_RULE_GGUF_STRING_UTF8, false, info->at,
                             c->err, "the name of a tensor is not UTF-8");
    return DFX_OK;
}

/* The shape in the order of PyTorch; its product fits ggml's i64. */
static dfx_status
read_shape(cursor *c, dfx_gguf_info *info)
{
    uint64_t rank = 0, product = 1;
    bool fits = true;

    DFX_TRY(take_number(c, 4, &rank));
    if (rank > DFX_GGUF_DIMS)
        return dfx_fail(c->err, DFX_RULE_GGUF_DIMS, c->at - 4,
                        "tensor \"%s\" has %" PRIu64
                        " dimensions, at most %d are read",
                        info->name, rank, DFX_GGUF_DIMS);
    info->rank = (uint32_t)rank;
    for (uint32_t i = 0; i < info->rank; i++) {
        uint64_t *dim = &info->shape[info->rank - 1 - i];

        DFX_TRY(take_number(c, 8, dim));
        fits = fits && *dim <= INT64_MAX &&
               !dfx_ckd_mul(&product, product, *dim) && product <= INT64_MAX;
    }
    if (!fits)
        return dfx_fail(c->err, DFX_RULE_GGUF_SHAPE, info->at,
                        "the dimensions of tensor \"%s\" multiply to more "
                        "than 63 bits",
                        info->name);
    return DFX_OK;
}

/* Rows are whole blocks, and the bytes can be counted. */
static dfx_status
measure(cursor *c, dfx_gguf_info *info, uint64_t id)
{
    dfx_unit unit = dfx_type_unit(info->type);
    uint64_t row = info->rank > 0 ? info->shape[info->rank - 1] : 1, elements;

    if (info->type == DFX_TYPE_COUNT)
        return dfx_fail(c->err, DFX_RULE_GGUF_TYPE, info->at,
                        "tensor \"%s\" is of type %" PRIu64, info->name, id);
    if (row % unit.elements != 0)
        return dfx_fail(
            c->err, DFX_RULE_GGUF_ROW, info->at,
            "tensor \"%s\" has rows of %" PRIu64 ", blocks of %s have %" PRIu32,
            info->name, row, dfx_type_name(info->type), unit.elements);
    if (dfx_tensor_size(info->type, info->rank, info->shape, &elements,
                        &info->bytes, NULL) != DFX_OK)
        return dfx_fail(c->err, DFX_RULE_GGUF_SHAPE, info->at,
                        "the bytes of tensor \"%s\" exceed 64 bits",
                        info->name);
    return DFX_OK;
}

static dfx_status
read_info(cursor *c, uint64_t number)
{
    dfx_gguf *g = c->g;
    dfx_gguf_info info = {.at = c->at};
    uint64_t id = 0;

    if (left(c) == 0)
        return dfx_fail(c->err, DFX_RULE_GGUF_COUNT_TENSORS, c->at,
                        "the file ends after %" PRIu64 " tensor infos", number);
    DFX_TRY(take_name(c, &info.name, &info.name_size));
    DFX_TRY(check_name(c, &info));
    DFX_TRY(read_shape(c, &info));
    DFX_TRY(take_number(c, 4, &id));
    DFX_TRY(take_number(c, 8, &info.offset));
    info.type = type_of(id);
    DFX_TRY(measure(c, &info, id));
    if (!dfx_grow(&g->infos, &g->info_capacity, g->info_count,
                  sizeof *g->infos))
        return dfx_fail_nomem(c->err);
    g->infos[g->info_count++] = info;
    return DFX_OK;
}

/* ---- The whole -----------------------------------------------------------
 */

static int
compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int
compare_keys(const void *a, const void *b)
{
    const dfx_gguf_key *x = *(const dfx_gguf_key *const *)a;
    const dfx_gguf_key *y = *(const dfx_gguf_key *const *)b;

    return compare_names(x->name, x->name_size, y->name, y->name_size);
}

static int
compare_infos(const void *a, const void *b)
{
    const dfx_gguf_info *x = *(const dfx_gguf_info *const *)a;
    const dfx_gguf_info *y = *(const dfx_gguf_info *const *)b;

    return compare_names(x->name, x->name_size, y->name, y->name_size);
}

static dfx_status
check_keys(const dfx_gguf *g, dfx_error *err)
{
    const dfx_gguf_key **sorted =
        calloc(g->key_count + 1, sizeof(dfx_gguf_key *));
    dfx_status status = DFX_OK;

    if (sorted == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < g->key_count; i++)
        sorted[i] = &g->keys[i];
    if (g->key_count > 0)
        qsort(sorted, g->key_count, sizeof(dfx_gguf_key *), compare_keys);
    for (size_t i = 1; i < g->key_count && status == DFX_OK; i++)
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
            status = dfx_gguf_tell(
                g, DFX_RULE_GGUF_KV_DUPLICATE, false, sorted[i]->at, err,
                "key \"%s\" is there twice", sorted[i]->name);
    free(sorted);
    return status;
}

static dfx_status
check_infos(dfx_gguf *g, dfx_error *err)
{
    g->by_name = calloc(g->info_count + 1, sizeof(dfx_gguf_info *));
    if (g->by_name == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < g->info_count; i++)
        g->by_name[i] = &g->infos[i];
    if (g->info_count > 0)
        qsort(g->by_name, g->info_count, sizeof(dfx_gguf_info *),
              compare_infos);
    for (size_t i = 1; i < g->info_count; i++)
        if (compare_infos(&g->by_name[i - 1], &g->by_name[i]) == 0)
            DFX_TRY(dfx_gguf_tell(
                g, DFX_RULE_GGUF_NAME_DUPLICATE, false, g->by_name[i]->at, err,
                "tensor \"%s\" is there twice", g->by_name[i]->name));
    return DFX_OK;
}

/* Where the data starts. */
static dfx_status
settle_alignment(cursor *c)
{
    dfx_gguf *g = c->g;
    const dfx_gguf_key *key = dfx_gguf_find(g, DFX_GGUF_ALIGNMENT);
    uint64_t size = dfx_io_size(g->io), past;

    g->alignment = DEFAULT_ALIGNMENT;
    if (key != NULL) {
        uint64_t value = 0;

        if (key->kind == DFX_GGUF_U32)
            DFX_TRY(dfx_gguf_number(g, key, 0, &value, c->err));
        if (value == 0 || (value & (value - 1)) != 0)
            return dfx_fail(c->err, DFX_RULE_GGUF_ALIGNMENT, key->at,
                            DFX_GGUF_ALIGNMENT " is no power of two in a u32");
        g->alignment = value;
    }
    past = c->at % g->alignment;
    g->data = past == 0 ? c->at : c->at + (g->alignment - past);
    if (key != NULL && g->info_count > 0 && g->data > size)
        return dfx_fail(c->err, DFX_RULE_GGUF_ALIGNMENT, key->at,
                        "the data would start at byte %" PRIu64
                        ", the file has %" PRIu64,
                        g->data, size);
    return DFX_OK;
}

static dfx_status
read_counts(cursor *c, uint64_t *tensors, uint64_t *keys)
{
    const uint8_t *bytes = NULL;
    uint32_t version;

    DFX_TRY(take(c, 4, &bytes));
    if (memcmp(bytes, "GGUF", 4) != 0)
        return dfx_fail(c->err, DFX_RULE_GGUF_MAGIC, 0,
                        "the file does not start with GGUF");
    DFX_TRY(take(c, 4, &bytes));
    version = (uint32_t)load(bytes, 4, false);
    c->g->big_endian = (version & 0xffff) == 0 && version != 0;
    c->g->version = (uint32_t)load(bytes, 4, c->g->big_endian);
    if (c->g->version != 2 && c->g->version != 3)
        return dfx_fail(c->err, DFX_RULE_GGUF_VERSION, 4,
                        "version %" PRIu32 ", 2 and 3 are read", c->g->version);
    DFX_TRY(take_number(c, 8, tensors));
    DFX_TRY(take_number(c, 8, keys));
    /* One more than fits: what is short of it is told better where it ends. */
    if (*tensors > left(c) / LEAST_INFO + 1)
        return dfx_fail(c->err, DFX_RULE_GGUF_COUNT_TENSORS, 8,
                        "%" PRIu64 " tensors in %" PRIu64 " bytes", *tensors,
                        left(c));
    if (*keys > left(c) / LEAST_KEY + 1)
        return dfx_fail(c->err, DFX_RULE_GGUF_COUNT_KV, 16,
                        "%" PRIu64 " keys in %" PRIu64 " bytes", *keys,
                        left(c));
    return DFX_OK;
}

static dfx_status
parse(cursor *c)
{
    uint64_t tensors = 0, keys = 0;

    DFX_TRY(read_counts(c, &tensors, &keys));
    for (uint64_t i = 0; i < keys; i++)
        DFX_TRY(read_key(c, i));
    for (uint64_t i = 0; i < tensors; i++)
        DFX_TRY(read_info(c, i));
    DFX_TRY(check_keys(c->g, c->err));
    DFX_TRY(check_infos(c->g, c->err));
    return settle_alignment(c);
}

dfx_status
dfx_gguf_parse(dfx_gguf *g, dfx_error *err)
{
    cursor c = {.g = g, .window = malloc(WINDOW), .err = err};
    dfx_status status = c.window == NULL ? dfx_fail_nomem(err) : parse(&c);

    free(c.window);
    return status;
}

void
dfx_gguf_fini(dfx_gguf *g)
{
    free(g->keys);
    free(g->infos);
    free(g->by_name);
    dfx_arena_fini(&g->arena);
}

/* ---- Looking at values ---------------------------------------------------
 */

const dfx_gguf_key *
dfx_gguf_find(const dfx_gguf *g, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < g->key_count; i++)
        if (g->keys[i].name_size == size &&
            memcmp(g->keys[i].name, name, size) == 0)
            return &g->keys[i];
    return NULL;
}

dfx_status
dfx_gguf_number(const dfx_gguf *g, const dfx_gguf_key *key, uint64_t i,
                uint64_t *bits, dfx_error *err)
{
    bool many = key->kind == DFX_GGUF_ARRAY;
    size_t size = kind_sizes[many ? key->element : key->kind];
    uint8_t bytes[8];

    DFX_TRY(dfx_io_read_at(g->io, key->value + i * size, bytes, size, err));
    *bits = load(bytes, size, g->big_endian);
    return DFX_OK;
}

static void
print_float(dfx_text *text, double value, int digits)
{
    if (isfinite(value))
        dfx_text_printf(text, "%.*g", digits, value);
    else
        dfx_text_puts(text, isnan(value)  ? "NaN"
                            : value > 0.0 ? "Infinity"
                                          : "-Infinity");
}

static void
print_number(dfx_text *text, dfx_gguf_kind kind, uint64_t bits)
{
    bool is_signed = kind == DFX_GGUF_I8 || kind == DFX_GGUF_I16 ||
                     kind == DFX_GGUF_I32 || kind == DFX_GGUF_I64;
    unsigned above = 64 - 8 * (unsigned)kind_sizes[kind];
    uint32_t low = (uint32_t)bits;
    float single;
    double number;

    memcpy(&single, &low, sizeof single);
    memcpy(&number, &bits, sizeof number);
    if (kind == DFX_GGUF_BOOL)
        dfx_text_puts(text, bits != 0 ? "true" : "false");
    else if (kind == DFX_GGUF_F32)
        print_float(text, (double)single, 9);
    else if (kind == DFX_GGUF_F64)
        print_float(text, number, 17);
    else if (is_signed)
        dfx_text_printf(text, "%" PRId64, (int64_t)(bits << above) >> above);
    else
        dfx_text_printf(text, "%" PRIu64, bits);
}

/* The values from the cursor on; they were skipped before, so that they are
   there. quoted: strings are JSON. */
static dfx_status
print_values(cursor *c, dfx_gguf_kind kind, uint64_t count, bool quoted,
             dfx_text *text)
{
    for (uint64_t i = 0; i < count; i++) {
        dfx_gguf_key inner = {0};
        uint64_t bits = 0, element = 0;

        if (i > 0)
            dfx_text_puts(text, ", ");
        if (kind == DFX_GGUF_STRING) {
            const char *string = NULL;
            size_t size = 0;

            DFX_TRY(take_name(c, &string, &size));
            if (quoted)
                dfx_json_quote(text, string, size, false);
            else
                dfx_text_add(text, string, size);
        } else if (kind == DFX_GGUF_ARRAY) {
            DFX_TRY(take_number(c, 4, &element));
            DFX_TRY(take_number(c, 8, &inner.count));
            dfx_text_puts(text, "[");
            DFX_TRY(print_values(c, (dfx_gguf_kind)element, inner.count, true,
                                 text));
            dfx_text_puts(text, "]");
        } else {
            DFX_TRY(take_number(c, kind_sizes[kind], &bits));
            print_number(text, kind, bits);
        }
    }
    return DFX_OK;
}

dfx_status
dfx_gguf_print(const dfx_gguf *g, const dfx_gguf_key *key, dfx_text *text,
               dfx_error *err)
{
    /* Names go to an arena of their own, which goes away. */
    dfx_gguf own = {.io = g->io, .big_endian = g->big_endian};
    cursor c = {.g = &own,
                .window = malloc(WINDOW),
                .at =
                    key->kind == DFX_GGUF_ARRAY ? key->value - 12 : key->value,
                .err = err};
    dfx_status status = c.window == NULL
                            ? dfx_fail_nomem(err)
                            : print_values(&c, key->kind, 1, false, text);

    free(c.window);
    dfx_arena_fini(&own.arena);
    return status == DFX_OK && text->failed ? dfx_fail_nomem(err) : status;
}

unsigned
dfx_gguf_kind_size(dfx_gguf_kind kind)
{
    return kind_sizes[kind];
}

const char *
dfx_gguf_type_name(const dfx_gguf_key *key)
{
    static const char *const names[DFX_GGUF_KINDS] = {
        "u8",   "i8", "u16", "i16", "u32", "i32", "f32",
        "bool", NULL, NULL,  "u64", "i64", "f64",
    };
    static const char *const lists[DFX_GGUF_KINDS] = {
        "[u8]",   "[i8]",     "[u16]", "[i16]", "[u32]", "[i32]", "[f32]",
        "[bool]", "[string]", "[[]]",  "[u64]", "[i64]", "[f64]",
    };

    return key->kind == DFX_GGUF_ARRAY ? lists[key->element] : names[key->kind];
}
