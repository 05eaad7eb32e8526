/*
 * test_safetensors.c - the safetensors reader and writer against goldens
 *
 * tests/golden/safetensors/README.md says what they are and what made them:
 * the reference library, not this one.
 */
#include <config.h>

#include "registry.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "json.h"
#include "../synth/synth.h"
#include "../unit/scratch.h"
#include "../unit/tap.h"
#include "types.h"

#define FOLDER "tests/golden/safetensors"

extern const dfx_format dfx_format_safetensors, dfx_format_sharded;

/* ---- Files and documents ---------------------------------------------- */

static char *root; /* of the sources */

static const char *
golden_path(const char *name)
{
    static char path[8192];

    snprintf(path, sizeof path, "%s/" FOLDER "/%s", root, name);
    return path;
}

/* The bytes of a golden, NUL-terminated; free() them. */
static char *
load(const char *name, size_t *size)
{
    FILE *f = fopen(golden_path(name), "rb");
    char *data = malloc(1 << 20);

    if (f == NULL || data == NULL) {
        printf("Bail out! %s cannot be read\n", golden_path(name));
        exit(99);
    }
    *size = fread(data, 1, (1 << 20) - 1, f);
    data[*size] = '\0';
    fclose(f);
    return data;
}

static cJSON *
load_json(const char *name)
{
    size_t size = 0;
    char *text = load(name, &size);
    cJSON *doc = cJSON_Parse(text);

    free(text);
    if (doc == NULL) {
        printf("Bail out! %s is no JSON\n", name);
        exit(99);
    }
    return doc;
}

static void
sha256(const void *data, size_t size, char hash[DFX_HASH_CHARS])
{
    unsigned char digest[32];

    if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

static const char *
text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* Reads a file as dfx_open does; NULL if it is refused. */
static dfx_index *
read_file(const char *path, const dfx_format *format, dfx_error *err)
{
    const dfx_place place = {.path = path};
    dfx_index *index = NULL;
    uint32_t component = 0;

    if (dfx_index_new(path, &index, err) != DFX_OK)
        return NULL;
    if (dfx_index_component(index, "", &component, err) != DFX_OK ||
        format->read(&place, component, NULL, index, err) != DFX_OK ||
        dfx_index_seal(index, err) != DFX_OK) {
        dfx_index_free(index);
        return NULL;
    }
    return index;
}

/* ---- Verdicts --------------------------------------------------------- */

/* id is the case's verdict or among the others that are right too. */
static bool
is_right(const cJSON *row, const char *id)
{
    const cJSON *also = cJSON_GetObjectItemCaseSensitive(row, "also");
    const cJSON *other;

    if (strcmp(id, text_of(row, "verdict")) == 0)
        return true;
    cJSON_ArrayForEach(other, also)
    {
        if (strcmp(id, other->valuestring) == 0)
            return true;
    }
    return false;
}

typedef struct findings {
    const cJSON *row;
    int count, right;
    bool complete; /* each names its file */
    char first[64];
} findings;

static void
count_finding(void *context, const dfx_error *finding)
{
    findings *f = context;

    if (f->count++ == 0)
        snprintf(f->first, sizeof f->first, "%s", finding->rule);
    f->right += f->row != NULL && is_right(f->row, finding->rule);
    f->complete =
        f->complete && finding->file[0] != '\0' && finding->text[0] != '\0';
}

static void
check_metadata(const dfx_index *index, const cJSON *row, const char *what)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(row, "metadata");
    const cJSON *pair;
    size_t count = 0;
    const dfx_meta *metadata = dfx_index_metadata(index, &count);
    int same = 0;

    cJSON_ArrayForEach(pair, want)
    {
        for (size_t i = 0; i < count; i++)
            same += strcmp(metadata[i].key, pair->string) == 0 &&
                    strcmp(metadata[i].value, pair->valuestring) == 0;
    }
    CHECK(same == cJSON_GetArraySize(want) && count == (size_t)same, what);
}

static void
check_case(const cJSON *row)
{
    const char *file = text_of(row, "file"), *verdict = text_of(row, "verdict");
    bool good = strcmp(verdict, "ok") == 0;
    findings f = {.row = row, .complete = true};
    dfx_error err = {.rule = ""};
    char what[256];
    dfx_index *index =
        read_file(golden_path(file), &dfx_format_safetensors, &err);
    dfx_status status;

    snprintf(what, sizeof what, "%s: %s", file, verdict);
    if (good) {
        CHECK(index != NULL, what);
    } else {
        bool right = index == NULL && is_right(row, err.rule);

        if (!CHECK(right, what))
            printf("# got %s: %s\n", index == NULL ? err.rule : "accepted",
                   index == NULL ? err.text : "");
        CHECK(err.file[0] != '\0', "  and the file is named");
    }
    if (index != NULL) {
        CHECK_U64(index->tensor_count,
                  (uint64_t)cJSON_GetObjectItemCaseSensitive(row, "tensors")
                      ->valuedouble,
                  "  its number of tensors");
        check_metadata(index, row, "  its metadata");
        CHECK_U64(index->header.offset, 8, "  its header is kept");
    }
    dfx_index_free(index);

    status = dfx_format_safetensors.validate(
        &(dfx_place){.path = golden_path(file)}, NULL, count_finding, &f, &err);
    snprintf(what, sizeof what, "  judging finds %s",
             good ? "nothing" : "that rule");
    if (!CHECK(status == DFX_OK && f.complete &&
                   (good ? f.count == 0 : f.right > 0),
               what))
        printf("# %d findings, the first %s\n", f.count, f.first);
}

static void
test_cases(void)
{
    cJSON *doc = load_json("cases.json");
    const cJSON *row;
    int count = 0;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        check_case(row);
        count++;
    }
    CHECK_U64((uint64_t)count, 129, "25 good files and 104 broken ones");
    cJSON_Delete(doc);
}

/* ---- Damage ----------------------------------------------------------- */

/* A file in memory: there are many, and truncating one on a disk is slow. */
static int damaged_fd;
static char damaged[64];

static void
write_damaged(const void *data, size_t size)
{
    if (damaged_fd == 0)
        damaged_fd = memfd_create("damaged", MFD_CLOEXEC);
    snprintf(damaged, sizeof damaged, "/proc/self/fd/%d", damaged_fd);
    if (damaged_fd < 0 || ftruncate(damaged_fd, (off_t)size) != 0 ||
        pwrite(damaged_fd, data, size, 0) != (ssize_t)size)
        abort();
}

/* The rule by which bytes are refused, "" if they are not. */
static const char *
refusal(const void *data, size_t size, dfx_error *err)
{
    dfx_index *index;

    write_damaged(data, size);
    err->rule = "";
    index = read_file(damaged, &dfx_format_safetensors, err);
    dfx_index_free(index);
    return index == NULL ? err->rule : "";
}

static size_t
count_accepted_prefixes(const char *data, size_t size)
{
    size_t accepted = 0;
    dfx_error err;

    for (size_t n = 0; n < size; n++)
        accepted += strncmp(refusal(data, n, &err), "st.", 3) != 0;
    return accepted;
}

static size_t
count_accepted_lengths(char *data, size_t size)
{
    uint64_t right = 0, wrong[8];
    size_t accepted = 0;
    dfx_error err;

    memcpy(&right, data, sizeof right); /* tests run where the format is at
                                           home: little-endian */
    wrong[0] = 0;
    wrong[1] = 1;
    wrong[2] = right - 1;
    wrong[3] = right + 1;
    wrong[4] = size - 8 + 1;
    wrong[5] = 100000001;
    wrong[6] = UINT64_MAX;
    wrong[7] = UINT64_MAX - 7; /* 8 more is 0 */
    for (size_t i = 0; i < 8; i++) {
        memcpy(data, &wrong[i], sizeof wrong[i]);
        accepted += strncmp(refusal(data, size, &err), "st.", 3) != 0;
    }
    memcpy(data, &right, sizeof right);
    return accepted;
}

/* Each byte of the file is changed in turn: whatever comes of it, reading and
   judging agree whether the file is good. */
static size_t
count_disagreements(char *data, size_t size)
{
    size_t wrong = 0;

    for (size_t i = 0; i < size && i < 300; i++) {
        static const char others[] = {'\0', '"', '{', '9', '\\', '\xff'};
        const char was = data[i];

        for (size_t j = 0; j < sizeof others; j++) {
            findings f = {.row = NULL};
            dfx_error err;
            bool good;

            data[i] = others[j];
            good = refusal(data, size, &err)[0] == '\0';
            wrong += dfx_format_safetensors.validate(
                         &(dfx_place){.path = damaged}, NULL, count_finding, &f,
                         NULL) != DFX_OK ||
                     good != (f.count == 0);
        }
        data[i] = was;
    }
    return wrong;
}

static void
test_damage(void)
{
    cJSON *doc = load_json("cases.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        const char *file = text_of(row, "file");
        size_t size = 0;
        char *data = load(file, &size), what[256];

        snprintf(what, sizeof what, "%s: judged as it is read, when damaged",
                 file);
        CHECK_U64(count_disagreements(data, size), 0, what);
        if (strcmp(text_of(row, "verdict"), "ok") == 0) {
            CHECK_U64(count_accepted_prefixes(data, size), 0,
                      "  none of its prefixes is accepted");
            CHECK_U64(count_accepted_lengths(data, size), 0,
                      "  nor any other header length");
        }
        free(data);
    }
    cJSON_Delete(doc);
}

static void
test_header_limit(void)
{
    const dfx_open_options options = {.max_header = 10};
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};

    if (dfx_index_new("", &index, NULL) != DFX_OK)
        abort();
    CHECK(dfx_format_safetensors.read(
              &(dfx_place){.path = golden_path("good/nan-inf.safetensors")}, 0,
              &options, index, &err) == DFX_ERR_LIMIT,
          "a header above the caller's limit");
    CHECK_TEXT(err.rule, "limit.header", "  by rule");
    dfx_index_free(index);
}

/* ---- Tensors ---------------------------------------------------------- */

static bool
same_shape(const dfx_tensor *t, const cJSON *shape)
{
    if ((int)t->rank != cJSON_GetArraySize(shape))
        return false;
    for (uint32_t i = 0; i < t->rank; i++)
        if ((double)t->shape[i] !=
            cJSON_GetArrayItem(shape, (int)i)->valuedouble)
            return false;
    return true;
}

static bool
same_digest(const dfx_tensor *t, const char *digest)
{
    char hash[DFX_HASH_CHARS];
    uint8_t bytes[8192];

    if (t->data.size > sizeof bytes ||
        dfx_extent_read(&t->data, 0, bytes, t->data.size, NULL) != DFX_OK)
        return false;
    sha256(bytes, t->data.size, hash);
    return strncmp(hash, digest, 16) == 0;
}

static void
test_tensors(void)
{
    cJSON *doc = load_json("tensors.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        const char *file = cJSON_GetArrayItem(row, 0)->valuestring;
        const char *name = cJSON_GetArrayItem(row, 1)->valuestring;
        const char *type = cJSON_GetArrayItem(row, 2)->valuestring;
        dfx_index *index =
            read_file(golden_path(file), &dfx_format_safetensors, NULL);
        const dfx_tensor *t =
            index == NULL ? NULL : dfx_index_find(index, 0, name);
        char what[8192];

        snprintf(what, sizeof what, "%s: type, shape and bytes of %.40s", file,
                 name);
        for (char *c = what; *c != '\0'; c++)
            if (*c == '\n' || *c == '#')
                *c = '?'; /* TAP reads lines */
        CHECK(t != NULL && strcmp(dfx_type_name(t->type), type) == 0 &&
                  same_shape(t, cJSON_GetArrayItem(row, 3)) &&
                  same_digest(t, cJSON_GetArrayItem(row, 4)->valuestring),
              what);
        dfx_index_free(index);
    }
    cJSON_Delete(doc);
}

/* ---- Lists of synthetic tensors --------------------------------------- */

/* A bundle of a list's tensors, in its order, and what it borrows. */
typedef struct list {
    dfx_bundle bundle;
    dfx_bundle_component component;
    dfx_plan *plan;
    dfx_index *source;
} list;

static void
add_tensor(list *l, const synth_list *synth, const synth_tensor *made)
{
    dfx_arena *arena = &l->plan->arena;
    const dfx_type type = dfx_type_named(synth_type_name(made));
    void *data = dfx_arena_alloc(arena, made->size);
    dfx_io *io = NULL;
    const dfx_expr *x = NULL;
    dfx_tensor t = {.name = dfx_arena_strdup(arena, made->name),
                    .type = type,
                    .rank = (uint32_t)made->rank};
    uint64_t *shape = dfx_arena_array(arena, made->rank, sizeof *shape);

    for (size_t i = 0; i < made->rank; i++)
        shape[i] = made->shape[i];
    synth_values(synth, made, 0, made->elements, data);
    if (dfx_io_open_memory(data, made->size, made->name, &io, NULL) != DFX_OK ||
        dfx_index_take_io(l->source, io, NULL) != DFX_OK)
        abort();
    t.shape = shape;
    t.data = (dfx_extent){io, 0, made->size};
    if (dfx_expr_tensor(arena, &t, &x, NULL) != DFX_OK ||
        dfx_bundle_add(&l->bundle, 0, t.name, x, NULL) != DFX_OK)
        abort();
}

/* Metadata is read by our strict reader: cJSON cuts values at U+0000. */
static void
add_metadata(list *l, const char *text, size_t size)
{
    dfx_json json;
    dfx_json_event event = DFX_JSON_NULL;
    dfx_index *index = NULL;
    char key[256];
    size_t key_size = 0;
    bool inside = false;

    if (dfx_index_new("", &index, NULL) != DFX_OK)
        abort();
    dfx_json_init(&json, text, size, 0);
    while (dfx_json_next(&json, &event, NULL) == DFX_OK &&
           event != DFX_JSON_END) {
        if (inside && event == DFX_JSON_OBJECT_END)
            break;
        if (inside && event == DFX_JSON_STRING) {
            if (dfx_index_add_meta(index, 0, key, key_size, json.text,
                                   json.text_size, NULL) != DFX_OK)
                abort();
            l->bundle.empty_metadata = false;
        }
        if (event != DFX_JSON_KEY)
            continue;
        key_size = json.text_size;
        memcpy(key, json.text, key_size);
        if (!inside && key_size == 8 && memcmp(key, "metadata", 8) == 0)
            inside = l->bundle.empty_metadata = true;
    }
    dfx_json_fini(&json);
    for (size_t i = 0; i < index->meta_count; i++)
        if (dfx_bundle_add_meta(
                &l->bundle, 0,
                dfx_arena_strdup(&l->plan->arena, index->metadata[i].key),
                dfx_arena_strdup(&l->plan->arena, index->metadata[i].value),
                NULL) != DFX_OK)
            abort();
    dfx_index_free(index);
}

static void
list_init(list *l, const char *name, bool is_folder)
{
    size_t size = 0;
    char *text = load(name, &size);
    synth_list synth;

    *l = (list){.component = {.name = "", .weights = "model"}};
    l->bundle.components = &l->component;
    l->bundle.component_count = 1;
    if (!synth_read(&synth, golden_path(name)) ||
        dfx_plan_new("out", is_folder, &l->plan, NULL) != DFX_OK ||
        dfx_index_new(name, &l->source, NULL) != DFX_OK)
        abort();
    for (size_t i = 0; i < synth.count; i++)
        add_tensor(l, &synth, &synth.tensors[i]);
    add_metadata(l, text, size);
    synth_fini(&synth);
    free(text);
}

static void
list_fini(list *l)
{
    dfx_bundle_fini(&l->bundle);
    dfx_plan_free(l->plan);
    dfx_index_free(l->source);
}

/* The bytes of an output; free() them. */
static uint8_t *
output_bytes(const dfx_output *output)
{
    uint8_t *bytes = malloc(output->view.size + 1);
    uint64_t at = 0;

    for (size_t i = 0; i < output->piece_count; i++) {
        const dfx_expr *x = output->pieces[i].expr;

        if (bytes == NULL || at != output->pieces[i].offset ||
            dfx_expr_pull(x, 0, x->elements, bytes + at, NULL) != DFX_OK)
            abort();
        at += x->bytes;
    }
    if (at != output->view.size)
        abort();
    return bytes;
}

static void
hash_output(const dfx_output *output, char hash[DFX_HASH_CHARS])
{
    uint8_t *bytes = output_bytes(output);

    sha256(bytes, output->view.size, hash);
    free(bytes);
}

/* ---- The writer ------------------------------------------------------- */

static void
test_writer(void)
{
    cJSON *doc = load_json("writer.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        const char *name = text_of(row, "list");
        char hash[DFX_HASH_CHARS] = "", what[256];
        size_t size = 0;
        char *header = load(text_of(row, "header"), &size);
        const dfx_output *output;
        dfx_error err = {.text = ""};
        list l;

        list_init(&l, name, false);
        snprintf(what, sizeof what, "%s can be laid out", name);
        CHECK(dfx_format_safetensors.lay_out(&l.bundle, "", l.plan, &err) ==
                      DFX_OK &&
                  dfx_plan_seal(l.plan, &err) == DFX_OK &&
                  l.plan->output_count == 1,
              what);
        output = l.plan->outputs;
        CHECK_TEXT(output->view.path, "", "  to the target itself");
        CHECK_U64(output->view.size,
                  (uint64_t)cJSON_GetObjectItem(row, "bytes")->valuedouble,
                  "  of the reference's size");
        CHECK(output->pieces[1].expr->bytes == size - 8 &&
                  memcmp(output->pieces[1].expr->data, header + 8, size - 8) ==
                      0,
              "  with its header");
        hash_output(output, hash);
        CHECK_TEXT(hash, text_of(row, "sha256"), "  and its SHA-256");
        free(header);
        list_fini(&l);
    }
    cJSON_Delete(doc);
}

/* A good file, laid out again with the header that it had. */
static bool
comes_back(const char *file)
{
    dfx_index *index =
        read_file(golden_path(file), &dfx_format_safetensors, NULL);
    dfx_bundle bundle = {.components = &(dfx_bundle_component){.name = ""},
                         .component_count = 1};
    dfx_plan *plan = NULL;
    bool same = false;
    uint8_t *got;
    char *want;
    size_t size = 0;
    uint8_t header[8192];

    if (index == NULL || dfx_plan_new("x", false, &plan, NULL) != DFX_OK ||
        dfx_extent_read(&index->header, 0, header, index->header.size, NULL) !=
            DFX_OK)
        abort();
    bundle.header = header;
    bundle.header_size = index->header.size;
    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];
        const dfx_expr *x = NULL;

        if (dfx_expr_tensor(&plan->arena, t, &x, NULL) != DFX_OK ||
            dfx_bundle_add(&bundle, 0, t->name, x, NULL) != DFX_OK)
            abort();
    }
    if (dfx_format_safetensors.lay_out(&bundle, "", plan, NULL) != DFX_OK ||
        dfx_plan_seal(plan, NULL) != DFX_OK)
        abort();
    got = output_bytes(plan->outputs);
    want = load(file, &size);
    same = plan->outputs[0].view.size == size && memcmp(got, want, size) == 0;
    free(got);
    free(want);
    dfx_bundle_fini(&bundle);
    dfx_plan_free(plan);
    dfx_index_free(index);
    return same;
}

static void
test_kept_header(void)
{
    cJSON *doc = load_json("cases.json");
    const cJSON *row;
    char what[256];

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        if (strcmp(text_of(row, "verdict"), "ok") != 0)
            continue;
        snprintf(what, sizeof what, "%s comes back byte for byte",
                 text_of(row, "file"));
        CHECK(comes_back(text_of(row, "file")), what);
    }
    cJSON_Delete(doc);
}

/* A header that is not of these tensors must not be written. */
static void
test_foreign_header(void)
{
    static const struct {
        const char *what, *header;
    } rows[] = {
        {"broken", "{"},
        {"of no tensor", "{}"},
        {"of another name", "{\"w\":{\"dtype\":\"F32\",\"shape\":[3,5],"
                            "\"data_offsets\":[0,60]}}"},
        {"of another type", "{\"weight\":{\"dtype\":\"I32\",\"shape\":[3,5],"
                            "\"data_offsets\":[0,60]}}"},
        {"of another shape", "{\"weight\":{\"dtype\":\"F32\",\"shape\":[5,3],"
                             "\"data_offsets\":[0,60]}}"},
        {"of another size", "{\"weight\":{\"dtype\":\"F32\",\"shape\":[3,5],"
                            "\"data_offsets\":[0,64]}}"},
        {"with a hole", "{\"weight\":{\"dtype\":\"F32\",\"shape\":[3,5],"
                        "\"data_offsets\":[4,64]}}"},
        {"of one tensor more",
         "{\"weight\":{\"dtype\":\"F32\",\"shape\":[3,5],"
         "\"data_offsets\":[0,60]},\"b\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[0,0]}}"},
    };
    size_t size = 0;
    char *want = load("writer/one.header", &size);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const dfx_expr *x;
        char what[256];
        list l;

        list_init(&l, "writer/one.json", false);
        l.bundle.header = (const uint8_t *)rows[i].header;
        l.bundle.header_size = strlen(rows[i].header);
        snprintf(what, sizeof what, "a kept header %s is not used",
                 rows[i].what);
        if (dfx_format_safetensors.lay_out(&l.bundle, "", l.plan, NULL) !=
            DFX_OK)
            abort();
        x = l.plan->outputs[0].pieces[1].expr;
        CHECK(x->bytes == size - 8 && memcmp(x->data, want + 8, size - 8) == 0,
              what);
        list_fini(&l);
    }
    free(want);
}

static void
test_name_clash(void)
{
    dfx_error err = {.rule = ""};
    list l;

    list_init(&l, "writer/one.json", false);
    if (dfx_bundle_add(&l.bundle, 0, "weight", l.bundle.items[0].expr, NULL) !=
        DFX_OK)
        abort();
    CHECK(dfx_format_safetensors.lay_out(&l.bundle, "", l.plan, &err) ==
              DFX_ERR_FORMAT,
          "a name twice is refused");
    CHECK_TEXT(err.rule, "convert.clash", "  by rule");
    CHECK_TEXT(err.tensor, "weight", "  and with the name");
    l.bundle.items[1].name = "__metadata__";
    CHECK(dfx_format_safetensors.lay_out(&l.bundle, "", l.plan, &err) ==
              DFX_ERR_FORMAT,
          "a tensor cannot be called __metadata__");
    list_fini(&l);
}

/* ---- Shards ----------------------------------------------------------- */

/* "4KB" as huggingface_hub reads it: powers of 1000. */
static uint64_t
shard_limit(const cJSON *row)
{
    const cJSON *limit = cJSON_GetObjectItem(row, "max_shard_size");
    char *unit;
    uint64_t n;

    if (cJSON_IsNumber(limit))
        return (uint64_t)limit->valuedouble;
    n = strtoull(limit->valuestring, &unit, 10);
    return n * (strcmp(unit, "KB") == 0   ? 1000
                : strcmp(unit, "GB") == 0 ? 1000000000
                                          : 0);
}

/* The part of a call's names that comes before "-00001-of-" or ".safetensors":
   with the variant, which the calls of huggingface_hub put there. */
static const char *
base_of(const cJSON *row, char *buf, size_t size)
{
    const char *by = text_of(row, "by"), *pattern = text_of(row, "pattern");

    if (strstr(by, "huggingface_hub") == NULL)
        return strstr(by, "diffusers") != NULL ? "diffusion_pytorch_model"
                                               : "model";
    snprintf(buf, size, "%s", pattern == NULL ? "model" : pattern);
    if (strchr(buf, '{') != NULL)
        *strchr(buf, '{') = '\0';
    return buf;
}

static void
check_outputs(const cJSON *row, const dfx_plan *plan)
{
    const cJSON *files = cJSON_GetObjectItem(row, "files"), *file;
    bool is_hub = strstr(text_of(row, "by"), "huggingface_hub") != NULL;
    size_t i = 0;

    CHECK_U64(plan->output_count, (uint64_t)cJSON_GetArraySize(files),
              "  as many files");
    cJSON_ArrayForEach(file, files)
    {
        const char *name = cJSON_GetArrayItem(file, 0)->valuestring;
        char hash[DFX_HASH_CHARS];

        if (i == plan->output_count)
            return;
        /* huggingface_hub orders and ends its index text otherwise. */
        if (!is_hub || strstr(name, ".index.") == NULL) {
            CHECK_TEXT(plan->outputs[i].view.path, name, "  the name");
            hash_output(&plan->outputs[i], hash);
            CHECK_TEXT(hash, cJSON_GetArrayItem(file, 2)->valuestring,
                       "  and SHA-256 of a file");
        }
        i++;
    }
}

/* Writes the outputs where sharded reads them; dfx_plan_run has its own test.
 */
static void
write_outputs(const dfx_plan *plan)
{
    for (size_t i = 0; i < plan->output_count; i++) {
        const dfx_output *output = &plan->outputs[i];
        uint8_t *bytes = output_bytes(output);

        scratch_write(output->view.path, bytes, output->view.size);
        free(bytes);
    }
}

static void
check_reading(const list *l)
{
    const dfx_plan *plan = l->plan;
    findings f = {.row = NULL};
    dfx_index *index;
    const char *path = plan->outputs[plan->output_count - 1].view.path;
    size_t same = 0;

    write_outputs(plan);
    index = read_file(path, &dfx_format_sharded, NULL);
    CHECK(index != NULL, "  the set can be read");
    for (size_t i = 0; index != NULL && i < l->bundle.item_count; i++) {
        const dfx_item *item = &l->bundle.items[i];
        const dfx_tensor *t = dfx_index_find(index, 0, item->name);
        uint8_t bytes[8192], want[8192];

        same +=
            t != NULL && t->type == item->expr->type &&
            t->data.size == item->expr->bytes &&
            dfx_extent_read(&t->data, 0, bytes, t->data.size, NULL) == DFX_OK &&
            dfx_expr_pull(item->expr, 0, item->expr->elements, want, NULL) ==
                DFX_OK &&
            memcmp(bytes, want, t->data.size) == 0;
    }
    CHECK_U64(same, l->bundle.item_count, "  and has the tensors");
    if (index != NULL)
        CHECK_U64(index->meta_count, l->bundle.meta_count,
                  "  and the metadata once");
    dfx_index_free(index);
    CHECK(dfx_format_sharded.validate(&(dfx_place){.path = path}, NULL,
                                      count_finding, &f, NULL) == DFX_OK &&
              f.count == 0,
          "  and no fault");
}

static void
test_shards(void)
{
    cJSON *doc = load_json("shards.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        char buf[256], what[256];
        dfx_error err = {.text = ""};
        list l;

        list_init(&l, text_of(row, "list"), true);
        l.component.is_transformers =
            strstr(text_of(row, "by"), "transformers") != NULL;
        l.bundle.max_shard_size = shard_limit(row);
        l.bundle.variant = text_of(row, "variant");
        if (l.bundle.meta_count == 0 &&
            dfx_bundle_add_meta(&l.bundle, 0, "format", "pt", NULL) != DFX_OK)
            abort();
        snprintf(what, sizeof what, "%s can be cut", text_of(row, "tag"));
        if (CHECK(dfx_format_sharded.lay_out(&l.bundle,
                                             base_of(row, buf, sizeof buf),
                                             l.plan, &err) == DFX_OK &&
                      dfx_plan_seal(l.plan, &err) == DFX_OK,
                  what)) {
            check_outputs(row, l.plan);
            if (l.plan->output_count > 1)
                check_reading(&l);
        }
        list_fini(&l);
    }
    cJSON_Delete(doc);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");

    root = realpath(srcdir == NULL ? "." : srcdir, NULL);
    if (root == NULL) {
        printf("Bail out! there is no folder %s\n", srcdir);
        return 99;
    }
    scratch_enter();
    test_cases();
    test_damage();
    test_header_limit();
    test_tensors();
    test_writer();
    test_kept_header();
    test_foreign_header();
    test_name_clash();
    test_shards();
    free(root);
    return tap_end();
}
