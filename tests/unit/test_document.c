/*
 * test_document.c - JSON documents: strict reading, Python's writing
 *
 * Expected texts were printed by CPython 3.11: json.dumps(x, indent=2,
 * sort_keys=True, ensure_ascii=False) and repr(x).
 */
#include <config.h>

#include "document.h"

#include <dirent.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tap.h"

/* The document of a text; NULL, and err, if it is refused. */
static cJSON *
parse(const char *text, dfx_error *err)
{
    /* On the heap and without a NUL, so that a sanitizer sees overruns. */
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    cJSON *doc = NULL;

    memcpy(copy, text, size);
    if (dfx_doc_parse(copy, size, "x.json", &doc, err) != DFX_OK)
        doc = NULL;
    free(copy);
    return doc;
}

static void
check_print(const char *in, const char *want, const char *what)
{
    dfx_error err;
    cJSON *doc = parse(in, &err);
    char *got = doc != NULL ? dfx_doc_print(doc, true) : NULL;

    CHECK_TEXT(got != NULL ? got : "(refused)", want, what);
    free(got);
    cJSON_Delete(doc);
}

static void
test_print(void)
{
    check_print("{\"b\":[1,2],\"a\":{}}",
                "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2\n  ]\n}\n",
                "indent 2, sorted keys, {} for empty");
    check_print("[[],{},\"\",null,true,false]",
                "[\n  [],\n  {},\n  \"\",\n  null,\n  true,\n  false\n]\n",
                "empty containers and the three words");
    check_print("\"\\u00e9\\ud83d\\ude00\\u0001\\u007f\\/\\n\"",
                "\"\xc3\xa9\xf0\x9f\x98\x80\\u0001\x7f/\\n\"\n",
                "what is not ASCII is written as it is");
    check_print("{\"x\":1e-05,\"y\":1.0,\"z\":-0,\"w\":123456789012345678901}",
                "{\n  \"w\": 123456789012345678901,\n  \"x\": 1e-05,\n"
                "  \"y\": 1.0,\n  \"z\": -0\n}\n",
                "numbers keep their spelling");
    check_print("[-Infinity, Infinity, NaN]",
                "[\n  -Infinity,\n  Infinity,\n  NaN\n]\n",
                "Python's three numbers that JSON does not have");
    check_print(" \r\n\t7 \n", "7\n", "white space around a scalar");
    check_print("{\"\xc3\xa9\":1,\"z\":2,\"Z\":3}",
                "{\n  \"Z\": 3,\n  \"z\": 2,\n  \"\xc3\xa9\": 1\n}\n",
                "keys sort by code point");
}

static void
test_order_and_compact(void)
{
    dfx_error err;
    cJSON *doc = parse("{\"b\": [1, {}], \"a\": \"x\"}", &err);
    char *kept = dfx_doc_print(doc, false);
    char *compact = dfx_doc_print_compact(doc);

    CHECK_TEXT(kept, "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"x\"\n}\n",
               "the order stays unless sorted");
    CHECK_TEXT(compact, "{\"b\":[1,{}],\"a\":\"x\"}", "compact");
    free(kept);
    free(compact);
    cJSON_Delete(doc);
}

static void
test_refused(void)
{
    static const struct {
        const char *text, *rule, *what;
    } rows[] = {
        {"", "json.syntax", "nothing"},
        {"{} x", "json.syntax", "something after the value"},
        {"{\"a\":1,}", "json.syntax", "a trailing comma"},
        {"{'a':1}", "json.syntax", "single quotes"},
        {"\xef\xbb\xbf{}", "json.syntax", "a byte order mark"},
        {"{\"a\":1", "json.syntax", "a cut object"},
        {"[01]", "json.syntax", "a leading zero"},
        {"[Infinit]", "json.syntax", "half a word"},
        {"[+1]", "json.syntax", "a plus sign"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "json.duplicate-key", "a key twice"},
        {"[{\"x\":{\"a\":1,\"\\u0061\":1}}]", "json.duplicate-key",
         "a key twice once its escape is decoded, deeper down"},
        {"\"\\u0000\"", "json.string", "U+0000 in a string"},
        {"{\"a\\u0000b\":1}", "json.string", "U+0000 in a key"},
        {"\"\xff\"", "json.utf8", "a byte that is no UTF-8"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_error err = {.rule = "(accepted)"};
        cJSON *doc = parse(rows[i].text, &err);

        CHECK_TEXT(err.rule, rows[i].rule, rows[i].what);
        cJSON_Delete(doc);
    }
}

static void
test_file_is_named(void)
{
    dfx_error err;

    CHECK(parse("[", &err) == NULL, "a cut list is refused");
    CHECK_TEXT(err.file, "x.json", "and the message names the document");
}

static void
test_depth(void)
{
    enum { LIMIT = 128 };
    char text[2 * (LIMIT + 1) + 1];
    dfx_error err = {0};
    cJSON *doc;
    char *printed;

    memset(text, '[', LIMIT);
    memset(text + LIMIT, ']', LIMIT);
    text[2 * LIMIT] = '\0';
    doc = parse(text, &err);
    CHECK(doc != NULL, "128 levels are read");
    printed = dfx_doc_print_compact(doc);
    CHECK_TEXT(printed, text, "and printed");
    free(printed);
    cJSON_Delete(doc);
    memset(text, '[', LIMIT + 1);
    memset(text + LIMIT + 1, ']', LIMIT + 1);
    text[2 * (LIMIT + 1)] = '\0';
    CHECK(parse(text, &err) == NULL, "129 levels are not");
    CHECK_TEXT(err.rule, "json.depth", "by the rule on depth");
}

static void
test_new_number(void)
{
    static const struct {
        double value;
        const char *want;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-2.5, "-2.5"},
        {0.18215, "0.18215"},
        {0.13025, "0.13025"},
        {0.00085, "0.00085"},
        {1e-5, "1e-05"},
        {1e-6, "1e-06"},
        {0.0001, "0.0001"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3.0, "0.3333333333333333"},
        {120.0, "120.0"},
        {1234567.5, "1234567.5"},
        {1e15, "1000000000000000.0"},
        {9007199254740993.0, "9007199254740992.0"},
        {1e16, "1e+16"},
        {1.5e300, "1.5e+300"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "5e-324"},
        {-1.25e-7, "-1.25e-07"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *node = dfx_doc_new_number(rows[i].value);
        double back = 0;

        CHECK_TEXT(node->valuestring, rows[i].want, rows[i].want);
        CHECK(dfx_doc_number(node, &back) && back == rows[i].value,
              "reads back the same");
        cJSON_Delete(node);
    }
}

/* A comma for a point, where the system has such a locale. */
static void
test_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    cJSON *node;
    double back = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_ALL, names[i]) != NULL)
            break;
    node = dfx_doc_new_number(0.18215);
    CHECK_TEXT(node->valuestring, "0.18215", "a point in every locale");
    CHECK(dfx_doc_number(node, &back) && back == 0.18215, "also read");
    cJSON_Delete(node);
    setlocale(LC_ALL, "C");
}

static void
test_members(void)
{
    dfx_error err;
    cJSON *doc = parse("{\"n\":-12,\"f\":1.5,\"big\":9223372036854775808,"
                       "\"s\":\"x\",\"e\":1e3}",
                       &err);
    int64_t n = 0;
    double f = 0;

    CHECK(dfx_doc_int(dfx_doc_get(doc, "n"), &n) && n == -12, "an integer");
    CHECK(!dfx_doc_int(dfx_doc_get(doc, "f"), &n), "1.5 is none");
    CHECK(!dfx_doc_int(dfx_doc_get(doc, "e"), &n), "1e3 is none");
    CHECK(!dfx_doc_int(dfx_doc_get(doc, "big"), &n), "2^63 does not fit");
    CHECK(!dfx_doc_int(dfx_doc_get(doc, "s"), &n), "a string is none");
    CHECK(!dfx_doc_int(dfx_doc_get(doc, "none"), &n), "nor is what lacks");
    CHECK(dfx_doc_number(dfx_doc_get(doc, "e"), &f) && f == 1000, "a number");
    CHECK_TEXT(dfx_doc_string(doc, "s"), "x", "a string");
    CHECK(dfx_doc_string(doc, "n") == NULL, "a number is no string");
    CHECK(dfx_doc_get(doc, "S") == NULL, "case matters");
    CHECK(dfx_doc_set(doc, "n", dfx_doc_new_int(INT64_MIN)), "replaced");
    CHECK(dfx_doc_int(dfx_doc_get(doc, "n"), &n) && n == INT64_MIN,
          "by the smallest integer");
    CHECK(dfx_doc_set(doc, "N", cJSON_CreateTrue()), "added");
    CHECK(!dfx_doc_set(doc, "x", NULL), "not without a node");
    CHECK_U64((uint64_t)cJSON_GetArraySize(doc), 6, "six members");
    cJSON_Delete(doc);
}

static void
test_equal(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true},
        {"1e-5", "0.00001", true},
        {"9007199254740993", "9007199254740992", false},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"{\"a\":1}", "{\"A\":1}", false},
        {"null", "false", false},
        {"\"1\"", "1", false},
        {"-Infinity", "-Infinity", true},
        {"NaN", "NaN", true},
        {"[]", "{}", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_error err;
        cJSON *a = parse(rows[i].a, &err), *b = parse(rows[i].b, &err);

        CHECK(dfx_doc_equal(a, b) == rows[i].same, rows[i].a);
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
}

static void
test_prefixes(void)
{
    static const char good[] =
        "{\"a\": [1.5e3, {\"b\\n\": null}], \"c\": \"\\ud83d\\ude00\", "
        "\"d\": -Infinity}";
    size_t accepted = 0;

    for (size_t n = 0; n + 1 < sizeof good; n++) {
        char *text = strndup(good, n);
        dfx_error err;
        cJSON *doc = parse(text, &err);

        accepted += doc != NULL;
        cJSON_Delete(doc);
        free(text);
    }
    CHECK_U64(accepted, 0, "no prefix of a good text is accepted");
}

static char *
load(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    char *text = NULL;
    struct stat st;

    if (in == NULL)
        return NULL;
    if (fstat(fileno(in), &st) == 0) {
        text = malloc((size_t)st.st_size + 1);
        *size = fread(text, 1, (size_t)st.st_size, in);
        text[*size] = '\0';
    }
    fclose(in);
    return text;
}

/* Counts of the walk over real configs. */
typedef struct tally {
    size_t read, same, other;
} tally;

static void
try_file(const char *path, tally *sum)
{
    size_t size = 0;
    char *text = load(path, &size);
    dfx_error err = {0};
    cJSON *doc = NULL;
    char *printed;

    if (text == NULL || dfx_doc_parse(text, size, path, &doc, &err) != DFX_OK) {
        printf("# %s: %s\n", path, err.text);
        sum->other++;
        free(text);
        return;
    }
    printed = dfx_doc_print(doc, false);
    sum->read++;
    sum->same += strcmp(printed, text) == 0;
    free(printed);
    cJSON_Delete(doc);
    free(text);
}

static void
walk(const char *path, unsigned depth, tally *sum)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL) {
        size_t size = strlen(entry->d_name);
        char inner[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0)
            try_file(inner, sum);
        else if (depth < 4)
            walk(inner, depth + 1, sum);
    }
    closedir(folder);
}

static void
test_real_configs(void)
{
    const char *srcdir = getenv("srcdir");
    tally sum = {0};
    char path[4096];

    snprintf(path, sizeof path, "%s/formats/configs",
             srcdir != NULL ? srcdir : ".");
    walk(path, 0, &sum);
    printf("# %zu configs read, %zu printed back byte for byte\n", sum.read,
           sum.same);
    CHECK_U64(sum.other, 0, "every config in formats/configs is read");
    CHECK(sum.read >= 100 && sum.same == sum.read,
          "and printed back byte for byte");
}

int
main(void)
{
    test_print();
    test_order_and_compact();
    test_refused();
    test_file_is_named();
    test_depth();
    test_new_number();
    test_locale();
    test_members();
    test_equal();
    test_prefixes();
    test_real_configs();
    return tap_end();
}
