/*
 * test_plan.c - layout of outputs, and bundles
 */
#include <config.h>

#include "plan.h"

#include "bundle.h"
#include "tap.h"

static const dfx_expr *
bytes(dfx_plan *plan, const char *text)
{
    const dfx_expr *x = NULL;
    dfx_error err;

    if (dfx_expr_bytes(&plan->arena, text, strlen(text), &x, &err) != DFX_OK)
        return NULL;
    return x;
}

static void
test_layout(void)
{
    const dfx_plan_file *files;
    const char *const *notes;
    size_t a = 9, b = 9, count;
    dfx_plan *plan = NULL;
    char name[] = "w";
    dfx_error err;

    CHECK_U64(dfx_plan_new("dst", true, &plan, &err), DFX_OK, "a plan");
    CHECK_U64(dfx_plan_add_file(plan, "unet/model", &a, &err), DFX_OK,
              "a file");
    CHECK_U64(dfx_plan_add_file(plan, "empty", &b, &err), DFX_OK, "another");
    CHECK_U64(dfx_plan_add_piece(plan, a, bytes(plan, "head"), &err), DFX_OK,
              "a piece");
    CHECK_U64(dfx_plan_add_tensor(plan, a, name, bytes(plan, "12345678"), &err),
              DFX_OK, "a tensor");
    name[0] = 'x';
    CHECK_U64(dfx_plan_add_tensor(plan, a, name, bytes(plan, "abc"), &err),
              DFX_OK, "another");
    CHECK_U64(dfx_plan_note(plan, &err, "%d dropped", 3), DFX_OK, "a note");
    CHECK_U64(dfx_plan_seal(plan, &err), DFX_OK, "it is sealed");
    files = dfx_plan_files(plan, &count);
    CHECK_U64(count, 2, "two files");
    CHECK_TEXT(files[0].path, "unet/model", "in the order they came");
    CHECK_U64(files[0].size, 15, "the first of 4 + 8 + 3 bytes");
    CHECK_U64(files[0].tensor_count, 2, "with two tensors");
    CHECK_TEXT(files[0].tensors[0].name, "w", "of this name");
    CHECK_U64(files[0].tensors[0].offset, 4, "after the first piece");
    CHECK_U64(files[0].tensors[0].size, 8, "of 8 bytes");
    CHECK_U64(files[0].tensors[0].shape[0], 8, "of this shape");
    CHECK_TEXT(files[0].tensors[0].from, "8 bytes", "made so");
    CHECK_U64(files[0].tensors[1].offset, 12, "and one after it");
    CHECK_U64(files[1].size, 0, "the second file is empty");
    CHECK_U64(dfx_plan_bytes(plan), 15, "15 bytes together");
    notes = dfx_plan_notes(plan, &count);
    CHECK_U64(count, 1, "one note");
    CHECK_TEXT(notes[0], "3 dropped", "in words");
    dfx_plan_free(plan);
    dfx_plan_free(NULL);
}

static void
test_paths(void)
{
    static const char *const bad[] = {"",     "/x",     "x/",  "a//b", "..",
                                      "../x", "a/../b", "a/.", "."};
    static const char *const good[] = {"a", "a/b", "a/..b", "...", ".x/y."};
    dfx_plan *plan = NULL;
    size_t output = 0;
    dfx_error err;

    CHECK_U64(dfx_plan_new("dst", true, &plan, &err), DFX_OK, "a folder");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_U64(dfx_plan_add_file(plan, bad[i], &output, &err),
                  DFX_ERR_UNSAFE, bad[i]);
        CHECK_TEXT(err.rule, "folder.path", "is refused by this rule");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_U64(dfx_plan_add_file(plan, good[i], &output, &err), DFX_OK,
                  good[i]);
    CHECK_U64(dfx_plan_add_file(plan, "a/b", &output, &err), DFX_OK,
              "a path twice");
    CHECK_U64(dfx_plan_seal(plan, &err), DFX_ERR_FORMAT, "is found at the end");
    CHECK_TEXT(err.rule, "convert.clash", "by this rule");
    CHECK_TEXT(err.text, "two files are to become \"a/b\"", "with its name");
    dfx_plan_free(plan);

    CHECK_U64(dfx_plan_new("dst", false, &plan, &err), DFX_OK, "a file");
    CHECK_U64(dfx_plan_add_file(plan, "a", &output, &err), DFX_ERR_USAGE,
              "has no files in it");
    CHECK_U64(dfx_plan_add_file(plan, "", &output, &err), DFX_OK, "but itself");
    CHECK_U64(dfx_plan_add_file(plan, "", &output, &err), DFX_ERR_USAGE,
              "and once");
    dfx_plan_free(plan);
}

/* 8 times 2^60 is one more than the largest offset. */
static void
test_sizes(void)
{
    const uint64_t shape[] = {UINT64_C(1) << 60};
    const dfx_expr *huge = NULL;
    dfx_plan *plan = NULL;
    size_t output = 0;
    dfx_error err;

    CHECK_U64(dfx_plan_new("dst", false, &plan, &err), DFX_OK, "a plan");
    CHECK_U64(dfx_plan_add_file(plan, "", &output, &err), DFX_OK, "a file");
    CHECK_U64(dfx_expr_const(&plan->arena, DFX_TYPE_F8_E4M3, 1, shape, 1, &huge,
                             &err),
              DFX_OK, "2^60 bytes");
    for (int i = 0; i < 7; i++)
        CHECK_U64(dfx_plan_add_piece(plan, output, huge, &err), DFX_OK,
                  "once more");
    CHECK_U64(dfx_plan_add_piece(plan, output, huge, &err), DFX_ERR_IO,
              "eight times is too large");
    CHECK_TEXT(err.rule, "out.write", "by this rule");
    CHECK_U64(dfx_plan_seal(plan, &err), DFX_OK, "the rest is whole");
    plan->outputs[0].pieces[1].offset++;
    CHECK_U64(dfx_plan_seal(plan, &err), DFX_ERR_USAGE, "a hole is found");
    plan->outputs[0].pieces[1].offset--;
    plan->outputs[0].view.size++;
    CHECK_U64(dfx_plan_seal(plan, &err), DFX_ERR_USAGE, "at the end too");
    dfx_plan_free(plan);
}

static void
test_bundle(void)
{
    dfx_bundle bundle = {0};
    size_t failed = 0;
    dfx_error err;

    for (uint32_t i = 0; i < 100; i++) {
        failed += dfx_bundle_add(&bundle, i, "name", NULL, &err) != DFX_OK;
        failed += dfx_bundle_add_blob(&bundle, "path", NULL, &err) != DFX_OK;
        failed +=
            dfx_bundle_add_meta(&bundle, i, "key", "value", &err) != DFX_OK;
    }
    CHECK_U64(failed, 0, "a bundle grows");
    CHECK_U64(bundle.item_count, 100, "items");
    CHECK_U64(bundle.items[99].component, 99, "in order");
    CHECK_U64(bundle.blob_count, 100, "blobs");
    CHECK_TEXT(bundle.blobs[50].path, "path", "with their path");
    CHECK_U64(bundle.meta_count, 100, "metadata");
    CHECK_TEXT(bundle.metadata[50].value, "value", "with its value");
    dfx_bundle_fini(&bundle);
    CHECK_U64(bundle.item_count, 0, "and is empty again");
}

int
main(void)
{
    test_layout();
    test_paths();
    test_sizes();
    test_bundle();
    return tap_end();
}
