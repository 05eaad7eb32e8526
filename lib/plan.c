/*
 * plan.c - laying out output files
 */
#include <config.h>

#include "plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"

dfx_status
dfx_plan_new(const char *dst, bool is_folder, dfx_plan **plan, dfx_error *err)
{
    dfx_plan *made = calloc(1, sizeof *made);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->dst = dfx_arena_strdup(&made->arena, dst);
    if (made->dst == NULL) {
        dfx_plan_free(made);
        return dfx_fail_nomem(err);
    }
    made->is_folder = is_folder;
    *plan = made;
    return DFX_OK;
}

void
dfx_plan_free(dfx_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->output_count; i++) {
        free(plan->outputs[i].pieces);
        free(plan->outputs[i].sums);
        free(plan->outputs[i].tensors);
    }
    for (size_t i = 0; i < plan->io_count; i++)
        dfx_io_close(plan->ios[i]);
    free(plan->ios);
    dfx_plan_free(plan->inner);
    free(plan->outputs);
    free(plan->views);
    free(plan->notes);
    free(plan->explanations);
    free(plan->weights);
    dfx_arena_fini(&plan->arena);
    free(plan);
}

enum { MAX_LEVELS = 16 }; /* as a folder is read */

/* Relative, and each part a name: not empty, no ".", no "..". */
static bool
stays_inside(const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "/");

        if (n == 0 || (n == 1 && path[0] == '.') ||
            (n == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[n] == '\0')
            return true;
        path += n + 1;
    }
}

/* How many folders a file lies in. */
static size_t
level_of(const char *path)
{
    size_t level = 0;

    for (; *path != '\0'; path++)
        level += *path == '/';
    return level;
}

dfx_status
dfx_plan_add_file(dfx_plan *plan, const char *path, size_t *output,
                  dfx_error *err)
{
    dfx_output *made;
    char *own_path;

    if (!plan->is_folder && (path[0] != '\0' || plan->output_count > 0))
        return dfx_fail_usage(err, "the plan writes one file, not \"%s\" too",
                              path);
    if (plan->is_folder && !stays_inside(path))
        return dfx_fail(err, DFX_RULE_FOLDER_PATH, DFX_NO_OFFSET,
                        "\"%s\" is no path inside a folder", path);
    if (level_of(path) > MAX_LEVELS)
        return dfx_fail(err, DFX_RULE_FOLDER_LIMIT, DFX_NO_OFFSET,
                        "a file %zu folders deep, at most %d are read",
                        level_of(path), MAX_LEVELS);
    own_path = dfx_arena_strdup(&plan->arena, path);
    if (own_path == NULL ||
        !dfx_grow(&plan->outputs, &plan->output_capacity, plan->output_count,
                  sizeof *plan->outputs))
        return dfx_fail_nomem(err);
    made = &plan->outputs[plan->output_count];
    *made = (dfx_output){.view = {.path = own_path}};
    *output = plan->output_count++;
    return DFX_OK;
}

dfx_status
dfx_plan_add_piece(dfx_plan *plan, size_t output, const dfx_expr *expr,
                   dfx_error *err)
{
    dfx_output *file = &plan->outputs[output];
    uint64_t size;

    if (dfx_ckd_add(&size, file->view.size, expr->bytes) || size > INT64_MAX)
        return dfx_fail(err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET,
                        "\"%s\" would be larger than any file",
                        file->view.path);
    if (!dfx_grow(&file->pieces, &file->piece_capacity, file->piece_count,
                  sizeof *file->pieces))
        return dfx_fail_nomem(err);
    file->pieces[file->piece_count++] =
        (dfx_piece){.offset = file->view.size, .expr = expr};
    file->view.size = size;
    return DFX_OK;
}

/* The description of an expression, kept by the plan; NULL: no memory. */
static char *
describe(dfx_plan *plan, const dfx_expr *expr)
{
    char *words = dfx_expr_describe(expr);
    char *kept = NULL;

    if (words != NULL)
        kept = dfx_arena_strdup(&plan->arena, words);
    free(words);
    return kept;
}

static int
compare_explanations(const void *a, const void *b)
{
    const dfx_explanation *x = a, *y = b;

    return (x->expr > y->expr) - (x->expr < y->expr);
}

dfx_status
dfx_plan_explain(dfx_plan *plan, const dfx_explanation *explanation,
                 dfx_error *err)
{
    if (!dfx_grow(&plan->explanations, &plan->explanation_capacity,
                  plan->explanation_count, sizeof *plan->explanations))
        return dfx_fail_nomem(err);
    plan->explanations[plan->explanation_count++] = *explanation;
    plan->is_explained = false;
    return DFX_OK;
}

/* Empty: nothing is known. */
static dfx_explanation
explanation_of(dfx_plan *plan, const dfx_expr *expr)
{
    dfx_explanation key = {.expr = expr};
    const dfx_explanation *found;

    if (plan->explanation_count == 0)
        return key;
    if (!plan->is_explained)
        qsort(plan->explanations, plan->explanation_count,
              sizeof *plan->explanations, compare_explanations);
    plan->is_explained = true;
    found = bsearch(&key, plan->explanations, plan->explanation_count,
                    sizeof *plan->explanations, compare_explanations);
    return found != NULL ? *found : key;
}

dfx_status
dfx_plan_add_tensor(dfx_plan *plan, size_t output, const char *name,
                    const dfx_expr *expr, dfx_error *err)
{
    dfx_output *file = &plan->outputs[output];
    dfx_explanation known = explanation_of(plan, expr);
    dfx_plan_tensor made = {
        .name = dfx_arena_strdup(&plan->arena, name),
        .type = expr->type,
        .rank = expr->rank,
        .shape = expr->shape,
        .offset = file->view.size,
        .size = expr->bytes,
        .from = describe(plan, expr),
        .source_type = dfx_expr_source_type(expr),
        .component = known.component,
        .why = known.why,
        .encoding = known.encoding,
    };

    if (made.name == NULL || made.from == NULL ||
        !dfx_grow(&file->tensors, &file->tensor_capacity,
                  file->view.tensor_count, sizeof *file->tensors))
        return dfx_fail_nomem(err);
    if (known.encoding == NULL)
        made.source_size = dfx_type_bytes(made.source_type, expr->elements);
    else if (known.source != NULL) {
        made.source_type = dfx_expr_source_type(known.source);
        made.source_size =
            dfx_type_bytes(made.source_type, known.source->elements);
    }
    DFX_TRY(dfx_plan_add_piece(plan, output, expr, err));
    file->tensors[file->view.tensor_count++] = made;
    return DFX_OK;
}

dfx_status
dfx_plan_add_sum(dfx_plan *plan, size_t output, uint64_t offset, uint64_t size,
                 size_t *sum, dfx_error *err)
{
    dfx_output *file = &plan->outputs[output];
    const dfx_sum *last = NULL;
    dfx_sum made = {.offset = offset, .size = size};

    if (file->sum_count > 0)
        last = &file->sums[file->sum_count - 1];
    if (last != NULL && offset - last->offset < last->size)
        return dfx_fail_usage(err, "sums overlap at byte %" PRIu64, offset);
    made.value = dfx_arena_alloc(&plan->arena, DFX_SUM_SIZE);
    if (made.value == NULL || !dfx_grow(&file->sums, &file->sum_capacity,
                                        file->sum_count, sizeof *file->sums))
        return dfx_fail_nomem(err);
    memset(made.value, 0, DFX_SUM_SIZE);
    *sum = file->sum_count;
    file->sums[file->sum_count++] = made;
    return DFX_OK;
}

dfx_status
dfx_plan_add_sum_piece(dfx_plan *plan, size_t output, size_t sum,
                       dfx_error *err)
{
    dfx_output *file = &plan->outputs[output];
    const dfx_expr *x = NULL;

    DFX_TRY(dfx_expr_bytes(&plan->arena, file->sums[sum].value, DFX_SUM_SIZE,
                           &x, err));
    DFX_TRY(dfx_plan_add_piece(plan, output, x, err));
    file->pieces[file->piece_count - 1].is_late = true;
    return DFX_OK;
}

dfx_status
dfx_plan_take_io(dfx_plan *plan, dfx_io *io, dfx_error *err)
{
    if (!dfx_grow(&plan->ios, &plan->io_capacity, plan->io_count,
                  sizeof *plan->ios)) {
        dfx_io_close(io);
        return dfx_fail_nomem(err);
    }
    plan->ios[plan->io_count++] = io;
    return DFX_OK;
}

dfx_status
dfx_plan_note(dfx_plan *plan, dfx_error *err, const char *fmt, ...)
{
    va_list args, again;
    char *text = NULL;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0)
        text = dfx_arena_alloc(&plan->arena, (size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    if (text == NULL || !dfx_grow(&plan->notes, &plan->note_capacity,
                                  plan->note_count, sizeof *plan->notes))
        return dfx_fail_nomem(err);
    plan->notes[plan->note_count++] = text;
    return DFX_OK;
}

/* A sum is of bytes in the file, none of which is a sum itself. */
static dfx_status
check_sums(const dfx_output *file, dfx_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < file->sum_count; i++) {
        const dfx_sum *sum = &file->sums[i];

        if (sum->offset > file->view.size ||
            sum->size > file->view.size - sum->offset)
            return dfx_fail_usage(err, "\"%s\": a sum of bytes beyond the end",
                                  file->view.path);
        while (at < file->piece_count &&
               file->pieces[at].offset < sum->offset + sum->size) {
            const dfx_piece *piece = &file->pieces[at++];

            if (piece->is_late && piece->offset >= sum->offset)
                return dfx_fail_usage(err, "\"%s\": a sum of sums",
                                      file->view.path);
        }
    }
    return DFX_OK;
}

/* Pieces lie end to end and fill the file. */
static dfx_status
check_cover(const dfx_output *file, dfx_error *err)
{
    uint64_t at = 0;

    for (size_t i = 0; i < file->piece_count; i++) {
        if (file->pieces[i].offset != at)
            return dfx_fail_usage(err,
                                  "\"%s\": a piece at byte %" PRIu64
                                  " where the last one ended at %" PRIu64,
                                  file->view.path, file->pieces[i].offset, at);
        at += file->pieces[i].expr->bytes;
    }
    if (at != file->view.size)
        return dfx_fail_usage(
            err, "\"%s\": pieces of %" PRIu64 " bytes in a file of %" PRIu64,
            file->view.path, at, file->view.size);
    return DFX_OK;
}

static int
compare_paths(const void *a, const void *b)
{
    const dfx_plan_file *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* No path twice. views is sorted for it. */
static dfx_status
check_paths(dfx_plan_file *views, size_t count, dfx_error *err)
{
    if (count > 0)
        qsort(views, count, sizeof *views, compare_paths);
    for (size_t i = 1; i < count; i++)
        if (strcmp(views[i - 1].path, views[i].path) == 0)
            return dfx_fail(err, DFX_RULE_CONVERT_CLASH, DFX_NO_OFFSET,
                            "two files are to become \"%s\"", views[i].path);
    return DFX_OK;
}

dfx_status
dfx_plan_seal(dfx_plan *plan, dfx_error *err)
{
    dfx_plan_file *views = calloc(plan->output_count + 1, sizeof *views);

    if (views == NULL)
        return dfx_fail_nomem(err);
    free(plan->views);
    plan->views = views;
    plan->bytes = 0;
    for (size_t i = 0; i < plan->output_count; i++)
        views[i] = plan->outputs[i].view;
    DFX_TRY(check_paths(views, plan->output_count, err));
    for (size_t i = 0; i < plan->output_count; i++) {
        dfx_output *file = &plan->outputs[i];

        DFX_TRY(check_cover(file, err));
        DFX_TRY(check_sums(file, err));
        file->view.tensors = file->tensors;
        views[i] = file->view;
        if (dfx_ckd_add(&plan->bytes, plan->bytes, file->view.size))
            return dfx_fail(err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET,
                            "the files are larger than any disk");
    }
    return DFX_OK;
}

const dfx_plan_file *
dfx_plan_files(const dfx_plan *plan, size_t *count)
{
    *count = plan->output_count;
    return plan->views;
}

const char *const *
dfx_plan_notes(const dfx_plan *plan, size_t *count)
{
    *count = plan->note_count;
    return (const char *const *)plan->notes;
}

uint64_t
dfx_plan_bytes(const dfx_plan *plan)
{
    return plan->bytes;
}
