/*
 * test_torch.c - what no golden file shows: rare rules, keys, bids
 */
#include <config.h>

#include "torch.h"

#include "scratch.h"
#include "tap.h"

typedef struct notes {
    char text[2048]; /* "rule rule " */
} notes;

static void
note(void *context, const dfx_concern *c)
{
    notes *n = context;
    size_t used = strlen(n->text);

    snprintf(n->text + used, sizeof n->text - used, "%s ", c->rule);
}

static void
check_bytes(const char *name, const void *data, size_t size,
            const char *verdict, const char *rules)
{
    notes n = {.text = ""};
    dfx_verdict found = DFX_VERDICT_SAFE;
    dfx_error err = {.rule = ""};

    scratch_write(name, data, size);
    CHECK_U64(dfx_audit_path(name, NULL, note, &n, &found, &err), DFX_OK, name);
    CHECK_TEXT(dfx_verdict_name(found), verdict, "  its verdict");
    CHECK_TEXT(n.text, rules, "  by rule");
    remove(name);
}

#define BYTES(text) text, sizeof text - 1

static void
test_rules(void)
{
    check_bytes("a.pkl",
                BYTES("\x80\x02"
                      "ccollections\nOrderedDict\nK\x01\x85R."),
                "suspicious", "pk.reduce.arguments ");
    check_bytes("b.pkl", BYTES("\x80\x04K\x01K\x02\x93."), "cannot-tell",
                "pk.stack.type ");
    check_bytes("c.pkl", BYTES("\x80\x02X\x02\0\0\0\xff\xff."), "cannot-tell",
                "pk.stream.text ");
    check_bytes("d.lz4", BYTES("\x04\x22\x4d\x18rest"), "cannot-tell",
                "pt.container.lz4 ");
    check_bytes("e.json", BYTES("\x80\x02}q\0."), "suspicious",
                "pt.container.suffix ");
    check_bytes("f.pkl", BYTES("\x80\x02}q\0."), "safe", "");
}

/* More objects than a machine may make. */
static void
test_nodes(void)
{
    const size_t size = (2 << 22) + 16;
    char *stream = malloc(size);
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    notes n = {.text = ""};

    for (size_t i = 0; i + 1 < size; i += 2)
        memcpy(stream + i, "N0", 2);
    memcpy(stream, "\x80\x02", 2);
    scratch_write("many.pkl", stream, size);
    CHECK(dfx_audit_path("many.pkl", NULL, note, &n, &verdict, NULL) == DFX_OK,
          "millions of objects");
    CHECK(verdict == DFX_VERDICT_SUSPICIOUS &&
              strstr(n.text, "pk.limit.nodes") != NULL,
          "  are too many");
    remove("many.pkl");
    free(stream);
}

/* A header of a tar that says more than the file has. */
static void
test_tar(void)
{
    static char header[512];
    notes n = {.text = ""};
    dfx_verdict verdict = DFX_VERDICT_SAFE;

    strcpy(header, "pickle");
    memcpy(header + 124, "00007777777", 11);
    header[156] = '0';
    memcpy(header + 257, "ustar", 5);
    scratch_write("t.pth", header, sizeof header);
    CHECK(dfx_audit_path("t.pth", NULL, note, &n, &verdict, NULL) == DFX_OK,
          "a tar that is cut");
    CHECK(verdict == DFX_VERDICT_CANNOT_TELL &&
              strstr(n.text, "pt.tar.header") != NULL,
          "  is told by rule");
    remove("t.pth");
}

static char *folder; /* of the goldens */

static dfx_index *
open_golden(const char *name, const dfx_open_options *options, dfx_error *err)
{
    dfx_index *index = NULL;
    char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return dfx_open(path, options, &index, err) == DFX_OK ? index : NULL;
}

static void
test_keys(void)
{
    const dfx_open_options all = {.key = ""}, one = {.key = "state_dict"};
    const dfx_open_options deep = {.key = "optimizer_states.0.state.0"};
    const dfx_open_options none = {.key = "nothing"};
    dfx_error err = {.rule = ""};
    dfx_index *index = open_golden("good/lightning.ckpt", NULL, &err);

    CHECK(index != NULL && index->tensor_count == 2 &&
              strcmp(index->tensors[0].name, "model.diffusion_model.w") == 0,
          "a checkpoint's weights");
    CHECK(index != NULL && index->warning_count > 0,
          "  what is left out is told");
    dfx_index_free(index);
    index = open_golden("good/lightning.ckpt", &one, &err);
    CHECK(index != NULL && index->tensor_count == 2, "by their key");
    dfx_index_free(index);
    index = open_golden("good/lightning.ckpt", &all, &err);
    CHECK(index != NULL && index->tensor_count == 5, "all there are");
    dfx_index_free(index);
    index = open_golden("good/lightning.ckpt", &deep, &err);
    CHECK(index != NULL && index->tensor_count == 2, "those of an optimizer");
    dfx_index_free(index);
    CHECK(open_golden("good/lightning.ckpt", &none, &err) == NULL,
          "those of a key that is not there");
    CHECK_TEXT(err.rule, "pt.key", "  by rule");
}

/* Tensors that cannot be converted are read and told. */
static void
test_kinds(void)
{
    dfx_error err = {.rule = ""};
    dfx_index *index = open_golden("good/zip-quantized.pt", NULL, &err);
    dfx_convert_options options;
    dfx_identity *identity = NULL;
    dfx_plan *plan = NULL;

    dfx_convert_options_init(&options);
    CHECK(index != NULL && index->tensor_count == 3, "quantized tensors");
    CHECK(dfx_identify(index, NULL, &identity, &err) == DFX_OK &&
              dfx_convert(index, identity, "q.safetensors", &options, &plan,
                          &err) == DFX_ERR_UNSUPPORTED,
          "  are not converted");
    CHECK_TEXT(err.rule, "pt.tensor.kind", "  by rule");
    dfx_identity_free(identity);
    dfx_index_free(index);
}

/* A zip with a name twice is told so, beside what else is in it. */
static void
test_duplicate(void)
{
    notes n = {.text = ""};
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    char path[512];

    snprintf(path, sizeof path, "%s/zoo/zip-duplicate.pt", folder);
    CHECK(dfx_audit_path(path, NULL, note, &n, &verdict, NULL) == DFX_OK &&
              strstr(n.text, "pt.zip.duplicate") != NULL,
          "a name twice");
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[512];

    snprintf(path, sizeof path, "%s/tests/golden/torch",
             srcdir != NULL ? srcdir : ".");
    folder = realpath(path, NULL);
    scratch_enter();
    test_rules();
    test_nodes();
    test_tar();
    test_keys();
    test_kinds();
    test_duplicate();
    free(folder);
    return tap_end();
}
