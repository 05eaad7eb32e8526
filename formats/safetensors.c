/*
 * safetensors.c - safetensors, one file
 *
 *   0..7    N, length of the header, unsigned, little-endian
 *   8..     N bytes of JSON: {"NAME":{"dtype":..,"shape":..,"data_offsets":..},
 *           ..., "__metadata__":{..}}, padded with spaces
 *   8+N..   data; data_offsets count from here; no hole, no overlap, no rest
 *
 * Spec: safetensors README.md and safetensors/src/tensor.rs, checked against
 * release 0.8.0. Refused beyond what the reference refuses: duplicate names,
 * white space before the header, padding other than spaces, entries written as
 * lists, unknown fields, U+0000 in names (the ids say which).
 */
#include <config.h>

#include "registry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"

enum {
    LENGTH_SIZE = 8, /* the number before the header */
    MAX_HEADER =
        100000000,   /* the reference's own: MAX_HEADER_SIZE, tensor.rs */
    HEADER_ALIGN = 8 /* the reference writer's N is a multiple */
};

#define SUFFIX ".safetensors"

static const char METADATA_KEY[] = "__metadata__";

/* Fields of an entry that were there and right. */
enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

typedef struct entry {
    const char *name; /* borrowed: from the text or the arena; no NUL after */
    size_t name_size;
    size_t at; /* position of the name in the text */
    uint64_t begin, end;
    const uint64_t *shape; /* in the arena */
    uint32_t rank;
    dfx_type type;
    unsigned has;
} entry;

typedef struct header {
    const char *text; /* borrowed; with its padding */
    size_t size;
    entry *entries; /* owned; in the order of the text */
    size_t count, capacity;
    const entry **order; /* owned; those with a range, in the order of data */
    size_t order_count;
    uint64_t used; /* bytes of data that belong to tensors */
    bool gaps;     /* a range is unknown, so holes prove nothing */
    dfx_arena arena;
    uint64_t *dims; /* owned; the shape being read */
    size_t dims_capacity;
    /* Who is told of faults that one can go on after; NULL: none, the first
       fault ends the reading. */
    const char *path;
    dfx_finding_fn *found;
    void *context;
} header;

static void
header_fini(header *h)
{
    free(h->dims);
    free(h->order);
    free(h->entries);
    dfx_arena_fini(&h->arena);
}

/* ---- Faults ----------------------------------------------------------- */

/* What the JSON reader and the gate found, by the names of this format. */
static void
rename_rule(dfx_error *err)
{
    static const struct {
        dfx_rule from, to;
    } rows[] = {
        {DFX_RULE_JSON_SYNTAX, DFX_RULE_ST_JSON_SYNTAX},
        {DFX_RULE_JSON_STRING, DFX_RULE_ST_JSON_STRING},
        {DFX_RULE_JSON_DEPTH, DFX_RULE_ST_JSON_DEPTH},
        {DFX_RULE_JSON_DUPLICATE, DFX_RULE_ST_JSON_DUPLICATE},
        /* The header is valid UTF-8, so U+0000 is all that can be wrong. */
        {DFX_RULE_NAME_INVALID, DFX_RULE_ST_NAME_NUL},
        {DFX_RULE_TENSOR_OVERFLOW, DFX_RULE_ST_TENSOR_OVERFLOW},
        {DFX_RULE_TENSOR_BITS, DFX_RULE_ST_TENSOR_BITS},
        {DFX_RULE_TENSOR_SIZE, DFX_RULE_ST_TENSOR_SIZE},
        {DFX_RULE_DATA_SHORT, DFX_RULE_ST_DATA_SHORT},
    };

    for (size_t i = 0; err != NULL && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(err->rule, dfx_rule_id(rows[i].from)) == 0)
            err->rule = dfx_rule_id(rows[i].to);
}

static void
finish_error(const char *path, dfx_error *err)
{
    rename_rule(err);
    dfx_error_in_file(err, path);
}

/* A dfx_finding_fn for faults found elsewhere. */
static void
pass_on(void *context, const dfx_error *finding)
{
    const header *h = context;
    dfx_error named = *finding;

    finish_error(h->path, &named);
    h->found(h->context, &named);
}

/*
 * Takes a fault that one can go on after: when judging it is told and forgotten
 * (err is not NULL then), when reading it stands.
 */
static dfx_status
judge(const header *h, dfx_status status, dfx_error *err)
{
    if (status != DFX_ERR_FORMAT || h->found == NULL)
        return status;
    finish_error(h->path, err);
    h->found(h->context, err);
    return DFX_OK;
}

static dfx_status fault(const header *h, const entry *e, dfx_rule rule,
                        uint64_t offset, dfx_error *err, const char *fmt, ...)
    DFX_PRINTF(6, 7);

/* Makes one, of an entry or (NULL) of none, and has it judged. */
static dfx_status
fault(const header *h, const entry *e, dfx_rule rule, uint64_t offset,
      dfx_error *err, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    dfx_status status;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    status = dfx_fail(err, rule, offset, "%s", text);
    if (e != NULL)
        dfx_error_in_tensor_text(err, e->name, e->name_size);
    return judge(h, status, err);
}

static uint64_t
entry_offset(const entry *e)
{
    return LENGTH_SIZE + (uint64_t)e->at;
}

/* A value in words, for messages: "null", "a list", "number -1". */
static const char *
describe(const dfx_json *json, dfx_json_event event, char *buf, size_t size)
{
    static const char *const words[] = {
        [DFX_JSON_OBJECT] = "an object", [DFX_JSON_ARRAY] = "a list",
        [DFX_JSON_STRING] = "a string",  [DFX_JSON_TRUE] = "true",
        [DFX_JSON_FALSE] = "false",      [DFX_JSON_NULL] = "null",
    };

    if (event != DFX_JSON_NUMBER)
        return words[event];
    snprintf(buf, size, "number %.*s",
             json->text_size < 40 ? (int)json->text_size : 40, json->text);
    return buf;
}

/* ---- Entries ---------------------------------------------------------- */

/* Reads a list of integers into h->dims; rules: what if it is no list. */
static dfx_status
read_integers(header *h, dfx_json *json, const entry *e, const char *field,
              dfx_rule type_rule, dfx_rule value_rule, size_t *count,
              bool *good, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    char buf[64];

    *count = 0;
    *good = true;
    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_ARRAY) {
        *good = false;
        DFX_TRY(fault(h, e, type_rule, dfx_json_offset(json), err,
                      "%s is %s, expected a list", field,
                      describe(json, event, buf, sizeof buf)));
        return dfx_json_skip(json, event, err);
    }
    for (;;) {
        uint64_t value = 0;

        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_ARRAY_END)
            return DFX_OK;
        if (event != DFX_JSON_NUMBER || !dfx_json_u64(json, &value)) {
            *good = false;
            DFX_TRY(fault(h, e, value_rule, dfx_json_offset(json), err,
                          "%s holds %s, expected an integer from 0 to 2^64-1",
                          field, describe(json, event, buf, sizeof buf)));
            DFX_TRY(dfx_json_skip(json, event, err));
        }
        if (!dfx_grow(&h->dims, &h->dims_capacity, *count, sizeof *h->dims))
            return dfx_fail_nomem(err);
        h->dims[(*count)++] = value;
    }
}

static dfx_status
read_dtype(header *h, dfx_json *json, entry *e, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    char buf[64];

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_STRING) {
        DFX_TRY(fault(h, e, DFX_RULE_ST_DTYPE_TYPE, dfx_json_offset(json), err,
                      "dtype is %s, expected a string",
                      describe(json, event, buf, sizeof buf)));
        return dfx_json_skip(json, event, err);
    }
    e->type = dfx_type_from_safetensors(json->text, json->text_size);
    if (e->type == DFX_TYPE_COUNT)
        return fault(h, e, DFX_RULE_ST_DTYPE_UNKNOWN, dfx_json_offset(json),
                     err, "dtype \"%.*s\" is unknown",
                     json->text_size < 40 ? (int)json->text_size : 40,
                     json->text);
    e->has |= HAS_DTYPE;
    return DFX_OK;
}

static dfx_status
read_shape(header *h, dfx_json *json, entry *e, dfx_error *err)
{
    size_t count = 0;
    bool good = false;
    uint64_t *shape;

    DFX_TRY(read_integers(h, json, e, "shape", DFX_RULE_ST_SHAPE_TYPE,
                          DFX_RULE_ST_SHAPE_VALUE, &count, &good, err));
    if (!good)
        return DFX_OK;
    shape = dfx_arena_array(&h->arena, count, sizeof *shape);
    if (shape == NULL)
        return dfx_fail_nomem(err);
    if (count > 0)
        memcpy(shape, h->dims, count * sizeof *shape);
    e->shape = shape;
    e->rank = (uint32_t)count; /* MAX_HEADER bytes hold no 2^32 numbers */
    e->has |= HAS_SHAPE;
    return DFX_OK;
}

static dfx_status
read_offsets(header *h, dfx_json *json, entry *e, dfx_error *err)
{
    size_t count = 0;
    bool good = false;

    DFX_TRY(read_integers(h, json, e, "data_offsets", DFX_RULE_ST_OFFSETS_TYPE,
                          DFX_RULE_ST_OFFSETS_VALUE, &count, &good, err));
    if (!good)
        return DFX_OK;
    if (count != 2)
        return fault(h, e, DFX_RULE_ST_OFFSETS_COUNT, dfx_json_offset(json),
                     err, "data_offsets has %zu numbers, expected 2", count);
    e->begin = h->dims[0];
    e->end = h->dims[1];
    e->has |= HAS_OFFSETS;
    return DFX_OK;
}

static const struct {
    const char *name;
    dfx_status (*read)(header *h, dfx_json *json, entry *e, dfx_error *err);
} fields[] = {
    {"dtype", read_dtype},
    {"shape", read_shape},
    {"data_offsets", read_offsets},
};

enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static size_t
find_field(const dfx_json *json)
{
    size_t i = 0;

    while (i < FIELD_COUNT &&
           (strlen(fields[i].name) != json->text_size ||
            memcmp(fields[i].name, json->text, json->text_size) != 0))
        i++;
    return i;
}

/*
 * The members of an entry. A missing field is told before an unknown one: in
 * "Dtype" the first is the fault and the second its cause.
 */
static dfx_status
read_fields(header *h, dfx_json *json, entry *e, dfx_error *err)
{
    bool seen[FIELD_COUNT + 1] = {false}; /* the last: any other */
    uint64_t unknown_at = 0;
    dfx_json_event event = DFX_JSON_NULL;

    for (;;) {
        size_t i;

        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            break;
        i = find_field(json);
        if (i < FIELD_COUNT) {
            DFX_TRY(fields[i].read(h, json, e, err));
        } else {
            if (!seen[i])
                unknown_at = dfx_json_offset(json);
            DFX_TRY(dfx_json_next(json, &event, err));
            DFX_TRY(dfx_json_skip(json, event, err));
        }
        seen[i] = true;
    }
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (!seen[i])
            DFX_TRY(fault(h, e, DFX_RULE_ST_TENSOR_MISSING, entry_offset(e),
                          err, "%s is missing", fields[i].name));
    if (seen[FIELD_COUNT])
        return fault(h, e, DFX_RULE_ST_TENSOR_UNKNOWN, unknown_at, err,
                     "a field other than dtype, shape and "
                     "data_offsets");
    return DFX_OK;
}

/* The entry of a tensor whose name is the last event. */
static dfx_status
read_entry(header *h, dfx_json *json, dfx_error *err)
{
    entry e = {.name = dfx_json_keep(json, &h->arena),
               .name_size = json->text_size,
               .at = json->at};
    dfx_json_event event = DFX_JSON_NULL;
    char buf[64];

    if (e.name == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_json_next(json, &event, err));
    if (event == DFX_JSON_OBJECT) {
        DFX_TRY(read_fields(h, json, &e, err));
    } else {
        DFX_TRY(fault(h, &e, DFX_RULE_ST_TENSOR_TYPE, dfx_json_offset(json),
                      err, "the entry is %s, expected an object",
                      describe(json, event, buf, sizeof buf)));
        DFX_TRY(dfx_json_skip(json, event, err));
    }
    if ((e.has & HAS_OFFSETS) == 0)
        h->gaps = true;
    if (!dfx_grow(&h->entries, &h->capacity, h->count, sizeof *h->entries))
        return dfx_fail_nomem(err);
    h->entries[h->count++] = e;
    return DFX_OK;
}

/* The value of __metadata__; pairs go to the index, if there is one. */
static dfx_status
read_metadata(header *h, dfx_json *json, dfx_index *index, uint32_t component,
              dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    char buf[64];

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_OBJECT) {
        DFX_TRY(fault(h, NULL, DFX_RULE_ST_METADATA_TYPE, dfx_json_offset(json),
                      err, "__metadata__ is %s, expected an object",
                      describe(json, event, buf, sizeof buf)));
        return dfx_json_skip(json, event, err);
    }
    for (;;) {
        const char *key;
        size_t key_size;

        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            return DFX_OK;
        key = dfx_json_keep(json, &h->arena);
        key_size = json->text_size;
        if (key == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_json_next(json, &event, err));
        if (event != DFX_JSON_STRING) {
            DFX_TRY(fault(h, NULL, DFX_RULE_ST_METADATA_VALUE,
                          dfx_json_offset(json), err,
                          "a value of __metadata__ is %s, expected a string",
                          describe(json, event, buf, sizeof buf)));
            DFX_TRY(dfx_json_skip(json, event, err));
        } else if (index != NULL) {
            DFX_TRY(dfx_index_add_meta(index, component, key, key_size,
                                       json->text, json->text_size, err));
        }
    }
}

/* ---- The header ------------------------------------------------------- */

/* What must hold before there are entries to speak of. */
static dfx_status
check_text(header *h, dfx_error *err)
{
    size_t bad = 0, end = 0;

    if (!dfx_utf8_valid(h->text, h->size, &bad))
        return dfx_fail(err, DFX_RULE_ST_HEADER_UTF8, LENGTH_SIZE + bad,
                        "byte 0x%02x is not UTF-8 here",
                        (unsigned char)h->text[bad]);
    if (h->text[0] != '{')
        return dfx_fail(err, DFX_RULE_ST_HEADER_START, LENGTH_SIZE,
                        "the header starts with byte 0x%02x, expected '{'",
                        (unsigned char)h->text[0]);
    DFX_TRY(dfx_json_check(h->text, h->size, LENGTH_SIZE,
                           h->found == NULL ? NULL : pass_on, h, &end, err));
    while (end < h->size && h->text[end] == ' ')
        end++;
    if (end < h->size)
        return fault(h, NULL, DFX_RULE_ST_HEADER_PADDING, LENGTH_SIZE + end,
                     err, "byte 0x%02x after the header, expected spaces",
                     (unsigned char)h->text[end]);
    return DFX_OK;
}

static dfx_status
read_members(header *h, dfx_json *json, dfx_index *index, uint32_t component,
             dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;

    DFX_TRY(dfx_json_next(json, &event, err)); /* check_text saw the '{' */
    for (;;) {
        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            return DFX_OK;
        if (json->text_size == sizeof METADATA_KEY - 1 &&
            memcmp(json->text, METADATA_KEY, json->text_size) == 0)
            DFX_TRY(read_metadata(h, json, index, component, err));
        else
            DFX_TRY(read_entry(h, json, err));
    }
}

static int
compare_ranges(const void *a, const void *b)
{
    const entry *x = *(const entry *const *)a, *y = *(const entry *const *)b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* One entry against the bytes before it, which end at h->used. */
static dfx_status
check_range(const header *h, const entry *e, dfx_error *err)
{
    if (e->end < e->begin)
        return fault(h, e, DFX_RULE_ST_OFFSETS_ORDER, entry_offset(e), err,
                     "ends at %" PRIu64 ", before it begins at %" PRIu64,
                     e->end, e->begin);
    if (e->begin > h->used && !h->gaps)
        return fault(h, e, DFX_RULE_ST_OFFSETS_HOLE, entry_offset(e), err,
                     "begins at %" PRIu64
                     ", but the tensors before it end at %" PRIu64,
                     e->begin, h->used);
    if (e->begin < h->used)
        return fault(h, e, DFX_RULE_ST_OFFSETS_OVERLAP, entry_offset(e), err,
                     "begins at %" PRIu64
                     ", inside another tensor that ends at %" PRIu64,
                     e->begin, h->used);
    return DFX_OK;
}

/* Puts the entries in the order of their data and checks that they cover it. */
static dfx_status
check_ranges(header *h, dfx_error *err)
{
    h->order = calloc(h->count + 1, sizeof *h->order);
    if (h->order == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < h->count; i++)
        if ((h->entries[i].has & HAS_OFFSETS) != 0)
            h->order[h->order_count++] = &h->entries[i];
    qsort(h->order, h->order_count, sizeof *h->order, compare_ranges);
    for (size_t i = 0; i < h->order_count; i++) {
        const entry *e = h->order[i];

        DFX_TRY(check_range(h, e, err));
        if (e->end > h->used)
            h->used = e->end;
    }
    return DFX_OK;
}

/* Everything about the text alone. index may be NULL. */
static dfx_status
header_read(header *h, dfx_index *index, uint32_t component, dfx_error *err)
{
    dfx_json json;
    dfx_status status;

    DFX_TRY(check_text(h, err));
    dfx_json_init(&json, h->text, h->size, LENGTH_SIZE);
    status = read_members(h, &json, index, component, err);
    dfx_json_fini(&json);
    return status == DFX_OK ? check_ranges(h, err) : status;
}

/* ---- Reading a file --------------------------------------------------- */

static uint64_t
load_u64(const uint8_t *p)
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

/* *text is owned. */
static dfx_status
load_header(const dfx_io *io, uint64_t max_header, char **text, size_t *size,
            dfx_error *err)
{
    uint8_t length[LENGTH_SIZE];
    uint64_t n, there = dfx_io_size(io);
    char *data;
    dfx_status status;

    if (there < LENGTH_SIZE)
        return dfx_fail(err, DFX_RULE_ST_HEADER_SHORT, 0,
                        "the file has %" PRIu64 " bytes, expected at least 8",
                        there);
    DFX_TRY(dfx_io_read_at(io, 0, length, sizeof length, err));
    n = load_u64(length);
    if (n > MAX_HEADER)
        return dfx_fail(err, DFX_RULE_ST_HEADER_LARGE, 0,
                        "the header has %" PRIu64 " bytes, expected at most %d",
                        n, MAX_HEADER);
    if (n > there - LENGTH_SIZE)
        return dfx_fail(err, DFX_RULE_ST_HEADER_TRUNCATED, 0,
                        "the header has %" PRIu64
                        " bytes, the file has %" PRIu64 " after byte 8",
                        n, there - LENGTH_SIZE);
    if (n == 0)
        return dfx_fail(err, DFX_RULE_ST_HEADER_EMPTY, 0,
                        "the header has no bytes, expected at least {}");
    if (max_header != 0 && n > max_header)
        return dfx_fail(err, DFX_RULE_LIMIT_HEADER, 0,
                        "the header has %" PRIu64
                        " bytes, allowed are %" PRIu64,
                        n, max_header);
    data = malloc((size_t)n);
    if (data == NULL)
        return dfx_fail_nomem(err);
    status = dfx_io_read_at(io, LENGTH_SIZE, data, (size_t)n, err);
    if (status != DFX_OK) {
        free(data);
        return status;
    }
    *text = data;
    *size = (size_t)n;
    return DFX_OK;
}

/* Hands the entries to the gate, in the order of the text. */
static dfx_status
add_tensors(const header *h, const dfx_io *io, dfx_index *index,
            uint32_t component, dfx_error *err)
{
    for (size_t i = 0; i < h->count; i++) {
        const entry *e = &h->entries[i];
        dfx_claim claim = {.name = e->name,
                           .name_size = e->name_size,
                           .component = component,
                           .type = e->type,
                           .rank = e->rank,
                           .shape = e->shape,
                           .io = io,
                           .size = e->end - e->begin,
                           .where = entry_offset(e)};

        if (e->has != HAS_ALL || e->end < e->begin)
            continue; /* told already, or we would not be here */
        if (dfx_ckd_add(&claim.offset, LENGTH_SIZE + h->size, e->begin))
            claim.offset = UINT64_MAX; /* the gate knows that it is outside */
        DFX_TRY(judge(h, dfx_index_add(index, &claim, err), err));
    }
    return DFX_OK;
}

/* Everything the rules say of a file. h->text is the caller's to free. */
static dfx_status
read_io(header *h, const dfx_io *io, uint32_t component, dfx_index *index,
        dfx_error *err)
{
    uint64_t data = LENGTH_SIZE + h->size, data_size = dfx_io_size(io) - data;
    bool whole = index->tensor_count == 0 && component == 0;

    DFX_TRY(header_read(h, index, component, err));
    DFX_TRY(add_tensors(h, io, index, component, err));
    if (h->used < data_size && !h->gaps)
        DFX_TRY(fault(h, NULL, DFX_RULE_ST_DATA_TAIL, data + h->used, err,
                      "%" PRIu64 " bytes after the last tensor",
                      data_size - h->used));
    /* A header that speaks for more than one file's tensors does not exist. */
    index->header =
        whole ? (dfx_extent){io, LENGTH_SIZE, h->size} : (dfx_extent){0};
    return DFX_OK;
}

static dfx_status
read_place(header *h, const dfx_place *place, uint32_t component,
           const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    dfx_io *io = NULL;
    char *text = NULL;
    dfx_status status;

    DFX_TRY(dfx_place_open(place, &io, err));
    DFX_TRY(dfx_index_take_io(index, io, err));
    status = load_header(io, options == NULL ? 0 : options->max_header, &text,
                         &h->size, err);
    if (status == DFX_OK) {
        h->text = text;
        status = read_io(h, io, component, index, err);
    }
    header_fini(h);
    free(text);
    return status;
}

static dfx_status
safetensors_read(const dfx_place *place, uint32_t component,
                 const dfx_open_options *options, dfx_index *index,
                 dfx_error *err)
{
    header h = {.path = place->path};
    dfx_status status = read_place(&h, place, component, options, index, err);

    if (status != DFX_OK)
        finish_error(place->path, err);
    return status;
}

static dfx_status
safetensors_validate(const dfx_place *place, const dfx_open_options *options,
                     dfx_finding_fn *found, void *context, dfx_error *err)
{
    header h = {.path = place->path, .found = found, .context = context};
    dfx_error own;
    dfx_index *index = NULL;
    uint32_t component = 0;
    dfx_status status;

    if (err == NULL)
        err = &own;
    DFX_TRY(dfx_index_new(place->path, &index, err));
    status = dfx_index_component(index, "", &component, err);
    if (status == DFX_OK)
        status = read_place(&h, place, component, options, index, err);
    dfx_index_free(index);
    if (status != DFX_OK)
        finish_error(place->path, err);
    if (status != DFX_ERR_FORMAT)
        return status;
    found(context, err); /* the fault that left nothing more to judge */
    return DFX_OK;
}

static unsigned
safetensors_bid(const dfx_evidence *evidence)
{
    const uint8_t *head = evidence->head;
    size_t i = LENGTH_SIZE + 1;

    if (evidence->is_folder || evidence->head_size <= LENGTH_SIZE ||
        load_u64(head) > MAX_HEADER || head[LENGTH_SIZE] != '{')
        return 0;
    while (i < evidence->head_size && strchr(" \t\r\n", head[i]) != NULL &&
           head[i] != '\0')
        i++;
    if (i < evidence->head_size && head[i] != '"' && head[i] != '}')
        return 0;
    return 37 + 8 + 8; /* zero bits of the length, '{', '"' or '}' */
}

/* ---- Writing ---------------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    const dfx_item *x = *(const dfx_item *const *)a;
    const dfx_item *y = *(const dfx_item *const *)b;

    return strcmp(x->name, y->name);
}

/* The reference's order, by which every tensor is aligned to its elements. */
static int
compare_items(const void *a, const void *b)
{
    const dfx_item *x = *(const dfx_item *const *)a;
    const dfx_item *y = *(const dfx_item *const *)b;

    if (x->expr->type != y->expr->type)
        return x->expr->type > y->expr->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Element types that other formats have and this one does not. */
static dfx_status
check_types(const dfx_bundle *bundle, dfx_error *err)
{
    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_type type = bundle->items[i].expr->type;

        if (dfx_type_in_safetensors(type))
            continue;
        dfx_fail(err, DFX_RULE_PT_TENSOR_TYPE, DFX_NO_OFFSET,
                 "safetensors files have no elements of type %s%s",
                 dfx_type_name(type),
                 dfx_type_class(type) == DFX_CLASS_BLOCK
                     ? "; blocks have a place in GGUF files"
                     : "");
        dfx_error_in_tensor(err, bundle->items[i].name);
        return DFX_ERR_UNSUPPORTED;
    }
    return DFX_OK;
}

/* The bundle's items in order of names, each name once. In the arena. */
static dfx_status
sort_items(const dfx_bundle *bundle, dfx_arena *arena, const dfx_item ***out,
           dfx_error *err)
{
    size_t count = bundle->item_count;
    const dfx_item **items = dfx_arena_array(arena, count, sizeof *items);

    if (items == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++)
        items[i] = &bundle->items[i];
    qsort(items, count, sizeof *items, compare_names);
    for (size_t i = 0; i < count; i++) {
        const char *name = items[i]->name;

        if (strcmp(name, METADATA_KEY) != 0 &&
            (i == 0 || strcmp(name, items[i - 1]->name) != 0))
            continue;
        dfx_fail(err, DFX_RULE_CONVERT_CLASH, DFX_NO_OFFSET,
                 "the name is taken: a safetensors file has each once");
        dfx_error_in_tensor(err, name);
        return DFX_ERR_FORMAT;
    }
    *out = items;
    return DFX_OK;
}

static void
print_entry(const dfx_item *item, uint64_t begin, dfx_text *text)
{
    const dfx_expr *x = item->expr;

    dfx_json_quote(text, item->name, strlen(item->name), false);
    dfx_text_printf(text, ":{\"dtype\":\"%s\",\"shape\":[",
                    dfx_type_name(x->type));
    for (uint32_t i = 0; i < x->rank; i++)
        dfx_text_printf(text, "%s%" PRIu64, i == 0 ? "" : ",", x->shape[i]);
    dfx_text_printf(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                    begin, begin + x->bytes);
}

/* The header of items in this order, as the reference writes it. */
static dfx_status
print_header(const dfx_bundle *bundle, const dfx_item *const *items,
             dfx_arena *arena, dfx_text *text, dfx_error *err)
{
    uint64_t begin = 0, end;
    bool metadata = bundle->meta_count > 0 || bundle->empty_metadata;

    dfx_text_puts(text, "{");
    /* The reference keeps metadata in an order of chance; ours is sorted. */
    if (metadata) {
        dfx_text_puts(text, "\"__metadata__\":");
        DFX_TRY(dfx_bundle_print_metadata(bundle, arena, text, err));
    }
    for (size_t i = 0; i < bundle->item_count; i++) {
        if (dfx_ckd_add(&end, begin, items[i]->expr->bytes))
            return dfx_fail(err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                            "the tensors of a file exceed 2^64 bytes");
        if (i > 0 || metadata)
            dfx_text_puts(text, ",");
        print_entry(items[i], begin, text);
        begin = end;
    }
    dfx_text_puts(text, "}");
    while (text->size % HEADER_ALIGN != 0 && !text->failed)
        dfx_text_puts(text, " ");
    if (text->failed)
        return dfx_fail_nomem(err);
    if (text->size > MAX_HEADER)
        return dfx_fail(err, DFX_RULE_ST_HEADER_LARGE, DFX_NO_OFFSET,
                        "the header would have %zu bytes, expected at most %d",
                        text->size, MAX_HEADER);
    return DFX_OK;
}

static int
compare_entry_item(const void *a, const void *b)
{
    const entry *e = a;
    const char *name = (*(const dfx_item *const *)b)->name;
    size_t size = strlen(name);
    int order =
        memcmp(e->name, name, e->name_size < size ? e->name_size : size);

    if (order != 0)
        return order;
    return e->name_size < size ? -1 : e->name_size > size;
}

/* The item that an entry describes; NULL if there is none like it. */
static const dfx_item *
item_of(const entry *e, const dfx_item *const *items, size_t count)
{
    const dfx_item *const *found =
        bsearch(e, items, count, sizeof *items, compare_entry_item);
    const dfx_expr *x;

    if (found == NULL)
        return NULL;
    x = (*found)->expr;
    if (x->type != e->type || x->rank != e->rank ||
        x->bytes != e->end - e->begin)
        return NULL;
    for (uint32_t i = 0; i < x->rank; i++)
        if (x->shape[i] != e->shape[i])
            return NULL;
    return *found;
}

/*
 * The items in the order in which an earlier header has them, in the arena;
 * *out is NULL if that header is broken or describes other tensors.
 */
static dfx_status
match_header(const dfx_bundle *bundle, const dfx_item *const *sorted,
             dfx_arena *arena, const dfx_item ***out, dfx_error *err)
{
    header h = {.text = (const char *)bundle->header,
                .size = bundle->header_size};
    const dfx_item **items = NULL;
    dfx_status status = DFX_OK;

    *out = NULL;
    if (h.text == NULL || h.size == 0 || h.size > MAX_HEADER)
        return DFX_OK;
    status = header_read(&h, NULL, 0, err);
    if (status == DFX_OK && h.count == bundle->item_count) {
        items = dfx_arena_array(arena, h.count, sizeof *items);
        if (items == NULL)
            status = dfx_fail_nomem(err);
    }
    for (size_t i = 0; items != NULL && i < h.count; i++) {
        items[i] = item_of(h.order[i], sorted, h.count);
        if (items[i] == NULL)
            items = NULL;
    }
    header_fini(&h);
    *out = items;
    return status == DFX_ERR_NOMEM ? status : DFX_OK;
}

/* The length, the header (borrowed) and the tensors. */
static dfx_status
plan_file(dfx_plan *plan, const char *path, const void *text, size_t size,
          const dfx_item *const *items, size_t count, dfx_error *err)
{
    uint8_t *length = dfx_arena_alloc(&plan->arena, LENGTH_SIZE);
    const dfx_expr *x = NULL;
    size_t output = 0;

    if (length == NULL)
        return dfx_fail_nomem(err);
    for (unsigned i = 0; i < LENGTH_SIZE; i++)
        length[i] = (uint8_t)(size >> 8 * i);
    DFX_TRY(dfx_plan_add_file(plan, path, &output, err));
    DFX_TRY(dfx_expr_bytes(&plan->arena, length, LENGTH_SIZE, &x, err));
    DFX_TRY(dfx_plan_add_piece(plan, output, x, err));
    DFX_TRY(dfx_expr_bytes(&plan->arena, text, size, &x, err));
    DFX_TRY(dfx_plan_add_piece(plan, output, x, err));
    for (size_t i = 0; i < count; i++)
        DFX_TRY(dfx_plan_add_tensor(plan, output, items[i]->name,
                                    items[i]->expr, err));
    return DFX_OK;
}

static dfx_status
safetensors_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                    dfx_error *err)
{
    size_t count = bundle->item_count;
    const dfx_item **sorted = NULL, **items = NULL;
    const char *path = base;
    const void *kept;
    dfx_text text = {0};
    dfx_status status;

    if (base[0] != '\0')
        path = dfx_arena_printf(&plan->arena, "%s" SUFFIX, base);
    if (path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(check_types(bundle, err));
    DFX_TRY(sort_items(bundle, &plan->arena, &sorted, err));
    DFX_TRY(match_header(bundle, sorted, &plan->arena, &items, err));
    if (items != NULL)
        return plan_file(plan, path, bundle->header, bundle->header_size, items,
                         count, err);
    qsort(sorted, count, sizeof *sorted, compare_items);
    status = print_header(bundle, sorted, &plan->arena, &text, err);
    if (status == DFX_OK) {
        kept = dfx_arena_strndup(&plan->arena, text.data, text.size);
        status = kept == NULL ? dfx_fail_nomem(err)
                              : plan_file(plan, path, kept, text.size, sorted,
                                          count, err);
    }
    dfx_text_fini(&text);
    return status;
}

const dfx_format dfx_format_safetensors = {
    .name = "safetensors",
    .summary = "safetensors, one file",
    .suffix = SUFFIX,
    .in_folder = SUFFIX,
    .layout = DFX_LAYOUT_ORIGINAL,
    .bid = safetensors_bid,
    .read = safetensors_read,
    .validate = safetensors_validate,
    .lay_out = safetensors_lay_out,
};
