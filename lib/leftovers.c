/*
 * leftovers.c - tensors that no component has a place for
 */
#include <config.h>

#include <inttypes.h>
#include <string.h>

#include "convert.h"

enum { MAX_TALLIES = 32 }; /* as many as dfx_tallies has */

static void
count_in(dfx_tally *items, size_t *count, const char *what, uint64_t bytes)
{
    size_t i = 0;

    while (i < *count && strcmp(items[i].what, what) != 0)
        i++;
    if (i == MAX_TALLIES)
        i--;
    else if (i == *count)
        items[(*count)++] = (dfx_tally){.what = what};
    items[i].count++;
    items[i].bytes += bytes;
}

void
dfx_tallies_keep(dfx_tallies *tallies, const char *what, uint64_t bytes)
{
    count_in(tallies->kept.items, &tallies->kept.count, what, bytes);
}

static dfx_status
note(dfx_plan *plan, const dfx_tally *items, size_t count, const char *verb,
     dfx_error *err)
{
    for (size_t i = 0; i < count; i++)
        DFX_TRY(dfx_plan_note(plan, err,
                              "%s: %s (%zu tensor%s, %" PRIu64 " bytes)", verb,
                              items[i].what, items[i].count,
                              items[i].count == 1 ? "" : "s", items[i].bytes));
    return DFX_OK;
}

dfx_status
dfx_tallies_note(dfx_plan *plan, const dfx_tallies *tallies, const char *kept,
                 dfx_error *err)
{
    DFX_TRY(note(plan, tallies->kept.items, tallies->kept.count, kept, err));
    return note(plan, tallies->dropped.items, tallies->dropped.count, "dropped",
                err);
}

static const char *
what_it_is(const dfx_conversion *conversion, const dfx_leftover_found *leftover)
{
    if (leftover->fate == DFX_FATE_EMA &&
        conversion->options->ema == DFX_EMA_USE)
        return "plain weights, whose names their averages take";
    return leftover->what;
}

dfx_status
dfx_leftover_keeps(const dfx_conversion *conversion,
                   const dfx_leftover_found *leftover, dfx_tallies *tallies,
                   bool *keep, dfx_error *err)
{
    const dfx_convert_options *options = conversion->options;
    const dfx_tensor *t = &conversion->index->tensors[leftover->tensor];
    bool same_layout = conversion->to == conversion->identity->layout;

    *keep = leftover->fate == DFX_FATE_ASIDE ||
            (leftover->fate == DFX_FATE_EMA && options->ema == DFX_EMA_KEEP);
    if (!leftover->known && options->unknown == DFX_UNKNOWN_ERROR) {
        dfx_status status =
            dfx_fail(err, DFX_RULE_FAMILY_UNEXPECTED, DFX_NO_OFFSET,
                     "no table has a place for it (--unknown=keep keeps it "
                     "aside, --unknown=drop drops it)");

        dfx_error_in_tensor(err, t->name);
        return status;
    }
    if (!leftover->known && options->unknown == DFX_UNKNOWN_DROP)
        *keep = false;
    /* Extraction takes components; the reference has no side-cars. */
    if ((options->plain && !same_layout) || options->only != NULL)
        *keep = false;
    if (!*keep)
        count_in(tallies->dropped.items, &tallies->dropped.count,
                 what_it_is(conversion, leftover), t->data.size);
    return DFX_OK;
}
