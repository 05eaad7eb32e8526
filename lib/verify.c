/*
 * verify.c - is what was written what was meant?
 *
 * Twice: every byte of the target is what the plan says. And the plan was
 * right: the target is opened and identified like any other source, both sides
 * are brought to Diffusers names and form, through the rules of each one's own
 * layout, and compared tensor by tensor. What is kept aside is compared under
 * its own name.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "convert.h"
#include "written.h"

/* ---- The plan's bytes ---------------------------------------------------- */

enum { BAND = 256 * 1024 }; /* bytes compared at a time */

typedef struct reading {
    const dfx_plan *plan;
    const dfx_run_options *options; /* NULL: none */
    const dfx_io *io;               /* the file written */
    const char *tensor;             /* of the piece; NULL: no tensor's */
    unsigned char *meant, *there;   /* owned: BAND bytes each */
    uint64_t done;                  /* bytes of the plan */
} reading;

static dfx_status
fail_differs(const reading *r, uint64_t offset, dfx_error *err)
{
    dfx_status status = dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, offset,
                                 "a byte reads back other than it was meant");

    if (r->tensor != NULL)
        dfx_error_in_tensor(err, r->tensor);
    return status;
}

static dfx_status
compare_piece(reading *r, const dfx_piece *piece, dfx_error *err)
{
    const dfx_expr *x = piece->expr;

    for (uint64_t at = 0; at < x->bytes; at += BAND) {
        uint64_t left = x->bytes - at;
        size_t size = left < BAND ? (size_t)left : BAND, i = 0;

        if (r->options != NULL && r->options->stop != NULL &&
            *r->options->stop != 0)
            return dfx_fail_stopped(err);
        DFX_TRY(dfx_expr_pull_bytes(x, at, size, r->meant, err));
        DFX_TRY(dfx_io_read_at(r->io, piece->offset + at, r->there, size, err));
        if (memcmp(r->meant, r->there, size) != 0) {
            while (r->meant[i] == r->there[i])
                i++;
            return fail_differs(r, piece->offset + at + i, err);
        }
        r->done += size;
        if (r->options != NULL && r->options->progress != NULL)
            r->options->progress(r->options->context, r->done, r->plan->bytes);
    }
    return DFX_OK;
}

/* Tensors are listed in the order of their pieces, among which are others. */
static dfx_status
compare_output(reading *r, const dfx_output *output, size_t *compared,
               dfx_error *err)
{
    const dfx_plan_file *file = &output->view;
    size_t next = 0;

    if (dfx_io_size(r->io) != file->size)
        return dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                        "has %" PRIu64 " bytes, %" PRIu64 " were meant",
                        dfx_io_size(r->io), file->size);
    for (size_t i = 0; i < output->piece_count; i++) {
        const dfx_piece *piece = &output->pieces[i];
        bool is_tensor = next < file->tensor_count &&
                         file->tensors[next].offset == piece->offset;

        r->tensor = is_tensor ? file->tensors[next].name : NULL;
        DFX_TRY(compare_piece(r, piece, err));
        next += is_tensor;
    }
    *compared += next;
    return DFX_OK;
}

static dfx_status
check_output(reading *r, size_t output, size_t *compared, dfx_error *err)
{
    dfx_io *io = NULL;
    dfx_status status;

    DFX_TRY(dfx_written_open(r->plan, output, &io, err));
    r->io = io;
    status = compare_output(r, &r->plan->outputs[output], compared, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, dfx_io_name(io));
    dfx_io_close(io);
    return status;
}

static dfx_status
check_bytes(const dfx_plan *plan, const dfx_run_options *options,
            size_t *compared, dfx_error *err)
{
    reading r = {.plan = plan, .options = options};
    dfx_status status = DFX_OK;

    r.meant = malloc(BAND);
    r.there = malloc(BAND);
    if (r.meant == NULL || r.there == NULL)
        status = dfx_fail_nomem(err);
    for (size_t i = 0; i < plan->output_count && status == DFX_OK; i++)
        status = check_output(&r, i, compared, err);
    free(r.meant);
    free(r.there);
    return status;
}

/* ---- The plan itself ----------------------------------------------------- */

/* A source's tensor against its copy; a changed type is allowed if the value is
   the cast one. */
static dfx_status
check(dfx_arena *arena, const char *name, const dfx_expr *meant,
      const dfx_expr *written, dfx_error *err)
{
    uint64_t different = 0;
    double max_abs;
    bool same = false;
    dfx_status status = DFX_OK;

    if (meant->elements != written->elements)
        status = dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                          "%" PRIu64 " elements, %" PRIu64 " were meant",
                          written->elements, meant->elements);
    else if (dfx_composite_in(written) != NULL &&
             dfx_composite_in(meant) == NULL)
        same = true; /* its codes are what the plan says; they are not exact */
    else
        status = dfx_content_compare(arena, meant, written, &same, &different,
                                     &max_abs, err);
    if (status == DFX_OK && !same)
        status = dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                          "%" PRIu64
                          " elements read back other than they were meant",
                          different);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, name);
    return status;
}

static const dfx_entry *
find_entry(const dfx_entry *entries, size_t count, const dfx_entry *key)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(entries[middle].component, key->component);

        if (order == 0)
            order = strcmp(entries[middle].name, key->name);
        if (order == 0)
            return &entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool
was_left_out(const dfx_verify_notes *notes, const dfx_identity *written,
             const char *component)
{
    return dfx_identity_find(written, component) == NULL ||
           (notes->options.only != NULL &&
            strstr(notes->options.only, component) == NULL);
}

static bool
was_replaced(const dfx_verify_notes *notes, const char *component)
{
    for (size_t i = 0; i < notes->options.graft_count; i++)
        if (strcmp(notes->options.grafts[i].component, component) == 0)
            return true;
    return notes->options.ema == DFX_EMA_USE;
}

static dfx_status
check_parts(dfx_arena *arena, const dfx_verify_notes *notes,
            const dfx_identity *written, dfx_error *err)
{
    const dfx_entry *mine = NULL, *theirs = NULL;
    size_t mine_count = 0, their_count = 0;

    DFX_TRY(dfx_content_list(arena, notes->identity, &mine, &mine_count, err));
    DFX_TRY(dfx_content_list(arena, written, &theirs, &their_count, err));
    for (size_t i = 0; i < mine_count; i++) {
        const dfx_entry *copy;

        if (written->found_count > 0 &&
            (was_left_out(notes, written, mine[i].component) ||
             was_replaced(notes, mine[i].component)))
            continue;
        copy = find_entry(theirs, their_count, &mine[i]);
        if (copy == NULL) {
            dfx_status status =
                dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                         "%s: not in what was written", mine[i].component);

            dfx_error_in_tensor(err, mine[i].name);
            return status;
        }
        DFX_TRY(check(arena, mine[i].name, mine[i].expr, copy->expr, err));
    }
    return DFX_OK;
}

/* A leftover under its own name, in the side-car or in the file itself. */
static const dfx_tensor *
find_aside(const dfx_index *written, const char *name)
{
    uint32_t side_car = dfx_index_find_component(written, DFX_RESIDUE);
    const dfx_tensor *t = NULL;

    if (side_car != UINT32_MAX)
        t = dfx_index_find(written, side_car, name);
    return t != NULL ? t : dfx_index_find(written, 0, name);
}

static dfx_status
check_leftovers(dfx_arena *arena, const dfx_verify_notes *notes,
                const dfx_index *written, dfx_error *err)
{
    const dfx_identity *identity = notes->identity;

    for (size_t i = 0; i < identity->leftover_count; i++) {
        const dfx_tensor *t =
            &identity->index->tensors[identity->leftovers[i].tensor];
        const dfx_tensor *copy = find_aside(written, t->name);
        const dfx_expr *meant, *there;

        if (copy == NULL)
            continue; /* dropped, as the plan's notes say */
        DFX_TRY(dfx_expr_tensor(arena, t, &meant, err));
        DFX_TRY(dfx_expr_tensor(arena, copy, &there, err));
        DFX_TRY(check(arena, t->name, meant, there, err));
    }
    return DFX_OK;
}

static dfx_status
check_meaning(const dfx_plan *plan, dfx_error *err)
{
    const dfx_verify_notes *notes = plan->verify;
    dfx_open_options how = {.variant = notes->options.variant};
    dfx_identify_options as = {.family = NULL};
    dfx_arena arena = {NULL};
    dfx_index *index = NULL;
    dfx_identity *written = NULL;
    dfx_status status;

    if (notes->identity->set != NULL && notes->options.only == NULL)
        as.family = notes->identity->set->name;
    status = dfx_open(plan->dst, &how, &index, err);
    if (status == DFX_OK)
        status = dfx_identify(index, &as, &written, err);
    if (status == DFX_OK)
        status = check_parts(&arena, notes, written, err);
    if (status == DFX_OK)
        status = check_leftovers(&arena, notes, index, err);
    dfx_arena_fini(&arena);
    dfx_identity_free(written);
    dfx_index_free(index);
    return status;
}

dfx_status
dfx_plan_verify(const dfx_plan *plan, const dfx_run_options *options,
                size_t *compared, dfx_error *err)
{
    dfx_status status;

    *compared = 0;
    status = check_bytes(plan, options, compared, err);
    if (status == DFX_OK)
        status = check_meaning(plan, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, plan->dst);
    return status;
}
