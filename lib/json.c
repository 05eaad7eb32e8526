/*
 * json.c - a strict JSON reader, as events
 *
 * RFC 8259. The state is a position, the kind of each open container (a bit
 * each) and what may come next, so nesting costs no stack. A string without
 * escapes is handed out where it lies. Refused beyond what the RFC demands:
 * more than DFX_JSON_DEPTH levels.
 */
#include <config.h>

#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What may come next. */
enum {
    STATE_VALUE,
    STATE_FIRST_ITEM, /* after '[': a value or ']' */
    STATE_FIRST_KEY,  /* after '{': a key or '}' */
    STATE_AFTER,      /* after a value: ',' or the end of its container */
    STATE_DONE
};

/* ---- UTF-8 ------------------------------------------------------------ */

/* Bytes of the well-formed sequence at s, 0 if it is none. Table 3-7 of the
   Unicode standard: the second byte's range excludes overlong forms,
   surrogates and codes above U+10FFFF. */
static size_t
utf8_sequence(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t size;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (left < size || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool
dfx_utf8_valid(const char *data, size_t size, size_t *bad)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t i = 0;

    while (i < size) {
        size_t n;
        uint64_t eight;

        /* Headers are nearly all ASCII: eight bytes at a time. */
        if (size - i >= sizeof eight) {
            memcpy(&eight, s + i, sizeof eight);
            if ((eight & 0x8080808080808080) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        n = utf8_sequence(s + i, size - i);
        if (n == 0) {
            if (bad != NULL)
                *bad = i;
            return false;
        }
        i += n;
    }
    return true;
}

/* Writes a code point, not a surrogate, and returns the bytes it took. */
static size_t
utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The code point of a well-formed sequence of size bytes. */
static uint32_t
utf8_decode(const unsigned char *s, size_t size)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = s[0] & lead[size];

    for (size_t i = 1; i < size; i++)
        code = code << 6 | (s[i] & 0x3f);
    return code;
}

/* ---- Tokens ----------------------------------------------------------- */

void
dfx_json_init(dfx_json *json, const char *data, size_t size, uint64_t origin)
{
    *json = (dfx_json){.data = data,
                       .size = size,
                       .origin = origin,
                       .text = "",
                       .state = STATE_VALUE};
}

void
dfx_json_fini(dfx_json *json)
{
    dfx_text_fini(&json->decoded);
}

uint64_t
dfx_json_offset(const dfx_json *json)
{
    return json->origin + json->at;
}

/* Fails about the byte at pos: "found X, expected Y". */
static dfx_status
unexpected(const dfx_json *json, size_t pos, const char *expected,
           dfx_error *err)
{
    unsigned char c;

    if (pos >= json->size)
        return dfx_fail(err, DFX_RULE_JSON_SYNTAX, json->origin + pos,
                        "the text ends, expected %s", expected);
    c = (unsigned char)json->data[pos];
    if (c > 0x20 && c < 0x7f)
        return dfx_fail(err, DFX_RULE_JSON_SYNTAX, json->origin + pos,
                        "found '%c', expected %s", c, expected);
    return dfx_fail(err, DFX_RULE_JSON_SYNTAX, json->origin + pos,
                    "found byte 0x%02x, expected %s", c, expected);
}

static void
skip_space(dfx_json *json)
{
    while (json->pos < json->size) {
        char c = json->data[json->pos];

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        json->pos++;
    }
}

/* The byte at pos, or NUL, which starts nothing, at the end. */
static char
peek(const dfx_json *json)
{
    return json->pos < json->size ? json->data[json->pos] : '\0';
}

static bool
in_object(const dfx_json *json)
{
    unsigned level = json->depth - 1;

    return (json->kinds[level / 8] >> level % 8 & 1) != 0;
}

/* The four hex digits at pos, or -1. */
static int32_t
hex4(const dfx_json *json, size_t pos)
{
    int32_t code = 0;

    if (json->size - pos < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        char c = json->data[pos + i];

        code <<= 4;
        if (c >= '0' && c <= '9')
            code |= c - '0';
        else if (c >= 'a' && c <= 'f')
            code |= c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            code |= c - 'A' + 10;
        else
            return -1;
    }
    return code;
}

/* Decodes \uXXXX, or a pair of them, whose backslash is at pos. */
static dfx_status
unicode_escape(dfx_json *json, size_t *pos, dfx_error *err)
{
    uint64_t at = json->origin + *pos;
    int32_t code = hex4(json, *pos + 2), low;
    char utf8[4];

    if (code < 0)
        return dfx_fail(err, DFX_RULE_JSON_STRING, at,
                        "\\u is not followed by four hex digits");
    *pos += 6;
    if (code >= 0xdc00 && code < 0xe000)
        return dfx_fail(err, DFX_RULE_JSON_STRING, at,
                        "low surrogate \\u%04" PRIx32 " without a high one",
                        (uint32_t)code);
    if (code >= 0xd800 && code < 0xdc00) {
        low = -1;
        if (json->size - *pos >= 6 && json->data[*pos] == '\\' &&
            json->data[*pos + 1] == 'u')
            low = hex4(json, *pos + 2);
        if (low < 0xdc00 || low >= 0xe000)
            return dfx_fail(err, DFX_RULE_JSON_STRING, at,
                            "high surrogate \\u%04" PRIx32 " without a low one",
                            (uint32_t)code);
        *pos += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    dfx_text_add(&json->decoded, utf8, utf8_encode((uint32_t)code, utf8));
    return DFX_OK;
}

/* Decodes the escape whose backslash is at *pos. */
static dfx_status
escape(dfx_json *json, size_t *pos, dfx_error *err)
{
    static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
    const char *name;
    char c;

    if (json->size - *pos < 2)
        return unexpected(json, json->size, "an escape", err);
    c = json->data[*pos + 1];
    if (c == 'u')
        return unicode_escape(json, pos, err);
    name = c == '\0' ? NULL : strchr(names, c);
    if (name == NULL)
        return dfx_fail(err, DFX_RULE_JSON_STRING, json->origin + *pos,
                        "a backslash before byte 0x%02x is no escape",
                        (unsigned char)c);
    dfx_text_add(&json->decoded, &codes[name - names], 1);
    *pos += 2;
    return DFX_OK;
}

/* The string whose quote is at pos; afterwards pos is past the other quote. */
static dfx_status
read_string(dfx_json *json, dfx_error *err)
{
    size_t start = json->pos + 1, pos = start;
    bool escaped = false;

    json->decoded.size = 0;
    for (;;) {
        unsigned char c;

        while (pos < json->size && (unsigned char)json->data[pos] >= 0x20 &&
               json->data[pos] != '"' && json->data[pos] != '\\')
            pos++;
        if (pos == json->size)
            return unexpected(json, pos, "'\"' after a string", err);
        c = (unsigned char)json->data[pos];
        if (c < 0x20)
            return dfx_fail(err, DFX_RULE_JSON_STRING, json->origin + pos,
                            "raw control byte 0x%02x in a string", c);
        if (escaped || c == '\\')
            dfx_text_add(&json->decoded, json->data + start, pos - start);
        if (c == '"')
            break;
        escaped = true;
        DFX_TRY(escape(json, &pos, err));
        start = pos;
    }
    if (json->decoded.failed)
        return dfx_fail_nomem(err);
    json->text = escaped ? json->decoded.data : json->data + start;
    json->text_size = escaped ? json->decoded.size : pos - start;
    json->pos = pos + 1;
    return DFX_OK;
}

/* Moves pos over one digit or more. */
static dfx_status
digits(dfx_json *json, dfx_error *err)
{
    if (peek(json) < '0' || peek(json) > '9')
        return unexpected(json, json->pos, "a digit", err);
    while (peek(json) >= '0' && peek(json) <= '9')
        json->pos++;
    return DFX_OK;
}

static dfx_status
read_number(dfx_json *json, dfx_error *err)
{
    size_t start = json->pos;

    if (peek(json) == '-')
        json->pos++;
    if (peek(json) == '0')
        json->pos++; /* alone: a digit after it is no part of the number */
    else
        DFX_TRY(digits(json, err));
    if (peek(json) == '.') {
        json->pos++;
        DFX_TRY(digits(json, err));
    }
    if (peek(json) == 'e' || peek(json) == 'E') {
        json->pos++;
        if (peek(json) == '+' || peek(json) == '-')
            json->pos++;
        DFX_TRY(digits(json, err));
    }
    json->text = json->data + start;
    json->text_size = json->pos - start;
    return DFX_OK;
}

/* The number that pos is at, if it is one of those that Python alone writes. */
static bool
read_python_number(dfx_json *json)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);

        if (json->size - json->pos < size ||
            memcmp(json->data + json->pos, words[i], size) != 0)
            continue;
        json->text = json->data + json->pos;
        json->text_size = size;
        json->pos += size;
        return true;
    }
    return false;
}

static dfx_status
read_word(dfx_json *json, const char *word, dfx_error *err)
{
    size_t size = strlen(word);

    if (json->size - json->pos < size ||
        memcmp(json->data + json->pos, word, size) != 0)
        return unexpected(json, json->pos, "a value", err);
    json->pos += size;
    return DFX_OK;
}

static dfx_status
open_container(dfx_json *json, bool object, dfx_error *err)
{
    unsigned char bit = (unsigned char)(1u << json->depth % 8);
    unsigned char *kinds = &json->kinds[json->depth / 8];

    if (json->depth == DFX_JSON_DEPTH)
        return dfx_fail(err, DFX_RULE_JSON_DEPTH, json->origin + json->pos,
                        "more than %d levels of nesting", DFX_JSON_DEPTH);
    *kinds = (unsigned char)(object ? *kinds | bit : *kinds & ~bit);
    json->depth++;
    json->pos++;
    json->state = object ? STATE_FIRST_KEY : STATE_FIRST_ITEM;
    return DFX_OK;
}

static void
close_container(dfx_json *json)
{
    json->depth--;
    json->pos++;
    json->state = json->depth == 0 ? STATE_DONE : STATE_AFTER;
}

/* ---- Events ----------------------------------------------------------- */

static dfx_status
read_value(dfx_json *json, dfx_json_event *event, dfx_error *err)
{
    char c = peek(json);

    json->at = json->pos;
    if (c == '{' || c == '[') {
        *event = c == '{' ? DFX_JSON_OBJECT : DFX_JSON_ARRAY;
        return open_container(json, c == '{', err);
    }
    json->state = json->depth == 0 ? STATE_DONE : STATE_AFTER;
    switch (c) {
    case '"':
        *event = DFX_JSON_STRING;
        return read_string(json, err);
    case 't':
        *event = DFX_JSON_TRUE;
        return read_word(json, "true", err);
    case 'f':
        *event = DFX_JSON_FALSE;
        return read_word(json, "false", err);
    case 'n':
        *event = DFX_JSON_NULL;
        return read_word(json, "null", err);
    default:
        *event = DFX_JSON_NUMBER;
        if (json->python_numbers && read_python_number(json))
            return DFX_OK;
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(json, err);
        return unexpected(json, json->pos, "a value", err);
    }
}

/* A key and its colon. */
static dfx_status
read_key(dfx_json *json, dfx_error *err)
{
    json->at = json->pos;
    if (peek(json) != '"')
        return unexpected(json, json->pos, "a key in double quotes", err);
    DFX_TRY(read_string(json, err));
    skip_space(json);
    if (peek(json) != ':')
        return unexpected(json, json->pos, "':' after a key", err);
    json->pos++;
    json->state = STATE_VALUE;
    return DFX_OK;
}

/* After a value in a container: what ends the container, or the next member. */
static dfx_status
read_after(dfx_json *json, dfx_json_event *event, dfx_error *err)
{
    bool object = in_object(json);

    if (peek(json) == (object ? '}' : ']')) {
        json->at = json->pos;
        *event = object ? DFX_JSON_OBJECT_END : DFX_JSON_ARRAY_END;
        close_container(json);
        return DFX_OK;
    }
    if (peek(json) != ',')
        return unexpected(json, json->pos, object ? "',' or '}'" : "',' or ']'",
                          err);
    json->pos++;
    skip_space(json);
    *event = DFX_JSON_KEY;
    return object ? read_key(json, err) : read_value(json, event, err);
}

dfx_status
dfx_json_next(dfx_json *json, dfx_json_event *event, dfx_error *err)
{
    if (json->state == STATE_DONE) {
        json->at = json->pos;
        *event = DFX_JSON_END;
        return DFX_OK;
    }
    skip_space(json);
    switch (json->state) {
    case STATE_FIRST_KEY:
        if (peek(json) == '}')
            return read_after(json, event, err);
        *event = DFX_JSON_KEY;
        return read_key(json, err);
    case STATE_FIRST_ITEM:
        if (peek(json) == ']')
            return read_after(json, event, err);
        return read_value(json, event, err);
    case STATE_AFTER:
        return read_after(json, event, err);
    default:
        return read_value(json, event, err);
    }
}

dfx_status
dfx_json_skip(dfx_json *json, dfx_json_event event, dfx_error *err)
{
    unsigned outside = json->depth - 1;

    if (event != DFX_JSON_OBJECT && event != DFX_JSON_ARRAY)
        return DFX_OK;
    while (json->depth > outside)
        DFX_TRY(dfx_json_next(json, &event, err));
    return DFX_OK;
}

const char *
dfx_json_keep(const dfx_json *json, dfx_arena *arena)
{
    if (json->text != json->decoded.data)
        return json->text;
    return dfx_arena_strndup(arena, json->text, json->text_size);
}

bool
dfx_json_u64(const dfx_json *json, uint64_t *value)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < json->text_size; i++) {
        char c = json->text[i];

        if (c < '0' || c > '9' || dfx_ckd_mul(&sum, sum, 10) ||
            dfx_ckd_add(&sum, sum, (uint64_t)(c - '0')))
            return false;
    }
    *value = sum;
    return json->text_size > 0;
}

/* ---- Duplicate keys --------------------------------------------------- */

typedef struct key {
    uint64_t hash;
    const char *text; /* borrowed: from the data or the arena */
    size_t size;
    size_t at;
} key;

/* The keys of all open objects, those of the innermost last. */
typedef struct keys {
    key *items; /* owned */
    size_t count, capacity;
    size_t starts[DFX_JSON_DEPTH]; /* where each level's keys begin */
    dfx_arena decoded;
} keys;

static int
compare_keys(const void *a, const void *b)
{
    const key *x = a, *y = b;
    int order;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    order = memcmp(x->text, y->text, x->size);
    if (order != 0)
        return order;
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool
same_key(const key *x, const key *y)
{
    return x->hash == y->hash && x->size == y->size &&
           memcmp(x->text, y->text, x->size) == 0;
}

static dfx_status
keys_add(keys *all, const dfx_json *json, dfx_error *err)
{
    const char *text = dfx_json_keep(json, &all->decoded);

    if (text == NULL ||
        !dfx_grow(&all->items, &all->capacity, all->count, sizeof *all->items))
        return dfx_fail_nomem(err);
    all->items[all->count++] =
        (key){.hash = dfx_hash_bytes(text, json->text_size),
              .text = text,
              .size = json->text_size,
              .at = json->at};
    return DFX_OK;
}

/* Fails about the second of two like keys. */
static dfx_status
duplicate(const dfx_json *json, const key *first, const key *second,
          dfx_error *err)
{
    size_t size = second->size;

    /* Cut for the message, but not inside a character. */
    if (size > 200)
        for (size = 200; (second->text[size] & 0xc0) == 0x80;)
            size--;
    return dfx_fail(err, DFX_RULE_JSON_DUPLICATE, json->origin + second->at,
                    "key \"%.*s\" was there already, at byte %" PRIu64,
                    (int)size, second->text, json->origin + first->at);
}

/* At the end of an object: its keys are checked and forgotten. */
static dfx_status
keys_close(keys *all, const dfx_json *json, dfx_finding_fn *found,
           void *context, dfx_error *err)
{
    size_t start = all->starts[json->depth];
    size_t count = all->count - start;
    key *items;

    all->count = start;
    if (count < 2)
        return DFX_OK;
    items = all->items + start;
    qsort(items, count, sizeof *items, compare_keys);
    for (size_t i = 1; i < count; i++) {
        dfx_error finding;
        dfx_status status;

        if (!same_key(&items[i - 1], &items[i]))
            continue;
        status = duplicate(json, &items[i - 1], &items[i],
                           found == NULL ? err : &finding);
        if (found == NULL)
            return status;
        found(context, &finding);
    }
    return DFX_OK;
}

dfx_status
dfx_json_check(const char *data, size_t size, uint64_t origin,
               dfx_finding_fn *found, void *context, size_t *end,
               dfx_error *err)
{
    dfx_json json;
    dfx_json_event event = DFX_JSON_NULL;
    dfx_status status = DFX_OK;
    keys all = {0};

    dfx_json_init(&json, data, size, origin);
    while (status == DFX_OK && event != DFX_JSON_END) {
        status = dfx_json_next(&json, &event, err);
        if (status != DFX_OK)
            break;
        if (event == DFX_JSON_OBJECT)
            all.starts[json.depth - 1] = all.count;
        else if (event == DFX_JSON_KEY)
            status = keys_add(&all, &json, err);
        else if (event == DFX_JSON_OBJECT_END)
            status = keys_close(&all, &json, found, context, err);
    }
    if (status == DFX_OK)
        *end = json.pos;
    free(all.items);
    dfx_arena_fini(&all.decoded);
    dfx_json_fini(&json);
    return status;
}

/* ---- Writing ---------------------------------------------------------- */

static void
quote_code(dfx_text *out, uint32_t code)
{
    if (code >= 0x10000) {
        code -= 0x10000;
        dfx_text_printf(out, "\\u%04" PRIx32, 0xd800 + (code >> 10));
        code = 0xdc00 + (code & 0x3ff);
    }
    dfx_text_printf(out, "\\u%04" PRIx32, code);
}

void
dfx_json_quote(dfx_text *out, const char *text, size_t size, bool ascii)
{
    static const char codes[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const unsigned char *s = (const unsigned char *)text;

    dfx_text_add(out, "\"", 1);
    for (size_t i = 0, n; i < size; i += n) {
        const char *code = s[i] == 0 ? NULL : strchr(codes, s[i]);

        n = utf8_sequence(s + i, size - i);
        if (code != NULL) {
            dfx_text_add(out, "\\", 1);
            dfx_text_add(out, &names[code - codes], 1);
        } else if (s[i] == 0xc0 && size - i > 1 && s[i + 1] == 0x80) {
            n = 2;
            quote_code(out, 0);
        } else if (n == 0) {
            n = 1; /* not UTF-8: the caller's fault, but no reason to stop */
            quote_code(out, 0xfffd);
        } else if (s[i] < 0x20 || (ascii && (s[i] == 0x7f || n > 1))) {
            quote_code(out, utf8_decode(s + i, n));
        } else {
            dfx_text_add(out, text + i, n);
        }
    }
    dfx_text_add(out, "\"", 1);
}
