/*
 * verify.c - is what was written what was meant?
 *
 * The target is opened and identified like any other source; then both sides
 * are brought to Diffusers names and form, through the rules of each one's own
 * layout, and compared tensor by tensor. What is kept aside is compared under
 * its own name.
 */
#include <config.h>

#include <string.h>

#include "content.h"
#include "convert.h"

/* A source's tensor against its copy; a changed type is allowed if the value is
   the cast one. */
static dfx_status
check(dfx_arena *arena, const char *name, const dfx_expr *meant,
      const dfx_expr *written, dfx_error *err)
{
    uint64_t different;
    double max_abs;
    bool same;
    dfx_status status;

    status = dfx_content_compare(arena, meant, written, &same, &different,
                                 &max_abs, err);
    if (status == DFX_OK && !same)
        status = dfx_fail(err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                          "%llu elements read back other than they were meant",
                          (unsigned long long)different);
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
            const dfx_identity *written, size_t *compared, dfx_error *err)
{
    const dfx_entry *mine, *theirs;
    size_t mine_count, their_count;

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
        (*compared)++;
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
                const dfx_index *written, size_t *compared, dfx_error *err)
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
        (*compared)++;
    }
    return DFX_OK;
}

dfx_status
dfx_plan_verify(const dfx_plan *plan, const dfx_run_options *options,
                size_t *compared, dfx_error *err)
{
    const dfx_verify_notes *notes = plan->verify;
    dfx_open_options how = {.variant = notes->options.variant};
    dfx_identify_options as = {.family = NULL};
    dfx_arena arena = {NULL};
    dfx_index *index = NULL;
    dfx_identity *written = NULL;
    dfx_status status;

    (void)options; /* reading back is bound by the disk, one thread does */
    *compared = 0;
    if (notes->identity->set != NULL && notes->options.only == NULL)
        as.family = notes->identity->set->name;
    status = dfx_open(plan->dst, &how, &index, err);
    if (status == DFX_OK)
        status = dfx_identify(index, &as, &written, err);
    if (status == DFX_OK)
        status = check_parts(&arena, notes, written, compared, err);
    if (status == DFX_OK)
        status = check_leftovers(&arena, notes, index, compared, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, plan->dst);
    dfx_arena_fini(&arena);
    dfx_identity_free(written);
    dfx_index_free(index);
    return status;
}
