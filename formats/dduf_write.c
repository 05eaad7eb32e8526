/*
 * dduf_write.c - a bundle as a DDUF archive
 *
 * The folder format lays the bundle out; its files become entries, as
 * huggingface_hub 2.4 writes them, in an order of our own since its is that of
 * the file system: model_index.json, then by name. Tensors are aligned, so that
 * they can be mapped, by an extra field that the reference reads over.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "dduf.h"

enum { ALIGNMENT = 64 };

const dfx_zip_style dfx_dduf_style = {
    .made_by = 0x032D, /* Unix, 4.5 */
    .made_by_end = 45,
    .needed = 45,
    .needed_local = 45,
    .date = 0x0021, /* 1980-01-01 */
    .attributes = 0x01800000,
    .zip64_local = true,
    .most32 = INT32_MAX, /* zipfile's ZIP64_LIMIT */
    .pad_id = 0x4246,
};

int
dfx_dduf_compare(const char *a, const char *b)
{
    bool a_first = strcmp(a, DFX_DDUF_INDEX) == 0;
    bool b_first = strcmp(b, DFX_DDUF_INDEX) == 0;

    if (a_first != b_first)
        return a_first ? -1 : 1;
    return strcmp(a, b);
}

static int
compare_files(const void *a, const void *b)
{
    const dfx_output *x = a, *y = b;

    return dfx_dduf_compare(x->view.path, y->view.path);
}

unsigned
dfx_dduf_alignment(const char *path, bool plain)
{
    static const char suffix[] = ".safetensors";
    size_t size = strlen(path);

    return !plain && size > sizeof suffix - 1 &&
                   strcmp(path + size - (sizeof suffix - 1), suffix) == 0
               ? ALIGNMENT
               : 0;
}

/* The file's pieces; those that are tensors under their names. */
static dfx_status
add_pieces(dfx_plan *plan, size_t output, const dfx_output *file,
           dfx_error *err)
{
    size_t next = 0;

    for (size_t i = 0; i < file->piece_count; i++) {
        const dfx_piece *piece = &file->pieces[i];
        const dfx_plan_tensor *t =
            next < file->view.tensor_count ? &file->tensors[next] : NULL;

        if (t != NULL && t->offset == piece->offset &&
            t->size == piece->expr->bytes && t->rank == piece->expr->rank &&
            piece->expr->node != DFX_NODE_BYTES) {
            next++;
            DFX_TRY(
                dfx_plan_add_tensor(plan, output, t->name, piece->expr, err));
        } else {
            DFX_TRY(dfx_plan_add_piece(plan, output, piece->expr, err));
        }
    }
    return DFX_OK;
}

static dfx_status
add_entry(dfx_zip_writer *zip, dfx_plan *plan, size_t output,
          const dfx_output *file, bool plain, dfx_error *err)
{
    const char *path = file->view.path;

    if (dfx_dduf_name_rule(path, strlen(path)) != DFX_RULE_COUNT)
        return dfx_plan_note(plan, err, "lost: %s has no place in a DDUF file",
                             path);
    DFX_TRY(dfx_zip_member_begin(zip, path, file->view.size,
                                 dfx_dduf_alignment(path, plain), err));
    DFX_TRY(add_pieces(plan, output, file, err));
    return dfx_zip_member_end(zip, err);
}

static dfx_status
add_entries(const dfx_bundle *bundle, const char *path, dfx_plan *plan,
            dfx_error *err)
{
    dfx_plan *folder = plan->inner;
    dfx_zip_writer *zip = NULL;
    size_t output = 0;

    DFX_TRY(dfx_format_named("diffusers")->lay_out(bundle, "", folder, err));
    if (folder->output_count > 0)
        qsort(folder->outputs, folder->output_count, sizeof *folder->outputs,
              compare_files);
    if (folder->output_count == 0 ||
        strcmp(folder->outputs[0].view.path, DFX_DDUF_INDEX) != 0)
        return dfx_fail(err, DFX_RULE_DD_INDEX_MISSING, DFX_NO_OFFSET,
                        "a DDUF file holds a pipeline, and there is no %s",
                        DFX_DDUF_INDEX);
    DFX_TRY(dfx_plan_add_file(plan, path, &output, err));
    DFX_TRY(dfx_zip_begin(plan, output, &dfx_dduf_style, &zip, err));
    for (size_t i = 0; i < folder->output_count; i++)
        DFX_TRY(add_entry(zip, plan, output, &folder->outputs[i], bundle->plain,
                          err));
    return dfx_zip_end(zip, err);
}

dfx_status
dfx_dduf_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                 dfx_error *err)
{
    const char *path = base;

    if (base[0] != '\0')
        path = dfx_arena_printf(&plan->arena, "%s.dduf", base);
    if (path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_plan_new(plan->dst, true, &plan->inner, err));
    return add_entries(bundle, path, plan, err);
}
