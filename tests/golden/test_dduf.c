/*
 * test_dduf.c - DDUF archives against the reference, good and broken
 */
#include <config.h>

#include "dduf.h"

#include <cjson/cJSON.h>

#include "scratch.h"
#include "golden.h"
#include "tap.h"

static const dfx_open_options as_dduf = {.format = "dduf"};

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

static void
check_case(const cJSON *row)
{
    const char *verdict = text_of(row, "verdict"), *level;
    bool good = strcmp(verdict, "ok") == 0, warned, deep;
    findings f = {.errors = 0};
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};
    dfx_status status;
    char path[1024], word[80];

    level = text_of(row, "level");
    warned = level != NULL && strcmp(level, "warn") == 0;
    deep = strncmp(verdict, "dd.entry.", 9) == 0 ||
           strcmp(verdict, "dd.zip.crc") == 0; /* reading headers is not enough
                                                */
    snprintf(path, sizeof path, "%s/%s", golden_folder, text_of(row, "file"));
    snprintf(word, sizeof word, "%s ", verdict);
    CHECK_U64(dfx_validate(path, &as_dduf, note, &f, &err), DFX_OK,
              text_of(row, "file"));
    if (good) {
        CHECK_TEXT(f.rules, "", "  is good");
    } else {
        CHECK(strstr(f.rules, word) != NULL, "  breaks its rule");
        if (strstr(f.rules, word) == NULL)
            printf("# want %s, got %s\n", verdict, f.rules);
        CHECK((f.errors == 0) == warned, "  at its level");
    }
    status = dfx_open(path, &as_dduf, &index, &err);
    if (!deep)
        CHECK((status == DFX_OK) == (good || warned), "  so it is read or not");
    if (status != DFX_OK && !deep && !warned && f.errors == 1)
        CHECK_TEXT(err.rule, verdict, "  by that rule");
    dfx_index_free(index);
}

static void
test_cases(void)
{
    cJSON *doc = golden_json("cases.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
}

/* ---- Writing ---------------------------------------------------------------
 */

/* The files of source/ as blobs of a bundle. */
static void
pack(bool plain, const char *dst)
{
    cJSON *doc = golden_json("writer.json");
    const cJSON *name;
    dfx_bundle bundle = {.plain = plain};
    dfx_plan *plan = NULL;
    dfx_error err = {.rule = ""};
    bool good = dfx_plan_new(dst, false, &plan, &err) == DFX_OK;

    cJSON_ArrayForEach(name, cJSON_GetObjectItem(doc, "order"))
    {
        const uint64_t *size;
        char path[1024];
        dfx_tensor t = {
            .name = name->valuestring, .type = DFX_TYPE_U8, .rank = 1};
        const dfx_expr *x = NULL;
        dfx_io *io = NULL;

        snprintf(path, sizeof path, "%s/source/%s", golden_folder,
                 name->valuestring);
        good = good && dfx_io_open_file(path, &io, &err) == DFX_OK &&
               dfx_plan_take_io(plan, io, &err) == DFX_OK;
        if (!good)
            break;
        t.data = (dfx_extent){io, 0, dfx_io_size(io)};
        size = &t.data.size;
        t.shape = size;
        good =
            dfx_expr_tensor(&plan->arena, &t, &x, &err) == DFX_OK &&
            dfx_bundle_add_blob(&bundle, name->valuestring, x, &err) == DFX_OK;
    }
    good = good && dfx_dduf_lay_out(&bundle, "", plan, &err) == DFX_OK &&
           dfx_plan_seal(plan, &err) == DFX_OK &&
           dfx_plan_run(plan, NULL, &err) == DFX_OK;
    CHECK(good, dst);
    if (!good)
        printf("# %s [%s]\n", err.text, err.rule);
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
    cJSON_Delete(doc);
}

static void
test_writer(void)
{
    cJSON *doc = golden_json("writer.json");
    char hash[DFX_HASH_CHARS] = "";
    dfx_index *index = NULL;
    dfx_error err;
    size_t empty = 0;

    pack(true, "plain.dduf");
    CHECK(dfx_hash_file("plain.dduf", hash, &err) == DFX_OK, "  has a hash");
    CHECK_TEXT(hash, text_of(doc, "sha256"),
               "  and it is that of huggingface_hub");
    pack(false, "aligned.dduf");
    CHECK_U64(dfx_open("aligned.dduf", NULL, &index, &err), DFX_OK,
              "  which is read, too");
    for (size_t i = 0; index != NULL && i < index->tensor_count; i++)
        empty += index->tensors[i].data.size == 0;
    CHECK_U64(empty, 0, "  with its tensors");
    dfx_index_free(index);
    cJSON_Delete(doc);
}

/* Two files in memory as an archive: the index, and one of that size. */
static void
test_limit(void)
{
    static const size_t size = (16 << 20) + 1;
    char *spaces = malloc(size);
    dfx_bundle bundle = {.plain = true};
    dfx_plan *plan = NULL;
    const dfx_expr *x = NULL, *y = NULL;
    findings f = {.errors = 0};

    memset(spaces, ' ', size);
    spaces[0] = '1';
    CHECK(dfx_plan_new("large.dduf", false, &plan, NULL) == DFX_OK &&
              dfx_expr_bytes(&plan->arena, "{}", 2, &x, NULL) == DFX_OK &&
              dfx_bundle_add_blob(&bundle, "model_index.json", x, NULL) ==
                  DFX_OK &&
              dfx_expr_bytes(&plan->arena, spaces, size, &y, NULL) == DFX_OK &&
              dfx_bundle_add_blob(&bundle, "large.json", y, NULL) == DFX_OK &&
              dfx_dduf_lay_out(&bundle, "", plan, NULL) == DFX_OK &&
              dfx_plan_seal(plan, NULL) == DFX_OK &&
              dfx_plan_run(plan, NULL, NULL) == DFX_OK,
          "an archive with a large document");
    CHECK(dfx_validate("large.dduf", NULL, note, &f, NULL) == DFX_OK,
          "  can be judged");
    CHECK_TEXT(f.rules, "dd.limit ", "  by rule");
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
    free(spaces);
}

/* The data of .safetensors entries starts at multiples of 64. */
static dfx_status
ignore(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
       uint64_t offset, const char *text, dfx_error *err)
{
    (void)member;
    (void)offset;
    (void)text;
    (void)err;
    ++*(size_t *)context;
    printf("# fault %d\n", (int)fault);
    return DFX_OK;
}

static void
test_alignment(void)
{
    size_t faults = 0, entries = 0, aligned = 0;
    dfx_zip zip;
    dfx_io *io = NULL;
    dfx_error err;

    CHECK(dfx_io_open_file("aligned.dduf", &io, &err) == DFX_OK &&
              dfx_zip_read(io, ignore, &faults, &zip, &err) == DFX_OK,
          "the aligned archive");
    CHECK_U64(faults, 0, "  is straight");
    CHECK_TEXT(zip.members[0].name, "model_index.json", "  its index first");
    for (size_t i = 0; i < zip.count; i++)
        if (strstr(zip.members[i].name, ".safetensors") != NULL) {
            entries++;
            aligned += zip.members[i].data % 64 == 0;
        }
    CHECK(entries == 3 && aligned == 3, "  and its tensors aligned");
    dfx_zip_fini(&zip);
    dfx_io_close(io);
}

static void
test_audit(void)
{
    static const struct {
        const char *file, *verdict;
    } rows[] = {
        {"good/full.dduf", "safe"},
        {"good/sharded.dduf", "safe"},
        {"broken/crc.dduf", "cannot-tell"},
        {"broken/dotdot.dduf", "dangerous"},
        {"broken/absolute.dduf", "dangerous"},
        {"broken/symlink.dduf", "dangerous"},
        {"broken/comment.dduf", "safe"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[1024];
        dfx_verdict verdict = DFX_VERDICT_SAFE;
        dfx_error err;

        snprintf(path, sizeof path, "%s/%s", golden_folder, rows[i].file);
        CHECK_U64(dfx_audit_path(path, NULL, NULL, NULL, &verdict, &err),
                  DFX_OK, rows[i].file);
        CHECK_TEXT(dfx_verdict_name(verdict), rows[i].verdict, "  its verdict");
    }
}

int
main(void)
{
    golden_find("dduf");
    scratch_enter();
    test_cases();
    test_writer();
    test_limit();
    test_alignment();
    test_audit();
    return tap_end();
}
