/*
 * test_sharded.c - shard indexes that lie, and bids
 *
 * What is legal and how sets are cut is tested against the reference's files in
 * tests/golden/test_safetensors.c.
 */
#include <config.h>

#include "registry.h"

#include <stdlib.h>

#include "scratch.h"
#include "tap.h"

#define INDEX "x.safetensors.index.json"

extern const dfx_format dfx_format_sharded;

/* A file of U8 tensors of one byte, named by the letters of names. */
static void
write_shard(const char *path, const char *names, const char *metadata)
{
    char file[1024] = "";
    size_t n = 8, count = strlen(names);

    n += (size_t)sprintf(file + n, "{\"__metadata__\":{%s}", metadata);
    for (size_t i = 0; i < count; i++)
        n += (size_t)sprintf(file + n,
                             ",\"%c\":{\"dtype\":\"U8\",\"shape\":[],\"data_"
                             "offsets\":[%zu,%zu]}",
                             names[i], i, i + 1);
    file[n++] = '}';
    file[0] = (char)((n - 8) & 0xff);
    file[1] = (char)((n - 8) >> 8);
    memcpy(file + n, names, count);
    scratch_write(path, file, n + count);
}

static void
count_finding(void *context, const dfx_error *finding)
{
    dfx_text *rules = context;

    dfx_text_printf(rules, "%s%s", rules->size > 0 ? " " : "", finding->rule);
    if (finding->file[0] == '\0')
        dfx_text_puts(rules, "(no file)");
}

static void
check_index(const char *text, const char *rule, const char *found)
{
    dfx_error err = {.rule = ""};
    dfx_index *index = NULL;
    dfx_text rules = {0};
    dfx_status status;

    scratch_write(INDEX, text, strlen(text));
    status = dfx_open("./" INDEX, NULL, &index, &err);
    CHECK(rule == NULL ? status == DFX_OK : status != DFX_OK, text);
    if (status != DFX_OK && rule != NULL) {
        CHECK_TEXT(err.rule, rule, "  by rule");
        CHECK(err.file[0] != '\0', "  with the file");
    }
    dfx_index_free(index);
    status = dfx_validate("./" INDEX, NULL, count_finding, &rules, &err);
    CHECK(status == DFX_OK, "  it can be judged");
    CHECK_TEXT(rules.data == NULL ? "" : rules.data, found, "  and is");
    dfx_text_fini(&rules);
}

/* "{"weight_map":{...}}" around pairs. */
static void
check_map(const char *pairs, const char *rule, const char *found)
{
    char text[1024];

    snprintf(text, sizeof text, "{\"weight_map\":{%s}}", pairs);
    check_index(text, rule, found);
}

static void
test_indexes(void)
{
    static const struct {
        const char *text, *rule;
    } rows[] = {
        {"{\"weight_map\":[]}", "shard.index"},
        {"{\"weight_map\":7,\"weight_map\":{}}", "json.duplicate-key"},
        {"{\"weight_map\":{\"a\":\"1.st\"},}", "json.syntax"},
        {"{\"weight_map\":{\"a\":\"1.st\"}} x", "json.syntax"},
        {"{\"weight_map\":{\"a\xff\":\"1.st\"}}", "json.utf8"},
        {"{\"metadata\":{\"total_size\":2}}", "shard.index"},
        {"[]", "shard.index"},
        {"", "json.syntax"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_open_options options = {.format = "sharded"};
        dfx_error err = {.rule = ""};
        dfx_index *index = NULL;

        scratch_write(INDEX, rows[i].text, strlen(rows[i].text));
        CHECK(dfx_open(INDEX, &options, &index, &err) == DFX_ERR_FORMAT,
              rows[i].text);
        CHECK_TEXT(err.rule, rows[i].rule, "  by rule");
    }
}

static void
test_maps(void)
{
    write_shard("1.st", "ab", "\"format\":\"pt\"");
    write_shard("2.st", "c", "\"format\":\"pt\"");
    scratch_write("bad.safetensors", "\x02\0\0\0\0\0\0\0{]", 10);

    check_map("\"a\":\"1.st\",\"c\":\"2.st\",\"b\":\"1.st\"", NULL, "");
    check_map("", NULL, "");
    check_map("\"a\":\"1.st\",\"a\":\"1.st\",\"b\":\"1.st\"",
              "json.duplicate-key", "json.duplicate-key");
    check_map("\"a\":\"1.st\",\"\\u0061\":\"2.st\",\"b\":\"1.st\"",
              "json.duplicate-key",
              "json.duplicate-key shard.tensor shard.tensor");
    check_map("\"a\":7", "shard.index", "shard.index");
    check_map("\"a\":{\"b\":\"1.st\"}", "shard.index", "shard.index");
    check_map("\"a\":\"/etc/passwd\"", "shard.path", "shard.path");
    check_map("\"a\":\"../1.st\"", "shard.path", "shard.path");
    check_map("\"a\":\"x/1.st\"", "shard.path", "shard.path");
    check_map("\"a\":\"x\\\\1.st\"", "shard.path", "shard.path");
    check_map("\"a\":\"..\"", "shard.path", "shard.path");
    check_map("\"a\":\".\"", "shard.path", "shard.path");
    check_map("\"a\":\"\"", "shard.path", "shard.path");
    check_map("\"a\":\"1.st\\u0000x\"", "shard.path", "shard.path");
    check_map("\"a\":\"\\u002e\\u002e\\u002f1.st\"", "shard.path",
              "shard.path");
    check_map("\"a\":\"3.st\"", "shard.missing", "shard.missing");
    check_map("\"a\":\"2.st\",\"b\":\"1.st\",\"c\":\"2.st\"", "shard.tensor",
              "shard.tensor shard.tensor");
    check_map("\"a\":\"1.st\",\"b\":\"1.st\",\"d\":\"1.st\"", "shard.tensor",
              "shard.tensor");
    check_map("\"x\":\"bad.safetensors\"", "st.json.syntax", "st.json.syntax");
    check_map("\"a\":\"1.st\",\"b\":\"1.st\",\"x\":\"bad.safetensors\",\"y\":"
              "\"4.st\"",
              "shard.missing", "shard.missing st.json.syntax");
    check_map("\"a\":\"" INDEX "\"", "shard.index", "shard.index");
}

static void
test_extra_tensor(void)
{
    const char *text = "{\"weight_map\":{\"a\":\"1.st\"}}";
    dfx_index *index = NULL;
    dfx_text rules = {0};

    write_shard("1.st", "ab", "");
    scratch_write(INDEX, text, strlen(text));
    CHECK(dfx_open(INDEX, NULL, &index, NULL) == DFX_OK &&
              index->tensor_count == 2 && index->warning_count == 1,
          "a tensor that only its shard knows is read with a warning");
    dfx_index_free(index);
    CHECK(dfx_validate(INDEX, NULL, count_finding, &rules, NULL) == DFX_OK,
          "  it can be judged");
    CHECK_TEXT(rules.data, "shard.tensor", "  and is");
    dfx_text_fini(&rules);
}

static void
test_twice(void)
{
    const char *text = "{\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\"}}";
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};

    write_shard("1.st", "ab", "");
    write_shard("2.st", "b", "");
    scratch_write(INDEX, text, strlen(text));
    CHECK(dfx_open(INDEX, NULL, &index, &err) == DFX_ERR_FORMAT,
          "a tensor in two shards");
    CHECK_TEXT(err.rule, "tensor.name.duplicate", "  by rule");
}

static void
test_metadata(void)
{
    const char *text = "{\"metadata\":{\"total_size\":3,\"dropped\":\"kept\"},"
                       "\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\"}}";
    dfx_index *index = NULL;

    write_shard("1.st", "a", "\"format\":\"pt\",\"who\":\"me\"");
    write_shard("2.st", "b", "\"format\":\"pt\",\"who\":\"you\"");
    scratch_write(INDEX, text, strlen(text));
    if (dfx_open(INDEX, NULL, &index, NULL) != DFX_OK)
        abort();
    CHECK_U64(index->meta_count, 3, "metadata of all shards is merged");
    CHECK_TEXT(dfx_index_find_meta(index, 0, "format"), "pt", "  shards'");
    CHECK_TEXT(dfx_index_find_meta(index, 0, "dropped"), "kept",
               "  and the index's");
    CHECK_U64(index->warning_count, 1, "  where shards differ is a warning");
    CHECK(index->header.io == NULL, "no header speaks for two files");
    dfx_index_free(index);
}

static void
test_bids(void)
{
    static const struct {
        const char *head;
        bool is_one;
    } rows[] = {
        {"{\"weight_map\":{", true},
        {" {\n  \"metadata\": {\"x\": [1]},\n  \"weight_map\": {\"a\": \"b",
         true},
        {"{\"a\":\"\\\"weight_map\\\":{\"}", false},
        {"{\"a\":{\"weight_map\":{}}}", false},
        {"{\"weight_map\":\"", false},
        {"{\"weight_map\"", false},
        {"[{\"weight_map\":{}}]", false},
        {"{}", false},
        {"", false},
        {"\xff", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const dfx_place place = {.path = INDEX};
        dfx_evidence evidence = {.place = &place,
                                 .head = (const uint8_t *)rows[i].head,
                                 .head_size = strlen(rows[i].head),
                                 .file_size = strlen(rows[i].head)};
        char what[64];

        snprintf(what, sizeof what, "the bid on row %zu", i);
        CHECK((dfx_format_sharded.bid(&evidence) > 0) == rows[i].is_one, what);
    }
}

/* Python's json.dumps writes \\uXXXX, and diffusers leaves it at that. */
static void
test_index_text(void)
{
    static const char want[] =
        "{\n  \"metadata\": {\n    \"total_size\": 3\n  },\n"
        "  \"weight_map\": {\n"
        "    \"a\": \"x.v-00001-of-00002.safetensors\",\n"
        "    \"\\u00e9\\ud83d\\ude00\": "
        "\"x.v-00002-of-00002.safetensors\"\n  }\n}\n";
    const dfx_bundle_component component = {.name = "unet", .weights = "x"};
    dfx_bundle bundle = {.components = &component,
                         .component_count = 1,
                         .variant = "v",
                         .max_shard_size = 2};
    const dfx_expr *one = NULL, *two = NULL;
    dfx_plan *plan = NULL;
    dfx_text got = {0};

    if (dfx_plan_new("out", true, &plan, NULL) != DFX_OK ||
        dfx_expr_bytes(&plan->arena, "xy", 2, &two, NULL) != DFX_OK ||
        dfx_expr_bytes(&plan->arena, "z", 1, &one, NULL) != DFX_OK ||
        dfx_bundle_add(&bundle, 0, "a", two, NULL) != DFX_OK ||
        dfx_bundle_add(&bundle, 0, "\xc3\xa9\xf0\x9f\x98\x80", one, NULL) !=
            DFX_OK ||
        dfx_format_sharded.lay_out(&bundle, "unet/x", plan, NULL) != DFX_OK)
        abort();
    CHECK_U64(plan->output_count, 3, "two shards and an index");
    CHECK_TEXT(plan->outputs[0].view.path,
               "unet/x.v-00001-of-00002.safetensors", "a shard's path");
    CHECK_TEXT(plan->outputs[2].view.path, "unet/x.safetensors.index.v.json",
               "the index's path");
    dfx_text_add(&got, plan->outputs[2].pieces[0].expr->data,
                 plan->outputs[2].pieces[0].expr->bytes);
    CHECK_TEXT(got.data, want, "and text");
    dfx_text_fini(&got);
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
}

/* What fits in one file is one, under the name that a single file has. */
static void
test_single(void)
{
    static const struct {
        bool is_folder;
        const char *base, *want;
    } rows[] = {
        {true, "unet/x", "unet/x.v.safetensors"},
        {true, "", "model.v.safetensors"},
        {false, "", ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const dfx_bundle_component component = {.name = ""};
        dfx_bundle bundle = {.components = &component,
                             .component_count = 1,
                             .variant = "v",
                             .max_shard_size = 2};
        const dfx_expr *x = NULL;
        dfx_plan *plan = NULL;

        if (dfx_plan_new("out", rows[i].is_folder, &plan, NULL) != DFX_OK ||
            dfx_expr_bytes(&plan->arena, "xy", 2, &x, NULL) != DFX_OK ||
            dfx_bundle_add(&bundle, 0, "a", x, NULL) != DFX_OK ||
            dfx_format_sharded.lay_out(&bundle, rows[i].base, plan, NULL) !=
                DFX_OK ||
            plan->output_count != 1)
            abort();
        CHECK_TEXT(plan->outputs[0].view.path, rows[i].want,
                   "one file, and no index");
        dfx_bundle_fini(&bundle);
        dfx_plan_free(plan);
    }
}

int
main(void)
{
    scratch_enter();
    test_indexes();
    test_maps();
    test_extra_tensor();
    test_twice();
    test_metadata();
    test_bids();
    test_index_text();
    test_single();
    return tap_end();
}
