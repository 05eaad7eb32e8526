/*
 * unicode.c - text as the tokenizers see it: normalised, and in classes
 *
 * Tables and composition are utf8proc's. Marks are put into order here: its own
 * sort is quadratic in how many follow each other.
 */
#include <config.h>

#include "tokenizers/unicode.h"

#include <stdlib.h>

#include <utf8proc.h>

enum {
    DECOMPOSED_MAX = 4, /* of one character by NFD; Unicode 15 has 4 */
    CAPITAL_DOTTED_I = 0x130,
    DOT_ABOVE = 0x307,
};

/* The property White_Space of Unicode 15. */
static bool
is_space(utf8proc_int32_t c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static utf8proc_int32_t
next(const char *text, size_t size, size_t *at)
{
    utf8proc_int32_t c = 0;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + *at,
                                          (utf8proc_ssize_t)(size - *at), &c);

    *at += n > 0 ? (size_t)n : 1; /* valid text has no other */
    return c;
}

static int
by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Runs of marks by their combining class; those of one class stay in order.
   keys has room for count. */
static void
order_marks(utf8proc_int32_t *codes, size_t count, uint64_t *keys)
{
    for (size_t i = 0; i < count;) {
        size_t n = 0;

        for (; i + n < count; n++) {
            uint64_t class =
                (uint64_t)utf8proc_get_property(codes[i + n])->combining_class;

            if (class == 0)
                break;
            keys[n] = class << 56 | (uint64_t)n << 21 | (uint64_t)codes[i + n];
        }
        if (n > 1)
            qsort(keys, n, sizeof *keys, by_number);
        for (size_t k = 0; k < n; k++)
            codes[i + k] = (utf8proc_int32_t)(keys[k] & 0x1fffff);
        i += n + 1;
    }
}

/* NFC. *codes is owned. */
static bool
compose(const char *text, size_t size, utf8proc_int32_t **codes, size_t *count)
{
    size_t capacity = size * DECOMPOSED_MAX;
    uint64_t *keys;
    utf8proc_ssize_t n;

    *count = 0;
    *codes = calloc(capacity + 1, sizeof **codes);
    if (*codes == NULL)
        return false;
    for (size_t at = 0; at < size;) {
        n = utf8proc_decompose_char(next(text, size, &at), *codes + *count,
                                    DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, NULL);
        if (n < 0 || n > DECOMPOSED_MAX)
            return false;
        *count += (size_t)n;
    }
    keys = calloc(*count + 1, sizeof *keys);
    if (keys == NULL)
        return false;
    order_marks(*codes, *count, keys);
    free(keys);
    n = utf8proc_normalize_utf32(*codes, (utf8proc_ssize_t)*count,
                                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    *count = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

size_t
dfx_unicode_put(uint32_t code, char text[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code,
                                        (utf8proc_uint8_t *)text);
}

static void
add(dfx_text *out, utf8proc_int32_t code)
{
    char text[4];

    dfx_text_add(out, text, dfx_unicode_put((uint32_t)code, text));
}

bool
dfx_unicode_normalize(const char *text, size_t size, dfx_text *out)
{
    utf8proc_int32_t *codes = NULL;
    size_t count = 0;
    bool good = compose(text, size, &codes, &count);

    for (size_t i = 0; good && i < count; i++) {
        utf8proc_int32_t c = codes[i];

        if (is_space(c)) {
            if (i == 0 || !is_space(codes[i - 1]))
                add(out, ' ');
        } else if (c == CAPITAL_DOTTED_I) {
            /* The one whose lower case is two characters (SpecialCasing.txt) */
            add(out, 'i');
            add(out, DOT_ABOVE);
        } else {
            add(out, utf8proc_tolower(c));
        }
    }
    free(codes);
    return good && !out->failed;
}

dfx_unicode_class
dfx_unicode_classify(const char *text, size_t size, size_t *bytes)
{
    utf8proc_category_t category;
    utf8proc_int32_t c;

    *bytes = 0;
    c = next(text, size, bytes);
    category = utf8proc_category(c);
    if (is_space(c))
        return DFX_UNICODE_SPACE;
    /* Lu Ll Lt Lm Lo and Nd Nl No follow each other. */
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return DFX_UNICODE_LETTER;
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return DFX_UNICODE_NUMBER;
    return DFX_UNICODE_OTHER;
}
