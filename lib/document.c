/*
 * document.c - JSON documents as trees
 *
 * Reading: RFC 8259 by lib/json, and the numbers NaN, Infinity and -Infinity,
 * which Python writes and schedulers have in their configs. Refused: a key
 * twice in an object, U+0000 in a string (cJSON keeps C strings), anything
 * after the value. Writing: as json.dumps of CPython 3.11.
 */
#include <config.h>

#include "document.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

enum {
    DOCUMENT_MAX = 16 * 1024 * 1024, /* bytes; configs have thousands */
    NUMBER_CHARS = 32                /* "-1.7976931348623157e+308" has 24 */
};

/* ---- Reading ----------------------------------------------------------- */

/* The path from the root to where the next node goes. */
typedef struct builder {
    dfx_json json;
    cJSON *root; /* owned */
    cJSON *open[DFX_JSON_DEPTH];
    size_t depth;
    dfx_text key; /* of the next node, if it goes into an object */
} builder;

static int
compare_keys(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;

    return strcmp((*x)->string, (*y)->string);
}

/* The children of a node, members by their keys if sort. The array is owned;
   NULL if memory ran out. */
static const cJSON **
list_children(const cJSON *node, bool sort, size_t *count)
{
    const cJSON **list;
    const cJSON *child;
    size_t n = 0;

    for (child = node->child; child != NULL; child = child->next)
        n++;
    list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        return NULL;
    *count = n;
    n = 0;
    for (child = node->child; child != NULL; child = child->next)
        list[n++] = child;
    if (sort && cJSON_IsObject(node))
        qsort(list, n, sizeof *list, compare_keys);
    return list;
}

static dfx_status
check_keys(const cJSON *object, dfx_error *err)
{
    size_t count = 0;
    const cJSON **members = list_children(object, true, &count);
    dfx_status status = DFX_OK;

    if (members == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 1; i < count && status == DFX_OK; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            status = dfx_fail(err, DFX_RULE_JSON_DUPLICATE, DFX_NO_OFFSET,
                              "key \"%s\" stands twice in one object",
                              members[i]->string);
    free(members);
    return status;
}

/* The text of the last event, kept in out as a C string. */
static dfx_status
keep_text(const dfx_json *json, dfx_text *out, dfx_error *err)
{
    if (memchr(json->text, '\0', json->text_size) != NULL)
        return dfx_fail(err, DFX_RULE_JSON_STRING, dfx_json_offset(json),
                        "a string holds U+0000");
    out->size = 0;
    dfx_text_add(out, json->text, json->text_size);
    return out->failed ? dfx_fail_nomem(err) : DFX_OK;
}

/* Takes node, also on failure; NULL means that memory ran out. */
static dfx_status
attach(builder *b, cJSON *node, dfx_error *err)
{
    cJSON *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
    bool good = node != NULL;

    if (parent == NULL)
        b->root = node;
    else if (cJSON_IsObject(parent))
        good = good && cJSON_AddItemToObject(parent, b->key.data, node);
    else
        good = good && cJSON_AddItemToArray(parent, node);
    if (good)
        return DFX_OK;
    if (parent != NULL)
        cJSON_Delete(node);
    return dfx_fail_nomem(err);
}

static dfx_status
attach_container(builder *b, cJSON *node, dfx_error *err)
{
    DFX_TRY(attach(b, node, err));
    /* The reader refuses deeper nesting before this is reached. */
    assert(b->depth < DFX_JSON_DEPTH);
    b->open[b->depth++] = node;
    return DFX_OK;
}

static dfx_status
attach_text(builder *b, cJSON *(*make)(const char *), dfx_error *err)
{
    dfx_text text = {0};
    dfx_status status = keep_text(&b->json, &text, err);

    if (status == DFX_OK)
        status = attach(b, make(text.data), err);
    dfx_text_fini(&text);
    return status;
}

static dfx_status
take_event(builder *b, dfx_json_event event, dfx_error *err)
{
    switch (event) {
    case DFX_JSON_OBJECT:
        return attach_container(b, cJSON_CreateObject(), err);
    case DFX_JSON_ARRAY:
        return attach_container(b, cJSON_CreateArray(), err);
    case DFX_JSON_OBJECT_END:
        return check_keys(b->open[--b->depth], err);
    case DFX_JSON_ARRAY_END:
        b->depth--;
        return DFX_OK;
    case DFX_JSON_KEY:
        return keep_text(&b->json, &b->key, err);
    case DFX_JSON_STRING:
        return attach_text(b, cJSON_CreateString, err);
    case DFX_JSON_NUMBER:
        return attach_text(b, cJSON_CreateRaw, err);
    case DFX_JSON_TRUE:
        return attach(b, cJSON_CreateTrue(), err);
    case DFX_JSON_FALSE:
        return attach(b, cJSON_CreateFalse(), err);
    case DFX_JSON_NULL:
        return attach(b, cJSON_CreateNull(), err);
    case DFX_JSON_END:
        break;
    }
    return DFX_OK;
}

/* White space alone may follow the value. */
static dfx_status
check_rest(const dfx_json *json, dfx_error *err)
{
    for (size_t i = json->pos; i < json->size; i++)
        if (memchr(" \t\r\n", json->data[i], 4) == NULL)
            return dfx_fail(err, DFX_RULE_JSON_SYNTAX, json->origin + i,
                            "something follows the value");
    return DFX_OK;
}

static dfx_status
build(builder *b, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;

    while (event != DFX_JSON_END) {
        DFX_TRY(dfx_json_next(&b->json, &event, err));
        DFX_TRY(take_event(b, event, err));
    }
    return check_rest(&b->json, err);
}

dfx_status
dfx_doc_parse(const char *text, size_t size, const char *name, cJSON **doc,
              dfx_error *err)
{
    builder b = {0};
    dfx_status status;
    size_t bad = 0;

    if (size > DOCUMENT_MAX) {
        status = dfx_fail(err, DFX_RULE_JSON_LARGE, DFX_NO_OFFSET,
                          "%zu bytes, at most %d are read as JSON", size,
                          DOCUMENT_MAX);
    } else if (dfx_utf8_valid(text, size, &bad)) {
        dfx_json_init(&b.json, text, size, 0);
        b.json.python_numbers = true;
        status = build(&b, err);
        dfx_json_fini(&b.json);
    } else {
        status = dfx_fail(err, DFX_RULE_JSON_UTF8, bad, "not valid UTF-8");
    }
    dfx_text_fini(&b.key);
    if (status == DFX_OK) {
        *doc = b.root;
        return DFX_OK;
    }
    cJSON_Delete(b.root);
    dfx_error_in_file(err, name);
    return status;
}

dfx_status
dfx_doc_read(const dfx_extent *extent, cJSON **doc, dfx_error *err)
{
    const char *name = dfx_io_name(extent->io);
    dfx_status status;
    size_t size;
    char *text;

    if (extent->size > DOCUMENT_MAX) {
        status = dfx_fail(err, DFX_RULE_JSON_LARGE, DFX_NO_OFFSET,
                          "%" PRIu64 " bytes, at most %d are read as JSON",
                          extent->size, DOCUMENT_MAX);
        dfx_error_in_file(err, name);
        return status;
    }
    size = (size_t)extent->size; /* at most DOCUMENT_MAX */
    text = malloc(size + 1);
    if (text == NULL)
        return dfx_fail_nomem(err);
    status = dfx_io_read_at(extent->io, extent->offset, text, size, err);
    if (status == DFX_OK)
        status = dfx_doc_parse(text, size, name, doc, err);
    free(text);
    return status;
}

dfx_status
dfx_doc_open(const char *path, cJSON **doc, dfx_error *err)
{
    dfx_extent extent = {0};
    dfx_io *io = NULL;
    dfx_status status;

    DFX_TRY(dfx_io_open_file(path, &io, err));
    extent.io = io;
    extent.size = dfx_io_size(io);
    status = dfx_doc_read(&extent, doc, err);
    dfx_io_close(io);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
}

/* ---- Writing ------------------------------------------------------------ */

typedef struct style {
    bool sort;
    bool compact;
} style;

static void
new_line(dfx_text *out, const style *how, unsigned depth)
{
    if (!how->compact)
        dfx_text_printf(out, "\n%*s", 2 * (int)depth, "");
}

/* Recursion ends at DFX_JSON_DEPTH: no parsed document is deeper. */
static void
print_node(dfx_text *out, const cJSON *node, const style *how, unsigned depth)
{
    bool is_object = cJSON_IsObject(node);
    const cJSON **children;
    size_t count = 0;

    if (cJSON_IsString(node)) {
        dfx_json_quote(out, node->valuestring, strlen(node->valuestring),
                       false);
        return;
    }
    if (cJSON_IsBool(node) || cJSON_IsNull(node)) {
        dfx_text_puts(out, cJSON_IsNull(node)   ? "null"
                           : cJSON_IsTrue(node) ? "true"
                                                : "false");
        return;
    }
    if (cJSON_IsRaw(node)) {
        dfx_text_puts(out, node->valuestring);
        return;
    }
    assert(is_object || cJSON_IsArray(node));
    children = list_children(node, how->sort, &count);
    if (children == NULL || depth >= DFX_JSON_DEPTH) {
        out->failed = true;
        free(children);
        return;
    }
    dfx_text_puts(out, is_object ? "{" : "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            dfx_text_puts(out, ",");
        new_line(out, how, depth + 1);
        if (is_object) {
            dfx_json_quote(out, children[i]->string,
                           strlen(children[i]->string), false);
            dfx_text_puts(out, how->compact ? ":" : ": ");
        }
        print_node(out, children[i], how, depth + 1);
    }
    if (count > 0)
        new_line(out, how, depth);
    dfx_text_puts(out, is_object ? "}" : "]");
    free(children);
}

/* The text of out for the caller; NULL if it is not whole. */
static char *
take_text(dfx_text *out)
{
    if (!out->failed)
        return out->data;
    dfx_text_fini(out);
    return NULL;
}

char *
dfx_doc_print(const cJSON *doc, bool sort)
{
    dfx_text out = {0};

    print_node(&out, doc, &(style){.sort = sort}, 0);
    dfx_text_puts(&out, "\n");
    return take_text(&out);
}

char *
dfx_doc_print_compact(const cJSON *doc)
{
    dfx_text out = {0};

    print_node(&out, doc, &(style){.compact = true}, 0);
    return take_text(&out);
}

/* ---- Nodes --------------------------------------------------------------- */

cJSON *
dfx_doc_get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *
dfx_doc_string(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(dfx_doc_get(object, key));
}

bool
dfx_doc_int(const cJSON *node, int64_t *value)
{
    const char *digits;
    long long parsed;

    if (!cJSON_IsRaw(node))
        return false;
    digits = node->valuestring + (node->valuestring[0] == '-');
    if (digits[strspn(digits, "0123456789")] != '\0' || digits[0] == '\0')
        return false;
    errno = 0;
    parsed = strtoll(node->valuestring, NULL, 10);
    if (errno != 0)
        return false;
    *value = parsed;
    return true;
}

bool
dfx_doc_number(const cJSON *node, double *value)
{
    locale_t c;

    if (!cJSON_IsRaw(node))
        return false;
    /* The program's locale may want a comma where JSON has a point. */
    c = newlocale(LC_ALL_MASK, "C", NULL);
    if (c == NULL)
        return false;
    *value = strtod_l(node->valuestring, NULL, c);
    freelocale(c);
    return true;
}

cJSON *
dfx_doc_new_int(int64_t value)
{
    char text[NUMBER_CHARS];

    snprintf(text, sizeof text, "%" PRId64, value);
    return cJSON_CreateRaw(text);
}

/*
 * The fewest decimal digits that read back as value, and the power of ten of
 * the first: 0.18215 is "18215" and -1. What snprintf puts between the digits
 * is the locale's point, so only digits are looked at.
 */
static int
shortest_digits(double value, char digits[NUMBER_CHARS])
{
    char text[2 * NUMBER_CHARS];
    size_t count = 0;
    char *p = text;

    for (int precision = 0; precision < DBL_DECIMAL_DIG; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (; *p != 'e'; p++)
        if (isdigit((unsigned char)*p))
            digits[count++] = *p;
    digits[count] = '\0';
    return (int)strtol(p + 1, NULL, 10);
}

/* As float_repr_style "short": powers of ten from 1e16 and below 1e-4. */
static void
spell_number(double value, char text[2 * NUMBER_CHARS])
{
    enum { SIZE = 2 * NUMBER_CHARS };
    const char *sign = signbit(value) ? "-" : "";
    char digits[NUMBER_CHARS];
    int exponent, count;

    if (isnan(value) || isinf(value)) {
        snprintf(text, SIZE, "%s",
                 isnan(value) ? "NaN" : (value < 0 ? "-Infinity" : "Infinity"));
        return;
    }
    exponent = shortest_digits(fabs(value), digits);
    count = (int)strlen(digits); /* at most 17 */
    if (exponent < -4 || exponent >= 16)
        snprintf(text, SIZE, "%s%c%s%se%c%02d", sign, digits[0],
                 count > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
                 abs(exponent));
    else if (exponent < 0)
        snprintf(text, SIZE, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if (count <= exponent + 1)
        snprintf(text, SIZE, "%s%s%.*s.0", sign, digits, exponent + 1 - count,
                 "0000000000000000");
    else
        snprintf(text, SIZE, "%s%.*s.%s", sign, exponent + 1, digits,
                 digits + exponent + 1);
}

cJSON *
dfx_doc_new_number(double value)
{
    char text[2 * NUMBER_CHARS];

    spell_number(value, text);
    return cJSON_CreateRaw(text);
}

bool
dfx_doc_set(cJSON *object, const char *key, cJSON *node)
{
    bool done;

    if (node == NULL)
        return false;
    done = dfx_doc_get(object, key) != NULL
               ? cJSON_ReplaceItemInObjectCaseSensitive(object, key, node)
               : cJSON_AddItemToObject(object, key, node);
    if (!done)
        cJSON_Delete(node);
    return done;
}

static bool
equal_numbers(const cJSON *a, const cJSON *b)
{
    int64_t i, j;
    double x, y;

    if (strcmp(a->valuestring, b->valuestring) == 0)
        return true;
    if (dfx_doc_int(a, &i) && dfx_doc_int(b, &j))
        return i == j;
    return dfx_doc_number(a, &x) && dfx_doc_number(b, &y) && x == y;
}

/* Recursion ends at DFX_JSON_DEPTH, beyond which nothing is equal. */
static bool
equal_nodes(const cJSON *a, const cJSON *b, unsigned depth)
{
    const cJSON **xs, **ys;
    size_t count = 0, other = 0;
    bool same;

    /* cJSON keeps flags above the low byte of the type. */
    if ((a->type & 0xff) != (b->type & 0xff) || depth > DFX_JSON_DEPTH)
        return false;
    if (cJSON_IsRaw(a))
        return equal_numbers(a, b);
    if (cJSON_IsString(a))
        return strcmp(a->valuestring, b->valuestring) == 0;
    xs = list_children(a, true, &count);
    ys = list_children(b, true, &other);
    same = xs != NULL && ys != NULL && count == other;
    for (size_t i = 0; same && i < count; i++)
        same =
            (cJSON_IsArray(a) || strcmp(xs[i]->string, ys[i]->string) == 0) &&
            equal_nodes(xs[i], ys[i], depth + 1);
    free(xs);
    free(ys);
    return same;
}

bool
dfx_doc_equal(const cJSON *a, const cJSON *b)
{
    return equal_nodes(a, b, 0);
}
