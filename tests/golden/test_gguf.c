/*
 * test_gguf.c - GGUF files against ggml and gguf-py: verdicts, and what is read
 */
#include <config.h>

#include "gguf.h"

#include <cjson/cJSON.h>

#include "scratch.h"
#include "golden.h"
#include "tap.h"
#include "types.h"

static const dfx_open_options as_gguf = {.format = "gguf"};

/* ---- Verdicts --------------------------------------------------------------
 */

typedef struct findings {
    char rules[4096]; /* "rule rule " */
    size_t errors, warnings;
} findings;

static void
note(void *context, const dfx_error *finding)
{
    findings *f = context;
    size_t used = strlen(f->rules);

    snprintf(f->rules + used, sizeof f->rules - used, "%s ", finding->rule);
    if (finding->status == DFX_OK)
        f->warnings++;
    else
        f->errors++;
}

/* [golden_folder, name, rule, bytes, three verdicts of others, ours, why,
 * digest] */
static void
check_case(const cJSON *row)
{
    const char *rule = text_at(row, 2), *want = text_at(row, 7), *got;
    findings f = {.errors = 0};
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};
    char path[1024];
    dfx_status status;

    snprintf(path, sizeof path, "%s/%s/%s.gguf", golden_folder, text_at(row, 0),
             text_at(row, 1));
    CHECK_U64(dfx_validate(path, &as_gguf, note, &f, &err), DFX_OK,
              text_at(row, 1));
    got = f.errors > 0 ? "error" : f.warnings > 0 ? "warn" : "ok";
    CHECK_TEXT(got, want, "  its verdict");
    if (rule != NULL)
        CHECK(strstr(f.rules, rule) != NULL, "  by its rule");
    else
        CHECK_TEXT(f.rules, "", "  without a finding");
    status = dfx_open(path, &as_gguf, &index, &err);
    CHECK((status == DFX_OK) == (f.errors == 0), "  so it is read or not");
    if (status != DFX_OK)
        CHECK(strstr(f.rules, err.rule) != NULL, "  for that reason");
    else
        CHECK(f.warnings == 0 || index->warning_count > 0, "  with a warning");
    dfx_index_free(index);
}

static void
test_verdicts(void)
{
    cJSON *doc = golden_json("files.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
}

/* ---- Contents --------------------------------------------------------------
 */

/* A file's header, as it is. */
typedef struct file {
    dfx_io *io;
    dfx_gguf g;
    size_t keys, infos; /* seen in the list */
} file;

static void
file_close(file *f)
{
    dfx_gguf_fini(&f->g);
    dfx_io_close(f->io);
    *f = (file){.io = NULL};
}

static void
file_open(file *f, const char *name)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/good/%s.gguf", golden_folder, name);
    if (dfx_io_open_file(path, &f->io, NULL) != DFX_OK) {
        printf("Bail out! no %s\n", path);
        exit(1);
    }
    f->g.io = f->io;
    CHECK_U64(dfx_gguf_parse(&f->g, NULL), DFX_OK, name);
}

static void
check_header(const file *f, const cJSON *row)
{
    const dfx_gguf *g = &f->g;
    bool has_data = g->info_count > 0;

    CHECK(g->version == number_at(row, 2) &&
              g->big_endian == (strcmp(text_at(row, 3), "big") == 0) &&
              g->info_count == number_at(row, 4) &&
              g->key_count == number_at(row, 5) &&
              g->alignment == number_at(row, 6) &&
              (!has_data || g->data == number_at(row, 7)),
          "  its header");
}

/* Is the value, printed, the same? Numbers are compared as doubles. */
static bool
same_value(const char *text, const cJSON *want)
{
    cJSON *doc;
    bool same;

    if (cJSON_IsString(want))
        return strcmp(text, want->valuestring) == 0;
    doc = cJSON_Parse(text);
    if (cJSON_IsNumber(want))
        same = cJSON_IsNumber(doc) && doc->valuedouble == want->valuedouble;
    else
        same = cJSON_Compare(doc, want, true);
    /* f32 is printed in the fewest digits that name it. */
    if (!same && cJSON_IsNumber(want) && cJSON_IsNumber(doc))
        same = (float)doc->valuedouble == (float)want->valuedouble;
    cJSON_Delete(doc);
    return same;
}

static void
check_key(file *f, const cJSON *row)
{
    const dfx_gguf_key *key = dfx_gguf_find(&f->g, text_at(row, 2));
    const cJSON *want = cJSON_GetArrayItem(row, 4);
    const cJSON *types = cJSON_GetArrayItem(row, 3);
    dfx_text text = {0};

    f->keys++;
    if (!CHECK(key != NULL, text_at(row, 2)))
        return;
    CHECK(dfx_gguf_print(&f->g, key, &text, NULL) == DFX_OK, "  can be said");
    /* The list has nested arrays flattened. */
    if (cJSON_GetArraySize(types) == 3)
        CHECK_TEXT(text.data, "[[1, 2], [\"x\", \"y\"], [[9]]]", "  nested");
    else
        CHECK(same_value(text.data != NULL ? text.data : "", want),
              "  its value");
    dfx_text_fini(&text);
}

/* [file, "tensor", name, type, ne, offset, bytes, digest] */
static void
check_tensor(file *f, const cJSON *row)
{
    const dfx_gguf_info *t = &f->g.infos[f->infos++];
    const cJSON *ne = cJSON_GetArrayItem(row, 4);
    uint64_t at = f->g.data + t->offset, size = t->bytes;
    const dfx_tensor raw = {.name = "",
                            .type = DFX_TYPE_U8,
                            .rank = 1,
                            .shape = &size,
                            .data = {f->io, at, size}};
    char hash[DFX_HASH_CHARS] = "";
    bool same = (int)t->rank == cJSON_GetArraySize(ne);

    CHECK_TEXT(t->name, text_at(row, 2), text_at(row, 2));
    CHECK_TEXT(dfx_type_name(t->type), text_at(row, 3), "  its type");
    for (int i = 0; same && i < (int)t->rank; i++)
        same = t->shape[t->rank - 1 - (uint32_t)i] == number_at(ne, i);
    CHECK(same, "  its shape");
    CHECK(at == number_at(row, 5) && size == number_at(row, 6), "  its place");
    CHECK(dfx_hash_tensor(&raw, hash, NULL) == DFX_OK &&
              strncmp(hash, text_at(row, 7), 16) == 0,
          "  its bytes");
}

static void
test_contents(void)
{
    cJSON *doc = golden_json("listing.json");
    char current[128] = "";
    file f = {.io = NULL};
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "rows"))
    {
        const char *kind = text_at(row, 1);

        if (strcmp(current, text_at(row, 0)) != 0) {
            CHECK(f.keys == f.g.key_count && f.infos == f.g.info_count,
                  "  nothing else");
            file_close(&f);
            snprintf(current, sizeof current, "%s", text_at(row, 0));
            file_open(&f, current);
        }
        if (strcmp(kind, "header") == 0)
            check_header(&f, row);
        else if (strcmp(kind, "key") == 0)
            check_key(&f, row);
        else
            check_tensor(&f, row);
    }
    file_close(&f);
    cJSON_Delete(doc);
}

/* ---- As a model ------------------------------------------------------------
 */

static dfx_index *
open_good(const char *name)
{
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};
    char path[1024];

    snprintf(path, sizeof path, "%s/good/%s.gguf", golden_folder, name);
    CHECK_U64(dfx_open(path, NULL, &index, &err), DFX_OK, name);
    return index;
}

static void
test_models(void)
{
    dfx_index *index = open_good("shard-00002-of-00003");
    const dfx_tensor *t;
    float value = 0;

    CHECK_U64(index->tensor_count, 4, "  all shards are read");
    CHECK(dfx_index_find_meta(index, 0, "general.architecture") != NULL,
          "  with the keys of the first");
    dfx_index_free(index);
    index = open_good("v3-orig-shape");
    t = dfx_index_find(index, 0, "input_blocks.1.1.proj_in.weight");
    CHECK(t != NULL && t->rank == 4 && t->shape[0] == 32 && t->shape[3] == 1,
          "  a tensor has the shape that it had");
    t = dfx_index_find(index, 0, "time.weight");
    CHECK(t != NULL && t->rank == 5 && t->type == DFX_TYPE_Q4_K,
          "  in blocks, too");
    dfx_index_free(index);
    index = open_good("v3-big-endian");
    t = &index->tensors[0];
    CHECK(t->type == DFX_TYPE_F32 &&
              dfx_extent_read(&t->data, 0, &value, sizeof value, NULL) ==
                  DFX_OK &&
              value == 1,
          "  numbers have the order of bytes that others have");
    dfx_index_free(index);
}

/* Appends a big-endian number of size bytes. */
static void
put(unsigned char *data, size_t *used, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        data[(*used)++] = (unsigned char)(value >> 8 * i);
}

/* Nobody swaps the bytes in blocks. */
static void
test_swapped_blocks(void)
{
    unsigned char data[128] = "GGUF";
    size_t used = 4;
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    dfx_convert_options options;
    dfx_plan *plan = NULL;
    dfx_error err = {.rule = ""};

    put(data, &used, 3, 4);
    put(data, &used, 1, 8); /* tensors */
    put(data, &used, 0, 8); /* keys */
    put(data, &used, 1, 8);
    put(data, &used, 'w', 1);
    put(data, &used, 1, 4); /* dimensions */
    put(data, &used, 32, 8);
    put(data, &used, 8, 4); /* Q8_0 */
    put(data, &used, 0, 8);
    scratch_write("swapped.gguf", data, 64 + 34);
    CHECK_U64(dfx_open("swapped.gguf", NULL, &index, &err), DFX_OK,
              "blocks of a big-endian file are shown");
    dfx_convert_options_init(&options);
    options.to = "safetensors";
    CHECK(dfx_identify(index, NULL, &identity, &err) == DFX_OK &&
              dfx_convert(index, identity, "out.safetensors", &options, &plan,
                          &err) != DFX_OK,
          "  and not converted");
    CHECK_TEXT(err.rule, "gguf.endian.quantized", "  by rule");
    dfx_identity_free(identity);
    dfx_index_free(index);
}

int
main(void)
{
    golden_find("gguf");
    scratch_enter();
    test_verdicts();
    test_contents();
    test_models();
    test_swapped_blocks();
    return tap_end();
}
