/*
 * test_json.c - the strict JSON reader
 *
 * What is legal is RFC 8259's; each text stands in a heap block of its own size
 * so that AddressSanitizer sees a read past its end.
 */
#include <config.h>

#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* Reads text to its end: "{k:s,[n,]}" with a letter for each event, or the rule
   broken and where. free() it. */
static char *
events_of(const char *text, size_t size)
{
    static const char *const letters[] = {
        [DFX_JSON_END] = ".",        [DFX_JSON_OBJECT] = "{",
        [DFX_JSON_OBJECT_END] = "}", [DFX_JSON_ARRAY] = "[",
        [DFX_JSON_ARRAY_END] = "]",  [DFX_JSON_KEY] = "k",
        [DFX_JSON_STRING] = "s",     [DFX_JSON_NUMBER] = "n",
        [DFX_JSON_TRUE] = "t",       [DFX_JSON_FALSE] = "f",
        [DFX_JSON_NULL] = "0"};
    char *copy = malloc(size == 0 ? 1 : size);
    dfx_json_event event = DFX_JSON_NULL;
    dfx_text out = {0};
    dfx_error err = {.rule = ""};
    dfx_json json;

    if (copy == NULL)
        abort();
    memcpy(copy, text, size);
    dfx_json_init(&json, copy, size, 1000);
    while (event != DFX_JSON_END) {
        if (dfx_json_next(&json, &event, &err) != DFX_OK) {
            out.size = 0;
            dfx_text_printf(&out, "%s at %d", err.rule, (int)err.offset - 1000);
            break;
        }
        dfx_text_puts(&out, letters[event]);
    }
    dfx_json_fini(&json);
    free(copy);
    return out.data;
}

static void
test_events(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"{}", "{}."},
        {"[]", "[]."},
        {" \t\r\n{ } ", "{}."},
        {"\"\"", "s."},
        {"0", "n."},
        {"-0", "n."},
        {"-12.5e+3", "n."},
        {"1E9", "n."},
        {"1e-05", "n."},
        {"true", "t."},
        {"false", "f."},
        {"null", "0."},
        {"{\"a\":1}", "{kn}."},
        {"{\"a\" : [ 1 , { \"b\" : null } ] , \"c\" : \"d\" }",
         "{k[n{k0}]ks}."},
        {"[[[]],[]]", "[[[]][]]."},
        {"0 trailing is the caller's", "n."},
        {"", "json.syntax at 0"},
        {"  ", "json.syntax at 2"},
        {"{", "json.syntax at 1"},
        {"[", "json.syntax at 1"},
        {"[1", "json.syntax at 2"},
        {"[1,]", "json.syntax at 3"},
        {"[,1]", "json.syntax at 1"},
        {"[1 2]", "json.syntax at 3"},
        {"[1}", "json.syntax at 2"},
        {"{\"a\":1]", "json.syntax at 6"},
        {"{\"a\":1,}", "json.syntax at 7"},
        {"{\"a\"}", "json.syntax at 4"},
        {"{\"a\" 1}", "json.syntax at 5"},
        {"{\"a\":}", "json.syntax at 5"},
        {"{a:1}", "json.syntax at 1"},
        {"{'a':1}", "json.syntax at 1"},
        {"{1:1}", "json.syntax at 1"},
        {"[/**/]", "json.syntax at 1"},
        {"[//\n]", "json.syntax at 1"},
        {"nul", "json.syntax at 0"},
        {"True", "json.syntax at 0"},
        {"NaN", "json.syntax at 0"},
        {"Infinity", "json.syntax at 0"},
        {"+1", "json.syntax at 0"},
        {"[01]", "json.syntax at 2"},
        {"[-01]", "json.syntax at 3"},
        {"-", "json.syntax at 1"},
        {"1.", "json.syntax at 2"},
        {".5", "json.syntax at 0"},
        {"1e", "json.syntax at 2"},
        {"1e+", "json.syntax at 3"},
        {"[0x10]", "json.syntax at 2"},
        {"\xef\xbb\xbf{}", "json.syntax at 0"},
        {"\"", "json.syntax at 1"},
        {"\"a", "json.syntax at 2"},
        {"\"\\", "json.syntax at 2"},
        {"\"a\nb\"", "json.string at 2"},
        {"\"\x1f\"", "json.string at 1"},
        {"\"\\x41\"", "json.string at 1"},
        {"\"\\'\"", "json.string at 1"},
        {"\"\\u12\"", "json.string at 1"},
        {"\"\\u12g4\"", "json.string at 1"},
        {"\"\\u", "json.string at 1"},
        {"\"\\ud800\"", "json.string at 1"},
        {"\"\\ud800\\n\"", "json.string at 1"},
        {"\"\\ud800\\u0041\"", "json.string at 1"},
        {"\"\\ud800\\ud800\"", "json.string at 1"},
        {"\"\\ud800\\ue000\"", "json.string at 1"},
        {"\"\\ud800\\udbff\"", "json.string at 1"},
        {"\"\\udc00\"", "json.string at 1"},
        {"\"\\ud800\\u", "json.string at 1"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = events_of(rows[i].text, strlen(rows[i].text));
        char what[128];

        snprintf(what, sizeof what, "events of row %zu", i);
        CHECK_TEXT(got, rows[i].want, what);
        free(got);
    }
}

/* A NUL is a byte like another: never an end. */
static void
test_nul_bytes(void)
{
    char *got = events_of("[1\0]", 4);

    CHECK_TEXT(got, "json.syntax at 2", "NUL between tokens");
    free(got);
    got = events_of("\"\0\"", 3);
    CHECK_TEXT(got, "json.string at 1", "NUL in a string");
    free(got);
    got = events_of("\"\\\0\"", 4);
    CHECK_TEXT(got, "json.string at 1", "NUL after a backslash");
    free(got);
}

static void
test_prefixes(void)
{
    static const char text[] =
        "{\"a\\u00e9\\ud83d\\ude00\":[-1.5e+3,true,false,null,\"\\n\"],"
        "\"b\":{}}";
    size_t accepted = 0;

    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *got = events_of(text, n);

        accepted += strncmp(got, "json.s", 6) != 0;
        free(got);
    }
    CHECK_U64(accepted, 0, "each prefix of an object is refused");
}

static void
test_texts(void)
{
    static const struct {
        const char *text, *want;
        size_t size;
    } rows[] = {
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\\u0041\\u007F\"", "A\x7f", 2},
        {"\"\\u0080\\u07ff\"", "\xc2\x80\xdf\xbf", 4},
        {"\"\\u0800\\uFFFF\"", "\xe0\xa0\x80\xef\xbf\xbf", 6},
        {"\"\\ud83d\\uDE00\"", "\xf0\x9f\x98\x80", 4},
        {"\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         8},
        {"\"x\\ty\xc3\xa9z\"", "x\ty\xc3\xa9z", 6},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_json_event event = DFX_JSON_NULL;
        char what[64];
        dfx_json json;

        dfx_json_init(&json, rows[i].text, strlen(rows[i].text), 0);
        snprintf(what, sizeof what, "the string of row %zu", i);
        CHECK(dfx_json_next(&json, &event, NULL) == DFX_OK &&
                  event == DFX_JSON_STRING && json.text_size == rows[i].size &&
                  memcmp(json.text, rows[i].want, rows[i].size) == 0,
              what);
        dfx_json_fini(&json);
    }
}

static void
test_integers(void)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t want;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"9007199254740993", true, 9007199254740993}, /* 2^53 + 1 */
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551618", false, 0}, /* 2 after wrapping */
        {"100000000000000000000", false, 0},
        {"-0", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_json_event event = DFX_JSON_NULL;
        uint64_t value = 0;
        dfx_json json;

        dfx_json_init(&json, rows[i].text, strlen(rows[i].text), 0);
        if (dfx_json_next(&json, &event, NULL) != DFX_OK)
            abort();
        CHECK(dfx_json_u64(&json, &value) == rows[i].good &&
                  value == rows[i].want,
              rows[i].text);
        dfx_json_fini(&json);
    }
}

/* depth times open, then close as often. */
static char *
nested(size_t depth, const char *open, const char *close)
{
    dfx_text text = {0};

    for (size_t i = 0; i < depth; i++)
        dfx_text_puts(&text, open);
    dfx_text_puts(&text, "0");
    for (size_t i = 0; i < depth; i++)
        dfx_text_puts(&text, close);
    return text.data;
}

static void
test_depth(void)
{
    char *text = nested(128, "[", "]");
    size_t end = 0;
    dfx_error err = {.rule = ""};

    CHECK(dfx_json_check(text, strlen(text), 0, NULL, NULL, &end, &err) ==
                  DFX_OK &&
              end == strlen(text),
          "128 levels of lists are legal");
    free(text);
    text = nested(128, "{\"a\":", "}");
    CHECK(dfx_json_check(text, strlen(text), 0, NULL, NULL, &end, &err) ==
              DFX_OK,
          "so are 128 levels of objects");
    free(text);
    text = nested(129, "[", "]");
    CHECK(dfx_json_check(text, strlen(text), 0, NULL, NULL, &end, &err) ==
              DFX_ERR_FORMAT,
          "129 are not");
    CHECK_TEXT(err.rule, "json.depth", "  by rule");
    CHECK_U64(err.offset, 128, "  at the 129th");
    free(text);
    text = nested(1000000, "[{\"a\":", "}]");
    CHECK(dfx_json_check(text, strlen(text), 0, NULL, NULL, &end, &err) ==
              DFX_ERR_FORMAT,
          "a million levels neither");
    free(text);
}

static void
test_skip(void)
{
    static const char text[] = "{\"a\":[1,{\"b\":[]},\"]\"],\"c\":2}";
    dfx_json_event event = DFX_JSON_NULL;
    dfx_json json;

    dfx_json_init(&json, text, sizeof text - 1, 0);
    for (int i = 0; i < 3; i++)
        if (dfx_json_next(&json, &event, NULL) != DFX_OK)
            abort();
    CHECK(event == DFX_JSON_ARRAY &&
              dfx_json_skip(&json, event, NULL) == DFX_OK &&
              dfx_json_next(&json, &event, NULL) == DFX_OK &&
              event == DFX_JSON_KEY && json.text[0] == 'c',
          "after a list that is skipped comes the next key");
    CHECK(dfx_json_next(&json, &event, NULL) == DFX_OK &&
              dfx_json_skip(&json, event, NULL) == DFX_OK &&
              dfx_json_next(&json, &event, NULL) == DFX_OK &&
              event == DFX_JSON_OBJECT_END,
          "a number is skipped by doing nothing");
    dfx_json_fini(&json);
}

static void
count_finding(void *context, const dfx_error *finding)
{
    int *count = context;

    *count += strcmp(finding->rule, "json.duplicate-key") == 0;
}

static void
test_duplicates(void)
{
    static const struct {
        const char *text;
        int count;
        uint64_t offset; /* of the first */
    } rows[] = {
        {"{\"a\":1,\"b\":1}", 0, 0},
        {"{\"a\":1,\"a\":1}", 1, 7},
        {"{\"a\":1,\"\\u0061\":1}", 1, 7},
        {"{\"\":1,\"\":1}", 1, 6},
        {"{\"a\":1,\"a\\u0000\":1}", 0, 0},
        {"{\"a\":{\"a\":1},\"b\":{\"a\":1}}", 0, 0},
        {"{\"b\":1,\"a\":{\"b\":1,\"c\":[{\"d\":1,\"d\":2}]}}", 1, 30},
        {"{\"a\":{\"x\":1,\"y\":2},\"b\":1,\"a\":2}", 1, 25},
        {"[{\"a\":1},{\"a\":1}]", 0, 0},
        {"{\"a\":1,\"a\":2,\"a\":3,\"b\":1,\"b\":2}", 3, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].text;
        size_t end = 0, size = strlen(text);
        dfx_error err = {.rule = ""};
        int count = 0;
        dfx_status status =
            dfx_json_check(text, size, 0, NULL, NULL, &end, &err);

        CHECK(rows[i].count == 0
                  ? status == DFX_OK
                  : status == DFX_ERR_FORMAT &&
                        strcmp(err.rule, "json.duplicate-key") == 0 &&
                        (rows[i].offset == 0 || err.offset == rows[i].offset),
              text);
        CHECK(dfx_json_check(text, size, 0, count_finding, &count, &end,
                             NULL) == DFX_OK &&
                  count == rows[i].count && end == size,
              "  all of them are found");
    }
}

/* Table 3-7 of the Unicode standard: each range's edges, both sides. */
static void
test_utf8(void)
{
    static const struct {
        const char *text;
        size_t bad; /* size: valid */
    } rows[] = {
        {"plain ASCII, more than eight bytes\x7f", 35},
        {"\xc2\x80\xdf\xbf", 4},
        {"\xe0\xa0\x80\xec\xbf\xbf\xed\x80\x80\xed\x9f\xbf\xee\x80\x80", 15},
        {"\xef\xbf\xbf\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf", 15},
        {"1234567\xc3\xa9 1234567890", 20},
        {"\x80", 0},
        {"a\xbf", 1},
        {"\xc0\x80", 0}, /* U+0000 in two bytes */
        {"\xc1\xbf", 0},
        {"\xc3", 0},
        {"\xc3(", 0},
        {"\xe0\x9f\xbf", 0}, /* overlong */
        {"\xe0\xa0", 0},
        {"\xe0\xa0(", 0},
        {"\xed\xa0\x80", 0}, /* U+D800 */
        {"\xed\xbf\xbf", 0},
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xf0\x90\x80", 0},
        {"\xf4\x90\x80\x80", 0}, /* U+110000 */
        {"\xf5\x80\x80\x80", 0},
        {"\xfe", 0},
        {"\xff", 0},
        {"123456789abcdef\xff", 15},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i].text), bad = size;
        char *copy = malloc(size), what[64];

        if (copy == NULL)
            abort();
        memcpy(copy, rows[i].text, size);
        snprintf(what, sizeof what, "UTF-8 of row %zu", i);
        CHECK(dfx_utf8_valid(copy, size, &bad) == (rows[i].bad == size) &&
                  bad == rows[i].bad,
              what);
        free(copy);
    }
    CHECK(dfx_utf8_valid("", 0, NULL), "no bytes are valid");
}

static void
test_quote(void)
{
    static const struct {
        const char *text, *raw, *ascii;
    } rows[] = {
        {"", "\"\"", "\"\""},
        {"a/b", "\"a/b\"", "\"a/b\""},
        {"\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"",
         "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {"\x01\x1b\x1f\x7f", "\"\\u0001\\u001b\\u001f\x7f\"",
         "\"\\u0001\\u001b\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x80\xa8", "\"\xc3\xa9\xe2\x80\xa8\"",
         "\"\\u00e9\\u2028\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\""},
        {"a\xc0\x80", "\"a\\u0000\"", "\"a\\u0000\""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_text raw = {0}, ascii = {0};

        dfx_json_quote(&raw, rows[i].text, strlen(rows[i].text), false);
        dfx_json_quote(&ascii, rows[i].text, strlen(rows[i].text), true);
        CHECK_TEXT(raw.data, rows[i].raw, "quoted as serde_json does");
        CHECK_TEXT(ascii.data, rows[i].ascii, "quoted as Python does");
        dfx_text_fini(&raw);
        dfx_text_fini(&ascii);
    }
}

int
main(void)
{
    test_events();
    test_nul_bytes();
    test_prefixes();
    test_texts();
    test_integers();
    test_depth();
    test_skip();
    test_duplicates();
    test_utf8();
    test_quote();
    return tap_end();
}
